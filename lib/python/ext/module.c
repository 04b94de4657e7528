/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * module.c - puts the extension together.
 */
#include "module.h"

#include <string.h>

#include "buffer.h"
#include "error.h"
#include "message.h"
#include "region.h"
#include "result.h"

static PyObject *error_type, *classes;

/*
 * The class for a code: what pxrun.error gave set_errors(), else Error. Borrowed. The module is
 * imported here if it is not yet: most sessions begin without an error.
 */
static PyObject *class_of(int code)
{
	PyObject *number;

	if (!classes)
		Py_XDECREF(PyImport_ImportModule("pxrun.error"));
	number = classes ? PyLong_FromLong(code) : NULL;
	PyObject *found = number ? PyDict_GetItemWithError(classes, number) : NULL;

	Py_XDECREF(number);
	return found ? found : error_type;
}

PyObject *px_raise(int code)
{
	const char *text = px_last_error();
	PyObject *words = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");

	if (words)
		PyErr_SetObject(class_of(code), words);
	Py_XDECREF(words);
	return NULL;
}

PyObject *px_make(PyObject *type)
{
	allocfunc alloc = (allocfunc)PyType_GetSlot((PyTypeObject *)type, Py_tp_alloc);

	return alloc((PyTypeObject *)type, 0);
}

void px_unmake(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
	Py_DECREF(type);
}

static PyObject *set_errors(PyObject *self, PyObject *mapping)
{
	(void)self;
	Py_INCREF(mapping);
	Py_XDECREF(classes);
	classes = mapping;
	Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
	{ "set_errors", set_errors, METH_O,
	  "set_errors(mapping)\n\nThe exception class for each code; Error for those left out." },
	{ NULL, NULL, 0, NULL },
};

static const struct {
	const char *name;
	long value;
} constants[] = {
	{ "EINVAL", PX_EINVAL },
	{ "ENOMEM", PX_ENOMEM },
	{ "ETIMEDOUT", PX_ETIMEDOUT },
	{ "ECORRUPT", PX_ECORRUPT },
	{ "EENGINE", PX_EENGINE },
	{ "EREMOTE", PX_EREMOTE },
	{ "EPOOL", PX_EPOOL },
	{ "ENOPOOL", PX_ENOPOOL },
	{ "EEXIST", PX_EEXIST },
	{ "ESYSTEM", PX_ESYSTEM },
	{ "EAGAIN", PX_EAGAIN },
	{ "EVERSION", PX_EVERSION },
	{ "EINTR", PX_EINTR },
	{ "ECLOSED", PX_ECLOSED },
	{ "EABORTED", PX_EABORTED },
	{ "EPERM", PX_EPERM },
	{ "EXECUTE", PX_REQUEST_EXECUTE },
	{ "APPLY", PX_REQUEST_APPLY },
	{ "EXECUTE_SILENT", PX_EXECUTE_SILENT },
	{ "STOP_ON_ERROR", PX_EXECUTE_STOP },
	{ "URGENT", PX_MESSAGE_URGENT },
	{ "TRACK", PX_FLAG_TRACK },
	{ "BUFFERS_MAX", (long)PX_BUFFERS_MAX },
};

static int add_constants(PyObject *module)
{
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0)
			return -1;
	return PyModule_AddStringConstant(module, "VERSION", PX_VERSION) < 0 ||
			       PyModule_AddStringConstant(module, "PYTHON", PX_PYTHON) < 0 ?
		       -1 :
		       0;
}

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "pxrun._pxrun",
	.m_doc = "The C side of pxrun: the client's connection and the engine's loop.",
	.m_size = -1,
	.m_methods = functions,
};

PyMODINIT_FUNC PyInit__pxrun(void);
PyMODINIT_FUNC PyInit__pxrun(void)
{
	PyObject *module = PyModule_Create(&definition);

	if (!module)
		return NULL;
	error_type = PyErr_NewExceptionWithDoc("pxrun._pxrun.Error",
					       "A failure of libpxrun, in its words.", NULL, NULL);
	if (!error_type || PyModule_AddObjectRef(module, "Error", error_type) < 0 ||
	    add_constants(module) < 0 || px_add_buffer(module) < 0 || px_add_region(module) < 0 ||
	    px_add_result(module) < 0 || px_add_client(module) < 0 || px_add_pool(module) < 0 ||
	    px_add_engine(module) < 0 || px_add_file(module) < 0)
		Py_CLEAR(module);
	return module;
}
