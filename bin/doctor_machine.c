/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doctor_machine.c - the checks of what the kernel offers.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bin/amount.h"
#include "bin/doctor.h"
#include "machine/cgroup.h"
#include "shm/error.h"
#include "shm/os.h"
#include "shm/segment.h"
#include "supervisor/event_loop.h"

/* close_range(2) with its flags, by which engines are started, is of this version. */
#define KERNEL_MAJOR 5
#define KERNEL_MINOR 11
#define WAKE_NS UINT64_C(2000000000)
#define NAP_NS 1000000
#define TRIAL_ARENA (UINT64_C(4) << 20)
/* With less, arrays soon do not fit. */
#define SHM_LITTLE (UINT64_C(256) << 20)

void px_doctor_kernel(struct px_doctor *doctor, struct px_finding *finding)
{
	unsigned major = 0, minor = 0;
	struct utsname name;

	(void)doctor;
	uname(&name);
	px_doctor_found(finding, "%s %s, %s", name.sysname, name.release, name.machine);
	if (sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	    (major < KERNEL_MAJOR || (major == KERNEL_MAJOR && minor < KERNEL_MINOR)))
		px_doctor_advise(
			finding, PX_DOCTOR_NOTE,
			"pxrun is made for Linux %d.%d and newer: older ones may lack what "
			"it needs",
			KERNEL_MAJOR, KERNEL_MINOR);
}

/* --- futex --- */

/* In a child: sleeps until another process wakes it. Its exit code. */
static int sleep_on(_Atomic uint32_t *word)
{
	return px_os.futex_wait(word, 0, WAKE_NS) == 0 ? 0 : 1;
}

/* Whether a process that sleeps there is woken by this one; the time it took. */
static bool wake_up(_Atomic uint32_t *word, uint64_t *took_ns)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	uint64_t began = px_os.now_ns();
	pid_t child = fork();
	int status = -1;

	if (child == 0)
		_exit(sleep_on(word));
	if (child < 0)
		return false;
	/* It sleeps at most for a while, woken or not. Until it sleeps there is nobody to wake. */
	while (waitpid(child, &status, WNOHANG) == 0) {
		px_os.futex_wake(word);
		nanosleep(&nap, NULL);
	}
	*took_ns = px_os.now_ns() - began;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void px_doctor_futex(struct px_doctor *doctor, struct px_finding *finding)
{
	void *page = mmap(NULL, sizeof(uint32_t), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t took_ns = 0;

	if (page != MAP_FAILED && wake_up(page, &took_ns)) {
		px_doctor_found(finding, "processes wake each other");
	} else {
		px_doctor_found(finding, "a process that sleeps in shared memory is not woken");
		px_doctor_advise(finding, PX_DOCTOR_PROBLEM,
				 "members of a pool would wait for each other in vain: is futex(2) "
				 "or fork(2) forbidden (seccomp, a limit of processes)?");
		doctor->hopeless = true;
	}
	if (page != MAP_FAILED)
		munmap(page, sizeof(uint32_t));
}

/* --- the event loop --- */

/* Why the kernel gives no io_uring. */
static void explain_uring(const struct px_doctor *doctor, struct px_finding *finding)
{
	enum px_loop_kind kind =
		(enum px_loop_kind)px_settings_number(&doctor->settings, PX_SETTING_EVENT_LOOP);
	uint64_t disabled = 0;

	px_doctor_found(finding, "epoll: %s", px_last_error());
	(void)px_proc_number("", "/proc/sys/kernel/io_uring_disabled", NULL, &disabled);
	if (kind == PX_LOOP_URING)
		px_doctor_advise(finding, PX_DOCTOR_PROBLEM,
				 "the settings ask for io_uring: use event_loop: auto, or epoll");
	else if (disabled)
		px_doctor_advise(finding, PX_DOCTOR_NOTE,
				 "all works with epoll; `sysctl kernel.io_uring_disabled=0`, as "
				 "root, would permit io_uring");
	else
		px_doctor_advise(finding, PX_DOCTOR_NOTE,
				 "all works with epoll; containers often forbid io_uring");
}

void px_doctor_event_loop(struct px_doctor *doctor, struct px_finding *finding)
{
	struct px_loop *loop = NULL;

	if (px_loop_new(PX_LOOP_URING, &loop) == 0)
		px_doctor_found(finding, "%s", px_loop_name(loop));
	else
		explain_uring(doctor, finding);
	px_loop_free(loop);
}

/* --- shared memory --- */

void px_doctor_shm(struct px_doctor *doctor, struct px_finding *finding)
{
	struct px_segment *segment = NULL;
	struct statvfs fs;
	uint64_t size, left;

	if (px_segment_create(TRIAL_ARENA, PX_SEGMENT_SHM, &segment) < 0) {
		px_doctor_found(finding, "%s", px_last_error());
		px_doctor_advise(finding, PX_DOCTOR_PROBLEM, "a pool needs some shared memory");
		doctor->hopeless = true;
	} else if (segment->memfd || statvfs("/dev/shm", &fs) < 0) {
		px_doctor_found(finding, "/dev/shm is not there, too small, or not writable");
		px_doctor_advise(
			finding, PX_DOCTOR_NOTE,
			"a memfd is used instead, which works as well; for /dev/shm, mount "
			"a tmpfs there of mode 1777 (docker run --shm-size=SIZE)");
	} else {
		size = (uint64_t)fs.f_blocks * fs.f_frsize;
		left = (uint64_t)fs.f_bavail * fs.f_frsize;
		px_doctor_found(finding, "/dev/shm, %s free of %s",
				px_amount_bytes((double)left).at, px_amount_bytes((double)size).at);
		if (left < SHM_LITTLE)
			px_doctor_advise(
				finding, PX_DOCTOR_NOTE,
				"arrays must fit there: remove files of others from it, or "
				"mount it larger (docker run --shm-size=SIZE)");
	}
	px_segment_detach(segment);
}

void px_doctor_huge_pages(struct px_doctor *doctor, struct px_finding *finding)
{
	static const char *const words[] = {
		[PX_HUGE_NONE] = "none",
		[PX_HUGE_SHMEM] = "by shmem_enabled",
		[PX_HUGE_MOUNT] = "by a mount of the pool's own",
	};
	struct px_segment *segment = NULL;
	enum px_huge huge = PX_HUGE_NONE;

	if (px_settings_number(&doctor->settings, PX_SETTING_HUGE_PAGES) == PX_HUGE_PAGES_NEVER) {
		px_doctor_found(finding, "none, as the settings say");
		return;
	}
	if (px_segment_create(TRIAL_ARENA, PX_SEGMENT_HUGE, &segment) == 0)
		huge = segment->huge;
	px_segment_detach(segment);
	px_doctor_found(finding, "%s", words[huge]);
	if (huge == PX_HUGE_NONE)
		px_doctor_advise(finding, PX_DOCTOR_NOTE,
				 "large arrays are sent slower; as root: echo advise "
				 ">/sys/kernel/mm/transparent_hugepage/shmem_enabled");
}
