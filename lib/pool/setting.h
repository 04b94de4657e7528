/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setting.h - what a setting of a pool may be, as a profile or an option spells it.
 *
 * Each function takes the name of the setting, with which the words of an error
 * begin. *out is written on success. All return PX_EINVAL and what is allowed.
 */
#ifndef PX_SETTING_H
#define PX_SETTING_H

#include <stdint.h>

/* "4": 1 to PX_ENGINES_MAX. */
int px_setting_engines(const char *what, const char *text, uint32_t *out);
/* "4096", "64M", "2GiB", "50%" of the machine's memory. */
int px_setting_arena(const char *what, const char *text, uint64_t *out);
/* "never", "on-failure", "always". *out is static. */
int px_setting_restart(const char *what, const char *text, const char **out);
/* "auto", "io_uring", "epoll". *out is static. */
int px_setting_event_loop(const char *what, const char *text, const char **out);
/* "auto", "never". *out is static. */
int px_setting_huge_pages(const char *what, const char *text, const char **out);
/* Names of modules separated by commas, or nothing. */
int px_setting_preload(const char *what, const char *text);

#endif
