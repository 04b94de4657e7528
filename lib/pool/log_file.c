/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_file.c - marks lines, and keeps the end of a log that grows.
 */
#include "pool/log_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* --- lines --- */

struct buffer {
	struct px_log_lines *lines;
	size_t used;
	char bytes[16384];
};

static void flush(struct buffer *b)
{
	if (b->used)
		b->lines->write(b->lines->ctx, b->bytes, b->used);
	b->used = 0;
}

static void put(struct buffer *b, const char *bytes, size_t count)
{
	while (count) {
		size_t room = sizeof(b->bytes) - b->used;
		size_t piece = count < room ? count : room;

		memcpy(b->bytes + b->used, bytes, piece);
		b->used += piece;
		bytes += piece;
		count -= piece;
		if (b->used == sizeof(b->bytes))
			flush(b);
	}
}

void px_log_lines_add(struct px_log_lines *lines, const char *bytes, size_t count)
{
	struct buffer b = { .lines = lines };
	size_t prefix = strlen(lines->prefix);

	while (count) {
		const char *newline = memchr(bytes, '\n', count);
		size_t length = newline ? (size_t)(newline - bytes) + 1 : count;

		/* Others append to the file, too: a line is written in one piece, if it is not too long. */
		if (b.used + prefix + length > sizeof(b.bytes))
			flush(&b);
		if (!lines->midline)
			put(&b, lines->prefix, prefix);
		put(&b, bytes, length);
		lines->midline = !newline;
		bytes += length;
		count -= length;
	}
	flush(&b);
}

void px_log_lines_end(struct px_log_lines *lines)
{
	if (lines->midline)
		lines->write(lines->ctx, "\n", 1);
	lines->midline = false;
}

/* --- the file --- */

static bool too_long(int fd)
{
	struct stat file;
	struct statvfs all;

	if (fstat(fd, &file) < 0 || !S_ISREG(file.st_mode) || file.st_size <= PX_LOG_LEAST_BYTES)
		return false;
	return file.st_size > PX_LOG_MAX_BYTES ||
	       (fstatvfs(fd, &all) == 0 &&
		(uint64_t)file.st_size > (uint64_t)all.f_blocks * all.f_frsize / 16);
}

static bool same_file(int a, int b)
{
	struct stat one, other;

	return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

/* Copies all that is there. Where there is no room for that, the newest is still to be kept. */
static void keep(int from, const char *path)
{
	int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (to < 0)
		return;
	while (sendfile(to, from, NULL, PX_LOG_MAX_BYTES) > 0)
		;
	close(to);
}

void px_log_file_rotate(int fd)
{
	char link[32], path[PATH_MAX], kept[PATH_MAX + 2];
	ssize_t length;
	int again;

	if (!too_long(fd))
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return;
	path[length] = '\0';
	snprintf(kept, sizeof(kept), "%s.1", path);
	/* Opened again: engines share the first descriptor's description, and so its locks. */
	again = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (again < 0)
		return;
	if (same_file(fd, again) && flock(again, LOCK_EX | LOCK_NB) == 0 && too_long(fd)) {
		keep(again, kept);
		(void)!ftruncate(fd, 0);
	}
	close(again);
}
