/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * calling.c - reads the call that an APPLY request carries.
 */
#include "python/ext/calling.h"

#include <string.h>

#include "python/ext/buffer.h"
#include "python/ext/flat.h"
#include "python/ext/namespace.h"

enum { TOKEN_BYTES = 16, LENGTH_BYTES = 4, NAMES_MOST = 1000, VALUE_PARTS = 4 };

void px_call_free(struct px_call *call)
{
	Py_CLEAR(call->function);
	Py_CLEAR(call->args);
	Py_CLEAR(call->kwargs);
}

/* Replaces the exception of a call that cannot be unpickled by the one that the client gets. */
static void say_unreadable(const struct px_interpreter *py)
{
	PyObject *type, *value, *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	PyErr_NormalizeException(&type, &value, &traceback);
	Py_XDECREF(PyObject_CallFunctionObjArgs(py->unreadable, value, NULL));
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(traceback);
}

/* The last part of a body, which is not used any more afterwards. */
static PyObject *unpickle(const struct px_interpreter *py, struct px_incoming *in, size_t skip,
			  PyObject *buffers)
{
	PyObject *body = PyBytes_FromStringAndSize((const char *)in->body + skip,
						   (Py_ssize_t)(in->body_bytes - skip));
	PyObject *arguments = NULL, *keywords = NULL, *value = NULL;

	/* A long body lies in a region: released before the call. */
	px_loan_release(in->body_loan);
	in->body_loan = NULL;
	if (body && buffers == Py_None) {
		value = PyObject_CallFunctionObjArgs(py->loads, body, NULL);
	} else if (body) {
		arguments = PyTuple_Pack(1, body);
		keywords = PyDict_New();
		if (arguments && keywords && PyDict_SetItem(keywords, py->buffers, buffers) == 0)
			value = PyObject_Call(py->loads, arguments, keywords);
	}
	Py_XDECREF(keywords);
	Py_XDECREF(arguments);
	Py_XDECREF(body);
	return value;
}

static int malformed(void)
{
	PyErr_SetString(PyExc_TypeError, "the request is not a (function, args, kwargs) tuple");
	return -1;
}

/* The arguments, flat, and after them the keywords if there are some. */
static int read_flat(struct px_incoming *in, size_t skip, PyObject *buffers, struct px_call *call)
{
	const uint8_t *body = in->body;
	struct px_flat_source source = { body + skip, body + in->body_bytes, 0, buffers };

	call->args = px_flat_read(&source);
	if (call->args && source.at < source.end)
		call->kwargs = px_flat_read(&source);
	px_loan_release(in->body_loan);
	in->body_loan = NULL;
	if (PyErr_Occurred())
		return -1;
	if (!PyTuple_Check(call->args) || (call->kwargs && !PyDict_Check(call->kwargs)))
		return malformed();
	return 0;
}

/* --- functions --- */

/* (module, name) of "module\nname"; split once, then from the cache. Borrowed. */
static PyObject *split_name(struct px_interpreter *py, PyObject *joined)
{
	PyObject *parts = PyDict_GetItemWithError(py->names, joined);
	const char *text, *end;
	Py_ssize_t length;

	if (parts || PyErr_Occurred())
		return parts;
	text = PyBytes_AsString(joined);
	length = PyBytes_Size(joined);
	end = memchr(text, '\n', (size_t)length);
	if (!end) {
		malformed();
		return NULL;
	}
	parts = Py_BuildValue("(NN)", PyUnicode_FromStringAndSize(text, end - text),
			      PyUnicode_FromStringAndSize(end + 1, text + length - end - 1));
	if (PyDict_Size(py->names) >= NAMES_MOST)
		PyDict_Clear(py->names);
	if (parts && PyDict_SetItem(py->names, joined, parts) < 0)
		Py_CLEAR(parts);
	Py_XDECREF(parts); /* the cache has it */
	return parts;
}

static PyObject *attribute_of(PyObject *module, PyObject *name)
{
	PyObject *found = module ? PyObject_GetAttr(module, name) : NULL;

	Py_XDECREF(module);
	return found;
}

static PyObject *find_named(struct px_interpreter *py, const uint8_t *at, size_t length)
{
	PyObject *joined = PyBytes_FromStringAndSize((const char *)at, (Py_ssize_t)length);
	PyObject *parts = joined ? split_name(py, joined) : NULL, *found = NULL;
	PyObject *module, *name;

	Py_XDECREF(joined);
	if (!parts)
		return NULL;
	module = PyTuple_GetItem(parts, 0);
	name = PyTuple_GetItem(parts, 1);
	found = attribute_of(PyImport_GetModule(module), name);
	/* Not imported yet, or another thread is just doing it: import waits for that. */
	if (!found && (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_AttributeError))) {
		PyErr_Clear();
		found = attribute_of(PyImport_Import(module), name);
	}
	return found;
}

static PyObject *find_kept(struct px_interpreter *py, const uint8_t *token, const uint8_t *pickled,
			   size_t length)
{
	PyObject *key = PyBytes_FromStringAndSize((const char *)token, TOKEN_BYTES);
	PyObject *found = key ? PyDict_GetItemWithError(py->kept, key) : NULL;

	if (found)
		Py_INCREF(found);
	else if (key && !PyErr_Occurred())
		found = PyObject_CallFunction(py->keep_pickled, "ON", key,
					      PyBytes_FromStringAndSize((const char *)pickled,
									(Py_ssize_t)length));
	Py_XDECREF(key);
	return found;
}

/* --- bodies --- */

static uint32_t read_length(const uint8_t *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The code that functions.code_bytes() has written; made once, then from the cache. Borrowed. */
static PyObject *find_code(struct px_interpreter *py, const uint8_t *at, size_t length)
{
	PyObject *key = PyBytes_FromStringAndSize((const char *)at, (Py_ssize_t)length);
	PyObject *code = key ? PyDict_GetItemWithError(py->codes, key) : NULL;

	if (key && !code && !PyErr_Occurred()) {
		if (PyDict_Size(py->codes) >= NAMES_MOST)
			PyDict_Clear(py->codes);
		code = PyObject_CallFunctionObjArgs(py->code_of, key, NULL);
		if (code && PyDict_SetItem(py->codes, key, code) < 0)
			Py_CLEAR(code);
		Py_XDECREF(code); /* the cache has it */
	}
	Py_XDECREF(key);
	return code;
}

static int take_along(const struct px_interpreter *py, const uint8_t *at, size_t length)
{
	PyObject *bundle, *done = NULL;

	if (!length)
		return 0;
	bundle = PyBytes_FromStringAndSize((const char *)at, (Py_ssize_t)length);
	if (bundle)
		done = PyObject_CallFunctionObjArgs(py->take_along, bundle, NULL);
	Py_XDECREF(bundle);
	Py_XDECREF(done);
	return done ? 0 : -1;
}

/* Those of a module of that name; of none: the engine's namespace. New. */
static PyObject *find_globals(const struct px_interpreter *py, const uint8_t *at, size_t length)
{
	PyObject *home, *globals;

	if (!length)
		return px_namespace();
	home = px_flat_text(at, length, "surrogatepass");
	globals = home ? PyObject_CallFunctionObjArgs(py->globals_of, home, NULL) : NULL;
	Py_XDECREF(home);
	return globals;
}

static PyObject *make_function(struct px_interpreter *py, const uint8_t *const parts[VALUE_PARTS],
			       const size_t lengths[VALUE_PARTS])
{
	PyObject *code = find_code(py, parts[0], lengths[0]), *globals, *name, *made = NULL;

	if (!code || take_along(py, parts[3], lengths[3]) < 0)
		return NULL;
	globals = find_globals(py, parts[2], lengths[2]);
	name = globals ? px_flat_text(parts[1], lengths[1], "surrogatepass") : NULL;
	if (name)
		made = PyObject_CallFunctionObjArgs(py->function, code, globals, name, NULL);
	Py_XDECREF(name);
	Py_XDECREF(globals);
	return made;
}

static int read_arguments(struct px_interpreter *py, struct px_incoming *in, size_t skip,
			  PyObject *buffers, struct px_call *call)
{
	if (in->body_bytes > skip && ((const uint8_t *)in->body)[skip] != PX_PICKLE_BEGINS)
		return read_flat(in, skip, buffers, call);
	call->args = unpickle(py, in, skip, buffers);
	if (call->args && !PyTuple_Check(call->args))
		return malformed();
	return call->args ? 0 : -1;
}

static int read_by_value(struct px_interpreter *py, struct px_incoming *in, PyObject *buffers,
			 struct px_call *call)
{
	const uint8_t *at = in->body, *parts[VALUE_PARTS];
	size_t skip = 1 + VALUE_PARTS * LENGTH_BYTES, lengths[VALUE_PARTS];

	if (in->body_bytes < skip)
		return malformed();
	for (int i = 0; i < VALUE_PARTS; i++)
		lengths[i] = read_length(at + 1 + i * LENGTH_BYTES);
	for (int i = 0; i < VALUE_PARTS; i++) {
		if (lengths[i] > in->body_bytes - skip)
			return malformed();
		parts[i] = at + skip;
		skip += lengths[i];
	}
	call->function = make_function(py, parts, lengths);
	return call->function ? read_arguments(py, in, skip, buffers, call) : -1;
}

static int read_framed(struct px_interpreter *py, struct px_incoming *in, PyObject *buffers,
		       struct px_call *call)
{
	const uint8_t *at = in->body;
	bool named = *at == 'N';
	size_t head = (named ? 1 : 1 + TOKEN_BYTES) + LENGTH_BYTES, length = in->body_bytes, bytes;

	if (length < head)
		return malformed();
	bytes = read_length(at + head - LENGTH_BYTES);
	if (bytes > length - head)
		return malformed();
	call->function =
		named ? find_named(py, at + head, bytes) : find_kept(py, at + 1, at + head, bytes);
	if (!call->function)
		return -1;
	return read_arguments(py, in, head + bytes, buffers, call);
}

static int read_pickled(struct px_interpreter *py, struct px_incoming *in, PyObject *buffers,
			struct px_call *call)
{
	PyObject *all = unpickle(py, in, 0, buffers);
	bool is_call = all && PyTuple_Check(all) && PyTuple_Size(all) == 3 &&
		       PyTuple_Check(PyTuple_GetItem(all, 1)) &&
		       PyDict_Check(PyTuple_GetItem(all, 2));

	if (is_call) {
		call->function = Py_NewRef(PyTuple_GetItem(all, 0));
		call->args = Py_NewRef(PyTuple_GetItem(all, 1));
		call->kwargs = Py_NewRef(PyTuple_GetItem(all, 2));
	}
	Py_XDECREF(all);
	return is_call ? 0 : all ? malformed() : -1;
}

static int read_body(struct px_interpreter *py, struct px_incoming *in, PyObject *buffers,
		     struct px_call *call)
{
	const char *at = in->body;

	if (in->body_bytes && (*at == 'N' || *at == 'K'))
		return read_framed(py, in, buffers, call);
	if (in->body_bytes && *at == PX_CALL_BY_VALUE)
		return read_by_value(py, in, buffers, call);
	return read_pickled(py, in, buffers, call);
}

int px_call_read(struct px_interpreter *py, struct px_incoming *in, struct px_call *call)
{
	PyObject *buffers = px_buffers_from_incoming(in);
	int rc = buffers ? read_body(py, in, buffers, call) : -1;

	if (rc < 0)
		px_call_free(call);
	if (rc < 0 && buffers)
		say_unreadable(py);
	Py_XDECREF(buffers);
	return rc;
}
