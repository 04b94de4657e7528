/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * result.c - the type pxrun._pxrun.Result, over lib/client/client.h.
 */
#include "python/ext/result.h"

#include <string.h>

#include "client/tasks.h"
#include "python/ext/buffer.h"
#include "python/ext/object.h"
#include "python/ext/waiting.h"
#include "shm/error.h"

struct result {
	PyObject_HEAD
	struct px_result *result;
};

static PyObject *result_type;

PyObject *px_result_object(struct px_result *result)
{
	struct result *self = (struct result *)px_make(result_type);

	if (!self) {
		px_result_release(result);
		return NULL;
	}
	self->result = result;
	return (PyObject *)self;
}

struct px_result *px_ext_result(PyObject *object)
{
	return ((struct result *)object)->result;
}

/* As take_back() in client/cancel.py. */
static void take_back(struct px_result *result)
{
	for (uint32_t i = result->count; i-- > 0;)
		if (px_request_abort(&result->requests[i]) == 0)
			(void)px_request_interrupt(&result->requests[i]);
}

void px_result_take_back(PyObject *object)
{
	PyObject *type, *value, *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	Py_BEGIN_ALLOW_THREADS
	take_back(px_ext_result(object));
	Py_END_ALLOW_THREADS
	PyErr_Restore(type, value, traceback);
}

PyObject *px_sent_result_object(struct px_result *result)
{
	if (PyErr_CheckSignals() == 0)
		return px_result_object(result);
	Py_BEGIN_ALLOW_THREADS
	take_back(result);
	px_result_release(result);
	Py_END_ALLOW_THREADS
	return NULL;
}

static void result_dealloc(PyObject *self)
{
	px_result_release(((struct result *)self)->result);
	px_unmake(self);
}

static int wait_all(const struct px_slices *what, uint64_t slice_ns)
{
	return px_result_wait(what->result, slice_ns);
}

static int wait_entry(const struct px_slices *what, uint64_t slice_ns)
{
	return px_request_wait(what->request, slice_ns);
}

static int wait_more(const struct px_slices *what, uint64_t slice_ns)
{
	return px_result_wait_more(what->result, what->known, slice_ns);
}

static int wait_sent(const struct px_slices *what, uint64_t slice_ns)
{
	return what->request ? px_request_wait_sent(what->request, slice_ns) :
			       px_result_wait_sent(what->result, slice_ns);
}

int px_wait(PyObject *object, PyObject *shower, uint64_t timeout_ns)
{
	struct px_slices what = { .wait = wait_all,
				  .result = ((struct result *)object)->result,
				  .shower = shower,
				  .object = object };

	return px_wait_in_slices(&what, timeout_ns);
}

struct px_request *px_ext_request(PyObject *self, PyObject *index)
{
	struct px_result *result = ((struct result *)self)->result;
	unsigned long i = PyLong_AsUnsignedLong(index);

	if (PyErr_Occurred())
		return NULL;
	if (i >= result->count) {
		PyErr_SetString(PyExc_IndexError, "the result has fewer entries");
		return NULL;
	}
	return &result->requests[i];
}

static PyObject *result_wait(PyObject *self, PyObject *args)
{
	struct px_slices what = { .wait = wait_all,
				  .result = ((struct result *)self)->result,
				  .object = self };
	PyObject *timeout;

	if (!PyArg_ParseTuple(args, "O|O", &timeout, &what.shower))
		return NULL;
	return px_wait_bool(&what, timeout);
}

static PyObject *result_wait_entry(PyObject *self, PyObject *args)
{
	struct px_slices what = { .wait = wait_entry,
				  .result = ((struct result *)self)->result,
				  .object = self };
	PyObject *index, *timeout;

	if (!PyArg_ParseTuple(args, "OO|O", &index, &timeout, &what.shower))
		return NULL;
	what.request = px_ext_request(self, index);
	return what.request ? px_wait_bool(&what, timeout) : NULL;
}

static PyObject *result_wait_sent(PyObject *self, PyObject *args)
{
	struct px_slices what = { .wait = wait_sent, .result = ((struct result *)self)->result };
	PyObject *timeout, *index = NULL;

	if (!PyArg_ParseTuple(args, "O|O", &timeout, &index))
		return NULL;
	what.request = index ? px_ext_request(self, index) : NULL;
	return index && !what.request ? NULL : px_wait_bool(&what, timeout);
}

/* The entries that were done as the known-th and later ones, in that order. */
static PyObject *order(const struct px_result *result, uint32_t known)
{
	uint32_t finished = px_result_finished(result);
	PyObject *list = PyList_New(0);

	for (uint32_t i = known; list && i < finished; i++) {
		PyObject *index = PyLong_FromUnsignedLong(result->requests[i].nth);

		if (!index || PyList_Append(list, index) < 0)
			Py_CLEAR(list);
		Py_XDECREF(index);
	}
	return list;
}

static PyObject *result_finished(PyObject *self, PyObject *args)
{
	struct px_slices what = { .wait = wait_more,
				  .result = ((struct result *)self)->result,
				  .object = self };
	PyObject *timeout;
	unsigned known;
	uint64_t ns;
	int rc;

	if (!PyArg_ParseTuple(args, "IO|O", &known, &timeout, &what.shower) ||
	    px_timeout(timeout, &ns) < 0)
		return NULL;
	what.known = known;
	/* When all are known there is nothing to wait for. */
	rc = known < what.result->count ? px_wait_in_slices(&what, ns) : 0;
	if (rc < 0 && rc != PX_ETIMEDOUT)
		return rc == PX_RAISED ? NULL : px_raise(rc);
	return order(what.result, known);
}

static PyObject *result_watch(PyObject *self, PyObject *each)
{
	struct px_result *result = ((struct result *)self)->result;
	int truth = PyObject_IsTrue(each), rc;

	if (truth < 0)
		return NULL;
	rc = px_result_list(result, &result->client->watched, truth);
	if (rc < 0)
		return px_raise(rc);
	PX_RETURN_NONE;
}

static PyObject *result_tell(PyObject *self, PyObject *unused)
{
	struct px_result *result = ((struct result *)self)->result;
	int rc;

	(void)unused;
	ASK(px_result_list(result, &result->client->finished, false));
	PX_RETURN_NONE;
}

static PyObject *result_ready(PyObject *self, PyObject *unused)
{
	(void)unused;
	return PyBool_FromLong(px_result_ready(((struct result *)self)->result));
}

static PyObject *result_done(PyObject *self, PyObject *index)
{
	struct px_request *request = px_ext_request(self, index);

	return request ? PyBool_FromLong(px_request_is_done(request)) : NULL;
}

static PyObject *result_code(PyObject *self, PyObject *index)
{
	struct px_request *request = px_ext_request(self, index);

	if (!request)
		return NULL;
	return PyLong_FromLong(px_request_is_done(request) ? request->code : 0);
}

static PyObject *result_engine(PyObject *self, PyObject *index)
{
	struct px_request *request = px_ext_request(self, index);
	uint32_t engine = request ? px_request_engine(request) : 0;

	if (!request)
		return NULL;
	return PyLong_FromLong(engine == PX_NO_ENGINE ? -1 : (long)engine);
}

static PyObject *failure_object(struct px_request *request)
{
	(void)px_request_failure(request);
	const char *words = px_last_error();
	PyObject *text = PyUnicode_DecodeUTF8(words, (Py_ssize_t)strlen(words), "replace");

	return text ? Py_BuildValue("(iNO)", request->code, text, Py_None) : NULL;
}

PyObject *px_reply_object(struct px_request *request)
{
	PyObject *body, *buffers, *reply = NULL;
	int rc = px_client_own(request->result->client);

	/* A reply may lie in the segment, which a forked child does not have. */
	if (rc < 0)
		return px_raise(rc);
	if (request->code && request->code != PX_EREMOTE)
		return failure_object(request);
	body = PyBytes_FromStringAndSize(request->reply.body,
					 (Py_ssize_t)request->reply.body_bytes);
	buffers = body ? px_buffers_from_incoming(&request->reply) : NULL;
	if (buffers)
		reply = Py_BuildValue("(iOO)", request->code, body, buffers);
	Py_XDECREF(buffers);
	Py_XDECREF(body);
	return reply;
}

static PyObject *result_reply(PyObject *self, PyObject *index)
{
	struct px_request *request = px_ext_request(self, index);

	if (!request)
		return NULL;
	if (!px_request_is_done(request)) {
		PyErr_SetString(PyExc_RuntimeError, "the engine has not answered yet");
		return NULL;
	}
	return px_reply_object(request);
}

static PyObject *result_read_plain(PyObject *self, PyObject *args)
{
	PyObject *outcomes, *loads;
	int in_lists;

	if (!PyArg_ParseTuple(args, "O!Op", &PyList_Type, &outcomes, &loads, &in_lists) ||
	    px_read_plain(((struct result *)self)->result, outcomes, loads, in_lists) < 0)
		return NULL;
	PX_RETURN_NONE;
}

static PyObject *result_times(PyObject *self, PyObject *index)
{
	struct px_request *request = px_ext_request(self, index);

	if (!request)
		return NULL;
	if (!px_request_is_done(request))
		return Py_BuildValue("(KKKK)", (unsigned long long)request->submitted_ns,
				     (unsigned long long)px_request_began_ns(request), 0ULL, 0ULL);
	return Py_BuildValue("(KKKK)", (unsigned long long)request->submitted_ns,
			     (unsigned long long)request->reply.started_ns,
			     (unsigned long long)request->reply.completed_ns,
			     (unsigned long long)request->received_ns);
}

/* A copy of what entry i has printed. -1 with an exception. */
static int copy_output(PyObject *self, PyObject *index, struct px_output *output)
{
	struct px_request *request = px_ext_request(self, index);
	int rc;

	if (!request)
		return -1;
	rc = px_request_output(request, output);
	if (rc < 0)
		px_raise(rc);
	return rc < 0 ? -1 : 0;
}

static PyObject *result_output(PyObject *self, PyObject *args)
{
	struct px_output output;
	PyObject *index, *bytes;
	unsigned which;

	if (!PyArg_ParseTuple(args, "OI", &index, &which) || copy_output(self, index, &output) < 0)
		return NULL;
	if (which < 1 || which > PX_STREAMS)
		bytes = PyErr_Format(PyExc_ValueError, "there is no stream %u", which);
	else
		bytes = PyBytes_FromStringAndSize(output.texts[which - 1].bytes,
						  (Py_ssize_t)output.texts[which - 1].length);
	px_output_clear(&output);
	return bytes;
}

static PyObject *pieces(const struct px_output *output)
{
	PyObject *list = PyList_New(0);

	for (size_t i = 0; list && i < output->count; i++) {
		const struct px_output_piece *piece = &output->pieces[i];
		const char *text = output->texts[piece->stream].bytes + piece->start;
		PyObject *chunk =
			Py_BuildValue("(iN)", (int)piece->stream + 1,
				      PyBytes_FromStringAndSize(text, (Py_ssize_t)piece->length));

		if (!chunk || PyList_Append(list, chunk) < 0)
			Py_CLEAR(list);
		Py_XDECREF(chunk);
	}
	return list;
}

static PyObject *result_chunks(PyObject *self, PyObject *index)
{
	struct px_output output;
	PyObject *list;

	if (copy_output(self, index, &output) < 0)
		return NULL;
	list = pieces(&output);
	px_output_clear(&output);
	return list;
}

static PyObject *result_news(PyObject *self, PyObject *args)
{
	struct px_request *request;
	struct px_output output;
	PyObject *index, *list;
	Py_ssize_t most = PY_SSIZE_T_MAX;
	int parts = 0;

	if (!PyArg_ParseTuple(args, "O|pn", &index, &parts, &most))
		return NULL;
	request = px_ext_request(self, index);
	if (!request)
		return NULL;
	if (px_request_news(request, parts, (size_t)most, &output) < 0)
		return PyErr_NoMemory();
	list = pieces(&output);
	px_output_clear(&output);
	return list;
}

static PyObject *result_told(PyObject *self, PyObject *index)
{
	struct px_request *request = px_ext_request(self, index);

	return request ? PyLong_FromSize_t(px_request_told(request)) : NULL;
}

static PyObject *truth(int rc)
{
	return rc < 0 ? px_raise(rc) : PyBool_FromLong(rc);
}

static PyObject *result_sent(PyObject *self, PyObject *index)
{
	struct px_request *request = px_ext_request(self, index);

	return request ? truth(px_request_sent(request)) : NULL;
}

static PyObject *result_abort(PyObject *self, PyObject *index)
{
	struct px_request *request = px_ext_request(self, index);

	return request ? truth(px_request_abort(request)) : NULL;
}

static PyObject *result_interrupt(PyObject *self, PyObject *index)
{
	struct px_request *request = px_ext_request(self, index);
	int rc;

	if (!request)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	rc = px_request_interrupt(request);
	Py_END_ALLOW_THREADS
	if (rc < 0)
		return px_raise(rc);
	PX_RETURN_NONE;
}

static PyObject *result_running(PyObject *self, PyObject *index)
{
	struct px_request *request = px_ext_request(self, index);
	uint64_t progress;

	return request ? truth(px_request_running(request, &progress)) : NULL;
}

static PyObject *result_progress(PyObject *self, PyObject *index)
{
	struct px_request *request = px_ext_request(self, index);
	uint64_t progress;
	int rc;

	if (!request)
		return NULL;
	rc = px_request_running(request, &progress);
	return rc < 0 ? px_raise(rc) : PyLong_FromUnsignedLongLong(progress);
}

static PyObject *result_count(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLong(((struct result *)self)->result->count);
}

static PyObject *result_folder(PyObject *self, void *unused)
{
	(void)unused;
	return PyUnicode_DecodeFSDefault(((struct result *)self)->result->client->runtime.folder);
}

static PyObject *result_id(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(px_result_id(((struct result *)self)->result));
}

static PyMethodDef result_methods[] = {
	{ "wait_entry", result_wait_entry, METH_VARARGS,
	  "wait_entry(i, timeout, shower=None) -> bool\n\nThe same, until entry i is done." },
	{ "finished", result_finished, METH_VARARGS,
	  "finished(known, timeout, shower=None) -> [i, ...]\n\nThe entries that are done but for the known "
	  "first ones, in the order in which they were; waits until there is one. Empty: timeout." },
	{ "watch", result_watch, METH_O,
	  "watch(each)\n\nClient.take() gives its id once it is done; with each also when an entry is." },
	{ "tell", result_tell, METH_NOARGS,
	  "tell()\n\nClient.next() gives it, also if it did before." },
	{ "wait", result_wait, METH_VARARGS,
	  "wait(timeout, shower=None) -> bool\n\nUntil every entry is done. shower(result) is called "
	  "while that lasts and at its end, where there may be news." },
	{ "ready", result_ready, METH_NOARGS,
	  "ready() -> bool\n\nReads what has arrived, without waiting." },
	{ "done", result_done, METH_O, "done(i) -> bool" },
	{ "engine", result_engine, METH_O,
	  "engine(i) -> int\n\nThe id of entry i's engine; -1: no engine has taken the task yet." },
	{ "code", result_code, METH_O,
	  "code(i) -> int\n\nThat of reply(i), which this does not take; 0: a value, or not done." },
	{ "refused", px_ext_refused, METH_O,
	  "refused(i) -> [id, ...]\n\nThe engines that said that they are not for the task, which is done." },
	{ "reply", result_reply, METH_O,
	  "reply(i) -> (code, body, buffers)\n\nTo be called once: the buffers are the caller's. body is "
	  "str, the words of a failure, where code says that there was no reply." },
	{ "read_plain", result_read_plain, METH_VARARGS,
	  "read_plain(outcomes, loads, in_lists)\n\nPuts (value, None), or ([value], None), into the list for "
	  "each entry whose reply is a value without buffers, where it has None." },
	{ "times", result_times, METH_O,
	  "times(i) -> (submitted, started, completed, received)\n\nNanoseconds since the epoch, 0: not yet." },
	{ "output", result_output, METH_VARARGS,
	  "output(i, which) -> bytes\n\nwhich: 1 stdout, 2 stderr." },
	{ "chunks", result_chunks, METH_O,
	  "chunks(i) -> [(which, bytes)]\n\nAll output in the order in which it came; which: 1 stdout, 2 "
	  "stderr, 3 a displayed object, 4 published data." },
	{ "news", result_news, METH_VARARGS,
	  "news(i, parts=False, most=...) -> [(which, bytes)]\n\nOf chunks(i) what no earlier call has given, at "
	  "most so many bytes of what is printed: whole lines, until the entry is done, unless parts are wanted." },
	{ "told", result_told, METH_O,
	  "told(i) -> int\n\nHow many bytes of what entry i has printed news(i) has given." },
	{ "sent", result_sent, METH_O,
	  "sent(i) -> bool\n\nWhether entry i's engine holds no Region that was sent with TRACK." },
	{ "wait_sent", result_wait_sent, METH_VARARGS,
	  "wait_sent(timeout) -> bool\n\nWaits until sent(i) is true for every entry." },
	{ "abort", result_abort, METH_O,
	  "abort(i) -> bool\n\nTrue: its engine had not begun it and will not; it is done with EABORTED." },
	{ "interrupt", result_interrupt, METH_O,
	  "interrupt(i)\n\nRaises KeyboardInterrupt in entry i if its engine works on it, and in no other "
	  "request." },
	{ "running", result_running, METH_O,
	  "running(i) -> bool\n\nWhether its engine works on it." },
	{ "progress", result_progress, METH_O,
	  "progress(i) -> int\n\nHow many elements its engine has done." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef result_getset[] = {
	{ "count", result_count, NULL, "How many entries there are.", NULL },
	{ "folder", result_folder, NULL, "The pool's runtime folder.", NULL },
	{ "id", result_id, NULL, "What names it among all of its client.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot result_slots[] = {
	{ Py_tp_dealloc, result_dealloc },
	{ Py_tp_methods, result_methods },
	{ Py_tp_getset, result_getset },
	{ Py_tp_doc, "Replies of the engines that one request went to." },
	{ 0, NULL },
};

static PyType_Spec result_spec = {
	.name = "pxrun._pxrun.Result",
	.basicsize = sizeof(struct result),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = result_slots,
};

int px_add_result(PyObject *module)
{
	result_type = PyType_FromModuleAndSpec(module, &result_spec, NULL);
	return result_type ? PyModule_AddObjectRef(module, "Result", result_type) : -1;
}
