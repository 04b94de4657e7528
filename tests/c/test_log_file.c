/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_log_file.c - a log that is begun, has become too long, or is gone.
 */
#include "tests/c/case.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool/log_file.h"
#include "shm/error.h"

static struct px_runtime runtime;
static char path[128], kept[128];

static int open_log(void)
{
	int fd;

	snprintf(runtime.folder, sizeof(runtime.folder), "%s", case_folder());
	px_runtime_path(&runtime, "log", path, sizeof(path));
	px_runtime_path(&runtime, "log.1", kept, sizeof(kept));
	assert_int_equal(px_log_file_begin(&runtime, NULL, &fd), 0);
	return fd;
}

/* Gives it a length, but not the blocks. */
static void lengthen(int fd, off_t bytes)
{
	assert_int_equal(ftruncate(fd, bytes), 0);
}

static off_t size_of(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 ? st.st_size : -1;
}

static void add(int fd, const char *words)
{
	assert_int_equal(write(fd, words, strlen(words)), (ssize_t)strlen(words));
}

static void begin_removes_the_last_one(void **state)
{
	int old = open_log(), new;

	(void)state;
	add(old, "old");
	assert_int_equal(link(path, kept), 0);
	new = open_log();
	assert_int_equal(size_of(path), 0);
	assert_int_equal(size_of(kept), -1);
	close(old);
	close(new);
}

static void begin_elsewhere_adds_to_what_is_there(void **state)
{
	char other[128], link[128] = "";
	int fd = open_log();

	(void)state;
	close(fd);
	snprintf(other, sizeof(other), "%s/elsewhere", case_folder());
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(px_log_file_begin(&runtime, other, &fd), 0);
		add(fd, "abc");
		assert_int_equal(size_of(other), 3 * i);
		assert_int_equal(size_of(path), 3 * i);
		assert_true(readlink(path, link, sizeof(link) - 1) > 0);
		assert_string_equal(link, other);
		close(fd);
	}
	/* Nor does the next one here touch it. */
	close(open_log());
	assert_int_equal(size_of(other), 6);
	assert_int_equal(size_of(path), 0);
	assert_int_equal(px_log_file_begin(&runtime, "/proc/nonexistent/log", &fd), PX_ESYSTEM);
	assert_words("opening the log /proc/nonexistent/log: No such file or directory");
}

static void renew_keeps_what_there_was(void **state)
{
	int log = open_log();

	(void)state;
	lengthen(log, PX_LOG_MAX_BYTES - 3);
	add(log, "end");
	assert_false(px_log_file_renew(log));
	assert_int_equal(size_of(kept), -1);
	add(log, "END");
	assert_true(px_log_file_renew(log));
	assert_int_equal(size_of(path), 0);
	assert_int_equal(size_of(kept), PX_LOG_MAX_BYTES + 3);
	assert_true(fcntl(log, F_GETFD) & FD_CLOEXEC);
	add(log, "new");
	assert_int_equal(size_of(path), 3);
	/* The next time it takes the place of that one. */
	lengthen(log, PX_LOG_MAX_BYTES + 1);
	assert_true(px_log_file_renew(log));
	assert_int_equal(size_of(kept), PX_LOG_MAX_BYTES + 1);
}

/* Engines, which were forked from a process that does not write, and another that writes seldom. */
static void renew_follows_others(void **state)
{
	int log = open_log(), engine = dup(log), idle = dup(log);

	(void)state;
	lengthen(log, PX_LOG_MAX_BYTES + 1);
	assert_true(px_log_file_renew(log));
	add(log, "a");
	/* It had looked before that was done: nothing is lost. */
	add(engine, "late");
	assert_int_equal(size_of(kept), PX_LOG_MAX_BYTES + 5);
	assert_true(px_log_file_renew(engine));
	add(engine, "b");
	assert_int_equal(size_of(path), 2);
	assert_false(px_log_file_renew(engine));
	/* In the meantime it was done again, and the one that it has is no more. */
	lengthen(log, PX_LOG_MAX_BYTES + 1);
	assert_true(px_log_file_renew(log));
	assert_true(px_log_file_renew(idle));
	add(idle, "c");
	assert_int_equal(size_of(path), 1);
}

static void renew_by_another_process_is_left_to_it(void **state)
{
	int log = open_log(), other = open(path, O_RDONLY | O_CLOEXEC);

	(void)state;
	lengthen(log, PX_LOG_MAX_BYTES + 1);
	assert_int_equal(flock(other, LOCK_EX), 0);
	assert_false(px_log_file_renew(log));
	assert_int_equal(size_of(path), PX_LOG_MAX_BYTES + 1);
	close(other);
	assert_true(px_log_file_renew(log));
	assert_int_equal(size_of(path), 0);
}

static int other_one = -1; /* the descriptor of another process; -1: none */

/* In place of libc's: where another process is to be quicker, it is done by then. */
int flock(int fd, int operation)
{
	int other = other_one;

	other_one = -1;
	if (other >= 0)
		assert_true(px_log_file_renew(other));
	return (int)syscall(SYS_flock, fd, operation);
}

static void renew_by_another_since_the_look_is_not_done_again(void **state)
{
	int log = open_log();

	(void)state;
	lengthen(log, PX_LOG_MAX_BYTES + 1);
	other_one = dup(log);
	assert_true(px_log_file_renew(log));
	assert_int_equal(other_one, -1);
	assert_int_equal(size_of(kept), PX_LOG_MAX_BYTES + 1);
	add(log, "both");
	assert_int_equal(size_of(path), 4);
}

/* Nobody is left in a file that grows on: whoever died amid it had not marked it yet. */
static void renew_after_a_death_amid_it(void **state)
{
	int log = open_log(), engine = dup(log), new;

	(void)state;
	lengthen(log, PX_LOG_MAX_BYTES + 1);
	assert_int_equal(link(path, kept), 0);
	assert_int_equal(unlink(path), 0);
	new = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(px_log_file_renew(engine));
	add(engine, "a");
	assert_int_equal(size_of(path), 1);
	assert_int_equal(size_of(kept), PX_LOG_MAX_BYTES + 1);
	close(new);
}

static void renew_of_one_that_was_deleted_makes_it(void **state)
{
	int log = open_log(), other = dup(log);

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_true(px_log_file_renew(log));
	assert_true(px_log_file_renew(other));
	add(log, "a");
	add(other, "b");
	assert_int_equal(size_of(path), 2);
}

static void renew_without_a_folder_goes_on_with_the_old_one(void **state)
{
	int log = open_log();

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(runtime.folder), 0);
	assert_false(px_log_file_renew(log));
	add(log, "a");
	assert_int_equal(mkdir(runtime.folder, 0700), 0);
	assert_true(px_log_file_renew(log));
}

static void renew_does_not_follow_a_link(void **state)
{
	int log = open_log();

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_false(px_log_file_renew(log));
}

static void renew_without_a_name_does_nothing(void **state)
{
	int log = memfd_create("log", MFD_CLOEXEC), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct stat st;

	(void)state;
	lengthen(log, PX_LOG_MAX_BYTES + 1);
	assert_false(px_log_file_renew(log));
	assert_int_equal(fstat(log, &st), 0);
	assert_int_equal(st.st_size, PX_LOG_MAX_BYTES + 1);
	assert_int_equal(size_of("/memfd:log"), -1);
	assert_false(px_log_file_renew(null));
	assert_false(px_log_file_renew(-1));
}

#define WRITERS 4
#define LINES 40000
#define LINE_BYTES 1024

/* While the file is kept some ten times, of which the last two are there, no line is torn or lost. */
static void many_writers_tear_no_lines(void **state)
{
	int log = open_log(), status;
	char line[LINE_BYTES];

	(void)state;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (int i = 0; i < WRITERS; i++)
		if (fork() == 0) {
			for (int n = 0; n < LINES; n++) {
				(void)px_log_file_renew(log);
				if (write(log, line, sizeof(line)) != sizeof(line))
					_exit(1);
			}
			_exit(0);
		}
	for (int i = 0; i < WRITERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(size_of(path) % LINE_BYTES, 0);
	assert_int_equal(size_of(kept) % LINE_BYTES, 0);
	assert_true(size_of(path) + size_of(kept) >= PX_LOG_LEAST_BYTES);
	/* Who keeps it may be made to wait, while others write on. */
	assert_in_range(size_of(kept), 1, PX_LOG_MAX_BYTES + (16 << 20));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(begin_removes_the_last_one),
		cmocka_unit_test(begin_elsewhere_adds_to_what_is_there),
		cmocka_unit_test(renew_keeps_what_there_was),
		cmocka_unit_test(renew_follows_others),
		cmocka_unit_test(renew_by_another_process_is_left_to_it),
		cmocka_unit_test(renew_by_another_since_the_look_is_not_done_again),
		cmocka_unit_test(renew_after_a_death_amid_it),
		cmocka_unit_test(renew_of_one_that_was_deleted_makes_it),
		cmocka_unit_test(renew_without_a_folder_goes_on_with_the_old_one),
		cmocka_unit_test(renew_does_not_follow_a_link),
		cmocka_unit_test(renew_without_a_name_does_nothing),
		cmocka_unit_test(many_writers_tear_no_lines),
	};

	return run_cases(tests, NULL, NULL);
}
