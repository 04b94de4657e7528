/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * journal.h - the last requests of a client that were answered: where they ran, and when.
 *
 * Who:     any thread of the client, with its lock.
 * Where:   private memory; a new entry takes the place of the oldest.
 * Blocks:  never.
 * Death:   of an engine or the pool: its requests are answered, with an error, and are in it.
 */
#ifndef PX_JOURNAL_H
#define PX_JOURNAL_H

#include <stdint.h>

struct px_request;

/* As many as a page with a time line shows well. */
#define PX_JOURNAL_ENTRIES 1024

/* Times are CLOCK_REALTIME; 0: it was not begun, or not completed. */
struct px_journal_entry {
	uint64_t result; /* px_result_id() */
	uint64_t submitted_ns, started_ns, completed_ns, received_ns;
	uint32_t index;  /* of the result's entry */
	uint32_t engine; /* PX_NO_ENGINE: none had begun it */
	int32_t code;    /* 0, or PX_E... */
};

struct px_journal {
	uint64_t count; /* so many were written */
	struct px_journal_entry entries[PX_JOURNAL_ENTRIES];
};

/* Writes down a request that is done. */
void px_journal_add(struct px_journal *journal, const struct px_request *request);
/* Copies the last ones, oldest first, at most PX_JOURNAL_ENTRIES of them; returns how many. */
uint32_t px_journal_read(const struct px_journal *journal, struct px_journal_entry *out);

#endif
