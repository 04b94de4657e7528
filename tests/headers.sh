#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# headers.sh - pxrun.h and pxrun_native.h are without a warning in every C from C99 on and every C++ from C++11 on, with each
# compiler that is installed, and its initialisers are complete.

folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
bad=0
tried=0

cat >"$folder/program.c" <<'PROGRAM'
#include "pxrun.h"
#include "pxrun_native.h"

PX_NATIVE_FUNCTION(half)
{
	const double *x = (const double *)px_native_array(argc, argv, 0, PX_NATIVE_FLOAT64, 1);

	return px->count == 1 && x ? px_native_return_double(result, x[0] / 2) : px_native_fail(result, "no");
}

static void each(void *ctx, const struct px_pool_info *info)
{
	(void)ctx;
	(void)info;
}

int main(void)
{
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_how how = PX_HOW;
	struct px_value values[4];
	struct px_status status;
	struct px_client *client;

	px_pool_options_init(&options);
	options.engines = 2;
	status.size = sizeof(status);
	values[0] = px_none();
	values[1] = px_int(PX_VERSION_MAJOR);
	values[2] = px_double(1);
	values[3] = px_list(values, 3);
	how.user = values;
	if (px_pool_list(each, 0) < 0 || px_pool_start(&options, &client) < 0)
		return 1;
	return how.user != values || px_client_status(client, &status) < 0;
}
PROGRAM
cp "$folder/program.c" "$folder/program.cc"

try() {
	compiler=$1
	standard=$2
	source=$3
	"$compiler" -std="$standard" -fsyntax-only -x c /dev/null 2>/dev/null ||
		"$compiler" -std="$standard" -fsyntax-only -x c++ /dev/null 2>/dev/null || return
	tried=$((tried + 1))
	"$compiler" -std="$standard" -Wall -Wextra -pedantic -Wconversion -Wshadow -Werror -fsyntax-only \
		-I "$PXRUN_SRCDIR/lib/client" "$folder/$source" || {
		echo "pxrun.h is not clean with $compiler -std=$standard"
		bad=1
	}
}

for standard in c99 c11 c17 c2x; do
	for compiler in gcc clang; do
		try $compiler $standard program.c
	done
done
for standard in c++11 c++14 c++17 c++20; do
	for compiler in g++ clang++; do
		try $compiler $standard program.cc
	done
done
if test $tried -eq 0; then
	echo "no compiler is installed"
	exit 77
fi
test $bad -eq 0 && echo "$tried compilers and standards"
exit $bad
