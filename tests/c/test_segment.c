/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_segment.c - segments are made, and attached by others, or refused in words.
 */
#include "tests/c/segment_case.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/error.h"
#include "shm/member.h"

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

#define TEXT(number) #number
#define TEXT_OF(macro) TEXT(macro)

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
		{ WORD(version), PX_SEGMENT_VERSION + 1, "knows " TEXT_OF(PX_SEGMENT_VERSION) },
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

static void *mremap_of_valgrind(void *from, size_t bytes, int flags, void *at)
{
	(void)from;
	(void)bytes;
	(void)flags;
	(void)at;
	errno = EINVAL;
	return MAP_FAILED;
}

static void attach_without_mremap_maps_by_descriptor(void **state)
{
	struct px_segment *other;
	char *window, *again;

	(void)state;
	px_os.mremap = mremap_of_valgrind;
	assert_int_equal(attach_again(&other), 0);
	assert_true(other->writable);
	assert_int_equal(px_segment_map(other, other->arena_offset, PX_UNIT_BYTES,
					(void **)&window),
			 0);
	window[1] = 7;
	assert_int_equal(other->base[other->arena_offset + 1], 7);
	again = window;
	assert_int_equal(px_segment_make_shared(other, other->arena_offset, PX_UNIT_BYTES, again),
			 0);
	assert_int_equal(again[1], 7);
	px_segment_unmap(window, PX_UNIT_BYTES);
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

int main(void)
{
	const struct CMUnitTest cases[] = {
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
		ON(attach_without_mremap_maps_by_descriptor),
		ON_MEMFD(attach_without_mremap_maps_by_descriptor),
		ON(attach_often_leaves_nothing),
	};

	return run_segment_cases(cases);
}
