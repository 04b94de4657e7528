/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_descriptor.c - numbers of descriptors, and what becomes of descriptors that others close.
 */
#include "tests/c/case.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shm/descriptor.h"
#include "shm/error.h"

static int open_null(void)
{
	int fd = open("/dev/null", O_RDWR);

	assert_true(fd >= 0);
	return fd;
}

static void limit(rlim_t soft)
{
	struct rlimit files;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = soft;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
}

static void raise_moves_and_closes_on_exec(void **state)
{
	int low = open_null(), fd = px_descriptor_raise(low);

	(void)state;
	assert_in_range(fd, 200, 1023);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(low, F_GETFD), -1);
	assert_int_equal(px_descriptor_raise(fd), fd);
	assert_int_equal(px_descriptor_raise(-1), -1);
}

static void raise_small_limit_is_half_of_it(void **state)
{
	int fd;

	(void)state;
	limit(64);
	fd = px_descriptor_raise(open_null());
	assert_in_range(fd, 32, 63);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

/* As many as the limit allows are open. */
static void raise_no_other_number_stays(void **state)
{
	int fd = open_null();

	(void)state;
	limit((rlim_t)fd + 1);
	assert_int_equal(px_descriptor_raise(fd), fd);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	limit((rlim_t)fd + 100); /* a sanitizer opens files at the end */
}

/* All numbers that select(2) can wait for are taken. */
static void raise_no_number_below_1024_stays(void **state)
{
	struct rlimit files;
	int fd = open_null();

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_max < 1100)
		skip();
	limit(1100);
	for (int other = 200; other < 1024; other++)
		assert_int_equal(dup2(fd, other), other);
	assert_int_equal(px_descriptor_raise(fd), fd);
	assert_int_equal(fcntl(1024, F_GETFD), -1);
}

static void check_closed_says_who_did_it(void **state)
{
	int fd = open_null();
	struct px_descriptor_id id = px_descriptor_identify(fd);

	(void)state;
	assert_int_equal(px_descriptor_check(fd, id, "a file"), 0);
	close(fd);
	assert_int_equal(px_descriptor_check(fd, id, "a file"), PX_ECLOSED);
	assert_words("code in this process has closed pxrun's descriptor");
	assert_words("(a file)");
	assert_int_equal(px_descriptor_check(-1, px_descriptor_identify(-1), "a file"), PX_ECLOSED);
}

static void check_other_file_is_seen(void **state)
{
	int pair[2], fd = open_null();
	struct px_descriptor_id id;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	id = px_descriptor_identify(pair[0]);
	assert_int_equal(px_descriptor_check(pair[1], id, "a socket"), PX_ECLOSED);
	assert_int_equal(dup2(fd, pair[0]), pair[0]);
	assert_int_equal(px_descriptor_check(pair[0], id, "a socket"), PX_ECLOSED);
}

static void close_other_file_stays_open(void **state)
{
	int pair[2], fd = open_null();
	struct px_descriptor_id id = px_descriptor_identify(fd);

	(void)state;
	assert_int_equal(pipe(pair), 0);
	px_descriptor_close(pair[0], id);
	assert_true(fcntl(pair[0], F_GETFD) >= 0);
	px_descriptor_close(fd, id);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raise_moves_and_closes_on_exec),
		cmocka_unit_test(raise_small_limit_is_half_of_it),
		cmocka_unit_test(raise_no_other_number_stays),
		cmocka_unit_test(raise_no_number_below_1024_stays),
		cmocka_unit_test(check_closed_says_who_did_it),
		cmocka_unit_test(check_other_file_is_seen),
		cmocka_unit_test(close_other_file_stays_open),
	};

	return run_cases(tests, NULL, NULL);
}
