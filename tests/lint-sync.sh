#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# lint-sync.sh - each ordered access to shared memory names its edge, "SYNC name:", and its
# partner carries the same name. A name that stands only once has lost its partner.

cd "${1:-.}" || exit 2
alone=$(grep -rhoE 'SYNC [a-z0-9_]+(\.[a-z0-9_]+)*' --include='*.[ch]' shm lib | sort | uniq -c |
	awk '$1 < 2 { print $3 }')
test -z "$alone" && exit 0
for name in $alone; do
	grep -rnE "SYNC $name([^a-z0-9_.]|\.?$|\.[^a-z0-9_])" --include='*.[ch]' shm lib |
		sed "s/:\([0-9]*\):.*/:\1: SYNC $name stands here only: where is its partner?/"
done
exit 1
