/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * board.pml - shm/board.c: a client posts tasks, which the next idle engine takes.
 *
 * Few entries are used again and again, under new generations. A lane is the order in which tasks
 * were posted that the same engines may take: lane 0 is anybody's, lane 1 is for engine 1. Engines
 * may be killed between any two steps that others can see; the supervisor says so, and starts
 * another process in their place, or none. With ELSE an engine may be asked for something else,
 * which goes before tasks; with RAISES a task may fail, with CANCELS the client may take some back,
 * and with STOPS it may be stopped after it has posted one.
 *
 * What must hold: in the end each task is answered, failed or taken back. A generation is claimed
 * once. A task is run to its end once more than it failed or killed its engine, at most, and not
 * once its user was told that it failed or is taken back. A reply is about the present use of its
 * entry. And no wake-up is lost: tasks may take so long that everything else comes to rest, and then
 * no engine sleeps that may take what is ready. For in truth a nap ends, but here it does not.
 * Nothing goes round in circles, says pan -l if made with -DNP: so all ends where nothing is stuck.
 *
 * spin: -DDEATHS=1
 * spin: -DDEATHS=2 -DRESTARTS=0
 * spin: -DTASKS=3 -DCANCELS=1 -DRESTARTS=0
 * spin: -DLANES=2 -DELSE=1 -DRESTARTS=0
 * spin: -DRAISES=1 -DSTOPS=1 -DRESTARTS=0
 * cc: -DCOLLAPSE
 *
 * How bells and rings work is looked at in doorbell.pml and ring.pml. Spin's memory is sequentially
 * consistent: that the fences suffice for what is looked at here is left to doorbell.pml and
 * ThreadSanitizer. No engine writes what it should not.
 *
 * BROKEN 1 to 15 are ways to get it wrong, each of which must be found.
 */
/* The broken variants have just what is needed to find them. */
#if BROKEN == 10 || BROKEN == 14
#define RESTARTS 1
#elif BROKEN
#define RESTARTS 0
#endif
#if BROKEN == 1 || BROKEN == 3 || BROKEN == 9 || BROKEN == 13 || BROKEN == 15
#undef DEATHS
#endif
#if BROKEN == 1 || BROKEN == 9
#define LANES 2
#endif
#if BROKEN == 1 || BROKEN == 13
#define TASKS 3
#endif
#if BROKEN == 3 || BROKEN == 13
#define CANCELS 1
#endif
#if BROKEN == 9 || BROKEN == 15
#define ELSE 1
#endif

#ifndef TASKS
#define TASKS 2
#endif
#ifndef LANES
#define LANES 1
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif
#ifndef ELSE
#define ELSE 0 /* requests to engines that are no tasks */
#endif
#ifndef RAISES
#define RAISES 0
#endif

#define ENTRIES 2
#define ORDER ENTRIES /* of a lane */
#define ENGINES 2
#define PROCESSES (ENGINES + RESTARTS)
#define RETRIES 1
#define NONE 255

#define READY 0 /* or the number of a process, from 1 */
#define WITHDRAWN 255

#define MAY(engine, lane) ((lane) == 0 || (engine) == 1)

typedef lane_shm {
	byte posted, next;
	byte entry[ORDER], generation[ORDER]
}
typedef word_shm {
	byte generation, holder
}

/* --- what lies in shared memory */
lane_shm lanes[LANES];
word_shm words[ENTRIES];
byte content[ENTRIES];        /* the task */
byte process[ENGINES] = NONE; /* the engine table: NONE while it is not up */
bit orphaned[ENGINES];        /* there: no process follows */
bit dead[PROCESSES];          /* the member table */
bit asleep[PROCESSES], rung[PROCESSES], busy[PROCESSES];
bit sleeping[PROCESSES];      /* announced, whoever may have taken the announcement since */
/* … entry, generation, task, whether it failed */
chan ring[PROCESSES] = [ENTRIES] of { byte, byte, byte, bit };

/* --- what only the client, the supervisor and the properties look at */
byte task_of[ENTRIES];      /* 0: none */
byte lane_of[TASKS + 1];
byte engine_of[PROCESSES];
byte started;               /* processes so far */
bit killed[PROCESSES];
byte deaths, cancels, others, raises; /* that are still to come */
bit taken[ENTRIES];         /* the entry's present generation was claimed */
byte runs[TASKS + 1];       /* to the end, without failing */
bit closed[TASKS + 1];      /* its user was told that it is answered, failed or taken back */
bit finished;

#define SLEEPS(engine) \
	(process[engine] != NONE && !killed[process[engine]] && sleeping[process[engine]] && \
	 !rung[process[engine]])
/* It is ready, and somebody sleeps who may take it. */
#define LEFT(n) \
	(task_of[n] && words[n].holder == READY && \
	 (SLEEPS(1) || (lane_of[task_of[n]] == 0 && SLEEPS(0))))

#define DIE atomic { deaths > 0 -> deaths--; goto killed_here }
#define AT_REST atomic { timeout -> assert(!LEFT(0) && !LEFT(1)) }

/* --- both */

inline find_sleeper(n)
{
	atomic {
		if
		:: sleeper == NONE && process[n] != NONE && asleep[process[n]] ->
			sleeper = process[n]
		:: else
		fi
	}
}

/* One that is awake and has nothing to do: then nobody has to be woken. */
inline find_idle(n)
{
	if
	:: atomic {
		sleeper < PROCESSES && process[n] != NONE && !asleep[process[n]] ->
		other = process[n]
	};
		if
		:: atomic { !busy[other] -> other = 0; sleeper = NONE }
		:: atomic { busy[other] -> other = 0 }
		fi
	:: else
	fi
}

/* Takes the announcement, if it still stands. */
inline take()
{
	if
	:: sleeper < PROCESSES && asleep[sleeper] -> asleep[sleeper] = 0
	:: else -> sleeper = NONE
	fi
}

/* … and rings. The bell of a dead process wakes nobody. */
inline ring_bell()
{
	if
	:: sleeper < PROCESSES -> rung[sleeper] = !killed[sleeper]
	:: else
	fi;
	sleeper = 0
}

/* --- engine */

/* `posted` is then whether anything may be ready there, and `next` the place. */
inline look(l)
{
	if
	:: posted = lanes[l].posted
	:: DIE
	fi;
	atomic { next = lanes[l].next; posted = next < posted; next = (posted -> next : 0) }
}

/* … there in what is to be taken. */
inline look_for_task()
{
#if BROKEN == 15
	knows[lane] = lanes[lane].posted > 0;
#endif
	look(lane)
}

/* Wakes one that sleeps and may take from the lane, if the other engine is not idle. */
inline pass_on_lane(l)
{
	look(l);
#if BROKEN == 15
	posted = posted && knows[l];
#endif
	if
	:: atomic { posted && MAY(1 - id, l) -> next = 0; sleeper = NONE };
		find_sleeper(1 - id);
		find_idle(1 - id);
		atomic { take() };
		if
		:: atomic { ring_bell() }
		:: DIE
		fi
	:: atomic { else -> next = 0 }
	fi
}

/* Whoever begins something while tasks are ready has another one woken, for each lane. */
inline pass_on()
{
#if BROKEN == 7
	skip
#else
#if LANES > 1
	pass_on_lane(1);
#endif
#if BROKEN == 9
	if
	:: !posted -> pass_on_lane(0)
	:: else
	fi;
#else
	pass_on_lane(0);
#endif
	posted = 0
#endif
}

inline begin()
{
#if BROKEN == 8
	pass_on();
#endif
	if
	:: busy[me] = 1
	:: DIE
	fi;
#if BROKEN != 8
	pass_on()
#endif
}

inline be_idle()
{
	if
	:: busy[me] = 0
	:: DIE
	fi
}

inline move_on()
{
	if
	:: atomic {
		if
		:: lanes[lane].next == next -> lanes[lane].next++
		:: else
		fi;
		next = 0
	}
	:: DIE
	fi
}

inline claim()
{
#if BROKEN == 1
	claimed = words[entry].holder == READY;
	generation = words[entry].generation;
#else
	claimed = words[entry].holder == READY && words[entry].generation == generation;
#endif
	if
	:: claimed ->
		words[entry].holder = me + 1;
		assert(!taken[entry]);
		taken[entry] = 1
	:: else -> entry = 0; generation = 0
	fi
}

/* Claims the first that is ready, of the first lane that has any. */
inline take_task()
{
	do
	:: atomic { lane == LANES || !MAY(id, lane) -> lane = 0; break }
	:: else ->
		look_for_task();
		if
		:: atomic { !posted -> lane++ }
		:: atomic {
			posted ->
			posted = 0;
			entry = lanes[lane].entry[next % ORDER];
			generation = lanes[lane].generation[next % ORDER]
		};
#if BROKEN == 2
			move_on();
			if
			:: atomic { claim() }
			:: DIE
			fi;
#else
			atomic { claim() }
			move_on();
#endif
			if
			:: atomic { claimed -> lane = 0; break }
			:: !claimed
			fi
		fi
	od
}

/* What the task has come to; ran to its end and unpublished is as good as not run. */
inline reply()
{
	task = content[entry];
	assert(MAY(id, lane_of[task]));
	assert(!closed[task]);
	if
	:: runs[task]++
#if RAISES
	:: raises > 0 -> raises--; is_failed = 1
#endif
	fi;
	assert(runs[task] <= 1);
	ring[me]!entry, generation, task, is_failed;
	claimed = 0;
	entry = 0;
	generation = 0;
	task = 0;
	is_failed = 0
}

proctype engine(byte me; bit id)
{
	byte lane, next, posted, entry, generation, task, other, sleeper;
	bit claimed, is_failed;
#if BROKEN == 15
	bit knows[LANES]; /* a lane that was posted to when it last looked for tasks */
#endif

	do
#if ELSE
	:: atomic { others > 0 -> others-- };
		begin();
		if
		:: AT_REST
		:: DIE
		fi;
		be_idle()
#endif
	:: true ->
		take_task();
		if
		:: claimed ->
			begin();
			if
			:: atomic { reply() }
			:: true -> /* takes long */
				if
				:: AT_REST
				:: DIE
				fi;
				atomic { reply() }
			:: DIE
			fi;
			be_idle()
		:: else ->
			/* Announces that it is about to sleep, and looks again. */
			rung[me] = 0;
			atomic { asleep[me] = 1; sleeping[me] = 1 };
#if BROKEN != 6
			do
			:: atomic { lane == LANES || !MAY(id, lane) -> lane = 0; break }
			:: else ->
				look_for_task();
				if
				:: atomic { posted -> lane = 0; break }
				:: atomic { !posted -> lane++ }
				fi
			od;
#endif
			if
			:: posted
			:: !posted && rung[me]
			:: finished -> goto gone
			:: DIE
			fi;
			if
			:: atomic { asleep[me] = 0; sleeping[me] = 0; posted = 0; next = 0 }
			:: DIE
			fi
		fi
	od;
killed_here:
	atomic { killed[me] = 1; rung[me] = 0 }
gone:
	atomic {
		lane = 0;
		next = 0;
		posted = 0;
		entry = 0;
		generation = 0;
		task = 0;
		other = 0;
		sleeper = 0;
		claimed = 0;
		is_failed = 0
	}
}

/* --- client */

/* From here on nobody asks who had claimed the entry, nor how often its task was tried. */
inline close(n)
{
	closed[task_of[n]] = 1;
	retries[task_of[n]] = 0;
	runs[task_of[n]] = 0;
	set_free(n)
}

inline set_free(n)
{
	task_of[n] = 0;
	content[n] = 0;
	words[n].holder = WITHDRAWN;
	stuck = 0
}

/* Posted once more, if retries are left. */
inline again(n)
{
	if
	:: retries[task_of[n]] < RETRIES ->
		retries[task_of[n]]++;
		todo[task_of[n]] = 1;
#if BROKEN == 4
		same[n] = 1;
#endif
		set_free(n)
	:: else -> close(n)
	fi
}

inline read_reply(p)
{
	ring[p]?e, generation, task, is_failed;
	assert(task_of[e] == task && generation_of[e] == generation);
	if
	:: is_failed -> again(e)
	:: else -> close(e)
	fi;
	e = 0;
	generation = 0;
	task = 0;
	is_failed = 0
}

#if BROKEN == 10
#define CLAIMED_BY(n, p) \
	(words[n].holder != READY && words[n].holder != WITHDRAWN && \
	 engine_of[words[n].holder - 1] == engine_of[p])
#else
#define CLAIMED_BY(n, p) (words[n].holder == p + 1)
#endif

/* In one step: what a dead engine has written does not change. */
inline bury(p)
{
#if BROKEN != 5
	do
	:: nempty(ring[p]) -> read_reply(p)
	:: empty(ring[p]) -> break
	od;
#endif
	if
	:: task_of[0] && CLAIMED_BY(0, p) -> again(0)
	:: else
	fi;
	if
	:: task_of[1] && CLAIMED_BY(1, p) -> again(1)
	:: else
	fi;
	buried[p] = 1
}

/* What an engine has claimed is left to it. */
inline withdraw(n)
{
	atomic {
		if
#if BROKEN != 3
		:: words[n].holder != READY
#endif
		:: else -> close(n)
		fi
	}
}

/* Goes past what is not ready, as engines do; stuck: what is ready fills the order. */
inline make_room()
{
	next = lanes[lane].next;
	if
	:: lanes[lane].posted - next < ORDER
	:: else ->
		i = lanes[lane].entry[next % ORDER];
		if
#if BROKEN != 13
		:: words[i].holder == READY &&
		   words[i].generation == lanes[lane].generation[next % ORDER] -> stuck = 1
#endif
		:: else -> lanes[lane].next = next + 1
		fi
	fi;
	atomic { next = 0; i = 0 }
}

inline write_entry()
{
#if BROKEN == 4
	generation_of[e] = generation_of[e] + !same[e];
	taken[e] = taken[e] && same[e];
	same[e] = 0;
#else
	generation_of[e]++;
	taken[e] = 0;
#endif
	content[e] = task;
	words[e].generation = generation_of[e];
	words[e].holder = READY
}

inline post()
{
	atomic {
		todo[task] = 0;
		task_of[e] = task;
#if BROKEN == 12
		generation_of[e]++
	}
#else
		write_entry()
	}
#endif
	atomic {
		lanes[lane].entry[lanes[lane].posted % ORDER] = e;
		lanes[lane].generation[lanes[lane].posted % ORDER] = generation_of[e]
	}
	atomic { lanes[lane].posted++; sleeper = NONE }
#if BROKEN == 12
	atomic { generation_of[e]--; write_entry() }
#endif
	if
	:: MAY(0, lane) -> find_sleeper(0)
	:: else
	fi;
	find_sleeper(1);
	if
	:: MAY(0, lane) -> find_idle(0)
	:: else
	fi;
	find_idle(1)
}

#if TASKS == 3
#define NEXT_TASK (todo[1] -> 1 : (todo[2] -> 2 : (todo[3] -> 3 : 0)))
#define ALL_DONE (closed[1] && closed[2] && closed[3])
#else
#define NEXT_TASK (todo[1] -> 1 : (todo[2] -> 2 : 0))
#define ALL_DONE (closed[1] && closed[2])
#endif
#define CAN_POST (!stuck && NEXT_TASK && !(task_of[0] && task_of[1]))
#define NOBODY_FOR(t) (orphaned[1] && (lane_of[t] == 1 || orphaned[0]))
#define STRANDED(n) (task_of[n] && words[n].holder == READY && NOBODY_FOR(task_of[n]))

active proctype client()
{
	byte retries[TASKS + 1], generation_of[ENTRIES];
	byte e, generation, task, lane, next, i, other, sleeper;
	bit todo[TASKS + 1], buried[PROCESSES], same[ENTRIES], stuck, is_failed;

	atomic {
		deaths = DEATHS;
		cancels = CANCELS;
		others = ELSE;
		raises = RAISES;
		do
		:: break
		:: deaths > 0 -> deaths--
		:: cancels > 0 -> cancels--
		:: others > 0 -> others--
		od;
		task = 1;
		do
		:: task > TASKS -> break
		:: task <= TASKS ->
			todo[task] = 1;
			lane_of[task] = NONE;
			task++
		od;
		task = 0;
		run supervisor()
	}
	do
	:: CAN_POST ->
		atomic {
			task = NEXT_TASK;
			e = (task_of[0] -> 1 : 0);
			if
			:: lane_of[task] == NONE -> select (lane : 0 .. LANES - 1); lane_of[task] = lane
			:: else -> lane = lane_of[task]
			fi;
			if
			:: lanes[lane].posted < ORDER -> goto has_room
			:: else
			fi
		}
		make_room();
		if
		:: atomic { stuck -> task = 0; e = 0; lane = 0 }
		:: !stuck ->
has_room:
			post();
			if
			:: atomic { task = 0; take(); ring_bell(); e = 0; lane = 0 }
#if STOPS
			/* For so long that all others come to rest. */
			:: atomic { task = 0; take(); ring_bell(); e = 0; lane = 0 };
				AT_REST
#endif
			fi
		fi
	:: !CAN_POST && ALL_DONE -> break
	:: atomic { !CAN_POST && nempty(ring[0]) -> read_reply(0) }
	:: atomic { !CAN_POST && nempty(ring[1]) -> read_reply(1) }
	:: atomic { !CAN_POST && dead[0] && !buried[0] -> bury(0) }
	:: atomic { !CAN_POST && dead[1] && !buried[1] -> bury(1) }
#if RESTARTS
	:: atomic { !CAN_POST && nempty(ring[2]) -> read_reply(2) }
	:: atomic { !CAN_POST && dead[2] && !buried[2] -> bury(2) }
#endif
	:: atomic { !CAN_POST && cancels > 0 && task_of[0] -> cancels-- }; withdraw(0)
	:: atomic { !CAN_POST && cancels > 0 && task_of[1] -> cancels-- }; withdraw(1)
	:: !CAN_POST && STRANDED(0) -> withdraw(0)
	:: !CAN_POST && STRANDED(1) -> withdraw(1)
	od;
	assert(!task_of[0] && !task_of[1]);
	finished = 1
}

/* --- supervisor */

/* Wakes an engine, whose announcement a dead one may have taken. In truth all are woken each time, which is of no harm. */
inline announce_to(n)
{
	if
	:: current[n] != NONE && sleeping[current[n]] -> rung[current[n]] = 1
	:: else
	fi
}

/*
 * Marks the process as dead, and rings the others, whom somebody may have left asleep because of it;
 * and starts another one, which may sleep before it is up, when nobody looks at its bell.
 */
inline engine_ends(n)
{
	dead[current[n]] = 1;
	atomic {
		process[n] = NONE;
		asleep[current[n]] = 0;
		sleeping[current[n]] = 0; /* who has not looked at this bell yet does not any more */
		busy[current[n]] = 1;
		current[n] = NONE
	}
	if
#if RESTARTS
	:: atomic {
		started < PROCESSES ->
		current[n] = started;
#if BROKEN != 11
		announce_to(1 - n);
#endif
		engine_of[started] = n;
		run engine(started, n);
		started++
	}
		process[n] = current[n];
#if BROKEN != 14
		atomic { announce_to(n) }
#endif
#endif
	:: atomic {
		orphaned[n] = 1;
#if BROKEN != 11
		announce_to(1 - n);
#endif
	}
	fi
}

proctype supervisor()
{
	byte current[ENGINES] = NONE;

	atomic {
		current[0] = 0;
		current[1] = 1;
		engine_of[0] = 0;
		engine_of[1] = 1;
		process[0] = 0;
		process[1] = 1;
		started = 2;
		run engine(0, 0);
		run engine(1, 1)
	}
end:
	do
	:: current[0] != NONE && killed[current[0]] -> engine_ends(0)
	:: current[1] != NONE && killed[current[1]] -> engine_ends(1)
	od
}
