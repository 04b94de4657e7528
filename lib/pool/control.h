/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control.h - the protocol on the supervisor's sockets: members, processes, memory.
 *
 * Who:     the supervisor at one end; clients, engines and the template at the other.
 * Where:   SOCK_SEQPACKET: each packet is one struct px_control, then text; descriptors come by
 *          SCM_RIGHTS.
 * Blocks:  px_control_call() until the reply comes, px_control_tell() until there is room; both give
 *          a supervisor up that says nothing for a time. The others only if the socket blocks.
 * Death:   of the other end: PX_EPOOL.
 *
 * A call is answered by one packet of type PX_CONTROL_REPLY with the same serial, and code 0 or a
 * negative PX_E… with words as text. Requests to engines do not pass here.
 */
#ifndef PX_CONTROL_H
#define PX_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PX_CONTROL_MAGIC 0x31505850u /* "PXP1" */
#define PX_CONTROL_TEXT_MAX 60000
#define PX_CONTROL_FDS_MAX 9
#define PX_CONTROL_FORK_FDS 7 /* of PX_CONTROL_FORK */
#define PX_CONTROL_JOIN_FDS 9 /* of the reply to PX_CONTROL_JOIN */
/* Of the lines of which whoever starts a pool is warned, with the NUL. */
#define PX_WARNINGS_BYTES 1024

/* How an extent is asked for. */
enum px_extent_ask {
	PX_EXTENT_TRY,   /* less will do, or memory of one's own can be given back instead */
	PX_EXTENT_FIRST, /* in earnest: others may be asked for it */
	PX_EXTENT_AGAIN, /* … and have been */
	PX_EXTENT_LAST,  /* … and if it is refused now, somebody is told */
};

enum px_control_type {
	PX_CONTROL_REPLY = 1,
	/* client -> supervisor */
	PX_CONTROL_HELLO,  /* reply: a = slot, b = epoch; fds: segment */
	PX_CONTROL_STATUS, /* reply: text, JSON */
	PX_CONTROL_SIGNAL, /* a = engine id, b = signal number, c = what comes with it; 0: nothing */
	PX_CONTROL_RESTART, /* a = engine id (UINT64_MAX: all); answered when the engine is up again */
	PX_CONTROL_ADD,     /* a = number of engines; reply: a = first new id; when they are up */
	PX_CONTROL_REMOVE, /* a = engine id: stop it for good */
	PX_CONTROL_STOP,   /* reply at once; the socket hangs up when all engines are gone */
	PX_CONTROL_PING,   /* reply at once: it is there */
	/*
	 * A process is to be an engine of the pool. a = the id that it wants, UINT64_MAX: the next one;
	 * b = number of the MPI world whose rank it is, 0: of none; c = PX_SEGMENT_VERSION.
	 * reply: a = its id; fds: those of PX_CONTROL_FORK, the log, and one that hangs up when the
	 * supervisor is gone; text, JSON: "argv", the engine's program, which only lacks its descriptors;
	 * "env", the pool's variables; "threads", for its libraries; "connection", the pool's file
	 */
	PX_CONTROL_JOIN,
	PX_CONTROL_WHY, /* a = engine id; reply at once: PX_EENGINE and how it went, if it is gone for
	                    good; PX_EPOOL while the pool stops; else 0 */
	/* client or engine -> supervisor */
	/* a = bytes, b = enum px_extent_ask; reply: a = offset, b = bytes, c = this type. Refused the first time:
	 * a = 1 if all are asked to give back what they keep warm, and that may be enough */
	PX_CONTROL_EXTENT_GET,
	PX_CONTROL_EXTENT_PUT, /* a = offset, b = bytes; punched by the sender already. No reply */
	PX_CONTROL_SWEEP,      /* a link to a dead member was closed. No reply */
	/* supervisor -> template; no reply: the engine says BORN, or its control socket hangs up */
	PX_CONTROL_FORK, /* a = engine id, b = slot, c = epoch, d = generation; text: "" ;
	                    fds: control socket, stdout (write), stderr (write), stdout (read), stderr (read),
	                    crash text, segment */
	/* template -> supervisor */
	PX_CONTROL_READY, /* a = pid; code 0, or the reason why no engine can be made as text.
	                      From an engine: it serves requests. Flag c = 1 (template): it
	                      has a second thread, fork is refused, engines must be exec'd; text: why.
	                      b (template): PY_VERSION_HEX */
	/* engine -> supervisor */
	PX_CONTROL_BORN, /* a = pid; the first thing a forked engine says, once it is the supervisor's
	                    child: so it can be watched and ended before it is ready */
	/* An engine has reached max_tasks or max_memory. a = 0: little waits for it, and nothing more is
	 * to be sent to it; a = 1: it ends, and another process is to take its place. No reply */
	PX_CONTROL_RENEW,
	/* template -> supervisor */
	PX_CONTROL_PRELOAD, /* text: the module that is imported next; "": none any more. No reply */
	PX_CONTROL_WARN,    /* text: what the starter of the pool should know. No reply */
	/* text: the path of the template's interpreter; b: its PY_VERSION_HEX. No reply. Also from an engine
	 * that has joined, as PX_CONTROL_WARN is */
	PX_CONTROL_PYTHON,
};

struct px_control {
	uint32_t magic;
	uint16_t type;
	uint16_t fds;
	uint32_t serial;
	int32_t code;
	uint32_t text_bytes;
	uint32_t reserved;
	uint64_t a, b, c, d;
};

/* A packet as received. text is NUL-terminated. The caller owns the descriptors. */
struct px_packet {
	struct px_control head;
	int fds[PX_CONTROL_FDS_MAX];
	char text[PX_CONTROL_TEXT_MAX + 1];
};

/*
 * Sends one packet; text may be NULL. PX_EPOOL if the other side is gone, PX_EAGAIN if full,
 * PX_ESYSTEM.
 */
int px_control_send(int socket, const struct px_control *head, const char *text, const int *fds,
		    size_t fds_count);
/*
 * Receives one; waits if the socket blocks. PX_EAGAIN, PX_EPOOL (hung up), PX_ECORRUPT, PX_ESYSTEM.
 */
int px_control_receive(int socket, struct px_packet *packet);

/*
 * How long a supervisor may say nothing to who waits for it. It never waits itself, and the longest
 * of its turns, freeing the memory of a dead member, takes about a second for 10 GiB.
 */
#define PX_CONTROL_SILENCE_NS UINT64_C(10000000000)

struct px_control_wait {
	uint64_t silence_ns;       /* 0: PX_CONTROL_SILENCE_NS */
	uint64_t limit_ns;         /* of the whole wait; 0: none */
	int (*give_up)(void *ctx); /* asked every 50 ms: a negative number ends the wait. NULL */
	void *ctx;
};

/*
 * Sends a request and waits for its reply (other packets do not come on a
 * client's socket). Returns the reply's code, with its words. *packet on
 * success. A failure with serial 0, which no request has, answers any. PX_ETIMEDOUT: the
 * supervisor says nothing; what restarts, adds or removes engines is waited for as long as it answers
 * pings, but no longer than limit_ns. wait may be NULL. Not thread-safe: hold the endpoint's control lock.
 */
int px_control_call(int socket, struct px_control *head, struct px_packet *packet,
		    const struct px_control_wait *wait);
/* Sends a packet that is not answered. PX_ETIMEDOUT: the socket has been full all the time. */
int px_control_tell(int socket, const struct px_control *head);
/* The supervisor's pid, of whatever process has the other end of the socket; 0: not known here. */
pid_t px_control_supervisor(int socket);
/* Whether the other end is closed. */
bool px_control_hung_up(int socket);
/* PX_ETIMEDOUT in words: who does not answer, and what can be done. pid 0: not known. */
int px_control_silent(pid_t supervisor, uint64_t silence_ns);

#endif
