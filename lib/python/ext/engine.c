/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine.c - offers the engine's loop to the package. What requests do is in running.c.
 *
 * pxrun.engine calls template() and then, in each engine, serve(). What is easier in Python is done
 * by the Handlers object that serve() is given (pxrun/engine/handlers.py).
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "engine/heap.h"
#include "engine/loop.h"
#include "engine/template.h"
#include "link/forked.h"
#include "machine/address_space.h"
#include "pool/control.h"
#include "pool/title.h"
#include "python/ext/interrupt.h"
#include "python/ext/module.h"
#include "python/ext/object.h"
#include "python/ext/running.h"
#include "python/ext/serving.h"
#include "python/ext/waiting.h"
#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"

static struct px_engine_process *serving;

struct px_engine_process *px_serving_once(void)
{
	return serving;
}

struct px_engine_process *px_serving(void)
{
	return serving && serving->endpoint->generation == px_forked_generation() ? serving : NULL;
}

static void let_others_run(void *ctx)
{
	((struct px_interpreter *)ctx)->thread = PyEval_SaveThread();
}

static void take_turn(void *ctx)
{
	PyEval_RestoreThread(((struct px_interpreter *)ctx)->thread);
	px_interrupt_idle();
}

/* Of this process, once it is an engine; attached before code of users runs. */
static struct px_segment *segment;

static PyObject *attach_segment(PyObject *self, PyObject *fd)
{
	long number = PyLong_AsLong(fd);
	int rc;

	(void)self;
	if (PyErr_Occurred())
		return NULL;
	rc = px_address_space_explain(px_segment_attach((int)number, &segment));
	if (rc < 0)
		return px_raise(rc);
	PX_RETURN_NONE;
}

static PyObject *template(PyObject *self, PyObject *args)
{
	const struct px_forking forking = {
		.before = PyOS_BeforeFork,
		.after = PyOS_AfterFork_Parent,
		.after_in_engine = PyOS_AfterFork_Child,
		.python = (uint32_t)Py_Version,
	};
	struct px_birth birth = { 0 };
	const char *reason;
	int control, rc;

	(void)self;
	if (!PyArg_ParseTuple(args, "iz", &control, &reason))
		return NULL;
	px_killpoint_role("template");
	rc = px_template_run(control, reason, &forking, &birth);
	if (rc < 0)
		return px_raise(rc);
	if (rc == 0)
		PX_RETURN_NONE;
	segment = birth.segment;
	return Py_BuildValue("(IIIIiiii)", birth.id, birth.slot, birth.epoch, birth.generation,
			     birth.control, birth.out_read, birth.err_read, birth.crash);
}

static PyObject *raise_descriptor(PyObject *self, PyObject *fd)
{
	long number = PyLong_AsLong(fd);

	(void)self;
	return PyErr_Occurred() ? NULL : PyLong_FromLong(px_descriptor_raise((int)number));
}

/* Tells the supervisor a text. */
static PyObject *tell(PyObject *args, uint16_t type, int32_t code)
{
	struct px_control packet = { .type = type, .b = (uint64_t)Py_Version, .code = code };
	const char *text;
	int control, rc;

	if (!PyArg_ParseTuple(args, "is", &control, &text))
		return NULL;
	rc = px_control_send(control, &packet, text, NULL, 0);
	if (rc < 0)
		return px_raise(rc);
	PX_RETURN_NONE;
}

static PyObject *preloading(PyObject *self, PyObject *args)
{
	(void)self;
	return tell(args, PX_CONTROL_PRELOAD, 0);
}

static PyObject *warn(PyObject *self, PyObject *args)
{
	(void)self;
	return tell(args, PX_CONTROL_WARN, 0);
}

static PyObject *refuse(PyObject *self, PyObject *args)
{
	(void)self;
	return tell(args, PX_CONTROL_READY, PX_EENGINE);
}

static PyObject *interpreter(PyObject *self, PyObject *args)
{
	(void)self;
	return tell(args, PX_CONTROL_PYTHON, 0);
}

static PyObject *set_title(PyObject *self, PyObject *args)
{
	const char *pool, *who;

	(void)self;
	if (!PyArg_ParseTuple(args, "ss", &pool, &who))
		return NULL;
	px_title_set(pool, who);
	PX_RETURN_NONE;
}

static PyObject *set_up_process(PyObject *self, PyObject *joined)
{
	int rc = px_engine_set_up_process(segment, PyObject_IsTrue(joined));

	(void)self;
	if (rc < 0)
		return px_raise(rc);
	PX_RETURN_NONE;
}

static int take_handlers(struct px_interpreter *py, PyObject *handlers)
{
	struct {
		const char *name;
		PyObject **to;
	} wanted[] = {
		{ "loads", &py->loads },
		{ "unreadable", &py->unreadable },
		{ "dumps", &py->dumps },
		{ "execute", &py->execute },
		{ "resolve", &py->resolve },
		{ "push", &py->push },
		{ "pull", &py->pull },
		{ "map", &py->map },
		{ "autoreload", &py->autoreload },
		{ "tell", &py->tell },
		{ "failure", &py->failure },
		{ "forked", &py->forked },
		{ "functions", &py->functions },
		{ "code_of", &py->code_of },
		{ "globals_of", &py->globals_of },
		{ "take_along", &py->take_along },
		{ "function", &py->function },
		{ "kept", &py->kept },
		{ "keep_pickled", &py->keep_pickled },
		{ "to_array", &py->hooks.to_array },
		{ "form", &py->hooks.form },
		{ "words", &py->hooks.words },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		*wanted[i].to = PyObject_GetAttrString(handlers, wanted[i].name);
		if (!*wanted[i].to)
			return -1;
	}
	px_flat_begin(&py->flat);
	py->flush = PyUnicode_InternFromString("flush");
	py->buffers = PyUnicode_InternFromString("buffers");
	py->names = PyDict_New();
	py->codes = PyDict_New();
	return py->flush && py->buffers && py->names && py->codes ? 0 : -1;
}

static int say_ready(int control)
{
	struct px_control ready = { .type = PX_CONTROL_READY, .a = (uint64_t)getpid() };

	return px_control_send(control, &ready, NULL, NULL, 0);
}

/* What the pool's setting startup prints goes to the log, and not to the first client. */
static int start_up(PyObject *begin, struct px_streams *streams)
{
	struct px_outlet rest[2] = { 0 };
	PyObject *begun = PyObject_CallNoArgs(begin);

	if (!begun)
		return -1;
	Py_DECREF(begun);
	(void)px_streams_end(streams, rest);
	for (unsigned i = 0; i < 2; i++)
		px_outlet_free(&rest[i]);
	return 0;
}

static PyObject *serve(PyObject *self, PyObject *args)
{
	struct px_interpreter py = { 0 };
	/* Static, for the memory of arrays is looked for in it until the process ends. */
	static struct px_engine_process engine = { .run = px_run_request,
						   .before_wait = let_others_run,
						   .after_wait = take_turn,
						   .stop = &px_interrupt_stop };
	struct px_member_id id;
	int control, out_read, err_read, log, rc;
	PyObject *handlers, *begin;
	unsigned long long max_requests, max_bytes;

	(void)self;
	if (!PyArg_ParseTuple(args, "IIIiiiiOOKK", &engine.id, &id.slot, &id.epoch, &control,
			      &out_read, &err_read, &log, &handlers, &begin, &max_requests,
			      &max_bytes) ||
	    take_handlers(&py, handlers) < 0)
		return NULL;
	px_killpoint_role("engine");
	px_heap_keep_warm();
	py.engine = &engine;
	engine.ctx = &py;
	engine.renewal.max_requests = max_requests;
	engine.renewal.max_bytes = max_bytes;
	rc = px_endpoint_open(segment, id, control, &engine.endpoint);
	if (rc == 0)
		rc = px_interrupt_watch(&engine);
	/* The last step that may fail: from now on the supervisor no longer logs what it prints. */
	if (rc == 0)
		rc = px_streams_new(engine.id, out_read, err_read, log, &engine.streams);
	if (rc < 0)
		return px_raise(rc);
	serving = &engine;
	if (start_up(begin, engine.streams) < 0)
		return NULL;
	rc = say_ready(engine.endpoint->control);
	if (rc == 0)
		rc = px_engine_serve(&engine);
	if (rc == PX_ECLOSED) {
		fprintf(stderr, "pxrun: engine %u: %s\n", engine.id, px_last_error());
		px_endpoint_last_words(engine.endpoint, px_last_error());
	}
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
	PX_RETURN_NONE;
}

/* So long a client that has something to read is waited for, unless it did not read in that time before. */
#define PATIENCE_NS UINT64_C(5000000000)
#define NAP_NS 1000000

static int publish_once(unsigned which, const Py_buffer *bytes)
{
	return px_streams_publish(serving->streams, (enum px_stream)(which - 1), bytes->buf,
				  (size_t)bytes->len);
}

/* What is larger than the room that there is goes when the client has read on. PX_RAISED. */
static int publish_when_there_is_room(unsigned which, const Py_buffer *bytes)
{
	static bool unheard; /* with the interpreter's lock */
	uint64_t until = px_os.now_ns() + PATIENCE_NS;
	int rc = publish_once(which, bytes);

	while ((rc == PX_EAGAIN || rc == PX_ENOMEM) && !unheard) {
		struct px_link *link =
			atomic_load_explicit(&serving->running, memory_order_relaxed);
		/* Before the next attempt, which can use whatever the reading has freed. */
		bool drained = !link || px_link_drained(link);

		Py_BEGIN_ALLOW_THREADS
		nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
		rc = publish_once(which, bytes);
		Py_END_ALLOW_THREADS
		if (rc != 0 && PyErr_CheckSignals() < 0)
			return PX_RAISED;
		if (rc == PX_ENOMEM && drained)
			return rc;
		unheard = rc != 0 && px_os.now_ns() >= until;
	}
	if (rc == 0)
		unheard = false;
	return rc;
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
		rc = publish_when_there_is_room(which, &bytes);
	PyBuffer_Release(&bytes);
	if (rc < 0)
		return rc == PX_RAISED ? NULL : px_raise(rc);
	PX_RETURN_NONE;
}

static PyObject *call_after(PyObject *self, PyObject *function)
{
	struct px_interpreter *py = px_serving() ? serving->ctx : NULL;

	(void)self;
	if (py) {
		PyObject *before = py->after;

		py->after = Py_NewRef(function);
		Py_XDECREF(before);
	}
	PX_RETURN_NONE;
}

static PyMethodDef functions[] = {
	{ "template", template, METH_VARARGS,
	  "template(control, reason) -> None | (id, slot, epoch, generation, control, out, err, "
	  "crash)\n\nForks engines for the supervisor; returns in each of them. None: the supervisor "
	  "is gone." },
	{ "raise_descriptor", raise_descriptor, METH_O,
	  "raise_descriptor(fd) -> fd\n\nMoves a descriptor to where code of users hardly comes; see "
	  "shm/descriptor.h." },
	{ "preloading", preloading, METH_VARARGS,
	  "preloading(control, module)\n\nTells the supervisor what the template imports next." },
	{ "warn", warn, METH_VARARGS,
	  "warn(control, text)\n\nHas the template warn whoever starts the pool." },
	{ "refuse", refuse, METH_VARARGS,
	  "refuse(control, text)\n\nTells the supervisor why no engine can be made of this process." },
	{ "interpreter", interpreter, METH_VARARGS,
	  "interpreter(control, path)\n\nTells the supervisor which one the template runs in." },
	{ "set_title", set_title, METH_VARARGS,
	  "set_title(pool, who)\n\nWhat ps(1) shows as the command line, and as the name." },
	{ "set_up_process", set_up_process, METH_O,
	  "set_up_process(joined)\n\nWhat a forked engine has done already, for one started by exec." },
	{ "attach_segment", attach_segment, METH_O,
	  "attach_segment(fd)\n\nWhat a forked engine has done already, for one started by exec. Takes fd." },
	{ "serve", serve, METH_VARARGS,
	  "serve(id, slot, epoch, control, out, err, log, handlers) -> code\n\nThe engine's "
	  "loop, until it is told to stop." },
	{ "progress", progress, METH_O,
	  "progress(n)\n\nIn a request: adds n to the number of elements that are done." },
	{ "publish", publish, METH_VARARGS,
	  "publish(which, bytes)\n\nIn a request: sends its client a chunk of output; see Result.chunks()." },
	{ "call_after", call_after, METH_O,
	  "call_after(function)\n\nIn an engine: has it called at the end of each request, before its reply." },
	{ NULL, NULL, 0, NULL },
};

int px_add_engine(PyObject *module)
{
	return px_add_engine_memory(module) < 0 ? -1 : PyModule_AddFunctions(module, functions);
}
