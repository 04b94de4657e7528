/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pxrun.h - a pool of Python engines on this machine, from C.
 *
 *	struct px_client *client;
 *	struct px_view *view;
 *	struct px_result *result;
 *	struct px_value sum;
 *
 *	px_pool_start(&(struct px_pool_options)PX_POOL_OPTIONS, &client);
 *	px_view_all(client, &view);
 *	px_view_call(view, "math:hypot", 2, (struct px_value[]){px_double(3), px_double(4)}, NULL,
 *		     NULL, &result);
 *	px_result_wait(result, PX_FOREVER);
 *	px_result_value(result, 0, &sum);
 *
 * Functions return 0 or a negative PX_E…; then px_last_error() has a message, and out-parameters
 * are not written. Functions that return a number or a pointer return 0 or NULL on failure
 * (px_result_engine(): UINT32_MAX; those that return an int: a negative code). The library installs no signal handler, does not fork your process and does not link Python.
 *
 * Handles are opaque, and each kind has its own function to free it; NULL may be freed. NULL for
 * a handle or for a pointer that is needed is PX_EINVAL, and the message names the argument. Who
 * may use them, what ends them, and what a call returns then:
 *
 *   client   Any thread, any function, at any time. px_client_detach() ends it, whatever others are
 *            doing: their calls return PX_ECLOSED, and so do later ones.
 *   view     Any thread, several at once. px_view_free() ends it; no thread may be in a call of it.
 *            When its client is closed, its requests are PX_ECLOSED.
 *   result   Any thread, several at once. px_result_free() ends it; no thread may be in a call of
 *            it. When its client is closed, entries that were not ready become ready, with
 *            PX_ECLOSED; what came before stays readable, values as well.
 *   array    Any thread, several at once; counted, and px_array_unref() ends one reference. Who writes
 *            its elements, and when, is up to the program. It outlives its client and the pool.
 *   library  Any thread, several at once. px_library_free() ends it and its kernels; no thread may be in
 *   kernel   a call of them.
 *
 * After a fork the child cannot use its parent's handles: whatever needs the segment is
 * PX_ECLOSED. It may free views and results. A handle that was freed a moment ago is recognised
 * (PX_ECLOSED), but a program must not rely on it. No function may be called by a signal handler.
 *
 * The semantics are those of IPython's direct interface: requests to one engine run
 * in the order in which this client sent them; targets are engine ids.
 */
#ifndef PXRUN_H
#define PXRUN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PX_PUBLIC __attribute__((visibility("default")))
#define PX_CHECKED __attribute__((warn_unused_result))
#else
#define PX_PUBLIC
#define PX_CHECKED
#endif

#define PX_VERSION_MAJOR 0 /* of this header; px_version() is the library's */
#define PX_VERSION_MINOR 1
#define PX_VERSION_PATCH 0

#define PX_ENGINES_MAX 512         /* engines of a pool, and entries of a view */
#define PX_NDIM_MAX 32             /* dimensions of an array */
#define PX_LIST_DEPTH_MAX 100      /* lists and dicts in one another */
#define PX_ARRAYS_PER_CALL_MAX 300 /* arrays in the arguments of one call, in lists and dicts too */

#define PX_EINVAL (-1)    /* a wrong argument */
#define PX_ENOMEM (-2)    /* private or shared memory is used up */
#define PX_ETIMEDOUT (-3) /* not ready in the given time; the supervisor does not answer */
#define PX_ECORRUPT (-4)  /* another member wrote invalid data */
#define PX_EENGINE (-5)   /* the engine is dead, or died meanwhile */
#define PX_EREMOTE (-6)   /* the request raised an exception on the engine */
#define PX_EPOOL (-7)     /* the supervisor is gone: so is the pool; or it grants no memory */
#define PX_ENOPOOL (-8)   /* no pool runs under that profile */
#define PX_EEXIST (-9)    /* a pool runs under that profile already */
#define PX_ESYSTEM (-10)  /* a system call failed */
#define PX_EAGAIN (-11)   /* would block */
#define PX_EVERSION (-12) /* made by another version of pxrun */
#define PX_EINTR (-13)    /* a signal arrived while waiting */
#define PX_ECLOSED (-14)  /* closed, in a forked child, or its descriptors are: see the message */
#define PX_EABORTED (-15) /* the request was aborted before it ran */
#define PX_EPERM (-16)    /* a file's owner or mode is wrong, or the pool is another user's */

#define PX_FOREVER UINT64_MAX /* as timeout_ns */

struct px_client;
struct px_view;
struct px_result;
struct px_array;
struct px_library;
struct px_kernel;

/* The message of this thread's last failure, "" if none. Valid until its next failure. */
PX_PUBLIC const char *px_last_error(void);
/* Its code, 0 if none. */
PX_PUBLIC int px_last_code(void);
/* The meaning of an error number. A constant string. */
PX_PUBLIC const char *px_strerror(int code);
/* As "0.1.0". A constant string. */
PX_PUBLIC const char *px_version(void);

/* --- pools --- */

/*
 * Initialise it by PX_POOL_OPTIONS, or by px_pool_options_init(): what is left 0 or NULL has its
 * default. A program that was compiled with another version of this header may use the library, if it
 * sets no member that the library does not know.
 */
struct px_pool_options {
	size_t size;
	/* NULL: $PXRUN_PROFILE, else "default"; "" makes a private, unnamed one. */
	const char *profile;
	uint32_t engines;       /* 0: as many as processors may be used (affinity, cgroup quota) */
	uint64_t arena_bytes;   /* 0: half of the memory available */
	const char *restart;    /* NULL: "on-failure"; "never", "always" */
	const char *event_loop; /* NULL: "auto"; "io_uring", "epoll" */
	const char *python;     /* NULL: $VIRTUAL_ENV's, else that of pxrun itself */
	/* Modules separated by commas. NULL: "numpy" if it is installed; "": none. */
	const char *preload;
	/* Folders separated by colons, put before the engines' sys.path. NULL: none. */
	const char *sys_path;
	const char *command;    /* NULL: the installed `pxrun` */
	uint64_t quota_bytes;   /* the most of the arena that one client may have; 0: all of it */
	const char *huge_pages; /* NULL: "auto", where the kernel has them; "never" */
	/* Variables for the engines: "NAME=value", NULL at the end. NULL: none but this process's own. */
	const char *const *environment;
	uint64_t start_timeout_ns; /* 0: no limit but the supervisor's own */
	int log_fd; /* gets a line for each warning. 0: nothing does */
	int native; /* 1: engines without an interpreter, which call native functions alone */
	/* NULL: "local"; "mpi": engines are the ranks of an MPI world, see pxrun-mpi(7). */
	const char *launcher;
	const char *mpiexec;  /* NULL: "mpiexec", on PATH */
	const char *mpi_args; /* further arguments for it, separated by blanks. NULL: none */
};
#define PX_POOL_OPTIONS                                                                            \
	{                                                                                          \
		sizeof(struct px_pool_options), NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, \
			NULL, NULL, 0, 0, 0, NULL, NULL, NULL                                      \
	}
/* The same as a function, of this header and so of its struct: that of the library may be larger. */
static inline void px_pool_options_init(struct px_pool_options *options)
{
	const struct px_pool_options defaults = PX_POOL_OPTIONS;

	*options = defaults;
}

/*
 * Starts a pool and attaches to it: returns when all engines serve. The supervisor is a process
 * of its own, started by posix_spawn(3). A pool started here with profile "" stops when this
 * client is detached or its process ends, also if a child that this has forked lives on. PX_EEXIST,
 * PX_EINVAL, PX_ENOMEM, PX_ESYSTEM, PX_EENGINE (engines did not start; says why), PX_ETIMEDOUT (not
 * ready within start_timeout_ns; nothing is left of it).
 */
PX_PUBLIC PX_CHECKED int px_pool_start(const struct px_pool_options *options,
				       struct px_client **client);
/*
 * Stops the pool of a profile and waits until all its processes are gone. A supervisor that does
 * not answer within timeout_ns, but at least a second, is killed, and its engines die with it.
 * PX_ENOPOOL, PX_ETIMEDOUT.
 */
PX_PUBLIC int px_pool_stop(const char *profile, uint64_t timeout_ns);

/* One of this user's pools. */
struct px_pool_info {
	size_t size; /* of this struct as the library has it */
	const char *profile;
	int supervisor_pid;
	uint32_t engines;            /* that it began with; 0 until it serves */
	const char *connection_file; /* a path, for px_client_attach() */
	const char *started;         /* as "2024-01-31T12:00:00Z"; "" until it serves */
};
typedef void px_pool_each(void *ctx, const struct px_pool_info *info);
/*
 * Calls each(ctx, info) for every pool of this user that runs; what info points to is lent for that
 * call. Returns how many there are. PX_ESYSTEM, PX_EPERM.
 */
PX_PUBLIC int px_pool_list(px_pool_each *each, void *ctx);

/* --- clients --- */

/*
 * Attaches to the pool that runs under a profile (NULL: that of the connection file
 * $PXRUN_CONNECTION, which `pxrun run` sets, else $PXRUN_PROFILE, else "default"), or, if the name
 * has a '/', to that of a connection file. PX_ENOPOOL (says how to start one), PX_EPERM,
 * PX_EVERSION, PX_ENOMEM; PX_ETIMEDOUT: its supervisor has not answered for so long, or, if that is 0 or
 * PX_FOREVER, for ten seconds, as it is stopped or hangs.
 */
PX_PUBLIC PX_CHECKED int px_client_attach(const char *profile, uint64_t timeout_ns,
					  struct px_client **client);
/*
 * Detaches and frees. Any thread, also while others are in calls: these return PX_ECLOSED, and it
 * waits until they have. Results that are not ready become so, with PX_ECLOSED. Views and results
 * have to be freed all the same.
 */
PX_PUBLIC void px_client_detach(struct px_client *client);
/*
 * Takes the result that finished first of those that have: whose entries are all ready, and that
 * was not taken before. Whether it was waited for or looked at by other functions does not
 * matter. The caller frees it; a result that was freed before is not given. If there is none it
 * waits; with 0 ns it only looks. PX_ETIMEDOUT, PX_EINTR, PX_ECLOSED; PX_EPOOL if the pool is
 * gone and none is left. Another thread may get a result before the call that makes it returns.
 */
PX_PUBLIC PX_CHECKED int px_client_next(struct px_client *client, uint64_t timeout_ns,
					struct px_result **result);
/*
 * A descriptor for poll(2): readable while px_client_next() has a result to give, and when the
 * pool is gone. It belongs to the client: do not read or close it. The first call starts a
 * thread, which ends with the client. PX_ESYSTEM, PX_ENOMEM, PX_ECLOSED.
 */
PX_PUBLIC PX_CHECKED int px_client_fd(struct px_client *client);
/* Reads whatever has arrived, without waiting. PX_EPOOL if the pool is lost, PX_ECLOSED. */
PX_PUBLIC int px_client_poll(struct px_client *client);
/*
 * Ids of the engines that are up or starting, ascending; returns their number, which may exceed
 * cap.
 */
PX_PUBLIC int px_client_engines(struct px_client *client, uint32_t *ids, size_t cap);
/* Stops the pool this client is attached to, as px_pool_stop() does. */
PX_PUBLIC int px_client_stop_pool(struct px_client *client, uint64_t timeout_ns);
/*
 * These ask the supervisor, and wait for its answer for at most timeout_ns; if that is 0 or PX_FOREVER,
 * as long as it gives signs of life, and if it gives none for ten seconds no longer. PX_ETIMEDOUT: what was
 * asked may be done all the same. PX_EENGINE: there is no such engine; PX_EINVAL, PX_EPOOL, PX_ECLOSED.
 */
/* Sends a signal to an engine's process: SIGINT raises KeyboardInterrupt in the running request. */
PX_PUBLIC int px_client_signal(struct px_client *client, uint32_t engine, int signal_number,
			       uint64_t timeout_ns);
/* Starts count more engines; *first is the first new id. Returns when they serve. */
PX_PUBLIC int px_client_add_engines(struct px_client *client, uint32_t count, uint64_t timeout_ns,
				    uint32_t *first);
/* Stops an engine's process and starts another with the same id and an empty namespace. */
PX_PUBLIC int px_client_restart_engine(struct px_client *client, uint32_t engine,
				       uint64_t timeout_ns);
/* Stops an engine for good: its id is not used again. */
PX_PUBLIC int px_client_remove_engine(struct px_client *client, uint32_t engine,
				      uint64_t timeout_ns);
/* The pool's state as JSON, see pxrun-status(1). Returns a new string: free(3). */
PX_PUBLIC int px_client_status_json(struct px_client *client, char **json);

/*
 * Structs that the library fills. The caller sets size to sizeof the struct before; a library of
 * another version fills what both know, and of the rest the library's is left out, the caller's is 0.
 * They are read from shared memory: nobody is asked, and nothing waits. PX_EINVAL: size was not set;
 * PX_ECLOSED.
 */
struct px_status {
	size_t size;
	int supervisor_pid;
	uint32_t engines_up, engines_starting; /* starting, or between two processes */
	uint32_t engines_gone;                 /* removed, or not to be had any more */
	uint32_t clients;                      /* this one, too */
	uint64_t arena_bytes, free_bytes;      /* of the arena, what belongs to nobody */
	uint64_t uptime_ns;
};
PX_PUBLIC int px_client_status(struct px_client *client, struct px_status *status);

enum px_engine_life { PX_ENGINE_IS_STARTING = 1, PX_ENGINE_IS_UP = 2, PX_ENGINE_IS_GONE = 3 };
struct px_engine_status {
	size_t size;
	int pid;              /* 0: it has no process */
	int state;            /* enum px_engine_life */
	uint64_t queued;      /* requests of this client that it has not answered */
	uint64_t done;        /* requests of all clients that this process has answered */
	uint64_t rss_bytes;   /* memory that the process has; shared memory counts */
	uint32_t restarts;    /* processes that it has had before this one */
	int busy;             /* 1: it works on a request of some client */
	uint64_t busy_ns;     /* for so long */
	uint64_t arena_bytes; /* of the arena, what the engine has */
};
/* PX_EENGINE: the pool never had such an engine. */
PX_PUBLIC int px_client_engine_status(struct px_client *client, uint32_t engine,
				      struct px_engine_status *status);

struct px_memory {
	size_t size;
	uint64_t mine_bytes; /* of the arena, what this client has */
	uint64_t
		lent_bytes; /* of that, what engines hold: arguments that they keep, unread requests */
	uint64_t warm_bytes;              /* of that, what is free and kept for the next arrays */
	uint64_t arena_bytes, free_bytes; /* all of it, and what belongs to nobody */
};
PX_PUBLIC int px_client_memory(struct px_client *client, struct px_memory *memory);
/*
 * Gives unused memory of this client back to the pool. Returns the bytes. When others are short of it, calls that wait
 * do so by themselves.
 */
PX_PUBLIC uint64_t px_client_trim(struct px_client *client);

/* --- values --- */

enum px_type {
	PX_NONE,
	PX_BOOL,
	PX_INT,
	PX_DOUBLE,
	PX_STRING, /* UTF-8, NUL-terminated in memory */
	PX_BYTES,
	PX_LIST, /* a tuple arrives as a list */
	PX_ARRAY,
	PX_OBJECT, /* any other Python object, as its repr. Only received */
	PX_UINT, /* is an int in Python; of those that are received, only what a PX_INT cannot hold */
	PX_COMPLEX,
	PX_DICT
};

/*
 * What it points to is the caller's, until the request that it is passed to returns; in a value that
 * was received it is the result's.
 */
struct px_value {
	enum px_type type;
	union {
		int truth;
		int64_t integer;
		uint64_t natural;
		double real;
		struct {
			double re, im;
		} complex_number;
		struct {
			const char *data;
			uint64_t bytes;
		} text; /* STRING, BYTES, OBJECT */
		struct {
			const struct px_value *items;
			uint64_t count;
		} list;
		struct {
			const struct px_value *keys, *values;
			uint64_t count;
		} dict; /* keys are no lists, dicts or arrays */
		struct px_array *array;
	} as;
};

static inline struct px_value px_none(void)
{
	struct px_value v = { PX_NONE, { 0 } };
	return v;
}
static inline struct px_value px_bool(int truth)
{
	struct px_value v = { PX_BOOL, { 0 } };
	v.as.truth = truth != 0;
	return v;
}
static inline struct px_value px_int(int64_t integer)
{
	struct px_value v = { PX_INT, { 0 } };
	v.as.integer = integer;
	return v;
}
static inline struct px_value px_uint(uint64_t natural)
{
	struct px_value v = { PX_UINT, { 0 } };
	v.as.natural = natural;
	return v;
}
static inline struct px_value px_double(double real)
{
	struct px_value v = { PX_DOUBLE, { 0 } };
	v.as.real = real;
	return v;
}
static inline struct px_value px_complex(double re, double im)
{
	struct px_value v = { PX_COMPLEX, { 0 } };
	v.as.complex_number.re = re;
	v.as.complex_number.im = im;
	return v;
}
/* These lend what they are given, until the call that uses the value returns. It checks them. */
PX_PUBLIC struct px_value px_string(const char *text);
PX_PUBLIC struct px_value px_string_n(const char *text, uint64_t bytes);
PX_PUBLIC struct px_value px_bytes(const void *data, uint64_t bytes);
PX_PUBLIC struct px_value px_list(const struct px_value *items, uint64_t count);
PX_PUBLIC struct px_value px_dict(const struct px_value *keys, const struct px_value *values,
				  uint64_t count);
PX_PUBLIC struct px_value px_of_array(struct px_array *array);

/* The value of a dict's key, as memory of the dict's owner. PX_EINVAL: no such key, or no dict. */
PX_PUBLIC PX_CHECKED int px_value_get(const struct px_value *dict, const char *key,
				      struct px_value *out);
/*
 * As a number: of a bool, an integer, a float (for an int64_t only a whole one), or an array that has
 * one such element. PX_EINVAL: it is something else, or does not fit.
 */
PX_PUBLIC PX_CHECKED int px_value_as_int64(const struct px_value *value, int64_t *out);
PX_PUBLIC PX_CHECKED int px_value_as_double(const struct px_value *value, double *out);
/* The text of a string, bytes or an object: NUL-terminated, memory of the value's owner. PX_EINVAL. */
PX_PUBLIC PX_CHECKED int px_value_as_text(const struct px_value *value, const char **out);

/* --- arrays --- */

/* DLPack's code of the kind, times 256, and the bits of an element. */
enum px_dtype {
	PX_DTYPE_INT8 = 0x0008,
	PX_DTYPE_INT16 = 0x0010,
	PX_DTYPE_INT32 = 0x0020,
	PX_DTYPE_INT64 = 0x0040,
	PX_DTYPE_UINT8 = 0x0108,
	PX_DTYPE_UINT16 = 0x0110,
	PX_DTYPE_UINT32 = 0x0120,
	PX_DTYPE_UINT64 = 0x0140,
	PX_DTYPE_FLOAT16 = 0x0210,
	PX_DTYPE_FLOAT32 = 0x0220,
	PX_DTYPE_FLOAT64 = 0x0240,
	PX_DTYPE_COMPLEX64 = 0x0540,
	PX_DTYPE_COMPLEX128 = 0x0580,
	PX_DTYPE_BOOL = 0x0608 /* a byte, 0 or 1 */
};

/*
 * Arrays are sent as follows.
 *
 *   px_array_alloc()   Never copied. An engine reads the very memory, and gets private pages where it
 *                      writes. So the program may change the elements again only when nobody looks at
 *                      them any more: px_array_wait().
 *   ... PX_ARRAY_LIVE  An engine reads and writes the very memory, at once and with no message. Who
 *                      writes what, and when, is up to the program.
 *   px_array_wrap()    Its elements are copied once, however many engines get them, before the
 *                      request returns. Those of a column-major array stay in that order.
 *   from a result      Its memory is private; writing to it changes nothing elsewhere. Sent on, it is
 *                      copied.
 */
#define PX_ARRAY_LIVE 1u
#define PX_ARRAY_FORTRAN 2u /* column-major */
#define PX_ARRAY_ZERO 4u    /* all elements 0; else they are undefined */

/*
 * A new array in memory that engines can see, with one reference. Waits while the supervisor grants
 * memory. PX_EINVAL, PX_ENOMEM: the arena is full; PX_EPOOL, PX_ECLOSED.
 */
PX_PUBLIC PX_CHECKED int px_array_alloc(struct px_client *client, enum px_dtype dtype, int ndim,
					const int64_t *shape, unsigned flags,
					struct px_array **array);
/*
 * A new array over the program's own memory, which has to outlive it. strides: in bytes, may be
 * negative or 0; NULL: row-major without gaps. data is where element [0, ..., 0] is. PX_EINVAL, PX_ENOMEM.
 */
PX_PUBLIC PX_CHECKED int px_array_wrap(void *data, enum px_dtype dtype, int ndim,
				       const int64_t *shape, const int64_t *strides,
				       struct px_array **array);
/* One reference more, or less: with the last the array ends. NULL is fine for the latter. */
PX_PUBLIC void px_array_ref(struct px_array *array);
PX_PUBLIC void px_array_unref(struct px_array *array);
/* Element [0, ..., 0]; NULL may be that of an array without elements. */
PX_PUBLIC void *px_array_data(const struct px_array *array);
PX_PUBLIC int px_array_ndim(const struct px_array *array);
/* px_array_ndim() numbers, memory of the array; strides in bytes. */
PX_PUBLIC const int64_t *px_array_shape(const struct px_array *array);
PX_PUBLIC const int64_t *px_array_strides(const struct px_array *array);
PX_PUBLIC int px_array_dtype(const struct px_array *array); /* enum px_dtype */
/* Of all elements, without what lies between them. */
PX_PUBLIC uint64_t px_array_bytes(const struct px_array *array);
/*
 * Waits until no engine holds it any more, so that its elements may be changed without one seeing it:
 * not sent and not begun, not an argument of what runs, not kept in a namespace. 0 at once for arrays
 * that are copied when they are sent. PX_ETIMEDOUT, PX_EINTR, PX_ECLOSED.
 */
PX_PUBLIC int px_array_wait(struct px_array *array, uint64_t timeout_ns);
/* Ids of the engines that hold it, ascending; returns their number, which may exceed cap. */
PX_PUBLIC int px_array_holders(struct px_array *array, uint32_t *engines, size_t cap);

/*
 * DLPack's managed tensor (dlpack.h, version 1), by which other libraries take and give arrays without a
 * copy. The first takes the tensor on success, and calls its deleter with the last reference; PX_EINVAL:
 * not in the processor's memory, or of a dtype that is none of enum px_dtype. The second makes one that
 * holds a reference, for whoever gets it to end by its deleter.
 */
struct DLManagedTensorVersioned;
PX_PUBLIC PX_CHECKED int px_array_from_dlpack(struct DLManagedTensorVersioned *tensor,
					      struct px_array **array);
PX_PUBLIC PX_CHECKED int px_array_to_dlpack(struct px_array *array,
					    struct DLManagedTensorVersioned **tensor);
/*
 * Reads an array from a .npy file, into memory as of px_array_alloc(), or with client NULL into memory
 * of its own. PX_EINVAL: no such file, or of a dtype that is none of enum px_dtype (the message says
 * which); PX_ESYSTEM, PX_ENOMEM. Elements in the other byte order are swapped.
 */
PX_PUBLIC PX_CHECKED int px_array_load(struct px_client *client, const char *npy,
				       struct px_array **array);
/* Writes it as a .npy file, which is there whole or not at all. PX_ESYSTEM. */
PX_PUBLIC PX_CHECKED int px_array_save(struct px_array *array, const char *npy);

/* --- views --- */

/* A new view of all engines that are up at each call. */
PX_PUBLIC PX_CHECKED int px_view_all(struct px_client *client, struct px_view **view);
/* A new view of these engines. PX_EINVAL if there are none. */
PX_PUBLIC PX_CHECKED int px_view_of(struct px_client *client, const uint32_t *ids, size_t count,
				    struct px_view **view);
/*
 * The load-balanced view: a request goes to one engine, whichever is idle first, also one that is added
 * later. It is a task: its result has one entry, and px_result_engine() tells which engine has taken it,
 * UINT32_MAX as long as none has. Tasks begin in the order in which they were posted, behind what was asked
 * of an engine by other views; nobody has to call anything for that. One that fails, or whose engine
 * dies, is run again as often as px_how.retries says. One that raises pxrun.UnmetDependency or a
 * subclass is tried on each of the other engines, once. To wait for the next of many:
 * px_client_next(). A task does not wait for engines, and cannot have live arrays (PX_EINVAL).
 */
PX_PUBLIC PX_CHECKED int px_view_any(struct px_client *client, struct px_view **view);
/* The same of these engines alone. PX_EINVAL if there are none. */
PX_PUBLIC PX_CHECKED int px_view_any_of(struct px_client *client, const uint32_t *ids, size_t count,
					struct px_view **view);
PX_PUBLIC void px_view_free(struct px_view *view);

/* --- requests --- */

/*
 * Flags. PX_NOWAIT: where the call would wait for room or for an engine's start it is PX_EAGAIN, and
 * nothing was sent; it waits all the same while the supervisor grants memory. If engines before it have got the request already, that
 * engine's entry is PX_EAGAIN.
 */
#define PX_NOWAIT 1u
#define PX_URGENT 2u /* overtakes requests of this client that wait; not for tasks (PX_EINVAL) */
#define PX_QUIET 4u  /* no value of an expression, and nothing of what it prints is kept */

/* Initialise it by PX_HOW. A NULL pointer to it stands for that. */
struct px_how {
	size_t size;
	unsigned flags;
	uint32_t retries; /* of a task; others are PX_EINVAL with any */
	void *user;       /* what px_result_user() gives */
	/*
	 * From the call on; 0: none. Then entries that are not ready are stopped as px_result_cancel()
	 * does, and are PX_ETIMEDOUT, at most 50 ms late; what runs and does not heed an interrupt, or
	 * is urgent and waits, is so when it ends, whatever it ends with. The thread that px_client_fd()
	 * starts sees to it, which the first request with a limit starts as well.
	 */
	uint64_t timeout_ns;
};
#define PX_HOW                                                                                     \
	{                                                                                          \
		sizeof(struct px_how), 0, 0, NULL, 0                                               \
	}

/*
 * Requests: each returns a new result with one entry per target, in the view's order, or, of a
 * load-balanced view, one. result may be NULL: then the request runs, but its value or failure cannot be
 * had. PX_EENGINE if a target does not exist or is dead (names the live ids), PX_ENOMEM, PX_EPOOL,
 * PX_ECLOSED. What is passed may be changed as soon as the call returns, except for the elements of
 * arrays from px_array_alloc().
 *
 * What a request waits for: the supervisor, while it grants memory; and, unless PX_NOWAIT is given, an
 * engine that is being started, for a minute at most; room in the ring to an engine, or one of its leases,
 * as long as it has unanswered requests of this client, however long these run. No signal ends that. A
 * time limit does, but for the supervisor: what was not sent by then is PX_ETIMEDOUT, the call if no engine
 * has got the request, else the entry.
 */
PX_PUBLIC PX_CHECKED int px_view_noop(struct px_view *view, const struct px_how *how,
				      struct px_result **result);
/* Runs code in the engines' namespace; the value is the repr of a last expression, or none. */
PX_PUBLIC PX_CHECKED int px_view_execute(struct px_view *view, const char *code,
					 const struct px_how *how, struct px_result **result);
/*
 * Calls "module:function" (or a name in the engine's namespace, "name") with arguments; keywords: a
 * dict whose keys are strings, or NULL.
 */
PX_PUBLIC PX_CHECKED int px_view_call(struct px_view *view, const char *function, size_t argc,
				      const struct px_value *argv, const struct px_value *keywords,
				      const struct px_how *how, struct px_result **result);
PX_PUBLIC PX_CHECKED int px_view_push(struct px_view *view, const char *name,
				      const struct px_value *value, const struct px_how *how,
				      struct px_result **result);
PX_PUBLIC PX_CHECKED int px_view_pull(struct px_view *view, const char *name,
				      const struct px_how *how, struct px_result **result);

enum px_distribution {
	PX_BLOCK, /* consecutive items, as evenly as can be, the larger parts first */
	PX_CYCLIC /* every n-th */
};
/*
 * Cuts an array along an axis (from 0 on, or from -1 down) into one part for each engine, and assigns
 * them. Sent as arrays are: of one from px_array_alloc() parts are not copied. PX_EINVAL also of a
 * load-balanced view. To get parts back: px_view_pull() and px_result_gather().
 */
PX_PUBLIC PX_CHECKED int px_view_scatter(struct px_view *view, const char *name,
					 struct px_array *array, int axis,
					 enum px_distribution distribution,
					 const struct px_how *how, struct px_result **result);
/*
 * Calls a function for each of many items, in chunks, which are the entries of the result; each chunk's
 * value is a list, and px_result_item() finds that of an item. chunk: items of each; 0: of a direct view
 * one chunk for each engine, of a load-balanced one some more. Chunks of a direct view are dealt
 * to its engines in turn, those of a load-balanced one are tasks. A chunk fails with the first of
 * its items that does; the traceback says which. PX_EINVAL: there are no items.
 */
PX_PUBLIC PX_CHECKED int px_view_map(struct px_view *view, const char *function, size_t count,
				     const struct px_value *items, size_t chunk,
				     const struct px_how *how, struct px_result **result);

/* --- results --- */

/* A pointer of the caller's, for whoever gets the result from px_client_next(). NULL at first. */
PX_PUBLIC int px_result_set_user(struct px_result *result, void *user);
PX_PUBLIC void *px_result_user(const struct px_result *result);
/*
 * Waits until every entry is ready; 0 also if entries failed. PX_ETIMEDOUT, PX_ECLOSED. PX_EINTR: a
 * handler has run, also one with SA_RESTART, so that the program can look at what it has set. One
 * that does not mind waits on:
 *
 *	do
 *		rc = px_result_wait(result, PX_FOREVER);
 *	while (rc == PX_EINTR);
 */
PX_PUBLIC int px_result_wait(struct px_result *result, uint64_t timeout_ns);
/*
 * Waits until one of n results is ready, and gives its index: the first in the order of the array. All
 * are of one client (PX_EINVAL). PX_ETIMEDOUT, PX_EINTR, PX_ECLOSED. Of many results, and from several
 * threads, px_client_next() is the quicker way.
 */
PX_PUBLIC PX_CHECKED int px_result_wait_any(struct px_result *const *results, size_t n,
					    uint64_t timeout_ns, size_t *which);
/* 1 or 0: looks at the rings, and does not wait. What px_client_fd() says of it stays true. */
PX_PUBLIC int px_result_ready(struct px_result *result);
PX_PUBLIC size_t px_result_count(const struct px_result *result);
/* UINT32_MAX: there is no such entry, or no engine has taken the task. */
PX_PUBLIC uint32_t px_result_engine(struct px_result *result, size_t index);
/*
 * The value of a ready entry. Its memory is the result's; all threads get the same. For a failed
 * entry returns its code (PX_EREMOTE, PX_EENGINE, …), with the message in px_last_error();
 * PX_EAGAIN if it is not ready.
 */
PX_PUBLIC PX_CHECKED int px_result_value(struct px_result *result, size_t index,
					 struct px_value *value);
/*
 * The value of a ready entry, if it is an array: a new reference, which outlives the result. PX_EINVAL:
 * it is none; others as px_result_value().
 */
PX_PUBLIC PX_CHECKED int px_result_array(struct px_result *result, size_t index,
					 struct px_array **array);
/* The value of an item of px_view_map(), when its chunk is ready. As px_result_value(). */
PX_PUBLIC PX_CHECKED int px_result_item(struct px_result *result, size_t index,
					struct px_value *value);
/* The entry that is the item's chunk: its engine, output, times, and why it failed. PX_EINVAL. */
PX_PUBLIC PX_CHECKED int px_result_item_entry(struct px_result *result, size_t index,
					      size_t *entry);
/*
 * Copies the arrays of all entries, joined along an axis, into an array, whatever its strides; not one that
 * was sent and that engines may look at. PX_EINVAL: an entry is no array, or they do not fit, in words
 * that say where; PX_EAGAIN: not all are ready; or an entry's failure. Then the array is as it was.
 */
PX_PUBLIC PX_CHECKED int px_result_gather(struct px_result *result, int axis,
					  enum px_distribution distribution, struct px_array *into);
/*
 * The exception of an entry with PX_EREMOTE, in three strings, whose memory is the result's. Each of
 * the pointers may be NULL.
 */
PX_PUBLIC int px_result_error(struct px_result *result, size_t index, const char **ename,
			      const char **evalue, const char **traceback);
/*
 * How the engine of an entry with PX_EENGINE has ended: the signal that killed it, or 0 and its exit
 * code. PX_EINVAL: no process of it died with this request.
 */
PX_PUBLIC int px_result_death(struct px_result *result, size_t index, int *signal_number,
			      int *exit_code);

/* When things happened to an entry, in ns of CLOCK_REALTIME; 0: they have not. */
struct px_times {
	size_t size; /* set by the caller: of this struct */
	uint64_t submitted_ns;
	uint64_t started_ns, completed_ns; /* on the engine */
	uint64_t received_ns;
};
#define PX_TIMES                                                                                   \
	{                                                                                          \
		sizeof(struct px_times), 0, 0, 0, 0                                                \
	}
/* Fills it in, of an entry that is ready or not. */
PX_PUBLIC int px_result_times(struct px_result *result, size_t index, struct px_times *times);
/*
 * Copies what the request printed so far, from the offset from on, at most cap bytes; *got is how
 * many. which is 1 (stdout) or 2 (stderr). A caller that goes on at from + *got has everything
 * once the entry was ready before a call that gives 0 bytes. to may be NULL if cap is 0.
 */
PX_PUBLIC PX_CHECKED int px_result_output(struct px_result *result, size_t index, int which,
					  uint64_t from, char *to, size_t cap, size_t *got);
/*
 * Waits until px_result_output() has more than the first `from` bytes to give, or the entry is ready.
 * PX_ETIMEDOUT, PX_EINTR, PX_ECLOSED.
 */
PX_PUBLIC PX_CHECKED int px_result_wait_output(struct px_result *result, size_t index, int which,
					       uint64_t from, uint64_t timeout_ns);
/*
 * Raises KeyboardInterrupt in the request of an entry if its engine runs it, or runs it next, and
 * in no other request of this or another client. 0 also if the entry is ready. PX_EENGINE,
 * PX_EPOOL, PX_ECLOSED.
 */
PX_PUBLIC int px_result_interrupt(struct px_result *result, size_t index);
#define PX_ALL_ENTRIES SIZE_MAX
/*
 * Stops the request of an entry, or with PX_ALL_ENTRIES of all: requests that no engine has begun
 * are taken back as by px_result_abort(), requests that run are interrupted. PX_EPOOL, PX_ECLOSED.
 */
PX_PUBLIC int px_result_cancel(struct px_result *result, size_t index);
/*
 * Takes back the requests that no engine has begun: their entries are then ready, with
 * PX_EABORTED. Returns their number. Requests that run already go on.
 */
PX_PUBLIC size_t px_result_abort(struct px_result *result);
/* Frees; a request that has not run yet still runs. */
PX_PUBLIC void px_result_free(struct px_result *result);

/* --- native functions --- */

/*
 * Engines load shared objects and call functions of them without Python in the way; pxrun_native.h says
 * what such a function is given, and what it may do. Engines of any pool do. A pool whose engines do
 * nothing else has the setting `native`: they have no interpreter, and start in a moment.
 *
 * Every request says which file and function it is about, so that an engine that was started again, or
 * added, loads it by itself at the first call, and checks that it is the file that was loaded here.
 * glibc gives back what it has loaded under a path already: a library that was compiled anew needs
 * another path, or engines that are restarted, which is what the message says then.
 */

/*
 * Has the view's engines load a shared object, and waits until they have, behind their other requests.
 * path: relative to this process's working folder. PX_EINVAL: it cannot be loaded, in the words of the
 * dynamic linker, or an engine had loaded another file under that path; PX_ESYSTEM: there is no such file;
 * PX_ETIMEDOUT: an engine is busy for longer; PX_EENGINE, PX_EINTR, PX_EPOOL, PX_ECLOSED, PX_ENOMEM.
 */
PX_PUBLIC PX_CHECKED int px_library_load(struct px_view *view, const char *path,
					 uint64_t timeout_ns, struct px_library **library);
/* Frees the handle, and those of its kernels. Engines keep what they have loaded. */
PX_PUBLIC void px_library_free(struct px_library *library);
/*
 * Finds a function in it, by asking whichever of its engines answers first, as long as px_library_load()
 * was ready to wait. Asked for again, the kernel is the same. It belongs to the library. PX_EINVAL: there
 * is none of that name, or it is not visible; else as px_library_load().
 */
PX_PUBLIC PX_CHECKED int px_kernel_find(struct px_library *library, const char *symbol,
					struct px_kernel **kernel);
/*
 * Calls a native function on all engines of the view, or as a task of px_view_any(). Its arguments are
 * numbers, texts, bytes and arrays, at most PX_NATIVE_ARGS_MAX (64); its value is a number, a text, bytes
 * or none. The engines of one call can meet at its barrier, so an engine may be in the view once only. What
 * prints, how it is cancelled and what its end means is as for other requests: a crash is PX_EENGINE, a
 * function that fails PX_EREMOTE with a NativeError. With PX_QUIET what it prints goes to the log alone,
 * and a short call is a little shorter. A live array cannot be an argument of a task. PX_EINVAL, and as
 * px_view_noop().
 */
PX_PUBLIC int px_view_call_native(struct px_view *view, struct px_kernel *kernel, size_t argc,
				  const struct px_value *argv, const struct px_how *how,
				  struct px_result **result);

#ifdef __cplusplus
}
#endif

#endif
