/* SPDX-License-Identifier: BSD-3-Clause */
/* waiting.c - see waiting.h. */
#include "python/ext/waiting.h"

#include <math.h>

#include "client/tasks.h"
#include "python/ext/object.h"
#include "shm/error.h"
#include "shm/os.h"

int px_timeout(PyObject *object, uint64_t *ns)
{
	double seconds;

	*ns = PX_FOREVER;
	if (object == Py_None)
		return 0;
	if (PyBool_Check(object)) {
		PyErr_Format(PyExc_TypeError, "a timeout is a number of seconds, or None, not %R",
			     object);
		return -1;
	}
	seconds = PyFloat_AsDouble(object);
	if (seconds == -1.0 && PyErr_Occurred()) {
		if (PyErr_ExceptionMatches(PyExc_TypeError)) {
			PyErr_Clear();
			PyErr_Format(PyExc_TypeError,
				     "a timeout is a number of seconds, or None, not %R", object);
		}
		return -1;
	}
	if (isnan(seconds)) {
		PyErr_SetString(PyExc_ValueError,
				"a timeout is a number of seconds, or None, not nan");
		return -1;
	}
	if (seconds < 1e9 && seconds != -1)
		*ns = seconds > 0 ? (uint64_t)(seconds * 1e9) : 0;
	return 0;
}

static int show(const struct px_slices *what)
{
	PyObject *shown = PyObject_CallFunctionObjArgs(what->shower, what->object, NULL);

	Py_XDECREF(shown);
	return shown ? 0 : PX_RAISED;
}

/* Shows the output that has come: while waiting, if there is any of the client's since the last time. */
static int show_news(const struct px_slices *what, bool ready, uint64_t *outputs)
{
	uint64_t now;

	if (!what->shower || what->shower == Py_None)
		return 0;
	if (ready)
		return px_result_has_news(what->result) ? show(what) : 0;
	now = atomic_load_explicit(&what->result->client->outputs, memory_order_relaxed);
	if (now == *outputs)
		return 0;
	*outputs = now;
	return show(what);
}

int px_wait_in_slices(const struct px_slices *what, uint64_t timeout_ns)
{
	uint64_t begun = timeout_ns == PX_FOREVER ? 0 : px_os.now_ns();
	uint64_t outputs = 0, left = timeout_ns, waited;

	for (;;) {
		uint64_t slice = left < PX_SLICE_NS ? left : PX_SLICE_NS;
		int rc;

		Py_BEGIN_ALLOW_THREADS
		rc = what->wait(what, slice);
		Py_END_ALLOW_THREADS
		if (show_news(what, rc == 0, &outputs) < 0)
			return PX_RAISED;
		if (rc != PX_ETIMEDOUT && rc != PX_EINTR)
			return rc;
		if (PyErr_CheckSignals() < 0)
			return PX_RAISED;
		if (timeout_ns == PX_FOREVER)
			continue;
		/* By the clock: signals that come often end each slice early. */
		waited = px_os.now_ns() - begun;
		if (waited >= timeout_ns)
			return PX_ETIMEDOUT;
		left = timeout_ns - waited;
	}
}

PyObject *px_wait_bool(const struct px_slices *what, PyObject *timeout)
{
	uint64_t ns;
	int rc;

	if (px_timeout(timeout, &ns) < 0)
		return NULL;
	rc = px_wait_in_slices(what, ns);
	if (rc == PX_RAISED)
		return NULL;
	if (rc == 0)
		PX_RETURN_TRUE;
	if (rc == PX_ETIMEDOUT)
		PX_RETURN_FALSE;
	return px_raise(rc);
}

static int wait_idle(const struct px_slices *what, uint64_t slice_ns)
{
	return px_client_wait_idle(what->client, slice_ns);
}

static int wait_taken(const struct px_slices *what, uint64_t slice_ns)
{
	return px_client_take(what->client, what->list, slice_ns, what->taken);
}

int px_wait_idle(struct px_client *client, uint64_t timeout_ns)
{
	return px_wait_in_slices(&(struct px_slices){ .wait = wait_idle, .client = client },
				 timeout_ns);
}

static int wait_for_room(const struct px_slices *what, uint64_t slice_ns)
{
	return px_tasks_wait_for_room(what->client, slice_ns);
}

int px_wait_for_room(struct px_client *client)
{
	return px_wait_in_slices(&(struct px_slices){ .wait = wait_for_room, .client = client },
				 PX_FOREVER);
}

static int wait_for_memory(const struct px_slices *what, uint64_t slice_ns)
{
	return px_tasks_wait_for_memory(what->client, slice_ns);
}

int px_wait_for_memory(struct px_client *client)
{
	return px_wait_in_slices(&(struct px_slices){ .wait = wait_for_memory, .client = client },
				 PX_FOREVER);
}

int px_wait_taken(struct px_client *client, struct px_completions *list, uint64_t timeout_ns,
		  struct px_result **result)
{
	struct px_slices what = {
		.wait = wait_taken, .client = client, .list = list, .taken = result
	};

	return px_wait_in_slices(&what, timeout_ns);
}
