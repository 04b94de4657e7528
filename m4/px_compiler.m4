dnl SPDX-License-Identifier: BSD-3-Clause

dnl PX_WARNINGS(VARIABLE, FLAGS)
dnl Sets VARIABLE to those of FLAGS that the compiler knows.
AC_DEFUN([PX_WARNINGS], [
  $1=
  px_saved_CFLAGS=$CFLAGS
  for px_flag in $2; do
    AC_MSG_CHECKING([whether $CC takes $px_flag])
    # gcc says nothing about an unknown -Wno-..., so it is asked about the positive form.
    px_probe=`AS_ECHO(["$px_flag"]) | sed 's/^-Wno-/-W/'`
    CFLAGS="$px_saved_CFLAGS -Werror $px_probe"
    AC_COMPILE_IFELSE([AC_LANG_SOURCE([[int px_probe; ]])],
      [AS_VAR_APPEND([$1], [" $px_flag"])
       AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])])
  done
  CFLAGS=$px_saved_CFLAGS
  AC_SUBST([$1])
])

dnl PX_SANITIZERS(LIST)
dnl Sets SANITIZE_FLAGS for compiler and linker, and SANITIZE_PRELOAD to the runtime that a
dnl python which was not built with it must be given by LD_PRELOAD before it can load _pxrun.
AC_DEFUN([PX_SANITIZERS], [
  SANITIZE_FLAGS="-fsanitize=$1 -fno-omit-frame-pointer -g"
  AC_MSG_CHECKING([whether $CC can link with -fsanitize=$1])
  px_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS $SANITIZE_FLAGS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([$CC cannot link with -fsanitize=$1: not a list of its sanitizers, or their runtime is missing])])
  CFLAGS=$px_saved_CFLAGS

  px_arch=`AS_ECHO(["$host_cpu"])`
  for px_one in `AS_ECHO(["$1"]) | tr , ' '`; do
    AS_CASE([$px_one],
      [address], [px_names="libasan.so libclang_rt.asan-$px_arch.so"],
      [thread], [px_names="libtsan.so libclang_rt.tsan-$px_arch.so"],
      [px_names=])
    for px_name in $px_names; do
      px_file=`$CC -print-file-name=$px_name`
      AS_IF([test -f "$px_file"], [SANITIZE_PRELOAD=$px_file])
    done
  done
])
