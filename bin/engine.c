/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine.c - pxrun-engine: `python -m pxrun.engine` in an interpreter of our own.
 *
 * The supervisor starts it. It differs from a plain Python in two ways. It looks for the package
 * where pxrun has installed it. And it uses the virtual environment that is active, after
 * checking its version before Python starts: an environment of another version would mix two
 * standard libraries.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool/control.h"

/* Says why engines cannot run, on stderr and to the supervisor. */
static int refuse(const char *words)
{
	struct px_control ready = { .type = PX_CONTROL_READY, .a = (uint64_t)getpid(), .code = -1 };

	fprintf(stderr, "pxrun-engine: %s\n", words);
	(void)px_control_send(3, &ready, words, NULL, 0);
	return 1;
}

/* The version line of an environment's pyvenv.cfg; "" where there is none. */
static void environment_version(const char *environment, char *out, size_t out_bytes)
{
	char path[4096], line[256];
	FILE *file;

	out[0] = '\0';
	snprintf(path, sizeof(path), "%s/pyvenv.cfg", environment);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		char version[64];

		if (sscanf(line, "version = %63s", version) == 1 ||
		    sscanf(line, "version_info = %63s", version) == 1)
			snprintf(out, out_bytes, "%s", version);
	}
	fclose(file);
}

static int same_minor(const char *version)
{
	int major = 0, minor = 0;

	return sscanf(version, "%d.%d", &major, &minor) == 2 && major == PY_MAJOR_VERSION &&
	       minor == PY_MINOR_VERSION;
}

/* Finds the interpreter whose prefix and packages the engines use. 0, or 1 after refuse(). */
static int choose(char *executable, size_t bytes)
{
	const char *environment = getenv("VIRTUAL_ENV");
	char version[64], words[8192];

	snprintf(executable, bytes, "%s", PX_PYTHON);
	if (!environment || !environment[0])
		return 0;
	environment_version(environment, version, sizeof(version));
	if (version[0] && !same_minor(version)) {
		snprintf(words, sizeof(words),
			 "the virtual environment %s is Python %s, this pxrun embeds %d.%d: say "
			 "--python %s/bin/python, with pxrun's package installed there",
			 environment, version, PY_MAJOR_VERSION, PY_MINOR_VERSION, environment);
		return refuse(words);
	}
	if (version[0])
		snprintf(executable, bytes, "%s/bin/python", environment);
	return 0;
}

/* Appends the installed package's folder to sys.path, in case it is not on it. */
static int add_package_path(void)
{
	PyObject *path = PySys_GetObject("path");
	PyObject *folder = PyUnicode_DecodeFSDefault(PX_PYTHONDIR);
	int rc = path && folder ? PyList_Append(path, folder) : -1;

	Py_XDECREF(folder);
	return rc;
}

static int run(int argc, char **argv)
{
	PyObject *arguments = PyList_New(0), *module = NULL, *code = NULL;
	long status = 1;

	for (int i = 1; arguments && i < argc; i++) {
		PyObject *word = PyUnicode_DecodeFSDefault(argv[i]);

		if (!word || PyList_Append(arguments, word) < 0)
			Py_CLEAR(arguments);
		Py_XDECREF(word);
	}
	if (arguments && add_package_path() == 0)
		module = PyImport_ImportModule("pxrun.engine.program");
	if (module)
		code = PyObject_CallMethod(module, "main", "O", arguments);
	if (code)
		status = PyLong_AsLong(code);
	else if (PyErr_ExceptionMatches(PyExc_SystemExit))
		PyErr_PrintEx(0); /* exits */
	else
		PyErr_Print();
	Py_XDECREF(code);
	Py_XDECREF(module);
	Py_XDECREF(arguments);
	return (int)status;
}

int main(int argc, char **argv)
{
	char executable[4200];
	PyConfig config;
	PyStatus status;

	if (choose(executable, sizeof(executable)))
		return 1;
	PyConfig_InitPythonConfig(&config);
	config.parse_argv = 0;
	config.install_signal_handlers = 1;
	status = PyConfig_SetBytesString(&config, &config.executable, executable);
	if (!PyStatus_Exception(status))
		status = PyConfig_SetBytesString(&config, &config.program_name, executable);
	if (!PyStatus_Exception(status))
		status = Py_InitializeFromConfig(&config);
	PyConfig_Clear(&config);
	if (PyStatus_Exception(status))
		return refuse(status.err_msg ? status.err_msg : "Python does not start");
	return run(argc, argv);
}
