/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine.c - runs requests in Python, and offers the engine's loop to the package.
 *
 * pxrun.engine calls template() and then, in each engine, serve(). What is easier in Python is done
 * by the Handlers object that serve() is given (pxrun/engine/handlers.py).
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/heap.h"
#include "engine/loop.h"
#include "engine/template.h"
#include "link/forked.h"
#include "pool/control.h"
#include "python/ext/buffer.h"
#include "python/ext/interrupt.h"
#include "python/ext/module.h"
#include "python/ext/object.h"
#include "python/ext/pyvalues.h"
#include "python/ext/serving.h"
#include "shm/error.h"
#include "shm/killpoint.h"

static struct px_engine_process *serving;

struct px_engine_process *px_serving_once(void)
{
	return serving;
}

struct px_engine_process *px_serving(void)
{
	return serving && serving->endpoint->generation == px_forked_generation() ? serving : NULL;
}

struct interpreter {
	PyObject *loads;       /* pickle.loads */
	PyObject *buffers;     /* "buffers", its keyword */
	PyObject *unreadable;  /* (exception): raises the error that the client gets */
	PyObject *dumps;       /* result -> (body, buffers) */
	PyObject *none;        /* the pickle of None */
	PyObject *execute;     /* (code, silent) -> body */
	PyObject *resolve;     /* "module:function" -> callable */
	PyObject *push, *pull; /* (name, value), (name) */
	PyObject *failure;     /* (exception, method) -> body */
	PyObject *forked;    /* (exception or None): ends a child that returned from the request */
	PyObject *flush;     /* "flush" */
	PyObject *functions; /* resolved before: str -> callable */
	struct px_array_hooks hooks;
	struct px_engine_process *engine;
	PyThreadState *thread;
};

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
static int reply_buffers(struct interpreter *py, struct px_reply *reply, PyObject *buffers)
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
static int copy_shown(struct interpreter *py, struct px_reply *reply)
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
static void reply_failure(struct interpreter *py, struct px_reply *reply, const char *method)
{
	PyObject *type, *value, *traceback, *body = NULL;

	drop_reply(reply);
	PyErr_Fetch(&type, &value, &traceback);
	PyErr_NormalizeException(&type, &value, &traceback);
	if (value && traceback)
		PyException_SetTraceback(value, traceback);
	px_interrupt_end(); /* describing the failure is not interrupted */
	if (value)
		body = PyObject_CallFunction(py->failure, "Os", value, method);
	if (body && reply_bytes(reply, body) == 0) {
		reply->code = PX_EREMOTE;
	} else {
		PyErr_Clear();
		reply->code = PX_ESYSTEM;
		reply->body = "the request failed, and so did describing how";
		reply->body_bytes = strlen(reply->body);
	}
	Py_XDECREF(body);
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

/* Flushes what the request printed into the pipes. */
static void flush_streams(const struct interpreter *py)
{
	static const char *const names[] = { "stdout", "stderr" };

	for (unsigned i = 0; i < 2; i++) {
		PyObject *stream =
			PySys_GetObject(names[i]); /* borrowed; a request may have set it */
		PyObject *done = NULL;

		if (stream && stream != Py_None)
			done = PyObject_CallMethodObjArgs(stream, py->flush, NULL);
		if (!done)
			PyErr_Clear();
		Py_XDECREF(done);
	}
}

/* --- requests --- */

/* Replaces the exception of a call that cannot be unpickled by the one that the client gets. */
static void say_unreadable(const struct interpreter *py)
{
	PyObject *type, *value, *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	PyErr_NormalizeException(&type, &value, &traceback);
	Py_XDECREF(PyObject_CallFunctionObjArgs(py->unreadable, value, NULL));
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(traceback);
}

static PyObject *unpickle(const struct interpreter *py, PyObject *body, PyObject *buffers)
{
	PyObject *arguments, *keywords, *call = NULL;

	if (buffers == Py_None)
		return PyObject_CallFunctionObjArgs(py->loads, body, NULL);
	arguments = PyTuple_Pack(1, body);
	keywords = PyDict_New();
	if (arguments && keywords && PyDict_SetItem(keywords, py->buffers, buffers) == 0)
		call = PyObject_Call(py->loads, arguments, keywords);
	Py_XDECREF(keywords);
	Py_XDECREF(arguments);
	return call;
}

/* The (f, args, kwargs) of a request. Its loans are released as soon as nothing uses them. */
static PyObject *read_call(const struct interpreter *py, struct px_incoming *in)
{
	PyObject *body = PyBytes_FromStringAndSize(in->body, (Py_ssize_t)in->body_bytes);
	PyObject *buffers = body ? px_buffers_from_incoming(in) : NULL;
	PyObject *call = NULL;

	/* A long body lies in a region: released before the call. */
	px_loan_release(in->body_loan);
	in->body_loan = NULL;
	if (buffers) {
		call = unpickle(py, body, buffers);
		if (call && (!PyTuple_Check(call) || PyTuple_Size(call) != 3)) {
			Py_CLEAR(call);
			PyErr_SetString(PyExc_TypeError,
					"the request is not a (function, args, kwargs) tuple");
		}
		if (!call)
			say_unreadable(py);
	}
	Py_XDECREF(buffers);
	Py_XDECREF(body);
	return call;
}

/* Steals the value. */
static int reply_value(struct interpreter *py, struct px_reply *reply, PyObject *value)
{
	PyObject *parts, *body, *buffers;
	int rc = -1;

	if (value == Py_None) {
		Py_DECREF(value);
		return reply_bytes(reply, py->none);
	}
	parts = PyObject_CallFunctionObjArgs(py->dumps, value, NULL);
	Py_DECREF(value);
	if (parts && PyArg_ParseTuple(parts, "OO", &body, &buffers) &&
	    reply_bytes(reply, body) == 0 && reply_buffers(py, reply, buffers) == 0)
		rc = 0;
	Py_XDECREF(parts);
	return rc < 0 ? rc : copy_shown(py, reply);
}

static int run_apply(struct interpreter *py, struct px_incoming *in, struct px_reply *reply)
{
	PyObject *call = read_call(py, in);
	PyObject *value = NULL;

	if (call) {
		value = PyObject_Call(PyTuple_GetItem(call, 0), PyTuple_GetItem(call, 1),
				      PyTuple_GetItem(call, 2));
		/* The arguments are released before the result is pickled, if it has none of them. */
		Py_DECREF(call);
	}
	return value ? reply_value(py, reply, value) : -1;
}

static int run_execute(struct interpreter *py, struct px_incoming *in, struct px_reply *reply)
{
	PyObject *code = PyUnicode_DecodeUTF8(in->body, (Py_ssize_t)in->body_bytes, NULL);
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
static PyObject *find_function(struct interpreter *py, PyObject *name)
{
	PyObject *function = PyDict_GetItemWithError(py->functions, name);

	if (function) {
		Py_INCREF(function);
		return function;
	}
	return PyErr_Occurred() ? NULL : PyObject_CallFunctionObjArgs(py->resolve, name, NULL);
}

static PyObject *call(struct interpreter *py, PyObject *values)
{
	Py_ssize_t count = PyList_Size(values);
	PyObject *function = find_function(py, PyList_GetItem(values, 0));
	PyObject *arguments, *value = NULL;

	if (!function)
		return NULL;
	if (count == 1) {
		value = PyObject_CallNoArgs(function);
	} else {
		arguments = PyList_GetSlice(values, 1, count);
		PyObject *tuple = arguments ? PyList_AsTuple(arguments) : NULL;

		if (tuple)
			value = PyObject_Call(function, tuple, NULL);
		Py_XDECREF(tuple);
		Py_XDECREF(arguments);
	}
	Py_DECREF(function);
	return value;
}

static int run_values(struct interpreter *py, struct px_incoming *in, struct px_reply *reply)
{
	PyObject *values = px_values_decode(in, &py->hooks);
	Py_ssize_t count = values ? PyList_Size(values) : 0;
	PyObject *result = NULL;
	int rc = -1;

	if (values && (count < 1 || !PyUnicode_Check(PyList_GetItem(values, 0)) ||
		       (in->kind == PX_REQUEST_PUSH && count != 2)))
		PyErr_SetString(PyExc_ValueError, "a request without a name");
	else if (values && in->kind == PX_REQUEST_CALL)
		result = call(py, values);
	else if (values && in->kind == PX_REQUEST_PUSH)
		result = PyObject_CallFunctionObjArgs(py->push, PyList_GetItem(values, 0),
						      PyList_GetItem(values, 1), NULL);
	else if (values)
		result = PyObject_CallFunctionObjArgs(py->pull, PyList_GetItem(values, 0), NULL);
	Py_XDECREF(values);
	if (result)
		rc = px_values_encode(result, py->engine->endpoint, &py->hooks, reply);
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
	case PX_REQUEST_PUSH:
		return "push";
	case PX_REQUEST_PULL:
		return "pull";
	default:
		return "apply";
	}
}

static int run_kind(struct interpreter *py, struct px_incoming *in, struct px_reply *reply)
{
	switch (in->kind) {
	case PX_REQUEST_APPLY:
		return run_apply(py, in, reply);
	case PX_REQUEST_EXECUTE:
		return run_execute(py, in, reply);
	case PX_REQUEST_CALL:
	case PX_REQUEST_PUSH:
	case PX_REQUEST_PULL:
		return run_values(py, in, reply);
	default:
		PyErr_Format(PyExc_ValueError, "this engine knows no request of kind %d", in->kind);
		return -1;
	}
}

/* In a child that user code forked and that returned from the request: ends it as a script ends. */
static void end_child(struct interpreter *py)
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

static void run(void *ctx, struct px_incoming *in, struct px_reply *reply)
{
	struct interpreter *py = ctx;
	int rc;

	px_interrupt_begin();
	rc = run_kind(py, in, reply);
	if (py->engine->endpoint->generation != px_forked_generation())
		end_child(py);
	if (rc < 0 && atomic_load_explicit(&px_interrupt_stop, memory_order_relaxed) &&
	    PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
		reply_nothing(reply);
	else if (rc < 0)
		reply_failure(py, reply, method_word(in->kind));
	px_interrupt_end();
	flush_streams(py);
}

/* --- serving --- */

static void let_others_run(void *ctx)
{
	((struct interpreter *)ctx)->thread = PyEval_SaveThread();
}

static void take_turn(void *ctx)
{
	PyEval_RestoreThread(((struct interpreter *)ctx)->thread);
	px_interrupt_idle();
}

/* A descriptor at the crash text in our block, for faulthandler to write to. */
static PyObject *crash_fd(PyObject *self, PyObject *args)
{
	char path[64];
	int segment, fd;
	unsigned slot;
	struct px_segment *s;
	off_t offset;

	(void)self;
	if (!PyArg_ParseTuple(args, "iI", &segment, &slot))
		return NULL;
	if (px_segment_attach(segment, &s) < 0)
		return px_raise(PX_EVERSION);
	offset = (off_t)(px_segment_block_offset(s, slot) + offsetof(struct px_block_shm, crash));
	s->fd = -1; /* the caller's */
	px_segment_detach(s);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", segment);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || lseek(fd, offset, SEEK_SET) < 0) {
		if (fd >= 0)
			close(fd);
		return PyLong_FromLong(-1);
	}
	return PyLong_FromLong(fd);
}

static PyObject *template(PyObject *self, PyObject *args)
{
	struct px_birth birth = { 0 };
	const char *reason;
	int control, segment, rc;

	(void)self;
	if (!PyArg_ParseTuple(args, "iiz", &control, &segment, &reason))
		return NULL;
	px_killpoint_role("template");
	rc = px_template_run(control, segment, reason, &birth);
	if (rc < 0)
		return px_raise(rc);
	if (rc == 0)
		Py_RETURN_NONE;
	return Py_BuildValue("(IIIIiii)", birth.id, birth.slot, birth.epoch, birth.generation,
			     birth.control, birth.out_read, birth.err_read);
}

static PyObject *preloading(PyObject *self, PyObject *args)
{
	struct px_control packet = { .type = PX_CONTROL_PRELOAD };
	const char *module;
	int control, rc;

	(void)self;
	if (!PyArg_ParseTuple(args, "is", &control, &module))
		return NULL;
	rc = px_control_send(control, &packet, module, NULL, 0);
	if (rc < 0)
		return px_raise(rc);
	Py_RETURN_NONE;
}

static PyObject *set_up_process(PyObject *self, PyObject *args)
{
	int supervisor, rc;

	(void)self;
	if (!PyArg_ParseTuple(args, "i", &supervisor))
		return NULL;
	rc = px_engine_set_up_process(supervisor);
	if (rc < 0)
		return px_raise(rc);
	Py_RETURN_NONE;
}

static int take_handlers(struct interpreter *py, PyObject *handlers)
{
	struct {
		const char *name;
		PyObject **to;
	} wanted[] = {
		{ "loads", &py->loads },
		{ "unreadable", &py->unreadable },
		{ "dumps", &py->dumps },
		{ "none", &py->none },
		{ "execute", &py->execute },
		{ "resolve", &py->resolve },
		{ "push", &py->push },
		{ "pull", &py->pull },
		{ "failure", &py->failure },
		{ "forked", &py->forked },
		{ "functions", &py->functions },
		{ "to_array", &py->hooks.to_array },
		{ "from_array", &py->hooks.from_array },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		*wanted[i].to = PyObject_GetAttrString(handlers, wanted[i].name);
		if (!*wanted[i].to)
			return -1;
	}
	py->flush = PyUnicode_InternFromString("flush");
	py->buffers = PyUnicode_InternFromString("buffers");
	return py->flush && py->buffers ? 0 : -1;
}

static int say_ready(int control)
{
	struct px_control ready = { .type = PX_CONTROL_READY, .a = (uint64_t)getpid() };

	return px_control_send(control, &ready, NULL, NULL, 0);
}

static PyObject *serve(PyObject *self, PyObject *args)
{
	struct interpreter py = { 0 };
	/* Static, for the memory of arrays is looked for in it until the process ends. */
	static struct px_engine_process engine = { .run = run,
						   .before_wait = let_others_run,
						   .after_wait = take_turn,
						   .stop = &px_interrupt_stop };
	struct px_segment *segment;
	struct px_member_id id;
	int segment_fd, control, out_read, err_read, log, rc;
	PyObject *handlers;

	(void)self;
	if (!PyArg_ParseTuple(args, "IIIiiiiiO", &engine.id, &id.slot, &id.epoch, &segment_fd,
			      &control, &out_read, &err_read, &log, &handlers) ||
	    take_handlers(&py, handlers) < 0)
		return NULL;
	px_killpoint_role("engine");
	px_heap_keep_warm();
	py.engine = &engine;
	engine.ctx = &py;
	rc = px_segment_attach(segment_fd, &segment);
	if (rc == 0)
		rc = px_endpoint_open(segment, id, control, &engine.endpoint);
	if (rc == 0)
		rc = px_interrupt_watch(&engine);
	/* The last step that may fail: from now on the supervisor no longer logs what it prints. */
	if (rc == 0)
		rc = px_streams_new(out_read, err_read, log, &engine.streams);
	if (rc < 0)
		return px_raise(rc);
	serving = &engine;
	rc = say_ready(control);
	if (rc == 0)
		rc = px_engine_serve(&engine);
	/* Nothing is freed: the process ends soon, and the supervisor's sweep frees its memory. */
	return PyLong_FromLong(rc);
}

static PyObject *progress(PyObject *self, PyObject *units)
{
	unsigned long long count = PyLong_AsUnsignedLongLong(units);
	struct px_link *link;

	(void)self;
	if (PyErr_Occurred())
		return NULL;
	link = px_serving() ? atomic_load_explicit(&serving->running, memory_order_relaxed) : NULL;
	if (link)
		px_link_progress(link, count);
	Py_RETURN_NONE;
}

static PyObject *publish(PyObject *self, PyObject *args)
{
	Py_buffer bytes;
	unsigned which;
	int rc = PX_EINVAL;

	(void)self;
	if (!PyArg_ParseTuple(args, "Iy*", &which, &bytes))
		return NULL;
	if (!px_serving())
		px_fail(rc, "this process is no engine: there is no client to publish to");
	else if (which < 1 || which > PX_STREAMS)
		px_fail(rc, "there is no stream %u", which);
	else
		rc = px_streams_publish(serving->streams, (enum px_stream)(which - 1), bytes.buf,
					(size_t)bytes.len);
	PyBuffer_Release(&bytes);
	if (rc < 0)
		return px_raise(rc);
	Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
	{ "template", template, METH_VARARGS,
	  "template(control, segment, reason) -> None | (id, slot, epoch, generation, control, out, "
	  "err)\n\nForks engines for the supervisor; returns in each of them. None: the supervisor "
	  "is gone." },
	{ "preloading", preloading, METH_VARARGS,
	  "preloading(control, module)\n\nTells the supervisor what the template imports next." },
	{ "set_up_process", set_up_process, METH_VARARGS,
	  "set_up_process(supervisor_pid)\n\nWhat a forked engine has done already, for one started by exec." },
	{ "crash_fd", crash_fd, METH_VARARGS,
	  "crash_fd(segment, slot) -> fd\n\nA descriptor at the engine's crash slot, or -1." },
	{ "serve", serve, METH_VARARGS,
	  "serve(id, slot, epoch, segment, control, out, err, log, handlers) -> code\n\nThe engine's "
	  "loop, until it is told to stop." },
	{ "progress", progress, METH_O,
	  "progress(n)\n\nIn a request: adds n to the number of elements that are done." },
	{ "publish", publish, METH_VARARGS,
	  "publish(which, bytes)\n\nIn a request: sends its client a chunk of output; see Result.chunks()." },
	{ NULL, NULL, 0, NULL },
};

int px_add_engine(PyObject *module)
{
	return px_add_engine_memory(module) < 0 ? -1 : PyModule_AddFunctions(module, functions);
}
