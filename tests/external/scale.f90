! SPDX-License-Identifier: BSD-3-Clause
!
! scale.f90 - the same native function in Fortran.
integer(c_int) function scaled(px, argc, argv, result) bind(c)
  use pxrun_native
  implicit none
  type(px_native), intent(in) :: px
  integer(c_size_t), value :: argc
  type(px_native_arg), intent(in) :: argv(argc)
  type(px_native_result), intent(inout) :: result
  real(c_double), pointer :: x(:)

  scaled = px_native_fail(result, 'scaled(x, factor): x is an array of doubles')
  if (argc /= 2) return
  if (.not. px_native_is(argv(1), PX_NATIVE_FLOAT64, 1)) return
  if (px_native_cancelled(px) .or. px_native_barrier(px) /= 0) return
  call c_f_pointer(argv(1)%data, x, px_native_shape(argv(1)))
  scaled = px_native_return(result, sum(x * argv(2)%real) + px%rank)
end function scaled
