/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * detach.c - keeps what a process without a terminal prints for the pool's log.
 */
#include "bin/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bin/command.h"
#include "pool/log_file.h"
#include "pool/log_line.h"
#include "shm/error.h"

pid_t px_detach(int *report, int *code)
{
	unsigned char word = PX_EXIT_FAILED;
	int ends[2];
	ssize_t got;
	pid_t pid;

	fflush(NULL);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return px_fail_errno("making a pipe");
	pid = fork();
	close(ends[pid == 0 ? 0 : 1]);
	if (pid == 0) {
		setsid();
		*report = ends[1];
		return 0;
	}
	if (pid < 0)
		px_fail_errno("starting a process that goes on");
	do /* nothing comes of a child that has died */
		got = read(ends[0], &word, 1);
	while (got < 0 && errno == EINTR);
	close(ends[0]);
	*code = word;
	return pid < 0 ? PX_ESYSTEM : pid;
}

void px_detach_report(int report, int code)
{
	unsigned char word = (unsigned char)code;
	int kept = code ? -1 : memfd_create("output", MFD_CLOEXEC);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	fflush(NULL);
	(void)!write(report, &word, 1);
	close(report);
	if (code)
		return;
	/* Who waits for the command's output to end, such as $(…), is not to wait for this process. */
	dup2(null, STDIN_FILENO);
	dup2(kept >= 0 ? kept : null, STDOUT_FILENO);
	dup2(kept >= 0 ? kept : null, STDERR_FILENO);
}

static bool write_lines(void *ctx, const char *bytes, size_t count)
{
	return write(*(int *)ctx, bytes, count) == (ssize_t)count;
}

void px_detach_log(const struct px_runtime *runtime)
{
	struct px_log_lines lines = { .write = write_lines };
	char path[128], bytes[4096];
	off_t at = 0;
	ssize_t got;
	int log = open(px_runtime_path(runtime, "log", path, sizeof(path)),
		       O_WRONLY | O_APPEND | O_CLOEXEC);

	fflush(NULL);
	lines.ctx = &log;
	snprintf(lines.who, sizeof(lines.who), "exec %d", (int)getpid());
	for (; log >= 0 && (got = pread(STDOUT_FILENO, bytes, sizeof(bytes), at)) > 0; at += got)
		px_log_lines_add(&lines, bytes, (size_t)got);
	px_log_lines_end(&lines);
	if (log >= 0)
		close(log);
}
