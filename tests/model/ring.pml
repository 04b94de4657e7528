/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring.pml - shm/ring.c: frames in linked chunks, from one producer to one consumer.
 *
 * Each of the two may be killed between any two steps that the other can see.
 * What must hold: the consumer reads every published frame, once, in order and
 * whole; no chunk is used again before it is read; once a backlog is drained, no
 * chunk of the source is still in use.
 *
 * Every line of a chunk is full of an earlier use when it is taken. Counts of chunks
 * wrap. Spin's memory is sequentially consistent: that the orders in the C code
 * suffice for that is left to ThreadSanitizer.
 *
 * BROKEN 1 to 6 are ways to get it wrong, each of which must be found.
 */
#define FRAMES 14
#define CHUNKS 5 /* 0 and 1 are the two first chunks, the others the source's */
#define LINES 3  /* the last one is for the link */
#define STALE 99
#define SEQ_START 6
#define NEXT(seq) (((seq) + 1) & 7)
#define DIFF(a, b) (((a) - (b)) & 7)

typedef line {
	bit length;   /* 1: published */
	bit link;
	byte head, tail; /* of a frame: its number, both */
	byte target, seq; /* of a link */
}
typedef chunk {
	line lines[LINES]
}

/* --- what lies in shared memory */
chunk memory[CHUNKS];
bool producer_open;
byte consumed = SEQ_START;

/* --- what only the properties look at */
byte published;
byte reading_seq = SEQ_START; /* of the chunk that the consumer may still look at */
bool producer_gone, consumer_gone;

#define FRAME memory[at].lines[position]
/* Killed here, or not. */
#define MAY_DIE if :: true :: true -> goto dead fi

inline retire()
{
	seen = consumed;
#if BROKEN == 3
	seen = (count > 2 -> NEXT(first_seq) : seen);
#endif
	d_step {
		if
		:: DIFF(seen, first_seq) >= count -> skip
		:: else ->
			do
			:: first_seq == seen -> break
			:: else ->
				assert(DIFF(reading_seq, first_seq) > 0 && DIFF(reading_seq, first_seq) < 6);
				in_use[queue[first_seq]] = false;
				queue[first_seq] = 0;
				first_seq = NEXT(first_seq);
				count--
			od
		fi;
		seen = 0
	}
}

/* A chunk into `taken`, CHUNKS if there is none. */
inline take(from)
{
	d_step {
		taken = from;
		do
		:: taken < CHUNKS && in_use[taken] -> taken++
		:: else -> break
		od
	}
}

inline chain()
{
#if BROKEN != 5
	memory[taken].lines[0].length = 0;
	MAY_DIE;
#endif
	FRAME.link = 1;
#if BROKEN == 6
	FRAME.length = 1;
	MAY_DIE;
#endif
	FRAME.target = taken;
	FRAME.seq = (first_seq + count) & 7;
	MAY_DIE;
	FRAME.length = 1;
	d_step {
		queue[(first_seq + count) & 7] = taken;
		count++;
		in_use[taken] = true;
		at = taken;
		position = 0;
		taken = 0
	}
	MAY_DIE
}

active proctype producer()
{
	byte at, position, frame, taken, seen;
	byte queue[8], first_seq = SEQ_START, count = 1;
	bool in_use[CHUNKS];

	d_step {
		in_use[0] = true;
		queue[SEQ_START] = 0;
		taken = 0;
		do
		:: taken < CHUNKS ->
			position = 0;
			do
			:: position < LINES ->
				memory[taken].lines[position].length = 1;
				memory[taken].lines[position].head = STALE;
				memory[taken].lines[position].tail = STALE;
				position++
			:: else -> break
			od;
			taken++
		:: else -> break
		od;
		position = 0;
		taken = 0
	}
	FRAME.length = 0;
	MAY_DIE;
	producer_open = true;

	do
	:: frame == FRAMES -> break
	:: frame < FRAMES && position < LINES - 1 ->
		/* publish */
		FRAME.link = 0;
#if BROKEN == 1
		FRAME.length = 1;
		published++;
#endif
		FRAME.head = frame;
		MAY_DIE;
		FRAME.tail = frame;
		MAY_DIE;
#if BROKEN != 2
		memory[at].lines[position + 1].length = 0;
		MAY_DIE;
#endif
		d_step {
#if BROKEN != 1
			FRAME.length = 1;
			published++;
#endif
			position++;
			frame++
		}
		MAY_DIE
	:: frame < FRAMES && position == LINES - 1 ->
		retire();
		take(0);
		if
		:: taken < CHUNKS -> chain()
		:: else -> /* no memory: try again when there is news */
			taken = 0;
			if
			:: consumed != first_seq
			:: consumer_gone -> goto dead
			fi
		fi
	:: frame < FRAMES && position > 0 ->
		/* reclaim: leaves a large chunk for a first one */
		retire();
		take(0);
		if
		:: count == 1 && at > 1 && taken < 2 -> chain()
		:: else -> taken = 0
		fi
	od;

	/* Everything is sent. Now the memory must come back. */
	do
	:: consumer_gone -> goto dead
	:: count > 1 ->
		consumed != first_seq || consumer_gone;
		retire()
	:: count == 1 && at > 1 ->
		take(0);
		assert(taken < 2);
		chain()
	:: count == 1 && at < 2 ->
		assert(!in_use[2] && !in_use[3] && !in_use[4]);
		break
	od;
dead:
	producer_gone = true
}

active proctype consumer()
{
	byte at, position, seq = SEQ_START, head, frames, link, link_seq;

	producer_open || producer_gone;
	if
	:: producer_open
	:: else -> goto dead
	fi;
	do
	:: !FRAME.length && producer_gone ->
		/* Alive or killed, this is all it ever published. */
		assert(frames == published);
		break
	:: FRAME.length && !FRAME.link ->
		MAY_DIE;
		head = FRAME.head;
		assert(head == frames);
		MAY_DIE;
		assert(FRAME.tail == head);
		head = 0;
		frames++;
		position++;
		assert(position < LINES)
	:: FRAME.length && FRAME.link ->
		link = FRAME.target;
		MAY_DIE;
		link_seq = FRAME.seq;
		assert(link_seq == NEXT(seq));
#if BROKEN == 4
		/* Counts the chunk it has begun as read. */
		link_seq = NEXT(link_seq);
#endif
		d_step {
			seq = NEXT(seq);
			at = link;
			position = 0;
			reading_seq = seq;
			link = 0
		}
		MAY_DIE;
		consumed = link_seq;
		link_seq = 0;
		MAY_DIE
	od;
dead:
	consumer_gone = true
}
