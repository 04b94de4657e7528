#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# run.sh - kills members of a pool at every labelled step (environment: devenv).

test "$PXRUN_KILLPOINTS" = yes || {
	echo "no kill points in this build: configure with --enable-killpoints"
	exit 77
}
if test -n "$PXRUN_SANITIZE_PRELOAD"; then
	LD_PRELOAD=$PXRUN_SANITIZE_PRELOAD
	export LD_PRELOAD
fi
exec "$PYTHON" "$PXRUN_SRCDIR/tests/faults/run.py" "$@"
