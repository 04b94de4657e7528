/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * direct.c - see direct.h.
 */
#include "python/ext/direct.h"

#include <stddef.h>
#include <string.h>
#include <structmember.h>

#include "client/client.h"
#include "python/ext/calling.h"
#include "python/ext/client.h"
#include "python/ext/module.h"
#include "python/ext/naming.h"
#include "python/ext/object.h"
#include "python/ext/result.h"
#include "python/ext/sent.h"
#include "python/ext/waiting.h"

/* Names of attributes of DirectView and Client, made once. */
static struct {
	PyObject *core, *call, *read_replies, *interrupted, *name, *globals, *tell_of;
} names;

/* --- the way of a plain call --- */

bool px_direct_is_plain(const struct px_direct *view)
{
	return view->client && view->targets && view->send_globals && view->label && view->sent &&
	       view->track == Py_False && view->timeout == Py_None && view->library == Py_None;
}

static bool put_head(struct px_flat *flat, PyObject *head)
{
	size_t bytes = (size_t)PyBytes_Size(head);
	uint8_t *at = px_flat_room(flat, bytes);

	flat->lends = true;
	if (at)
		memcpy(at, PyBytes_AsString(head), bytes);
	return at;
}

bool px_direct_begin(const struct px_direct *view, struct px_flat *flat, PyObject *function)
{
	PyObject *head = px_name_head(function);
	bool put;

	if (head)
		return put_head(flat, head);
	head = PyErr_Occurred() ? NULL : px_value_head(function, view->send_globals);
	put = head && put_head(flat, head);
	Py_XDECREF(head);
	return put;
}

/* The ids that a view names; 0: it takes more to find out, or to say what is wrong with them. */
static uint32_t targets_of(const struct px_direct *view, struct px_client *client,
			   uint32_t *engines)
{
	PyObject *targets = view->targets;
	int count = 1;

	if (PyLong_CheckExact(targets))
		engines[0] = px_ext_engine_id(targets);
	else if (PyList_Check(targets))
		count = px_ext_engine_ids(targets, engines);
	else
		count = px_client_engines(client, engines, PX_ENGINES_MAX);
	if (!PyErr_Occurred())
		return count < 0 || count > PX_ENGINES_MAX ? 0 : (uint32_t)count;
	PyErr_Clear();
	return 0;
}

/* Whether a value can be read from all replies, without pickle. */
static bool are_flat(const struct px_result *result)
{
	for (uint32_t i = 0; i < result->count; i++) {
		const struct px_request *request = &result->requests[i];
		const struct px_incoming *reply = &request->reply;

		if (request->code || reply->buffers_count || !reply->body_bytes ||
		    *(const uint8_t *)reply->body == PX_PICKLE_BEGINS)
			return false;
	}
	return true;
}

static PyObject *values_of(const struct px_result *result, bool single)
{
	PyObject *list;

	if (single)
		return px_flat_value(result->requests[0].reply.body,
				     result->requests[0].reply.body_bytes);
	list = PyList_New(result->count);
	for (uint32_t i = 0; list && i < result->count; i++) {
		const struct px_incoming *reply = &result->requests[i].reply;
		PyObject *value = px_flat_value(reply->body, reply->body_bytes);

		if (!value || PyList_SetItem(list, i, value) < 0)
			Py_CLEAR(list);
	}
	return list;
}

/* What came back; the method of DirectView that reads it if it takes more. */
static PyObject *read_replies(struct px_direct *view, PyObject *function, PyObject *object,
			      bool single)
{
	const struct px_result *result = px_ext_result(object);

	/* A forked child does not have the segment, in which replies may lie. */
	if (px_client_own(result->client) == 0 && are_flat(result))
		return values_of(result, single);
	return PyObject_CallMethodObjArgs((PyObject *)view, names.read_replies, function, object,
					  single ? Py_True : Py_False, NULL);
}

static PyObject *wait_for(struct px_direct *view, PyObject *function, PyObject *object, bool single)
{
	PyObject *shower = Py_XNewRef(view->shower);
	int rc = px_wait(object, shower, PX_FOREVER);

	Py_XDECREF(shower);
	if (rc == 0)
		return read_replies(view, function, object, single);
	if (rc != PX_RAISED)
		return px_raise(rc);
	if (!PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
		return NULL;
	/* The wait has ended, the request goes on. */
	PyErr_Clear();
	return PyObject_CallMethodObjArgs((PyObject *)view, names.interrupted, function, object,
					  single ? Py_True : Py_False, NULL);
}

/* The connection of the view's client, which a client has for life. Borrowed; NULL with an exception. */
static PyObject *core_of(struct px_direct *view)
{
	PyObject *client, *core;

	if (view->core && view->core_of == view->client)
		return view->core;
	client = Py_NewRef(view->client);
	core = PyObject_GetAttr(client, names.core);
	Py_CLEAR(view->core);
	Py_CLEAR(view->core_of);
	view->core = core;
	view->core_of = client;
	return core;
}

bool px_direct_run(struct px_direct *view, PyObject *function, const struct px_flat *flat,
		   PyObject **value)
{
	/* Again: Python code may have run since. */
	PyObject *core = px_direct_is_plain(view) ? core_of(view) : NULL, *object = NULL;
	struct px_client *client = core ? px_ext_client_of(core) : NULL;
	uint32_t engines[PX_ENGINES_MAX];
	uint32_t count = client ? targets_of(view, client, engines) : 0;
	bool single = count && PyLong_CheckExact(view->targets);
	struct px_result *result;

	*value = NULL;
	if (!count && !PyErr_Occurred())
		return false;
	/* Whoever runs meanwhile may give the view another client. */
	Py_XINCREF(core);
	result = count ? px_ext_send_call(client, engines, count, flat) : NULL;
	object = result ? px_result_object(result) : NULL;
	if (object)
		*value = wait_for(view, function, object, single);
	Py_XDECREF(object);
	Py_XDECREF(core);
	return true;
}

/* next_result() was called for the first time while this one was sent, and may not have seen it. Takes ar. */
static PyObject *tell_of(const struct px_described *what, PyObject *ar)
{
	PyObject *done;

	(void)px_result_tell(px_ext_result(what->result));
	done = PyObject_CallMethodObjArgs(what->client, names.tell_of, ar, NULL);
	if (!done)
		Py_CLEAR(ar);
	Py_XDECREF(done);
	return ar;
}

/* What the function is called in messages, as calls.name_of(). */
static PyObject *called(PyObject *function)
{
	PyObject *name = PyObject_GetAttr(function, names.name), *calls, *name_of = NULL;

	if (name || !PyErr_ExceptionMatches(PyExc_AttributeError))
		return name;
	PyErr_Clear();
	calls = PyImport_ImportModule("pxrun.wire.calls");
	if (calls)
		name_of = PyObject_GetAttrString(calls, "name_of");
	if (name_of)
		name = PyObject_CallFunctionObjArgs(name_of, function, NULL);
	Py_XDECREF(name_of);
	Py_XDECREF(calls);
	return name;
}

/* Takes a request that was sent. NULL with an exception. */
static PyObject *async_result(struct px_described *what, PyObject *core, PyObject *function,
			      bool by_value, struct px_result *result)
{
	PyObject *ar = NULL;

	what->count = result->count;
	what->result = px_sent_result_object(result);
	what->fname = what->result ? called(function) : NULL;
	if (what->fname && by_value)
		what->known = PyObject_GetAttr(function, names.globals);
	if (what->fname && (what->known || !by_value))
		ar = px_sent_async_result(what);
	if (ar && ((struct px_client_object *)core)->tells)
		ar = tell_of(what, ar);
	/* Nobody else has it. */
	if (!ar && what->result)
		px_result_take_back(what->result);
	Py_XDECREF(what->known);
	Py_XDECREF(what->fname);
	Py_XDECREF(what->result);
	return ar;
}

bool px_direct_start(struct px_direct *view, PyObject *function, const struct px_flat *flat,
		     PyObject **value)
{
	PyObject *core = px_direct_is_plain(view) ? core_of(view) : NULL;
	struct px_client *client = core ? px_ext_client_of(core) : NULL;
	uint32_t engines[PX_ENGINES_MAX];
	uint32_t count = client ? targets_of(view, client, engines) : 0;
	struct px_described what;
	struct px_result *result;

	*value = NULL;
	if (PyErr_Occurred())
		return true;
	if (!count || ((struct px_client_object *)core)->tells)
		return false;
	/* Held: handlers of signals, a function's __name__ and other threads may set the view's flags. */
	what = (struct px_described){ .client = Py_NewRef(view->client),
				      .label = Py_NewRef(view->label),
				      .history = Py_NewRef(view->sent),
				      .single = PyLong_CheckExact(view->targets),
				      .shows = view->shower != Py_None };
	Py_INCREF(core);
	result = px_ext_send_call(client, engines, count, flat);
	if (result)
		*value = async_result(&what, core, function, *flat->at == PX_CALL_BY_VALUE, result);
	Py_DECREF(core);
	Py_DECREF(what.history);
	Py_DECREF(what.label);
	Py_DECREF(what.client);
	return true;
}

/* --- apply --- */

/* The arguments behind the function, and the keywords. */
static bool write_arguments(struct px_flat *flat, PyObject *const *args, Py_ssize_t count,
			    PyObject *keywords)
{
	Py_ssize_t named = keywords ? PyTuple_Size(keywords) : 0;
	bool written = px_flat_count(flat, 't', count);

	for (Py_ssize_t i = 0; written && i < count; i++)
		written = px_flat_write(flat, args[i]);
	if (written && named)
		written = px_flat_count(flat, 'm', named);
	for (Py_ssize_t i = 0; written && i < named; i++)
		written = px_flat_write(flat, PyTuple_GetItem(keywords, i)) &&
			  px_flat_write(flat, args[count + i]);
	return written;
}

PyObject *px_tuple_of(PyObject *const *args, Py_ssize_t count)
{
	PyObject *tuple = PyTuple_New(count);

	for (Py_ssize_t i = 0; tuple && i < count; i++)
		PyTuple_SetItem(tuple, i, Py_NewRef(args[i]));
	return tuple;
}

PyObject *px_dict_of(PyObject *keywords, PyObject *const *values)
{
	PyObject *dict = PyDict_New();

	for (Py_ssize_t i = 0; dict && keywords && i < PyTuple_Size(keywords); i++)
		if (PyDict_SetItem(dict, PyTuple_GetItem(keywords, i), values[i]) < 0)
			Py_CLEAR(dict);
	return dict;
}

/* The same by DirectView._call(). */
static PyObject *call_in_python(PyObject *self, PyObject *const *args, Py_ssize_t count,
				PyObject *keywords, PyObject *block)
{
	PyObject *tuple = px_tuple_of(args + 1, count - 1);
	PyObject *dict = tuple ? px_dict_of(keywords, args + count) : NULL, *value = NULL;

	if (dict)
		value = PyObject_CallMethodObjArgs(self, names.call, args[0], tuple, dict, block,
						   NULL);
	Py_XDECREF(dict);
	Py_XDECREF(tuple);
	return value;
}

/* f(*args, **keywords); go: px_direct_run() or px_direct_start(). */
static PyObject *call(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords,
		      bool (*go)(struct px_direct *, PyObject *, const struct px_flat *,
				 PyObject **))
{
	struct px_direct *view = (struct px_direct *)self;
	PyObject *value = NULL;
	struct px_flat flat;
	bool done;

	px_flat_begin(&flat);
	done = px_direct_is_plain(view) && px_direct_begin(view, &flat, args[0]) &&
	       write_arguments(&flat, args + 1, count - 1, keywords) &&
	       go(view, args[0], &flat, &value);
	px_flat_end(&flat);
	if (done || PyErr_Occurred())
		return value;
	return call_in_python(self, args, count, keywords,
			      go == px_direct_run ? Py_True : Py_False);
}

static bool has_function(const char *method, Py_ssize_t count)
{
	if (count > 0)
		return true;
	PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: 'f'", method);
	return false;
}

static PyObject *apply_sync(PyObject *self, PyObject *const *args, Py_ssize_t count,
			    PyObject *keywords)
{
	return has_function("apply_sync", count) ?
		       call(self, args, count, keywords, px_direct_run) :
		       NULL;
}

static PyObject *apply_async(PyObject *self, PyObject *const *args, Py_ssize_t count,
			     PyObject *keywords)
{
	return has_function("apply_async", count) ?
		       call(self, args, count, keywords, px_direct_start) :
		       NULL;
}

static PyObject *apply(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
	const struct px_direct *view = (struct px_direct *)self;

	if (!has_function("apply", count))
		return NULL;
	return call(self, args, count, keywords,
		    view->block == Py_True ? px_direct_run : px_direct_start);
}

/* --- the type --- */

#define EACH_OBJECT(what)                                                                          \
	what(client);                                                                              \
	what(targets);                                                                             \
	what(block);                                                                               \
	what(track);                                                                               \
	what(timeout);                                                                             \
	what(shower);                                                                              \
	what(library);                                                                             \
	what(send_globals);                                                                        \
	what(label);                                                                               \
	what(sent);                                                                                \
	what(core);                                                                                \
	what(core_of)

static int direct_traverse(PyObject *self, visitproc visit, void *arg)
{
	const struct px_direct *view = (struct px_direct *)self;

	Py_VISIT(Py_TYPE(self));
#define VISIT(flag) Py_VISIT(view->flag)
	EACH_OBJECT(VISIT);
	return 0;
}

static int direct_clear(PyObject *self)
{
	struct px_direct *view = (struct px_direct *)self;

#define CLEAR(flag) Py_CLEAR(view->flag)
	EACH_OBJECT(CLEAR);
	return 0;
}

static void direct_dealloc(PyObject *self)
{
	PyObject_GC_UnTrack(self);
	direct_clear(self);
	px_unmake(self);
}

#define MEMBER(name, flag)                                                                         \
	{                                                                                          \
		name, T_OBJECT_EX, offsetof(struct px_direct, flag), 0, NULL                       \
	}

static PyMemberDef members[] = {
	MEMBER("client", client),
	MEMBER("_targets_set", targets),
	MEMBER("_block", block),
	MEMBER("_track", track),
	MEMBER("_timeout", timeout),
	MEMBER("_shower", shower),
	MEMBER("_library", library),
	MEMBER("_label", label),
	MEMBER("_send_globals", send_globals),
	MEMBER("_sent", sent),
	{ NULL, 0, 0, 0, NULL },
};

/* ISO C has no way from one kind of function to another but by a cast through a third. */
#define FAST(function) (PyCFunction)(void (*)(void))(function)

static PyMethodDef methods[] = {
	{ "apply", FAST(apply), METH_FASTCALL | METH_KEYWORDS,
	  "apply($self, f, /, *args, **kwargs)\n--\n\nCalls ``f(*args, **kwargs)`` on the targets; waits if `block` "
	  "says so.\n\nA function that the engines cannot import is sent by value, and its globals are\nthe engine's "
	  "namespace.\n\nReturns\n-------\nAsyncResult, or with block the value (one target) or a list "
	  "(several).\n\nRaises\n------\nTypeError\n    f is not callable, or something cannot be "
	  "pickled.\nEngineError\n    A target is not there." },
	{ "apply_sync", FAST(apply_sync), METH_FASTCALL | METH_KEYWORDS,
	  "apply_sync($self, f, /, *args, **kwargs)\n--\n\nAs apply(), waiting." },
	{ "apply_async", FAST(apply_async), METH_FASTCALL | METH_KEYWORDS,
	  "apply_async($self, f, /, *args, **kwargs)\n--\n\nAs apply(), without waiting." },
	{ "push", FAST(px_direct_push), METH_FASTCALL | METH_KEYWORDS,
	  "push($self, ns, targets=None, block=None, track=None)\n--\n\nAssigns each value of a dict to its name on "
	  "the engines.\n\nNames may be any assignment target, ``\"a.b\"`` or ``\"d['k']\"``. Arrays are copied "
	  "into\nshared memory once, however many engines there are; the caller may change\nthem as soon as the call "
	  "returns." },
	{ "pull", FAST(px_direct_pull), METH_FASTCALL | METH_KEYWORDS,
	  "pull($self, names, targets=None, block=None)\n--\n\nThe values of a name or an expression, or with a list of "
	  "them, lists of values." },
	{ "get", FAST(px_direct_get), METH_FASTCALL | METH_KEYWORDS,
	  "get($self, key)\n--\n\nAs pull(), waiting." },
	{ NULL, NULL, 0, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_dealloc, direct_dealloc },
	{ Py_tp_traverse, direct_traverse },
	{ Py_tp_clear, direct_clear },
	{ Py_tp_members, members },
	{ Py_tp_methods, methods },
	{ Py_mp_subscript, px_direct_item },
	{ Py_mp_ass_subscript, px_direct_set },
	{ Py_tp_doc, "The part of a DirectView that plain calls go through." },
	{ 0, NULL },
};

static PyType_Spec spec = {
	.name = "pxrun._pxrun.Direct",
	.basicsize = sizeof(struct px_direct),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
	.slots = slots,
};

int px_add_direct(PyObject *module)
{
	PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);

	names.core = PyUnicode_InternFromString("_core");
	names.call = PyUnicode_InternFromString("_call");
	names.read_replies = PyUnicode_InternFromString("_read_replies");
	names.globals = PyUnicode_InternFromString("__globals__");
	names.name = PyUnicode_InternFromString("__name__");
	names.interrupted = PyUnicode_InternFromString("_interrupted");
	names.tell_of = PyUnicode_InternFromString("_tell_of");
	if (!type || !names.core || !names.call || !names.read_replies || !names.name ||
	    !names.globals || !names.interrupted || !names.tell_of)
		return -1;
	return PyModule_AddObjectRef(module, "Direct", type);
}
