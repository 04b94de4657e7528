/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doorbell.pml - shm/doorbell.c: two ringers and one sleeper at one bell.
 *
 * Each of them may be killed between any two steps. What must hold: the sleeper
 * never sleeps over news to the end of its nap, unless a ringer was killed between
 * publishing and ringing; then it finds them after that one nap. No process
 * waits for a dead one.
 *
 * A processor may look before its own store is seen by others, which is all that
 * the two fences are for. So each store that the argument rests on goes
 * through a buffer, which the process `stores` empties some time later.
 *
 * BROKEN 1 to 7 are ways to get it wrong, each of which must be found.
 */
#define RINGERS 2
#define NEWS 2 /* from each ringer */

/* --- what lies in shared memory */
byte news[RINGERS];
byte seq;
bit asleep;

/* --- stores on their way; 2: none */
bit news_pending[RINGERS];
byte asleep_pending = 2;

/* --- the kernel's queue of the futex */
bit queued;

/* --- what only the properties look at */
byte gone;             /* ringers that are done or dead */
bit killed;            /* a ringer died between publishing and ringing */
bit sleeper_gone;

#define MAY_DIE if :: true :: true -> goto dead fi
#define READY (news[0] != taken[0] || news[1] != taken[1])

active proctype stores()
{
end:
	do
	:: atomic { news_pending[0] -> news[0]++; news_pending[0] = 0 }
	:: atomic { news_pending[1] -> news[1]++; news_pending[1] = 0 }
	:: atomic { asleep_pending != 2 -> asleep = asleep_pending; asleep_pending = 2 }
	od
}

proctype ringer(byte i)
{
	byte sent;
	bit look;

	do
	:: sent == NEWS -> break
	:: sent < NEWS ->
#if BROKEN == 5
		look = asleep;
#endif
		atomic { !news_pending[i] -> news_pending[i] = 1 } /* publish */
		sent++;
		if
		:: true
		:: true -> killed = 1; goto dead
		fi;
#if BROKEN != 2
		!news_pending[i]; /* the fence */
#endif
#if BROKEN != 5
		look = asleep;
#endif
#if BROKEN != 7
		atomic {
			if
			:: look && asleep -> asleep = 0 /* taken: others need not wake it */
			:: else -> look = 0
			fi
		}
#endif
		if
		:: look ->
			look = 0;
			if
			:: true
			:: true -> killed = 1; goto dead
			fi;
#if BROKEN != 6
			seq++;
#endif
#if BROKEN == 7
			asleep = 0;
#endif
			if
			:: true
			:: true -> killed = 1; goto dead
			fi;
			queued = 0 /* wakes */
		:: else
		fi
	od;
dead:
	/* A store that was executed becomes visible at some time. */
	atomic { !news_pending[i] -> gone++ }
}

inline set_asleep(value)
{
	atomic { asleep_pending == 2 -> asleep_pending = value }
}

/* Reads what is there; no ringer's news are forgotten, as each has a ring of its own. */
inline look()
{
	if
	:: news[0] != taken[0] -> taken[0] = news[0]; found = 1
	:: else
	fi;
	if
	:: news[1] != taken[1] -> taken[1] = news[1]; found = 1
	:: else
	fi
}

active proctype sleeper()
{
	byte taken[RINGERS], ticket;
	bit found, napped;

	do
	:: true ->
		MAY_DIE;
#if BROKEN == 1
		look();
		ticket = seq;
		set_asleep(1);
		asleep_pending == 2;
#else
#if BROKEN != 4
		ticket = seq;
#endif
		set_asleep(1);
		MAY_DIE;
#if BROKEN != 3
		asleep_pending == 2; /* the fence */
#endif
		look();
#if BROKEN == 4
		ticket = seq;
#endif
#endif
		MAY_DIE;
		if
		:: found
		:: else ->
			atomic {
				if
				:: seq == ticket -> queued = 1
				:: else
				fi
			}
			if
			:: !queued
			:: timeout -> /* the nap is over, and no other process can do anything */
				assert(killed || !READY);
				queued = 0;
				napped = 1
			fi
		fi;
		ticket = 0;
		set_asleep(0);
		MAY_DIE;
		look();
		if
		:: napped ->
			/* One nap is the most that anything waits. */
			assert(!READY);
			if
			:: gone == RINGERS -> break
			:: else
			fi
		:: else
		fi;
		found = 0;
		napped = 0
	od;
dead:
	sleeper_gone = 1
}

init {
	atomic {
		run ringer(0);
		run ringer(1)
	}
}
