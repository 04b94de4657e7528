/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_journal.c - the last requests that were answered.
 */
#include "tests/c/case.h"

#include <stdlib.h>

#include "client/client.h"

static struct px_journal_entry out[PX_JOURNAL_ENTRIES];

static void add(struct px_journal *journal, struct px_result *result, uint32_t index)
{
	struct px_request *request = &result->requests[index];

	request->result = result;
	request->code = (int32_t)index;
	request->engine = index + 1;
	px_journal_add(journal, request);
}

static void read_empty_gives_none(void **state)
{
	struct px_journal *journal = calloc(1, sizeof(*journal));

	(void)state;
	assert_non_null(journal);
	assert_int_equal(px_journal_read(journal, out), 0);
	free(journal);
}

static void read_full_gives_the_last_in_order(void **state)
{
	struct px_journal *journal = calloc(1, sizeof(*journal));
	struct px_request requests[8] = { 0 };
	struct px_result result = { .requests = requests };

	(void)state;
	assert_non_null(journal);
	for (uint32_t i = 0; i < PX_JOURNAL_ENTRIES + 5; i++) {
		requests[0].id = 7;
		requests[i % 8].submitted_ns = i;
		add(journal, &result, i % 8);
		assert_int_equal(px_journal_read(journal, out),
				 i < PX_JOURNAL_ENTRIES ? i + 1 : PX_JOURNAL_ENTRIES);
	}
	for (uint32_t i = 0; i < PX_JOURNAL_ENTRIES; i++) {
		uint32_t index = (i + 5) % 8;

		assert_int_equal(out[i].result, 7);
		assert_int_equal(out[i].submitted_ns, i + 5);
		assert_int_equal(out[i].index, index);
		assert_int_equal(out[i].code, index);
		assert_int_equal(out[i].engine, index + 1);
	}
	free(journal);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_empty_gives_none),
		cmocka_unit_test(read_full_gives_the_last_in_order),
	};

	return run_cases(tests, NULL, NULL);
}
