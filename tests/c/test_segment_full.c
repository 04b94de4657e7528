/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_segment_full.c - a /dev/shm that is small, full, or not there is an error, never SIGBUS.
 */
#include "tests/c/segment_case.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/member.h"

static void assert_on_small_shm(int (*play)(void))
{
	assert_child_done_or_skip(play, "no mount namespace of our own is permitted here");
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

/* /dev/shm of 64 MiB, as Docker's, for this process alone. */
static bool small_shm(void)
{
	char map[64];

	if (unshare(CLONE_NEWNS) < 0) {
		snprintf(map, sizeof(map), "0 %u 1", (unsigned)geteuid());
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || !put("/proc/self/uid_map", map))
			return false;
	}
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "size=64m") == 0;
}

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__,            \
				#condition, px_last_error());                                      \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static int create_where_it_does_not_fit(void)
{
	struct px_segment *s, *other;
	void *at;

	if (!small_shm())
		return SKIPPED;
	MUST(px_segment_create(128 * MIB, false, &s) == 0);
	MUST(s->memfd);
	MUST(px_segment_attach(dup(s->fd), &other) == 0);
	MUST(other->memfd);
	/* All of it is there, which is the point. */
	MUST(px_segment_map_arrays(other, s->arena_offset, 128 * MIB, &at) == 0);
	MUST(px_segment_reserve_mapped(other, s->arena_offset, 128 * MIB, at) == 0);
	memset(at, 1, 128 * MIB);
	px_segment_unmap(at, 128 * MIB);
	px_segment_detach(other);
	px_segment_detach(s);
	return 0;
}

static void create_small_shm_takes_a_memfd(void **state)
{
	(void)state;
	assert_on_small_shm(create_where_it_does_not_fit);
}

/* Another program's files leave `bytes` of the mount. */
static int leave(struct px_segment *s, uint64_t bytes)
{
	int fd = open("/dev/shm/other", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	uint64_t step = 32 * MIB, size = 0;

	(void)s;
	MUST(fd >= 0);
	for (; step >= PX_PAGE_BYTES; step /= 2)
		while (fallocate(fd, 0, (off_t)size, (off_t)step) == 0)
			size += step;
	MUST(ftruncate(fd, (off_t)(size - bytes)) == 0);
	close(fd);
	return 0;
}

static int reserve_where_others_took_it(void)
{
	struct px_segment *s;
	uint8_t *at;
	void *map;

	if (!small_shm())
		return SKIPPED;
	/* The blocks' address space is far more than 64 MiB, and does not count. */
	MUST(px_segment_create(32 * MIB, false, &s) == 0);
	MUST(!s->memfd);
	MUST(px_segment_reserve(s, s->arena_offset, 8 * MIB) == 0);
	MUST(px_segment_map(s, s->arena_offset, 32 * MIB, &map) == 0);
	at = map;
	MUST(leave(s, 4 * MIB) == 0);
	MUST(px_segment_reserve(s, s->arena_offset + 8 * MIB, 8 * MIB) == PX_ENOMEM);
	MUST(strstr(px_last_error(), "needs 8 MiB, /dev/shm has 4 of 64 MiB free"));
	/* A refused reservation takes nothing. */
	MUST(px_segment_reserve(s, s->arena_offset + 8 * MIB, 4 * MIB) == 0);
	MUST(px_segment_reserve(s, s->arena_offset + 12 * MIB, 1) == PX_ENOMEM);
	memset(at, 1, 12 * MIB); /* no SIGBUS */
	return 0;
}

static void reserve_full_shm_is_no_sigbus(void **state)
{
	(void)state;
	assert_on_small_shm(reserve_where_others_took_it);
}

static int reserve_mapped_where_others_took_it(void)
{
	struct px_segment *s, *other;
	void *at;

	if (!small_shm())
		return SKIPPED;
	MUST(px_segment_create(32 * MIB, false, &s) == 0);
	MUST(px_segment_attach(dup(s->fd), &other) == 0);
	MUST(px_segment_map_arrays(other, s->arena_offset, 8 * MIB, &at) == 0);
	MUST(leave(s, 4 * MIB) == 0);
	MUST(px_segment_reserve_mapped(other, s->arena_offset, 8 * MIB, at) == PX_ENOMEM);
	/* A refused reservation takes nothing. */
	MUST(strstr(px_last_error(), "needs 8 MiB, /dev/shm has 4 of 64 MiB free"));
	MUST(px_segment_reserve_mapped(other, s->arena_offset, 4 * MIB, at) == 0);
	memset(at, 1, 4 * MIB); /* no SIGBUS */
	return 0;
}

static void reserve_mapped_full_shm_is_no_sigbus(void **state)
{
	(void)state;
	assert_on_small_shm(reserve_mapped_where_others_took_it);
}

/* The supervisor's own work on a full mount: refusals in words, and never SIGBUS. */
static int members_where_others_took_it(void)
{
	struct px_death death = { .exit_signal = SIGKILL };
	struct px_member_id engines[3], client, late;
	struct px_segment *s;

	if (!small_shm())
		return SKIPPED;
	MUST(px_segment_create(32 * MIB, false, &s) == 0);
	MUST(px_member_join(s, PX_MEMBER_CLIENT, -1, &client) == 0);
	for (int i = 0; i < 3; i++) {
		MUST(px_member_join(s, PX_MEMBER_ENGINE, i, &engines[i]) == 0);
		px_member_live(s, engines[i], getpid());
	}
	px_member_live(s, client, getpid());
	MUST(leave(s, 0) == 0);
	MUST(px_member_join(s, PX_MEMBER_ENGINE, 3, &late) == PX_ENOMEM);
	MUST(strstr(px_last_error(), "/dev/shm"));
	px_member_mark_dead(s, engines[1], &death);
	MUST(px_member_sweep(s, NULL, NULL) == 0);
	px_member_announce(s);
	/* The memory of the dead engine is enough for the next one. */
	MUST(px_member_join(s, PX_MEMBER_ENGINE, 1, &late) == 0);
	MUST(late.slot == engines[1].slot);
	px_member_mark_dead(s, client, &death);
	MUST(px_member_sweep(s, NULL, NULL) == 0);
	return 0;
}

static void join_and_sweep_full_shm_is_no_sigbus(void **state)
{
	(void)state;
	assert_on_small_shm(members_where_others_took_it);
}

static int no_shm_at_all(void)
{
	struct px_segment *s;

	if (!small_shm() || mount("proc", "/dev/shm", "proc", 0, NULL) < 0)
		return SKIPPED;
	MUST(px_segment_create(MIB, false, &s) == 0);
	MUST(s->memfd);
	return 0;
}

static void create_no_shm_takes_a_memfd(void **state)
{
	(void)state;
	assert_on_small_shm(no_shm_at_all);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(create_small_shm_takes_a_memfd),
		cmocka_unit_test(create_no_shm_takes_a_memfd),
		cmocka_unit_test(reserve_full_shm_is_no_sigbus),
		cmocka_unit_test(reserve_mapped_full_shm_is_no_sigbus),
		cmocka_unit_test(join_and_sweep_full_shm_is_no_sigbus),
	};

	return run_segment_cases(cases);
}
