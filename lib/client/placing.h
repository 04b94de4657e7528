/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * placing.h - a client's tasks, and the entries of the board that they get.
 *
 * Who:     any thread with the client's lock; for tasks.c.
 * Where:   private memory, and the board (shm/board.h).
 * Blocks:  while the supervisor grants an extent.
 * Death:   as tasks.h.
 */
#ifndef PX_PLACING_H
#define PX_PLACING_H

#include "client/tasks.h"

/* A request's id: this bit, and a count. Engines get it with the entry in its low bits. */
#define TASK_BIT (UINT64_C(1) << 63)
#define ENTRY_BITS 14
#define ENTRY_MASK ((UINT64_C(1) << ENTRY_BITS) - 1)
_Static_assert(PX_TASKS_MAX <= 1 << ENTRY_BITS, "an id has room for any entry");

struct px_task {
	struct px_request *request;
	struct px_task *next, *before; /* in one of two lists: of those that wait, or are posted */
	bool posted;
	uint32_t entry; /* if posted */
	uint32_t retries;
	bool failed;  /* an engine has had it, and it is posted again */
	bool stopped; /* if it fails it is not posted again */
	/* The number of what its engine was asked: when that is answered, the claim was false; 0: none. */
	uint32_t probe;
	bool any; /* of all engines, but for those that have refused it */
	struct px_engine_set engines;
	struct px_packed packed;
	struct px_region *far; /* the payload, if it is too long for the entry; else NULL */
};

struct px_task_list {
	struct px_task *first, *last;
};

struct px_tasks {
	struct px_board *board;
	struct px_task_list waiting, posted;
	struct px_request *requests[PX_TASKS_MAX]; /* by entry */
	struct {
		bool made;
		uint32_t count; /* of tasks that are posted there */
		struct px_engine_set engines;
	} lanes[PX_LANES_MAX];
	uint64_t members_seq; /* when engines were last looked at */
	uint64_t mended_ns;   /* when claims were last looked through */
	uint64_t ended;       /* how many have ended */
	uint64_t own_bytes;   /* of the arena, of all that have not */
	/* Somebody had to wait for room: what tasks leave is given back, and not kept warm; their results need it. */
	bool short_of_memory;
	bool looked;
	struct px_engine_set there; /* the engines at that time */
};

void px_task_list_add(struct px_task_list *list, struct px_task *task);
void px_task_list_add_first(struct px_task_list *list, struct px_task *task);
void px_task_list_remove(struct px_task_list *list, struct px_task *task);
/*
 * Puts a task, which is in no list, on the board. PX_EAGAIN, PX_ENOMEM: there is no room at the moment.
 * Wake somebody afterwards.
 */
int px_task_place(struct px_client *client, struct px_task *task);
/* The same task once more, in the entry that it has; where its lane has no room, later. */
void px_task_post_again(struct px_client *client, struct px_task *task);
/* Likewise, after its engines have changed: it waits, before all others. */
void px_task_post_elsewhere(struct px_client *client, struct px_task *task);
/* The request is a task no more: its end is its user's. */
void px_task_end(struct px_request *request);
void px_task_free(struct px_task *task);
/* Who has taken it will not answer: it is posted again, or fails. In tasks.c. */
void px_task_engine_died(struct px_task *task, int code, const char *words);

#endif
