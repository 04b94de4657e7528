/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * jacobi_kernel.c - Jacobi sweeps on a plate that all engines see: the native function of jacobi.c.
 *
 *	cc -O3 -shared -fPIC -o jacobi_kernel.so jacobi_kernel.c
 */
#include <pxrun_native.h>

/* Each inner point of rows from to to becomes the mean of its neighbours. */
static void sweep(const double *restrict old, double *restrict next, int64_t n, int64_t from,
		  int64_t to)
{
	for (int64_t i = from; i < to; i++) {
		const double *row = old + i * n;
		double *out = next + i * n;

		for (int64_t k = 1; k < n - 1; k++)
			out[k] = 0.25 * (row[k - n] + row[k + n] + row[k - 1] + row[k + 1]);
	}
}

/*
 * jacobi(a, b, sweeps): a and b are live arrays of n x n doubles with the same rim. Every engine sweeps its
 * share of the rows, from a to b, then from b to a, and so on; after each sweep all meet, for the next one
 * reads rows of the neighbours. Returns the number of its rows.
 */
PX_NATIVE_FUNCTION(jacobi)
{
	double *old = (double *)px_native_array(argc, argv, 0, PX_NATIVE_FLOAT64, 2);
	double *next = (double *)px_native_array(argc, argv, 1, PX_NATIVE_FLOAT64, 2);
	int64_t n, from, to;

	if (argc != 3 || !old || !next || !argv[0].live || !argv[1].live)
		return px_native_fail(result,
				      "jacobi(a, b, sweeps): a and b are live arrays of doubles");
	n = argv[0].shape[0];
	if (n < 3 || argv[0].shape[1] != n || argv[1].shape[0] != n || argv[1].shape[1] != n)
		return px_native_fail(result,
				      "jacobi(a, b, sweeps): a and b are square, and of one size");
	from = 1 + (n - 2) * px->rank / px->count;
	to = 1 + (n - 2) * (px->rank + 1) / px->count;
	for (int64_t i = 0; i < argv[2].integer; i++) {
		double *swept = next;

		sweep(old, next, n, from, to);
		/* Not 0: another engine has died, or the call was cancelled. */
		if (px->barrier(px))
			return 1;
		next = old;
		old = swept;
	}
	return px_native_return_int(result, to - from);
}
