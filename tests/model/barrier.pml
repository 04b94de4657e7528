/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * barrier.pml - shm/barrier.c: two members, who meet twice; or the second one leaves after once.
 *
 * What must hold: nobody sleeps on when all have arrived or somebody is missing for good, though no nap ends by
 * itself here; who has arrived and left breaks nothing; and a meeting that somebody misses is broken.
 *
 * A processor may look before its own store is seen by others, so each store that the argument rests on
 * goes through a buffer, which the process `stores` empties some time later, in its order.
 *
 * BROKEN 1 to 5 are ways to get it wrong, each of which must be found.
 */
#define MEETINGS 2

/* --- what lies in shared memory */
byte arrived[2];
bit left[2];
byte seq, asleep;

/* --- stores on their way */
byte arrived_pending[2];
bit left_pending[2], asleep_pending[2];

/* --- the kernel's queue of the futex */
bit queued[2];

/* --- what only the properties look at */
bit misses; /* the second one goes after one meeting */

active proctype stores()
{
end:
	do
	:: atomic { arrived_pending[0] -> arrived[0] = arrived_pending[0]; arrived_pending[0] = 0 }
	:: atomic { arrived_pending[1] -> arrived[1] = arrived_pending[1]; arrived_pending[1] = 0 }
	:: atomic { left_pending[0] && !arrived_pending[0] -> left[0] = 1; left_pending[0] = 0 }
	:: atomic { left_pending[1] && !arrived_pending[1] -> left[1] = 1; left_pending[1] = 0 }
	:: atomic { asleep_pending[0] -> asleep++; asleep_pending[0] = 0 }
	:: atomic { asleep_pending[1] -> asleep++; asleep_pending[1] = 0 }
	od
}

#define FENCE(i) (!arrived_pending[i] && !left_pending[i] && !asleep_pending[i])

inline wake()
{
	if
	:: asleep ->
		atomic { seq++; queued[0] = 0; queued[1] = 0 }
	:: else
	fi
}

/* found: 1 all are there, 2 the other one is missing for good, 0 not yet */
inline look(i)
{
	found = 0;
	if
	:: arrived[1 - i] >= goal -> found = 1
	:: else ->
#if BROKEN == 3
		if
		:: left[1 - i] -> found = 2
		:: else
		fi
#else
		if
		:: left[1 - i] ->
			if /* what it did before it left is seen now */
			:: arrived[1 - i] >= goal -> found = 1
			:: else -> found = 2
			fi
		:: else
		fi
#endif
	fi
}

proctype member(byte i)
{
	byte goal, ticket, found;

	do
	:: goal == MEETINGS -> break
	:: i == 1 && misses && goal == 1 -> break
	:: else ->
		goal++;
		arrived_pending[i] = goal;
#if BROKEN != 1
		FENCE(i);
#endif
		look(i);
		if
		:: found == 1 -> wake()
		:: else
		fi;
		do
		:: found -> break
		:: else ->
			asleep_pending[i] = 1;
			ticket = seq;
#if BROKEN != 2
			FENCE(i);
#endif
			look(i);
			if
			:: !found ->
				atomic {
					if
					:: seq == ticket -> queued[i] = 1
					:: else
					fi
				}
				!queued[i];
			:: else
			fi;
			!asleep_pending[i];
			asleep--;
			if
			:: !found -> look(i)
			:: else
			fi
		od;
		if
		:: found == 2 ->
			/* Only of who misses the second one. */
			assert(misses && i == 0 && goal == 2);
			break
		:: else ->
			assert(!(misses && i == 0 && goal == 2))
		fi
	od;
#if BROKEN != 5
	left_pending[i] = 1;
#endif
#if BROKEN != 4
	FENCE(i);
	wake()
#endif
}

init
{
	if
	:: misses = 1
	:: skip
	fi;
	atomic { run member(0); run member(1) }
}
