! SPDX-License-Identifier: BSD-3-Clause
!
! pools.f90 - a program of somebody else, in Fortran: each kind of thing in the module pxrun, once.
program pools
  use, intrinsic :: iso_fortran_env, only: error_unit
  use pxrun
  implicit none
  type(px_client) :: client
  type(px_view) :: all
  integer :: failures = 0

  call px_pool_start(client, engines=2, environment=['SHAPE=round', 'COLOUR=blue'])
  call px_view_all(client, all)
  call values()
  call received()
  call arrays()
  call errors()
  call parts()
  call limits()
  call native()
  call tasks()
  call pool()
  call px_view_free(all)
  call px_client_detach(client)
  if (failures /= 0) error stop 1

contains

  subroutine expect(holds, what)
    logical, intent(in) :: holds
    character(*), intent(in) :: what

    if (holds) return
    failures = failures + 1
    write (error_unit, '(2a)') 'pools.f90: ', what
  end subroutine expect

  ! What str() makes of an argument.
  function text(arg)
    type(px_arg), intent(in) :: arg
    character(:), allocatable :: text
    type(px_result) :: result

    call px_view_call(all, 'builtins:str', result, [arg])
    call px_result_wait(result)
    call px_result_value(result, 2, text)
    call px_result_free(result)
  end function text

  subroutine values()
    integer(int64) :: ids(0)

    call expect(text(px_arg(-7)) == '-7', 'an integer')
    call expect(text(px_arg(huge(1_int64))) == '9223372036854775807', 'a long integer')
    call expect(text(px_arg(0.5)) == '0.5', 'a real')
    call expect(text(px_arg((1d0, 2d0))) == '(1+2j)', 'a complex')
    call expect(text(px_arg(.true.)) == 'True' .and. text(px_arg(.false._c_bool)) == 'False', 'logicals')
    call expect(text(px_arg('a b ')) == 'a b ' .and. len(text(px_arg('a b '))) == 4, 'characters')
    call expect(text(px_none()) == 'None', 'nothing')
    call expect(text(px_bytes('ab')) == "b'ab'", 'bytes')
    call expect(text(px_list([px_arg(1), px_arg('two'), px_list([px_arg(.true.)])])) == "[1, 'two', [True]]", 'a list')
    call expect(text(px_dict(['Ada ', 'Emmy'], [px_arg(36), px_arg(53)])) == "{'Ada': 36, 'Emmy': 53}", 'a dict')
    call expect(text(px_arg(ids)) == '[]', 'an array without elements')
  end subroutine values

  subroutine received()
    type(px_result) :: result
    type(px_value) :: value, item, key
    character(:), allocatable :: word
    complex(real64) :: z
    real(real64) :: x
    integer(int32) :: i
    integer :: ierr

    call px_view_call(all, 'builtins:sorted', result, [px_list([px_arg('b'), px_arg('c')])], px_dict(['reverse'], [px_arg(.true.)]))
    call px_result_wait(result)
    call px_result_value(result, 1, value)
    call expect(value%type == PX_TYPE_LIST .and. px_value_count(value) == 2, 'a list comes back')
    call px_value_item(value, 1, item)
    call px_value_as(item, word)
    call expect(word == 'c', 'keywords')
    call px_value_item(value, 3, item, ierr=ierr)
    call expect(ierr == PX_EINVAL .and. px_error_message() /= '', 'there is no such item')
    call px_result_free(result)

    call px_view_push(all, 'd', px_dict(['one', 'two'], [px_arg((0d0, 1d0)), px_arg(2.5d0)]), result)
    call px_result_free(result)
    call px_view_pull(all, 'd', result)
    call px_result_wait(result)
    call px_result_value(result, 2, value)
    call px_value_get(value, 'one', item)
    call px_value_as(item, z)
    call px_value_item(value, 2, item, key)
    call px_value_as(item, x)
    call px_value_as(key, word)
    call expect(z == (0d0, 1d0) .and. x == 2.5d0 .and. word == 'two', 'a dict comes back')
    call px_value_as(item, i, ierr)
    call expect(ierr == PX_EINVAL, '2.5 is no integer')
    call px_result_free(result)
  end subroutine received

  subroutine arrays()
    real(real64), target :: a(3, 4)
    integer(int32), target :: cube(2, 3, 4), deep(1, 1, 1, 1, 1) = 0
    real(real64), pointer :: p(:, :), mine(:, :)
    integer(int32), pointer :: q(:, :, :)
    real(real32), pointer :: wrong(:, :)
    type(px_array) :: sent, got
    type(px_result) :: result
    integer(int64), allocatable :: shape(:)
    integer, allocatable :: ids(:)
    real(real64) :: x
    integer :: i, ierr

    nullify (p, mine, q, wrong) ! gfortran looks at them before a call, which valgrind would say
    a = reshape([(real(i, real64), i=1, 12)], [3, 4])
    cube = reshape([(i, i=1, 24)], [2, 3, 4])

    ! indices are those of the program
    call px_view_push(all, 'a', px_arg(a), result)
    call px_result_free(result)
    call px_view_execute(all, 'import numpy; x = float(a[2, 1]); f = a.flags.f_contiguous; b = numpy.asfortranarray(2 * a)', result)
    call px_result_wait(result)
    call px_result_free(result)
    call px_view_pull(all, 'x', result)
    call px_result_wait(result)
    call px_result_value(result, 1, x)
    call expect(x == a(3, 2), 'indices')
    call px_result_free(result)

    ! column-major elements come back by a pointer
    call px_view_pull(all, 'b', result)
    call px_result_wait(result)
    call px_result_array(result, 2, got)
    call px_result_free(result)
    call px_array_pointer(got, p)
    call expect(all_equal(p, 2 * a), 'a pointer to what came back')
    call px_array_wrap(deep, sent, ierr)
    call expect(ierr == PX_EINVAL, 'an array of five dimensions')
    call px_array_pointer(got, wrong, ierr=ierr)
    call expect(ierr == PX_EINVAL .and. index(px_error_message(), 'is real64, the pointer real32') > 0, &
      'a pointer of another kind')
    call px_array_unref(got)

    ! row-major ones with the dimensions reversed
    call px_view_call(all, 'numpy:ascontiguousarray', result, [px_arg(cube)])
    call px_result_wait(result)
    call px_result_array(result, 1, got)
    call px_result_free(result)
    call px_array_shape(got, shape)
    call px_array_pointer(got, q, ierr=ierr)
    call expect(ierr == PX_EINVAL, 'a row-major array has no such pointer')
    call px_array_pointer(got, q, reversed=.true.)
    call expect(size(shape) == 3 .and. shape(3) == 4 .and. q(4, 2, 1) == cube(1, 2, 4), 'dimensions the other way round')
    call px_array_unref(got)

    ! a section, by its strides
    call px_view_call(all, 'numpy:sum', result, [px_arg(a(3:1:-2, ::3))])
    call px_result_wait(result)
    call px_result_value(result, 1, x)
    call expect(x == sum(a(3:1:-2, ::3)), 'a section')
    call px_result_free(result)

    ! memory that engines see
    call px_array_alloc(client, PX_DTYPE_FLOAT64, [3_int64, 4_int64], sent)
    call px_array_unref(sent)
    call px_array_alloc(client, PX_DTYPE_FLOAT64, [3, 4], sent)
    call px_array_pointer(sent, mine)
    mine = a
    call px_view_call(all, 'numpy:sum', result, [px_arg(sent)])
    call px_result_wait(result)
    call px_result_value(result, 1, x)
    call px_result_free(result)
    call px_array_wait(sent)
    call px_array_holders(sent, ids)
    call expect(size(ids) == 0, 'nobody holds it any more')
    call px_array_save(sent, 'pools.npy')
    call px_array_load('pools.npy', got)
    open (newunit=i, file='pools.npy')
    close (i, status='delete')
    call px_array_pointer(got, p)
    call expect(all_equal(p, a), 'through a file')
    call px_array_unref(got)
    call expect(x == sum(a) .and. px_array_bytes(sent) == 96 .and. px_array_dtype(sent) == PX_DTYPE_FLOAT64, 'an array of the pool')
    call px_array_unref(sent)
  end subroutine arrays

  logical function all_equal(p, q)
    real(real64), intent(in) :: p(:, :), q(:, :)

    all_equal = size(p, 1) == size(q, 1) .and. size(p, 2) == size(q, 2)
    if (all_equal) all_equal = .not. any(abs(p - q) > 0)
  end function all_equal

  subroutine errors()
    type(px_result) :: result
    type(px_view) :: none
    type(px_client) :: nobody
    character(:), allocatable :: ename, evalue, output
    integer :: none_of(0), ierr, i

    call px_view_execute(all, "print('so far')"//new_line('a')//'1/0', result)
    call px_result_wait(result)
    call px_result_value(result, 1, i, ierr)
    call expect(ierr == PX_EREMOTE .and. index(px_error_message(), 'division by zero') > 0, 'what was raised')
    call px_result_error(result, 1, ename, evalue)
    call expect(ename == 'ZeroDivisionError' .and. evalue == 'division by zero', 'its name and words')
    call px_result_output(result, 2, 1, output)
    call expect(output == 'so far'//new_line('a'), 'what was printed')
    call px_result_free(result)
    call px_view_of(client, none_of, none, ierr)
    call expect(ierr == PX_EINVAL, 'no engines')
    call px_client_attach(nobody, 'nobody has this', ierr=ierr)
    call expect(ierr < 0 .and. px_last_code() == ierr .and. px_strerror(ierr) /= '', 'a pool that is not there')
  end subroutine errors

  subroutine parts()
    real(real64), target :: a(2, 5), doubled(2, 5)
    type(px_array) :: whole, back
    type(px_result) :: result
    type(px_value) :: value
    integer :: i, length, entry

    a = reshape([(real(i, real64), i=1, 10)], [2, 5])
    call px_array_wrap(a, whole)
    call px_array_wrap(doubled, back)
    call px_view_scatter(all, 'part', whole, result)
    call px_result_free(result)
    call px_view_execute(all, 'part = 2 * part', result)
    call px_result_free(result)
    call px_view_pull(all, 'part', result)
    call px_result_wait(result)
    call px_result_gather(result, back)
    call px_result_free(result)
    call expect(all_equal(doubled, 2 * a), 'parts go and come back')
    call px_array_unref(whole)
    call px_array_unref(back)

    call px_view_map(all, 'builtins:len', [px_arg('a'), px_arg('bb'), px_arg('ccc')], result)
    call px_result_wait(result)
    call px_result_item(result, 3, value)
    call px_value_as(value, length)
    call expect(length == 3, 'a map')
    call px_result_item_entry(result, 1, entry)
    call expect(entry == 1, 'the entry of an item')
    call px_result_free(result)
  end subroutine parts

  subroutine limits()
    type(px_result) :: both(2), dying
    type(px_times) :: times
    character(:), allocatable :: text
    integer :: which, signal_number, exit_code, ierr, i

    call px_view_execute(all, 'import time; time.sleep(20)', both(1), flags=PX_QUIET, timeout_ns=1000000000_int64)
    call px_view_execute(all, 'print(6 * 7)', both(2))
    call px_result_wait_any(both, which)
    call expect(which == 1, 'the limited one is first')
    call px_result_value(both(1), 2, i, ierr)
    call expect(ierr == PX_ETIMEDOUT, 'its time is up')
    call px_result_wait_output(both(2), 1, 1, 0)
    call px_result_output(both(2), 1, 1, text)
    call expect(text == '42'//new_line('a'), 'what is printed later')
    call px_result_wait(both(2))
    call px_result_times(both(2), 2, times)
    call expect(times%submitted_ns > 0 .and. times%submitted_ns <= times%completed_ns, 'times')
    call px_view_execute(all, 'import os; os._exit(3)', dying)
    call px_result_wait(dying)
    call px_result_death(dying, 2, signal_number, exit_code)
    call expect(signal_number == 0 .and. exit_code == 3, 'how an engine ended')
    call px_result_free(dying)
    do i = 1, 2
      call px_result_free(both(i))
    end do
  end subroutine limits

  subroutine native()
    real(real64), target :: x(3)
    type(px_library) :: library
    type(px_kernel) :: kernel
    type(px_result) :: result
    real(real64) :: total
    integer :: ierr

    x = [1, 2, 3]
    call px_library_load(all, './libscale.so', library)
    call px_kernel_find(library, 'scaled', kernel)
    call px_view_call_native(all, kernel, result, [px_arg(x), px_arg(10d0)])
    call px_result_wait(result)
    call px_result_value(result, 2, total)
    call px_result_free(result)
    call expect(nint(total) == 61, 'a native function')
    call px_view_call_native(all, kernel, result, [px_arg(1)])
    call px_result_wait(result)
    call px_result_value(result, 1, total, ierr)
    call expect(ierr == PX_EREMOTE .and. index(px_error_message(), 'x is an array') > 0, 'a native function may fail')
    call px_result_free(result)
    call px_library_free(library)
  end subroutine native

  subroutine pool()
    type(px_pool_info), allocatable :: pools(:)
    type(px_status) :: status
    type(px_engine_status) :: engine
    type(px_memory) :: memory
    type(px_result) :: result
    integer, allocatable :: ids(:)
    character(:), allocatable :: json, word
    integer :: first

    call px_client_status(client, status)
    call px_client_engine_status(client, 1, engine)
    call px_client_memory(client, memory)
    call px_client_status_json(client, json)
    call px_pool_list(pools)
    call expect(status%engines_up == 2 .and. status%clients == 1, "the pool's state")
    call expect(engine%pid > 0 .and. engine%state == PX_ENGINE_IS_UP, "an engine's state")
    call expect(memory%arena_bytes == status%arena_bytes .and. json(1:1) == '{', 'memory, and the state as JSON')
    call expect(any(pools%supervisor_pid == status%supervisor_pid), 'the list of pools')
    call px_client_add_engines(client, 1, first)
    call px_client_engines(client, ids)
    call expect(first == 2 .and. size(ids) == 3, 'an engine more')
    call px_client_remove_engine(client, first)
    call px_client_restart_engine(client, 1)
    call px_view_call(all, 'os:getenv', result, [px_arg('COLOUR')])
    call px_result_wait(result)
    call px_result_value(result, 2, word)
    call expect(word == 'blue', 'a variable of the engines')
    call px_result_free(result)
  end subroutine pool

  subroutine tasks()
    type(px_view) :: any_engine
    type(px_result) :: kept(20), result
    integer :: i
    real(real64) :: root, total

    call px_view_any(client, any_engine)
    do i = 1, 20
      call px_view_call(any_engine, 'math:sqrt', kept(i), [px_arg(i**2)], retries=1)
    end do
    total = 0
    do i = 1, 20
      call px_client_next(client, result)
      call px_result_value(result, 1, root)
      total = total + root
      call px_result_free(result)
    end do
    call expect(nint(total) == 210, 'tasks, as they finish')
    call px_view_free(any_engine)
  end subroutine tasks
end program pools
