/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * jacobi.c - the temperature of a plate with one hot side, by Jacobi's method, on engines of one machine.
 *
 * The plate and its next state are live arrays: memory that this program and all engines see. One call has
 * every engine sweep its rows, many times; between the sweeps the engines meet at a barrier, and this
 * program sleeps. jacobi_kernel.c is what they run: a shared object, no Python. In the end the program
 * sweeps by itself, and compares.
 *
 *	jacobi jacobi_kernel.so [SIZE [SWEEPS [ENGINES]]]
 */
#include <pxrun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void check(int rc, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "jacobi: %s: %s\n", what, px_last_error());
	exit(1);
}

/* The rim of a plate: hot above, cold elsewhere. */
static void heat(double *plate, int64_t n)
{
	memset(plate, 0, (size_t)(n * n) * sizeof(double));
	for (int64_t k = 0; k < n; k++)
		plate[k] = 100;
}

static struct px_array *new_plate(struct px_client *client, int64_t n)
{
	struct px_array *array;

	check(px_array_alloc(client, PX_DTYPE_FLOAT64, 2, (int64_t[]){ n, n }, PX_ARRAY_LIVE,
			     &array),
	      "memory for a plate");
	heat(px_array_data(array), n);
	return array;
}

/* Returns the seconds that the engines took. */
static double solve(struct px_view *engines, struct px_kernel *kernel, struct px_array *a,
		    struct px_array *b, int64_t sweeps)
{
	struct px_value args[] = { px_of_array(a), px_of_array(b), px_int(sweeps) }, rows;
	struct px_result *result;
	double began = now();

	check(px_view_call_native(engines, kernel, 3, args, NULL, &result), "calling jacobi");
	check(px_result_wait(result, PX_FOREVER), "waiting for jacobi");
	began = now() - began;
	for (size_t i = 0; i < px_result_count(result); i++) {
		check(px_result_value(result, i, &rows), "jacobi");
		printf("engine %u: %lld rows\n", (unsigned)px_result_engine(result, i),
		       (long long)rows.as.integer);
	}
	px_result_free(result);
	return began;
}

/* The same by one loop, in the same order of operations: the results are equal in every bit. */
static void solve_alone(double *a, double *b, int64_t n, int64_t sweeps)
{
	for (int64_t s = 0; s < sweeps; s++) {
		double *swept = b;

		for (int64_t i = 1; i < n - 1; i++)
			for (int64_t k = 1; k < n - 1; k++) {
				const double *at = a + i * n + k;

				b[i * n + k] = 0.25 * (at[-n] + at[n] + at[-1] + at[1]);
			}
		b = a;
		a = swept;
	}
}

int main(int argc, char **argv)
{
	struct px_pool_options options = PX_POOL_OPTIONS;
	int64_t n = argc > 2 ? atoll(argv[2]) : 512, sweeps = argc > 3 ? atoll(argv[3]) : 200;
	double *alone[2], seconds;
	struct px_library *library;
	struct px_client *client;
	struct px_kernel *kernel;
	struct px_view *engines;
	struct px_array *a, *b;
	size_t bytes;
	int equal;

	if (argc < 2 || n < 3 || sweeps < 0) {
		fprintf(stderr, "usage: jacobi jacobi_kernel.so [SIZE [SWEEPS [ENGINES]]]\n");
		return 2;
	}
	bytes = (size_t)(n * n) * sizeof(double);
	options.profile = "";
	options.native = 1;
	options.engines = argc > 4 ? (uint32_t)atoi(argv[4]) : 2;
	check(px_pool_start(&options, &client), "starting a pool");
	check(px_view_all(client, &engines), "a view");
	check(px_library_load(engines, argv[1], PX_FOREVER, &library), "loading the kernel");
	check(px_kernel_find(library, "jacobi", &kernel), "finding the kernel");
	a = new_plate(client, n);
	b = new_plate(client, n);
	seconds = solve(engines, kernel, a, b, sweeps);
	printf("%lld sweeps of %lld x %lld on %u engines: %.4f s\n", (long long)sweeps,
	       (long long)n, (long long)n, (unsigned)options.engines, seconds);

	alone[0] = malloc(bytes);
	alone[1] = malloc(bytes);
	if (!alone[0] || !alone[1])
		return 1;
	heat(alone[0], n);
	heat(alone[1], n);
	solve_alone(alone[0], alone[1], n, sweeps);
	equal = !memcmp(alone[sweeps % 2], px_array_data(sweeps % 2 ? b : a), bytes);
	puts(equal ? "The engines and one loop agree in every bit." :
		     "The engines and one loop differ.");

	free(alone[0]);
	free(alone[1]);
	px_array_unref(a);
	px_array_unref(b);
	px_library_free(library);
	px_view_free(engines);
	px_client_detach(client);
	return equal ? 0 : 1;
}
