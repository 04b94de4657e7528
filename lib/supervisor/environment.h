/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * environment.h - what template and engines find in their environment.
 *
 * The supervisor's own, the profile's on top of it, and numbers of threads for the
 * numerical libraries, so that N engines do not start N times all processors' threads.
 */
#ifndef PX_ENVIRONMENT_H
#define PX_ENVIRONMENT_H

#include <stdint.h>

/*
 * Returns a new array in *out, NULL at the end. Each of OMP_, OPENBLAS_, MKL_ and
 * NUMEXPR_NUM_THREADS is `threads` unless the user has set it. PX_ENOMEM.
 */
int px_environment_new(char *const *own, char *const *profile, uint32_t threads, char ***out);
void px_environment_free(char **environment);

#endif
