# SPDX-License-Identifier: BSD-3-Clause
# Completion of pxrun's command line in fish: all of it is known to `pxrun complete` (bin/complete.c).

function __pxrun_candidates
    set -l words (commandline -opc)
    set -l command $words[1]
    set -e words[1]
    set -l current (commandline -ct)
    $command complete $words "$current" 2>/dev/null
end

# Where it has nothing to say, fish offers files.
complete -c pxrun -n 'count (__pxrun_candidates) >/dev/null' -f -a '(__pxrun_candidates)'
