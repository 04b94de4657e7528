#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# lint-abi.sh - programs that were linked with libpxrun.so as tests/abi/libpxrun.abi has it go on to work. New
# functions are no change. Where a struct that begins with its size has grown at its end, and for a new major
# version, `lint-abi.sh --renew` writes that file anew; nothing else of what this prints may be.

cd "${PXRUN_SRCDIR:-.}" || exit 2
library=${PXRUN_BUILDDIR:-build}/.libs/libpxrun.so
baseline=tests/abi/libpxrun.abi

skip() {
	echo "lint-abi: $*, passed over"
	exit 0
}

command -v abidiff >/dev/null 2>&1 || skip "no abidiff: install abigail-tools"
test "$(uname -m)" = x86_64 || skip "the baseline is of x86_64"
test -e "$library" || skip "no $library"
readelf -S "$library" | grep -q '\.debug_info' || skip "$library has no debug information"

folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
# A folder of the public header alone: what other headers define is private.
mkdir "$folder/headers" && cp lib/client/pxrun.h "$folder/headers"
abidw --headers-dir "$folder/headers" --drop-private-types --exported-interfaces-only --no-corpus-path \
	--no-comp-dir-path --no-show-locs --no-elf-needed --type-id-style hash --out-file "$folder/now.abi" "$library" || exit

if test "$1" = --renew; then
	# wherever this tree lies
	sed "s,path='[^']*/\(lib\|shm\)/,path='\1/," "$folder/now.abi" >"$baseline"
else
	abidiff --no-added-syms "$baseline" "$folder/now.abi"
fi
