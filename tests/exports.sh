#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# exports.sh - libpxrun.so shows exactly the functions that pxrun.h marks PX_PUBLIC, and needs no library
# but the C library's.

folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT

tr '\n' ' ' <"$PXRUN_SRCDIR/lib/client/pxrun.h" |
	sed 's|/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/||g; s/PX_PUBLIC/\n&/g' |
	sed -n 's/^PX_PUBLIC[^(]*[ *]\(px_[a-z_0-9]*\)(.*/\1/p' | sort -u >"$folder/declared"
nm -D --defined-only "$PXRUN_BUILDDIR/.libs/libpxrun.so" |
	awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$folder/exported"

missing=$(comm -23 "$folder/declared" "$folder/exported")
surplus=$(comm -13 "$folder/declared" "$folder/exported")
bad=0
for name in $missing; do
	echo "$name is declared PX_PUBLIC but libpxrun.so does not show it: not defined, hidden, or not in lib/client/pxrun.map"
	bad=1
done
for name in $surplus; do
	echo "$name is shown by libpxrun.so but pxrun.h does not declare it"
	bad=1
done
for library in $(readelf -d "$PXRUN_BUILDDIR/.libs/libpxrun.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
	case $library in
	libc.so* | ld-linux* | libpthread.so* | librt.so* | libm.so* | libgcc_s.so* | lib*san.so*) ;;
	*)
		echo "libpxrun.so needs $library: each program that uses it would"
		bad=1
		;;
	esac
done
test $bad -eq 0 && echo "$(wc -l <"$folder/declared") public functions"
exit $bad
