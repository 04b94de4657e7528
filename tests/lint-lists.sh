#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# lint-lists.sh - each file of the tree stands in the Makefile.inc of its folder, and the other way round.
# A file that is forgotten there is neither built nor run nor distributed. Scripts that make check runs are executable.

cd "${1:-.}" || exit 2
bad=0
fragments=$(find shm lib bin man examples tests -name Makefile.inc)
listed=$(sed "/^#/d" $fragments Makefile.am | tr " \t\\\\" "\n\n\n" | grep / | sort -u)

for file in $(find shm lib bin man examples tests -type f ! -path '*/.*' ! -path '*/__pycache__/*' \
	! -name Makefile.inc \( -name '*.[ch]' -o -name '*.py' -o -name '*.sh' -o -name '*.pml' \
	-o -name '*.[ch]pp' -o -name '*.f90' -o -name '*.pyi' -o -name '*.typed' -o -name '*.[1-8]' \) | sort); do
	echo "$listed" | grep -qxF -e "$file" -e "${file%.c}" || {
		echo "$file: in no Makefile.inc"
		bad=1
	}
done
for file in $(echo "$listed" | grep -E '^(shm|lib|bin|man|examples|tests)/.*\.([ch](pp)?|f90|py|sh|pml|[1-8])$'); do
	test -e "$file" || {
		echo "$file: in a Makefile.inc, but not there"
		bad=1
	}
done
for script in $(sed -n '/^script_tests = /,/[^\\]$/p' tests/Makefile.inc | tr ' \t\\' '\n\n\n' | grep /); do
	test -x "$script" || {
		echo "$script: make check cannot run it: chmod +x"
		bad=1
	}
done
exit $bad
