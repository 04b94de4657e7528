/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * address_space.c - looks up the limit of the address space.
 */
#include "machine/address_space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shm/error.h"

#define MIB(bytes) ((unsigned long long)(bytes) >> 20)

/* Bytes of addresses that this process has; 0 if that cannot be read. */
static unsigned long long used_bytes(void)
{
	char text[32] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return strtoull(text, NULL, 10) * (unsigned long long)sysconf(_SC_PAGESIZE);
}

int px_address_space_explain(int rc)
{
	struct rlimit limit;

	if (rc != PX_ESYSTEM || !strstr(px_last_error(), strerror(ENOMEM)) ||
	    getrlimit(RLIMIT_AS, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return rc;
	return px_fail(
		rc,
		"%s: a process may have %llu MiB of addresses here (ulimit -v) and has %llu: "
		"remove that limit; it does not bound the memory that is used",
		px_last_error(), MIB(limit.rlim_cur), MIB(used_bytes()));
}
