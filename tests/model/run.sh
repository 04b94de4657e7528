#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# run.sh - lets spin look at every state of the models beside it.
#
# A model may say in its comments how it wants to be checked, one line each:
#   spin: -DCRASHES=2     for spin; several such lines are several checks
#   cc: -DCOLLAPSE        for the compiler (-DSAFETY is given if there is no ltl formula)
#   pan: -m200000         for the verifier
# Each ltl formula of a model is a check of its own. An assertion that is never reached is
# an error.
#
# To prove that it can fail, each model has variants that must: "#if BROKEN == 2" or, if
# there is but one, "#ifdef BROKEN". They are run with the first of the spin lines.
# With arguments, only the models of these names are run.

command -v spin >/dev/null || {
	echo "no spin: install the package spin"
	exit 77
}
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM HUP
here=$(cd "$(dirname "$0")" && pwd)
passed=0 failed=0

option() {
	sed -n "s/^[ \t/*]*$1:[ \t]*\(-.*[^ \t*/]\)[ \t*/]*$/\1/p" "$here/$2.pml"
}

broken_variants() {
	numbers=$(sed -n 's/^#.*BROKEN *[!=]= *\([0-9]\{1,\}\).*/\1/p' "$here/$1.pml" | sort -un)
	if test -z "$numbers" && grep -q '^#.*BROKEN' "$here/$1.pml"; then
		numbers=1
	fi
	echo "$numbers"
}

not_ok() {
	echo "not ok $1"
	cat out
	failed=$((failed + 1))
}

# build MODEL SPIN-OPTION...: makes ./pan in a fresh current folder.
build() {
	model=$1
	shift
	rm -rf "$folder/run"
	mkdir "$folder/run" && cd "$folder/run" && cp "$here"/*.pml . || exit 99
	safety=
	grep -q '^ltl[ 	]' "$model.pml" || safety=-DSAFETY
	{
		spin "$@" -a "$model.pml" &&
			${CC:-cc} $optimise -w -DMEMLIM=1000 $safety $(option cc "$model") -o pan pan.c
	} >out 2>&1
}

# formulas MODEL: names, or "none".
formulas() {
	names=$(sed -n 's/^ltl[ \t]\{1,\}\([a-zA-Z_0-9]*\).*/\1/p' "$here/$1.pml")
	echo "${names:-none}"
}

# search MODEL FORMULA: runs the verifier; its words are in ./out.
search() {
	case $2 in
	none) ./pan -m1000000 $(option pan "$1") ;;
	*) ./pan -a -m1000000 -N "$2" $(option pan "$1") ;;
	esac >out 2>&1
}

states() {
	sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1 states/p' out
}

must_hold() {
	model=$1 label="$*" optimise=-O2
	build "$@" || {
		not_ok "$label: does not compile"
		return
	}
	for formula in $(formulas "$model"); do
		search "$model" "$formula"
		test "$formula" = none || label="$* $formula"
		if ! grep -q 'errors: 0$' out || grep -q 'max search depth too small' out; then
			test ! -e "$model.pml.trail" ||
				spin -t -p -g -l "$model.pml" 2>&1 | tail -n 200 >>out
			not_ok "$label"
		elif grep -q 'state [0-9]*, "assert' out; then
			not_ok "$label: an assertion is never reached"
		else
			echo "ok $label: $(states)"
			passed=$((passed + 1))
		fi
	done
}

must_fail() {
	model=$1 label="$*" optimise=-O0 # found soon: the compiler takes longer than the search
	build "$@" || {
		not_ok "$label: does not compile"
		return
	}
	for formula in $(formulas "$model"); do
		search "$model" "$formula"
		if grep -q 'errors: [1-9]' out; then
			echo "ok $label: found after $(states)"
			passed=$((passed + 1))
			return
		fi
	done
	not_ok "$label: broken on purpose, and not found"
}

: >"$folder/out"
for file in "$here"/*.pml; do
	name=$(basename "$file" .pml)
	case " ${*:-$name} " in
	*" $name "*) ;;
	*) continue ;;
	esac
	option spin "$name" >"$folder/variants"
	test -s "$folder/variants" || echo >"$folder/variants"
	while read -r variant; do
		must_hold "$name" $variant
	done <"$folder/variants"
	broken=$(broken_variants "$name")
	cd "$folder" || exit 99
	test -n "$broken" || not_ok "$name has no BROKEN variant"
	for number in $broken; do
		must_fail "$name" $(head -n 1 "$folder/variants") "-DBROKEN=$number"
	done
done
echo "$passed passed, $failed failed"
test $failed -eq 0
