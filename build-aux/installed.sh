#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# installed.sh BINDIR PYTHON PYTHONDIR PACKAGE-FOLDER ENV - what make install says at its end: what a shell needs to find pxrun.

bindir=$1 python=$2 pythondir=$3 folder=$4 env=$5
case :$PATH: in
*:"$bindir":*) command=found ;;
*) command= ;;
esac
package=$(cd / && "$python" -c '
import os, sys
print(any(os.path.realpath(path) == os.path.realpath(sys.argv[1]) for path in sys.path))' "$pythondir")
if test -n "$command" && test "$package" = True; then
	echo "pxrun is installed, and found by this shell and by $python."
	exit
fi
echo "pxrun is installed. A shell finds its command, and Python its package, after"
echo "    . $env"
echo "Without it $bindir/pxrun works, too; \"import pxrun\" needs PYTHONPATH=$folder, and Python 3.11 or newer."
