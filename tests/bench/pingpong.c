/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pingpong.c - the least time that waking a sleeping engine can take: two processes, pinned to
 * two processors, wake each other by a bare futex, after the same pause as in the benches of
 * pools, since a processor that has slept longer takes longer to wake. Prints the median round
 * trip in ns, of 401 or as many as the argument says.
 */
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_ROUNDS 401
#define REST_NS 5000000 /* measure.REST */

static _Atomic uint32_t *words; /* [0]: ping, [16]: pong */

static void pin(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static void await(_Atomic uint32_t *word, uint32_t value)
{
	while (atomic_load(word) != value)
		syscall(SYS_futex, word, FUTEX_WAIT, value - 1, NULL, NULL, 0);
}

static void say(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store(word, value);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static int64_t times[MOST_ROUNDS];
	uint32_t rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : MOST_ROUNDS;
	struct timespec rest = { .tv_nsec = REST_NS };
	pid_t child;

	if (rounds < 1 || rounds > MOST_ROUNDS)
		return 2;
	words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	child = fork();
	if (child == 0) {
		pin(1);
		for (uint32_t i = 1; i <= rounds; i++) {
			await(&words[0], i);
			say(&words[16], i);
		}
		_exit(0);
	}
	pin(0);
	for (uint32_t i = 1; i <= rounds; i++) {
		/* Both sides are asleep, and so are both processors, when the ping comes. */
		nanosleep(&rest, NULL);
		int64_t start = now();
		say(&words[0], i);
		await(&words[16], i);
		times[i - 1] = now() - start;
	}
	waitpid(child, NULL, 0);
	qsort(times, rounds, sizeof(times[0]), by_size);
	printf("%lld\n", (long long)times[rounds / 2]);
	return 0;
}
