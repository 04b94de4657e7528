/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * environment.h - the environment of template and engines.
 *
 * Who:     the supervisor, at its start.
 * Where:   private memory.
 *
 * It is the supervisor's own environment, the profile's variables, numbers of threads for numerical
 * libraries, lest each of N engines start a thread for each processor, and the pool's connection file,
 * so that a client of code that runs there is one of this pool.
 */
#ifndef PX_ENVIRONMENT_H
#define PX_ENVIRONMENT_H

#include <stdint.h>

/*
 * Returns a new array in *out, NULL at the end. Each of OMP_, OPENBLAS_, MKL_ and
 * NUMEXPR_NUM_THREADS is `threads` unless the user has set it. PXRUN_CONNECTION is `connection`. PX_ENOMEM.
 */
int px_environment_new(char *const *own, char *const *profile, uint32_t threads,
		       const char *connection, char ***out);
void px_environment_free(char **environment);

#endif
