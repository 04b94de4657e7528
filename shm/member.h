/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * member.h - the table of who is on the segment.
 *
 * Who:     the supervisor writes (join, live, mark_dead, sweep); every member reads.
 * Where:   the table in the head of the segment, which the supervisor maps writable; each member's
 *          links in its own block.
 * Blocks:  never.
 * Death:   of a member: one word, dead_epoch, says so; the sweep that frees what it left is
 *          idempotent.
 */
#ifndef PX_MEMBER_H
#define PX_MEMBER_H

#include "shm/segment.h"

/* A name without reuse for a member. */
struct px_member_id {
	uint32_t slot, epoch;
};

/*
 * The process whose end took others along: the engines of an MPI world end together. engine is its id,
 * -1: it is that which has started them. pid 0: there is none.
 */
struct px_cause {
	int32_t engine, pid, exit_signal, exit_code;
};
/* An exit_code that nobody has told us: another process has started it. */
#define PX_EXIT_UNKNOWN (-1)

/* A consistent copy of a slot. */
struct px_member {
	struct px_member_id id;
	enum px_member_state state;
	enum px_member_kind kind;
	int32_t pid, engine_id;
	uint64_t start_time;
	int32_t exit_signal, exit_code;
	bool oom_killed, expected;
	struct px_cause cause;
	uint64_t joined_ns, died_ns;
};

/* Copies a slot; PX_EINVAL if slot is out of range. Retries while the supervisor changes it. */
int px_member_read(const struct px_segment *segment, uint32_t slot, struct px_member *out);
/* Whether that occupant is (as far as the supervisor has seen) alive. One acquire load each. */
bool px_member_alive(const struct px_segment *segment, struct px_member_id id);
/* Field 22 of /proc/PID/stat, 0 if there is no such process. */
uint64_t px_member_start_time(int32_t pid);

/*
 * Opens our link to a peer: wipes what was said to an earlier occupant of the peer's
 * slot, but for the ring, which the caller has made. False, and closed again, if the
 * peer is dead; the sweep never frees a slot to which a link was opened with true.
 */
bool px_member_link_open(struct px_segment *segment, struct px_link_shm *own,
			 struct px_member_id peer);
/* After the last use of anything of the peer's. */
void px_member_link_close(struct px_link_shm *own);

/* --- the supervisor's side; segment->rw must be set --- */

/*
 * Takes a free slot for a process: reserves its state page and, for each live or
 * joining member of the other kind, the links of both. state JOINING.
 * PX_ENOMEM (slots or memory; nothing is left reserved).
 */
int px_member_join(struct px_segment *segment, enum px_member_kind kind, int32_t engine_id,
		   struct px_member_id *out);
/* The process runs: pid, start time; state LIVE. */
void px_member_live(struct px_segment *segment, struct px_member_id id, int32_t pid);
/* Why it died, then dead_epoch, then state DEAD. Idempotent. */
struct px_death {
	int32_t exit_signal, exit_code;
	bool oom_killed, expected;
	struct px_cause cause;
};
void px_member_mark_dead(struct px_segment *segment, struct px_member_id id,
			 const struct px_death *death);
/*
 * Frees every DEAD slot that no live or joining member has a link open to: its units are unowned
 * and punched, its block is punched, state FREE. Returns the number of slots that stay DEAD.
 * freed(ctx, slot, units) is called for each slot that was freed.
 */
int px_member_sweep(struct px_segment *segment,
		    void (*freed)(void *ctx, uint32_t slot, uint64_t units), void *ctx);
/* Wakes all that sleep. */
void px_member_wake_all(struct px_segment *segment);
/* Bumps members_seq and wakes all. After each change. */
void px_member_announce(struct px_segment *segment);

#endif
