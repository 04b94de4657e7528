#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# python.sh - runs the Python tests against the build tree (environment: devenv).

"$PYTHON" -c 'import pytest' 2>/dev/null || {
	echo "no pytest for $PYTHON: install python3-pytest"
	exit 77
}
# A python that was not built with the sanitizer must be given its runtime first.
if test -n "$PXRUN_SANITIZE_PRELOAD"; then
	LD_PRELOAD=$PXRUN_SANITIZE_PRELOAD
	export LD_PRELOAD
fi
cd "$PXRUN_BUILDDIR" || exit 99
exec "$PYTHON" -m pytest -q -rfEs -p no:cacheprovider "$PXRUN_SRCDIR/tests/python" "$@"
