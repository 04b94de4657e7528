/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory_requests.c - grants extents, takes them back, marks sweeps.
 */
#include "supervisor/memory_requests.h"

#include "machine/budget.h"
#include "shm/error.h"
#include "shm/member.h"
#include "supervisor/supervision.h"
#include "supervisor/supervisor.h"

bool px_memory_request_is(uint16_t type)
{
	return type == PX_CONTROL_EXTENT_GET || type == PX_CONTROL_EXTENT_PUT ||
	       type == PX_CONTROL_SWEEP;
}

int px_memory_request_reply(int socket, const struct px_control *head, int code, const char *words,
			    uint64_t a, uint64_t b)
{
	struct px_control reply = {
		.type = PX_CONTROL_REPLY,
		.serial = head->serial,
		.code = code,
		.a = a,
		.b = b,
		/* By this who has given the request up knows what came too late. */
		.c = head->type,
	};
	int rc = px_control_send(socket, &reply, words, NULL, 0);

	/* If the member has hung up, it needs no answer. */
	return rc == PX_EPOOL ? 0 : rc;
}

/* What the others keep warm is given back, by those that wait: whoever was refused asks again. */
static void ask_back(struct px_supervisor *s, struct px_member_id member)
{
	s->extents.asked_at[member.slot] = s->extents.returned + 1;
	/* SYNC memory.wanted: release; partner: px_endpoint_heed(). */
	atomic_fetch_add_explicit(&s->segment->rw.header->wanted_seq, 1, memory_order_release);
	px_member_wake_all(s->segment);
}

/*
 * Whether there would be enough if all others gave back what they have. They are not asked again by who has
 * asked them in vain, with nothing returned since: of two that are refused, each would wake the other for ever.
 */
static bool others_can_help(const struct px_supervisor *s, struct px_member_id member,
			    uint64_t bytes)
{
	uint64_t by_slot[PX_MEMBERS_MAX] = { 0 };
	uint64_t theirs = px_extents_used(&s->extents, by_slot);
	struct px_budget budget;

	theirs -= by_slot[member.slot];
	px_extents_budget(&s->extents, &budget);
	return theirs && bytes <= budget.have + theirs &&
	       s->extents.asked_at[member.slot] != s->extents.returned + 1;
}

/* Logged is what somebody is told: not what only is tried, or is asked for again. */
static int extent_get(struct px_supervisor *s, int socket, struct px_member_id member,
		      const char *what, const struct px_control *head)
{
	uint64_t offset = 0, got = 0;
	bool help = false;
	int rc = 0;

	if (s->segment->members[member.slot].kind == PX_MEMBER_CLIENT)
		rc = px_extents_quota(&s->extents, member.slot, head->a,
				      px_settings_number(s->options->settings, PX_SETTING_QUOTA));
	if (rc == 0) {
		rc = px_extents_get(&s->extents, member.slot, head->a, &offset, &got);
		help = rc == PX_ENOMEM && head->b == PX_EXTENT_FIRST &&
		       others_can_help(s, member, head->a);
	}
	if (rc == 0) {
		px_ahead_mark(s);
		return px_memory_request_reply(socket, head, 0, NULL, offset, got);
	}
	if (head->b == PX_EXTENT_LAST || (head->b == PX_EXTENT_FIRST && !help) || rc != PX_ENOMEM)
		px_log(&s->log, "%s: %s", what, px_last_error());
	if (help)
		ask_back(s, member);
	return px_memory_request_reply(socket, head, rc, px_last_error(), help, 0);
}

int px_memory_request_serve(struct px_supervisor *s, int socket, struct px_member_id member,
			    const char *what, const struct px_control *head)
{
	int rc;

	switch (head->type) {
	case PX_CONTROL_EXTENT_GET:
		return extent_get(s, socket, member, what, head);
	case PX_CONTROL_EXTENT_PUT:
		rc = px_extents_put(&s->extents, member.slot, head->a, head->b);
		if (rc == 0)
			return 0;
		px_log(&s->log, "%s: %s", what, px_last_error());
		return px_memory_request_reply(socket, head, rc, px_last_error(), 0, 0);
	default:
		px_sweep_mark(s);
		return 0;
	}
}
