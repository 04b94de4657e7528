/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * running.c - a request's arguments, its run, and its reply.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/loop.h"
#include "link/forked.h"
#include "python/ext/calling.h"
#include "python/ext/interrupt.h"
#include "python/ext/object.h"
#include "python/ext/running.h"
#include "python/ext/stream.h"
#include "shm/error.h"

/* --- replies --- */

/* A body that is a bytes object; the reply keeps it. */
static void release_object(struct px_reply *reply)
{
	Py_XDECREF((PyObject *)reply->owner);
}

static int reply_bytes(struct px_reply *reply, PyObject *bytes)
{
	char *data;
	Py_ssize_t length;

	if (PyBytes_AsStringAndSize(bytes, &data, &length) < 0)
		return -1;
	reply->body = data;
	reply->body_bytes = (uint64_t)length;
	Py_INCREF(bytes);
	reply->owner = bytes;
	reply->release = release_object;
	return 0;
}

static void drop_reply(struct px_reply *reply)
{
	px_parts_free(reply->parts, reply->parts_count);
	if (reply->release)
		reply->release(reply);
	memset(reply, 0, sizeof(*reply));
}

/* Makes the result's buffers parts of the reply: regions as they are, other memory copied. */
static int reply_buffers(struct px_interpreter *py, struct px_reply *reply, PyObject *buffers)
{
	Py_ssize_t count = buffers == Py_None ? 0 : PyList_Size(buffers);

	if (count <= 0)
		return (int)count;
	reply->parts = calloc((size_t)count, sizeof(*reply->parts));
	if (!reply->parts) {
		PyErr_NoMemory();
		return -1;
	}
	for (Py_ssize_t i = 0; i < count; i++) {
		Py_buffer view;
		int rc;

		if (PyObject_GetBuffer(PyList_GetItem(buffers, i), &view, PyBUF_ANY_CONTIGUOUS) < 0)
			return -1;
		Py_BEGIN_ALLOW_THREADS
		rc = px_endpoint_pack(py->engine->endpoint, view.buf, (uint64_t)view.len,
				      &reply->parts[reply->parts_count]);
		Py_END_ALLOW_THREADS
		PyBuffer_Release(&view);
		if (rc < 0) {
			px_raise(rc);
			return -1;
		}
		reply->parts_count++;
	}
	return 0;
}

/*
 * Called when the result object is gone. Regions that the engine's code still uses ("shown") are
 * copied, so that the client does not see later changes. All other memory goes to the client as
 * it is.
 */
static int copy_shown(struct px_interpreter *py, struct px_reply *reply)
{
	for (uint32_t i = 0; i < reply->parts_count; i++) {
		struct px_part *part = &reply->parts[i], copy;
		struct px_region *region = part->region;
		int rc;

		if (!region || region->live ||
		    !atomic_load_explicit(&region->shown, memory_order_relaxed))
			continue;
		Py_BEGIN_ALLOW_THREADS
		rc = px_endpoint_copy(py->engine->endpoint, (uint8_t *)region->at + part->skip,
				      part->bytes, &copy);
		Py_END_ALLOW_THREADS
		if (rc < 0) {
			px_raise(rc);
			return -1;
		}
		px_region_release(region);
		*part = copy;
	}
	return 0;
}

/* The exception that is set becomes the reply. */
static void reply_failure(struct px_interpreter *py, struct px_reply *reply, const char *method)
{
	PyObject *type, *value, *traceback, *said = NULL, *body;
	int unmet;

	drop_reply(reply);
	PyErr_Fetch(&type, &value, &traceback);
	PyErr_NormalizeException(&type, &value, &traceback);
	if (value && traceback)
		PyException_SetTraceback(value, traceback);
	px_interrupt_end(); /* describing the failure is not interrupted */
	if (value)
		said = PyObject_CallFunction(py->failure, "Os", value, method);
	if (said && PyArg_ParseTuple(said, "Op", &body, &unmet) && reply_bytes(reply, body) == 0) {
		reply->code = PX_EREMOTE;
		reply->flags = unmet ? PX_REPLY_UNMET : 0;
	} else {
		PyErr_Clear();
		reply->code = PX_ESYSTEM;
		reply->body = "the request failed, and so did describing how";
		reply->body_bytes = strlen(reply->body);
	}
	Py_XDECREF(said);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(traceback);
}

/* The engine was told to end, and its end is what the client hears of. */
static void reply_nothing(struct px_reply *reply)
{
	drop_reply(reply);
	PyErr_Clear();
	reply->code = PX_EINTR;
}

static void flush(const struct px_interpreter *py, PyObject *stream)
{
	PyObject *done;

	Py_INCREF(stream);
	done = PyObject_CallMethodObjArgs(stream, py->flush, NULL);
	if (!done)
		PyErr_Clear();
	Py_XDECREF(done);
	Py_DECREF(stream);
}

/* Flushes what the request printed into the pipes. */
static void flush_streams(const struct px_interpreter *py)
{
	static const char *const names[] = { "stdout", "stderr" };
	bool written = px_streams_written;
	unsigned telling = 0;

	px_streams_written = false; /* first: what a thread writes meanwhile is flushed next time */
	for (unsigned i = 0; i < 2; i++) {
		PyObject *stream =
			PySys_GetObject(names[i]); /* borrowed; a request may have set it */
		bool tells = stream && px_stream_tells(stream);

		telling += tells;
		if (stream && stream != Py_None && (written || !tells))
			flush(py, stream);
	}
	/* A Stream that something else stands in for has to be flushed when it is back. */
	if (written && telling < 2)
		px_streams_written = true;
}

/* --- requests --- */

/* Steals the value. */
static int reply_pickled(struct px_interpreter *py, struct px_reply *reply, PyObject *value)
{
	PyObject *parts = PyObject_CallFunctionObjArgs(py->dumps, value, NULL), *body, *buffers;
	int rc = -1;

	Py_DECREF(value);
	if (parts && PyArg_ParseTuple(parts, "OO", &body, &buffers) &&
	    reply_bytes(reply, body) == 0 && reply_buffers(py, reply, buffers) == 0)
		rc = 0;
	Py_XDECREF(parts);
	return rc < 0 ? rc : copy_shown(py, reply);
}

/* Steals the value. */
static int reply_value(struct px_interpreter *py, struct px_reply *reply, PyObject *value)
{
	px_flat_again(&py->flat);
	if (!px_flat_write(&py->flat, value))
		return reply_pickled(py, reply, value);
	Py_DECREF(value);
	reply->body = py->flat.at;
	reply->body_bytes = py->flat.used;
	return 0;
}

static int run_apply(struct px_interpreter *py, struct px_incoming *in, struct px_reply *reply)
{
	struct px_call call = { 0 };
	PyObject *value = NULL;

	if (px_call_read(py, in, &call) == 0)
		value = PyObject_Call(call.function, call.args, call.kwargs);
	/* The arguments are released before the result is pickled, if it has none of them. */
	px_call_free(&call);
	return value ? reply_value(py, reply, value) : -1;
}

static int run_execute(struct px_interpreter *py, struct px_incoming *in, struct px_reply *reply)
{
	PyObject *code = px_flat_text(in->body, in->body_bytes, NULL);
	PyObject *body = NULL;
	int rc = -1;

	if (code)
		body = PyObject_CallFunctionObjArgs(py->execute, code,
						    in->flags & PX_EXECUTE_SILENT ? Py_True :
										    Py_False,
						    NULL);
	Py_XDECREF(code);
	if (body)
		rc = reply_bytes(reply, body);
	Py_XDECREF(body);
	return rc;
}

/* The function that a request names; resolved once, then from the cache. A new reference. */
static PyObject *find_function(struct px_interpreter *py, PyObject *name)
{
	PyObject *function = PyDict_GetItemWithError(py->functions, name);

	if (function) {
		Py_INCREF(function);
		return function;
	}
	return PyErr_Occurred() ? NULL : PyObject_CallFunctionObjArgs(py->resolve, name, NULL);
}

static PyObject *call(struct px_interpreter *py, PyObject *values, PyObject *keywords)
{
	PyObject *function = find_function(py, PyList_GetItem(values, 0));
	PyObject *arguments = function ? PyList_GetSlice(values, 1, PyList_Size(values)) : NULL;
	PyObject *tuple = arguments ? PyList_AsTuple(arguments) : NULL;
	PyObject *value = tuple ? PyObject_Call(function, tuple, keywords) : NULL;

	Py_XDECREF(tuple);
	Py_XDECREF(arguments);
	Py_XDECREF(function);
	return value;
}

static PyObject *map(struct px_interpreter *py, PyObject *values)
{
	PyObject *function = find_function(py, PyList_GetItem(values, 0)), *result = NULL;

	if (function)
		result = PyObject_CallFunctionObjArgs(py->map, function, PyList_GetItem(values, 1),
						      PyList_GetItem(values, 2), NULL);
	Py_XDECREF(function);
	return result;
}

/* Whether the request has the values that its kind needs; if not, with an exception. */
static bool are_values(int kind, PyObject *values, PyObject *keywords)
{
	Py_ssize_t count = PyList_Size(values);

	if (count >= 1 && PyUnicode_Check(PyList_GetItem(values, 0)) &&
	    (kind != PX_REQUEST_PUSH || count == 2) && (kind != PX_REQUEST_MAP || count == 3) &&
	    (kind == PX_REQUEST_CALL || !keywords))
		return true;
	PyErr_SetString(PyExc_ValueError,
			"a request without a name, or with other values than it needs");
	return false;
}

static PyObject *value_of(struct px_interpreter *py, struct px_incoming *in)
{
	PyObject *result = NULL, *keywords;
	PyObject *values = px_values_decode(in, &py->hooks, &keywords);

	if (values && are_values(in->kind, values, keywords)) {
		PyObject *name = PyList_GetItem(values, 0);

		if (in->kind == PX_REQUEST_CALL)
			result = call(py, values, keywords);
		else if (in->kind == PX_REQUEST_MAP)
			result = map(py, values);
		else if (in->kind == PX_REQUEST_PUSH)
			result = PyObject_CallFunctionObjArgs(py->push, name,
							      PyList_GetItem(values, 1), NULL);
		else
			result = PyObject_CallFunctionObjArgs(py->pull, name, NULL);
	}
	Py_XDECREF(values);
	Py_XDECREF(keywords);
	return result;
}

static int run_values(struct px_interpreter *py, struct px_incoming *in, struct px_reply *reply)
{
	PyObject *result = value_of(py, in);
	int rc = result ? px_values_encode(result, py->engine->endpoint, &py->hooks, reply) : -1;

	Py_XDECREF(result);
	return rc < 0 ? rc : copy_shown(py, reply);
}

static const char *method_word(int kind)
{
	switch (kind) {
	case PX_REQUEST_EXECUTE:
		return "execute";
	case PX_REQUEST_CALL:
		return "call";
	case PX_REQUEST_MAP:
		return "map";
	case PX_REQUEST_PUSH:
		return "push";
	case PX_REQUEST_PULL:
		return "pull";
	default:
		return "apply";
	}
}

static int run_kind(struct px_interpreter *py, struct px_incoming *in, struct px_reply *reply)
{
	switch (in->kind) {
	case PX_REQUEST_APPLY:
		return run_apply(py, in, reply);
	case PX_REQUEST_EXECUTE:
		return run_execute(py, in, reply);
	case PX_REQUEST_CALL:
	case PX_REQUEST_MAP:
	case PX_REQUEST_PUSH:
	case PX_REQUEST_PULL:
		return run_values(py, in, reply);
	default:
		PyErr_Format(PyExc_ValueError, "this engine knows no request of kind %d", in->kind);
		return -1;
	}
}

/* Whether it is time to look at modules: system calls for each are too much for each request. */
static bool is_time_to_look(struct px_interpreter *py)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec == py->looked)
		return false;
	py->looked = now.tv_sec;
	return true;
}

/* The request is done: whether it has failed, and how, stays as it is. */
static void tell_of_modules(struct px_interpreter *py)
{
	PyObject *type, *value, *traceback, *done;

	PyErr_Fetch(&type, &value, &traceback);
	done = PyObject_CallNoArgs(py->tell);
	if (!done)
		PyErr_Clear(); /* it was interrupted: so was the request, if that still ran */
	Py_XDECREF(done);
	PyErr_Restore(type, value, traceback);
}

static int run_up_to_date(struct px_interpreter *py, struct px_incoming *in, struct px_reply *reply)
{
	PyObject *done;
	int rc;

	if (!is_time_to_look(py))
		return run_kind(py, in, reply);
	done = PyObject_CallNoArgs(py->autoreload);
	rc = done ? run_kind(py, in, reply) : -1;
	Py_XDECREF(done);
	tell_of_modules(py);
	return rc;
}

/* In a child that user code forked and that returned from the request: ends it as a script ends. */
static void end_child(struct px_interpreter *py)
{
	PyObject *type, *value, *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	PyErr_NormalizeException(&type, &value, &traceback);
	if (value && traceback)
		PyException_SetTraceback(value, traceback);
	Py_CLEAR(traceback); /* its frames keep objects that are to be finalized */
	PyObject_CallFunctionObjArgs(py->forked, value ? value : Py_None, NULL);
	_exit(1);
}

/* What it raises fails the request, unless that has failed already. */
static int call_after(const struct px_interpreter *py, int rc)
{
	PyObject *type, *value, *traceback, *done;

	PyErr_Fetch(&type, &value, &traceback);
	done = PyObject_CallNoArgs(py->after);
	if (type) {
		PyErr_Clear();
		PyErr_Restore(type, value, traceback);
	}
	Py_XDECREF(done);
	return done ? rc : -1;
}

void px_run_request(void *ctx, struct px_incoming *in, struct px_reply *reply)
{
	struct px_interpreter *py = ctx;
	int rc;

	px_interrupt_begin();
	rc = run_up_to_date(py, in, reply);
	if (py->engine->endpoint->generation != px_forked_generation())
		end_child(py);
	if (py->after)
		rc = call_after(py, rc);
	if (rc < 0 && atomic_load_explicit(&px_interrupt_stop, memory_order_relaxed) &&
	    PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
		reply_nothing(reply);
	else if (rc < 0)
		reply_failure(py, reply, method_word(in->kind));
	px_interrupt_end();
	flush_streams(py);
}
