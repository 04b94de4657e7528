/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doctor_mpi.c - the check of what engines that are ranks of MPI need: mpiexec and mpi4py.
 *
 * That both are of the same MPI is seen by the pool that is tried, if the settings ask for ranks.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bin/doctor.h"
#include "pool/json.h"

static bool is_program(const char *path)
{
	struct stat file;

	return stat(path, &file) == 0 && S_ISREG(file.st_mode) && access(path, X_OK) == 0;
}

/* As execvp(3) does. */
static bool find_program(const char *name, char out[PATH_MAX])
{
	const char *path = getenv("PATH");

	if (strchr(name, '/')) {
		snprintf(out, PATH_MAX, "%s", name);
		return is_program(out);
	}
	for (path = path ? path : "/bin:/usr/bin"; *path; path += *path == ':') {
		size_t length = strcspn(path, ":");

		snprintf(out, PATH_MAX, "%.*s/%s", length ? (int)length : 1, length ? path : ".",
			 name);
		if (is_program(out))
			return true;
		path += length;
	}
	return false;
}

/* "mpi4py 3.1.4"; false: it is missing. */
static bool find_module(const struct px_doctor *doctor, char out[80])
{
	const char *facts = px_json_parse(doctor->facts), *optional;
	char version[64];

	snprintf(out, 80, "mpi4py not looked for");
	if (!facts)
		return true;
	optional = px_json_member(facts, "optional");
	if (!px_json_string(px_json_member(optional, "mpi4py"), version, sizeof(version))) {
		snprintf(out, 80, "no mpi4py");
		return false;
	}
	snprintf(out, 80, "mpi4py %s", version);
	return true;
}

void px_doctor_mpi(struct px_doctor *doctor, struct px_finding *finding)
{
	const char *name = px_settings_text(&doctor->settings, PX_SETTING_MPIEXEC);
	bool asked = px_settings_number(&doctor->settings, PX_SETTING_LAUNCHER) == PX_LAUNCHER_MPI;
	char program[PATH_MAX], module[80];
	bool launcher = find_program(name, program), there = find_module(doctor, module);

	if (!launcher)
		snprintf(program, sizeof(program), "no program '%.300s'", name);
	px_doctor_found(finding, "%s, %s%s", program, module,
			asked || (launcher && there) ? "" : "; only launcher: mpi needs them");
	if (!asked || (launcher && there))
		return;
	px_doctor_advise(finding, PX_DOCTOR_PROBLEM, "the settings say launcher: mpi: install %s",
			 launcher ? "mpi4py for the engines' interpreter (Debian: python3-mpi4py)" :
				    "Open MPI (Debian: openmpi-bin) or MPICH (mpich), or name its "
				    "mpiexec by mpiexec: in the profile");
	doctor->hopeless = true;
}
