/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native_call.c - which file a native call is about.
 */
#include "link/native_call.h"

#include <sys/stat.h>

#include "shm/error.h"

int px_file_identify(const char *path, struct px_file_identity *out)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return px_fail_errno("%s", path);
	*out = (struct px_file_identity){
		.device = st.st_dev,
		.inode = st.st_ino,
		.bytes = (uint64_t)st.st_size,
		.changed_ns = (uint64_t)st.st_mtim.tv_sec * UINT64_C(1000000000) +
			      (uint64_t)st.st_mtim.tv_nsec,
	};
	return 0;
}
