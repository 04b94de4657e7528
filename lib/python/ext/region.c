/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * region.c - the type pxrun._pxrun.Region.
 */
#include "python/ext/region.h"

#include "python/ext/object.h"
#include "shm/copy.h"
#include "shm/error.h"

struct region {
	PyObject_HEAD
	struct px_endpoint *endpoint;
	struct px_region *region;
};

static PyObject *region_type;

static struct px_region *of(PyObject *self)
{
	return ((struct region *)self)->region;
}

bool px_region_is(PyObject *object, bool *live)
{
	if ((PyObject *)Py_TYPE(object) != region_type)
		return false;
	*live = of(object)->live;
	return true;
}

static void region_dealloc(PyObject *self)
{
	if (of(self))
		px_endpoint_hide(((struct region *)self)->endpoint, of(self));
	px_unmake(self);
}

static int region_get(PyObject *self, Py_buffer *view, int flags)
{
	return PyBuffer_FillInfo(view, self, of(self)->at, (Py_ssize_t)of(self)->bytes, 0, flags);
}

static Py_ssize_t region_length(PyObject *self)
{
	return (Py_ssize_t)of(self)->bytes;
}

static PyObject *region_set_live(PyObject *self, PyObject *flag)
{
	int live = PyObject_IsTrue(flag);

	if (live < 0)
		return NULL;
	of(self)->live = live;
	PX_RETURN_NONE;
}

static PyObject *region_set_ordinary(PyObject *self, PyObject *unused)
{
	(void)unused;
	of(self)->live = false;
	of(self)->ordinary = true;
	PX_RETURN_NONE;
}

static PyObject *region_live(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(of(self)->live);
}

static PyMethodDef methods[] = {
	{ "set_live", region_set_live, METH_O,
	  "set_live(flag)\n\nWhether receivers from now on work in this very memory, instead of a "
	  "view of their own." },
	{ "set_ordinary", region_set_ordinary, METH_NOARGS,
	  "set_ordinary()\n\nFrom now on it is copied when it is sent, like memory outside of regions." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef getset[] = {
	{ "live", region_live, NULL, "What set_live() said.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_dealloc, region_dealloc },
	{ Py_tp_methods, methods },
	{ Py_tp_getset, getset },
	{ Py_bf_getbuffer, region_get },
	{ Py_sq_length, region_length },
	{ Py_tp_doc, "Memory that is sent without being copied." },
	{ 0, NULL },
};

static PyType_Spec spec = {
	.name = "pxrun._pxrun.Region",
	.basicsize = sizeof(struct region),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = slots,
};

PyObject *px_region_object(struct px_endpoint *endpoint, PyObject *bytes)
{
	unsigned long long wanted = PyLong_AsUnsignedLongLong(bytes);
	struct region *self;
	int rc;

	if (PyErr_Occurred())
		return NULL;
	self = (struct region *)px_make(region_type);
	if (!self)
		return NULL;
	self->endpoint = endpoint;
	Py_BEGIN_ALLOW_THREADS
	rc = px_endpoint_show(endpoint, wanted, &self->region);
	Py_END_ALLOW_THREADS
	if (rc < 0) {
		self->region = NULL;
		Py_DECREF((PyObject *)self);
		return px_raise(rc);
	}
	return (PyObject *)self;
}

PyObject *px_region_has(struct px_endpoint *endpoint, PyObject *object)
{
	struct px_region *region;
	bool lendable;
	uint64_t skip;
	Py_buffer view;

	if (PyObject_GetBuffer(object, &view, PyBUF_ANY_CONTIGUOUS) < 0)
		return NULL;
	region = px_region_find(endpoint->arena, view.buf, (uint64_t)view.len, &skip);
	PyBuffer_Release(&view);
	if (!region)
		PX_RETURN_FALSE;
	lendable = px_region_lendable(region);
	px_region_release(region);
	return PyBool_FromLong(lendable);
}

/* copy(to, from, fresh=False): the bytes of one buffer into another of the same size. */
static PyObject *copy(PyObject *self, PyObject *args)
{
	PyObject *to, *from, *done = NULL;
	Py_buffer into, source;
	int fresh = 0;

	(void)self;
	if (!PyArg_ParseTuple(args, "OO|p", &to, &from, &fresh) ||
	    PyObject_GetBuffer(to, &into, PyBUF_ANY_CONTIGUOUS | PyBUF_WRITABLE) < 0)
		return NULL;
	if (PyObject_GetBuffer(from, &source, PyBUF_ANY_CONTIGUOUS) == 0) {
		if (into.len == source.len) {
			Py_BEGIN_ALLOW_THREADS
			if (fresh)
				px_segment_touch(into.buf, (uint64_t)into.len);
			px_copy(into.buf, source.buf, (size_t)into.len);
			Py_END_ALLOW_THREADS
			done = Py_None;
			Py_INCREF(done);
		} else {
			PyErr_SetString(PyExc_ValueError, "the buffers have different sizes");
		}
		PyBuffer_Release(&source);
	}
	PyBuffer_Release(&into);
	return done;
}

static PyMethodDef functions[] = {
	{ "copy", copy, METH_VARARGS,
	  "copy(to, from, fresh=False)\n\nThe bytes of one contiguous buffer into another; they must not overlap.\n"
	  "fresh: this process has not used the first one before." },
	{ NULL, NULL, 0, NULL },
};

int px_add_region(PyObject *module)
{
	region_type = PyType_FromModuleAndSpec(module, &spec, NULL);
	if (!region_type || PyModule_AddObjectRef(module, "Region", region_type) < 0)
		return -1;
	return PyModule_AddFunctions(module, functions);
}
