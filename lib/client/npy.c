/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * npy.c - arrays from and to .npy files.
 */
#include "client/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/array.h"
#include "client/dlpack.h"
#include "client/new_file.h"
#include "shm/error.h"

/* What numpy refuses to read as well, unless it is told to trust the file. */
#define HEADER_MAX 65535

/* --- reading --- */

/* All of so many bytes. PX_EINVAL: the file is shorter; PX_ESYSTEM. */
static int read_all(int fd, void *to, uint64_t bytes, const char *path)
{
	uint64_t done = 0;

	while (done < bytes) {
		ssize_t got = read(fd, (uint8_t *)to + done, bytes - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return px_fail_errno("reading '%s'", path);
		if (got == 0)
			return px_fail(PX_EINVAL, "'%s' ends before its array does", path);
		done += (uint64_t)got;
	}
	return 0;
}

static int read_header(int fd, const char *path, struct px_npy *out)
{
	uint8_t head[12];
	uint32_t length;
	char *text;
	int rc = read_all(fd, head, 10, path);

	if (rc < 0)
		return rc;
	if (memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3)
		return px_fail(PX_EINVAL, "'%s' is no .npy file of version 1 to 3", path);
	length = head[8] | (uint32_t)head[9] << 8;
	if (head[6] > 1) {
		rc = read_all(fd, head + 10, 2, path);
		if (rc < 0)
			return rc;
		length |= (uint32_t)head[10] << 16 | (uint32_t)head[11] << 24;
	}
	if (length > HEADER_MAX)
		return px_fail(PX_EINVAL, "'%s' has a header of %u bytes", path, length);
	text = malloc(length);
	if (!text)
		return px_fail(PX_ENOMEM, "no private memory for the header of '%s'", path);
	rc = read_all(fd, text, length, path);
	if (rc == 0)
		rc = px_npy_parse(text, length, path, out);
	free(text);
	return rc;
}

static void swap_bytes(uint8_t *data, uint64_t bytes, uint64_t item)
{
	for (uint64_t at = 0; at < bytes; at += item)
		for (uint64_t i = 0; i < item / 2; i++) {
			uint8_t byte = data[at + i];

			data[at + i] = data[at + item - 1 - i];
			data[at + item - 1 - i] = byte;
		}
}

static bool is_complex(enum px_dtype dtype)
{
	return dtype == PX_DTYPE_COMPLEX64 || dtype == PX_DTYPE_COMPLEX128;
}

static int read_elements(int fd, const char *path, const struct px_npy *npy, struct px_array *array)
{
	uint64_t item = px_dtype_bytes(npy->dtype) / (is_complex(npy->dtype) ? 2 : 1);
	int rc = read_all(fd, array->data, array->bytes, path);

	if (rc == 0 && npy->swapped)
		swap_bytes(array->data, array->bytes, item);
	return rc;
}

/* Memory of the array's own, which ends as a DLPack tensor's does. */
static void free_own(struct DLManagedTensorVersioned *self)
{
	free(self->manager_ctx);
	free(self);
}

static int alloc_own(const struct px_npy *npy, struct px_array **out)
{
	struct DLManagedTensorVersioned *owner = calloc(1, sizeof(*owner));
	struct px_array *array = NULL;
	int rc = owner ? px_array_new(npy->dtype, npy->ndim, npy->shape, NULL, npy->fortran,
				      &array) :
			 px_fail(PX_ENOMEM, "no private memory for an array");

	if (rc < 0) {
		free(owner);
		return rc;
	}
	owner->manager_ctx = malloc(array->bytes + 1);
	owner->deleter = free_own;
	array->managed = owner;
	array->data = owner->manager_ctx;
	if (!array->data) {
		px_array_unref(array);
		return px_fail(PX_ENOMEM, "no private memory for an array");
	}
	*out = array;
	return 0;
}

int px_npy_read(struct px_client *client, int fd, const char *path, struct px_array **out)
{
	struct px_array *array;
	struct px_npy npy;
	int rc = read_header(fd, path, &npy);

	if (rc == 0)
		rc = client ? px_array_alloc(client, npy.dtype, npy.ndim, npy.shape,
					     npy.fortran ? PX_ARRAY_FORTRAN : 0, &array) :
			      alloc_own(&npy, &array);
	if (rc < 0)
		return rc;
	rc = read_elements(fd, path, &npy, array);
	if (rc < 0)
		px_array_unref(array);
	else
		*out = array;
	return rc;
}

int px_array_load(struct px_client *client, const char *path, struct px_array **out)
{
	int rc = px_need(path, "npy");
	int fd;

	if (rc == 0)
		rc = px_need(out, "array");
	if (rc == 0 && client)
		rc = px_handle_check(client, PX_HANDLE_CLIENT, "client");
	if (rc < 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return px_fail(PX_EINVAL, "there is no file '%s'", path);
	if (fd < 0)
		return px_fail_errno("opening '%s'", path);
	rc = px_npy_read(client, fd, path, out);
	close(fd);
	return rc;
}

/* --- writing --- */

/* Whether its elements lie in column-major order without gaps. */
static bool is_fortran(const struct px_array *array)
{
	int64_t stride = (int64_t)px_dtype_bytes(array->dtype);

	for (int axis = 0; array->bytes && axis < array->ndim; axis++) {
		if (array->shape[axis] != 1 && array->strides[axis] != stride)
			return false;
		stride *= array->shape[axis];
	}
	return !array->c_contiguous;
}

/* The elements of an array with gaps, in C order: a new copy. */
static int write_compact(int fd, const struct px_array *array, const char *path)
{
	struct px_array *compact;
	uint8_t *copy = malloc(array->bytes);
	int rc = copy ? px_array_new(array->dtype, array->ndim, array->shape, NULL, false,
				     &compact) :
			px_fail(PX_ENOMEM, "no private memory for a copy of the array");

	if (rc == 0) {
		px_array_copy_to(array, copy, compact->strides);
		rc = px_write_all(fd, copy, array->bytes, path);
		px_array_unref(compact);
	}
	free(copy);
	return rc;
}

int px_npy_write(int fd, const struct px_array *array, const char *path)
{
	struct px_npy npy = { .dtype = array->dtype,
			      .fortran = is_fortran(array),
			      .ndim = array->ndim };
	char header[PX_NPY_HEADER_BYTES];
	int rc;

	memcpy(npy.shape, array->shape, (size_t)array->ndim * sizeof(int64_t));
	rc = px_write_all(fd, header, px_npy_print(&npy, header), path);
	if (rc < 0)
		return rc;
	return npy.fortran || array->c_contiguous ?
		       px_write_all(fd, array->data, array->bytes, path) :
		       write_compact(fd, array, path);
}

int px_array_save(struct px_array *array, const char *path)
{
	struct px_new_file file;
	int rc = px_array_check(array);

	if (rc == 0)
		rc = px_need(path, "npy");
	if (rc == 0)
		rc = px_new_file_begin(path, &file);
	return rc < 0 ? rc : px_new_file_end(&file, px_npy_write(file.fd, array, path));
}
