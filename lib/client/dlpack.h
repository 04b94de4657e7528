/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dlpack.h - DLPack's structs, as far as arrays in the processor's memory need them.
 *
 * The layout is that of DLPack 1 (github.com/dmlc/dlpack, include/dlpack/dlpack.h); its own header has
 * macros and names that programs which include it as well should not get twice.
 *
 * Who:     any thread.
 * Where:   private memory, of whoever has made the tensor.
 * Blocks:  never.
 * Death:   none.
 */
#ifndef PX_DLPACK_H
#define PX_DLPACK_H

#include <stdint.h>

#define PX_DLPACK_MAJOR 1
#define PX_DLPACK_MINOR 0
#define PX_DLPACK_CPU 1
#define PX_DLPACK_READ_ONLY (UINT64_C(1) << 0)

struct DLManagedTensorVersioned {
	struct {
		uint32_t major, minor;
	} version;
	void *manager_ctx;
	void (*deleter)(struct DLManagedTensorVersioned *self);
	uint64_t flags;
	struct {
		void *data;
		struct {
			int32_t type, id;
		} device;
		int32_t ndim;
		struct {
			uint8_t code, bits;
			uint16_t lanes;
		} dtype;
		int64_t *shape, *strides; /* strides in elements; NULL: row-major without gaps */
		uint64_t byte_offset;
	} tensor;
};

/* Its maker's deleter; NULL is fine. */
void px_dlpack_release(struct DLManagedTensorVersioned *tensor);

#endif
