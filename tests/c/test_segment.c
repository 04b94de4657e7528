/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/case.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/member.h"
#include "shm/os.h"
#include "shm/segment.h"

#define MIB (UINT64_C(1) << 20)
#define UNITS 16
#define ARENA_BYTES (UNITS * (uint64_t)PX_UNIT_BYTES)
#define SKIPPED 77

static struct px_os real;
static struct px_segment *segment;

static int setup(void **state)
{
	(void)state;
	return px_segment_create(ARENA_BYTES, false, &segment);
}

static int setup_memfd(void **state)
{
	(void)state;
	return px_segment_create(ARENA_BYTES, true, &segment);
}

static int teardown(void **state)
{
	(void)state;
	px_os = real;
	px_segment_detach(segment);
	segment = NULL;
	return 0;
}

static uint64_t reserved_bytes(const struct px_segment *s)
{
	struct stat st;

	return fstat(s->fd, &st) < 0 ? UINT64_MAX : (uint64_t)st.st_blocks * 512;
}

static int open_files(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Runs a function in a child; returns its wait status. */
static int in_child(int (*play)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		/* A sanitizer would turn the signal into an exit. */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		_exit(play());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void assert_child_killed(int (*play)(void), int by)
{
	int status = in_child(play);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), by);
}

static void assert_child_done(int (*play)(void))
{
	int status = in_child(play);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void assert_child_done_or_skip(int (*play)(void), const char *reason)
{
	int status = in_child(play);

	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED) {
		print_message("%s\n", reason);
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- create --- */

static void create_lays_out_whole_pages(void **state)
{
	const struct px_header_shm *h = segment->header;
	const uint64_t at[] = { h->members_offset, h->engines_offset, h->units_offset,
				h->bells_offset,   h->blocks_offset,  h->arena_offset,
				h->total_bytes };
	uint64_t end = PX_PAGE_BYTES;
	struct stat st;

	(void)state;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		assert_int_equal(at[i] % PX_PAGE_BYTES, 0);
		assert_in_range(at[i], end, h->total_bytes);
		end = at[i];
	}
	assert_int_equal(h->arena_offset % PX_UNIT_BYTES, 0);
	assert_int_equal(h->arena_bytes, ARENA_BYTES);
	assert_int_equal(h->total_bytes, h->arena_offset + ARENA_BYTES);
	assert_int_equal(h->supervisor_pid, getpid());
	assert_in_range(h->engines_offset - h->members_offset,
			PX_MEMBERS_MAX * sizeof(struct px_member_shm), UINT32_MAX);
	assert_in_range(h->arena_offset - h->blocks_offset,
			PX_MEMBERS_MAX * sizeof(struct px_block_shm), UINT64_MAX);
	assert_int_equal(fstat(segment->fd, &st), 0);
	assert_int_equal(st.st_size, h->total_bytes);
	/* Sparse: the head and the bells, and the bells can be touched. */
	assert_int_equal(reserved_bytes(segment), h->blocks_offset);
	memset((void *)segment->bells, 0, PX_MEMBERS_MAX * sizeof(segment->bells[0]));
	assert_int_equal(reserved_bytes(segment), h->blocks_offset);
}

static void create_odd_arena_is_rounded_up(void **state)
{
	struct px_segment *odd;

	(void)state;
	assert_int_equal(px_segment_create(PX_UNIT_BYTES + 1, false, &odd), 0);
	assert_int_equal(odd->arena_bytes, 2 * (uint64_t)PX_UNIT_BYTES);
	px_segment_detach(odd);
}

/*
 * Nothing can be left in /dev/shm, whichever process is killed; and programs that are executed
 * get nothing.
 */
static void create_any_has_no_name(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(fstat(segment->fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode & 0077, segment->memfd ? 0077 : 0);
	assert_true(fcntl(segment->fd, F_GETFD) & FD_CLOEXEC);
}

static void create_memfd_cannot_shrink(void **state)
{
	(void)state;
	assert_true(segment->memfd);
	assert_int_equal(ftruncate(segment->fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(segment->fd, (off_t)segment->total_bytes * 2), -1);
	assert_int_equal(fcntl(segment->fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}

static void create_absurd_arena_is_refused(void **state)
{
	static const uint64_t sizes[] = { UINT64_MAX,        UINT64_MAX - 2 * PX_UNIT_BYTES,
					  INT64_MAX,         UINT64_C(1) << 57,
					  UINT64_C(1) << 48, (UINT64_C(1) << 46) + 1 };
	int files = open_files();

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct px_segment *none = NULL;

		assert_int_equal(px_segment_create(sizes[i], i % 2, &none), PX_ENOMEM);
		assert_non_null(strstr(px_last_error(), "more than can be addressed"));
		assert_null(none);
	}
	assert_int_equal(open_files(), files);
}

static int fallocate_fails;
static int fallocate_calls;

static int failing_fallocate(int fd, int mode, off_t offset, off_t length)
{
	(void)fd;
	(void)mode;
	(void)offset;
	(void)length;
	fallocate_calls++;
	return fallocate_fails;
}

/* The arena is far below the limit, but the process may not map that much. */
static int create_without_addresses(void)
{
	struct rlimit few = { UINT64_C(1) << 29, UINT64_C(1) << 29 };
	struct px_segment *none = NULL;
	unsigned long pages;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%lu", &pages) != 1)
		return 1;
	fclose(file);
	if (pages > few.rlim_cur / PX_PAGE_BYTES)
		return SKIPPED;
	px_os.fallocate = failing_fallocate;
	if (setrlimit(RLIMIT_AS, &few) < 0)
		return 1;
	if (px_segment_create(ARENA_BYTES, false, &none) != PX_ESYSTEM || none)
		return 2;
	return fallocate_calls ? 3 : 0;
}

static void create_no_addresses_reserves_nothing(void **state)
{
	(void)state;
	assert_child_done_or_skip(create_without_addresses,
				  "a sanitizer has taken more addresses than may be left");
}

static void create_no_memory_for_head_leaves_nothing(void **state)
{
	struct px_segment *none = NULL;
	int files = open_files();

	(void)state;
	px_os.fallocate = failing_fallocate;
	fallocate_fails = -ENOSPC;
	assert_int_equal(px_segment_create(ARENA_BYTES, false, &none), PX_ENOMEM);
	assert_int_equal(px_segment_create(ARENA_BYTES, true, &none), PX_ENOMEM);
	px_os = real;
	assert_null(none);
	assert_int_equal(open_files(), files);
}

/* --- attach --- */

static int attach_again(struct px_segment **out)
{
	int fd = fcntl(segment->fd, F_DUPFD_CLOEXEC, 0);
	int rc = fd < 0 ? -1 : px_segment_attach(fd, out);

	if (rc < 0)
		close(fd);
	return rc;
}

static void attach_sees_what_is_written(void **state)
{
	struct px_segment *other;

	(void)state;
	assert_int_equal(attach_again(&other), 0);
	assert_int_equal(other->memfd, segment->memfd);
	assert_int_equal(other->total_bytes, segment->total_bytes);
	assert_int_equal(other->arena_offset, segment->arena_offset);
	assert_int_equal(other->arena_bytes, segment->arena_bytes);
	assert_null(other->rw.header);
	atomic_store(&segment->rw.members[7].pid, 77);
	atomic_store(&segment->rw.engines[8].slot, 88);
	atomic_store(&segment->rw.units[UNITS - 1], 99);
	atomic_store(&segment->rw.header->members_seq, 5);
	atomic_store(&other->bells[PX_MEMBERS_MAX - 1].asleep, 1);
	assert_int_equal(atomic_load(&other->members[7].pid), 77);
	assert_int_equal(atomic_load(&other->engines[8].slot), 88);
	assert_int_equal(atomic_load(&other->units[UNITS - 1]), 99);
	assert_int_equal(atomic_load(&other->header->members_seq), 5);
	assert_int_equal(atomic_load(&segment->bells[PX_MEMBERS_MAX - 1].asleep), 1);
	px_segment_detach(other);
}

static int write_to_head(void)
{
	struct px_segment *other;

	if (attach_again(&other) < 0)
		return 1;
	*(volatile uint8_t *)(uintptr_t)other->members = 1;
	return 2;
}

static int read_inherited_map(void)
{
	return *(const volatile uint8_t *)segment->base;
}

static int read_inherited_bells(void)
{
	return (int)atomic_load(&segment->bells[0].seq);
}

static void attach_map_is_read_only(void **state)
{
	(void)state;
	assert_child_killed(write_to_head, SIGSEGV);
}

static void attach_maps_are_not_inherited(void **state)
{
	(void)state;
	assert_child_killed(read_inherited_map, SIGSEGV);
	assert_child_killed(read_inherited_bells, SIGSEGV);
}

/* Must be refused in words that have `words` in them, and fd stays the caller's. */
static void assert_refused(int fd, const char *words)
{
	struct px_segment *none = NULL;
	int files = open_files();

	assert_int_equal(px_segment_attach(fd, &none), PX_EVERSION);
	if (!strstr(px_last_error(), words))
		fail_msg("\"%s\" is not in \"%s\"", words, px_last_error());
	assert_null(none);
	assert_int_equal(open_files(), files);
}

static void attach_wrong_header_is_refused_in_words(void **state)
{
#define WORD(member)                                                                               \
	offsetof(struct px_header_shm, member), sizeof(((struct px_header_shm *)0)->member)
	static const struct {
		size_t at, bytes;
		uint64_t value;
		const char *words;
	} wrong[] = {
		{ WORD(magic), 0, "not a segment of pxrun" },
		{ WORD(magic), PX_SEGMENT_MAGIC + 1, "not a segment of pxrun" },
		{ WORD(version), PX_SEGMENT_VERSION + 1, "version 4" },
		{ WORD(version), 0, "version 0" },
		{ WORD(tiny), 2, "--enable-tiny" },
		{ WORD(members_max), PX_MEMBERS_MAX * 2, "other sizes" },
		{ WORD(engines_max), 1, "other sizes" },
		{ WORD(link_bytes), sizeof(struct px_link_shm) + 64, "other sizes" },
		{ WORD(block_bytes), 0, "other sizes" },
		{ WORD(unit_bytes), 0, "other sizes" },
		{ WORD(members_offset), 0, "laid out" },
		{ WORD(engines_offset), UINT64_MAX, "laid out" },
		{ WORD(units_offset), 1, "laid out" },
		{ WORD(bells_offset), 0, "laid out" },
		{ WORD(blocks_offset), UINT64_MAX - 4095, "laid out" },
		{ WORD(arena_offset), 0, "laid out" },
		{ WORD(arena_bytes), ARENA_BYTES - 1, "laid out" },
		{ WORD(arena_bytes), ARENA_BYTES + PX_UNIT_BYTES, "laid out" },
		{ WORD(arena_bytes), UINT64_MAX, "arena" },
		{ WORD(arena_bytes), UINT64_MAX / PX_UNIT_BYTES * PX_UNIT_BYTES, "arena" },
		{ WORD(total_bytes), 0, "laid out" },
		{ WORD(total_bytes), UINT64_MAX, "laid out" },
	};
#undef WORD
	struct px_header_shm good = *segment->header;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct px_header_shm bad = good;

		memcpy((uint8_t *)&bad + wrong[i].at, &wrong[i].value, wrong[i].bytes);
		memcpy((void *)segment->rw.header, &bad, sizeof(bad));
		assert_refused(segment->fd, wrong[i].words);
	}
	memcpy((void *)segment->rw.header, &good, sizeof(good));
}

/* With such a size the sums overflow to those of a small file. */
static void attach_wrapping_arena_is_refused(void **state)
{
	struct px_header_shm h = *segment->header;
	int fd = memfd_create("test", MFD_CLOEXEC);
	uint64_t grown;

	(void)state;
	assert_true(fd >= 0);
	h.arena_bytes = UINT64_MAX / PX_UNIT_BYTES * PX_UNIT_BYTES;
	grown = h.arena_bytes / PX_UNIT_BYTES * sizeof(uint16_t);
	grown = (grown + PX_PAGE_BYTES - 1) / PX_PAGE_BYTES * PX_PAGE_BYTES - PX_PAGE_BYTES;
	h.bells_offset += grown;
	h.blocks_offset += grown;
	h.arena_offset = h.blocks_offset + PX_MEMBERS_MAX * sizeof(struct px_block_shm);
	h.arena_offset = (h.arena_offset + PX_UNIT_BYTES - 1) / PX_UNIT_BYTES * PX_UNIT_BYTES;
	h.total_bytes = h.arena_offset + h.arena_bytes;
	assert_int_equal(ftruncate(fd, (off_t)h.total_bytes), 0);
	assert_int_equal(pwrite(fd, &h, sizeof(h), 0), sizeof(h));
	assert_refused(fd, "arena");
	close(fd);
}

static void attach_wrong_file_is_refused_in_words(void **state)
{
	static const uint8_t bytes[sizeof(struct px_header_shm) - 1] = { 0 };
	int fd = memfd_create("test", MFD_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_refused(fd, "has 0 bytes");
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	assert_refused(fd, "not a segment of pxrun");
	assert_int_equal(ftruncate(fd, (off_t)segment->total_bytes), 0);
	assert_refused(fd, "begins with 0000000000000000");
	assert_int_equal(pwrite(fd, segment->base, PX_PAGE_BYTES, 0), PX_PAGE_BYTES);
	assert_int_equal(ftruncate(fd, (off_t)segment->total_bytes - 1), 0);
	assert_refused(fd, "and has");
	assert_int_equal(ftruncate(fd, PX_PAGE_BYTES), 0);
	assert_refused(fd, "and has 4096");
	assert_int_equal(ftruncate(fd, (off_t)segment->total_bytes + 1), 0);
	assert_refused(fd, "and has");
	close(fd);
}

static void attach_no_file_says_why(void **state)
{
	struct px_segment *none = NULL;

	(void)state;
	assert_int_equal(px_segment_attach(-1, &none), PX_ESYSTEM);
	assert_non_null(strstr(px_last_error(), strerror(EBADF)));
	px_segment_detach(none);
}

/* What code of a user may do with all descriptors that it finds. */
static void attach_keeps_no_descriptor_that_can_write(void **state)
{
	struct px_segment *other;

	(void)state;
	assert_int_equal(attach_again(&other), 0);
	if (other->writable)
		skip(); /* a kernel without MADV_POPULATE_WRITE */
	assert_int_equal(fcntl(other->fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(ftruncate(other->fd, 0), -1);
	assert_int_equal(px_segment_reserve(other, other->arena_offset, PX_PAGE_BYTES), PX_ESYSTEM);
	px_segment_detach(other);
}

static int old_madvise(void *at, size_t bytes, int advice)
{
	return advice == MADV_POPULATE_WRITE ? -EINVAL : real.madvise(at, bytes, advice);
}

static void attach_old_kernel_can_reserve_all_the_same(void **state)
{
	uint64_t before = reserved_bytes(segment);
	struct px_segment *other;
	void *at;

	(void)state;
	px_os.madvise = old_madvise;
	assert_int_equal(attach_again(&other), 0);
	assert_int_equal(fcntl(other->fd, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(px_segment_map_arrays(other, other->arena_offset, PX_UNIT_BYTES, &at), 0);
	assert_int_equal(px_segment_reserve_mapped(other, other->arena_offset, PX_UNIT_BYTES, at),
			 0);
	assert_int_equal(reserved_bytes(segment), before + PX_UNIT_BYTES);
	assert_int_equal(px_segment_punch_mapped(at, PX_UNIT_BYTES), 0);
	assert_int_equal(reserved_bytes(segment), before);
	px_segment_unmap(at, PX_UNIT_BYTES);
	px_segment_detach(other);
}

static void attach_often_leaves_nothing(void **state)
{
	int files = open_files();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct px_segment *other;

		assert_int_equal(attach_again(&other), 0);
		px_segment_detach(other);
	}
	assert_int_equal(open_files(), files);
	assert_int_equal(reserved_bytes(segment), segment->header->blocks_offset);
}

/* --- maps and pages --- */

static void map_private_keeps_writes_to_itself(void **state)
{
	uint8_t *shared, *own;
	void *at;

	(void)state;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, PX_PAGE_BYTES), 0);
	assert_int_equal(px_segment_map(segment, segment->arena_offset, PX_PAGE_BYTES, &at), 0);
	shared = at;
	assert_int_equal(px_segment_map_private(segment, segment->arena_offset, PX_PAGE_BYTES, &at),
			 0);
	own = at;
	shared[0] = 1;
	assert_int_equal(own[0], 1);
	own[0] = 2;
	assert_int_equal(shared[0], 1);
	assert_int_equal(segment->base[segment->arena_offset], 1);
	px_segment_unmap(shared, PX_PAGE_BYTES);
	px_segment_unmap(own, PX_PAGE_BYTES);
}

static unsigned long mapped_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu", &pages), 1);
	fclose(file);
	return pages;
}

static void map_takes_its_own_addresses_only(void **state)
{
	unsigned long before = mapped_pages();
	void *at;

	(void)state;
	assert_int_equal(px_segment_map(segment, segment->arena_offset, PX_UNIT_BYTES, &at), 0);
	/* The C library may have taken some as well. */
	assert_in_range(mapped_pages() - before, PX_UNIT_BYTES / PX_PAGE_BYTES,
			PX_UNIT_BYTES / PX_PAGE_BYTES + 256);
	px_segment_unmap(at, PX_UNIT_BYTES);
}

static void map_after_close_needs_no_descriptor(void **state)
{
	struct px_segment *other;
	void *at;

	(void)state;
	assert_int_equal(attach_again(&other), 0);
	close(other->fd);
	assert_int_equal(px_segment_map_arrays(other, other->arena_offset, PX_UNIT_BYTES, &at), 0);
	assert_int_equal(px_segment_reserve_mapped(other, other->arena_offset, PX_UNIT_BYTES, at),
			 0);
	memset(at, 7, PX_UNIT_BYTES);
	assert_int_equal(segment->base[segment->arena_offset + PX_UNIT_BYTES - 1], 7);
	assert_int_equal(px_segment_make_shared(other, other->arena_offset, PX_UNIT_BYTES, at), 0);
	memset(at, 8, PX_UNIT_BYTES);
	assert_int_equal(segment->base[segment->arena_offset + PX_UNIT_BYTES - 1], 8);
	assert_int_equal(px_segment_make_private(other, other->arena_offset, PX_UNIT_BYTES, at),
			 PX_ECLOSED);
	px_segment_unmap(at, PX_UNIT_BYTES);
	px_segment_detach(other);
}

static void map_odd_offset_says_why(void **state)
{
	void *at;

	(void)state;
	assert_int_equal(px_segment_map(segment, 1, PX_PAGE_BYTES, &at), PX_ESYSTEM);
	assert_non_null(strstr(px_last_error(), strerror(EINVAL)));
	assert_int_equal(px_segment_map_private(segment, 1, PX_PAGE_BYTES, &at), PX_ESYSTEM);
}

static void punch_gives_back_and_zeroes(void **state)
{
	uint64_t before = reserved_bytes(segment);
	uint8_t *at;
	void *map;

	(void)state;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, PX_UNIT_BYTES), 0);
	assert_int_equal(reserved_bytes(segment), before + PX_UNIT_BYTES);
	assert_int_equal(px_segment_map(segment, segment->arena_offset, PX_UNIT_BYTES, &map), 0);
	at = map;
	memset(at, 0xff, PX_UNIT_BYTES);
	assert_int_equal(reserved_bytes(segment), before + PX_UNIT_BYTES);
	assert_int_equal(px_segment_punch(segment, segment->arena_offset, PX_UNIT_BYTES), 0);
	assert_int_equal(px_segment_punch(segment, segment->arena_offset, PX_UNIT_BYTES), 0);
	assert_int_equal(reserved_bytes(segment), before);
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, PX_UNIT_BYTES), 0);
	for (uint64_t i = 0; i < PX_UNIT_BYTES; i += 511)
		assert_int_equal(at[i], 0);
	px_segment_unmap(at, PX_UNIT_BYTES);
}

static void reserve_full_says_what_is_full(void **state)
{
	(void)state;
	px_os.fallocate = failing_fallocate;
	fallocate_fails = -ENOSPC;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, 5 * MIB - 1),
			 PX_ENOMEM);
	assert_non_null(strstr(px_last_error(), "needs 5 MiB"));
	assert_int_equal(strstr(px_last_error(), "/dev/shm") != NULL, !segment->memfd);
	fallocate_fails = -ENOMEM;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, 1), PX_ENOMEM);
}

static int madvise_fails, madvise_calls;

/* Fails after it has got half of the pages. */
static int half_madvise(void *at, size_t bytes, int advice)
{
	if (advice != MADV_POPULATE_WRITE)
		return real.madvise(at, bytes, advice);
	assert_int_equal(real.madvise(at, bytes / 2, advice), 0);
	return madvise_fails;
}

/* Members reserve their extents by themselves: they must know, too, what is full. */
static void reserve_full_by_attached_says_the_same(void **state)
{
	struct px_segment *other;
	char words[1000];
	void *at;

	(void)state;
	assert_int_equal(attach_again(&other), 0);
	assert_int_equal(px_segment_map_arrays(other, other->arena_offset, MIB, &at), 0);
	px_os.madvise = half_madvise;
	madvise_fails = -EFAULT;
	px_os.fallocate = failing_fallocate;
	fallocate_fails = -ENOSPC;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, MIB), PX_ENOMEM);
	snprintf(words, sizeof(words), "%.12s%d", px_last_error(),
		 strstr(px_last_error(), "/dev/shm") != NULL);
	assert_int_equal(px_segment_reserve_mapped(other, other->arena_offset, MIB, at), PX_ENOMEM);
	assert_memory_equal(words, px_last_error(), 12);
	assert_int_equal(words[12] - '0', strstr(px_last_error(), "/dev/shm") != NULL);
	px_segment_unmap(at, MIB);
	px_segment_detach(other);
}

static void reserve_mapped_full_leaves_nothing(void **state)
{
	static const struct {
		int error, code;
		const char *words;
	} ways[] = {
		{ -EFAULT, PX_ENOMEM, "needs 2 MiB" },
		{ -ENOMEM, PX_ENOMEM, "needs 2 MiB" },
		{ -EPERM, PX_ESYSTEM, "reserving 2048 KiB of the segment" },
	};
	uint64_t offset = segment->arena_offset, before = reserved_bytes(segment);
	void *at;

	(void)state;
	px_os.madvise = half_madvise;
	assert_int_equal(px_segment_map_arrays(segment, offset, 2 * MIB, &at), 0);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		madvise_fails = ways[i].error;
		assert_int_equal(px_segment_reserve_mapped(segment, offset, 2 * MIB, at),
				 ways[i].code);
		assert_words(ways[i].words);
		assert_int_equal(reserved_bytes(segment), before);
	}
	px_segment_unmap(at, 2 * MIB);
}

static int interrupted_madvise(void *at, size_t bytes, int advice)
{
	static const int answers[] = { -EINTR, -EAGAIN };

	return madvise_calls < 2 ? answers[madvise_calls++] : real.madvise(at, bytes, advice);
}

static void reserve_mapped_interrupted_goes_on(void **state)
{
	uint64_t offset = segment->arena_offset, before = reserved_bytes(segment);
	void *at;

	(void)state;
	px_os.madvise = interrupted_madvise;
	assert_int_equal(px_segment_map_arrays(segment, offset, PX_UNIT_BYTES, &at), 0);
	assert_int_equal(px_segment_reserve_mapped(segment, offset, PX_UNIT_BYTES, at), 0);
	assert_int_equal(madvise_calls, 2);
	assert_int_equal(reserved_bytes(segment), before + PX_UNIT_BYTES);
	madvise_calls = 0;
	assert_int_equal(px_segment_punch_mapped(at, PX_UNIT_BYTES), 0);
	assert_int_equal(madvise_calls, 2);
	assert_int_equal(reserved_bytes(segment), before);
	px_segment_unmap(at, PX_UNIT_BYTES);
}

/* As by mlockall(2). */
static void punch_mapped_locked_gives_back(void **state)
{
	uint64_t offset = segment->arena_offset, before = reserved_bytes(segment);
	void *at;

	(void)state;
	assert_int_equal(px_segment_map_arrays(segment, offset, PX_UNIT_BYTES, &at), 0);
	assert_int_equal(px_segment_reserve_mapped(segment, offset, PX_UNIT_BYTES, at), 0);
	if (mlock(at, PX_UNIT_BYTES) < 0)
		skip();
	assert_int_equal(px_segment_punch_mapped(at, PX_UNIT_BYTES), 0);
	assert_int_equal(reserved_bytes(segment), before);
	px_segment_unmap(at, PX_UNIT_BYTES);
}

static void punch_mapped_refused_says_why(void **state)
{
	(void)state;
	assert_int_equal(px_segment_punch_mapped((uint8_t *)(uintptr_t)segment->base + 1, 1),
			 PX_ESYSTEM);
	assert_words("giving 0 KiB of the segment back");
}

static void reserve_refused_says_why(void **state)
{
	(void)state;
	px_os.fallocate = failing_fallocate;
	fallocate_fails = -EPERM;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, 1), PX_ESYSTEM);
	assert_non_null(strstr(px_last_error(), strerror(EPERM)));
	assert_int_equal(px_segment_punch(segment, segment->arena_offset, 1), PX_ESYSTEM);
	assert_non_null(strstr(px_last_error(), strerror(EPERM)));
}

/* As if a timer fired faster than the pages can be allocated. */
static int interrupted_fallocate(int fd, int mode, off_t offset, off_t length)
{
	sigset_t blocked;

	fallocate_calls++;
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	return sigismember(&blocked, SIGALRM) ? real.fallocate(fd, mode, offset, length) : -EINTR;
}

static void reserve_interrupted_comes_to_an_end(void **state)
{
	uint64_t before = reserved_bytes(segment);
	sigset_t blocked;

	(void)state;
	fallocate_calls = 0;
	px_os.fallocate = interrupted_fallocate;
	assert_int_equal(px_segment_reserve(segment, segment->arena_offset, PX_UNIT_BYTES), 0);
	assert_in_range(fallocate_calls, 1, 2);
	assert_int_equal(reserved_bytes(segment), before + PX_UNIT_BYTES);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	assert_false(sigismember(&blocked, SIGALRM));
}

static void owned_checks_every_unit(void **state)
{
	const uint64_t unit = PX_UNIT_BYTES;
	uint64_t arena = segment->arena_offset;

	(void)state;
	for (unsigned i = 2; i < 5; i++)
		atomic_store(&segment->rw.units[i], 7 + 1);
	atomic_store(&segment->rw.units[UNITS - 1], 7 + 1);
	assert_true(px_segment_owned(segment, arena + 2 * unit, 3 * unit, 7));
	assert_true(px_segment_owned(segment, arena + 5 * unit - 1, 1, 7));
	assert_true(px_segment_owned(segment, arena + (UNITS - 1) * unit, unit, 7));
	assert_false(px_segment_owned(segment, arena + 2 * unit, 3 * unit, 6));
	assert_false(px_segment_owned(segment, arena + 2 * unit, 3 * unit, 8));
	assert_false(px_segment_owned(segment, arena + 2 * unit - 1, 2, 7));
	assert_false(px_segment_owned(segment, arena + 2 * unit, 3 * unit + 1, 7));
	assert_false(px_segment_owned(segment, arena + 2 * unit, 0, 7));
	/* Outside of the arena, before and after it, and with numbers that overflow. */
	assert_false(px_segment_owned(segment, arena - 1, 1, 7));
	assert_false(px_segment_owned(segment, 0, unit, 7));
	assert_false(px_segment_owned(segment, arena + (UNITS - 1) * unit, unit + 1, 7));
	assert_false(px_segment_owned(segment, arena + UNITS * unit, 1, 7));
	assert_false(px_segment_owned(segment, arena + 2 * unit, UINT64_MAX, 7));
	assert_false(px_segment_owned(segment, arena + 2 * unit, UINT64_MAX - arena - 2 * unit, 7));
	assert_false(px_segment_owned(segment, UINT64_MAX, 1, 7));
	assert_false(px_segment_owned(segment, UINT64_MAX, UINT64_MAX, 7));
	/* A unit without an owner belongs to no slot. */
	assert_false(px_segment_owned(segment, arena, 1, UINT32_MAX));
	assert_false(px_segment_owned(segment, arena, 1, 65535));
}

/* --- a small /dev/shm --- */

static void assert_on_small_shm(int (*play)(void))
{
	assert_child_done_or_skip(play, "no mount namespace of our own is permitted here");
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

/* /dev/shm of 64 MiB, as Docker's, for this process alone. */
static bool small_shm(void)
{
	char map[64];

	if (unshare(CLONE_NEWNS) < 0) {
		snprintf(map, sizeof(map), "0 %u 1", (unsigned)geteuid());
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || !put("/proc/self/uid_map", map))
			return false;
	}
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "size=64m") == 0;
}

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__,            \
				#condition, px_last_error());                                      \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static int create_where_it_does_not_fit(void)
{
	struct px_segment *s, *other;
	void *at;

	if (!small_shm())
		return SKIPPED;
	MUST(px_segment_create(128 * MIB, false, &s) == 0);
	MUST(s->memfd);
	MUST(px_segment_attach(dup(s->fd), &other) == 0);
	MUST(other->memfd);
	/* All of it is there, which is the point. */
	MUST(px_segment_map_arrays(other, s->arena_offset, 128 * MIB, &at) == 0);
	MUST(px_segment_reserve_mapped(other, s->arena_offset, 128 * MIB, at) == 0);
	memset(at, 1, 128 * MIB);
	px_segment_unmap(at, 128 * MIB);
	px_segment_detach(other);
	px_segment_detach(s);
	return 0;
}

static void create_small_shm_takes_a_memfd(void **state)
{
	(void)state;
	assert_on_small_shm(create_where_it_does_not_fit);
}

/* Another program's files leave `bytes` of the mount. */
static int leave(struct px_segment *s, uint64_t bytes)
{
	int fd = open("/dev/shm/other", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	uint64_t step = 32 * MIB, size = 0;

	(void)s;
	MUST(fd >= 0);
	for (; step >= PX_PAGE_BYTES; step /= 2)
		while (fallocate(fd, 0, (off_t)size, (off_t)step) == 0)
			size += step;
	MUST(ftruncate(fd, (off_t)(size - bytes)) == 0);
	close(fd);
	return 0;
}

static int reserve_where_others_took_it(void)
{
	struct px_segment *s;
	uint8_t *at;
	void *map;

	if (!small_shm())
		return SKIPPED;
	/* The blocks' address space is far more than 64 MiB, and does not count. */
	MUST(px_segment_create(32 * MIB, false, &s) == 0);
	MUST(!s->memfd);
	MUST(px_segment_reserve(s, s->arena_offset, 8 * MIB) == 0);
	MUST(px_segment_map(s, s->arena_offset, 32 * MIB, &map) == 0);
	at = map;
	MUST(leave(s, 4 * MIB) == 0);
	MUST(px_segment_reserve(s, s->arena_offset + 8 * MIB, 8 * MIB) == PX_ENOMEM);
	MUST(strstr(px_last_error(), "needs 8 MiB, /dev/shm has 4 of 64 MiB free"));
	/* A refused reservation takes nothing. */
	MUST(px_segment_reserve(s, s->arena_offset + 8 * MIB, 4 * MIB) == 0);
	MUST(px_segment_reserve(s, s->arena_offset + 12 * MIB, 1) == PX_ENOMEM);
	memset(at, 1, 12 * MIB); /* no SIGBUS */
	return 0;
}

static void reserve_full_shm_is_no_sigbus(void **state)
{
	(void)state;
	assert_on_small_shm(reserve_where_others_took_it);
}

static int reserve_mapped_where_others_took_it(void)
{
	struct px_segment *s, *other;
	void *at;

	if (!small_shm())
		return SKIPPED;
	MUST(px_segment_create(32 * MIB, false, &s) == 0);
	MUST(px_segment_attach(dup(s->fd), &other) == 0);
	MUST(px_segment_map_arrays(other, s->arena_offset, 8 * MIB, &at) == 0);
	MUST(leave(s, 4 * MIB) == 0);
	MUST(px_segment_reserve_mapped(other, s->arena_offset, 8 * MIB, at) == PX_ENOMEM);
	/* A refused reservation takes nothing. */
	MUST(strstr(px_last_error(), "needs 8 MiB, /dev/shm has 4 of 64 MiB free"));
	MUST(px_segment_reserve_mapped(other, s->arena_offset, 4 * MIB, at) == 0);
	memset(at, 1, 4 * MIB); /* no SIGBUS */
	return 0;
}

static void reserve_mapped_full_shm_is_no_sigbus(void **state)
{
	(void)state;
	assert_on_small_shm(reserve_mapped_where_others_took_it);
}

/* The supervisor's own work on a full mount: refusals in words, and never SIGBUS. */
static int members_where_others_took_it(void)
{
	struct px_death death = { .exit_signal = SIGKILL };
	struct px_member_id engines[3], client, late;
	struct px_segment *s;

	if (!small_shm())
		return SKIPPED;
	MUST(px_segment_create(32 * MIB, false, &s) == 0);
	MUST(px_member_join(s, PX_MEMBER_CLIENT, -1, &client) == 0);
	for (int i = 0; i < 3; i++) {
		MUST(px_member_join(s, PX_MEMBER_ENGINE, i, &engines[i]) == 0);
		px_member_live(s, engines[i], getpid());
	}
	px_member_live(s, client, getpid());
	MUST(leave(s, 0) == 0);
	MUST(px_member_join(s, PX_MEMBER_ENGINE, 3, &late) == PX_ENOMEM);
	MUST(strstr(px_last_error(), "/dev/shm"));
	px_member_mark_dead(s, engines[1], &death);
	MUST(px_member_sweep(s, NULL, NULL) == 0);
	px_member_announce(s);
	/* The memory of the dead engine is enough for the next one. */
	MUST(px_member_join(s, PX_MEMBER_ENGINE, 1, &late) == 0);
	MUST(late.slot == engines[1].slot);
	px_member_mark_dead(s, client, &death);
	MUST(px_member_sweep(s, NULL, NULL) == 0);
	return 0;
}

static void join_and_sweep_full_shm_is_no_sigbus(void **state)
{
	(void)state;
	assert_on_small_shm(members_where_others_took_it);
}

static int no_shm_at_all(void)
{
	struct px_segment *s;

	if (!small_shm() || mount("proc", "/dev/shm", "proc", 0, NULL) < 0)
		return SKIPPED;
	MUST(px_segment_create(MIB, false, &s) == 0);
	MUST(s->memfd);
	return 0;
}

static void create_no_shm_takes_a_memfd(void **state)
{
	(void)state;
	assert_on_small_shm(no_shm_at_all);
}

static int touch_private_in_child(void)
{
	void *at;

	if (px_segment_reserve(segment, segment->arena_offset, PX_PAGE_BYTES) < 0 ||
	    px_segment_map_private(segment, segment->arena_offset, PX_PAGE_BYTES, &at) < 0)
		return 1;
	*(uint8_t *)at = 5;
	if (fork() == 0)
		_exit(*(uint8_t *)at == 5 ? 0 : 1);
	int status;
	wait(&status);
	return status;
}

/* The user owns an array that was received, and may fork with it. */
static void map_private_is_inherited(void **state)
{
	(void)state;
	assert_child_done(touch_private_in_child);
}

#define ON(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define ON_MEMFD(name)                                                                             \
	{                                                                                          \
#name " (memfd)", name, setup_memfd, teardown, NULL                                \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(create_lays_out_whole_pages),
		ON_MEMFD(create_lays_out_whole_pages),
		cmocka_unit_test(create_odd_arena_is_rounded_up),
		ON(create_any_has_no_name),
		ON_MEMFD(create_any_has_no_name),
		ON_MEMFD(create_memfd_cannot_shrink),
		cmocka_unit_test(create_absurd_arena_is_refused),
		cmocka_unit_test(create_no_addresses_reserves_nothing),
		cmocka_unit_test(create_no_memory_for_head_leaves_nothing),
		ON(attach_sees_what_is_written),
		ON_MEMFD(attach_sees_what_is_written),
		ON(attach_map_is_read_only),
		ON(attach_maps_are_not_inherited),
		ON(attach_wrong_header_is_refused_in_words),
		ON(attach_wrapping_arena_is_refused),
		ON(attach_wrong_file_is_refused_in_words),
		cmocka_unit_test(attach_no_file_says_why),
		ON(attach_keeps_no_descriptor_that_can_write),
		ON_MEMFD(attach_keeps_no_descriptor_that_can_write),
		ON(attach_old_kernel_can_reserve_all_the_same),
		ON_MEMFD(attach_old_kernel_can_reserve_all_the_same),
		ON(attach_often_leaves_nothing),
		ON(map_private_keeps_writes_to_itself),
		ON(map_private_is_inherited),
		ON(map_takes_its_own_addresses_only),
		ON(map_after_close_needs_no_descriptor),
		ON_MEMFD(map_after_close_needs_no_descriptor),
		ON(map_odd_offset_says_why),
		ON(punch_gives_back_and_zeroes),
		ON_MEMFD(punch_gives_back_and_zeroes),
		ON(reserve_full_says_what_is_full),
		ON_MEMFD(reserve_full_says_what_is_full),
		ON(reserve_full_by_attached_says_the_same),
		ON_MEMFD(reserve_full_by_attached_says_the_same),
		ON(reserve_mapped_full_leaves_nothing),
		ON_MEMFD(reserve_mapped_full_leaves_nothing),
		ON(reserve_mapped_interrupted_goes_on),
		ON(punch_mapped_locked_gives_back),
		ON(punch_mapped_refused_says_why),
		ON(reserve_refused_says_why),
		ON(reserve_interrupted_comes_to_an_end),
		ON(owned_checks_every_unit),
		cmocka_unit_test(create_small_shm_takes_a_memfd),
		cmocka_unit_test(create_no_shm_takes_a_memfd),
		cmocka_unit_test(reserve_full_shm_is_no_sigbus),
		cmocka_unit_test(reserve_mapped_full_shm_is_no_sigbus),
		cmocka_unit_test(join_and_sweep_full_shm_is_no_sigbus),
	};

	real = px_os;
	return run_cases(tests, NULL, NULL);
}
