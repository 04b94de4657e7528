/* SPDX-License-Identifier: BSD-3-Clause */
/* stream.c - see stream.h. */
#include "python/ext/stream.h"

#include "python/ext/module.h"

bool px_streams_written;

static PyObject *stream_type;
static PyObject *base_write, *base_buffer; /* of TextIOWrapper */
static bool buffer_taken;

static PyObject *stream_write(PyObject *self, PyObject *text)
{
	px_streams_written = true;
	return PyObject_CallFunctionObjArgs(base_write, self, text, NULL);
}

/* Who has it may write there, and nobody is told. */
static PyObject *stream_buffer(PyObject *self, void *unused)
{
	PyObject *get = PyObject_GetAttrString(base_buffer, "__get__"), *buffer = NULL;

	(void)unused;
	buffer_taken = true;
	if (get)
		buffer = PyObject_CallFunctionObjArgs(get, self, NULL);
	Py_XDECREF(get);
	return buffer;
}

bool px_stream_tells(PyObject *stream)
{
	return (PyObject *)Py_TYPE(stream) == stream_type && !buffer_taken;
}

static PyMethodDef methods[] = {
	{ "write", stream_write, METH_O, "As that of io.TextIOWrapper." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef getset[] = {
	{ "buffer", stream_buffer, NULL, "As that of io.TextIOWrapper.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_methods, methods },
	{ Py_tp_getset, getset },
	{ Py_tp_doc,
	  "An engine's stdout or stderr: an io.TextIOWrapper that notes that it was written to." },
	{ 0, NULL },
};

static PyType_Spec spec = {
	.name = "pxrun._pxrun.Stream",
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = slots,
};

int px_add_stream(PyObject *module)
{
	PyObject *io = PyImport_ImportModule("io");
	PyObject *base = io ? PyObject_GetAttrString(io, "TextIOWrapper") : NULL;

	Py_XDECREF(io);
	if (!base)
		return -1;
	base_write = PyObject_GetAttrString(base, "write");
	base_buffer = PyObject_GetAttrString(base, "buffer");
	if (base_write && base_buffer)
		stream_type = PyType_FromModuleAndSpec(module, &spec, base);
	Py_DECREF(base);
	return stream_type ? PyModule_AddObjectRef(module, "Stream", stream_type) : -1;
}
