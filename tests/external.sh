#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# external.sh - what `make install` puts down is all that a program of somebody else needs: tests/external is
# built against it by pkg-config with each compiler that there is, shared and static, and by CMake, and runs.

test -z "$PXRUN_SANITIZE_PRELOAD" || {
	echo "a program must be linked with the sanitizer of its library"
	exit 77
}
command -v pkg-config >/dev/null 2>&1 || {
	echo "no pkg-config"
	exit 77
}
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
make -s -C "$PXRUN_BUILDDIR" install-for-programs DESTDIR="$folder/root" >"$folder/log" 2>&1 || {
	cat "$folder/log"
	exit 1
}
library=$(dirname "$(find "$folder/root" -name libpxrun.a)")
export PKG_CONFIG_SYSROOT_DIR="$folder/root" PKG_CONFIG_PATH="$library/pkgconfig" LD_LIBRARY_PATH="$library"
# What the build tree has is not to be found by accident.
unset PYTHONPATH
passed=0 failed=0 skipped=0

have() {
	command -v "$1" >/dev/null 2>&1 && return
	echo "no $1"
	skipped=$((skipped + 1))
	false
}

# report STATUS WORDS: of one way to build and run.
report() {
	if test "$1" -eq 0; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $2"
		cat "$folder/log"
	fi
}

# by_make COMPILER PROGRAM OPTION...
by_make() {
	compiler=$1 program=$2
	shift 2
	have "$compiler" || return
	rm -f "$folder/pools-$program" "$folder/libscale.so"
	make -C "$folder" -f "$PXRUN_SRCDIR/tests/external/Makefile" SOURCE="$PXRUN_SRCDIR/tests/external" \
		PROGRAMS="$program" "$@" >"$folder/log" 2>&1 && (cd "$folder" && "./pools-$program") >>"$folder/log" 2>&1
	report $? "$compiler $*"
}

by_cmake() {
	cmake -S "$PXRUN_SRCDIR/tests/external" -B "$folder/cmake" -DLANGUAGES="$1" >"$folder/log" 2>&1 &&
		cmake --build "$folder/cmake" >>"$folder/log" 2>&1 || return
	for program in "$folder"/cmake/pools-*; do
		(cd "$folder/cmake" && "$program") >>"$folder/log" 2>&1 || return
	done
}

for compiler in gcc clang; do
	by_make $compiler c CC=$compiler
done
by_make gcc c CC=gcc STATIC=--static
by_make gcc c CC=gcc STATIC=--static LDFLAGS=-static
for compiler in g++ clang++; do
	by_make $compiler cpp CXX=$compiler
done
by_make g++ cpp CXX=g++ STATIC=--static 'CXXFLAGS=-std=c++20 -Wall -Wextra -pedantic -Werror'
languages='C;CXX'
if test -e "$library/pkgconfig/pxrun-fortran.pc"; then
	by_make gfortran f90 FC=gfortran
	by_make gfortran f90 FC=gfortran STATIC=--static
	languages="$languages;Fortran"
fi
have cmake && {
	by_cmake "$languages"
	report $? "cmake $languages"
}
echo "$passed passed, $failed failed, $skipped skipped"
test $failed -eq 0
