dnl SPDX-License-Identifier: BSD-3-Clause

dnl PX_PATH_PYTHON(MINIMUM)
dnl Finds the interpreter that pxrun is for, and its headers. Nothing links libpython: engines are
dnl processes of an interpreter, which has it or is it.
dnl Sets PYTHON, PYTHON_VERSION, PYTHON_CFLAGS.
AC_DEFUN([PX_PATH_PYTHON], [
  AC_ARG_VAR([PYTHON], [the Python interpreter that pxrun is installed for])
  px_asked=$PYTHON
  px_facts="$srcdir/build-aux/python-facts.py"

  AC_MSG_CHECKING([for a Python interpreter, $1 or newer])
  # Debian's comes first, whose packages are Debian's: numpy, cloudpickle.
  AS_IF([test "x$px_asked" != x], [set "$px_asked"], [set /usr/bin/python3 python3])
  PYTHON=
  px_seen=
  for px_candidate
  do
    AS_IF([test "x$PYTHON" = x], [
      px_found=`"$px_candidate" -I "$px_facts" facts 2>/dev/null`
      AS_CASE([$px_found],
        [no:*], [px_seen="$px_candidate: "`AS_ECHO(["$px_found"]) | $SED 's/^no://'`],
        [*\|*\|*], [PYTHON=`AS_ECHO(["$px_found"]) | cut -d'|' -f1`],
        [px_seen="$px_candidate is no Python 3 that runs"])
    ])
  done
  AS_IF([test "x$PYTHON" = x],
    [AC_MSG_RESULT([none])
     AC_MSG_ERROR([$px_seen: pass PYTHON=/path/to/python3 of $1 or newer])])
  PYTHON_VERSION=`AS_ECHO(["$px_found"]) | cut -d'|' -f2`
  AC_MSG_RESULT([$PYTHON ($PYTHON_VERSION)])

  # Not ours to warn about, and -isystem says so.
  PYTHON_CFLAGS=`AS_ECHO(["$px_found"]) | cut -d'|' -f3 | $SED 's/[[^ ]]*/-isystem &/g'`
  AC_MSG_CHECKING([for the headers of $PYTHON])
  px_saved=$CPPFLAGS
  CPPFLAGS="$CPPFLAGS $PYTHON_CFLAGS"
  AC_PREPROC_IFELSE([AC_LANG_SOURCE([[
#include <Python.h>
#if PY_MAJOR_VERSION != ${PYTHON_VERSION%.*} || PY_MINOR_VERSION != ${PYTHON_VERSION#*.}
#error "headers of another version"
#endif]])],
    [AC_MSG_RESULT([$PYTHON_CFLAGS])],
    [AC_MSG_RESULT([none])
     AC_MSG_ERROR([no headers of Python $PYTHON_VERSION work with $PYTHON_CFLAGS: install them (python3-dev, or python$PYTHON_VERSION-devel), or pass PYTHON= of an interpreter that has them])])
  CPPFLAGS=$px_saved
  AC_SUBST([PYTHON_VERSION])
  AC_SUBST([PYTHON_CFLAGS])

  for px_needed in cloudpickle numpy; do
    AS_IF([! "$PYTHON" -c "import $px_needed" >/dev/null 2>&1],
      [AC_MSG_WARN([$PYTHON has no module $px_needed: install python3-$px_needed (needed to run, not to build)])])
  done
])

dnl PX_PYTHONDIR
dnl Sets pythondir and pkgpythondir, kept below ${prefix} so that make prefix=... still moves them.
AC_DEFUN([PX_PYTHONDIR], [
  AC_MSG_CHECKING([where the Python package goes])
  px_prefix_now=$prefix
  AS_IF([test "x$px_prefix_now" = xNONE], [px_prefix_now=$ac_default_prefix])
  AS_CASE([$with_pythondir],
    [yes|no], [AC_MSG_ERROR([--with-pythondir needs a folder])],
    [?*], [pythondir=$with_pythondir],
    [pythondir='${prefix}/'`"$PYTHON" -I "$srcdir/build-aux/python-facts.py" packages "$px_prefix_now"`])
  pkgpythondir='${pythondir}/pxrun'
  AC_SUBST([pythondir])
  AC_SUBST([pkgpythondir])
  AC_MSG_RESULT([$pythondir])
])
