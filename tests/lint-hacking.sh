#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# lint-hacking.sh - the files and functions that HACKING and README name exist. Checked are names
# that begin with a folder, and C functions with () behind them. A name with capitals, such as
# tests/c/test_OBJECT.c, is a pattern and not checked.

cd "${1:-.}" || exit 2
bad=0

for text in HACKING README; do
	for file in $(grep -oE '(^|[^/a-z])(shm|lib|bin|man|examples|tests)/[A-Za-z0-9_./-]*' "$text" |
		sed 's/^[^a-z]//; s/\.$//' | sort -u); do
		case $file in
		*[A-Z][A-Z]*) continue ;;
		esac
		test -e "$file" || test -e "$file.c" || {
			echo "$text: names $file, which is not there"
			bad=1
		}
	done
	for function in $(grep -oE '\b[a-z_0-9]+\(\)' "$text" | tr -d '()' | sort -u); do
		grep -rqw --include='*.[ch]' "$function" shm lib bin tests || {
			echo "$text: names $function(), which is nowhere in the C files"
			bad=1
		}
	done
done
exit $bad
