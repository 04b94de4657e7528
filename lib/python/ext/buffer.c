/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * buffer.c - the type pxrun._pxrun.Buffer.
 */
#include "python/ext/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "python/ext/object.h"
#include "shm/error.h"

struct buffer {
	PyObject_HEAD
	struct px_loan *loan; /* NULL: a copy */
	void *at;
	Py_ssize_t bytes;
};

static PyObject *buffer_type;

static void buffer_dealloc(PyObject *self)
{
	struct buffer *buffer = (struct buffer *)self;

	if (buffer->loan)
		px_loan_release(buffer->loan);
	else
		free(buffer->at);
	px_unmake(self);
}

static int buffer_get(PyObject *self, Py_buffer *view, int flags)
{
	struct buffer *buffer = (struct buffer *)self;

	return PyBuffer_FillInfo(view, self, buffer->at, buffer->bytes, 0, flags);
}

static Py_ssize_t buffer_length(PyObject *self)
{
	return ((struct buffer *)self)->bytes;
}

static PyType_Slot slots[] = {
	{ Py_tp_dealloc, buffer_dealloc },
	{ Py_bf_getbuffer, buffer_get },
	{ Py_sq_length, buffer_length },
	{ Py_tp_doc,
	  "Memory that came with a message: writable, and the receiver's own unless it is live." },
	{ 0, NULL },
};

static PyType_Spec spec = {
	.name = "pxrun._pxrun.Buffer",
	.basicsize = sizeof(struct buffer),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = slots,
};

/* For a short loan: copies the memory and releases the loan. */
static int copy_loan(struct buffer *buffer, struct px_loan *loan)
{
	buffer->at = malloc(loan->bytes);
	if (!buffer->at)
		return px_fail(PX_ENOMEM, "no private memory for a buffer of %llu bytes",
			       (unsigned long long)loan->bytes);
	memcpy(buffer->at, loan->shared, loan->bytes);
	px_loan_release(loan);
	return 0;
}

PyObject *px_buffer_from_loan(struct px_loan *loan)
{
	struct buffer *buffer = (struct buffer *)px_make(buffer_type);
	int rc = 0;

	if (!buffer) {
		px_loan_release(loan);
		return NULL;
	}
	if (!loan)
		return (PyObject *)buffer;
	buffer->bytes = (Py_ssize_t)loan->bytes;
	if (loan->bytes < PX_MAPPED_BYTES && !loan->live) {
		rc = copy_loan(buffer, loan);
	} else {
		rc = px_loan_map(loan, &buffer->at);
		if (rc == 0)
			buffer->loan = loan;
	}
	if (rc < 0) {
		px_loan_release(loan);
		Py_DECREF((PyObject *)buffer);
		return px_raise(rc);
	}
	return (PyObject *)buffer;
}

void *px_buffer_memory(PyObject *object, size_t *bytes)
{
	const struct buffer *buffer = (struct buffer *)object;

	if ((PyObject *)Py_TYPE(object) != buffer_type)
		return NULL;
	*bytes = (size_t)buffer->bytes;
	return buffer->at;
}

PyObject *px_buffers_from_incoming(struct px_incoming *in)
{
	/* Making an object may run Python code that calls this again, so each loan is taken once. */
	struct px_loan **loans = in->buffers;
	uint32_t count = in->buffers_count;
	PyObject *list;

	if (!count)
		PX_RETURN_NONE;
	if (!loans) {
		PyErr_SetString(PyExc_RuntimeError, "the reply's buffers were taken already");
		return NULL;
	}
	in->buffers = NULL;
	list = PyList_New(count);
	for (uint32_t i = 0; i < count; i++) {
		PyObject *buffer = list ? px_buffer_from_loan(loans[i]) : NULL;

		if (!list)
			px_loan_release(loans[i]);
		else if (!buffer || PyList_SetItem(list, i, buffer) < 0)
			Py_CLEAR(list);
	}
	free(loans);
	return list;
}

int px_add_buffer(PyObject *module)
{
	buffer_type = PyType_FromModuleAndSpec(module, &spec, NULL);
	return buffer_type ? PyModule_AddObjectRef(module, "Buffer", buffer_type) : -1;
}
