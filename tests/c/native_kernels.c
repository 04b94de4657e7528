/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native_kernels.c - native functions for tests: what a library of a user's may do, and more.
 */
#include "client/pxrun_native.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t calls;

PX_NATIVE_FUNCTION(nothing)
{
	(void)px, (void)argc, (void)argv, (void)result;
	return 0;
}

/* rank * 1000 + count. */
PX_NATIVE_FUNCTION(place)
{
	(void)argc, (void)argv;
	return px_native_return_int(result, px->rank * 1000 + px->count);
}

PX_NATIVE_FUNCTION(count_calls)
{
	(void)px, (void)argc, (void)argv;
	return px_native_return_int(result, ++calls);
}

/* A letter for each argument's type, and its value. */
PX_NATIVE_FUNCTION(describe)
{
	char text[PX_NATIVE_TEXT_MAX] = "";
	size_t used = 0, i;

	(void)px;
	for (i = 0; i < argc && used < 900; i++) {
		const struct px_native_arg *a = &argv[i];

		switch (a->type) {
		case PX_NATIVE_NONE:
			used += (size_t)sprintf(text + used, "none ");
			break;
		case PX_NATIVE_BOOL:
			used += (size_t)sprintf(text + used, "b%d ", (int)a->integer);
			break;
		case PX_NATIVE_INT:
			used += (size_t)sprintf(text + used, "i%lld ", (long long)a->integer);
			break;
		case PX_NATIVE_UINT:
			used += (size_t)sprintf(text + used, "u%llu ",
						(unsigned long long)a->natural);
			break;
		case PX_NATIVE_DOUBLE:
			used += (size_t)sprintf(text + used, "d%g ", a->real);
			break;
		case PX_NATIVE_COMPLEX:
			used += (size_t)sprintf(text + used, "c%g,%g ", a->real, a->imaginary);
			break;
		case PX_NATIVE_TEXT:
		case PX_NATIVE_BYTES:
			used += (size_t)sprintf(text + used, "%c%.*s ",
						a->type == PX_NATIVE_TEXT ? 't' : 'y',
						(int)a->bytes, a->text);
			break;
		case PX_NATIVE_ARRAY:
			used += (size_t)sprintf(text + used, "a%d:%x:%llu:%d ", a->ndim, a->dtype,
						(unsigned long long)a->bytes, a->live);
			break;
		}
	}
	return px_native_return_text(result, text);
}

/* sum(x): of doubles in any order, by strides, of two dimensions. */
PX_NATIVE_FUNCTION(sum)
{
	double total = 0;
	int64_t i, k;

	(void)px;
	if (argc != 1 || argv[0].type != PX_NATIVE_ARRAY || argv[0].dtype != PX_NATIVE_FLOAT64 ||
	    argv[0].ndim != 2)
		return px_native_fail(result, "sum(x): x is an array of doubles of two dimensions");
	for (i = 0; i < argv[0].shape[0]; i++)
		for (k = 0; k < argv[0].shape[1]; k++)
			total += i * 3 *
				 *(double *)((char *)argv[0].data + i * argv[0].strides[0] +
					     k * argv[0].strides[1]);
	return px_native_return_double(result, total);
}

/* fill(x, value): x[rank] = value + rank. */
PX_NATIVE_FUNCTION(fill)
{
	double *x = (double *)px_native_array(argc, argv, 0, PX_NATIVE_FLOAT64, 1);

	if (!x || argc != 2)
		return px_native_fail(result, "fill(x, value)");
	x[px->rank] = argv[1].real + px->rank;
	return 0;
}

/* meet(x, rounds): every round each adds to its own element what the next one has; an exact sum shows each lost meeting. */
PX_NATIVE_FUNCTION(meet)
{
	int64_t *x = (int64_t *)px_native_array(argc, argv, 0, PX_NATIVE_INT64, 1);
	int64_t round;

	if (!x || argc != 2)
		return px_native_fail(result, "meet(x, rounds)");
	for (round = 0; round < argv[1].integer; round++) {
		int next = (px->rank + 1) % px->count;

		x[px->rank] = round;
		if (px->barrier(px))
			return 1;
		if (x[next] != round)
			return px_native_fail(result, "met too early");
		if (px->barrier(px))
			return 1;
	}
	return px_native_return_int(result, argv[1].integer);
}

/* late(rank): that one comes when the others sleep. */
PX_NATIVE_FUNCTION(late)
{
	(void)argc;
	if (px->rank == argv[0].integer)
		usleep(10000);
	if (px->barrier(px))
		return 1;
	return px_native_return_int(result, 0);
}

/* meet_or(rank, what): that rank does something else than to meet. */
PX_NATIVE_FUNCTION(meet_or)
{
	(void)argc;
	if (px->rank == argv[0].integer) {
		if (!strncmp(argv[1].text, "return", 6))
			return 0;
		if (!strncmp(argv[1].text, "die", 3))
			raise(SIGKILL);
		if (!strncmp(argv[1].text, "fault", 5))
			*(volatile int *)(uintptr_t)argv[0].integer = 1;
		while (!*px->cancel)
			usleep(1000);
		return 1;
	}
	if (px->barrier(px))
		return 1;
	return px_native_return_int(result, 0);
}

PX_NATIVE_FUNCTION(crash)
{
	(void)px, (void)argc, (void)result;
	if (!strncmp(argv[0].text, "segv", 4))
		*(volatile int *)(uintptr_t)argv[0].integer = 1;
	if (!strncmp(argv[0].text, "abort", 5))
		abort();
	if (!strncmp(argv[0].text, "fpe", 3))
		raise(SIGFPE);
	if (!strncmp(argv[0].text, "exit", 4))
		exit(3);
	return 0;
}

/* Until it is cancelled. */
PX_NATIVE_FUNCTION(wait_for_cancel)
{
	(void)argc, (void)argv, (void)result;
	while (!*px->cancel)
		usleep(1000);
	return 1;
}

PX_NATIVE_FUNCTION(print)
{
	(void)px, (void)argc, (void)result;
	printf("printed %.*s\n", (int)argv[0].bytes, argv[0].text);
	fprintf(stderr, "complained\n");
	return 0;
}

/* fails(), fails(code), fails(code, words) */
PX_NATIVE_FUNCTION(fails)
{
	char words[100] = "";

	(void)px;
	if (argc < 2)
		return argc ? (int)argv[0].integer : 1;
	memcpy(words, argv[1].text, argv[1].bytes < 99 ? argv[1].bytes : 99);
	return px_native_fail(result, words);
}

/* Memory to work in grows and keeps what is in it. */
PX_NATIVE_FUNCTION(scratch)
{
	unsigned char *at;
	size_t i;

	(void)argc;
	if (px->scratch_bytes < 65536 || (uintptr_t)px->scratch % 4096)
		return px_native_fail(result, "too little");
	memset(px->scratch, 7, 65536);
	if (px->grow(px, (size_t)argv[0].integer))
		return px_native_fail(result, "no memory");
	at = (unsigned char *)px->scratch;
	for (i = 0; i < 65536; i++)
		if (at[i] != 7)
			return px_native_fail(result, "lost");
	memset(at, 8, px->scratch_bytes);
	return px_native_return_int(result, (int64_t)px->scratch_bytes);
}

/* longjmp() inside of the function. */
PX_NATIVE_FUNCTION(jump)
{
	jmp_buf back;

	(void)px, (void)argc, (void)argv;
	if (setjmp(back))
		return px_native_return_int(result, 1);
	longjmp(back, 1);
}
