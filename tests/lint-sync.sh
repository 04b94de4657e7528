#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# lint-sync.sh - each ordered atomic access in shm/ and lib/ says what it is ordered with.
#
# Ordered are acquire, release, acq_rel and seq_cst; a comment in the few lines above the access, in the
# same function, has one of two forms:
#
#   SYNC name: order, of what; partner: function(), function().
#       name is the edge's. Each function that is named here exists and has a label of that name.
#   SYNC private: why.
#       Only threads of this process meet here, and the other side is the same line: counts of
#       holders. Why is not checked.
#
# atomic_signal_fence() orders nothing between threads or processes, and needs no label. Orders are
# written out: atomic_load() and the like are refused, as the compiler refuses plain reads and writes of
# _Atomic words (clang's -Watomic-implicit-seq-cst).
#
#     lint-sync.sh [FOLDER]     the tree; . by default

cd "${1:-.}" || exit 2
find shm lib -name '*.[ch]' | sort | xargs awk '
function complain(where, words) { print where ": " words; bad = 1 }

# The end of a comment that has a label.
function end_of_label(    name, names, n, i) {
	name = label
	sub(/.*SYNC /, "", name)
	sub(/:.*/, "", name)
	labelled[function_name, name] = 1
	if (name != "private") {
		if (label !~ /; partner: /)
			complain(label_at, "SYNC " name " names no partner")
		sub(/.*; partner: /, "", label)
		n = 0
		while (match(label, /[a-z_0-9]+\(\)/)) {
			edges++
			edge_at[edges] = label_at
			edge_name[edges] = name
			edge_to[edges] = substr(label, RSTART, RLENGTH - 2)
			label = substr(label, RSTART + RLENGTH)
			n++
		}
		if (!n)
			complain(label_at, "SYNC " name " names no function() as its partner")
	}
	label = ""
}

FNR == 1 { function_name = candidate = ""; label = ""; label_line = -100 }
/^[a-z].*\(/ { candidate = $0; sub(/\(.*/, "", candidate); sub(/.*[ *]/, "", candidate) }
/^\{/ { function_name = candidate; defined[function_name] = 1 }
/^\}/ { function_name = ""; label_line = -100 }

/SYNC [a-z0-9_.]+:/ { label = " "; label_line = FNR; label_at = FILENAME ":" FNR }
label != "" {
	label = label " " $0
	if (/\*\//)
		end_of_label()
}

/memory_order_(acquire|release|acq_rel|seq_cst)/ && !/atomic_signal_fence/ {
	if (FNR - label_line > 8)
		complain(FILENAME ":" FNR, "an ordered access without a label: SYNC name: order; partner: function()")
}

/atomic_(load|store|exchange|compare_exchange_(weak|strong)|fetch_[a-z]+)\(/ {
	complain(FILENAME ":" FNR, "an atomic access whose order is not written out")
}

END {
	for (i = 1; i <= edges; i++) {
		if (!(edge_to[i] in defined))
			complain(edge_at[i], "SYNC " edge_name[i] ": there is no function " edge_to[i] "()")
		else if (!((edge_to[i], edge_name[i]) in labelled))
			complain(edge_at[i], "SYNC " edge_name[i] ": " edge_to[i] "() has no such label")
	}
	exit bad
}'
