#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# lint-headers.sh - headers where threads or processes meet answer four questions at their top: who
# uses it, where it lies, on what it blocks, what a death leaves. They are those of shm/ and lib/link/
# that have more than constants.

cd "${1:-.}" || exit 2
bad=0
for header in shm/*.h lib/link/*.h; do
	grep -qE '^(struct|enum) |^[a-z].*\(' "$header" || continue
	for answer in Who Where Blocks Death; do
		sed '/\*\/$/{/SPDX/!q;}' "$header" | grep -qE "^ \* $answer: +[^ ]" || {
			echo "$header: the comment at its top does not say: $answer"
			bad=1
		}
	done
done
exit $bad
