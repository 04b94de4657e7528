/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory_requests.c - grants extents, takes them back, marks sweeps.
 */
#include "supervisor/memory_requests.h"

#include "shm/doorbell.h"
#include "shm/error.h"
#include "supervisor/engine.h"
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

/* What engines keep warm is given back: whoever was refused asks again. */
static void ask_back(struct px_supervisor *s)
{
	/* SYNC memory.wanted: release; partner: look_at_wishes(). */
	atomic_fetch_add_explicit(&s->segment->rw.header->wanted_seq, 1, memory_order_release);
	for (uint32_t i = 0; i < s->engines_count; i++)
		if (s->engines[i]->member.epoch)
			px_doorbell_wake(&s->segment->bells[s->engines[i]->member.slot]);
}

static int refuse(struct px_supervisor *s, int socket, const char *what,
		  const struct px_control *head, int code)
{
	if (code == PX_ENOMEM && !head->b)
		ask_back(s);
	/* Once is enough, of one that is tried several times. */
	if (head->type != PX_CONTROL_EXTENT_GET || !head->b)
		px_log(&s->log, "%s: %s", what, px_last_error());
	return px_memory_request_reply(socket, head, code, px_last_error(), 0, 0);
}

int px_memory_request_serve(struct px_supervisor *s, int socket, struct px_member_id member,
			    const char *what, const struct px_control *head)
{
	uint64_t offset = 0, got = 0;
	int rc = 0;

	switch (head->type) {
	case PX_CONTROL_EXTENT_GET:
		if (s->segment->members[member.slot].kind == PX_MEMBER_CLIENT)
			rc = px_extents_quota(&s->extents, member.slot, head->a,
					      px_settings_number(s->options->settings,
								 PX_SETTING_QUOTA));
		if (rc == 0)
			rc = px_extents_get(&s->extents, member.slot, head->a, &offset, &got);
		if (rc < 0)
			return refuse(s, socket, what, head, rc);
		return px_memory_request_reply(socket, head, 0, NULL, offset, got);
	case PX_CONTROL_EXTENT_PUT:
		rc = px_extents_put(&s->extents, member.slot, head->a, head->b);
		return rc < 0 ? refuse(s, socket, what, head, rc) : 0;
	default:
		px_sweep_mark(s);
		return 0;
	}
}
