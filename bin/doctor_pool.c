/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doctor_pool.c - the checks of settings, of the files of pools, and of pools themselves.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bin/amount.h"
#include "bin/command.h"
#include "bin/doctor.h"
#include "client/client.h"
#include "client/start.h"
#include "pool/profile.h"
#include "shm/error.h"
#include "shm/os.h"

#define SILENCE_NS UINT64_C(2000000000)
#define START_NS UINT64_C(60000000000)
#define ANSWER_NS UINT64_C(10000000000)

/* --- settings --- */

void px_doctor_settings(struct px_doctor *doctor, struct px_finding *finding)
{
	int rc = px_profile_load(doctor->profile, &doctor->settings);

	if (rc == 0)
		rc = px_settings_set_environment(&doctor->settings);
	if (rc < 0) {
		px_doctor_found(finding, "%s", px_last_error());
		px_doctor_advise(finding, PX_DOCTOR_PROBLEM,
				 "no pool starts with these settings; man pxrun.yaml lists them");
		doctor->hopeless = true;
		px_settings_clear(&doctor->settings);
		px_settings_init(&doctor->settings);
	} else if (doctor->settings.profile) {
		px_doctor_found(finding, "%s", doctor->settings.profile);
	} else {
		px_doctor_found(finding, "'%s' has no file: all settings have their defaults",
				doctor->profile);
	}
	doctor->native = px_settings_number(&doctor->settings, PX_SETTING_NATIVE);
}

/* --- the folder --- */

/* $XDG_RUNTIME_DIR, in which pxrun's folder is, or will be. */
static void look_at_base(struct px_doctor *doctor, const char *base, struct px_finding *finding)
{
	struct stat st;

	if (stat(base, &st) < 0 || !S_ISDIR(st.st_mode) || access(base, W_OK | X_OK) < 0) {
		px_doctor_advise(finding, PX_DOCTOR_PROBLEM,
				 "XDG_RUNTIME_DIR is %s, which is no folder that you can write to: "
				 "set it to one of yours, of mode 0700, or unset it",
				 base);
		doctor->hopeless = true;
	} else if (st.st_uid != getuid()) {
		px_doctor_advise(finding, PX_DOCTOR_NOTE,
				 "XDG_RUNTIME_DIR is %s, of user %u, and you are user %u: who may "
				 "write there can remove your pools' files; unset it, or log in "
				 "anew",
				 base, (unsigned)st.st_uid, (unsigned)getuid());
	} else if (st.st_mode & 0077) {
		px_doctor_advise(finding, PX_DOCTOR_NOTE,
				 "XDG_RUNTIME_DIR is %s, of mode %04o: pxrun's own folder in it is "
				 "closed to others, yet it should be 0700 (chmod 700 %s)",
				 base, st.st_mode & 07777, base);
	}
}

void px_doctor_folder(struct px_doctor *doctor, struct px_finding *finding)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	struct px_runtime runtime;

	if (px_runtime_find(doctor->profile, false, &runtime) < 0) {
		px_doctor_found(finding, "%s", px_last_error());
		px_doctor_advise(finding, PX_DOCTOR_PROBLEM,
				 "pools have their sockets there: none can be started or found");
		doctor->hopeless = true;
		return;
	}
	px_doctor_found(finding, "%s", runtime.folder);
	if (base && base[0] == '/')
		look_at_base(doctor, base, finding);
}

/* --- pools --- */

struct found_pools {
	unsigned alive, silent, dead;
	char profile[64]; /* of the last silent one */
	int pid;
};

static int look_at_pool(void *ctx, const struct px_runtime *runtime)
{
	struct found_pools *pools = ctx;
	struct px_client *client = NULL;
	struct px_runtime_facts facts;

	if (!px_runtime_alive(runtime)) {
		pools->dead += px_runtime_has_pool(runtime);
		return 0;
	}
	pools->alive++;
	if (px_client_attach_within(runtime->profile, SILENCE_NS, &client) == PX_ETIMEDOUT) {
		px_runtime_facts(runtime, &facts);
		pools->silent++;
		pools->pid = facts.pid;
		snprintf(pools->profile, sizeof(pools->profile), "%s", runtime->profile);
	}
	px_client_detach(client);
	return 0;
}

void px_doctor_pools(struct px_doctor *doctor, struct px_finding *finding)
{
	struct found_pools pools = { 0 };

	(void)doctor;
	if (px_runtime_list(look_at_pool, &pools) < 0) {
		px_doctor_found(finding, "%s", px_last_error());
		px_doctor_advise(finding, PX_DOCTOR_PROBLEM,
				 "pools that run there cannot be found");
		return;
	}
	px_doctor_found(finding, "%u of yours run%s", pools.alive, pools.alive == 1 ? "s" : "");
	if (pools.silent)
		px_doctor_advise(
			finding, PX_DOCTOR_PROBLEM,
			"of '%s' the supervisor (process %d) does not answer: kill -CONT %d "
			"if it is stopped, or pxrun stop --force -p %s",
			pools.profile, pools.pid, pools.pid, pools.profile);
	else if (pools.dead)
		px_doctor_advise(finding, PX_DOCTOR_NOTE,
				 "%u died and left files: pxrun list removes them", pools.dead);
}

/* --- a pool of its own --- */

/* Has its engine add up. */
static int add_up(struct px_client *client)
{
	struct px_result *result = NULL;
	struct px_view *view = NULL;
	struct px_value value;
	int rc = px_view_all(client, &view);

	if (rc == 0)
		rc = px_view_execute(view, "1 + 1", NULL, &result);
	if (rc == 0)
		rc = px_result_wait(result, ANSWER_NS);
	if (rc == 0)
		rc = px_result_value(result, 0, &value);
	if (rc == 0 && (value.type != PX_STRING || strcmp(value.as.text.data, "2") != 0))
		rc = px_fail(PX_ECORRUPT, "an engine says that 1 + 1 is something else than 2");
	px_result_free(result);
	px_view_free(view);
	return rc;
}

/* As a pool of the profile, but private, with one engine. */
static int try_pool(struct px_doctor *doctor, char *warnings, uint64_t *took_ns)
{
	struct px_client *client = NULL;
	uint64_t began = px_os.now_ns();
	char self[PATH_MAX];
	int rc = px_settings_set(&doctor->settings, PX_SETTING_ENGINES, PX_FROM_OPTION, "engines",
				 "1");

	if (rc == 0)
		rc = px_pool_start_by(&doctor->settings, "", px_command_self(self), START_NS,
				      warnings, &client);
	if (rc == 0 && !doctor->native)
		rc = add_up(client);
	px_client_detach(client);
	*took_ns = px_os.now_ns() - began;
	return rc;
}

void px_doctor_trial(struct px_doctor *doctor, struct px_finding *finding)
{
	char warnings[PX_WARNINGS_BYTES] = "";
	uint64_t took_ns = 0;

	if (doctor->hopeless) {
		px_doctor_found(finding, "not started: it could not be");
		px_doctor_advise(finding, PX_DOCTOR_NOTE, "first mend the problems above");
	} else if (try_pool(doctor, warnings, &took_ns) < 0) {
		px_doctor_found(finding, "%s", px_last_error());
		px_doctor_advise(finding, PX_DOCTOR_PROBLEM,
				 "a pool of one engine, with these settings, has failed; see the "
				 "notes above");
	} else {
		px_doctor_found(finding, "%s, in %s",
				doctor->native ? "started and stopped" :
						 "started, 1 + 1 is 2, stopped",
				px_amount_seconds((double)took_ns / 1e9).at);
		if (warnings[0])
			px_doctor_advise(finding, PX_DOCTOR_NOTE, "%s", warnings);
	}
}
