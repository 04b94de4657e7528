#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# run.sh - kills members of a pool at every labelled step (environment: devenv).

test "$PXRUN_KILLPOINTS" = yes || {
	echo "no kill points in this build: configure with --enable-killpoints"
	exit 77
}
# Over and over, where there is time.
if test "$PXRUN_SOAK" = yes; then
	set -- --hits 1,2,3,100 --random 1000 "$@"
fi
if test -n "$PXRUN_SANITIZE_PRELOAD"; then
	LD_PRELOAD=$PXRUN_SANITIZE_PRELOAD
	export LD_PRELOAD
fi
exec "$PYTHON" "$PXRUN_SRCDIR/tests/faults/run.py" "$@"
