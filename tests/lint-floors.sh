#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# lint-floors.sh - each folder includes only itself and the floors below it, and says the folder's name.
# A folder on the left may use those behind it; to allow more, say so here and in HACKING. pool may see
# the public header, for its table of settings says which field of the options is which; engine that of
# native functions, which it calls.

cd "${1:-.}" || exit 2
bad=0
while read -r folder below; do
	for file in "$folder"/*.[ch]; do
		for header in $(sed -n 's/^#include "\(.*\)".*/\1/p' "$file"); do
			home=${header%/*}
			case " ${folder#lib/} $below " in
			*" $home "* | *" $header "*) test -e "lib/$header" || test -e "$header" && continue ;;
			esac
			echo "$file: includes $header, which is not below $folder"
			bad=1
		done
	done
done <<'END'
shm
lib/machine     shm
lib/pool        shm machine client/pxrun.h
lib/link        shm machine pool
lib/client      shm machine pool link
lib/engine      shm machine pool link client/pxrun_native.h
lib/supervisor  shm machine pool
lib/python/ext  shm machine pool link client engine
bin             shm machine pool client supervisor engine
END
exit $bad
