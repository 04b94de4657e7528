/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_copy.c - all bytes are copied, and no others are changed.
 */
#include "tests/c/case.h"

#include <stdlib.h>
#include <string.h>

#include "shm/copy.h"

#define MIB ((size_t)1 << 20)
#define ROOM (40 * MIB)

static void each_size_arrives_and_nothing_else(void **state)
{
	static const size_t sizes[] = {
		0, 1, 63, 64, 4097, MIB + 3, 16 * MIB - 1, 16 * MIB, 16 * MIB + 1, 33 * MIB + 7
	};
	uint8_t *from = malloc(ROOM), *to = malloc(ROOM);

	(void)state;
	assert_true(from && to);
	for (size_t i = 0; i < ROOM; i++)
		from[i] = (uint8_t)(i * 31 >> 7);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t shift = 0; shift < 4; shift += 3) {
			size_t bytes = sizes[i];

			memset(to, 0xee, bytes + 32);
			px_copy(to + 8 + shift, from + shift * 5, bytes);
			assert_int_equal(memcmp(to + 8 + shift, from + shift * 5, bytes), 0);
			assert_int_equal(to[7 + shift], 0xee);
			assert_int_equal(to[8 + shift + bytes], 0xee);
		}
	free(from);
	free(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_size_arrives_and_nothing_else),
	};

	return run_cases(tests, NULL, NULL);
}
