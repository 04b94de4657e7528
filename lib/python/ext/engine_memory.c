/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine_memory.c - shared memory for the code that an engine runs, and for numpy in it.
 */
#include "python/ext/serving.h"

#include "python/ext/numpy_memory.h"
#include "python/ext/region.h"

static PyObject *region(PyObject *self, PyObject *bytes)
{
	(void)self;
	if (px_serving())
		return px_region_object(px_serving()->endpoint, bytes);
	PyErr_SetString(PyExc_RuntimeError, "this process is no engine");
	return NULL;
}

static PyObject *has(PyObject *self, PyObject *object)
{
	(void)self;
	return px_serving() ? px_region_has(px_serving()->endpoint, object) : PyBool_FromLong(0);
}

static PyObject *is_engine(PyObject *self, PyObject *unused)
{
	(void)self, (void)unused;
	return PyBool_FromLong(px_serving() != NULL);
}

/* --- for numpy --- */

/*
 * Arrays that are not sent must not use up the arena that is needed for sending. So all engines
 * together may have half of it for their own arrays; beyond that numpy's usual memory is used.
 */
static bool may_have(const struct px_endpoint *endpoint, size_t bytes)
{
	uint32_t engines = atomic_load_explicit(&endpoint->segment->header->engines_count,
						memory_order_relaxed);
	uint64_t share = endpoint->segment->arena_bytes / 2 / (engines ? engines : 1);
	uint64_t used = atomic_load_explicit(&endpoint->block->usage.used, memory_order_relaxed);

	return bytes <= share && used <= share - bytes;
}

void *px_numpy_get(size_t bytes)
{
	struct px_engine_process *engine = px_serving();
	struct px_region *region;

	if (!engine || !may_have(engine->endpoint, bytes))
		return NULL;
	return px_endpoint_show_spare(engine->endpoint, bytes, &region) == 0 ? region->at : NULL;
}

/* The region that begins there, held once more; NULL: none. */
static struct px_region *memory_region(const struct px_engine_process *engine, const void *at)
{
	uint64_t skip;

	return px_region_find(engine->endpoint->arena, at, 1, &skip);
}

/* A forked child's copy of the books may have been made amid a change: it uses the maps alone. */
size_t px_numpy_size_of(const void *at)
{
	struct px_engine_process *engine = px_serving(), *once = px_serving_once();
	struct px_region *region;
	size_t bytes = 0;

	if (!engine)
		return once ? px_arena_mapped(once->endpoint->arena, at) : 0;
	region = memory_region(engine, at);
	if (region) {
		bytes = region->bytes;
		px_region_release(region);
	}
	return bytes;
}

void px_numpy_put(void *at)
{
	struct px_engine_process *engine = px_serving();
	struct px_region *region = engine ? memory_region(engine, at) : NULL;

	if (!region)
		return;
	px_region_release(region);
	px_endpoint_hide(engine->endpoint, region);
}

/* --- the module --- */

static PyMethodDef functions[] = {
	{ "is_engine", is_engine, METH_NOARGS,
	  "is_engine() -> bool\n\nWhether this process serves." },
	{ "region", region, METH_O, "region(bytes) -> Region\n\nOf the engine's own memory." },
	{ "has", has, METH_O, "has(buffer) -> bool\n\nWhether it lies in such a Region." },
	{ NULL, NULL, 0, NULL },
};

int px_add_engine_memory(PyObject *module)
{
	return PyModule_AddFunctions(module, functions);
}
