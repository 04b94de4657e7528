/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * module.c - the extension module pxrun._pxrun: its constants, and what the other files add.
 */
#include "python/ext/client.h"
#include "python/ext/module.h"
#include "python/ext/object.h"

#include <string.h>

#include "link/message.h"
#include "python/ext/buffer.h"
#include "python/ext/region.h"
#include "python/ext/result.h"
#include "shm/error.h"
#include "shm/sizes.h"

static PyMethodDef functions[] = {
	{ "set_errors", px_set_errors, METH_O,
	  "set_errors(mapping)\n\nThe exception class for each code; Error for those left out." },
	{ NULL, NULL, 0, NULL },
};

static const struct {
	const char *name;
	long value;
} constants[] = {
#define ERROR_CODE(name, number, words) { #name, number },
	PX_ERROR_CODES(ERROR_CODE)
#undef ERROR_CODE
		{ "EXECUTE", PX_REQUEST_EXECUTE },
	{ "APPLY", PX_REQUEST_APPLY },
	{ "EXECUTE_SILENT", PX_EXECUTE_SILENT },
	{ "STOP_ON_ERROR", PX_EXECUTE_STOP },
	{ "URGENT", PX_MESSAGE_URGENT },
	{ "TRACK", PX_FLAG_TRACK },
	{ "BUFFERS_MAX", (long)PX_BUFFERS_MAX },
	{ "LENT_BYTES", PX_LENT_BYTES },
	{ "LENT_STRING_BYTES", PX_LENT_STRING_BYTES },
	{ "REGION_LARGE_BYTES", PX_REGION_LARGE_BYTES },
	{ "GATHERED_BYTES", PX_GATHERED_BYTES },
};

static int add_constants(PyObject *module)
{
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0)
			return -1;
	return PyModule_AddStringConstant(module, "VERSION", PX_VERSION);
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
	if (px_add_errors(module) < 0 || add_constants(module) < 0 || px_add_buffer(module) < 0 ||
	    px_add_region(module) < 0 || px_add_result(module) < 0 || px_add_client(module) < 0 ||
	    px_add_pool(module) < 0 || px_add_ending(module) < 0 || px_add_engine(module) < 0 ||
	    px_add_file(module) < 0 || px_add_numpy_memory(module) < 0 || px_add_same(module) < 0 ||
	    px_add_columns(module) < 0 || px_add_flat(module) < 0 || px_add_direct(module) < 0 || px_add_sent(module) < 0 ||
	    px_add_stacks(module) < 0 || px_add_stream(module) < 0 || px_add_namespace(module) < 0)
		Py_CLEAR(module);
	return module;
}
