/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * title.c - writes over the arguments, as setproctitle(3) of other systems does.
 */
#include "pool/title.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Fields of /proc/self/stat behind the name: arg_start and arg_end are 48 and 49 in proc(5). */
#define BEHIND_NAME 2
#define ARG_START 48

/* Where the arguments lie, from first to last byte; NULL if that is not to be learnt. */
static char *arguments(size_t *bytes)
{
	char text[2048];
	char *at, *end = NULL;
	uintptr_t from = 0, to = 0;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[got > 0 ? got : 0] = '\0';
	/* The name may have spaces and brackets in it. */
	at = strrchr(text, ')');
	for (int field = BEHIND_NAME; at && field < ARG_START; field++)
		at = strchr(at + 1, ' ');
	if (at) {
		from = (uintptr_t)strtoull(at, &end, 10);
		to = (uintptr_t)strtoull(end, NULL, 10);
	}
	if (!from || to <= from)
		return NULL;
	*bytes = to - from;
	/* The kernel gives the address of our own memory as a number. */
	return (char *)from;
}

/* The kernel cuts a name off behind 15 bytes; of "pxrun:POOL WHO" these are the pool's and who's. */
#define NAME_BYTES 16
#define NAME_ROOM 8

static void set_name(const char *pool, const char *who)
{
	int room = NAME_ROOM - (int)strlen(who);
	char name[NAME_BYTES];

	if (*who)
		snprintf(name, sizeof(name), "pxrun:%.*s %s", room > 0 ? room : 0, pool, who);
	else
		snprintf(name, sizeof(name), "pxrun: %.*s", NAME_ROOM, pool);
	(void)prctl(PR_SET_NAME, name);
}

void px_title_set(const char *pool, const char *who)
{
	size_t bytes = 0;
	char *place = arguments(&bytes);

	set_name(pool, who);
	if (!place)
		return;
	memset(place, 0, bytes);
	snprintf(place, bytes, "pxrun: %s%s%s", pool, *who ? " " : "", who);
}
