/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stacks.c - has an engine write its Python stacks, for `pxrun stack`, while its code runs on.
 *
 * Stacks change while they are read, and who reads them then crashes. So a thread of ours takes the
 * interpreter's lock, as soon as the code that runs gives it up for a moment, which Python code does every
 * 5 ms, and has faulthandler write the stacks of all threads. It is woken by PX_SIGNAL_STACKS, for which it
 * waits.
 *
 * As long as code in C keeps the lock this thread cannot have it. But then no stack changes, and each
 * thread can write its own one in a signal handler of faulthandler's: the same signal, sent to that
 * thread.
 *
 * Both write to files without a name, which the reader finds among this process's descriptors, and
 * locks while it asks. Each answer begins its file anew and ends with a NUL, so that the reader knows when
 * there is no more to come.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "link/message.h"
#include "python/ext/module.h"
#include "python/ext/object.h"
#include "shm/descriptor.h"

#define STACK_BYTES (256 << 10)

struct file {
	int fd;
	struct px_descriptor_id id;
};

/* Global, because a signal handler has no other way to find them. */
static struct file of_all, of_one;
static void (*write_one)(int number);
static PyObject *faulthandler;
static pthread_t main_thread;

static bool file_new(struct file *file, const char *name)
{
	file->fd = px_descriptor_raise(memfd_create(name, MFD_CLOEXEC));
	file->id = px_descriptor_identify(file->fd);
	return file->fd >= 0;
}

/* False: at its number, which code of users has closed, there may be a file of its own. */
static bool begin(const struct file *file)
{
	struct px_descriptor_id now = px_descriptor_identify(file->fd);

	return now.inode == file->id.inode && now.device == file->id.device &&
	       ftruncate(file->fd, 0) == 0 && lseek(file->fd, 0, SEEK_SET) == 0;
}

static void end(const struct file *file)
{
	/* Without memory for it the reader will say that no answer came. */
	ssize_t put = write(file->fd, "", 1);

	(void)put;
}

/* --- of all threads, with the interpreter's lock --- */

static void write_all(void)
{
	PyGILState_STATE state = PyGILState_Ensure();
	PyObject *done = NULL;

	if (begin(&of_all)) {
		/* As faulthandler names threads: which of them is the main one. */
		dprintf(of_all.fd, "0x%0*lx\n", (int)(2 * sizeof(long)),
			(unsigned long)main_thread);
		done = PyObject_CallMethod(faulthandler, "dump_traceback", "ii", of_all.fd,
					   (int)true);
		end(&of_all);
	}
	if (!done)
		PyErr_Clear();
	Py_XDECREF(done);
	PyGILState_Release(state);
}

static void *wait_for_readers(void *ctx)
{
	sigset_t signals;
	int number;

	(void)ctx;
	(void)prctl(PR_SET_NAME, PX_STACKS_THREAD);
	sigemptyset(&signals);
	sigaddset(&signals, PX_SIGNAL_STACKS);
	for (;;)
		if (sigwait(&signals, &number) == 0)
			write_all();
	return NULL;
}

static void start_thread(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, old;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&thread, &attributes, wait_for_readers, NULL) == 0)
		pthread_detach(thread);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
}

/* --- of one thread, in a signal handler --- */

static void on_signal(int number)
{
	int error = errno;

	if (begin(&of_one)) {
		write_one(number);
		end(&of_one);
	}
	errno = error;
}

/* Around faulthandler's handler, which writes the stack of its own thread alone, is one of ours. */
static int take_signal(void)
{
	PyObject *done = PyObject_CallMethod(faulthandler, "register", "iii", PX_SIGNAL_STACKS,
					     of_one.fd, (int)false);
	struct sigaction action;

	if (!done)
		return -1;
	Py_DECREF(done);
	sigaction(PX_SIGNAL_STACKS, NULL, &action);
	write_one = action.sa_handler;
	action.sa_handler = on_signal;
	sigaction(PX_SIGNAL_STACKS, &action, NULL);
	return 0;
}

static PyObject *watch_stacks(PyObject *self, PyObject *args)
{
	(void)self, (void)args;
	/* An engine can do without. */
	if (!file_new(&of_all, PX_STACKS_FILE) || !file_new(&of_one, PX_STACK_FILE))
		PX_RETURN_NONE;
	faulthandler = PyImport_ImportModule("faulthandler");
	if (!faulthandler || take_signal() < 0)
		return NULL;
	main_thread = pthread_self();
	start_thread();
	PX_RETURN_NONE;
}

static PyMethodDef functions[] = {
	{ "watch_stacks", watch_stacks, METH_NOARGS,
	  "watch_stacks()\n\nIn an engine: from now on `pxrun stack` can see its Python stacks." },
	{ NULL, NULL, 0, NULL },
};

int px_add_stacks(PyObject *module)
{
	return PyModule_AddFunctions(module, functions);
}
