/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * handle.c - recognises handles, also those that were freed.
 */
#include "client/handle.h"

#include <stdlib.h>

#include "shm/error.h"

/* Freed handles of each kind whose memory is kept: some for threads that are late, not many. */
#define KEPT 64
#define ENDED 0x80808080u /* set in a kind: bits that no letter has */

static const struct {
	uint32_t kind;
	const char *word;
} kinds[] = {
	{ PX_HANDLE_CLIENT, "client" },   { PX_HANDLE_VIEW, "view" },
	{ PX_HANDLE_RESULT, "result" },   { PX_HANDLE_ARRAY, "array" },
	{ PX_HANDLE_LIBRARY, "library" }, { PX_HANDLE_KERNEL, "kernel" },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* The kind's index in the table; KINDS: it is none. */
static size_t place_of(uint32_t kind)
{
	size_t i = 0;

	while (i < KINDS && kinds[i].kind != kind)
		i++;
	return i;
}

int px_handle_refuse(const void *handle, enum px_handle_kind kind, const char *name)
{
	const struct px_handle *head = handle;
	const char *wanted = kinds[place_of(kind)].word;
	uint32_t found;
	size_t place;

	if (!handle)
		return px_fail(PX_EINVAL, "the argument '%s' is NULL", name);
	found = atomic_load_explicit(&head->kind, memory_order_relaxed);
	if (found == (kind | ENDED))
		return px_fail(PX_ECLOSED,
			       kind == PX_HANDLE_CLIENT ? "this %s is closed" :
							  "this %s was freed already",
			       wanted);
	place = place_of(found & ~ENDED);
	if (place == KINDS)
		return px_fail(PX_EINVAL, "the argument '%s' is not a %s, nor any other handle",
			       name, wanted);
	return px_fail(PX_EINVAL, "the argument '%s' is a %s where a %s is needed", name,
		       kinds[place].word, wanted);
}

void px_handle_end(struct px_handle *handle)
{
	uint32_t kind = atomic_load_explicit(&handle->kind, memory_order_relaxed);

	atomic_store_explicit(&handle->kind, kind | ENDED, memory_order_relaxed);
}

void px_handle_discard(struct px_handle *handle)
{
	static struct {
		_Atomic(struct px_handle *) handles[KEPT];
		_Atomic uint32_t next;
	} kept[KINDS];
	uint32_t kind = atomic_load_explicit(&handle->kind, memory_order_relaxed) & ~ENDED;
	size_t of = place_of(kind);
	/* Two threads may get the same place: then one handle is kept for a shorter time. */
	uint32_t place = atomic_load_explicit(&kept[of].next, memory_order_relaxed);

	atomic_store_explicit(&kept[of].next, place + 1, memory_order_relaxed);
	/* SYNC private: what was done with this memory before, and with that of the old one. */
	free(atomic_exchange_explicit(&kept[of].handles[place % KEPT], handle,
				      memory_order_acq_rel));
}

int px_need(const void *pointer, const char *name)
{
	return pointer ? 0 : px_fail(PX_EINVAL, "the argument '%s' is NULL", name);
}
