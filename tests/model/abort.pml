/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * abort.pml - lib/link/overtake.c: a client aborts requests while the engine begins them.
 *
 * Each side writes a word of its own and then looks at the other's: the client marks its
 * frame and looks at what the engine has begun, the engine says what it begins and
 * looks at the mark. What must hold: a request that the client was told is aborted
 * never runs; a mark never hits a later request whose frame lies in the same place.
 *
 * A processor may look before its own store is seen by others. So both stores go through a
 * buffer, which the process `stores` empties some time later; a fence waits for that.
 *
 * BROKEN 1 to 4 are ways to get it wrong, each of which must be found.
 */
#define REQUESTS 4
#define PLACES 2 /* frames that the ring has room for */

/* --- what lies in shared memory */
byte sent;           /* frames published */
byte consumed;       /* frames read to the end */
byte begun;          /* the request last begun */
bit marked[PLACES];

/* --- stores on their way; 255: none */
byte begun_pending = 255;
byte mark_pending = 255; /* the place */

/* --- what only the properties look at */
bit told[REQUESTS + 1]; /* the client was told that it is aborted */
bit meant[REQUESTS + 1]; /* the client tried to abort it */
bit ran[REQUESTS + 1];

active proctype stores()
{
end:
	do
	:: atomic { begun_pending != 255 -> begun = begun_pending; begun_pending = 255 }
	:: atomic { mark_pending != 255 -> marked[mark_pending] = 1; mark_pending = 255 }
	od
}

active proctype client()
{
	byte id;

	do
	/* Before it is published, the frame is complete and its mark is reset. */
	:: atomic { sent < REQUESTS && sent - consumed < PLACES && mark_pending == 255 ->
		marked[(sent + 1) % PLACES] = 0; sent++ }
	:: sent > 0 ->
		select (id : 1 .. REQUESTS);
		if
#if BROKEN == 4
		:: id <= sent ->
#else
		/* Only while the frame is still in that place, which the client's lock ensures. */
		:: id <= sent && id > consumed ->
#endif
			meant[id] = 1;
			atomic { mark_pending == 255 -> mark_pending = id % PLACES }
#if BROKEN != 1
			mark_pending == 255; /* the fence */
#endif
			if
			:: begun < id -> told[id] = 1
			:: else
			fi
		:: else
		fi
	:: sent == REQUESTS -> break
	od
}

active proctype engine()
{
	byte id = 1;
	bit mark;

	do
	:: id > REQUESTS -> break
	:: id <= REQUESTS && sent >= id ->
#if BROKEN == 3
		mark = marked[id % PLACES];
#endif
		atomic { begun_pending == 255 -> begun_pending = id }
#if BROKEN != 2
		begun_pending == 255; /* the fence */
#endif
#if BROKEN != 3
		mark = marked[id % PLACES];
#endif
		if
		:: mark -> assert(meant[id])
		:: else -> ran[id] = 1
		fi;
		assert(!(ran[id] && told[id]));
		consumed = id;
		id++
	od
}

/* The client may be told so later than it ran. */
never {
	do
	:: (ran[1] && told[1]) || (ran[2] && told[2]) || (ran[3] && told[3]) || (ran[4] && told[4]) ->
		break
	:: else
	od
}
