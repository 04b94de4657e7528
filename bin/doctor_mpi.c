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
#include <unistd.h>

#include "bin/doctor.h"
#include "pool/json.h"

/* As execvp(3) does. */
static bool find_program(const char *name, char out[PATH_MAX])
{
	const char *path = getenv("PATH");

	if (strchr(name, '/')) {
		snprintf(out, PATH_MAX, "%s", name);
		return access(out, X_OK) == 0;
	}
	for (path = path ? path : "/bin:/usr/bin"; *path; path += *path == ':') {
		size_t length = strcspn(path, ":");

		snprintf(out, PATH_MAX, "%.*s/%s", length ? (int)length : 1, length ? path : ".",
			 name);
		if (access(out, X_OK) == 0)
			return true;
		path += length;
	}
	return false;
}

void px_doctor_mpi(struct px_doctor *doctor, struct px_finding *finding)
{
	const char *optional = px_json_member(px_json_parse(doctor->facts), "optional");
	const char *name = px_settings_text(&doctor->settings, PX_SETTING_MPIEXEC);
	bool asked = px_settings_number(&doctor->settings, PX_SETTING_LAUNCHER) == PX_LAUNCHER_MPI;
	char program[PATH_MAX], version[64];
	bool launcher = find_program(name, program);
	bool module = px_json_string(px_json_member(optional, "mpi4py"), version, sizeof(version));

	if (!launcher)
		snprintf(program, sizeof(program), "no program '%.300s'", name);
	px_doctor_found(finding, "%s, %s%s%s", program, module ? "mpi4py " : "no mpi4py",
			module ? version : "",
			asked || (launcher && module) ? "" : "; only launcher: mpi needs them");
	if (!asked || (launcher && module))
		return;
	px_doctor_advise(finding, PX_DOCTOR_PROBLEM, "the settings say launcher: mpi: install %s",
			 launcher ? "mpi4py for the engines' interpreter (Debian: python3-mpi4py)" :
				    "Open MPI (Debian: openmpi-bin) or MPICH (mpich), or name its "
				    "mpiexec by mpiexec: in the profile");
	doctor->hopeless = true;
}
