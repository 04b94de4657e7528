/* SPDX-License-Identifier: BSD-3-Clause */
/* journal.c - see journal.h. */
#include "client/journal.h"

#include "client/internal.h"

void px_journal_add(struct px_journal *journal, const struct px_request *request)
{
	struct px_journal_entry *entry = &journal->entries[journal->count++ % PX_JOURNAL_ENTRIES];

	*entry = (struct px_journal_entry){
		.result = px_result_id(request->result),
		.submitted_ns = request->submitted_ns,
		.started_ns = request->reply.started_ns,
		.completed_ns = request->reply.completed_ns,
		.received_ns = request->received_ns,
		.index = (uint32_t)(request - request->result->requests),
		.engine = request->engine,
		.code = request->code,
	};
}

int px_client_journal(struct px_client *client, struct px_journal_entry *out, uint32_t *count)
{
	int rc = px_client_own(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	*count = px_journal_read(client->journal, out);
	pthread_mutex_unlock(&client->lock);
	return 0;
}

uint32_t px_journal_read(const struct px_journal *journal, struct px_journal_entry *out)
{
	uint32_t count =
		journal->count < PX_JOURNAL_ENTRIES ? (uint32_t)journal->count : PX_JOURNAL_ENTRIES;

	for (uint32_t i = 0; i < count; i++)
		out[i] = journal->entries[(journal->count - count + i) % PX_JOURNAL_ENTRIES];
	return count;
}
