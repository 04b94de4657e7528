/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment_case.c - segments, and children that may die.
 */
#include "tests/c/segment_case.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct px_os real;
struct px_segment *segment;
int fallocate_fails, fallocate_calls;

int segment_setup(void **state)
{
	(void)state;
	return px_segment_create(ARENA_BYTES, false, &segment);
}

int segment_setup_memfd(void **state)
{
	(void)state;
	return px_segment_create(ARENA_BYTES, true, &segment);
}

int segment_teardown(void **state)
{
	(void)state;
	px_os = real;
	px_segment_detach(segment);
	segment = NULL;
	return 0;
}

uint64_t reserved_bytes(const struct px_segment *s)
{
	struct stat st;

	return fstat(s->fd, &st) < 0 ? UINT64_MAX : (uint64_t)st.st_blocks * 512;
}

int open_files(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Runs a function in a child; returns its wait status. */
static int in_child(int (*play)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		/* A sanitizer would turn the signal into an exit. */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		_exit(play());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

void assert_child_killed(int (*play)(void), int by)
{
	int status = in_child(play);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), by);
}

void assert_child_done(int (*play)(void))
{
	int status = in_child(play);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

void assert_child_done_or_skip(int (*play)(void), const char *reason)
{
	int status = in_child(play);

	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED) {
		print_message("%s\n", reason);
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int attach_again(struct px_segment **out)
{
	int fd = fcntl(segment->fd, F_DUPFD_CLOEXEC, 0);
	int rc = fd < 0 ? -1 : px_segment_attach(fd, out);

	if (rc < 0)
		close(fd);
	return rc;
}

int failing_fallocate(int fd, int mode, off_t offset, off_t length)
{
	(void)fd;
	(void)mode;
	(void)offset;
	(void)length;
	fallocate_calls++;
	return fallocate_fails;
}
