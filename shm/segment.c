/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment.c - makes, maps and reserves the pool's shared memory.
 */
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/os.h"

#define MIB(bytes) ((unsigned long long)((bytes) >> 20))
/* Half of what a process can address with four levels of page tables; no sum of it overflows. */
#define ARENA_MAX_BYTES (UINT64_C(1) << 46)

static uint64_t up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* --- the layout: the same arithmetic for who creates and who attaches --- */

static void lay_out(struct px_header_shm *h, uint64_t arena_bytes)
{
	uint64_t at = PX_PAGE_BYTES;

	*h = (struct px_header_shm){
		.magic = PX_SEGMENT_MAGIC,
		.version = PX_SEGMENT_VERSION,
		.members_max = PX_MEMBERS_MAX,
		.engines_max = PX_ENGINES_MAX,
		.link_bytes = sizeof(struct px_link_shm),
		.block_bytes = sizeof(struct px_block_shm),
		.arena_bytes = up(arena_bytes, PX_UNIT_BYTES),
		.unit_bytes = PX_UNIT_BYTES,
	};
#ifdef PX_TINY
	h->tiny = 1;
#endif
	h->members_offset = at;
	at += up(PX_MEMBERS_MAX * sizeof(struct px_member_shm), PX_PAGE_BYTES);
	h->engines_offset = at;
	at += up(PX_ENGINES_MAX * sizeof(struct px_engine_shm), PX_PAGE_BYTES);
	h->units_offset = at;
	at += up(h->arena_bytes / PX_UNIT_BYTES * sizeof(uint16_t), PX_PAGE_BYTES);
	h->bells_offset = at;
	at += up(PX_MEMBERS_MAX * sizeof(struct px_doorbell_shm), PX_PAGE_BYTES);
	h->blocks_offset = at;
	at += PX_MEMBERS_MAX * sizeof(struct px_block_shm);
	h->arena_offset = up(at, PX_UNIT_BYTES);
	h->total_bytes = h->arena_offset + h->arena_bytes;
}

/* --- the file --- */

static int open_memfd(void)
{
	int fd = memfd_create("pxrun", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? px_fail_errno("making a memfd for the segment") : fd;
}

/* Like shm_open(3) and shm_unlink(3), but a process killed between the two leaves no name. */
static int open_shm(void)
{
	int fd = open("/dev/shm", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? px_fail_errno("making a file in /dev/shm") : fd;
}

/* Whether /dev/shm is a file system of such a size. */
static bool shm_holds(uint64_t bytes)
{
	struct statvfs fs;

	return statvfs("/dev/shm", &fs) == 0 && (uint64_t)fs.f_blocks * fs.f_frsize >= bytes;
}

/* -1: huge pages are not available. */
static int open_huge(struct px_segment *s)
{
	int fd;

	if (px_huge_shmem()) {
		s->huge = PX_HUGE_SHMEM;
		s->memfd = true;
		return open_memfd();
	}
	fd = px_huge_mount();
	if (fd >= 0)
		s->huge = PX_HUGE_MOUNT;
	return fd;
}

/* The blocks do not count: little of their address space is ever reserved. */
static int open_file(struct px_segment *s, const struct px_header_shm *layout,
		     enum px_segment_kind kind)
{
	int fd = kind == PX_SEGMENT_HUGE ? open_huge(s) : -1;

	if (fd >= 0)
		return fd;
	s->memfd =
		kind == PX_SEGMENT_MEMFD || !shm_holds(layout->blocks_offset + layout->arena_bytes);
	if (!s->memfd)
		fd = open_shm();
	if (fd < 0) {
		s->memfd = true;
		fd = open_memfd();
	}
	return fd;
}

/* --- maps --- */

int px_segment_check(const struct px_segment *segment)
{
	return px_descriptor_check(segment->fd, segment->file, "the pool's shared memory");
}

/* A forked child is no member of the pool; and a core dump need not hold every array. */
static void keep_private(void *at, uint64_t bytes)
{
	(void)madvise(at, bytes, MADV_DONTFORK);
	(void)madvise(at, bytes, MADV_DONTDUMP);
}

/*
 * The same by the descriptor, where mremap(2) cannot duplicate: valgrind, whose word for that is EINVAL, and
 * so a program can look for its errors with the library in it.
 */
static void *window_by_descriptor(struct px_segment *segment, uint64_t offset, uint64_t bytes,
				  void *at)
{
	int flags = MAP_SHARED | MAP_NORESERVE | (at ? MAP_FIXED : 0);

	if (px_segment_check(segment) < 0)
		return MAP_FAILED;
	segment->no_duplicates = true;
	at = mmap(at, bytes, PROT_READ, flags, segment->fd, (off_t)offset);
	if (at != MAP_FAILED)
		keep_private(at, bytes);
	return at;
}

/* A writable window at `at`, or anywhere if that is NULL. */
static int window(struct px_segment *segment, uint64_t offset, uint64_t bytes, void *at, void **out)
{
	void *from = (void *)(uintptr_t)(segment->base + offset), *to = at;
	int flags = MREMAP_MAYMOVE | (at ? MREMAP_FIXED : 0);
	int rc;

	at = px_os.mremap(from, bytes, flags, to);
	if (at == MAP_FAILED && errno == EINVAL)
		at = window_by_descriptor(segment, offset, bytes, to);
	if (at == MAP_FAILED)
		return px_fail_errno("mapping %llu MiB of the segment", MIB(bytes));
	if (mprotect(at, bytes, PROT_READ | PROT_WRITE) < 0) {
		rc = px_fail_errno("making %llu MiB of the segment writable", MIB(bytes));
		munmap(at, bytes);
		return rc;
	}
	*out = at;
	return 0;
}

int px_segment_map(struct px_segment *segment, uint64_t offset, uint64_t bytes, void **out)
{
	/* Like the map of the whole it is not inherited, nor dumped. */
	return window(segment, offset, bytes, NULL, out);
}

int px_segment_map_arrays(struct px_segment *segment, uint64_t offset, uint64_t bytes, void **out)
{
	int rc = window(segment, offset, bytes, NULL, out);

	if (rc == 0)
		(void)madvise(*out, bytes, MADV_DOFORK);
	return rc;
}

int px_segment_map_private(struct px_segment *segment, uint64_t offset, uint64_t bytes, void **out)
{
	void *at;
	int rc = px_segment_check(segment);

	if (rc < 0)
		return rc;
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, segment->fd,
		  (off_t)offset);
	if (at == MAP_FAILED)
		return px_fail_errno("mapping %llu MiB of the arena", MIB(bytes));
	*out = at;
	return 0;
}

int px_segment_make_private(struct px_segment *segment, uint64_t offset, uint64_t bytes, void *at)
{
	int rc = px_segment_check(segment);

	if (rc < 0)
		return rc;
	if (mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
		 segment->fd, (off_t)offset) == MAP_FAILED)
		return px_fail_errno("mapping %llu MiB of the arena again", MIB(bytes));
	(void)madvise(at, bytes, MADV_DONTDUMP);
	return 0;
}

int px_segment_make_shared(struct px_segment *segment, uint64_t offset, uint64_t bytes, void *at)
{
	int rc = window(segment, offset, bytes, at, &at);

	if (rc < 0)
		return rc;
	(void)madvise(at, bytes, MADV_DOFORK);
	if (segment->huge != PX_HUGE_NONE)
		(void)madvise(at, bytes, MADV_HUGEPAGE);
	return 0;
}

int px_segment_clean_private(void *at, uint64_t bytes)
{
	if (madvise(at, bytes, MADV_DONTNEED) < 0)
		return px_fail_errno("cleaning a view of the arena");
	return 0;
}

void px_segment_unmap(void *at, uint64_t bytes)
{
	munmap(at, bytes);
}

/* By a descriptor that can write: else no window of it could be made writable. */
static int map_base(struct px_segment *s, uint64_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, s->fd, 0);

	if (at == MAP_FAILED)
		return px_fail_errno("mapping the segment's %llu MiB of address space", MIB(bytes));
	keep_private(at, bytes);
	s->base = at;
	s->total_bytes = bytes;
	return 0;
}

/* From the checked header to pointers. */
static int map_parts(struct px_segment *s, const struct px_header_shm *h)
{
	void *bells;
	int rc = px_segment_map(s, h->bells_offset, h->blocks_offset - h->bells_offset, &bells);

	if (rc < 0)
		return rc;
	s->bells = bells;
	s->arena_offset = h->arena_offset;
	s->arena_bytes = h->arena_bytes;
	s->blocks_offset = h->blocks_offset;
	s->header = (const void *)s->base;
	s->members = (const void *)(s->base + h->members_offset);
	s->engines = (const void *)(s->base + h->engines_offset);
	s->units = (const void *)(s->base + h->units_offset);
	return 0;
}

int px_segment_create(uint64_t arena_bytes, enum px_segment_kind kind, struct px_segment **out)
{
	struct px_segment *s;
	struct px_header_shm layout;
	uint8_t *head;
	void *at;
	int rc;

	if (arena_bytes > ARENA_MAX_BYTES)
		return px_fail(PX_ENOMEM, "an arena of %llu MiB is more than can be addressed",
			       MIB(arena_bytes));
	s = calloc(1, sizeof(*s));
	if (!s)
		return px_fail(PX_ENOMEM, "no private memory for a segment");
	lay_out(&layout, arena_bytes);
	s->fd = rc = open_file(s, &layout, kind);
	if (rc < 0)
		goto no_file;
	s->file = px_descriptor_identify(s->fd);
	s->writable = true;
	if (ftruncate(s->fd, (off_t)layout.total_bytes) < 0) {
		rc = px_fail_errno("sizing the segment to %llu MiB", MIB(layout.total_bytes));
		goto no_map;
	}
	if (s->memfd)
		(void)fcntl(s->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	/* Mapping comes first: addresses cost nothing, reserving a large arena's head does. */
	rc = map_base(s, layout.total_bytes);
	if (rc == 0)
		rc = px_segment_reserve(s, 0, layout.blocks_offset);
	if (rc == 0)
		rc = px_segment_map(s, 0, layout.bells_offset, &at);
	if (rc < 0)
		goto no_map;
	head = at;
	layout.supervisor_pid = getpid();
	layout.huge_pages = s->huge;
	memcpy(head, &layout, sizeof(layout));
	s->rw.header = at;
	s->rw.members = (void *)(head + layout.members_offset);
	s->rw.engines = (void *)(head + layout.engines_offset);
	s->rw.units = (void *)(head + layout.units_offset);
	rc = map_parts(s, &layout);
	if (rc < 0)
		goto no_map;
	*out = s;
	return 0;

no_map:
	px_segment_detach(s);
	return rc;
no_file:
	free(s);
	return rc;
}

static int compare(const struct px_header_shm *found, uint64_t file_bytes)
{
	struct px_header_shm ours;

	if (found->magic != PX_SEGMENT_MAGIC)
		return px_fail(PX_EVERSION,
			       "this is not a segment of pxrun: it begins with %016llx",
			       (unsigned long long)found->magic);
	if (found->version != PX_SEGMENT_VERSION)
		return px_fail(PX_EVERSION,
			       "the pool's segment has version %u, this pxrun knows %u: restart "
			       "the pool with the same version",
			       found->version, PX_SEGMENT_VERSION);
	if (found->arena_bytes > ARENA_MAX_BYTES)
		return px_fail(PX_EVERSION, "the pool's segment says that its arena has %llu MiB",
			       MIB(found->arena_bytes));
	lay_out(&ours, found->arena_bytes);
	if (found->tiny != ours.tiny)
		return px_fail(PX_EVERSION, "the pool was %sbuilt with --enable-tiny, this is not",
			       found->tiny ? "" : "not ");
	if (found->members_max != ours.members_max || found->engines_max != ours.engines_max ||
	    found->link_bytes != ours.link_bytes || found->block_bytes != ours.block_bytes ||
	    found->unit_bytes != ours.unit_bytes)
		return px_fail(PX_EVERSION,
			       "the pool was built with other sizes: %u members, links of %llu "
			       "bytes, blocks of %llu",
			       found->members_max, (unsigned long long)found->link_bytes,
			       (unsigned long long)found->block_bytes);
	if (found->members_offset != ours.members_offset ||
	    found->engines_offset != ours.engines_offset ||
	    found->units_offset != ours.units_offset || found->bells_offset != ours.bells_offset ||
	    found->blocks_offset != ours.blocks_offset ||
	    found->arena_offset != ours.arena_offset || found->arena_bytes != ours.arena_bytes ||
	    found->total_bytes != ours.total_bytes)
		return px_fail(PX_EVERSION, "the pool's segment is laid out otherwise than ours");
	if (file_bytes != found->total_bytes)
		return px_fail(PX_EVERSION, "the segment says %llu bytes and has %llu",
			       (unsigned long long)found->total_bytes,
			       (unsigned long long)file_bytes);
	return 0;
}

/*
 * Exchanges the descriptor for one that can only read. It stays as it is where no pages could be
 * reserved then, before Linux 5.14, where windows are made by it, and where there is no /proc.
 */
static int give_up_writing(struct px_segment *s)
{
	char path[32];
	int fd;

	s->writable = true;
	if (s->no_duplicates ||
	    px_os.madvise((void *)(uintptr_t)s->base, 0, MADV_POPULATE_WRITE) < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		return px_fail_errno("opening the segment");
	if (fd < 0 || px_descriptor_check(fd, s->file, path) < 0) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	close(s->fd);
	s->fd = fd;
	s->writable = false;
	return 0;
}

int px_segment_attach(int fd, struct px_segment **out)
{
	struct px_segment *s;
	struct px_header_shm header;
	struct stat file;
	int rc, seals;

	if (fstat(fd, &file) < 0)
		return px_fail_errno("looking at the segment");
	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
		return px_fail(PX_EVERSION, "this is not a segment of pxrun: it has %lld bytes",
			       (long long)file.st_size);
	rc = compare(&header, (uint64_t)file.st_size);
	if (rc < 0)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s)
		return px_fail(PX_ENOMEM, "no private memory for a segment");
	s->fd = fd;
	s->file = px_descriptor_identify(fd);
	/* Of the kinds of file that we make, only the memfd is sealed like this. */
	seals = fcntl(fd, F_GET_SEALS);
	s->memfd = seals > 0 && (seals & F_SEAL_SHRINK);
	s->huge = header.huge_pages;
	rc = map_base(s, header.total_bytes);
	if (rc == 0)
		rc = map_parts(s, &header);
	if (rc == 0)
		rc = give_up_writing(s);
	if (rc < 0) {
		s->fd = -1; /* the caller keeps it */
		px_segment_detach(s);
		return rc;
	}
	s->fd = px_descriptor_raise(s->fd);
	*out = s;
	return 0;
}

void px_segment_detach(struct px_segment *s)
{
	struct px_header_shm sizes;

	if (!s)
		return;
	lay_out(&sizes, s->arena_bytes);
	if (s->bells)
		munmap(s->bells, sizes.blocks_offset - sizes.bells_offset);
	if (s->rw.header)
		munmap(s->rw.header, s->rw.header->bells_offset);
	if (s->base)
		munmap((void *)(uintptr_t)s->base, s->total_bytes);
	px_descriptor_close(s->fd, s->file);
	free(s);
}

bool px_segment_owned(const struct px_segment *segment, uint64_t offset, uint64_t bytes,
		      uint32_t owner)
{
	uint64_t first, last;

	if (owner >= PX_MEMBERS_MAX || bytes == 0 || offset < segment->arena_offset ||
	    offset - segment->arena_offset >= segment->arena_bytes ||
	    bytes > segment->arena_bytes - (offset - segment->arena_offset))
		return false;
	first = (offset - segment->arena_offset) / PX_UNIT_BYTES;
	last = (offset - segment->arena_offset + bytes - 1) / PX_UNIT_BYTES;
	for (uint64_t unit = first; unit <= last; unit++)
		/* SYNC extent.owner: acquire; partner: the release in the supervisor's set_owner(). */
		if (atomic_load_explicit(&segment->units[unit], memory_order_acquire) != owner + 1)
			return false;
	return true;
}
