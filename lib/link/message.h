/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * message.h - the messages between clients and engines: what is in a frame.
 *
 * Who:     the sender writes a message before it is published, and `aborted` after; the receiver
 *          copies what it checks.
 * Where:   a frame of the ring from one to the other, and regions of the sender's.
 * Blocks:  never.
 * Death:   of the sender: what it published is read all the same. Of the receiver: what it has not
 *          answered fails (lib/client/replies.c).
 *
 * A frame's payload is struct px_message_shm, then `regions` times struct
 * px_region_shm, then the inline body. A body that is too long for a frame is
 * the first region instead (PX_MESSAGE_BODY_REGION). Regions behind the body are the
 * message's buffers: pickle protocol 5 out-of-band buffers, or the tensors of values.
 */
#ifndef PX_MESSAGE_H
#define PX_MESSAGE_H

#include <signal.h>

#include <stdatomic.h>
#include <stdint.h>

#include "shm/layout.h"

/* Frame kinds. A request is answered by any number of STREAM frames and one REPLY, with its id. */
enum px_message_kind {
	PX_REQUEST_NOOP = 1, /* answered by the engine's loop without Python; body is echoed */
	PX_REQUEST_EXECUTE,  /* body: code, UTF-8. Flag PX_EXECUTE_SILENT */
	PX_REQUEST_APPLY, /* body: a call, see python/ext/calling.h; its buffers behind. Reply: a value */
	PX_REQUEST_CALL, /* body: values: str "module:function", then its arguments. Reply: one value */
	PX_REQUEST_PUSH, /* body: values: str name, value */
	PX_REQUEST_PULL, /* body: values: str name. Reply: one value */
	PX_REQUEST_NATIVE, /* body: a native function and its arguments, see native_call.h. Without Python */
	PX_REQUEST_MAP,  /* body: values: str as of CALL, int index of the first item, list of items. Reply: list */
	PX_REPLY =
		32, /* code 0: the result; PX_EREMOTE: an exception as below; other: words. Flag PX_REPLY_UNMET */
	PX_STREAM, /* body: output of the request that runs; flags: enum px_stream */
};
#define PX_EXECUTE_SILENT 1u /* do not show the value of a last expression */
#define PX_EXECUTE_STOP 2u   /* if it fails, abort this client's EXECUTE requests that wait */
#define PX_NATIVE_QUIET 1u   /* what it prints goes to the log alone */
#define PX_REPLY_UNMET 1u    /* an UnmetDependency: this engine is not for it, another one may be */
/* Flags of a STREAM: what it carries. */
enum px_stream { PX_STREAM_STDOUT, PX_STREAM_STDERR, PX_STREAM_DISPLAY, PX_STREAM_DATA };
#define PX_STREAMS 4u
/* Of what a request prints on a stream, the beginning and the end that are sent (engine/outlet.h). */
#ifdef PX_TINY
#define PX_OUTPUT_HEAD_BYTES (64u << 10)
#define PX_OUTPUT_TAIL_BYTES (16u << 10)
#define PX_DISPLAYED_MAX_BYTES (1u << 20) /* so much a request displays */
#else
#define PX_OUTPUT_HEAD_BYTES (8u << 20)
#define PX_OUTPUT_TAIL_BYTES (1u << 20)
#define PX_DISPLAYED_MAX_BYTES (256u << 20)
#endif
/* Flags of any request. */
#define PX_MESSAGE_BODY_REGION 0x8000u
#define PX_MESSAGE_URGENT 0x4000u /* overtakes requests that wait */

/*
 * The signal that makes an engine look whether its client wants the running request to be
 * interrupted (px_link_interrupt()). SIGINT interrupts whatever runs.
 */
#define PX_SIGNAL_INTERRUPT (SIGRTMIN + 7)
/*
 * The signal that has an engine with an interpreter write its Python stacks, sent to its thread of that name,
 * and any other thread its own one (python/ext/stacks.c). Other processes die of it. They are written into
 * memfds of these names.
 */
#define PX_SIGNAL_STACKS (SIGRTMIN + 8)
#define PX_STACKS_THREAD "px-stacks"
#define PX_STACKS_FILE "pxrun-stacks"
#define PX_STACK_FILE "pxrun-stack"

/*
 * Bodies:
 * reply to EXECUTE: values: int execution_count, then str (the repr of a last
 *   expression's value) or none, then, where it has richer forms, bytes: a pickle of
 *   (data, metadata) by MIME type.
 * reply to APPLY: a pickle, its buffers behind; or flat (python/ext/flat.h).
 * PX_EREMOTE: values: str ename, str evalue, str traceback, bytes (pickle of the
 *   exception, empty if it cannot be pickled), str method ("apply", "execute", ...).
 * PX_EABORTED: UTF-8 words.
 * other codes (an engine's own failure, such as PX_ENOMEM): UTF-8 words.
 * STREAM of DISPLAY or DATA: a pickle, of (data, metadata) by MIME type or of a dict.
 */
struct px_message_shm {
	int32_t code;
	uint16_t regions;
	uint16_t reserved;
	uint64_t body_bytes;
	uint64_t started_ns, completed_ns; /* CLOCK_REALTIME; requests: submitted, 0 */
	_Atomic uint32_t aborted;          /* by the sender, as long as the request has not begun */
	uint32_t reserved2; /* keeps the whole header, with px_frame_shm, at 56 bytes */
};

/* A buffer lent with the message. */
struct px_region_shm {
	uint64_t offset, bytes; /* bytes 0: an empty buffer, nothing is lent */
	uint16_t lease, generation;
	/* 1: the receiver writes into this very memory, 0: it gets a private view. */
	uint16_t live;
	uint16_t brief; /* enum px_brief */
};
/* What a receiver does with a buffer, other than keeping it for as long as it likes. */
enum px_brief {
	PX_BRIEF_LEASE = 1, /* makes a copy, and releases the lease, before it reads on */
	PX_BRIEF_TASK,      /* makes a copy; there is no lease, for it is a task's (task.h) */
};

/* A body so short, without regions, gets room when its receiver has read on, even in a full arena. */
#define PX_MESSAGE_SURE_BYTES                                                                      \
	(PX_FRAME_SURE_BYTES - sizeof(struct px_frame_shm) - sizeof(struct px_message_shm))

/*
 * Values, the neutral encoding for C and for errors; little-endian, no padding:
 *   'N'                      None
 *   'T' 'F'                  True, False
 *   'i' int64                integer
 *   'u' uint64               an integer above INT64_MAX
 *   'd' double               float
 *   'c' double double        complex: real and imaginary part
 *   's' uint64 bytes…        UTF-8 text
 *   'b' uint64 bytes…        bytes
 *   'l' uint64 items…        list (a tuple is sent as a list)
 *   'm' uint64 count, then count times key value
 *                            dict. A key is no list, dict or array: a dict that has such a key, a
 *                            tuple for instance, is an 'o'
 *   'k' as 'm'               the last value of a CALL: its keyword arguments; keys are 's'
 *   'a' uint8 code, uint8 bits, uint8 ndim, uint8 0, int64 shape[ndim], uint32 buffer
 *                            C-contiguous array; code as DLPack's (0 int, 1 uint, 2 float,
 *                            5 complex, 6 bool); its data is the message's buffer of
 *                            that index (counting from 0 behind the body)
 *   'A' uint8 code, uint8 bits, uint8 ndim, uint8 0, int64 shape[ndim], int64 strides[ndim],
 *       uint64 first, uint32 buffer
 *                            an array in another order: strides in bytes, may be negative; first
 *                            is where element [0, ..., 0] is in the buffer. Engines send those
 *                            whose elements fill their memory, such as transposed ones; they copy
 *                            those that have gaps, which are then 'a'
 *   'o' uint64 bytes…        an object that has no such form: its repr, UTF-8
 *
 * Of numpy's scalars, and arrays of no dimensions, engines send the plain number or text; of a long
 * double that only if it is exact. Which arrays have a form, python/pxrun/engine/neutral.py says.
 */

#endif
