/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * handle.h - the beginning of every handle of pxrun.h: a word that says what kind it is.
 *
 * Who:     any thread. The word changes once, when the handle's owner frees it.
 * Where:   private memory.
 * Blocks:  never.
 * Death:   of the handle: its memory is kept until some more handles have been freed, so that a
 *          late call with it still finds the word, and returns an error.
 */
#ifndef PX_HANDLE_H
#define PX_HANDLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Letters, since small numbers are frequent in other memory. */
enum px_handle_kind {
	PX_HANDLE_CLIENT = 0x636c6e74,
	PX_HANDLE_VIEW = 0x76696577,
	PX_HANDLE_RESULT = 0x72736c74,
	PX_HANDLE_ARRAY = 0x61727279,
	PX_HANDLE_LIBRARY = 0x6c696272,
	PX_HANDLE_KERNEL = 0x6b726e6c,
};

struct px_handle {
	_Atomic uint32_t kind;
};

static inline void px_handle_init(struct px_handle *handle, enum px_handle_kind kind)
{
	atomic_init(&handle->kind, kind);
}

/* The error of px_handle_check(). */
int px_handle_refuse(const void *handle, enum px_handle_kind kind, const char *name);

/*
 * Checks that an argument is a handle of that kind: a struct that begins with struct px_handle, and as it
 * may be NULL, nobody has looked into it yet. PX_EINVAL: it is NULL or something else; PX_ECLOSED: it
 * was freed. The message names the argument.
 */
static inline int px_handle_check(const void *handle, enum px_handle_kind kind, const char *name)
{
	const struct px_handle *head = handle;

	/* Relaxed: whatever passed the pointer to this thread has ordered the rest. */
	if (head && atomic_load_explicit(&head->kind, memory_order_relaxed) == kind)
		return 0;
	return px_handle_refuse(handle, kind, name);
}

/* For a handle that its owner frees: from now on px_handle_check() says PX_ECLOSED. */
void px_handle_end(struct px_handle *handle);
/* Takes the memory, from malloc, of a handle that has ended; it is freed some handles later. */
void px_handle_discard(struct px_handle *handle);

/* PX_EINVAL with the argument's name if a pointer is NULL. */
int px_need(const void *pointer, const char *name);

#endif
