/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine.c - `pxrun engine`: this process becomes an engine of a pool that runs.
 *
 * It asks the pool's supervisor for an id and the channels of an engine, and then executes the engine's program.
 * So its process id stays, and whoever has started it (a shell, a debugger, an mpiexec) has a child that is the
 * engine; but for the ranks of the pool's own MPI world (rank.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bin/command.h"
#include "bin/pool_option.h"
#include "bin/rank.h"
#include "client/start.h"
#include "pool/control.h"
#include "pool/json.h"
#include "shm/error.h"
#include "shm/layout.h"
#include "supervisor/environment.h"
#include "supervisor/process.h"

extern char **environ;

/*
 * The engine's descriptors lie side by side from here on, or further up: MPICH's ranks are given one with a low
 * number.
 */
#define FIRST_FD 64
#define LAST_FD 1000
/* control, segment, log, stdout and stderr to read, crash text, lifeline: lib/python/pxrun/engine/program.py */
#define FDS 7
#define ARGUMENTS_MAX 64

#define OPTION_WORLD PX_OPTION_OWN

struct request {
	const char *profile;
	uint64_t id;    /* UINT64_MAX: the next one */
	uint64_t world; /* 0: none */
};

static int take_number(const char *name, const char *value, uint64_t *out)
{
	char *end = NULL;

	errno = 0;
	*out = value[0] >= '0' && value[0] <= '9' ? strtoull(value, &end, 10) : 0;
	if (!end || *end || errno)
		return px_fail(PX_EINVAL, "%s must be a whole number, not '%.80s'", name, value);
	return 0;
}

static int take(void *ctx, int option, const char *value)
{
	struct request *request = ctx;

	switch (option) {
	case 'p':
		request->profile = value;
		return 0;
	case 'i':
		return take_number("--id", value, &request->id);
	default:
		return take_number("--world", value, &request->world);
	}
}

/*
 * The rank of this process in the world of an mpiexec, of whatever MPI; UINT64_MAX: there is none. Slurm's batch
 * scripts have a SLURM_PROCID too, but only srun makes steps.
 */
static uint64_t rank(void)
{
	const char *const variables[] = { "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
					  getenv("SLURM_STEP_NUM_TASKS") ? "SLURM_PROCID" : "" };
	uint64_t found;

	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *value = getenv(variables[i]);

		if (value && take_number(variables[i], value, &found) == 0)
			return found;
	}
	return UINT64_MAX;
}

/* --- joining --- */

static int ask(const struct request *request, struct px_packet *packet, pid_t *supervisor)
{
	struct px_control call = {
		.type = PX_CONTROL_JOIN,
		.a = request->id,
		.b = request->world,
		.c = PX_SEGMENT_VERSION,
	};
	struct px_runtime runtime;
	bool lost;
	int control;
	int rc = px_pool_find(request->profile, &runtime);

	if (rc == 0)
		rc = px_pool_dial(&runtime, PX_CONTROL_SILENCE_NS, &control, &lost);
	if (rc < 0)
		return rc;
	*supervisor = px_control_supervisor(control);
	/* The supervisor sees those in namespaces below its own, but under other ids than they have there. */
	if (*supervisor <= 0)
		rc = px_fail(PX_EINVAL,
			     "a process of another PID namespace cannot be an engine: the pool "
			     "knows it under another process id");
	else
		rc = px_control_call(control, &call, packet, NULL);
	close(control);
	if (rc == 0 && packet->head.fds != PX_CONTROL_JOIN_FDS)
		rc = px_fail(PX_ECORRUPT, "the supervisor sent no channels for an engine");
	return rc;
}

/* --- becoming the engine --- */

/* A number from which so many are free. */
static int find_free(void)
{
	int first = FIRST_FD;

	for (int fd = first; first <= LAST_FD && fd < first + FDS; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			first = fd + 1;
	return first;
}

/* The engine is a child of the supervisor's, if it can be; else it dies with it by its own end of a pipe. */
static int settle(struct px_packet *packet, pid_t supervisor, bool is_rank)
{
	struct px_control born = { .type = PX_CONTROL_BORN };
	int rc;

	if (!is_rank)
		return px_rank_hang_on(packet->fds[8]);
	rc = px_rank_descends(supervisor) ? px_rank_fork(supervisor, &packet->fds[8]) :
					    px_rank_hang_on(packet->fds[8]);
	born.a = (uint64_t)getpid();
	return rc < 0 ? rc : px_control_send(packet->fds[0], &born, NULL, NULL, 0);
}

/* Puts descriptors in their places, and returns the number of the first, or PX_ESYSTEM. */
static int place_fds(const struct px_packet *packet)
{
	/* In the order in which the program expects them, of those of the packet. */
	static const int order[FDS] = { 0, 6, 7, 3, 4, 5, 8 };
	int first = find_free(), null = open("/dev/null", O_RDONLY);

	for (int i = 0; i < FDS; i++)
		if (dup2(packet->fds[order[i]], first + i) < 0)
			return px_fail_errno(
				"giving an engine its descriptors (`ulimit -n` must be "
				"more than %d)",
				first + FDS);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return px_fail_errno("giving an engine its standard input");
	return first;
}

/* The texts of a list; each is from malloc, as they stay as long as the process does. PX_ENOMEM, PX_ECORRUPT. */
static int read_texts(const char *list, char **out, size_t max, size_t *count)
{
	static char text[PX_CONTROL_TEXT_MAX];

	*count = 0;
	for (const char *item = px_json_first(list); item; item = px_json_next(item)) {
		if (*count + 1 >= max || !px_json_string(item, text, sizeof(text)))
			return px_fail(PX_ECORRUPT, "the supervisor sent a wrong command line");
		out[*count] = strdup(text);
		if (!out[*count])
			return px_fail(PX_ENOMEM, "no private memory for an engine's command line");
		out[++*count] = NULL;
	}
	return 0;
}

static int set_environment(const char *answer)
{
	static char connection[PX_CONTROL_TEXT_MAX];
	char *variables[512] = { NULL }, **environment;
	size_t count;
	int rc = read_texts(px_json_member(answer, "env"), variables,
			    sizeof(variables) / sizeof(variables[0]), &count);

	(void)px_json_string(px_json_member(answer, "connection"), connection, sizeof(connection));
	if (rc == 0)
		rc = px_environment_new(environ, variables,
					(uint32_t)px_json_number(px_json_member(answer, "threads"),
								 1),
					connection, &environment);
	if (rc == 0)
		environ = environment;
	return rc;
}

/* Returns only if that fails. */
static int become_engine(const struct px_packet *packet, bool say)
{
	const char *answer = px_json_parse(packet->text);
	char *argv[ARGUMENTS_MAX] = { NULL }, number[16];
	sigset_t none;
	size_t count;
	int first, errors;
	int rc = read_texts(px_json_member(answer, "argv"), argv, ARGUMENTS_MAX - 2, &count);

	if (rc == 0 && count == 0)
		rc = px_fail(PX_ECORRUPT, "the supervisor sent no command line");
	if (rc == 0)
		rc = set_environment(answer);
	first = rc == 0 ? place_fds(packet) : rc;
	if (first < 0)
		return first;
	snprintf(number, sizeof(number), "%d", first);
	argv[count++] = (char *)(uintptr_t) "--control";
	argv[count++] = number;
	sigemptyset(&none);
	px_process_reset_signals(&none);
	if (say)
		fprintf(stderr,
			"pxrun: process %d is engine %d; what it prints goes to its clients\n",
			(int)getpid(), (int)packet->head.a);
	errors = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, FIRST_FD);
	if (dup2(packet->fds[1], STDOUT_FILENO) < 0 || dup2(packet->fds[2], STDERR_FILENO) < 0)
		return px_fail_errno("giving an engine its standard streams");
	(void)execvp(argv[0], argv);
	rc = px_fail_errno("starting '%s'", argv[0]);
	(void)dup2(errors, STDERR_FILENO);
	return rc;
}

/* The supervisor says it to those that wait for the engine. */
static void refuse(const struct px_packet *packet, int rc)
{
	struct px_control head = { .type = PX_CONTROL_READY, .code = rc };

	(void)px_control_send(packet->fds[0], &head, px_last_error(), NULL, 0);
}

static int run(int argc, char **argv)
{
	static const struct option list[] = {
		{ "profile", required_argument, NULL, 'p' },
		{ "id", required_argument, NULL, 'i' },
		{ "world", required_argument, NULL, OPTION_WORLD },
	};
	static struct px_packet packet;
	struct request request = { .id = UINT64_MAX };
	pid_t supervisor = 0;
	const struct px_own_options own = { "p:i:", list, 3, take, &request };
	int rc = px_pool_options_read(&px_verb_engine, argc, argv, &own, NULL);

	if (rc != 0)
		return px_pool_options_end(&px_verb_engine, rc);
	if (optind < argc)
		return px_command_misuse(&px_verb_engine, "engine takes no argument '%s'",
					 argv[optind]);
	if (request.id == UINT64_MAX)
		request.id = rank();
	rc = ask(&request, &packet, &supervisor);
	if (rc < 0)
		return px_command_fail(rc);
	rc = settle(&packet, supervisor, request.world != 0);
	if (rc == 0)
		rc = become_engine(&packet, request.world == 0);
	refuse(&packet, rc);
	return px_command_fail(rc);
}

const struct px_verb px_verb_engine = {
	.name = "engine",
	.summary = "make this process an engine of a pool",
	.run = run,
	.help = "usage: pxrun engine [OPTION...]\n"
		"Joins a pool that runs, as one more engine, until the pool stops; for engines that something\n"
		"else is to start: a debugger (gdb --args pxrun engine), a batch system, an mpiexec.\n\n"
		"  -i, --id N             the id that it is to have (default: its rank, if an mpiexec\n"
		"                         has started it; else the next one that is free)\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n",
};
