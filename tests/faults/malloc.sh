#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# malloc.sh - private memory runs out in each process of a pool (environment: devenv). Every third
# allocation; all of them where PXRUN_SOAK=yes.

if test -n "$PXRUN_SANITIZE_PRELOAD"; then
	echo "a sanitizer has its own allocator"
	exit 77
fi
test "$PXRUN_SOAK" = yes && step=1 || step=3
exec "$PYTHON" "$PXRUN_SRCDIR/tests/faults/malloc.py" --step $step "$@"
