/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * file.c - reads and writes whole buffers, with several requests in flight.
 *
 * By io_uring where the kernel permits it, with the copying done by several threads of the kernel;
 * else by one pread(2) or pwrite(2) after another.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "python/ext/module.h"
#include "python/ext/object.h"
#include "shm/error.h"

#define PIECE_BYTES (UINT64_C(4) << 20)
#define DEPTH 8

struct move {
	int fd;
	bool write;
	uint8_t *at;
	uint64_t offset, bytes; /* in the file */
};

static int ended(const struct move *move)
{
	return px_fail(PX_ESYSTEM, "the file ends %llu bytes too early",
		       (unsigned long long)move->bytes);
}

/* Without a ring. */
static int move_plainly(struct move piece)
{
	while (piece.bytes) {
		size_t most = piece.bytes < PIECE_BYTES ? piece.bytes : PIECE_BYTES;
		ssize_t moved = piece.write ?
					pwrite(piece.fd, piece.at, most, (off_t)piece.offset) :
					pread(piece.fd, piece.at, most, (off_t)piece.offset);

		if (moved < 0 && errno == EINTR)
			continue;
		if (moved < 0)
			return px_fail_errno(piece.write ? "writing a file" : "reading a file");
		if (moved == 0)
			return ended(&piece);
		piece.at += moved;
		piece.offset += (uint64_t)moved;
		piece.bytes -= (uint64_t)moved;
	}
	return 0;
}

static struct move piece_of(const struct move *move, uint64_t index)
{
	struct move piece = *move;
	uint64_t skip = index * PIECE_BYTES;

	piece.at += skip;
	piece.offset += skip;
	piece.bytes = move->bytes - skip < PIECE_BYTES ? move->bytes - skip : PIECE_BYTES;
	return piece;
}

static void submit_piece(struct io_uring *ring, const struct move *move, uint64_t index)
{
	struct move piece = piece_of(move, index);
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring); /* there are DEPTH of them */

	if (move->write)
		io_uring_prep_write(sqe, piece.fd, piece.at, (unsigned)piece.bytes, piece.offset);
	else
		io_uring_prep_read(sqe, piece.fd, piece.at, (unsigned)piece.bytes, piece.offset);
	/* By a thread of the kernel: else cached data would be copied by this one, in turn. */
	io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
	sqe->user_data = index;
}

/* A piece is complete; if it is short, moves the rest of it. */
static int finish_piece(const struct move *move, uint64_t index, int moved)
{
	struct move rest = piece_of(move, index);

	if (moved < 0 && moved != -EINTR && moved != -EAGAIN) {
		errno = -moved;
		return px_fail_errno(move->write ? "writing a file" : "reading a file");
	}
	if (moved > 0) {
		rest.at += moved;
		rest.offset += (uint64_t)moved;
		rest.bytes -= (uint64_t)moved;
	}
	return move_plainly(rest);
}

/* After a failure of the ring: pieces in flight use the caller's memory, so waits for them. */
static int give_up(struct io_uring *ring, uint64_t away, int error)
{
	struct io_uring_cqe *cqe;

	away -= io_uring_sq_ready(ring); /* never submitted */
	while (away && io_uring_wait_cqe(ring, &cqe) == 0) {
		io_uring_cqe_seen(ring, cqe);
		away--;
	}
	errno = error;
	return px_fail_errno("waiting for a file");
}

/* Waits for all pieces in flight, also after one has failed. */
static int move_by_ring(struct io_uring *ring, const struct move *move)
{
	uint64_t pieces = (move->bytes + PIECE_BYTES - 1) / PIECE_BYTES, next = 0, away = 0;
	int rc = 0;

	while (away || (next < pieces && rc == 0)) {
		struct io_uring_cqe *cqe;
		int waited;

		for (; away < DEPTH && next < pieces && rc == 0; away++)
			submit_piece(ring, move, next++);
		waited = io_uring_submit_and_wait(ring, 1);
		if (waited < 0 && waited != -EINTR && waited != -EAGAIN && waited != -EBUSY)
			return give_up(ring, away, -waited);
		while (away && io_uring_peek_cqe(ring, &cqe) == 0) {
			int done = finish_piece(move, cqe->user_data, cqe->res);

			io_uring_cqe_seen(ring, cqe);
			away--;
			rc = rc ? rc : done;
		}
	}
	return rc;
}

static int move_all(const struct move *move)
{
	struct io_uring ring;
	int rc;

	if (move->bytes <= PIECE_BYTES || io_uring_queue_init(DEPTH, &ring, 0) < 0)
		return move_plainly(*move);
	rc = move_by_ring(&ring, move);
	io_uring_queue_exit(&ring);
	return rc;
}

static PyObject *move_file(PyObject *args, bool write)
{
	struct move move = { .write = write };
	unsigned long long offset;
	PyObject *object;
	Py_buffer view;
	int rc;

	if (!PyArg_ParseTuple(args, "iKO", &move.fd, &offset, &object) ||
	    PyObject_GetBuffer(object, &view, PyBUF_ANY_CONTIGUOUS | (write ? 0 : PyBUF_WRITABLE)) <
		    0)
		return NULL;
	move.at = view.buf;
	move.offset = offset;
	move.bytes = (uint64_t)view.len;
	Py_BEGIN_ALLOW_THREADS
	rc = move_all(&move);
	Py_END_ALLOW_THREADS
	PyBuffer_Release(&view);
	if (rc < 0)
		return px_raise(rc);
	PX_RETURN_NONE;
}

static PyObject *read_file(PyObject *self, PyObject *args)
{
	(void)self;
	return move_file(args, false);
}

static PyObject *write_file(PyObject *self, PyObject *args)
{
	(void)self;
	return move_file(args, true);
}

static PyMethodDef functions[] = {
	{ "read_file", read_file, METH_VARARGS,
	  "read_file(fd, offset, buffer)\n\nFills the buffer; Error if the file is too short." },
	{ "write_file", write_file, METH_VARARGS, "write_file(fd, offset, buffer)" },
	{ NULL, NULL, 0, NULL },
};

int px_add_file(PyObject *module)
{
	return PyModule_AddFunctions(module, functions);
}
