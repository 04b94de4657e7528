/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lease.pml - shm/lease.c: an owner that lends regions to one holder.
 *
 * Each of the two may be killed between any two steps that the other can see. Then the
 * supervisor marks it dead, frees its slot once the other has closed its link, and
 * another process takes the slot with the next epoch. What must hold: what a
 * living holder was lent does not change while it is lent, whether the owner is alive or dead; every
 * lease ends, and the owner, which sleeps on its bell until it has, is woken.
 *
 * With BRIEF rows for brief leases, a holder may also keep what it has a lasting lease on until the
 * owner has sent all that it wanted to send: the owner must come to that end all the same.
 *
 * spin: -DBRIEF=1
 * spin: -DBRIEF=0
 *
 * Generations are 1 and 2 only: two grants of a lease that follow each other must
 * differ, nothing more is asked of them. How bell and ring work is looked at in
 * doorbell.pml and ring.pml, how a link is opened to one who dies in sweep.pml. Spin's
 * memory is sequentially consistent: that the orders in the C code suffice for
 * what is looked at here is left to ThreadSanitizer.
 *
 * BROKEN 1 to 13 are ways to get it wrong, each of which must be found.
 */
#define LEASES 2
#if BROKEN == 11
#define LASTING LEASES
#else
#define LASTING (LEASES - BRIEF)
#endif
#define REGIONS 2 /* for two leases: each its own, or both the same one */
#define GENERATIONS 2
#define GRANTS 3 /* by each owner */
#define REVOKES 1
#define EPOCHS 2 /* owners and holders, one after another */
#define DEATHS 2 /* in all: one of each, or both of a kind */

/* --- what lies in shared memory */
byte owner_epoch = 1, owner_dead, holder_epoch = 1, holder_dead; /* member table */
byte link_epoch, released[LEASES], seq;                          /* the holder's block */
byte open_epoch;                                                 /* the owner's block … */
/* … lease, generation, region, content, whether it is brief */
chan ring = [LEASES] of { byte, byte, byte, bit, bit };
bit content[REGIONS];                                            /* the owner's extents */
bit rung;                                                        /* the owner's bell */

/* --- what only the supervisor and the properties look at */
bit owner_gone, holder_gone; /* killed */
byte deaths;
bit owner_freed;             /* the last owner's slot and extents */
bit owner_done;              /* an owner has ended its work normally */
bit out[LEASES];             /* lent, and not yet released by the holder */
bit all_sent;                /* the owner has nothing more to send to its holder */
bit keeps;                   /* the holder releases nothing before that */

#define OWNER_ALIVE(e) (owner_epoch == e && owner_dead != e)
#define HOLDER_ALIVE(e) (holder_epoch == e && holder_dead != e)
#define MAY_DIE if :: true :: DIE fi
#define DIE atomic { deaths < DEATHS -> deaths++; goto dead }

/* --- owner */

inline end_lease()
{
	early = early || (out[i] && HOLDER_ALIVE(peer));
	count--;
	lasting = lasting - !brief_of[i];
	region_of[i] = 0
}

inline collect()
{
	is_dead = !HOLDER_ALIVE(peer);
	is_known = link_epoch == me;
#if BROKEN == 1
	is_known = true;
#endif
#if BROKEN == 9
	is_dead = false;
#endif
	now = seq;
	if
	:: !is_dead && (!is_known || now == seen)
	:: else ->
#if BROKEN != 4
		seen = now;
#endif
		i = 0;
		do
		:: i == LEASES -> break
		:: i < LEASES ->
			if
			:: !region_of[i]
			:: region_of[i] && is_dead -> end_lease()
#if BROKEN == 2
			:: region_of[i] && !is_dead && released[i] -> end_lease()
			:: region_of[i] && !is_dead && !released[i]
#else
			:: region_of[i] && !is_dead && released[i] == generation[i] -> end_lease()
			:: region_of[i] && !is_dead && released[i] != generation[i]
#endif
			fi;
			i++
		od;
#if BROKEN == 4
		seen = seq;
#endif
	fi;
	assert(!early);
	atomic { i = 0; now = 0; is_dead = 0; is_known = 0 }
}

/* A free lease for a region. One that is lent to nobody gets another content. */
inline grant()
{
	atomic {
		i = (region_of[0] -> 1 : 0);
		region = (region_of[1 - i] == 1 -> 1 : 0);
		if
		:: region_of[1 - i] -> region = region_of[1 - i] - 1
		:: content[region] = !content[region]
		fi;
		generation[i] = generation[i] % GENERATIONS + 1;
		region_of[i] = region + 1;
		brief_of[i] = lasting == LASTING;
		lasting = lasting + !brief_of[i];
		count++;
		grants++
	}
}

proctype owner(byte me)
{
	byte peer, region_of[LEASES], generation[LEASES];
	byte count, lasting, seen, grants, revokes, region, i, now;
	bit brief_of[LEASES];
	bit is_dead, is_known, early;

connect:
	/* Another holder than the last one, or none will come. */
	if
	:: atomic {
		holder_epoch != peer && holder_dead != holder_epoch ->
		peer = holder_epoch;
		do
		:: ring?_, _, _, _, _
		:: empty(ring) -> break
		od;
		open_epoch = peer;
		seen = 0;
		all_sent = 0;
		generation[0] = 0;
		generation[1] = 0
	}
	:: holder_dead == EPOCHS -> goto done
	:: DIE
	fi;
	do
	:: grants < GRANTS && count < LEASES ->
		grant();
		if
		:: atomic {
			nfull(ring) ->
			ring!i, generation[i], region, content[region], brief_of[i];
			out[i] = 1;
			all_sent = grants == GRANTS
		}
		:: full(ring) -> assert(!HOLDER_ALIVE(peer)) /* no holder will read it */
		:: revokes < REVOKES ->
			atomic {
				revokes++;
				grants--;
				count--;
#if BROKEN != 7
				generation[i]--;
#endif
				lasting = lasting - !brief_of[i];
				region_of[i] = 0
			}
		fi;
		atomic { i = 0; region = 0 }
	:: count > 0 && (seq != seen || !HOLDER_ALIVE(peer)) -> collect()
	:: count == LEASES || (grants == GRANTS && count > 0) ->
		/* Track: look again once the bell is armed, then sleep. */
		rung = 0;
		collect();
		if
		:: count < LEASES && grants < GRANTS
		:: count == 0
		:: else -> rung
		fi
	:: !HOLDER_ALIVE(peer) ->
		collect();
		assert(count == 0);
		open_epoch = 0;
		goto connect
	:: grants == GRANTS && count == 0 -> break
	:: DIE
	od;
done:
	assert(!region_of[0] && !region_of[1]);
	open_epoch = 0;
	owner_done = 1;
	goto finished;
dead:
	owner_gone = 1;
finished:
	atomic {
		peer = 0;
		region_of[0] = 0;
		region_of[1] = 0;
		generation[0] = 0;
		generation[1] = 0;
		brief_of[0] = 0;
		brief_of[1] = 0;
		count = 0;
		lasting = 0;
		seen = 0;
		grants = 0;
		revokes = 0
	}
}

/* --- holder */

inline check(n)
{
	assert(content[lent[n].region] == lent[n].content)
}

inline release(n)
{
#if BROKEN != 13
	check(n);
#endif
#if BROKEN == 3
	seq++;
	MAY_DIE;
	atomic { released[lent[n].lease] = lent[n].generation; out[lent[n].lease] = 0 }
#else
	atomic { released[lent[n].lease] = lent[n].generation; out[lent[n].lease] = 0 }
	MAY_DIE;
	seq++;
#endif
	MAY_DIE;
#if BROKEN != 10
	rung = 1;
#endif
#if BROKEN == 13
	check(n);
#endif
	d_step {
		lent[n].generation = 0;
		lent[n].lease = 0;
		lent[n].region = 0;
		lent[n].content = 0;
		lent[n].brief = 0
	}
}

/* A brief lease: copied and released before anything else is read. */
inline read_on(n)
{
#if BRIEF && BROKEN != 12
	if
	:: lent[n].brief -> release(n)
	:: else
	fi
#else
	skip
#endif
}

typedef loan {
	byte lease, generation, region;
	bit content, brief
}

#define MAY_LET_GO (!keeps || all_sent || !OWNER_ALIVE(peer))

proctype holder(byte me)
{
	loan lent[2];
	byte peer;

connect:
	if
	:: owner_epoch != peer && owner_dead != owner_epoch -> peer = owner_epoch
	:: owner_done -> goto finished
	:: owner_dead == EPOCHS -> goto finished
	:: DIE
	fi;
#if BROKEN == 8
	link_epoch = peer;
	MAY_DIE;
#endif
	released[0] = 0;
	released[1] = 0;
	seq = 0;
	link_epoch = peer;
#if BRIEF
	if
	:: keeps = 0
	:: keeps = 1
	fi;
#endif
	if
	:: OWNER_ALIVE(peer)
	:: else -> link_epoch = 0; goto connect
	fi;
	do
	:: atomic {
		open_epoch == me && nempty(ring) && !lent[0].generation ->
		ring?lent[0].lease, lent[0].generation, lent[0].region, lent[0].content, lent[0].brief;
		check(0)
	};
		read_on(0)
	:: atomic {
		open_epoch == me && nempty(ring) && lent[0].generation &&
		!lent[1].generation ->
		ring?lent[1].lease, lent[1].generation, lent[1].region, lent[1].content, lent[1].brief;
		check(1)
	};
		read_on(1)
	:: lent[0].generation && MAY_LET_GO -> release(0)
#if LASTING > 1 || BROKEN == 12
	:: lent[1].generation && MAY_LET_GO -> release(1)
#endif
#if BROKEN == 6
	:: !OWNER_ALIVE(peer) ->
#else
	:: !OWNER_ALIVE(peer) && !lent[0].generation && !lent[1].generation ->
#endif
		link_epoch = 0;
#if BROKEN == 6
		if
		:: lent[0].generation -> release(0)
		:: else
		fi;
		if
		:: lent[1].generation -> release(1)
		:: else
		fi;
#endif
		goto connect
	:: owner_done && !lent[0].generation && !lent[1].generation -> goto finished
	:: DIE
	od;
dead:
	atomic {
		holder_gone = 1;
		lent[0].lease = 0;
		lent[0].generation = 0;
		lent[0].region = 0;
		lent[0].content = 0;
		lent[0].brief = 0;
		lent[1].lease = 0;
		lent[1].generation = 0;
		lent[1].region = 0;
		lent[1].content = 0;
		lent[1].brief = 0
	}
finished:
	peer = 0
}

/* --- supervisor */

active proctype supervisor()
{
	atomic {
		run owner(1);
		run holder(1)
	}
end:
	do
	:: owner_gone && owner_dead != owner_epoch -> owner_dead = owner_epoch
	:: holder_gone && holder_dead != holder_epoch ->
		holder_dead = holder_epoch;
		out[0] = 0;
		out[1] = 0;
		rung = 1
	:: atomic {
		owner_dead == owner_epoch && !owner_freed &&
		(link_epoch != owner_epoch || holder_dead == holder_epoch) ->
		/* The pages are punched. */
		open_epoch = 0;
		content[0] = !content[0];
		content[1] = !content[1];
		owner_freed = 1
	}
	:: atomic {
		owner_freed && owner_epoch < EPOCHS ->
		owner_freed = 0;
		owner_gone = 0;
		out[0] = 0;
		out[1] = 0;
		rung = 0;
		owner_epoch++;
		run owner(owner_epoch)
	}
	:: atomic {
		holder_dead == holder_epoch && holder_epoch < EPOCHS &&
		(open_epoch != holder_epoch || owner_dead == owner_epoch) ->
#if BROKEN != 5
		link_epoch = 0;
		released[0] = 0;
		released[1] = 0;
		seq = 0;
#endif
		holder_gone = 0;
		holder_epoch++;
		run holder(holder_epoch)
	}
	od
}
