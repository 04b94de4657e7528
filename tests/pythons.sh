#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# pythons.sh - runs the quicker half of the Python tests where pip has installed pxrun for other minor
# versions of Python than the build's, with PyPI's newest packages: in the environments that `bootstrap
# check` makes (environment: devenv).

chosen='arrays asyncresult balanced byvalue client cluster dependency direct display errors flags flat foreign futures
	imap imports magics metadata names parts pool_executor script sequences serialize tasks tutorial view'

if test -n "$PXRUN_SANITIZE_PRELOAD"; then
	echo "the wheel is not built for sanitizers"
	exit 77
fi
files=
for name in $chosen; do
	files="$files $PXRUN_SRCDIR/tests/python/test_$name.py"
done
cd "$PXRUN_BUILDDIR" || exit 99
unset PYTHONPATH LD_LIBRARY_PATH
minor='import sys; print("%d.%d" % sys.version_info[:2])'
seen=$("$PYTHON" -c "$minor")
status=77
for complete in pythons/*/complete; do
	test -e "$complete" || continue
	environment=$PXRUN_BUILDDIR/${complete%/complete}
	version=$("$environment/bin/python" -c "$minor")
	case " $seen " in
	*" $version "*) continue ;;
	esac
	seen="$seen $version"
	test $status -ne 77 || status=0
	echo "-- ${environment##*/}"
	# $files is a list.
	VIRTUAL_ENV=$environment PYTHON=$environment/bin/python PXRUN_COMMAND=$environment/bin/pxrun \
		PATH=$environment/bin:$PATH \
		"$environment/bin/python" -m pytest -q -rfEs -p no:cacheprovider $files || status=1
done
test $status -ne 77 || echo "no other Python is there with pxrun installed: bootstrap check does that for those that it finds"
exit $status
