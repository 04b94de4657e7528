#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# lint.sh - what make lint does: every checker that is installed; one that is not is named.
# Environment: devenv, and LINT_CFLAGS (for Python's headers, liburing, libyaml and ncurses).

cd "$PXRUN_SRCDIR" || exit 2
bad=0

have() {
	if command -v "$1" >/dev/null 2>&1; then
		echo "lint: $1"
	else
		echo "lint: no $1, passed over"
		false
	fi
}

for script in lint-sync lint-headers lint-lists lint-floors lint-hacking lint-abi; do
	echo "lint: $script"
	sh tests/$script.sh || bad=1
done

tidy() {
	files=$1
	shift
	clang-tidy --quiet $files -- -std=gnu11 -include "$PXRUN_BUILDDIR/config.h" -I. -Ilib \
		-Ibin '-DPX_BINDIR="/"' '-DPX_PACKAGE_FOLDER="/"' $LINT_CFLAGS "$@" 2>"$errors" || {
		grep -v 'warnings\{0,1\} generated\|warnings treated as errors' "$errors"
		bad=1
	}
}

if have clang-tidy; then
	errors=$(mktemp) || exit 2
	tidy "$(find shm lib bin -name '*.c' ! -path shm/error.c)" \
		-include tests/lint-analyzer.h -DPy_LIMITED_API=0x030B0000
	tidy shm/error.c
	rm -f "$errors"
fi
if have cppcheck; then
	# What it takes for uninitialised is filled by functions in other files; compilers see that.
	cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr --suppress=missingIncludeSystem \
		--suppress=uninitvar --suppress=ctuuninitvar --enable=warning,portability,performance \
		-D_GNU_SOURCE=1 '-DPX_KILLPOINT(l)=' '-DPy_RETURN_NONE=return (PyObject *)0' \
		-DPy_BEGIN_ALLOW_THREADS= -DPy_END_ALLOW_THREADS= \
		-I. -Ilib shm lib bin || bad=1
fi
if have mandoc; then
	for page in man/*.[1-8]; do
		mandoc -Tlint -W warning "$page" || bad=1
	done
fi
if have ruff; then
	ruff check lib/python tests examples || bad=1
fi
exit $bad
