/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doctor_limits.c - the checks of what this user, and this control group, may take.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bin/amount.h"
#include "bin/doctor.h"
#include "machine/budget.h"
#include "machine/cgroup.h"
#include "machine/processors.h"

/* An engine and its libraries need about this. */
#define ENGINE_BYTES (UINT64_C(64) << 20)
/* Of an engine: its threads, and those of numerical libraries. */
#define ENGINE_TASKS 4
#define POOL_TASKS 8
/* What a supervisor has open for itself and for an engine, at most. */
#define POOL_DESCRIPTORS 64
#define ENGINE_DESCRIPTORS 8

/* The engines of a pool with these settings. */
static uint64_t engines(const struct px_doctor *doctor)
{
	uint64_t count = px_settings_number(&doctor->settings, PX_SETTING_ENGINES);

	return count ? count : px_processors();
}

void px_doctor_processors(struct px_doctor *doctor, struct px_finding *finding)
{
	long there = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t usable = px_processors();
	const char *why = px_processors_quota("") == usable && usable < (uint32_t)there ?
				  ", which a control group allows" :
				  "";

	px_doctor_found(finding, "%u of %ld%s; %" PRIu64 " engines", usable, there, why,
			engines(doctor));
	if (engines(doctor) > usable)
		px_doctor_advise(finding, PX_DOCTOR_NOTE,
				 "there are more engines than processors: they take turns");
}

void px_doctor_memory(struct px_doctor *doctor, struct px_finding *finding)
{
	uint64_t need = ENGINE_BYTES * engines(doctor);
	struct px_budget budget;

	px_budget_begin(&budget, UINT64_MAX, UINT64_MAX);
	px_budget_memory(&budget, "", 0);
	px_doctor_found(finding, "%s free of %s%s%s", px_amount_bytes((double)budget.have).at,
			px_amount_bytes((double)budget.of).at,
			budget.limit == PX_LIMIT_CGROUP ? ", the limit of control group " : "",
			budget.limit == PX_LIMIT_CGROUP ? budget.group : "");
	if (budget.have < need)
		px_doctor_advise(finding, PX_DOCTOR_NOTE,
				 "little for %" PRIu64
				 " engines: start fewer, end other programs, or raise "
				 "the limit, lest the kernel kills engines",
				 engines(doctor));
}

/* The least that a limit of processes leaves, UINT64_MAX if there is none, and which one it is. */
static uint64_t processes_left(const char **limit)
{
	uint64_t left = UINT64_MAX, most, used;
	struct px_cgroup group;
	struct rlimit own;

	*limit = "no limit";
	/* Of root none is counted. */
	if (getuid() != 0 && getrlimit(RLIMIT_NPROC, &own) == 0 && own.rlim_cur != RLIM_INFINITY) {
		left = own.rlim_cur;
		*limit = "ulimit -u, for all processes and threads of this user";
	}
	if (!px_cgroup_find("", "pids", &group))
		return left;
	do {
		if (!px_cgroup_number(&group, "pids.max", NULL, &most) || most == UINT64_MAX ||
		    !px_cgroup_number(&group, "pids.current", NULL, &used))
			continue;
		if (most - used < left || used > most) {
			left = used < most ? most - used : 0;
			*limit = "left of pids.max, a control group's limit";
		}
	} while (px_cgroup_up(&group));
	return left;
}

void px_doctor_processes(struct px_doctor *doctor, struct px_finding *finding)
{
	const char *limit;
	uint64_t left = processes_left(&limit), need = POOL_TASKS + ENGINE_TASKS * engines(doctor);

	if (left == UINT64_MAX)
		px_doctor_found(finding, "%s", limit);
	else
		px_doctor_found(finding, "%" PRIu64 ", %s", left, limit);
	if (left < need)
		px_doctor_advise(finding, PX_DOCTOR_NOTE,
				 "a pool of %" PRIu64 " engines has some %" PRIu64
				 " processes and threads: raise the limit",
				 engines(doctor), need);
}

void px_doctor_descriptors(struct px_doctor *doctor, struct px_finding *finding)
{
	uint64_t need = POOL_DESCRIPTORS + ENGINE_DESCRIPTORS * engines(doctor);
	struct rlimit limit = { 0 };

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	px_doctor_found(finding, "%llu, and %llu for a supervisor",
			(unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
	if (limit.rlim_max < need)
		px_doctor_advise(finding, PX_DOCTOR_NOTE,
				 "the supervisor of %" PRIu64 " engines may need %" PRIu64
				 ": raise `ulimit -Hn`",
				 engines(doctor), need);
}

/* A limit in bytes that is best not set. */
static void check_bytes(struct px_finding *finding, int resource, const char *advice)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	(void)getrlimit((__rlimit_resource_t)resource, &limit);
	if (limit.rlim_cur == RLIM_INFINITY) {
		px_doctor_found(finding, "no limit");
		return;
	}
	px_doctor_found(finding, "%s", px_amount_bytes((double)limit.rlim_cur).at);
	px_doctor_advise(finding, PX_DOCTOR_NOTE, "%s", advice);
}

void px_doctor_address_space(struct px_doctor *doctor, struct px_finding *finding)
{
	(void)doctor;
	check_bytes(finding, RLIMIT_AS,
		    "each process of a pool has the whole arena in its address space, which takes "
		    "no memory: ulimit -v unlimited, or a small arena: in the profile");
}

void px_doctor_file_size(struct px_doctor *doctor, struct px_finding *finding)
{
	(void)doctor;
	check_bytes(finding, RLIMIT_FSIZE,
		    "the pool's shared memory is a file, which must not be larger: ulimit -f "
		    "unlimited");
}
