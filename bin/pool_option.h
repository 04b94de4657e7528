/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool_option.h - the options for a pool's settings, common to start and run.
 */
#ifndef PX_POOL_OPTION_H
#define PX_POOL_OPTION_H

#include <getopt.h>

#include "client/pxrun.h"

/* Values of getopt_long(3) for options that have no letter. */
enum px_pool_option {
	PX_OPTION_ARENA = 256,
	PX_OPTION_QUOTA,
	PX_OPTION_HUGE_PAGES,
	PX_OPTION_RESTART,
	PX_OPTION_EVENT_LOOP,
	PX_OPTION_PRELOAD,
	PX_OPTION_PYTHON,
	PX_OPTION_LAST
};

#define PX_POOL_OPTION_LETTERS "n:"
/* clang-format off */
#define PX_POOL_OPTION_LONG                                                                        \
	{ "engines", required_argument, NULL, 'n' },                                               \
	{ "arena", required_argument, NULL, PX_OPTION_ARENA },                                     \
	{ "quota", required_argument, NULL, PX_OPTION_QUOTA },                                     \
	{ "huge-pages", required_argument, NULL, PX_OPTION_HUGE_PAGES },                           \
	{ "restart", required_argument, NULL, PX_OPTION_RESTART },                                 \
	{ "event-loop", required_argument, NULL, PX_OPTION_EVENT_LOOP },                           \
	{ "preload", required_argument, NULL, PX_OPTION_PRELOAD },                                 \
	{ "python", required_argument, NULL, PX_OPTION_PYTHON }
/* clang-format on */

#define PX_POOL_OPTION_HELP                                                                            \
	"  -n, --engines N        number of engines, 1 to 512 (default: the processors that may\n"     \
	"                         be used)\n"                                                          \
	"      --arena SIZE       memory for arrays, such as 512M, 4G or 50% (default: half of\n"      \
	"                         what is available)\n"                                                \
	"      --quota SIZE       the most of it that one client may have (default: all)\n"            \
	"      --huge-pages WHEN  auto (default): for large arrays, where they are to be had; never\n" \
	"      --restart POLICY   whether a dead engine comes back: never, on-failure (default),\n"    \
	"                         always\n"                                                            \
	"      --event-loop LOOP  of the supervisor: auto (default), io_uring, epoll\n"                \
	"      --preload A,B      modules that engines have imported when they start (default:\n"      \
	"                         numpy)\n"                                                            \
	"      --python PATH      the interpreter whose environment the engines run in\n"

/* Takes one option into *options, which lends value. 1: it is not one of these; PX_EINVAL. */
int px_pool_option(int option, const char *value, struct px_pool_options *options);
/* A number of seconds. PX_EINVAL. */
int px_seconds_option(const char *name, const char *value, uint64_t *timeout_ns);

#endif
