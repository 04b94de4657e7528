/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pages.c - reserves pages of the segment, and gives them back.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include "shm/crew.h"
#include "shm/error.h"
#include "shm/killpoint.h"
#include "shm/os.h"
#include "shm/segment.h"

#define MIB(bytes) ((unsigned long long)((bytes) >> 20))

static int no_pages(const struct px_segment *segment, uint64_t bytes)
{
	struct statvfs fs;

	if (!segment->memfd && px_segment_check(segment) == 0 && fstatvfs(segment->fd, &fs) == 0 &&
	    fs.f_blocks)
		return px_fail(
			PX_ENOMEM,
			"needs %llu MiB, /dev/shm has %llu of %llu MiB free: free memory, or "
			"remount it larger (docker: --shm-size)",
			MIB(bytes + (1 << 20) - 1), MIB((uint64_t)fs.f_bavail * fs.f_frsize),
			MIB((uint64_t)fs.f_blocks * fs.f_frsize));
	return px_fail(PX_ENOMEM, "needs %llu MiB of memory, and there is not that much",
		       MIB(bytes + (1 << 20) - 1));
}

/*
 * The kernel undoes an allocation that a signal interrupts. A timer of the user that fires faster
 * than the pages can be allocated would restart it for ever, so after the first interruption
 * signals are blocked.
 */
static int allocate_uninterrupted(struct px_segment *segment, uint64_t offset, uint64_t bytes)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	do
		rc = px_os.fallocate(segment->fd, 0, (off_t)offset, (off_t)bytes);
	while (rc == -EINTR);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

int px_segment_reserve(struct px_segment *segment, uint64_t offset, uint64_t bytes)
{
	int rc = px_segment_check(segment);

	if (rc < 0)
		return rc;
	rc = px_os.fallocate(segment->fd, 0, (off_t)offset, (off_t)bytes);
	if (rc == -EINTR)
		rc = allocate_uninterrupted(segment, offset, bytes);
	PX_KILLPOINT("segment.reserve.done"); /* dead here: the sweep punches what was ours */
	if (rc == -ENOSPC || rc == -ENOMEM)
		return no_pages(segment, bytes);
	if (rc < 0) {
		errno = -rc;
		return px_fail_errno("reserving %llu KiB of the segment",
				     (unsigned long long)(bytes >> 10));
	}
	return 0;
}

static int madvise_uninterrupted(void *at, uint64_t bytes, int advice)
{
	int rc;

	do
		rc = px_os.madvise(at, bytes, advice);
	while (rc == -EINTR || rc == -EAGAIN);
	return rc;
}

static int populate(void *at, uint64_t from, uint64_t bytes)
{
	return madvise_uninterrupted((uint8_t *)at + from, bytes, MADV_POPULATE_WRITE);
}

int px_segment_reserve_mapped(struct px_segment *segment, uint64_t offset, uint64_t bytes, void *at)
{
	int rc;

	if (segment->huge != PX_HUGE_NONE)
		(void)madvise(at, bytes, MADV_HUGEPAGE);
	rc = px_crew_run(populate, at, bytes);
	PX_KILLPOINT("segment.populate.done"); /* dead here: the sweep punches what was ours */
	if (rc == 0)
		return 0;
	if (rc == -EINVAL && segment->writable)
		return px_segment_reserve(segment, offset, bytes);
	/* Unlike fallocate(2) it leaves what it has got. */
	(void)px_segment_punch_mapped(at, bytes);
	/* EFAULT: touching the next page would have been SIGBUS. */
	if (rc == -EFAULT || rc == -ENOMEM)
		return no_pages(segment, bytes);
	errno = -rc;
	return px_fail_errno("reserving %llu KiB of the segment",
			     (unsigned long long)(bytes >> 10));
}

void px_segment_touch(void *at, uint64_t bytes)
{
	uint64_t skip = (uintptr_t)at % PX_PAGE_BYTES;

	(void)madvise_uninterrupted((uint8_t *)at - skip, skip + bytes, MADV_POPULATE_WRITE);
}

int px_segment_punch(struct px_segment *segment, uint64_t offset, uint64_t bytes)
{
	int rc = px_segment_check(segment);

	if (rc < 0)
		return rc;
	do
		rc = px_os.fallocate(segment->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     (off_t)offset, (off_t)bytes);
	while (rc == -EINTR);
	PX_KILLPOINT("segment.punch.done"); /* dead here: punched again by the next sweep */
	if (rc < 0) {
		errno = -rc;
		return px_fail_errno("giving %llu KiB of the segment back",
				     (unsigned long long)(bytes >> 10));
	}
	return 0;
}

int px_segment_punch_mapped(void *at, uint64_t bytes)
{
	int rc = madvise_uninterrupted(at, bytes, MADV_REMOVE);

	/* It is not for pages that are locked, as code of users may do with all that is mapped. */
	if (rc == -EINVAL && munlock(at, bytes) == 0)
		rc = madvise_uninterrupted(at, bytes, MADV_REMOVE);
	PX_KILLPOINT("segment.remove.done"); /* dead here: punched again by the next sweep */
	if (rc < 0) {
		errno = -rc;
		return px_fail_errno("giving %llu KiB of the segment back",
				     (unsigned long long)(bytes >> 10));
	}
	return 0;
}
