dnl SPDX-License-Identifier: BSD-3-Clause

dnl PX_PATH_PYTHON(MINIMUM)
dnl Finds libpython through pkg-config, and the interpreter that belongs to it: engines embed the
dnl one and take their sys.path from the other, so two different builds must never be mixed.
dnl Sets PYTHON, PYTHON_VERSION, PYTHON_EMBED_CFLAGS, PYTHON_EMBED_LIBS.
AC_DEFUN([PX_PATH_PYTHON], [
  AC_REQUIRE([PKG_PROG_PKG_CONFIG])
  AC_ARG_VAR([PYTHON], [the Python interpreter whose libpython the engines embed])
  px_asked=$PYTHON
  px_identify="$srcdir/build-aux/python-facts.py"

  # 1. Which libpython: that of the version asked for, else the system's default.
  px_modules=python3-embed
  AS_IF([test "x$px_asked" != x], [
    px_asked_version=`"$px_asked" -I "$px_identify" version 2>/dev/null`
    AS_IF([test "x$px_asked_version" = x],
      [AC_MSG_ERROR([PYTHON=$px_asked is not a Python interpreter that runs: pass PYTHON=/path/to/python3])])
    px_modules="python-$px_asked_version-embed python3-embed"
  ], [
    for px_minor in 11 12 13 14 15 16; do
      px_modules="$px_modules python-3.$px_minor-embed"
    done
  ])
  px_module=
  for px_try in $px_modules; do
    AS_IF([test "x$px_module" = x],
      [PKG_CHECK_EXISTS([$px_try >= $1], [px_module=$px_try])])
  done
  AS_IF([test "x$px_module" = x],
    [AC_MSG_ERROR([no libpython $1 or newer known to pkg-config (tried $px_modules): install libpython3-dev, or point PKG_CONFIG_PATH at the pkgconfig folder of your Python])])
  PKG_CHECK_MODULES([PYTHON_EMBED], [$px_module])

  PYTHON_VERSION=`$PKG_CONFIG --modversion $px_module`
  px_exec_prefix=`$PKG_CONFIG --variable=exec_prefix $px_module`
  px_prefix=`$PKG_CONFIG --variable=prefix $px_module`
  px_library=
  for px_word in $PYTHON_EMBED_LIBS; do
    AS_CASE([$px_word], [-lpython*], [px_library=`AS_ECHO(["$px_word"]) | sed 's/^-l/lib/'`])
  done
  # Python's headers are not ours to warn about, and -isystem says so.
  PYTHON_EMBED_CFLAGS=`AS_ECHO(["$PYTHON_EMBED_CFLAGS"]) | sed 's/-I *\//-isystem \//g'`

  # 2. Which interpreter: the one asked for, or the first that is of the same build.
  AC_MSG_CHECKING([for the interpreter of $px_library in $px_prefix])
  AS_IF([test "x$px_asked" != x],
    [px_candidates=$px_asked],
    [px_candidates="$px_exec_prefix/bin/python$PYTHON_VERSION /usr/bin/python3 python3"])
  PYTHON=
  px_seen=
  for px_candidate in $px_candidates; do
    AS_IF([test "x$PYTHON" = x], [
      px_found=`"$px_candidate" -I "$px_identify" match "$PYTHON_VERSION" "$px_library" "$px_prefix" 2>/dev/null`
      AS_CASE([$px_found],
        [yes:*], [PYTHON=`AS_ECHO(["$px_found"]) | sed 's/^yes://'`],
        [no:*], [px_seen=`AS_ECHO(["$px_found"]) | sed 's/^no://'`])
    ])
  done
  AS_IF([test "x$PYTHON" != x],
    [AC_MSG_RESULT([$PYTHON])],
    [AC_MSG_RESULT([none])
     AS_IF([test "x$px_asked" != x],
       [AC_MSG_ERROR([PYTHON=$px_asked ($px_seen) does not belong to the libpython that pkg-config found ($PYTHON_VERSION, $px_library in $px_prefix): pass PYTHON=$px_exec_prefix/bin/python$PYTHON_VERSION, or set PKG_CONFIG_PATH to the pkgconfig folder of the Python you want])],
       [AC_MSG_ERROR([none of $px_candidates belongs to the libpython that pkg-config found ($PYTHON_VERSION, $px_library in $px_prefix): pass PYTHON=/path/to/its/python$PYTHON_VERSION])])])

  # 3. What a static libpython needs of the program that embeds it.
  PYTHON_EMBED_LDFLAGS=`"$PYTHON" -I "$px_identify" ldflags`
  AC_SUBST([PYTHON_VERSION])
  AC_SUBST([PYTHON_EMBED_LDFLAGS])

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
