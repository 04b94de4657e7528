/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_reader.c - follows the files of a log.
 */
#include "bin/log_reader.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* How often files are looked for whose folder is not there, or where inotify is used up. */
#define LOOK_MS 1000

/* --- its files --- */

/* The log, or with ".1" behind it what was kept. It may be a link to where the profile wants it. */
static const char *path_of(const struct px_log_reader *reader, const char *end, char *out)
{
	char path[128], link[PATH_MAX];
	ssize_t length = readlink(px_runtime_path(reader->runtime, "log", path, sizeof(path)), link,
				  sizeof(link) - 1);

	if (length >= 0)
		link[length] = '\0';
	snprintf(out, PATH_MAX + 8, "%s%s", length < 0 ? path : link, end);
	return out;
}

static bool is(const struct px_log_reader *reader, const char *end)
{
	char path[PATH_MAX + 8];
	struct stat named;

	return reader->file && stat(path_of(reader, end, path), &named) == 0 &&
	       named.st_dev == reader->which.st_dev && named.st_ino == reader->which.st_ino;
}

static bool open_one(struct px_log_reader *reader, const char *end)
{
	char path[PATH_MAX + 8];
	FILE *file = fopen(path_of(reader, end, path), "re");

	if (!file)
		return false;
	if (fstat(fileno(file), &reader->which) < 0 || !S_ISREG(reader->which.st_mode)) {
		fclose(file);
		return false;
	}
	if (reader->file)
		fclose(reader->file);
	reader->file = file;
	return true;
}

/* Whether what was kept has followed the present file, and not preceded it. */
static bool kept_is_newer(const struct px_log_reader *reader)
{
	char path[PATH_MAX + 8];
	struct stat kept, present;

	return stat(path_of(reader, ".1", path), &kept) == 0 &&
	       fstat(fileno(reader->file), &present) == 0 &&
	       (kept.st_mtim.tv_sec > present.st_mtim.tv_sec ||
		(kept.st_mtim.tv_sec == present.st_mtim.tv_sec &&
		 kept.st_mtim.tv_nsec > present.st_mtim.tv_nsec));
}

/* Of several that followed while nobody looked, the last two are there. */
static bool open_next(struct px_log_reader *reader)
{
	return (!is(reader, ".1") && kept_is_newer(reader) && open_one(reader, ".1")) ||
	       open_one(reader, "");
}

bool px_log_reader_rewind(struct px_log_reader *reader)
{
	reader->length = 0;
	reader->taken = false;
	return open_one(reader, ".1") || open_one(reader, "");
}

void px_log_reader_open(struct px_log_reader *reader, const struct px_runtime *runtime)
{
	*reader = (struct px_log_reader){ .runtime = runtime };
	reader->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
}

void px_log_reader_close(struct px_log_reader *reader)
{
	if (reader->file)
		fclose(reader->file);
	if (reader->watch >= 0)
		close(reader->watch);
	free(reader->line);
}

/* --- its lines --- */

/* Adds to the line what there is of it. Whether its end is there. */
static bool read_on(struct px_log_reader *reader)
{
	int c;

	clearerr(reader->file);
	while ((c = getc_unlocked(reader->file)) != EOF) {
		if (reader->length + 3 > reader->room) {
			size_t room = reader->room ? 2 * reader->room : 65536;
			char *grown = realloc(reader->line, room);

			if (!grown)
				return false;
			reader->line = grown;
			reader->room = room;
		}
		reader->line[reader->length++] = (char)c;
		if (c == '\n')
			return true;
	}
	return false;
}

/* Somebody has made it shorter: what is there now is new. */
static void notice_truncation(struct px_log_reader *reader)
{
	struct stat now;

	if (fstat(fileno(reader->file), &now) < 0 || now.st_size >= ftello(reader->file))
		return;
	rewind(reader->file);
	reader->length = 0;
}

static bool come_to_end(struct px_log_reader *reader)
{
	if (read_on(reader))
		return true;
	if (is(reader, "")) {
		notice_truncation(reader);
		return read_on(reader);
	}
	/* Another one has its name. What it was given before is complete by now. */
	return read_on(reader) || (open_next(reader) && (reader->length || read_on(reader)));
}

bool px_log_reader_next(struct px_log_reader *reader, bool part)
{
	if (reader->taken)
		reader->length = 0;
	reader->taken = false;
	if (!reader->file && !px_log_reader_rewind(reader))
		return false;
	if (!come_to_end(reader) && !(part && reader->length))
		return false;
	if (reader->line[reader->length - 1] != '\n')
		reader->line[reader->length++] = '\n';
	reader->line[reader->length] = '\0';
	reader->taken = true;
	return true;
}

/* --- waiting --- */

static void watch_folder(const struct px_log_reader *reader)
{
	char path[PATH_MAX + 8];
	char *slash = strrchr(path_of(reader, "", path), '/');

	if (!slash || reader->watch < 0)
		return;
	*slash = '\0';
	/* If it is watched already, nothing changes. */
	(void)inotify_add_watch(reader->watch, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO);
}

bool px_log_reader_wait(struct px_log_reader *reader)
{
	struct pollfd news[2] = { { .fd = reader->watch, .events = POLLIN },
				  { .fd = STDOUT_FILENO } };
	char events[4096];

	watch_folder(reader);
	(void)poll(news, 2, LOOK_MS);
	while (reader->watch >= 0 && read(reader->watch, events, sizeof(events)) > 0)
		;
	return !(news[1].revents & POLLERR);
}
