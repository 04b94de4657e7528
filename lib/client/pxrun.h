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
 *	px_view_new(client, NULL, 0, &view);
 *	px_view_call(view, "math:hypot", 2, (struct px_value[]){px_double(3), px_double(4)}, &result);
 *	px_result_wait(result, PX_FOREVER);
 *	px_result_value(result, 0, &sum);
 *
 * Functions return 0 or a negative PX_E…; then px_last_error() has a message, and out-parameters
 * are not written. Functions that return a number or a pointer return 0 or NULL on failure
 * (px_result_engine(): UINT32_MAX; px_client_engines(): a negative code). The
 * library installs no signal handler, does not fork your process and does not link Python.
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

/* The message of this thread's last failure, "" if none. Valid until its next failure. */
PX_PUBLIC const char *px_last_error(void);
/* The meaning of an error number. A constant string. */
PX_PUBLIC const char *px_strerror(int code);
/* As "0.1.0". A constant string. */
PX_PUBLIC const char *px_version(void);

/* --- pools --- */

/*
 * Initialise it by PX_POOL_OPTIONS: what is left 0 or NULL has its default. A program that was
 * compiled with another version of this header may use the library, if it sets no member that the
 * library does not know.
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
};
#define PX_POOL_OPTIONS                                                                            \
	{                                                                                          \
		.size = sizeof(struct px_pool_options)                                             \
	}

/*
 * Starts a pool and attaches to it: returns when all engines serve. The supervisor is a process
 * of its own, started by posix_spawn(3). A pool started here with profile "" stops when this
 * client is detached or its process ends. PX_EEXIST, PX_EINVAL, PX_ENOMEM, PX_ESYSTEM, PX_EENGINE
 * (engines did not start; says why).
 */
PX_PUBLIC PX_CHECKED int px_pool_start(const struct px_pool_options *options,
				       struct px_client **client);
/*
 * Stops the pool of a profile and waits until all its processes are gone. A supervisor that does
 * not answer within timeout_ns, but at least a second, is killed, and its engines die with it.
 * PX_ENOPOOL, PX_ETIMEDOUT.
 */
PX_PUBLIC int px_pool_stop(const char *profile, uint64_t timeout_ns);

/* --- clients --- */

/*
 * Attaches to the pool that runs under a profile (NULL: that of the connection file
 * $PXRUN_CONNECTION, which `pxrun run` sets, else $PXRUN_PROFILE, else "default"), or, if the name
 * has a '/', to that of a connection file. PX_ENOPOOL (says how to start one), PX_EPERM,
 * PX_EVERSION, PX_ENOMEM; PX_ETIMEDOUT: its supervisor has not answered for ten seconds, as it is
 * stopped or hangs. Functions below that ask the supervisor return that likewise.
 */
PX_PUBLIC PX_CHECKED int px_client_attach(const char *profile, struct px_client **client);
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
/* Sends a signal to an engine's process: SIGINT raises KeyboardInterrupt in the running request. */
PX_PUBLIC int px_client_signal(struct px_client *client, uint32_t engine, int signal_number);
/* Starts count more engines; *first is the first new id. Returns when they serve. */
PX_PUBLIC int px_client_add_engines(struct px_client *client, uint32_t count, uint32_t *first);
/* Stops an engine's process and starts another with the same id and an empty namespace. */
PX_PUBLIC int px_client_restart_engine(struct px_client *client, uint32_t engine);
/* Stops an engine for good: its id is not used again. */
PX_PUBLIC int px_client_remove_engine(struct px_client *client, uint32_t engine);
/* The pool's state as JSON. Returns a new string: free(3). */
PX_PUBLIC int px_client_status(struct px_client *client, char **json);
/* Gives unused memory of this client back to the pool. Returns the bytes. */
PX_PUBLIC uint64_t px_client_trim(struct px_client *client);

/* --- values --- */

enum px_type {
	PX_NONE,
	PX_BOOL,
	PX_INT,
	PX_DOUBLE,
	PX_STRING, /* UTF-8, NUL-terminated in memory */
	PX_BYTES,
	PX_LIST,
	PX_TENSOR,
	PX_OBJECT, /* any other Python object, as its repr. Only received */
};

/* DLPack's dtype codes. */
enum px_dtype_code {
	PX_DTYPE_INT = 0,
	PX_DTYPE_UINT = 1,
	PX_DTYPE_FLOAT = 2,
	PX_DTYPE_COMPLEX = 5,
	PX_DTYPE_BOOL = 6
};

#define PX_TENSOR_NDIM_MAX 32

/* A C-contiguous array. */
struct px_tensor {
	void *data;
	uint64_t bytes;
	uint8_t code; /* enum px_dtype_code */
	uint8_t bits; /* of an element: 8, 16, 32, 64, 128 */
	uint8_t ndim;
	int64_t shape[PX_TENSOR_NDIM_MAX];
};

struct px_value {
	enum px_type type;
	union {
		int truth;
		int64_t integer;
		double real;
		struct {
			const char *data;
			uint64_t bytes;
		} text; /* STRING, BYTES, OBJECT */
		struct {
			const struct px_value *items;
			uint64_t count;
		} list;
		const struct px_tensor *tensor;
	} as;
};

static inline struct px_value px_none(void)
{
	struct px_value v = { PX_NONE, { 0 } };
	return v;
}
static inline struct px_value px_int(int64_t integer)
{
	struct px_value v = { PX_INT, { 0 } };
	v.as.integer = integer;
	return v;
}
static inline struct px_value px_double(double real)
{
	struct px_value v = { PX_DOUBLE, { 0 } };
	v.as.real = real;
	return v;
}
/* Lends text until the call that uses the value returns. */
PX_PUBLIC struct px_value px_string(const char *text);
PX_PUBLIC struct px_value px_bytes(const void *data, uint64_t bytes);
PX_PUBLIC struct px_value px_array(const struct px_tensor *tensor);

/* --- views --- */

/* A handle on some engines (ids, count), or with count 0 on all that are up at each call. */
PX_PUBLIC PX_CHECKED int px_view_new(struct px_client *client, const uint32_t *ids, size_t count,
				     struct px_view **view);
PX_PUBLIC void px_view_free(struct px_view *view);

/*
 * Requests: each returns a new result with one entry per target, in the view's order. result may
 * be NULL: then the request runs, but its value or failure cannot be had. PX_EENGINE if a target
 * does not exist or is dead (names the live ids), PX_ENOMEM, PX_EPOOL, PX_ECLOSED. What is passed
 * may be changed as soon as the call returns. The call waits for memory or an engine's start if it
 * has to, and no signal ends that.
 */
PX_PUBLIC PX_CHECKED int px_view_noop(struct px_view *view, struct px_result **result);
/* Runs code in the engines' namespace; the value is the repr of a last expression, or none. */
PX_PUBLIC PX_CHECKED int px_view_execute(struct px_view *view, const char *code,
					 struct px_result **result);
/* Calls "module:function" (or a name in the engine's namespace, "name") with arguments. */
PX_PUBLIC PX_CHECKED int px_view_call(struct px_view *view, const char *function, size_t argc,
				      const struct px_value *argv, struct px_result **result);
PX_PUBLIC PX_CHECKED int px_view_push(struct px_view *view, const char *name,
				      const struct px_value *value, struct px_result **result);
PX_PUBLIC PX_CHECKED int px_view_pull(struct px_view *view, const char *name,
				      struct px_result **result);

/* --- tasks --- */

/*
 * The same for whichever of the view's engines is idle first; of a view of all, also one that is
 * added later. The result has one entry, and px_result_engine() tells which engine has taken it,
 * UINT32_MAX as long as none has. Tasks begin in the order in which they were posted, behind what was
 * asked of an engine by px_view_...; nobody has to call anything for that. One that fails, or whose
 * engine dies, is run again up to `retries` times; without retries left the entry fails. One that
 * raises pxrun.UnmetDependency or a subclass is tried on each of the other engines, once. To wait for
 * the next of many: px_client_next(). To take them back, or to stop them: px_result_cancel(). Does not
 * wait for engines. Errors as above; PX_EINVAL for tensors that engines share.
 */
PX_PUBLIC PX_CHECKED int px_task_execute(struct px_view *view, const char *code, uint32_t retries,
					 struct px_result **result);
PX_PUBLIC PX_CHECKED int px_task_call(struct px_view *view, const char *function, size_t argc,
				      const struct px_value *argv, uint32_t retries,
				      struct px_result **result);

/* --- results --- */

/* A pointer of the caller's, for whoever gets the result from px_client_next(). NULL at first. */
PX_PUBLIC int px_result_set_user(struct px_result *result, void *user);
PX_PUBLIC void *px_result_user(const struct px_result *result);
/* Waits until every entry is ready. PX_ETIMEDOUT, PX_EINTR; 0 also if entries failed. */
PX_PUBLIC int px_result_wait(struct px_result *result, uint64_t timeout_ns);
PX_PUBLIC int px_result_ready(struct px_result *result); /* 1 or 0, looks at the rings */
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
 * The exception of an entry with PX_EREMOTE, in three strings, whose memory is the result's. Each of
 * the pointers may be NULL.
 */
PX_PUBLIC int px_result_error(struct px_result *result, size_t index, const char **ename,
			      const char **evalue, const char **traceback);
/*
 * Copies what the request printed so far, from the offset from on, at most cap bytes; *got is how
 * many. which is 1 (stdout) or 2 (stderr). A caller that goes on at from + *got has everything
 * once the entry was ready before a call that gives 0 bytes. to may be NULL if cap is 0.
 */
PX_PUBLIC PX_CHECKED int px_result_output(struct px_result *result, size_t index, int which,
					  uint64_t from, char *to, size_t cap, size_t *got);
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

#ifdef __cplusplus
}
#endif

#endif
