/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * top.c - `pxrun top`: a pool and its engines, live.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "bin/command.h"
#include "bin/pool_option.h"
#include "bin/top_keys.h"
#include "shm/error.h"
#include "shm/os.h"

#define PRESET_NS UINT64_C(2000000000)
#define SHORTEST_NS UINT64_C(100000000)

struct asked {
	const char *profile;
	uint64_t delay_ns;
	bool once;
};

/* --- one screen --- */

static void print(struct px_top_line line)
{
	puts(line.at);
}

static int print_once(struct px_client *client, struct px_top_sample *sample)
{
	int rc = px_top_sample_read(client, sample);

	if (rc < 0)
		return rc;
	print(px_top_pool_line(sample));
	print(px_top_arena_line(sample));
	putchar('\n');
	print(px_top_engine_title());
	for (uint32_t i = 0; i < sample->engines_count; i++)
		print(px_top_engine_line(&sample->engines[i]));
	if (sample->clients_count) {
		putchar('\n');
		print(px_top_client_title());
	}
	for (uint32_t i = 0; i < sample->clients_count; i++)
		print(px_top_client_line(&sample->clients[i]));
	return 0;
}

/* --- the live one --- */

/* Until the pool is lost, or somebody wants it to end. */
static int run_screen(struct px_client *client, struct px_top_sample *sample, uint64_t delay_ns)
{
	struct px_top_view view = { .sort = PX_TOP_BY_ID };
	uint64_t next_ns = 0, now_ns;
	bool more = true;
	int rc = 0;

	while (more) {
		now_ns = px_os.now_ns();
		if (now_ns >= next_ns) {
			rc = px_top_sample_read(client, sample);
			if (rc < 0)
				break;
			px_top_sort_engines(sample, view.sort);
			next_ns = now_ns + delay_ns;
		}
		px_top_screen_draw(sample, &view);
		more = px_top_key_press(client, sample, &view, px_top_screen_key(next_ns - now_ns));
	}
	return rc;
}

static int show(struct px_client *client, struct px_top_sample *sample, uint64_t delay_ns)
{
	int rc = px_top_screen_open(), ended_by;

	if (rc < 0)
		return rc;
	rc = run_screen(client, sample, delay_ns);
	ended_by = px_top_screen_close();
	if (ended_by) {
		/* As who started this program expects of one that was ended by it. */
		px_client_detach(client);
		(void)raise(ended_by);
	}
	return rc;
}

/* --- the command line --- */

static int take(void *ctx, int option, const char *value)
{
	struct asked *asked = ctx;
	int rc = 0;

	if (option == 'p')
		asked->profile = value;
	else if (option == PX_OPTION_OWN)
		asked->once = true;
	else
		rc = px_seconds_option("-d", value, &asked->delay_ns);
	if (rc == 0 && asked->delay_ns < SHORTEST_NS)
		rc = px_fail(PX_EINVAL, "-d must be at least 0.1 seconds, not '%.80s'", value);
	return rc;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "delay", required_argument, NULL, 'd' },
		{ "once", no_argument, NULL, PX_OPTION_OWN },
		{ "profile", required_argument, NULL, 'p' },
	};
	struct asked asked = { .delay_ns = PRESET_NS };
	const struct px_own_options own = { "d:p:", options, 3, take, &asked };
	struct px_top_sample *sample;
	struct px_client *client = NULL;
	int rc = px_pool_options_read(&px_verb_top, argc, argv, &own, NULL);

	if (rc != 0)
		return px_pool_options_end(&px_verb_top, rc);
	if (optind < argc)
		return px_command_misuse(&px_verb_top, "unexpected argument '%s'", argv[optind]);
	sample = calloc(1, sizeof(*sample));
	rc = sample ? px_client_attach(asked.profile, 0, &client) :
		      px_fail(PX_ENOMEM, "no private memory for the numbers of engines");
	if (rc == 0)
		rc = asked.once ? print_once(client, sample) : show(client, sample, asked.delay_ns);
	if (rc < 0)
		rc = px_command_fail(rc);
	px_client_detach(client);
	free(sample);
	return rc;
}

const struct px_verb px_verb_top = {
	.name = "top",
	.summary = "watch a pool and its engines, and act on them",
	.run = run,
	.help = "usage: pxrun top [OPTION...]\n"
		"Shows what a pool and its engines are doing, anew every 2 seconds. Keys sort, select,\n"
		"interrupt, restart and kill; h lists them, q quits.\n\n"
		"  -d, --delay SECONDS    look anew after so many, at least 0.1 (default: 2)\n"
		"      --once             print one screen on standard output, and end\n"
		"  -p, --profile NAME     which pool (default: $PXRUN_PROFILE, else 'default')\n",
};
