/* SPDX-License-Identifier: BSD-3-Clause */
/* sent.c - see sent.h. */
#include "python/ext/sent.h"

#include <stddef.h>
#include <stdint.h>
#include <structmember.h>

#include "client/client.h"
#include "python/ext/module.h"
#include "python/ext/object.h"
#include "python/ext/result.h"

static struct {
	PyObject *async_result; /* the class */
	PyObject *sent_type;
	PyObject *append, *tidy;
	PyObject *new_lock;   /* threading.RLock */
	PyObject *no_depends; /* AsyncResult._depends */
} known;

/* --- Pending --- */

/* An AsyncResult. Python sees the fields as attributes, with an underscore; NULL: None, or not made yet. */
struct pending {
	PyObject_HEAD
	PyObject *client, *result, *fname, *single, *label, *known, *count, *first_number, *stopped,
		*shows;
	PyObject *outcomes, *lock; /* made when they are first used */
};

/* The number of the next request of this process. */
static PyObject *next_number(void)
{
	static uint64_t next;

	return PyLong_FromUnsignedLongLong(next++);
}

/* Keeps what was made for the place, unless another thread was first: making an object may let others run. */
static PyObject *keep_made(PyObject **place, PyObject *made)
{
	if (made && !*place)
		*place = made;
	else
		Py_XDECREF(made);
	return Py_XNewRef(*place);
}

static PyObject *list_of_none(PyObject *count)
{
	Py_ssize_t length = count ? PyLong_AsSsize_t(count) : 0;
	PyObject *list = length < 0 ? NULL : PyList_New(length);

	for (Py_ssize_t i = 0; list && i < length; i++)
		PyList_SetItem(list, i, Py_NewRef(Py_None));
	return list;
}

static PyObject *get_outcomes(PyObject *self, void *unused)
{
	struct pending *pending = (struct pending *)self;

	(void)unused;
	if (pending->outcomes)
		return Py_NewRef(pending->outcomes);
	return keep_made(&pending->outcomes, list_of_none(pending->count));
}

static int set_outcomes(PyObject *self, PyObject *value, void *unused)
{
	struct pending *pending = (struct pending *)self;
	PyObject *before = pending->outcomes;

	(void)unused;
	pending->outcomes = Py_XNewRef(value);
	Py_XDECREF(before);
	return 0;
}

static PyObject *get_lock(PyObject *self, void *unused)
{
	struct pending *pending = (struct pending *)self;

	(void)unused;
	if (pending->lock)
		return Py_NewRef(pending->lock);
	return keep_made(&pending->lock, PyObject_CallNoArgs(known.new_lock));
}

#define EACH_PENDING(what)                                                                         \
	what(client);                                                                              \
	what(result);                                                                              \
	what(fname);                                                                               \
	what(single);                                                                              \
	what(label);                                                                               \
	what(known);                                                                               \
	what(count);                                                                               \
	what(first_number);                                                                        \
	what(stopped);                                                                             \
	what(shows);                                                                               \
	what(outcomes);                                                                            \
	what(lock)

static int pending_traverse(PyObject *self, visitproc visit, void *arg)
{
	const struct pending *pending = (struct pending *)self;

	Py_VISIT(Py_TYPE(self));
#define VISIT_PENDING(field) Py_VISIT(pending->field)
	EACH_PENDING(VISIT_PENDING);
	return 0;
}

static int pending_clear(PyObject *self)
{
	struct pending *pending = (struct pending *)self;

#define CLEAR_PENDING(field) Py_CLEAR(pending->field)
	EACH_PENDING(CLEAR_PENDING);
	return 0;
}

static void pending_dealloc(PyObject *self)
{
	PyObject_GC_UnTrack(self);
	pending_clear(self);
	px_unmake(self);
}

#define FIELD(name, type)                                                                          \
	{                                                                                          \
		"_" #name, type, offsetof(struct pending, name), 0, NULL                           \
	}

static PyMemberDef pending_members[] = {
	FIELD(client, T_OBJECT_EX), FIELD(result, T_OBJECT_EX),       FIELD(fname, T_OBJECT_EX),
	FIELD(single, T_OBJECT_EX), FIELD(label, T_OBJECT),           FIELD(known, T_OBJECT),
	FIELD(count, T_OBJECT_EX),  FIELD(first_number, T_OBJECT_EX), FIELD(stopped, T_OBJECT_EX),
	FIELD(shows, T_OBJECT),     { NULL, 0, 0, 0, NULL },
};

static PyGetSetDef pending_getset[] = {
	{ "_outcomes", get_outcomes, set_outcomes, NULL, NULL },
	{ "_lock", get_lock, NULL, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot pending_slots[] = {
	{ Py_tp_dealloc, pending_dealloc },
	{ Py_tp_traverse, pending_traverse },
	{ Py_tp_clear, pending_clear },
	{ Py_tp_members, pending_members },
	{ Py_tp_getset, pending_getset },
	{ Py_tp_doc, "What most results have." },
	{ 0, NULL },
};

static PyType_Spec pending_spec = {
	.name = "pxrun._pxrun.Pending",
	.basicsize = sizeof(struct pending),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
	.slots = pending_slots,
};

/* --- Sent --- */

struct sent {
	PyObject_HEAD
	PyObject *of_client; /* a view's: its client's; None: it is a client's */
	PyObject *numbers;   /* deque of (number, count) */
	PyObject *results;   /* a client's: {number: weak reference to the AsyncResult} */
	PyObject *notes;     /* {number: note} */
	PyObject *named;     /* deque of (number, ids, counts, fname, label, code) */
	Py_ssize_t numbers_most, results_most, notes_most; /* at which it is tidied */
};

static int append(PyObject *deque, PyObject *item)
{
	PyObject *done = item ? PyObject_CallMethodObjArgs(deque, known.append, item, NULL) : NULL;

	Py_XDECREF(item);
	Py_XDECREF(done);
	return done ? 0 : -1;
}

/* Steals the value. */
static int put(PyObject *dict, PyObject *key, PyObject *value)
{
	int rc = value ? PyDict_SetItem(dict, key, value) : -1;

	Py_XDECREF(value);
	return rc;
}

/* A request, as it is remembered; note: see unheld.py. Of a view's history, `ar` and number are enough. */
struct request {
	PyObject *ar, *number, *count, *note, *fname, *label, *code;
};

static int keep(const struct sent *sent, const struct request *what)
{
	if (put(sent->results, what->number, PyWeakref_NewRef(what->ar, NULL)) < 0 ||
	    PyDict_SetItem(sent->notes, what->number, what->note) < 0)
		return -1;
	return append(sent->named, PyTuple_Pack(6, what->number, PyTuple_GetItem(what->note, 1),
						PyTuple_GetItem(what->note, 2), what->fname,
						what->label, what->code));
}

static bool is_untidy(const struct sent *sent)
{
	return PyObject_Size(sent->numbers) > sent->numbers_most ||
	       (sent->of_client == Py_None && (PyDict_Size(sent->notes) >= sent->notes_most ||
					       PyDict_Size(sent->results) >= sent->results_most));
}

/* pair: (number, count). */
static int record(struct sent *sent, const struct request *what, PyObject *pair)
{
	PyObject *done;

	if (append(sent->numbers, Py_XNewRef(pair)) < 0 ||
	    (sent->of_client == Py_None && keep(sent, what) < 0))
		return -1;
	if (!is_untidy(sent))
		return 0;
	done = PyObject_CallMethodObjArgs((PyObject *)sent, known.tidy, NULL);
	Py_XDECREF(done);
	return done ? 0 : -1;
}

static PyObject *sent_record(PyObject *self, PyObject *args)
{
	struct request what = { 0 };
	PyObject *pair;
	int rc;

	if (!PyArg_ParseTuple(args, "OOO|O!OOO", &what.ar, &what.number, &what.count, &PyTuple_Type,
			      &what.note, &what.fname, &what.label, &what.code))
		return NULL;
	pair = PyTuple_Pack(2, what.number, what.count);
	rc = pair ? record((struct sent *)self, &what, pair) : -1;
	Py_XDECREF(pair);
	if (rc < 0)
		return NULL;
	PX_RETURN_NONE;
}

#define EACH_SENT(what)                                                                            \
	what(of_client);                                                                           \
	what(numbers);                                                                             \
	what(results);                                                                             \
	what(notes);                                                                               \
	what(named)

static int sent_traverse(PyObject *self, visitproc visit, void *arg)
{
	const struct sent *sent = (struct sent *)self;

	Py_VISIT(Py_TYPE(self));
#define VISIT_SENT(field) Py_VISIT(sent->field)
	EACH_SENT(VISIT_SENT);
	return 0;
}

static int sent_clear(PyObject *self)
{
	struct sent *sent = (struct sent *)self;

#define CLEAR_SENT(field) Py_CLEAR(sent->field)
	EACH_SENT(CLEAR_SENT);
	return 0;
}

static void sent_dealloc(PyObject *self)
{
	PyObject_GC_UnTrack(self);
	sent_clear(self);
	px_unmake(self);
}

static PyMemberDef sent_members[] = {
	{ "_of_client", T_OBJECT_EX, offsetof(struct sent, of_client), 0, NULL },
	{ "_numbers", T_OBJECT_EX, offsetof(struct sent, numbers), 0, NULL },
	{ "_results", T_OBJECT_EX, offsetof(struct sent, results), 0, NULL },
	{ "_notes", T_OBJECT_EX, offsetof(struct sent, notes), 0, NULL },
	{ "named", T_OBJECT_EX, offsetof(struct sent, named), 0, NULL },
	{ "_numbers_most", T_PYSSIZET, offsetof(struct sent, numbers_most), 0, NULL },
	{ "_results_most", T_PYSSIZET, offsetof(struct sent, results_most), 0, NULL },
	{ "_notes_most", T_PYSSIZET, offsetof(struct sent, notes_most), 0, NULL },
	{ NULL, 0, 0, 0, NULL },
};

static PyMethodDef sent_methods[] = {
	{ "_record", sent_record, METH_VARARGS,
	  "_record(ar, number, count, note=None, fname=None, label=None, code=None)\n\nRemembers a request. Calls "
	  "_tidy() when there are many." },
	{ NULL, NULL, 0, NULL },
};

static PyType_Slot sent_slots[] = {
	{ Py_tp_dealloc, sent_dealloc },
	{ Py_tp_traverse, sent_traverse },
	{ Py_tp_clear, sent_clear },
	{ Py_tp_members, sent_members },
	{ Py_tp_methods, sent_methods },
	{ Py_tp_doc, "The part of a History that each request goes into." },
	{ 0, NULL },
};

static PyType_Spec sent_spec = {
	.name = "pxrun._pxrun.Sent",
	.basicsize = sizeof(struct sent),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
	.slots = sent_slots,
};

/* --- a request by name --- */

static bool is_set_up(void)
{
	PyObject *module;

	if (known.no_depends)
		return true;
	module = PyImport_ImportModule("pxrun.client.mapresult");
	if (module && !known.async_result)
		known.async_result = PyObject_GetAttrString(module, "AsyncResult");
	if (known.async_result)
		known.no_depends = PyObject_GetAttrString(known.async_result, "_depends");
	Py_XDECREF(module);
	return known.no_depends;
}

/* (number,) */
static PyObject *tuple_of_one(uint64_t number)
{
	PyObject *item = PyLong_FromUnsignedLongLong(number);
	PyObject *tuple = item ? PyTuple_Pack(1, item) : NULL;

	Py_XDECREF(item);
	return tuple;
}

/* As unheld.note(); the attributes are those of AsyncResult._noted. */
static PyObject *note_of(const struct pending *ar, const struct px_result *result)
{
	PyObject *kept = PyTuple_Pack(9, ar->fname, ar->single, ar->label, Py_None,
				      ar->known ? ar->known : Py_None, ar->first_number, Py_None,
				      ar->stopped, known.no_depends);
	PyObject *ids = tuple_of_one(px_result_id(result)), *counts = tuple_of_one(result->count);
	PyObject *note = kept && ids && counts ?
				 PyTuple_Pack(4, known.async_result, ids, counts, kept) :
				 NULL;

	Py_XDECREF(kept);
	Py_XDECREF(ids);
	Py_XDECREF(counts);
	return note;
}

static bool is_sent(PyObject *object)
{
	return object && PyObject_TypeCheck(object, (PyTypeObject *)known.sent_type);
}

/* In both histories. */
static int remember(struct pending *ar, PyObject *history)
{
	struct sent *view = (struct sent *)history;
	struct request what = { .ar = (PyObject *)ar,
				.number = ar->first_number,
				.count = ar->count,
				.fname = ar->fname,
				.label = ar->label,
				.code = Py_None };
	PyObject *pair;
	int rc = -1;

	if (!is_sent(history) || !is_sent(view->of_client)) {
		PyErr_Format(PyExc_TypeError, "a view's history is wanted, not %R", history);
		return -1;
	}
	pair = PyTuple_Pack(2, what.number, what.count);
	what.note = pair ? note_of(ar, px_ext_result(ar->result)) : NULL;
	if (what.note)
		rc = record((struct sent *)view->of_client, &what, pair);
	if (rc == 0)
		rc = record(view, &what, pair);
	Py_XDECREF(what.note);
	Py_XDECREF(pair);
	return rc;
}

PyObject *px_sent_async_result(const struct px_described *what)
{
	struct pending *ar = is_set_up() ? (struct pending *)px_make(known.async_result) : NULL;

	if (!ar)
		return NULL;
	ar->client = Py_NewRef(what->client);
	ar->result = Py_NewRef(what->result);
	ar->fname = Py_NewRef(what->fname);
	ar->label = Py_NewRef(what->label);
	ar->known = Py_XNewRef(what->known);
	ar->single = PyBool_FromLong(what->single);
	ar->shows = PyBool_FromLong(what->shows);
	ar->count = PyLong_FromUnsignedLong(what->count);
	ar->first_number = next_number();
	ar->stopped = PyDict_New();
	if (ar->count && ar->first_number && ar->stopped && remember(ar, what->history) == 0)
		return (PyObject *)ar;
	Py_DECREF((PyObject *)ar);
	return NULL;
}

/* --- the module --- */

static PyObject *module_next_number(PyObject *self, PyObject *unused)
{
	(void)self, (void)unused;
	return next_number();
}

static PyMethodDef functions[] = {
	{ "next_number", module_next_number, METH_NOARGS,
	  "next_number() -> int\n\nThe number of the next request of this process." },
	{ NULL, NULL, 0, NULL },
};

/* The type, which the module has as well. */
static PyObject *add_type(PyObject *module, PyType_Spec *spec, const char *name)
{
	PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);

	if (type && PyModule_AddObjectRef(module, name, type) < 0)
		Py_CLEAR(type);
	return type;
}

int px_add_sent(PyObject *module)
{
	PyObject *threading = PyImport_ImportModule("threading");

	known.append = PyUnicode_InternFromString("append");
	known.tidy = PyUnicode_InternFromString("_tidy");
	known.new_lock = threading ? PyObject_GetAttrString(threading, "RLock") : NULL;
	Py_XDECREF(threading);
	known.sent_type = add_type(module, &sent_spec, "Sent");
	if (!known.append || !known.tidy || !known.new_lock || !known.sent_type ||
	    !add_type(module, &pending_spec, "Pending"))
		return -1;
	return PyModule_AddFunctions(module, functions);
}
