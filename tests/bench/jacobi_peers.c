/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * jacobi_peers.c - the solver of examples/jacobi_kernel.c with other means, for workloads.py.
 *
 *	cc -O3 -fopenmp jacobi_peers.c              OpenMP
 *	mpicc -O3 -DWITH_MPI jacobi_peers.c         MPI: each rank has its rows, and those beside them
 *
 *	jacobi_peers SIZE SWEEPS
 *
 * Prints the seconds of the sweeps.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef WITH_MPI
#include <mpi.h>
#endif

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

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

static double *plate(int64_t rows, int64_t n)
{
	double *made = calloc((size_t)(rows * n), sizeof(double));

	if (!made)
		exit(1);
	return made;
}

#ifdef WITH_MPI

/* Rows beside ours come from the ranks beside us. */
static void exchange(double *old, int64_t n, int64_t rows, int rank, int ranks)
{
	int above = rank ? rank - 1 : MPI_PROC_NULL,
	    below = rank + 1 < ranks ? rank + 1 : MPI_PROC_NULL;

	MPI_Sendrecv(old + n, (int)n, MPI_DOUBLE, above, 0, old + (rows + 1) * n, (int)n,
		     MPI_DOUBLE, below, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	MPI_Sendrecv(old + rows * n, (int)n, MPI_DOUBLE, below, 1, old, (int)n, MPI_DOUBLE, above,
		     1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

static double solve(int64_t n, int64_t sweeps)
{
	int rank, ranks;
	int64_t rows;
	double *old, *next, began;

	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	rows = (n - 2) * (rank + 1) / ranks - (n - 2) * rank / ranks;
	old = plate(rows + 2, n);
	next = plate(rows + 2, n);
	for (int64_t k = 0; k < n && !rank; k++)
		old[k] = next[k] = 100;
	MPI_Barrier(MPI_COMM_WORLD);
	began = now();
	for (int64_t s = 0; s < sweeps; s++) {
		double *swept = next;

		exchange(old, n, rows, rank, ranks);
		sweep(old, next, n, 1, rows + 1);
		next = old;
		old = swept;
	}
	MPI_Barrier(MPI_COMM_WORLD);
	began = now() - began;
	return rank ? 0 : began;
}

#else

static double solve(int64_t n, int64_t sweeps)
{
	double *old = plate(n, n), *next = plate(n, n), began;

	for (int64_t k = 0; k < n; k++)
		old[k] = next[k] = 100;
	began = now();
#pragma omp parallel
	{
		double *from = old, *to = next;

		for (int64_t s = 0; s < sweeps; s++) {
			double *swept = to;

#pragma omp for schedule(static)
			for (int64_t i = 1; i < n - 1; i++)
				sweep(from, to, n, i, i + 1);
			to = from;
			from = swept;
		}
	}
	return now() - began;
}

#endif

int main(int argc, char **argv)
{
	double seconds;

#ifdef WITH_MPI
	MPI_Init(&argc, &argv);
#endif
	if (argc != 3) {
		fprintf(stderr, "usage: jacobi_peers SIZE SWEEPS\n");
		return 2;
	}
	seconds = solve(atoll(argv[1]), atoll(argv[2]));
	if (seconds > 0)
		printf("%.6f\n", seconds);
#ifdef WITH_MPI
	MPI_Finalize();
#endif
	return 0;
}
