/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scale.c - a native function of somebody else, in what C and C++ have in common.
 */
#include <pxrun_native.h>

PX_NATIVE_FUNCTION(scaled)
{
	double *x = (double *)px_native_array(argc, argv, 0, PX_NATIVE_FLOAT64, 1);
	double sum = 0;
	int64_t i;

	if (!x || argc != 2)
		return px_native_fail(result, "scaled(x, factor): x is an array of doubles");
	for (i = 0; i < argv[0].shape[0]; i++)
		sum += x[i] * argv[1].real;
	return px_native_return_double(result, sum + px->rank);
}
