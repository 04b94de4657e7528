/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fail_malloc.c - preloaded: in one program, pxrun's nth allocation of private memory fails, once.
 *
 * PXRUN_FAIL_MALLOC="NAME=N=FILE": in processes of that name (comm); FILE is removed when it
 * has failed, so that only one does. What libraries and Python allocate goes through.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *at, size_t bytes);

static char name[16], file[256];
static long nth;
static _Atomic long count;

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("PXRUN_FAIL_MALLOC");

	if (!text || sscanf(text, "%15[^=]=%ld=%255s", name, &nth, file) != 3)
		nth = 0;
}

/* Whether the caller is code of pxrun: of its programs, its library or its extension. */
static int ours(const void *caller)
{
	Dl_info info;
	const char *base;

	if (!dladdr(caller, &info) || !info.dli_fname)
		return 0;
	base = strrchr(info.dli_fname, '/');
	base = base ? base + 1 : info.dli_fname;
	return !strncmp(base, "pxrun", 5) || !strncmp(base, "libpxrun", 8) ||
	       !strncmp(base, "_pxrun", 6) || !strncmp(base, "lt-", 3);
}

/* With a * at its end it is the beginning of names. */
static int named(const char *comm)
{
	size_t length = strlen(name);

	return length && name[length - 1] == '*' ? !strncmp(comm, name, length - 1) :
						   !strcmp(comm, name);
}

static int fails(const void *caller)
{
	char comm[16] = "";

	if (!nth || !ours(caller))
		return 0;
	(void)prctl(PR_GET_NAME, comm);
	if (!named(comm))
		return 0;
	if (atomic_fetch_add_explicit(&count, 1, memory_order_relaxed) + 1 != nth)
		return 0;
	if (unlink(file) < 0)
		return 0; /* another process has had its failure */
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t bytes)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t number, size_t bytes)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(number, bytes);
}

void *realloc(void *at, size_t bytes)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(at, bytes);
}

char *strdup(const char *text)
{
	size_t bytes = strlen(text) + 1;
	char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes);

	return copy ? memcpy(copy, text, bytes) : NULL;
}
