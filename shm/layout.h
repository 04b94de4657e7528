/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * layout.h - where everything lies in the segment, and who writes it.
 *
 * Who:     as listed here; each struct says who reads.
 * Where:   offsets in the segment, never addresses: every process maps it elsewhere.
 * Blocks:  never: there is no lock in it.
 * Death:   of a writer: its pages stay as they are until the supervisor's sweep frees them.
 *
 *   head     header, member table, engine table, extent map   the supervisor
 *   bells    one cache line a member                          everyone
 *   blocks   one a member: state, links, crash text           that member
 *   arena    units of PX_UNIT_BYTES                           the owner of the extent
 *
 * Every page has one writer, but those of the bells, and in the arena those of claims (board.h). Each member maps the whole
 * segment read-only, and its own block, the bells and its own extents writable
 * at other addresses. The file is sparse: a page costs memory once it is
 * reserved (shm/pages.c), and nothing is touched that is not reserved.
 *
 * A member is named by its slot and its epoch; the epoch counts the occupants of the slot. A word
 * that is meant for one peer counts only while the peer's epoch is stored beside it, so that
 * nothing has to be wiped when the slot gets another occupant. The supervisor punches out a block
 * when its slot becomes free: a new member's block is zero.
 */
#ifndef PX_LAYOUT_H
#define PX_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#define PX_SEGMENT_MAGIC UINT64_C(0x31304e5552585001) /* "\1PXRUN01" */
#define PX_SEGMENT_VERSION 9
#define PX_LINE_BYTES 64
#define PX_PAGE_BYTES 4096

#define PX_MEMBERS_MAX 1024
#define PX_ENGINES_MAX 512 /* half of the slots: a dying engine and its replacement coexist */
#define PX_CLIENTS_MAX                                                                             \
	(PX_MEMBERS_MAX - PX_ENGINES_MAX) /* the rest is for engines that come back */
#define PX_CRASH_BYTES 65536

#ifdef PX_TINY /* small tests reach every boundary */
#define PX_FIRST_CHUNK_BYTES 256
#define PX_CHUNK_MAX_BYTES 1024
#define PX_LEASES_MAX 16
#define PX_LEASES_BRIEF 10
#define PX_UNIT_BYTES (64 * 1024)
#define PX_SEQ_START (UINT64_MAX - 5)
#define PX_TASKS_MAX 16
#define PX_TASKS_PIECE 4
#define PX_LANES_MAX 3
#else
#define PX_FIRST_CHUNK_BYTES 1984 /* 31 lines: a pair of rings costs 12 KiB */
#define PX_CHUNK_MAX_BYTES (256 * 1024)
#define PX_LEASES_MAX 1024
#define PX_LEASES_BRIEF 352
#define PX_UNIT_BYTES (2 * 1024 * 1024) /* a huge page */
#define PX_SEQ_START UINT64_C(0)
#define PX_TASKS_MAX 16384 /* of a client that lie in shared memory at once; the others wait */
#define PX_TASKS_PIECE 128 /* so many entries are made at once: a large region */
#define PX_LANES_MAX 16
#endif
/* The longest frame with its header; longer payloads ride in a region. */
#define PX_FRAME_MAX_BYTES (PX_CHUNK_MAX_BYTES < 16384 ? 512 : 16384)
/* The longest that fits the first chunks: it gets room when its reader has read on. */
#define PX_FRAME_SURE_BYTES (PX_FIRST_CHUNK_BYTES - PX_LINE_BYTES)

enum px_member_kind { PX_MEMBER_NONE, PX_MEMBER_CLIENT, PX_MEMBER_ENGINE };

/*
 * FREE -> JOINING -> LIVE -> DEAD -> FREE, driven by the supervisor alone.
 * JOINING: block and links reserved, the process does not run yet or has not said hello.
 * DEAD: gone, but a live member still has a link open to it: block and extents stay.
 */
enum px_member_state { PX_SLOT_FREE, PX_SLOT_JOINING, PX_SLOT_LIVE, PX_SLOT_DEAD };

/* One slot of the member table. The supervisor writes; all read. */
struct px_member_shm {
	_Atomic uint32_t epoch;      /* counts the occupants; 0: never used */
	_Atomic uint32_t dead_epoch; /* the last occupant known to be dead */
	_Atomic uint32_t state;      /* enum px_member_state */
	_Atomic uint32_t kind;       /* enum px_member_kind */
	_Atomic int32_t pid;
	_Atomic int32_t engine_id; /* -1: not an engine */
	/* Field 22 of /proc/PID/stat: with pid, a name without reuse. */
	_Atomic uint64_t start_time;
	/* Why it died; written before dead_epoch. */
	_Atomic int32_t exit_signal; /* 0: it exited */
	_Atomic int32_t exit_code;
	_Atomic uint32_t oom_killed; /* the kernel's OOM killer did it */
	_Atomic uint32_t expected;   /* it was told to stop */
	_Atomic uint64_t joined_ns, died_ns;
	/* Whose end took it along: engine, process and how; pid 0: nobody's. */
	_Atomic int32_t cause_engine, cause_pid, cause_signal, cause_code;
	uint8_t reserved[48];
};
_Static_assert(sizeof(struct px_member_shm) == 128, "two lines");

/* NONE -> STARTING -> UP -> (STARTING | GONE). GONE ids are not used again. */
enum px_engine_state { PX_ENGINE_NONE, PX_ENGINE_STARTING, PX_ENGINE_UP, PX_ENGINE_GONE };

/* What an engine id stands for at the moment. The supervisor writes. */
struct px_engine_shm {
	_Atomic uint32_t state;      /* enum px_engine_state */
	_Atomic uint32_t slot;       /* of the process that has the id, or had it last */
	_Atomic uint32_t epoch;      /* of that process */
	_Atomic uint32_t generation; /* 0, then one more with each restart */
};

/* Page 0. Written once before the descriptor is handed to anyone, but for the atomics. */
struct px_header_shm {
	uint64_t magic;
	uint32_t version;
	uint32_t tiny; /* 1 for a --enable-tiny build */
	uint32_t members_max, engines_max;
	uint64_t link_bytes, block_bytes; /* sizes as compiled: an attacher compares */
	uint64_t members_offset, engines_offset, units_offset, bells_offset, blocks_offset;
	uint64_t arena_offset, arena_bytes, total_bytes;
	uint32_t unit_bytes;
	uint32_t huge_pages; /* enum px_huge: where extents have them from */
	int32_t supervisor_pid, reserved2;
	uint64_t supervisor_start_time;
	uint64_t spin_ns; /* the measured cost of a wake-up: how long to spin before sleeping */
	_Atomic uint64_t members_seq;   /* bumped after any change of a slot or an engine */
	_Atomic uint32_t engines_count; /* ids given so far: 0 .. count-1 */
	/* Bumped when an extent is refused: who waits, or works for others, gives back what it keeps warm. */
	_Atomic uint64_t wanted_seq;
	_Atomic uint32_t closing; /* 1: the pool stops, and its engines do for that */
};
_Static_assert(sizeof(struct px_header_shm) <= PX_PAGE_BYTES, "one page");

/* One a member. All write: the worst that a broken writer does is a false or late wake-up. */
struct px_doorbell_shm {
	_Atomic uint32_t seq;    /* the futex */
	_Atomic uint32_t asleep; /* what the sleeper wants to be woken for: PX_BELL_… */
	_Atomic uint32_t place;  /* 1 + the processor that its owner waits on; 0: not known */
	uint8_t reserved[52];
};
_Static_assert(sizeof(struct px_doorbell_shm) == PX_LINE_BYTES, "one line");

/*
 * What a member says to one peer: entry [peer] of its block. The member writes,
 * the peer reads. Open while epoch is the peer's; everything else here counts
 * only then. A dead member's slot is kept until the last live member has closed
 * its link to it.
 */
struct px_link_shm {
	_Atomic uint32_t epoch;
	uint32_t reserved;
	_Atomic uint64_t consumed_seq; /* chunks of the peer's ring that are read to the end */
	_Atomic uint64_t released_seq; /* bumped after each entry of released[] */
	_Atomic uint64_t urgent_seq;   /* urgent frames sent */
	_Atomic uint64_t interrupt_id; /* of a frame sent: the peer is to stop working on it */
	uint8_t reserved2[PX_LINE_BYTES - 40];
	/* A line of its own: it changes with each frame, and the peer seldom looks. */
	_Atomic uint64_t begun_id; /* of the peer's frame last begun; urgent ones do not count */
	_Atomic uint64_t progress; /* of the work on it, in units that the work itself defines */
	_Atomic uint64_t read_seq; /* frames of the peer's ring that are read */
	uint8_t reserved4[PX_LINE_BYTES - 24];
	_Atomic uint16_t released[PX_LEASES_MAX]; /* [lease] = its generation, when let go */
#ifdef PX_TINY
	uint8_t reserved3[PX_LINE_BYTES - 2 * PX_LEASES_MAX];
#endif
	uint8_t first_chunk[2][PX_FIRST_CHUNK_BYTES]; /* the ring to the peer begins in [0] */
};
_Static_assert(sizeof(struct px_link_shm) % PX_LINE_BYTES == 0, "whole lines");

/* What an engine does at the moment, for status displays; clients leave it zero. */
struct px_activity_shm {
	_Atomic uint32_t client_slot, client_epoch; /* epoch 0: idle */
	_Atomic uint64_t request_id, started_ns;    /* CLOCK_REALTIME */
	_Atomic uint64_t requests_done;
};

/* The native function that an engine runs, for who explains its death; clients leave it zero. */
struct px_function_shm {
	/* The barrier at which it sleeps (barrier.h): where that lies, 0: at none. */
	_Atomic uint64_t barrier;
	_Atomic uint32_t runs; /* 1: it does. The words stay as they are meanwhile */
	char words[500];       /* "NAME of PATH", with a NUL */
};

/* What a member does with its extents, for status displays. */
struct px_usage_shm {
	_Atomic uint64_t used;       /* bytes of them that are regions or rings; the rest is warm */
	_Atomic uint64_t given_back; /* bytes, so far */
};

/* Where a client's task board lies (shm/board.h): offsets in the segment. 0: not there. */
struct px_board_shm {
	_Atomic uint64_t claims;
	_Atomic uint64_t lanes[PX_LANES_MAX]; /* they are there once this is set */
	_Atomic uint64_t pieces[PX_TASKS_MAX / PX_TASKS_PIECE];
};

struct px_block_shm {
	struct px_activity_shm activity;
	struct px_usage_shm usage;
	struct px_board_shm board;
	struct px_function_shm function;
	uint8_t reserved[PX_PAGE_BYTES - sizeof(struct px_activity_shm) -
			 sizeof(struct px_usage_shm) - sizeof(struct px_board_shm) -
			 sizeof(struct px_function_shm)];
	struct px_link_shm links[PX_MEMBERS_MAX];
	/* Why it ends, of its own; or faulthandler's, copied by the supervisor when it is dead. */
	uint8_t crash[PX_CRASH_BYTES] __attribute__((aligned(PX_PAGE_BYTES)));
};
_Static_assert(sizeof(struct px_block_shm) % PX_PAGE_BYTES == 0, "whole pages");

/* What a frame begins with; the rest follows up to length, rounded up to whole lines. */
struct px_frame_shm {
	_Atomic uint32_t length; /* with this header; 0: not published yet. Written last. */
	uint16_t kind;           /* PX_FRAME_LINK, or as the layer above likes */
	uint16_t flags;
	uint64_t id;
};
/* Continues in another chunk: payload struct px_chunk_shm. */
#define PX_FRAME_LINK 0xffff
struct px_chunk_shm {
	uint64_t offset, bytes; /* in the segment */
	uint64_t seq;
};

#endif
