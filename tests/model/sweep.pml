/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweep.pml - shm/member.c: members open links to a peer that may die, the supervisor sweeps.
 *
 * A member stores the peer's epoch in its link, and looks whether the peer is
 * alive. The supervisor stores the death, and looks at the links. What must hold: the memory of
 * a dead peer is not freed as long as a living member goes on with a link to it; it is
 * freed in the end, also if members were killed with their links open; and a sweep that
 * is interrupted anywhere, and started over, does no harm. Members may be killed
 * between any two steps, and what they know of the slot may be old: it may have had
 * another occupant since.
 *
 * A processor may look before its own store is seen by others, which is all that
 * the two fences are for. So the stores that the argument rests on go through
 * buffers, which the process `stores` empties some time later.
 *
 * BROKEN 1 to 8 are ways to get it wrong, each of which must be found.
 */
#define MEMBERS 2
#define LINKS 2  /* that each of them opens, one after the other */
#define EPOCHS 2 /* occupants of the peer's slot */
#define NONE 255

#define FREE 0
#define JOINING 1
#define LIVE 2
#define DEAD 3

/* --- what lies in shared memory */
byte epoch = 1, dead_epoch, state = LIVE; /* the peer's slot */
byte link[MEMBERS];
byte member_state[MEMBERS] = JOINING;

/* --- stores on their way */
byte link_pending[MEMBERS] = NONE, dead_pending = NONE;

/* --- what only the supervisor and the properties look at */
bit gone[MEMBERS];       /* the process has ended */
byte relies_on[MEMBERS]; /* epoch of the peer whose memory the member may look at */
bit freed[EPOCHS + 1];   /* the memory of that occupant */

#define MAY_DIE if :: true :: true -> goto dead fi

active proctype stores()
{
end:
	do
	:: atomic { link_pending[0] != NONE -> link[0] = link_pending[0]; link_pending[0] = NONE }
	:: atomic { link_pending[1] != NONE -> link[1] = link_pending[1]; link_pending[1] = NONE }
	:: atomic { dead_pending != NONE -> dead_epoch = dead_pending; dead_pending = NONE }
	od
}

inline store_link(value)
{
	atomic { link_pending[me] == NONE -> link_pending[me] = value }
}

inline look()
{
	is_alive = dead_epoch != peer;
#if BROKEN != 8
	if
	:: is_alive -> is_alive = epoch == peer
	:: else
	fi
#endif
}

proctype member(byte me)
{
	byte peer, links;
	bit is_alive;

	do
	:: links == LINKS -> break
	:: links < LINKS ->
		peer = epoch;
		MAY_DIE;
#if BROKEN == 3
		look();
#endif
		store_link(peer);
		MAY_DIE;
#if BROKEN != 1
		link_pending[me] == NONE; /* the fence */
#endif
#if BROKEN != 3
		look();
#endif
		if
		:: is_alive ->
			atomic { relies_on[me] = peer; assert(!freed[peer]) }
			MAY_DIE;
			relies_on[me] = 0
		:: else
		fi;
		store_link(0);
		MAY_DIE;
		atomic { links++; peer = 0; is_alive = 0 }
	od;
dead:
	/* A store that was executed becomes visible at some time. */
	atomic {
		link_pending[me] == NONE ->
		relies_on[me] = 0;
		peer = 0;
		links = 0;
		is_alive = 0;
		gone[me] = 1
	}
}

/* --- supervisor */

#if BROKEN == 5
#define COUNTS(i) true
#elif BROKEN == 4
#define COUNTS(i) (member_state[i] == LIVE)
#else
#define COUNTS(i) (member_state[i] == LIVE || member_state[i] == JOINING)
#endif

inline mark_dead()
{
	atomic { dead_pending == NONE -> dead_pending = epoch }
}

inline punch()
{
	atomic {
		assert(relies_on[0] != epoch && relies_on[1] != epoch);
		freed[epoch] = 1
	}
}

#define MAY_BREAK_OFF if :: true :: true -> goto again fi

active proctype supervisor()
{
	byte i;
	bit found;

	atomic {
		run member(0);
		run member(1)
	}
again:
	atomic { i = 0; found = 0 }
	do
	:: member_state[0] == JOINING -> member_state[0] = LIVE
	:: member_state[1] == JOINING -> member_state[1] = LIVE
	:: gone[0] && member_state[0] != DEAD -> member_state[0] = DEAD
	:: gone[1] && member_state[1] != DEAD -> member_state[1] = DEAD
	:: state == LIVE ->
		/* It was killed, at whatever time. */
#if BROKEN != 6
		mark_dead();
#endif
		state = DEAD
	:: state == DEAD -> break
	:: state == FREE && epoch < EPOCHS ->
		epoch++;
		state = LIVE
	:: state == FREE && epoch == EPOCHS -> goto all_freed
	od;

	/* Sweep. */
#if BROKEN != 2
	dead_pending == NONE; /* the fence */
#endif
	do
	:: i == MEMBERS -> break
	:: i < MEMBERS ->
		found = found || (COUNTS(i) && link[i] == epoch);
		i++;
		MAY_BREAK_OFF
	od;
	if
	:: found ->
		assert(member_state[0] != DEAD || member_state[1] != DEAD);
		goto again
	:: else
	fi;
#if BROKEN == 6
	mark_dead();
	dead_pending == NONE;
#endif
#if BROKEN == 7
	state = FREE;
	MAY_BREAK_OFF;
	punch();
#else
	punch();
	MAY_BREAK_OFF;
	state = FREE;
#endif
	MAY_BREAK_OFF;
	goto again;
all_freed:
	assert(freed[1] && freed[2])
}
