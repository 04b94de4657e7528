/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pxrun_native.h - what a native function of pxrun's engines is given: for who writes one.
 *
 *	#include <pxrun_native.h>
 *
 *	PX_NATIVE_FUNCTION(scale)
 *	{
 *		double *x = (double *)px_native_array(argc, argv, 0, PX_NATIVE_FLOAT64, 1);
 *		int64_t i;
 *
 *		(void)px;
 *		if (!x || argc != 2)
 *			return px_native_fail(result, "scale(x, factor): x is an array of doubles");
 *		for (i = 0; i < argv[0].shape[0]; i++)
 *			x[i] *= argv[1].real;
 *		return 0;
 *	}
 *
 *	cc -shared -fPIC -O2 -o libscale.so scale.c
 *
 * A program of pxrun.h loads the shared object into engines by px_library_load(), and has the function
 * called by px_view_call_native(). This header is C99 and C++11, and needs no library: everything in it
 * is inline, or a pointer that the engine passes.
 *
 * Where it runs. In the main thread of an engine's process, without Python in the way, be the engine one
 * with an interpreter or a native one; in one with an interpreter without the interpreter's lock, so that
 * Python's other threads go on. One call at a time.
 *
 * Its arguments live until it returns. An array that the caller had made with PX_ARRAY_LIVE is the very
 * memory that the caller and all other engines see (`live` is 1): who writes what, and when, is agreed
 * among them, by px->barrier() for instance. Any other array is a private copy, made page by page as it
 * is written. Large arrays begin at multiples of 64 bytes, but parts of arrays may not.
 *
 * Failing. It returns 0, and its result is the call's value. Anything else is PX_EREMOTE with the text of
 * the result as its message, of a NativeError.
 *
 * Crashing. A fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL), abort() or exit() ends the engine's process: the
 * call is PX_EENGINE, whose message has the signal or exit code and the function's name, the pool starts
 * another engine, and that loads the library again when it is asked for.
 *
 * C++. An exception must not leave the function: there is nobody to catch it, so it is std::terminate(),
 * a crash with SIGABRT. Catch all, and return px_native_fail(). longjmp() out of the function is likewise
 * undefined; within it is fine. Libraries are opened with RTLD_NOW and RTLD_LOCAL: their constructors run
 * in the engine at the first load, destructors when the engine ends.
 *
 * Prints to stdout and stderr arrive as the call's output, as those of Python do. stdin is empty.
 *
 * Threads. It may start some, and OpenMP works: an engine is forked before it has threads, and each has
 * its own. Threads must not use px after the function has returned. In pools of as many engines as
 * processors OMP_NUM_THREADS=1 is what one wants.
 *
 * Processes. A child that it forks is no engine: it may exec, or end by _exit(), and must not return.
 *
 * Signals. SIGINT, SIGTERM and SIGRTMIN + 7 are the engine's, and are how a call is cancelled: system
 * calls may return EINTR then. In native engines so are the signals of crashes, from which a stack trace
 * is made. A function that sets handlers for others restores them.
 *
 * What it changes of its process stays for later calls: the floating-point environment (rounding, traps,
 * flush to zero), the locale, the working folder, its libraries' globals. Globals are each engine's own.
 */
#ifndef PXRUN_NATIVE_H
#define PXRUN_NATIVE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
#define PX_NATIVE_C extern "C"
extern "C" {
#else
#define PX_NATIVE_C
#endif

#if defined(__GNUC__)
#define PX_NATIVE_EXPORT PX_NATIVE_C __attribute__((visibility("default")))
#else
#define PX_NATIVE_EXPORT PX_NATIVE_C
#endif

/* Begins a function, so that the engine finds it: PX_NATIVE_FUNCTION(name) { ... }, of px_native_fn. */
#define PX_NATIVE_FUNCTION(name)                                                                   \
	PX_NATIVE_EXPORT int name(const struct px_native *px, size_t argc,                         \
				  const struct px_native_arg *argv,                                \
				  struct px_native_result *result);                                \
	PX_NATIVE_C int name(const struct px_native *px, size_t argc,                              \
			     const struct px_native_arg *argv, struct px_native_result *result)

#define PX_NATIVE_ARGS_MAX 64 /* arguments of a call */

/* Kinds of arguments and results. Lists and dicts cannot be passed. */
enum px_native_type {
	PX_NATIVE_NONE,
	PX_NATIVE_BOOL,    /* .integer: 0 or 1 */
	PX_NATIVE_INT,     /* .integer */
	PX_NATIVE_UINT,    /* .natural: an integer above INT64_MAX */
	PX_NATIVE_DOUBLE,  /* .real */
	PX_NATIVE_COMPLEX, /* .real, .imaginary */
	PX_NATIVE_TEXT,    /* .text, .bytes: UTF-8, without a NUL at its end */
	PX_NATIVE_BYTES,   /* .text, .bytes */
	PX_NATIVE_ARRAY    /* .data, .dtype, .ndim, .shape, .strides, .live */
};

/* Elements of arrays, as px_dtype of pxrun.h: DLPack's code << 8 | bits. */
enum px_native_dtype {
	PX_NATIVE_INT8 = 0x0008,
	PX_NATIVE_INT16 = 0x0010,
	PX_NATIVE_INT32 = 0x0020,
	PX_NATIVE_INT64 = 0x0040,
	PX_NATIVE_UINT8 = 0x0108,
	PX_NATIVE_UINT16 = 0x0110,
	PX_NATIVE_UINT32 = 0x0120,
	PX_NATIVE_UINT64 = 0x0140,
	PX_NATIVE_FLOAT16 = 0x0210,
	PX_NATIVE_FLOAT32 = 0x0220,
	PX_NATIVE_FLOAT64 = 0x0240,
	PX_NATIVE_COMPLEX64 = 0x0540,
	PX_NATIVE_COMPLEX128 = 0x0580,
	PX_NATIVE_BOOLEANS = 0x0608
};

/* An argument. An integer or a bool also has its value as .real. */
struct px_native_arg {
	int type;  /* enum px_native_type */
	int dtype; /* enum px_native_dtype */
	int ndim;
	int live; /* 1: the caller and other engines see what is written */
	int64_t integer;
	uint64_t natural;
	double real, imaginary;
	const char *text;
	uint64_t bytes;         /* of text; of all elements of an array */
	void *data;             /* element [0, ..., 0]; NULL if there are no elements */
	const int64_t *shape;   /* [ndim] */
	const int64_t *strides; /* [ndim], in bytes; may be negative */
};

#define PX_NATIVE_TEXT_MAX 1024

/* What the function returns: nothing, unless it sets one. */
struct px_native_result {
	size_t size;
	int type; /* PX_NATIVE_NONE, _BOOL, _INT, _DOUBLE, _COMPLEX, _TEXT or _BYTES */
	int reserved;
	int64_t integer;
	double real, imaginary;
	uint64_t bytes; /* of text, at most PX_NATIVE_TEXT_MAX */
	char text[PX_NATIVE_TEXT_MAX];
};

/* The call. */
struct px_native {
	size_t size; /* of this struct as the engine has it: members may be added at its end */
	int rank;    /* of this engine among those that were sent this call, from 0 */
	int count;   /* how many they are; 1 for a task of px_view_any() */
	int engine;  /* its id */
	int reserved;
	/* Memory to work in, at a multiple of 4096. It keeps what is in it from call to call, of any caller. */
	void *scratch;
	size_t scratch_bytes; /* at least 65536 */
	/* Not 0: the caller has cancelled the call, or the engine is to end. Look at it now and then, and return. */
	const volatile int *cancel;
	/*
	 * Waits until all engines that were sent this call have come here as often as this one. What each has
	 * written before to live arrays, the others read afterwards. 0; anything else: it is broken, for one
	 * of them has returned or died, was never sent the call, or it was cancelled: return at once, as the
	 * others do. A call to one engine never waits. Not for threads that the function starts.
	 *
	 * Calls of two clients, or of a client's two threads, may reach engines in different orders, and then
	 * wait for each other. That is noticed, and breaks the barrier of the one of them.
	 */
	int (*barrier)(const struct px_native *px);
	/* Makes scratch_bytes at least that many; what is in it stays. 0, or -1: there is no memory. */
	int (*grow)(const struct px_native *px, size_t bytes);
	void *engine_state; /* the engine's own */
};

/* The function. Its symbol must be visible, and of C: PX_NATIVE_FUNCTION() sees to that. */
typedef int px_native_fn(const struct px_native *px, size_t argc, const struct px_native_arg *argv,
			 struct px_native_result *result);

/* --- shorter forms --- */

/* The elements of argument i, if it is a C-contiguous array of that type and number of dimensions; else NULL. */
static inline void *px_native_array(size_t argc, const struct px_native_arg *argv, size_t i,
				    int dtype, int ndim)
{
	int64_t step;
	int axis;

	if (i >= argc || argv[i].type != PX_NATIVE_ARRAY || argv[i].dtype != dtype ||
	    argv[i].ndim != ndim)
		return NULL;
	step = (dtype & 0xff) / 8;
	for (axis = ndim - 1; axis >= 0; axis--) {
		if (argv[i].shape[axis] != 1 && argv[i].strides[axis] != step)
			return NULL;
		step *= argv[i].shape[axis];
	}
	return argv[i].data;
}

/* For `return`: the value is an integer. */
static inline int px_native_return_int(struct px_native_result *result, int64_t value)
{
	result->type = PX_NATIVE_INT;
	result->integer = value;
	return 0;
}

/* The value is a double. */
static inline int px_native_return_double(struct px_native_result *result, double value)
{
	result->type = PX_NATIVE_DOUBLE;
	result->real = value;
	return 0;
}

/* Copies a text, as much of it as there is room for. */
static inline void px_native_set_text(struct px_native_result *result, const char *text)
{
	size_t bytes = strlen(text);

	if (bytes > PX_NATIVE_TEXT_MAX)
		bytes = PX_NATIVE_TEXT_MAX;
	memcpy(result->text, text, bytes);
	result->bytes = bytes;
	result->type = PX_NATIVE_TEXT;
}

/* The value is a text. */
static inline int px_native_return_text(struct px_native_result *result, const char *text)
{
	px_native_set_text(result, text);
	return 0;
}

/* The call fails, with these words. */
static inline int px_native_fail(struct px_native_result *result, const char *words)
{
	px_native_set_text(result, words);
	return 1;
}

#ifdef __cplusplus
}
#endif

#endif
