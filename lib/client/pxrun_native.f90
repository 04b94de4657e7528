! SPDX-License-Identifier: BSD-3-Clause
!
! pxrun_native.f90 - the module pxrun_native: pxrun_native.h for who writes a native function in Fortran.
!
!  integer(c_int) function scaled(px, argc, argv, result) bind(c)
!    use pxrun_native
!    type(px_native), intent(in) :: px
!    integer(c_size_t), value :: argc
!    type(px_native_arg), intent(in) :: argv(argc)
!    type(px_native_result), intent(inout) :: result
!    real(c_double), pointer :: x(:)
!
!    scaled = px_native_fail(result, 'scaled(x, factor): x is an array of doubles')
!    if (argc /= 2) return
!    if (.not. px_native_is(argv(1), PX_NATIVE_FLOAT64, 1)) return
!    call c_f_pointer(argv(1)%data, x, px_native_shape(argv(1)))
!    x = x * argv(2)%real
!    scaled = px_native_return(result)
!  end function scaled
!
!  gfortran -shared -fPIC -O2 -o libscale.so scale.f90 $(pkg-config --cflags --libs-only-L pxrun-fortran) -lpxrun_fortran
!
! What that header says of where a function runs, what it may do and how it fails holds here.
module pxrun_native
  use, intrinsic :: iso_c_binding
  implicit none
  private

  public :: c_int, c_size_t, c_int64_t, c_double, c_double_complex, c_f_pointer
  public :: px_native, px_native_arg, px_native_result
  public :: px_native_is, px_native_shape, px_native_text, px_native_cancelled, px_native_barrier, px_native_grow
  public :: px_native_return, px_native_fail

  integer(c_int), parameter, public :: PX_NATIVE_NONE = 0, PX_NATIVE_BOOL = 1, PX_NATIVE_INT = 2, PX_NATIVE_UINT = 3, &
    PX_NATIVE_DOUBLE = 4, PX_NATIVE_COMPLEX = 5, PX_NATIVE_CHARACTERS = 6, PX_NATIVE_BYTES = 7, PX_NATIVE_ARRAY = 8
  integer(c_int), parameter, public :: PX_NATIVE_INT8 = int(z'0008'), PX_NATIVE_INT16 = int(z'0010'), &
    PX_NATIVE_INT32 = int(z'0020'), PX_NATIVE_INT64 = int(z'0040'), PX_NATIVE_FLOAT32 = int(z'0220'), &
    PX_NATIVE_FLOAT64 = int(z'0240'), PX_NATIVE_COMPLEX64 = int(z'0540'), PX_NATIVE_COMPLEX128 = int(z'0580'), &
    PX_NATIVE_BOOLEANS = int(z'0608')
  integer, parameter :: TEXT_MAX = 1024

  type, bind(c) :: px_native_arg
    integer(c_int) :: type, dtype, ndim, live
    integer(c_int64_t) :: integer, natural
    real(c_double) :: real, imaginary
    type(c_ptr) :: text
    integer(c_int64_t) :: bytes
    type(c_ptr) :: data, shape, strides
  end type px_native_arg

  type, bind(c) :: px_native_result
    integer(c_size_t) :: size
    integer(c_int) :: type, reserved
    integer(c_int64_t) :: integer
    real(c_double) :: real, imaginary
    integer(c_int64_t) :: bytes
    character(kind=c_char) :: text(TEXT_MAX)
  end type px_native_result

  type, bind(c) :: px_native
    integer(c_size_t) :: size
    integer(c_int) :: rank, count ! rank from 0
    integer(c_int) :: engine, reserved
    type(c_ptr) :: scratch
    integer(c_size_t) :: scratch_bytes
    type(c_ptr) :: cancel
    type(c_funptr) :: barrier, grow
    type(c_ptr) :: engine_state
  end type px_native

  abstract interface
    integer(c_int) function c_barrier(px) bind(c)
      import
      type(px_native), intent(in) :: px
    end function c_barrier
    integer(c_int) function c_grow(px, bytes) bind(c)
      import
      type(px_native), intent(in) :: px
      integer(c_size_t), value :: bytes
    end function c_grow
  end interface

  ! For the function to return: its value is none, a number, a logical or characters.
  interface px_native_return
    procedure :: return_none, return_integer, return_long, return_real, return_complex, return_logical, return_characters
  end interface px_native_return

contains

  ! Whether it is an array of that type and number of dimensions, with elements that lie without gaps: column-major,
  ! or row-major, which is the same with the dimensions the other way round.
  logical function px_native_is(arg, dtype, ndim, reversed)
    type(px_native_arg), intent(in) :: arg
    integer(c_int), intent(in) :: dtype
    integer, intent(in) :: ndim
    logical, intent(in), optional :: reversed
    integer(c_int64_t), pointer :: shape(:), strides(:)
    integer(c_int64_t) :: step
    integer :: i, axis

    px_native_is = arg%type == PX_NATIVE_ARRAY .and. arg%dtype == dtype .and. arg%ndim == ndim
    if (.not. px_native_is) return
    call c_f_pointer(arg%shape, shape, [ndim])
    call c_f_pointer(arg%strides, strides, [ndim])
    step = iand(dtype, 255) / 8
    do i = 1, ndim
      axis = i
      if (present(reversed)) axis = merge(ndim + 1 - i, i, reversed)
      if (shape(axis) /= 1 .and. strides(axis) /= step) px_native_is = .false.
      step = step * shape(axis)
    end do
  end function px_native_is

  ! For c_f_pointer().
  function px_native_shape(arg, reversed) result(lengths)
    type(px_native_arg), intent(in) :: arg
    logical, intent(in), optional :: reversed
    integer(c_int64_t) :: lengths(arg%ndim)
    integer(c_int64_t), pointer :: shape(:)

    call c_f_pointer(arg%shape, shape, [arg%ndim])
    lengths = shape
    if (present(reversed)) then
      if (reversed) lengths = shape(arg%ndim:1:-1)
    end if
  end function px_native_shape

  ! A text, or bytes.
  function px_native_text(arg) result(text)
    type(px_native_arg), intent(in) :: arg
    character(:), allocatable :: text
    character(kind=c_char), pointer :: bytes(:)
    integer(c_int64_t) :: i

    allocate (character(arg%bytes) :: text)
    if (arg%bytes == 0) return
    call c_f_pointer(arg%text, bytes, [arg%bytes])
    do i = 1, arg%bytes
      text(i:i) = bytes(i)
    end do
  end function px_native_text

  ! The caller has cancelled the call, or the engine is to end: look now and then, and return.
  logical function px_native_cancelled(px)
    type(px_native), intent(in) :: px
    integer(c_int), pointer, volatile :: cancel

    call c_f_pointer(px%cancel, cancel)
    px_native_cancelled = cancel /= 0
  end function px_native_cancelled

  ! Waits for the other engines of the call. Not 0: it is broken, so return at once.
  integer function px_native_barrier(px)
    type(px_native), intent(in) :: px
    procedure(c_barrier), pointer :: barrier

    call c_f_procpointer(px%barrier, barrier)
    px_native_barrier = barrier(px)
  end function px_native_barrier

  ! Makes px%scratch at least so large. Not 0: there is no memory.
  integer function px_native_grow(px, bytes)
    type(px_native), intent(in) :: px
    integer(c_size_t), intent(in) :: bytes
    procedure(c_grow), pointer :: grow

    call c_f_procpointer(px%grow, grow)
    px_native_grow = grow(px, bytes)
  end function px_native_grow

  integer(c_int) function px_native_fail(result, words)
    type(px_native_result), intent(inout) :: result
    character(*), intent(in) :: words

    px_native_fail = return_characters(result, words) + 1
  end function px_native_fail

  integer(c_int) function return_none(result)
    type(px_native_result), intent(inout) :: result

    result%type = PX_NATIVE_NONE
    return_none = 0
  end function return_none

  integer(c_int) function return_integer(result, value)
    type(px_native_result), intent(inout) :: result
    integer(c_int), intent(in) :: value

    return_integer = return_long(result, int(value, c_int64_t))
  end function return_integer

  integer(c_int) function return_long(result, value)
    type(px_native_result), intent(inout) :: result
    integer(c_int64_t), intent(in) :: value

    result%type = PX_NATIVE_INT
    result%integer = value
    return_long = 0
  end function return_long

  integer(c_int) function return_real(result, value)
    type(px_native_result), intent(inout) :: result
    real(c_double), intent(in) :: value

    result%type = PX_NATIVE_DOUBLE
    result%real = value
    return_real = 0
  end function return_real

  integer(c_int) function return_complex(result, value)
    type(px_native_result), intent(inout) :: result
    complex(c_double_complex), intent(in) :: value

    result%type = PX_NATIVE_COMPLEX
    result%real = real(value)
    result%imaginary = aimag(value)
    return_complex = 0
  end function return_complex

  integer(c_int) function return_logical(result, value)
    type(px_native_result), intent(inout) :: result
    logical, intent(in) :: value

    result%type = PX_NATIVE_BOOL
    result%integer = merge(1, 0, value)
    return_logical = 0
  end function return_logical

  ! As much of it as there is room for.
  integer(c_int) function return_characters(result, value)
    type(px_native_result), intent(inout) :: result
    character(*), intent(in) :: value
    integer :: i

    result%type = PX_NATIVE_CHARACTERS
    result%bytes = min(len(value), TEXT_MAX)
    do i = 1, int(result%bytes)
      result%text(i) = value(i:i)
    end do
    return_characters = 0
  end function return_characters
end module pxrun_native
