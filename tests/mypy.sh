#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# mypy.sh - checks the package's type hints, and those that a strict user sees (environment: devenv).

"$PYTHON" -m mypy --version >/dev/null 2>&1 || {
	echo "no mypy for $PYTHON: install the package mypy"
	exit 77
}
cd "$PXRUN_SRCDIR" || exit 99
check() {
	"$PYTHON" -m mypy --ignore-missing-imports --cache-dir="$PXRUN_BUILDDIR/tests/mypy-cache" \
		--python-version 3.11 "$@"
}
check lib/python/pxrun && MYPYPATH=lib/python check --strict --follow-imports=silent tests/python/typed.py
