dnl SPDX-License-Identifier: BSD-3-Clause

dnl PX_FORTRAN_2018
dnl Sets FC to `no' if it does not compile what lib/client/pxrun.f90 needs: arrays of any rank.
AC_DEFUN([PX_FORTRAN_2018], [
AS_IF([test "x$FC" != xno], [
  AC_MSG_CHECKING([whether $FC compiles Fortran 2018])
  cat >conftest.f90 <<'END'
subroutine conftest(x)
  use, intrinsic :: iso_c_binding
  real(c_double), intent(in), target :: x(..)
  type(c_ptr) :: first
  select rank (x)
  rank (1)
    first = c_loc(x(1))
  end select
end subroutine conftest
END
  AS_IF([$FC $FCFLAGS -c conftest.f90 >&AS_MESSAGE_LOG_FD 2>&1],
    [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_WARN([the module for Fortran is installed as source only: $FC is too old, or does not run])
     FC=no])
  rm -f conftest*
])
])
