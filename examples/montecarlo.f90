! SPDX-License-Identifier: BSD-3-Clause
!
! montecarlo.f90 - the volume of the ball in 2 to 8 dimensions, by random points on four Python engines, from
! Fortran.
!
!     gfortran montecarlo.f90 $(pkg-config --cflags --libs pxrun-fortran) && ./a.out
program montecarlo
  use pxrun
  implicit none
  integer, parameter :: TASKS = 40, POINTS = 100000, DIMENSIONS = 8
  character, parameter :: NL = new_line('a')

  ! Runs on the engines: of so many points in the cube, how many lie in the ball, for each dimension.
  character(*), parameter :: definition = &
    'import numpy'//NL// &
    'def inside(seed, points, dimensions):'//NL// &
    '    x = numpy.random.default_rng(seed).uniform(-1, 1, (points, dimensions))'//NL// &
    '    return numpy.count_nonzero(numpy.cumsum(x * x, axis=1) <= 1, axis=0)'//NL

  type(px_client) :: client
  type(px_view) :: all, any_engine
  type(px_result) :: result
  type(px_value) :: nothing
  type(px_array) :: array
  integer(int64), pointer :: part(:)
  integer(int64) :: counted(DIMENSIONS)
  real(real64) :: estimate, expected, deviation
  integer :: i, d
  logical :: agrees

  call px_pool_start(client, engines=4)
  call px_view_all(client, all)
  call px_view_execute(all, definition, result)
  call px_result_wait(result)
  do i = 1, px_result_count(result)
    call px_result_value(result, i, nothing)
  end do
  call px_result_free(result)
  call px_view_free(all)

  call px_view_any(client, any_engine)
  do i = 1, TASKS
    call px_view_call(any_engine, 'inside', result, [px_arg(i), px_arg(POINTS), px_arg(DIMENSIONS)])
  end do
  counted = 0
  do i = 1, TASKS ! as they finish
    call px_client_next(client, result)
    call px_result_array(result, 1, array)
    call px_array_pointer(array, part)
    counted = counted + part
    call px_array_unref(array)
    call px_result_free(result)
  end do
  call px_view_free(any_engine)
  call px_client_detach(client)

  agrees = .true.
  do d = 2, DIMENSIONS
    expected = acos(-1d0)**(d / 2d0) / gamma(d / 2d0 + 1)
    estimate = 2d0**d * counted(d) / (real(TASKS, real64) * POINTS)
    deviation = sqrt(expected * (2d0**d - expected) / (real(TASKS, real64) * POINTS))
    print '(i4, a, f8.5, a, f8.5, a, f7.5)', d, ' dimensions: ', estimate, ', should be ', expected, ' +- ', deviation
    agrees = agrees .and. abs(estimate - expected) < 5 * deviation
  end do
  if (.not. agrees) error stop 1
end program montecarlo
