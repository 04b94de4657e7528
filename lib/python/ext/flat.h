/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flat.h - plain values written as they are, without pickle: arguments and results of most calls.
 *
 * None, bool, int of 64 bits, float, complex, str, bytes, numpy's numbers and arrays of them, and tuples, lists and
 * dicts of these, each of exactly that type. Reading gives what pickle would have given. What is not of
 * these, or where one list, dict or array stands in two places and has to stay one object, is pickled: a pickle
 * begins with PX_PICKLE_BEGINS, which no flat value does.
 *
 * A value is a letter and what follows it, little-endian, without padding:
 *   'N' 'T' 'F'                    None, True, False
 *   'i' int64    'd' double    'c' double double
 *   's' u32 bytes…                 text, UTF-8       'b' u32 bytes…      bytes
 *   't' 'l' u32 values…            tuple, list       'm' u32 (key value)…  dict
 *   'a' u8 number of numpy's type, u8 dimensions, u64 each, bytes…         C-contiguous array
 *   'A' the same, but u32 in place of the bytes: the message's buffer of that index has them
 *   'g' u8 number of numpy's type, bytes…                                  scalar of numpy's
 *
 * Who:     any thread with the interpreter's lock. Runs no Python code, but to import numpy when an
 *          array or a scalar is read where there is none.
 * Where:   written in private memory. What is read may lie in shared memory: each part is copied, then
 *          checked, then used.
 * Death:   nothing here is shared.
 */
#ifndef PX_EXT_FLAT_H
#define PX_EXT_FLAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PX_PICKLE_BEGINS 0x80
/* More is pickled: then large parts of it stay out of the body. So are arrays that are lent. */
#define PX_FLAT_MAX_BYTES (48 * 1024)
/* So many lists, dicts and arrays in one value: each is compared with those before it. */
#define PX_FLAT_KEPT_MAX 32
/* Containers in one another; around them may be one that px_flat_count() has begun, of arguments. */
#define PX_FLAT_DEPTH_MAX 16

/* What is being written. Begin with px_flat_begin(). */
struct px_flat {
	uint8_t *at;
	size_t used, room;
	unsigned depth, kept_count;
	unsigned lent_count;
	bool lends; /* large arrays, and live ones, become buffers of the message */
	/* These, held. Writing makes no Python objects: that may run code, which may change what is written. */
	PyObject *lent[PX_FLAT_KEPT_MAX];
	const PyObject *kept[PX_FLAT_KEPT_MAX];
	uint8_t small[512]; /* where it is, until it is longer */
};

void px_flat_begin(struct px_flat *flat);
/* Begins another one, in the memory of the last. */
void px_flat_again(struct px_flat *flat);
void px_flat_end(struct px_flat *flat);
/* Room for so many more bytes; NULL: it would be too long, or there is no memory. */
uint8_t *px_flat_room(struct px_flat *flat, size_t bytes);
/* Whether it could be written: false, and no exception, if it is to be pickled. */
bool px_flat_write(struct px_flat *flat, PyObject *value);
/* A letter, and how many bytes or values follow. Likewise. */
bool px_flat_count(struct px_flat *flat, char letter, Py_ssize_t count);
/* Whether nothing like that stands in the value already; then it does. */
bool px_flat_keep(struct px_flat *flat, const PyObject *object);

/* The arrays that are lent, as a new list; NULL with an exception. */
PyObject *px_flat_lent(const struct px_flat *flat);

/* What is being read: from at to end. */
struct px_flat_source {
	const uint8_t *at, *end;
	unsigned depth;
	PyObject *buffers; /* list of Buffers that came with it; NULL or None: none */
};

/* The next value. NULL with an exception: ValueError if it is none. */
PyObject *px_flat_read(struct px_flat_source *source);
/* The one value that a body consists of, as px_flat_read(). */
PyObject *px_flat_value(const void *body, size_t bytes);
/* So many bytes of it; NULL with an exception if there are not so many. */
const uint8_t *px_flat_take(struct px_flat_source *source, size_t bytes);
PyObject *px_flat_malformed(void);
/* UTF-8 in shared memory as a str; errors as for PyUnicode_DecodeUTF8(). */
PyObject *px_flat_text(const uint8_t *at, size_t length, const char *errors);

/* flat_array.c: px_flat_write() of what may be an array, and px_flat_read() of what follows 'a', or 'A' if lent. */
bool px_flat_write_array(struct px_flat *flat, PyObject *value);
PyObject *px_flat_read_array(struct px_flat_source *source, bool lent);

/* Of numpy's types, by their numbers: how many bytes a value has, 0 if it is not sent so; the number that is sent. */
size_t px_flat_item_bytes(int number);
uint8_t px_flat_number(int number);

/* flat_scalar.c: px_flat_write() of what may be a scalar, and px_flat_read() of what follows 'g'. */
bool px_flat_write_scalar(struct px_flat *flat, PyObject *value);
PyObject *px_flat_read_scalar(struct px_flat_source *source);

#endif
