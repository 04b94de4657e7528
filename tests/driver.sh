#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# driver.sh - how make check runs one test (automake's custom driver protocol).
#
# Each test gets a runtime folder of its own, so that tests do not see each other's pools, and a
# time limit. Afterwards no process that it started may be left: what remains is killed, and the
# test has failed. The cases inside are counted one by one: from cmocka's summary, or from lines
# such as "12 passed, 1 failed, 2 skipped" (pytest -q ends with one; other scripts print one).
# A test that exits with 77 is skipped, for the reason in its last line.

name= log= trs= color=no expect_failure=no
while test $# -gt 0; do
	case $1 in
	--test-name) name=$2; shift 2 ;;
	--log-file) log=$2; shift 2 ;;
	--trs-file) trs=$2; shift 2 ;;
	--color-tests) color=$2; shift 2 ;;
	--expect-failure) expect_failure=$2; shift 2 ;;
	--enable-hard-errors | --collect-skipped-logs) shift 2 ;;
	--) shift; break ;;
	*) echo "driver.sh: unexpected argument $1" >&2; exit 2 ;;
	esac
done

limit=${PXRUN_TEST_TIMEOUT:-2400}
# In /tmp, whatever TMPDIR says: a socket's path must fit into 108 bytes.
folder=$(mktemp -d /tmp/pxt.XXXXXX) || exit 99
mark=PXRUN_TEST_ID=$folder

living() {
	grep -lsF "$mark" /proc/[0-9]*/environ | sed 's|/proc/||; s|/environ||'
}

kill_living() {
	for pid in $(living); do kill -KILL "$pid" 2>/dev/null; done
}

trap 'kill_living; rm -rf "$folder"; exit 130' INT TERM HUP

# A C test's own leaks count; those of an interpreter that it starts do not.
case $name in
tests/c/*)
	ASAN_OPTIONS=${ASAN_OPTIONS-detect_leaks=1:strict_string_checks=1}
	LSAN_OPTIONS=${LSAN_OPTIONS-suppressions=$(dirname "$0")/lsan.supp:print_suppressions=0}
	export ASAN_OPTIONS LSAN_OPTIONS
	;;
esac

env "$mark" XDG_RUNTIME_DIR="$folder" timeout --kill-after=10 "$limit" "$@" >"$log" 2>&1 </dev/null
status=$?
reason=
case $status in
124 | 137) reason="did not end within $limit s" ;;
esac

# A pool that was told to stop may still be on its way out.
tries=0
while test -n "$(living)" && test $tries -lt 30; do
	sleep 0.1
	tries=$((tries + 1))
done
left=$(living)
if test -n "$left"; then
	{
		echo "driver: processes that outlived the test:"
		for pid in $left; do
			echo "  $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
		done
	} >>"$log"
	kill_living
	reason="${reason:+$reason, }left processes behind"
fi
rm -rf "$folder"

counts=$(awk '
	/^\[  PASSED  \] [0-9]+ test/ { passed += $4 }
	/^\[  FAILED  \] [0-9]+ test/ { failed += $4 }
	/^\[  SKIPPED \] [0-9]+ test/ { skipped += $4 }
	/^=* ?[0-9]+ [a-z]+(, [0-9]+ [a-z]+)*( in [0-9.]+s.*)?$/ {
		for (i = 1; i < NF; i++) {
			if ($(i + 1) ~ /^passed,?$|^xpassed,?$/) passed += $i
			if ($(i + 1) ~ /^failed,?$|^errors?,?$/) failed += $i
			if ($(i + 1) ~ /^skipped,?$|^xfailed,?$/) skipped += $i
		}
	}
	END { print passed + 0, failed + 0, skipped + 0 }' "$log")
read -r passed failed skipped <<END
$counts
END

# What the exit status says beyond the cases.
if test $status -eq 77 && test -z "$reason"; then
	reason=$(tail -n 1 "$log")
	test $((passed + failed + skipped)) -gt 0 || skipped=1
elif test $status -ne 0 || test -n "$reason"; then
	test -n "$reason" || reason="exit status $status"
	test "$failed" -gt 0 || failed=1
elif test $((passed + failed + skipped)) -eq 0; then
	passed=1
fi

if test "$failed" -gt 0; then
	result=FAIL color_code='0;31'
elif test "$passed" -gt 0; then
	result=PASS color_code='0;32'
else
	result=SKIP color_code='1;34'
fi
recheck=no copy=no
test $result = FAIL && recheck=yes copy=yes
if test $expect_failure = yes; then
	case $result in
	FAIL) failed=0 result=XFAIL ;;
	PASS) result=XPASS ;;
	esac
fi

summary="$passed passed"
test "$failed" -gt 0 && summary="$summary, $failed failed"
test "$skipped" -gt 0 && summary="$summary, $skipped skipped"
test -n "$reason" && summary="$summary: $reason"

echo "$result $name ($summary; exit status: $status)" >>"$log"
awk -v p="$passed" -v f="$failed" -v s="$skipped" -v n="$name" -v r="$result" \
	-v recheck=$recheck -v copy=$copy 'BEGIN {
	for (i = 1; i <= p; i++) print ":test-result: PASS " n " " i
	for (i = 1; i <= f; i++) print ":test-result: FAIL " n " " i
	for (i = 1; i <= s; i++) print ":test-result: SKIP " n " " i
	if (p + f + s == 0) print ":test-result: " r " " n
	print ":global-test-result: " r
	print ":recheck: " recheck
	print ":copy-in-global-log: " copy
}' >"$trs"

if test "$color" = yes; then
	printf '\033[%sm%s\033[m: %s (%s)\n' "$color_code" "$result" "$name" "$summary"
else
	echo "$result: $name ($summary)"
fi
