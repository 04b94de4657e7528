#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# valgrind.sh - programs that use libpxrun make no error of memory, and leave none behind: those of
# tests/external and the examples. What they start, supervisor and engines, is not looked at.

test -z "$PXRUN_SANITIZE_PRELOAD" || {
	echo "this build has sanitizers, which do the same"
	exit 77
}
for tool in valgrind cc; do
	command -v $tool >/dev/null 2>&1 || {
		echo "no $tool"
		exit 77
	}
done
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
library=$PXRUN_BUILDDIR/.libs
include=$PXRUN_SRCDIR/lib/client
passed=0 failed=0

# examine NAME PROGRAM ARGUMENT...
examine() {
	name=$1
	shift
	# Blocks that are still reachable are handles that were freed a moment ago.
	if (cd "$folder" && valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect,possible \
		--errors-for-leak-kinds=definite,indirect,possible "$@") >"$folder/log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $name"
		cat "$folder/log"
	fi
}

cc -shared -fPIC -I"$include" -o "$folder/libscale.so" "$PXRUN_SRCDIR/tests/external/scale.c" || exit 1
cc -g -std=gnu99 -I"$include" -o "$folder/pools-c" "$PXRUN_SRCDIR/tests/external/pools.c" -L"$library" -lpxrun || exit 1
examine pools.c "$folder/pools-c"
if command -v c++ >/dev/null 2>&1; then
	c++ -g -std=c++11 -I"$include" -o "$folder/pools-cpp" "$PXRUN_SRCDIR/tests/external/pools.cpp" -L"$library" -lpxrun || exit 1
	examine pools.cpp "$folder/pools-cpp"
fi
if command -v gfortran >/dev/null 2>&1 && test -e "$library/../libpxrun_fortran.a"; then
	gfortran -g -std=f2018 -I"$library/../lib/client" -o "$folder/pools-f90" "$PXRUN_SRCDIR/tests/external/pools.f90" \
		"$library/../libpxrun_fortran.a" -L"$library" -lpxrun || exit 1
	examine pools.f90 "$folder/pools-f90"
fi
for example in pi sweep; do
	examine examples/$example "$library/../examples/.libs/$example"
done
examine examples/loop "$library/../examples/.libs/loop" 200000
echo "$passed passed, $failed failed"
test $failed -eq 0
