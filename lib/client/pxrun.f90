! SPDX-License-Identifier: BSD-3-Clause
!
! pxrun.f90 - the module pxrun: a pool of Python engines on this machine, from Fortran.
!
!  use pxrun
!  type(px_client) :: client
!  type(px_view) :: all
!  type(px_result) :: sums
!  real(real64) :: sum
!
!  call px_pool_start(client, engines=4)
!  call px_view_all(client, all)
!  call px_view_call(all, 'math:hypot', sums, [px_arg(3), px_arg(4)])
!  call px_result_wait(sums)
!  call px_result_value(sums, 1, sum)
!
! The names are those of pxrun.h, and so is what they do, wait for, and may be used for by threads:
! libpxrun(3). What is different:
!
!   errors     The last argument of a subroutine, ierr, is optional: 0, or one of PX_E…, and then
!              px_error_message() has the words. Without it a failure stops the program with them.
!   handles    Types with one component, the C handle; what frees them sets it to null. They are not
!              freed by themselves.
!   arguments  px_arg(x) of a number, a logical, characters (with their trailing blanks), a px_array or an
!              array of rank 1 to 4 is one argument of one request, or one item of px_list() or px_dict():
!              these use it up, also if they fail. An array is lent, in place and with its strides: it must be
!              there until the request was sent, so it is a variable with the target attribute and no
!              expression. Engines see its indices as the program has them, a(i, j) as a[i - 1, j - 1].
!   numbers    Entries of a result, items of a list and dimensions count from 1, engines' ids from 0. Times
!              are integer(int64) nanoseconds; without one there is no limit.
!   characters Names, paths and code are taken without trailing blanks.
!
! Compile with a Fortran 2018 compiler: gfortran 10 or newer.
module pxrun
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: error_unit, int8, int16, int32, int64, real32, real64
  implicit none
  private

  public :: int8, int16, int32, int64, real32, real64, c_bool
  public :: px_client, px_view, px_result, px_array, px_library, px_kernel, px_value, px_arg
  public :: px_error_message, px_last_code, px_strerror, px_version
  public :: px_pool_start, px_pool_stop, px_pool_list, px_pool_info
  public :: px_client_attach, px_client_detach, px_client_engines, px_client_next, px_client_fd, px_client_poll
  public :: px_client_stop_pool, px_client_signal, px_client_add_engines, px_client_restart_engine, px_client_remove_engine
  public :: px_client_status, px_client_status_json, px_client_engine_status, px_client_memory, px_client_trim
  public :: px_status, px_engine_status, px_memory
  public :: px_none, px_bytes, px_list, px_dict
  public :: px_value_as, px_value_count, px_value_item, px_value_get
  public :: px_array_alloc, px_array_wrap, px_array_pointer, px_array_shape, px_array_dtype, px_array_bytes
  public :: px_array_ref, px_array_unref, px_array_wait, px_array_holders, px_array_load, px_array_save
  public :: px_view_all, px_view_of, px_view_any, px_view_any_of, px_view_free
  public :: px_view_noop, px_view_execute, px_view_call, px_view_push, px_view_pull
  public :: px_result_wait, px_result_ready, px_result_count, px_result_engine, px_result_value, px_result_array
  public :: px_result_error, px_result_output, px_result_interrupt, px_result_cancel, px_result_abort, px_result_free
  public :: px_result_wait_any, px_result_wait_output, px_result_death, px_result_times, px_times
  public :: px_result_set_user, px_result_user
  public :: px_view_scatter, px_view_map, px_result_item, px_result_item_entry, px_result_gather
  public :: px_library_load, px_library_free, px_kernel_find, px_view_call_native

  integer, parameter, public :: PX_EINVAL = -1, PX_ENOMEM = -2, PX_ETIMEDOUT = -3, PX_ECORRUPT = -4, PX_EENGINE = -5, &
    PX_EREMOTE = -6, PX_EPOOL = -7, PX_ENOPOOL = -8, PX_EEXIST = -9, PX_ESYSTEM = -10, PX_EAGAIN = -11, &
    PX_EVERSION = -12, PX_EINTR = -13, PX_ECLOSED = -14, PX_EABORTED = -15, PX_EPERM = -16

  enum, bind(c)
    enumerator :: PX_TYPE_NONE, PX_TYPE_BOOL, PX_TYPE_INT, PX_TYPE_DOUBLE, PX_TYPE_STRING, PX_TYPE_BYTES, PX_TYPE_LIST, &
      PX_TYPE_ARRAY, PX_TYPE_OBJECT, PX_TYPE_UINT, PX_TYPE_COMPLEX, PX_TYPE_DICT
  end enum
  public :: PX_TYPE_NONE, PX_TYPE_BOOL, PX_TYPE_INT, PX_TYPE_DOUBLE, PX_TYPE_STRING, PX_TYPE_BYTES, PX_TYPE_LIST, &
    PX_TYPE_ARRAY, PX_TYPE_OBJECT, PX_TYPE_UINT, PX_TYPE_COMPLEX, PX_TYPE_DICT

  integer(c_int), parameter, public :: PX_DTYPE_INT8 = int(z'0008'), PX_DTYPE_INT16 = int(z'0010'), &
    PX_DTYPE_INT32 = int(z'0020'), PX_DTYPE_INT64 = int(z'0040'), PX_DTYPE_UINT8 = int(z'0108'), &
    PX_DTYPE_UINT16 = int(z'0110'), PX_DTYPE_UINT32 = int(z'0120'), PX_DTYPE_UINT64 = int(z'0140'), &
    PX_DTYPE_FLOAT16 = int(z'0210'), PX_DTYPE_FLOAT32 = int(z'0220'), PX_DTYPE_FLOAT64 = int(z'0240'), &
    PX_DTYPE_COMPLEX64 = int(z'0540'), PX_DTYPE_COMPLEX128 = int(z'0580'), PX_DTYPE_BOOL = int(z'0608')
  integer, parameter, public :: PX_ARRAY_LIVE = 1, PX_ARRAY_FORTRAN = 2, PX_ARRAY_ZERO = 4

  integer(int64), parameter, public :: PX_FOREVER = -1_int64
  integer, parameter, public :: PX_ENGINES_MAX = 512, PX_NDIM_MAX = 32
  integer, parameter, public :: PX_NO_ENGINE = -1
  integer, parameter :: RANKS = 4 ! of arrays of the program

  ! Of the last failure that is this module's own, else blank.
  character(80) :: own_words = ''

  type :: px_client
    type(c_ptr) :: c = c_null_ptr
  end type px_client
  type :: px_view
    type(c_ptr) :: c = c_null_ptr
  end type px_view
  type :: px_result
    type(c_ptr) :: c = c_null_ptr
  end type px_result
  type :: px_array
    type(c_ptr) :: c = c_null_ptr
  end type px_array

  type :: px_library
    type(c_ptr) :: c = c_null_ptr
  end type px_library
  type :: px_kernel ! belongs to its library
    type(c_ptr) :: c = c_null_ptr
  end type px_kernel

  ! A struct px_value that was received: its memory is the result's.
  type, bind(c) :: px_value
    integer(c_int) :: type = PX_TYPE_NONE ! one of PX_TYPE_…
    integer(c_int64_t) :: word(3) = 0
  end type px_value

  ! One that is sent, whose memory is of C's malloc(): spent() ends it.
  type, bind(c) :: px_arg
    private
    integer(c_int) :: type = PX_TYPE_NONE
    integer(c_int64_t) :: word(3) = 0
  end type px_arg

  type, bind(c) :: c_how
    integer(c_size_t) :: size = 0
    integer(c_int) :: flags = 0
    integer(c_int32_t) :: retries = 0
    type(c_ptr) :: user = c_null_ptr
    integer(c_int64_t) :: timeout_ns = 0
  end type c_how
  ! Of px_view_scatter() and px_result_gather().
  integer(c_int), parameter, public :: PX_BLOCK = 0, PX_CYCLIC = 1
  ! Flags of requests.
  integer, parameter, public :: PX_NOWAIT = 1, PX_URGENT = 2, PX_QUIET = 4

  type, bind(c) :: c_pool_options
    integer(c_size_t) :: size = 0
    type(c_ptr) :: profile = c_null_ptr
    integer(c_int32_t) :: engines = 0
    integer(c_int64_t) :: arena_bytes = 0
    type(c_ptr) :: restart = c_null_ptr
    type(c_ptr) :: event_loop = c_null_ptr
    type(c_ptr) :: python = c_null_ptr
    type(c_ptr) :: preload = c_null_ptr
    type(c_ptr) :: sys_path = c_null_ptr
    type(c_ptr) :: command = c_null_ptr
    integer(c_int64_t) :: quota_bytes = 0
    type(c_ptr) :: huge_pages = c_null_ptr
    type(c_ptr) :: environment = c_null_ptr
    integer(c_int64_t) :: start_timeout_ns = 0
    integer(c_int) :: log_fd = 0, native = 0
  end type c_pool_options

  ! The structs of pxrun.h of these names.
  type, bind(c) :: px_status
    integer(c_size_t) :: size = 0
    integer(c_int) :: supervisor_pid = 0
    integer(c_int32_t) :: engines_up = 0, engines_starting = 0, engines_gone = 0, clients = 0
    integer(c_int64_t) :: arena_bytes = 0, free_bytes = 0, uptime_ns = 0
  end type px_status
  type, bind(c) :: px_engine_status
    integer(c_size_t) :: size = 0
    integer(c_int) :: pid = 0, state = 0 ! one of PX_ENGINE_IS_…
    integer(c_int64_t) :: queued = 0, done = 0, rss_bytes = 0
    integer(c_int32_t) :: restarts = 0
    integer(c_int) :: busy = 0
    integer(c_int64_t) :: busy_ns = 0, arena_bytes = 0
  end type px_engine_status
  type, bind(c) :: px_memory
    integer(c_size_t) :: size = 0
    integer(c_int64_t) :: mine_bytes = 0, lent_bytes = 0, warm_bytes = 0, arena_bytes = 0, free_bytes = 0
  end type px_memory
  type, bind(c) :: px_times
    integer(c_size_t) :: size = 0
    integer(c_int64_t) :: submitted_ns = 0, started_ns = 0, completed_ns = 0, received_ns = 0
  end type px_times
  integer, parameter, public :: PX_ENGINE_IS_STARTING = 1, PX_ENGINE_IS_UP = 2, PX_ENGINE_IS_GONE = 3

  ! One of this user's pools that run.
  type :: px_pool_info
    character(:), allocatable :: profile, connection_file, started
    integer :: supervisor_pid = 0, engines = 0
  end type px_pool_info
  type, bind(c) :: c_pool_info
    integer(c_size_t) :: size
    type(c_ptr) :: profile
    integer(c_int) :: supervisor_pid
    integer(c_int32_t) :: engines
    type(c_ptr) :: connection_file, started
  end type c_pool_info
  ! What px_pool_list() fills.
  type :: pool_list
    type(px_pool_info), allocatable :: pools(:)
  end type pool_list

  ! Where an array of the program lies.
  type :: place
    integer(c_int) :: dtype
    integer :: item_bytes, rank
    integer(c_int64_t) :: shape(RANKS) = 0
    type(c_ptr) :: first = c_null_ptr ! its first element
    type(c_ptr) :: next(RANKS) = c_null_ptr ! the second one of each dimension, if it has two
  end type place

  ! One argument: of a number, a logical, characters, an array of the program, or a px_array.
  interface px_arg
    procedure :: arg_int8, arg_int16, arg_int32, arg_int64, arg_real32, arg_real64, arg_complex64, arg_complex128
    procedure :: arg_bool, arg_logical, arg_characters, arg_array
  end interface px_arg

  ! px_array_alloc(client, dtype, shape, array [, flags] [, ierr]): a new array in memory that engines can see,
  ! column-major unless flags say otherwise. Its shape is of either kind of integers.
  interface px_array_alloc
    procedure :: alloc_int32, alloc_int64
  end interface px_array_alloc

  ! px_array_wrap(x, array [, ierr]): an array of the program, which has to outlive it.
  interface px_array_wrap
    procedure :: wrap_int8, wrap_int16, wrap_int32, wrap_int64, wrap_real32, wrap_real64, wrap_complex64
    procedure :: wrap_complex128, wrap_bool
  end interface px_array_wrap

  ! px_array_pointer(array, p [, reversed] [, ierr]): the elements themselves, of the same kind and rank.
  ! An array of more than one dimension must be column-major; of one that is row-major, as those of numpy
  ! mostly are, a pointer is had by reversed=.true., with the dimensions the other way round.
  interface px_array_pointer
    procedure :: pointer_int8, pointer_int16, pointer_int32, pointer_int64, pointer_real32, pointer_real64
    procedure :: pointer_complex64, pointer_complex128, pointer_bool
  end interface px_array_pointer

  ! px_value_as(value, x [, ierr]): as a number, a logical or allocatable characters; PX_EINVAL if it is none, or does
  ! not fit.
  interface px_value_as
    procedure :: as_int32, as_int64, as_real32, as_real64, as_complex64, as_complex128, as_logical, as_characters
  end interface px_value_as

  ! px_result_value(result, index, x [, ierr]): that of an entry, as a px_value or as px_value_as() gives it. It
  ! fails with what became of the entry.
  interface px_result_value
    procedure :: value_itself, value_int32, value_int64, value_real32, value_real64, value_complex64
    procedure :: value_complex128, value_logical, value_characters
  end interface px_result_value

  interface
    function c_last_code() bind(c, name='px_last_code')
      import
      integer(c_int) :: c_last_code
    end function c_last_code
    function c_last_error() bind(c, name='px_last_error')
      import
      type(c_ptr) :: c_last_error
    end function c_last_error
    function c_strerror(code) bind(c, name='px_strerror')
      import
      type(c_ptr) :: c_strerror
      integer(c_int), value :: code
    end function c_strerror
    function c_version() bind(c, name='px_version')
      import
      type(c_ptr) :: c_version
    end function c_version
    function c_pool_start(options, client) bind(c, name='px_pool_start')
      import
      integer(c_int) :: c_pool_start
      type(c_ptr), value :: options
      type(c_ptr), intent(out) :: client
    end function c_pool_start
    function c_pool_stop(profile, timeout_ns) bind(c, name='px_pool_stop')
      import
      integer(c_int) :: c_pool_stop
      type(c_ptr), value :: profile
      integer(c_int64_t), value :: timeout_ns
    end function c_pool_stop
    function c_pool_list(each, ctx) bind(c, name='px_pool_list')
      import
      integer(c_int) :: c_pool_list
      type(c_funptr), value :: each
      type(c_ptr), value :: ctx
    end function c_pool_list
    function c_client_attach(profile, timeout_ns, client) bind(c, name='px_client_attach')
      import
      integer(c_int) :: c_client_attach
      type(c_ptr), value :: profile
      integer(c_int64_t), value :: timeout_ns
      type(c_ptr), intent(out) :: client
    end function c_client_attach
    subroutine c_client_detach(client) bind(c, name='px_client_detach')
      import
      type(c_ptr), value :: client
    end subroutine c_client_detach
    function c_client_next(client, timeout_ns, result) bind(c, name='px_client_next')
      import
      integer(c_int) :: c_client_next
      type(c_ptr), value :: client
      integer(c_int64_t), value :: timeout_ns
      type(c_ptr), intent(out) :: result
    end function c_client_next
    function c_client_fd(client) bind(c, name='px_client_fd')
      import
      integer(c_int) :: c_client_fd
      type(c_ptr), value :: client
    end function c_client_fd
    function c_client_poll(client) bind(c, name='px_client_poll')
      import
      integer(c_int) :: c_client_poll
      type(c_ptr), value :: client
    end function c_client_poll
    function c_client_engines(client, ids, cap) bind(c, name='px_client_engines')
      import
      integer(c_int) :: c_client_engines
      type(c_ptr), value :: client
      integer(c_int32_t), intent(inout) :: ids(*)
      integer(c_size_t), value :: cap
    end function c_client_engines
    function c_client_stop_pool(client, timeout_ns) bind(c, name='px_client_stop_pool')
      import
      integer(c_int) :: c_client_stop_pool
      type(c_ptr), value :: client
      integer(c_int64_t), value :: timeout_ns
    end function c_client_stop_pool
    function c_client_signal(client, engine, signal_number, timeout_ns) bind(c, name='px_client_signal')
      import
      integer(c_int) :: c_client_signal
      type(c_ptr), value :: client
      integer(c_int32_t), value :: engine
      integer(c_int), value :: signal_number
      integer(c_int64_t), value :: timeout_ns
    end function c_client_signal
    function c_client_add_engines(client, count, timeout_ns, first) bind(c, name='px_client_add_engines')
      import
      integer(c_int) :: c_client_add_engines
      type(c_ptr), value :: client
      integer(c_int32_t), value :: count
      integer(c_int64_t), value :: timeout_ns
      integer(c_int32_t), intent(inout) :: first
    end function c_client_add_engines
    function c_client_restart_engine(client, engine, timeout_ns) bind(c, name='px_client_restart_engine')
      import
      integer(c_int) :: c_client_restart_engine
      type(c_ptr), value :: client
      integer(c_int32_t), value :: engine
      integer(c_int64_t), value :: timeout_ns
    end function c_client_restart_engine
    function c_client_remove_engine(client, engine, timeout_ns) bind(c, name='px_client_remove_engine')
      import
      integer(c_int) :: c_client_remove_engine
      type(c_ptr), value :: client
      integer(c_int32_t), value :: engine
      integer(c_int64_t), value :: timeout_ns
    end function c_client_remove_engine
    function c_client_status_json(client, json) bind(c, name='px_client_status_json')
      import
      integer(c_int) :: c_client_status_json
      type(c_ptr), value :: client
      type(c_ptr), intent(out) :: json
    end function c_client_status_json
    function c_client_status(client, status) bind(c, name='px_client_status')
      import
      integer(c_int) :: c_client_status
      type(c_ptr), value :: client
      type(px_status), intent(inout) :: status
    end function c_client_status
    function c_client_engine_status(client, engine, status) bind(c, name='px_client_engine_status')
      import
      integer(c_int) :: c_client_engine_status
      type(c_ptr), value :: client
      integer(c_int32_t), value :: engine
      type(px_engine_status), intent(inout) :: status
    end function c_client_engine_status
    function c_client_memory(client, memory) bind(c, name='px_client_memory')
      import
      integer(c_int) :: c_client_memory
      type(c_ptr), value :: client
      type(px_memory), intent(inout) :: memory
    end function c_client_memory
    function c_client_trim(client) bind(c, name='px_client_trim')
      import
      integer(c_int64_t) :: c_client_trim
      type(c_ptr), value :: client
    end function c_client_trim
    function c_value_get(dict, key, out) bind(c, name='px_value_get')
      import
      integer(c_int) :: c_value_get
      type(px_value), intent(in) :: dict
      character(kind=c_char), intent(in) :: key(*)
      type(px_value), intent(inout) :: out
    end function c_value_get
    function c_value_as_int64(value, out) bind(c, name='px_value_as_int64')
      import
      integer(c_int) :: c_value_as_int64
      type(px_value), intent(in) :: value
      integer(c_int64_t), intent(inout) :: out
    end function c_value_as_int64
    function c_value_as_double(value, out) bind(c, name='px_value_as_double')
      import
      integer(c_int) :: c_value_as_double
      type(px_value), intent(in) :: value
      real(c_double), intent(inout) :: out
    end function c_value_as_double
    function c_value_as_text(value, out) bind(c, name='px_value_as_text')
      import
      integer(c_int) :: c_value_as_text
      type(px_value), intent(in) :: value
      type(c_ptr), intent(out) :: out
    end function c_value_as_text
    function c_array_alloc(client, dtype, ndim, shape, flags, array) bind(c, name='px_array_alloc')
      import
      integer(c_int) :: c_array_alloc
      type(c_ptr), value :: client
      integer(c_int), value :: dtype
      integer(c_int), value :: ndim
      integer(c_int64_t), intent(in) :: shape(*)
      integer(c_int), value :: flags
      type(c_ptr), intent(out) :: array
    end function c_array_alloc
    function c_array_wrap(data, dtype, ndim, shape, strides, array) bind(c, name='px_array_wrap')
      import
      integer(c_int) :: c_array_wrap
      type(c_ptr), value :: data
      integer(c_int), value :: dtype
      integer(c_int), value :: ndim
      integer(c_int64_t), intent(in) :: shape(*)
      integer(c_int64_t), intent(in) :: strides(*)
      type(c_ptr), intent(out) :: array
    end function c_array_wrap
    subroutine c_array_ref(array) bind(c, name='px_array_ref')
      import
      type(c_ptr), value :: array
    end subroutine c_array_ref
    subroutine c_array_unref(array) bind(c, name='px_array_unref')
      import
      type(c_ptr), value :: array
    end subroutine c_array_unref
    function c_array_data(array) bind(c, name='px_array_data')
      import
      type(c_ptr) :: c_array_data
      type(c_ptr), value :: array
    end function c_array_data
    function c_array_ndim(array) bind(c, name='px_array_ndim')
      import
      integer(c_int) :: c_array_ndim
      type(c_ptr), value :: array
    end function c_array_ndim
    function c_array_shape(array) bind(c, name='px_array_shape')
      import
      type(c_ptr) :: c_array_shape
      type(c_ptr), value :: array
    end function c_array_shape
    function c_array_strides(array) bind(c, name='px_array_strides')
      import
      type(c_ptr) :: c_array_strides
      type(c_ptr), value :: array
    end function c_array_strides
    function c_array_dtype(array) bind(c, name='px_array_dtype')
      import
      integer(c_int) :: c_array_dtype
      type(c_ptr), value :: array
    end function c_array_dtype
    function c_array_bytes(array) bind(c, name='px_array_bytes')
      import
      integer(c_int64_t) :: c_array_bytes
      type(c_ptr), value :: array
    end function c_array_bytes
    function c_array_wait(array, timeout_ns) bind(c, name='px_array_wait')
      import
      integer(c_int) :: c_array_wait
      type(c_ptr), value :: array
      integer(c_int64_t), value :: timeout_ns
    end function c_array_wait
    function c_array_holders(array, engines, cap) bind(c, name='px_array_holders')
      import
      integer(c_int) :: c_array_holders
      type(c_ptr), value :: array
      integer(c_int32_t), intent(inout) :: engines(*)
      integer(c_size_t), value :: cap
    end function c_array_holders
    function c_array_load(client, npy, array) bind(c, name='px_array_load')
      import
      integer(c_int) :: c_array_load
      type(c_ptr), value :: client
      character(kind=c_char), intent(in) :: npy(*)
      type(c_ptr), intent(out) :: array
    end function c_array_load
    function c_array_save(array, npy) bind(c, name='px_array_save')
      import
      integer(c_int) :: c_array_save
      type(c_ptr), value :: array
      character(kind=c_char), intent(in) :: npy(*)
    end function c_array_save
    function c_view_all(client, view) bind(c, name='px_view_all')
      import
      integer(c_int) :: c_view_all
      type(c_ptr), value :: client
      type(c_ptr), intent(out) :: view
    end function c_view_all
    function c_view_of(client, ids, count, view) bind(c, name='px_view_of')
      import
      integer(c_int) :: c_view_of
      type(c_ptr), value :: client
      integer(c_int32_t), intent(inout) :: ids(*)
      integer(c_size_t), value :: count
      type(c_ptr), intent(out) :: view
    end function c_view_of
    function c_view_any(client, view) bind(c, name='px_view_any')
      import
      integer(c_int) :: c_view_any
      type(c_ptr), value :: client
      type(c_ptr), intent(out) :: view
    end function c_view_any
    function c_view_any_of(client, ids, count, view) bind(c, name='px_view_any_of')
      import
      integer(c_int) :: c_view_any_of
      type(c_ptr), value :: client
      integer(c_int32_t), intent(inout) :: ids(*)
      integer(c_size_t), value :: count
      type(c_ptr), intent(out) :: view
    end function c_view_any_of
    subroutine c_view_free(view) bind(c, name='px_view_free')
      import
      type(c_ptr), value :: view
    end subroutine c_view_free
    function c_view_noop(view, how, result) bind(c, name='px_view_noop')
      import
      integer(c_int) :: c_view_noop
      type(c_ptr), value :: view
      type(c_how), intent(in) :: how
      type(c_ptr), intent(out) :: result
    end function c_view_noop
    function c_view_execute(view, code, how, result) bind(c, name='px_view_execute')
      import
      integer(c_int) :: c_view_execute
      type(c_ptr), value :: view
      character(kind=c_char), intent(in) :: code(*)
      type(c_how), intent(in) :: how
      type(c_ptr), intent(out) :: result
    end function c_view_execute
    function c_view_call(view, function, argc, argv, keywords, how, result) bind(c, name='px_view_call')
      import
      integer(c_int) :: c_view_call
      type(c_ptr), value :: view
      character(kind=c_char), intent(in) :: function(*)
      integer(c_size_t), value :: argc
      type(px_arg), intent(in) :: argv(*)
      type(c_ptr), value :: keywords
      type(c_how), intent(in) :: how
      type(c_ptr), intent(out) :: result
    end function c_view_call
    function c_view_push(view, name, value, how, result) bind(c, name='px_view_push')
      import
      integer(c_int) :: c_view_push
      type(c_ptr), value :: view
      character(kind=c_char), intent(in) :: name(*)
      type(px_arg), intent(in) :: value
      type(c_how), intent(in) :: how
      type(c_ptr), intent(out) :: result
    end function c_view_push
    function c_view_pull(view, name, how, result) bind(c, name='px_view_pull')
      import
      integer(c_int) :: c_view_pull
      type(c_ptr), value :: view
      character(kind=c_char), intent(in) :: name(*)
      type(c_how), intent(in) :: how
      type(c_ptr), intent(out) :: result
    end function c_view_pull
    function c_result_set_user(result, user) bind(c, name='px_result_set_user')
      import
      integer(c_int) :: c_result_set_user
      type(c_ptr), value :: result
      type(c_ptr), value :: user
    end function c_result_set_user
    function c_result_user(result) bind(c, name='px_result_user')
      import
      type(c_ptr) :: c_result_user
      type(c_ptr), value :: result
    end function c_result_user
    function c_result_wait(result, timeout_ns) bind(c, name='px_result_wait')
      import
      integer(c_int) :: c_result_wait
      type(c_ptr), value :: result
      integer(c_int64_t), value :: timeout_ns
    end function c_result_wait
    function c_result_ready(result) bind(c, name='px_result_ready')
      import
      integer(c_int) :: c_result_ready
      type(c_ptr), value :: result
    end function c_result_ready
    function c_result_count(result) bind(c, name='px_result_count')
      import
      integer(c_size_t) :: c_result_count
      type(c_ptr), value :: result
    end function c_result_count
    function c_result_engine(result, index) bind(c, name='px_result_engine')
      import
      integer(c_int32_t) :: c_result_engine
      type(c_ptr), value :: result
      integer(c_size_t), value :: index
    end function c_result_engine
    function c_result_value(result, index, value) bind(c, name='px_result_value')
      import
      integer(c_int) :: c_result_value
      type(c_ptr), value :: result
      integer(c_size_t), value :: index
      type(px_value), intent(inout) :: value
    end function c_result_value
    function c_result_array(result, index, array) bind(c, name='px_result_array')
      import
      integer(c_int) :: c_result_array
      type(c_ptr), value :: result
      integer(c_size_t), value :: index
      type(c_ptr), intent(out) :: array
    end function c_result_array
    function c_result_error(result, index, ename, evalue, traceback) bind(c, name='px_result_error')
      import
      integer(c_int) :: c_result_error
      type(c_ptr), value :: result
      integer(c_size_t), value :: index
      type(c_ptr), intent(out) :: ename
      type(c_ptr), intent(out) :: evalue
      type(c_ptr), intent(out) :: traceback
    end function c_result_error
    function c_result_output(result, index, which, from, to, cap, got) bind(c, name='px_result_output')
      import
      integer(c_int) :: c_result_output
      type(c_ptr), value :: result
      integer(c_size_t), value :: index
      integer(c_int), value :: which
      integer(c_int64_t), value :: from
      type(c_ptr), value :: to
      integer(c_size_t), value :: cap
      integer(c_size_t), intent(inout) :: got
    end function c_result_output
    function c_result_wait_any(results, n, timeout_ns, which) bind(c, name='px_result_wait_any')
      import
      integer(c_int) :: c_result_wait_any
      type(c_ptr), intent(in) :: results(*)
      integer(c_size_t), value :: n
      integer(c_int64_t), value :: timeout_ns
      integer(c_size_t), intent(inout) :: which
    end function c_result_wait_any
    function c_result_wait_output(result, index, which, from, timeout_ns) bind(c, name='px_result_wait_output')
      import
      integer(c_int) :: c_result_wait_output
      type(c_ptr), value :: result
      integer(c_size_t), value :: index
      integer(c_int), value :: which
      integer(c_int64_t), value :: from
      integer(c_int64_t), value :: timeout_ns
    end function c_result_wait_output
    function c_result_death(result, index, signal_number, exit_code) bind(c, name='px_result_death')
      import
      integer(c_int) :: c_result_death
      type(c_ptr), value :: result
      integer(c_size_t), value :: index
      integer(c_int), intent(inout) :: signal_number
      integer(c_int), intent(inout) :: exit_code
    end function c_result_death
    function c_result_times(result, index, times) bind(c, name='px_result_times')
      import
      integer(c_int) :: c_result_times
      type(c_ptr), value :: result
      integer(c_size_t), value :: index
      type(px_times), intent(inout) :: times
    end function c_result_times
    function c_result_interrupt(result, index) bind(c, name='px_result_interrupt')
      import
      integer(c_int) :: c_result_interrupt
      type(c_ptr), value :: result
      integer(c_size_t), value :: index
    end function c_result_interrupt
    function c_result_cancel(result, index) bind(c, name='px_result_cancel')
      import
      integer(c_int) :: c_result_cancel
      type(c_ptr), value :: result
      integer(c_size_t), value :: index
    end function c_result_cancel
    function c_result_abort(result) bind(c, name='px_result_abort')
      import
      integer(c_size_t) :: c_result_abort
      type(c_ptr), value :: result
    end function c_result_abort
    subroutine c_result_free(result) bind(c, name='px_result_free')
      import
      type(c_ptr), value :: result
    end subroutine c_result_free
    function c_view_scatter(view, name, array, axis, distribution, how, result) bind(c, name='px_view_scatter')
      import
      integer(c_int) :: c_view_scatter
      type(c_ptr), value :: view
      character(kind=c_char), intent(in) :: name(*)
      type(c_ptr), value :: array
      integer(c_int), value :: axis
      integer(c_int), value :: distribution
      type(c_how), intent(in) :: how
      type(c_ptr), intent(out) :: result
    end function c_view_scatter
    function c_view_map(view, function, count, items, chunk, how, result) bind(c, name='px_view_map')
      import
      integer(c_int) :: c_view_map
      type(c_ptr), value :: view
      character(kind=c_char), intent(in) :: function(*)
      integer(c_size_t), value :: count
      type(px_arg), intent(in) :: items(*)
      integer(c_size_t), value :: chunk
      type(c_how), intent(in) :: how
      type(c_ptr), intent(out) :: result
    end function c_view_map
    function c_result_item(result, index, value) bind(c, name='px_result_item')
      import
      integer(c_int) :: c_result_item
      type(c_ptr), value :: result
      integer(c_size_t), value :: index
      type(px_value), intent(inout) :: value
    end function c_result_item
    function c_result_item_entry(result, index, entry) bind(c, name='px_result_item_entry')
      import
      integer(c_int) :: c_result_item_entry
      type(c_ptr), value :: result
      integer(c_size_t), value :: index
      integer(c_size_t), intent(inout) :: entry
    end function c_result_item_entry
    function c_result_gather(result, axis, distribution, into) bind(c, name='px_result_gather')
      import
      integer(c_int) :: c_result_gather
      type(c_ptr), value :: result
      integer(c_int), value :: axis
      integer(c_int), value :: distribution
      type(c_ptr), value :: into
    end function c_result_gather
    function c_library_load(view, path, timeout_ns, library) bind(c, name='px_library_load')
      import
      integer(c_int) :: c_library_load
      type(c_ptr), value :: view
      character(kind=c_char), intent(in) :: path(*)
      integer(c_int64_t), value :: timeout_ns
      type(c_ptr), intent(out) :: library
    end function c_library_load
    subroutine c_library_free(library) bind(c, name='px_library_free')
      import
      type(c_ptr), value :: library
    end subroutine c_library_free
    function c_kernel_find(library, symbol, kernel) bind(c, name='px_kernel_find')
      import
      integer(c_int) :: c_kernel_find
      type(c_ptr), value :: library
      character(kind=c_char), intent(in) :: symbol(*)
      type(c_ptr), intent(out) :: kernel
    end function c_kernel_find
    function c_view_call_native(view, kernel, argc, argv, how, result) bind(c, name='px_view_call_native')
      import
      integer(c_int) :: c_view_call_native
      type(c_ptr), value :: view
      type(c_ptr), value :: kernel
      integer(c_size_t), value :: argc
      type(px_arg), intent(in) :: argv(*)
      type(c_how), intent(in) :: how
      type(c_ptr), intent(out) :: result
    end function c_view_call_native
    function c_strlen(text) bind(c, name='strlen')
      import
      integer(c_size_t) :: c_strlen
      type(c_ptr), value :: text
    end function c_strlen
    function c_malloc(bytes) bind(c, name='malloc')
      import
      type(c_ptr) :: c_malloc
      integer(c_size_t), value :: bytes
    end function c_malloc
    subroutine c_free(memory) bind(c, name='free')
      import
      type(c_ptr), value :: memory
    end subroutine c_free
  end interface
contains

  ! --- errors ---

  ! The words of this thread's last failure.
  function px_error_message() result(text)
    character(:), allocatable :: text

    text = trim(own_words)
    if (text == '') text = characters(c_last_error())
  end function px_error_message

  integer function px_last_code()
    px_last_code = c_last_code()
  end function px_last_code

  ! The meaning of an error number.
  function px_strerror(code) result(text)
    integer, intent(in) :: code
    character(:), allocatable :: text

    text = characters(c_strerror(int(code, c_int)))
  end function px_strerror

  function px_version() result(text)
    character(:), allocatable :: text

    text = characters(c_version())
  end function px_version

  ! What became of a call: into ierr, or the program's end.
  subroutine done(rc, name, ierr)
    integer, intent(in) :: rc
    character(*), intent(in) :: name
    integer, intent(out), optional :: ierr

    if (present(ierr)) ierr = min(rc, 0)
    if (rc >= 0) return
    own_words = ''
    if (.not. present(ierr)) call give_up(name)
  end subroutine done

  ! The same of what the library has not seen.
  subroutine refuse(name, words, ierr)
    character(*), intent(in) :: name, words
    integer, intent(out), optional :: ierr

    own_words = words
    if (present(ierr)) ierr = PX_EINVAL
    if (.not. present(ierr)) call give_up(name)
  end subroutine refuse

  subroutine give_up(name)
    character(*), intent(in) :: name

    write (error_unit, '(3a)') name, ': ', px_error_message()
    error stop 1
  end subroutine give_up

  ! --- what C and Fortran say in other ways ---

  function characters(c) result(text)
    type(c_ptr), intent(in) :: c
    character(:), allocatable :: text

    if (c_associated(c)) then
      text = characters_n(c, c_strlen(c))
    else
      text = ''
    end if
  end function characters

  function characters_n(c, n) result(text)
    type(c_ptr), intent(in) :: c
    integer(int64), intent(in) :: n
    character(:), allocatable :: text
    character(kind=c_char), pointer :: bytes(:)
    integer(int64) :: i

    allocate (character(n) :: text)
    if (n == 0) return
    call c_f_pointer(c, bytes, [n])
    do i = 1, n
      text(i:i) = bytes(i)
    end do
  end function characters_n

  pure function z(text) result(terminated)
    character(*), intent(in) :: text
    character(:), allocatable :: terminated

    terminated = trim(text)//c_null_char
  end function z

  ! NULL if it is not there. What it points to is kept in the second argument.
  function optional_text(text, kept) result(c)
    character(*), intent(in), optional :: text
    character(:), allocatable, target, intent(out) :: kept
    type(c_ptr) :: c

    c = c_null_ptr
    if (.not. present(text)) return
    kept = z(text)
    c = c_loc(kept)
  end function optional_text

  ! Of malloc(), NUL-terminated.
  function copied(text) result(c)
    character(*), intent(in) :: text
    type(c_ptr) :: c
    character(kind=c_char), pointer :: bytes(:)
    integer :: i

    c = c_malloc(len(text) + 1_c_size_t)
    if (.not. c_associated(c)) return
    call c_f_pointer(c, bytes, [len(text) + 1])
    do i = 1, len(text)
      bytes(i) = text(i:i)
    end do
    bytes(len(text) + 1) = c_null_char
  end function copied

  pure integer(int64) function limit(timeout_ns)
    integer(int64), intent(in), optional :: timeout_ns

    limit = PX_FOREVER
    if (present(timeout_ns)) limit = timeout_ns
  end function limit

  pure function address(c)
    type(c_ptr), intent(in) :: c
    integer(c_int64_t) :: address

    address = transfer(c, address)
  end function address

  pure function at(address) result(c)
    integer(c_int64_t), intent(in) :: address
    type(c_ptr) :: c

    c = transfer(address, c)
  end function at

  function how(flags, retries, timeout_ns)
    integer, intent(in), optional :: flags, retries
    integer(int64), intent(in), optional :: timeout_ns
    type(c_how) :: how

    how%size = c_sizeof(how)
    if (present(flags)) how%flags = flags
    if (present(retries)) how%retries = retries
    if (present(timeout_ns)) how%timeout_ns = timeout_ns
  end function how

  ! --- pools ---

  ! Starts a pool, private to this program unless profile says otherwise, and attaches to it. Sizes in bytes.
  subroutine px_pool_start(client, engines, profile, arena_bytes, quota_bytes, restart, event_loop, python, preload, &
      sys_path, command, huge_pages, environment, start_timeout_ns, log_fd, native, ierr)
    type(px_client), intent(out) :: client
    integer, intent(in), optional :: engines
    character(*), intent(in), optional :: profile, restart, event_loop, python, preload, sys_path, command, huge_pages
    integer(int64), intent(in), optional :: arena_bytes, quota_bytes, start_timeout_ns
    character(*), intent(in), optional :: environment(:) ! 'NAME=value', of the engines
    integer, intent(in), optional :: log_fd
    logical, intent(in), optional :: native ! engines without an interpreter
    integer, intent(out), optional :: ierr
    type(c_pool_options), target :: options
    character(:), allocatable, target :: k1, k2, k3, k4, k5, k6, k7, k8
    type(c_ptr), allocatable, target :: each(:)
    integer :: rc, i

    options%size = c_sizeof(options)
    allocate (each(0))
    options%profile = optional_text('', k1)
    if (present(profile)) options%profile = optional_text(profile, k1)
    if (present(engines)) options%engines = engines
    if (present(arena_bytes)) options%arena_bytes = arena_bytes
    if (present(quota_bytes)) options%quota_bytes = quota_bytes
    options%restart = optional_text(restart, k2)
    options%event_loop = optional_text(event_loop, k3)
    options%python = optional_text(python, k4)
    options%preload = optional_text(preload, k5)
    options%sys_path = optional_text(sys_path, k6)
    options%command = optional_text(command, k7)
    options%huge_pages = optional_text(huge_pages, k8)
    if (present(environment)) then
      each = [(copied(trim(environment(i))), i=1, size(environment)), c_null_ptr]
      options%environment = c_loc(each)
    end if
    if (present(start_timeout_ns)) options%start_timeout_ns = start_timeout_ns
    if (present(log_fd)) options%log_fd = log_fd
    if (present(native)) options%native = merge(1, 0, native)
    rc = c_pool_start(c_loc(options), client%c)
    do i = 1, size(each)
      call c_free(each(i))
    end do
    call done(rc, 'px_pool_start', ierr)
  end subroutine px_pool_start

  subroutine px_pool_stop(profile, timeout_ns, ierr)
    character(*), intent(in), optional :: profile
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr
    character(:), allocatable, target :: kept

    call done(c_pool_stop(optional_text(profile, kept), limit(timeout_ns)), 'px_pool_stop', ierr)
  end subroutine px_pool_stop

  subroutine px_pool_list(pools, ierr)
    type(px_pool_info), allocatable, intent(out) :: pools(:)
    integer, intent(out), optional :: ierr
    type(pool_list), target :: list

    allocate (list%pools(0))
    call done(c_pool_list(c_funloc(add_pool), c_loc(list)), 'px_pool_list', ierr)
    call move_alloc(list%pools, pools)
  end subroutine px_pool_list

  subroutine add_pool(ctx, info) bind(c)
    type(c_ptr), value :: ctx
    type(c_pool_info), intent(in) :: info
    type(pool_list), pointer :: list
    type(px_pool_info), allocatable :: longer(:)
    type(px_pool_info) :: pool

    call c_f_pointer(ctx, list)
    pool%profile = characters(info%profile)
    pool%connection_file = characters(info%connection_file)
    pool%started = characters(info%started)
    pool%supervisor_pid = info%supervisor_pid
    pool%engines = info%engines
    allocate (longer(size(list%pools) + 1))
    longer(:size(list%pools)) = list%pools
    longer(size(longer)) = pool
    call move_alloc(longer, list%pools)
  end subroutine add_pool

  ! --- clients ---

  subroutine px_client_attach(client, profile, timeout_ns, ierr)
    type(px_client), intent(out) :: client
    character(*), intent(in), optional :: profile
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr
    character(:), allocatable, target :: kept

    call done(c_client_attach(optional_text(profile, kept), limit(timeout_ns), client%c), 'px_client_attach', ierr)
  end subroutine px_client_attach

  subroutine px_client_detach(client)
    type(px_client), intent(inout) :: client

    call c_client_detach(client%c)
    client%c = c_null_ptr
  end subroutine px_client_detach

  ! Ids of the engines that are up or starting, ascending.
  subroutine px_client_engines(client, ids, ierr)
    type(px_client), intent(in) :: client
    integer(int32), allocatable, intent(out) :: ids(:)
    integer, intent(out), optional :: ierr
    integer(c_int32_t) :: all(PX_ENGINES_MAX)
    integer :: n

    n = c_client_engines(client%c, all, size(all, kind=c_size_t))
    ids = all(:max(n, 0))
    call done(n, 'px_client_engines', ierr)
  end subroutine px_client_engines

  ! The result that finished first of those that have; one that is not there, with PX_ETIMEDOUT, if none has.
  subroutine px_client_next(client, result, timeout_ns, ierr)
    type(px_client), intent(in) :: client
    type(px_result), intent(out) :: result
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    call done(c_client_next(client%c, limit(timeout_ns), result%c), 'px_client_next', ierr)
  end subroutine px_client_next

  ! A descriptor for poll(2), or an error's number.
  integer function px_client_fd(client)
    type(px_client), intent(in) :: client

    px_client_fd = c_client_fd(client%c)
  end function px_client_fd

  subroutine px_client_poll(client, ierr)
    type(px_client), intent(in) :: client
    integer, intent(out), optional :: ierr

    call done(c_client_poll(client%c), 'px_client_poll', ierr)
  end subroutine px_client_poll

  subroutine px_client_stop_pool(client, timeout_ns, ierr)
    type(px_client), intent(in) :: client
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    call done(c_client_stop_pool(client%c, limit(timeout_ns)), 'px_client_stop_pool', ierr)
  end subroutine px_client_stop_pool

  subroutine px_client_signal(client, engine, signal_number, timeout_ns, ierr)
    type(px_client), intent(in) :: client
    integer, intent(in) :: engine, signal_number
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    call done(c_client_signal(client%c, engine, signal_number, limit(timeout_ns)), 'px_client_signal', ierr)
  end subroutine px_client_signal

  ! Starts count more engines; first is the first new id.
  subroutine px_client_add_engines(client, count, first, timeout_ns, ierr)
    type(px_client), intent(in) :: client
    integer, intent(in) :: count
    integer, intent(out) :: first
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    first = PX_NO_ENGINE
    call done(c_client_add_engines(client%c, count, limit(timeout_ns), first), 'px_client_add_engines', ierr)
  end subroutine px_client_add_engines

  subroutine px_client_restart_engine(client, engine, timeout_ns, ierr)
    type(px_client), intent(in) :: client
    integer, intent(in) :: engine
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    call done(c_client_restart_engine(client%c, engine, limit(timeout_ns)), 'px_client_restart_engine', ierr)
  end subroutine px_client_restart_engine

  subroutine px_client_remove_engine(client, engine, timeout_ns, ierr)
    type(px_client), intent(in) :: client
    integer, intent(in) :: engine
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    call done(c_client_remove_engine(client%c, engine, limit(timeout_ns)), 'px_client_remove_engine', ierr)
  end subroutine px_client_remove_engine

  subroutine px_client_status(client, status, ierr)
    type(px_client), intent(in) :: client
    type(px_status), intent(out) :: status
    integer, intent(out), optional :: ierr

    status%size = c_sizeof(status)
    call done(c_client_status(client%c, status), 'px_client_status', ierr)
  end subroutine px_client_status

  subroutine px_client_engine_status(client, engine, status, ierr)
    type(px_client), intent(in) :: client
    integer, intent(in) :: engine
    type(px_engine_status), intent(out) :: status
    integer, intent(out), optional :: ierr

    status%size = c_sizeof(status)
    call done(c_client_engine_status(client%c, engine, status), 'px_client_engine_status', ierr)
  end subroutine px_client_engine_status

  subroutine px_client_status_json(client, json, ierr)
    type(px_client), intent(in) :: client
    character(:), allocatable, intent(out) :: json
    integer, intent(out), optional :: ierr
    type(c_ptr) :: text
    integer :: rc

    text = c_null_ptr
    rc = c_client_status_json(client%c, text)
    json = characters(text)
    call c_free(text)
    call done(rc, 'px_client_status_json', ierr)
  end subroutine px_client_status_json

  subroutine px_client_memory(client, memory, ierr)
    type(px_client), intent(in) :: client
    type(px_memory), intent(out) :: memory
    integer, intent(out), optional :: ierr

    memory%size = c_sizeof(memory)
    call done(c_client_memory(client%c, memory), 'px_client_memory', ierr)
  end subroutine px_client_memory

  ! The bytes that went back to the pool.
  integer(int64) function px_client_trim(client)
    type(px_client), intent(in) :: client

    px_client_trim = c_client_trim(client%c)
  end function px_client_trim

  ! --- arguments ---

  function px_none() result(arg)
    type(px_arg) :: arg

    arg%type = PX_TYPE_NONE
  end function px_none

  function arg_integer(number) result(arg)
    integer(int64), intent(in) :: number
    type(px_arg) :: arg

    arg%type = PX_TYPE_INT
    arg%word(1) = number
  end function arg_integer

  function arg_real(number) result(arg)
    real(real64), intent(in) :: number
    type(px_arg) :: arg

    arg%type = PX_TYPE_DOUBLE
    arg%word(1) = transfer(number, 0_int64)
  end function arg_real

  function arg_complex(number) result(arg)
    complex(real64), intent(in) :: number
    type(px_arg) :: arg

    arg%type = PX_TYPE_COMPLEX
    arg%word(:2) = transfer(number, 0_int64, 2)
  end function arg_complex

  function arg_logical(truth) result(arg)
    logical, intent(in) :: truth
    type(px_arg) :: arg

    arg%type = PX_TYPE_BOOL
    arg%word(1) = transfer([merge(1_c_int, 0_c_int, truth), 0_c_int], 0_int64)
  end function arg_logical

  function arg_characters(text) result(arg)
    character(*), intent(in) :: text
    type(px_arg) :: arg

    arg%type = PX_TYPE_STRING
    arg%word(1) = address(copied(text))
    arg%word(2) = len(text)
  end function arg_characters

  function px_bytes(data) result(arg)
    character(*), intent(in) :: data
    type(px_arg) :: arg

    arg = arg_characters(data)
    arg%type = PX_TYPE_BYTES
  end function px_bytes

  function arg_array(array) result(arg)
    type(px_array), intent(in) :: array
    type(px_arg) :: arg

    if (c_associated(array%c)) call c_array_ref(array%c)
    arg%type = PX_TYPE_ARRAY
    arg%word(1) = address(array%c)
  end function arg_array

  ! An array that cannot be wrapped is one that the request refuses.
  function arg_place(p) result(arg)
    type(place), intent(in) :: p
    type(px_arg) :: arg
    type(px_array) :: array

    arg%type = PX_TYPE_ARRAY
    if (wrap(p, array) == 0) arg%word(1) = address(array%c)
  end function arg_place

  function px_list(items) result(arg)
    type(px_arg), intent(in) :: items(:)
    type(px_arg) :: arg

    arg%type = PX_TYPE_LIST
    arg%word(1) = address(kept_items(items))
    arg%word(2) = size(items)
  end function px_list

  ! Its keys are characters, without trailing blanks.
  function px_dict(keys, values) result(arg)
    character(*), intent(in) :: keys(:)
    type(px_arg), intent(in) :: values(:)
    type(px_arg) :: arg
    integer :: i

    arg%type = PX_TYPE_DICT
    arg%word(1) = address(kept_items([(arg_characters(trim(keys(i))), i=1, size(values))]))
    arg%word(2) = address(kept_items(values))
    arg%word(3) = size(values)
  end function px_dict

  ! Of malloc().
  function kept_items(items) result(c)
    type(px_arg), intent(in) :: items(:)
    type(c_ptr) :: c
    type(px_arg), pointer :: kept(:)

    c = c_malloc(max(1, size(items)) * c_sizeof(px_arg(PX_TYPE_NONE, 0)))
    if (.not. c_associated(c)) return
    call c_f_pointer(c, kept, [size(items)])
    kept = items
  end function kept_items

  ! Frees what arguments hold.
  recursive subroutine spent(args)
    type(px_arg), intent(in) :: args(:)
    integer :: i

    do i = 1, size(args)
      select case (args(i)%type)
      case (PX_TYPE_STRING, PX_TYPE_BYTES)
        call c_free(at(args(i)%word(1)))
      case (PX_TYPE_ARRAY)
        call c_array_unref(at(args(i)%word(1)))
      case (PX_TYPE_LIST)
        call spent_items(args(i)%word(1), args(i)%word(2))
      case (PX_TYPE_DICT)
        call spent_items(args(i)%word(1), args(i)%word(3))
        call spent_items(args(i)%word(2), args(i)%word(3))
      end select
    end do
  end subroutine spent

  recursive subroutine spent_items(where, n)
    integer(int64), intent(in) :: where, n
    type(px_arg), pointer :: items(:)

    call c_f_pointer(at(where), items, [n])
    call spent(items)
    call c_free(at(where))
  end subroutine spent_items

  ! --- values that were received ---

  ! Items of a list, entries of a dict; else 0.
  pure integer function px_value_count(value)
    type(px_value), intent(in) :: value

    px_value_count = 0
    if (value%type == PX_TYPE_LIST) px_value_count = int(value%word(2))
    if (value%type == PX_TYPE_DICT) px_value_count = int(value%word(3))
  end function px_value_count

  ! An item of a list, or the value of a dict's entry, and its key.
  subroutine px_value_item(value, index, item, key, ierr)
    type(px_value), intent(in) :: value
    integer, intent(in) :: index
    type(px_value), intent(out) :: item
    type(px_value), intent(out), optional :: key
    integer, intent(out), optional :: ierr
    type(px_value), pointer :: items(:)

    if (index < 1 .or. index > px_value_count(value)) then
      call refuse('px_value_item', 'the value is no list or dict, or has no such item', ierr)
      return
    end if
    call c_f_pointer(at(value%word(merge(2, 1, value%type == PX_TYPE_DICT))), items, [index])
    item = items(index)
    if (present(key) .and. value%type == PX_TYPE_DICT) then
      call c_f_pointer(at(value%word(1)), items, [index])
      key = items(index)
    end if
    if (present(ierr)) ierr = 0
  end subroutine px_value_item

  ! The value of a dict's key.
  subroutine px_value_get(dict, key, value, ierr)
    type(px_value), intent(in) :: dict
    character(*), intent(in) :: key
    type(px_value), intent(out) :: value
    integer, intent(out), optional :: ierr

    call done(c_value_get(dict, z(key), value), 'px_value_get', ierr)
  end subroutine px_value_get

  subroutine as_int64(value, x, ierr)
    type(px_value), intent(in) :: value
    integer(int64), intent(out) :: x
    integer, intent(out), optional :: ierr

    x = 0
    call done(c_value_as_int64(value, x), 'px_value_as', ierr)
  end subroutine as_int64

  subroutine as_int32(value, x, ierr)
    type(px_value), intent(in) :: value
    integer(int32), intent(out) :: x
    integer, intent(out), optional :: ierr
    integer(int64) :: wide
    integer :: rc

    wide = 0
    rc = c_value_as_int64(value, wide)
    x = int(wide, int32)
    if (rc == 0 .and. x /= wide) then
      call refuse('px_value_as', 'the integer does not fit into an integer(int32)', ierr)
    else
      call done(rc, 'px_value_as', ierr)
    end if
  end subroutine as_int32

  subroutine as_real64(value, x, ierr)
    type(px_value), intent(in) :: value
    real(real64), intent(out) :: x
    integer, intent(out), optional :: ierr

    x = 0
    call done(c_value_as_double(value, x), 'px_value_as', ierr)
  end subroutine as_real64

  subroutine as_real32(value, x, ierr)
    type(px_value), intent(in) :: value
    real(real32), intent(out) :: x
    integer, intent(out), optional :: ierr
    real(real64) :: wide

    call as_real64(value, wide, ierr)
    x = real(wide, real32)
  end subroutine as_real32

  subroutine as_complex128(value, x, ierr)
    type(px_value), intent(in) :: value
    complex(real64), intent(out) :: x
    integer, intent(out), optional :: ierr
    real(real64) :: re

    if (value%type == PX_TYPE_COMPLEX) then
      x = transfer(value%word(:2), x)
      if (present(ierr)) ierr = 0
    else
      call as_real64(value, re, ierr)
      x = re
    end if
  end subroutine as_complex128

  subroutine as_complex64(value, x, ierr)
    type(px_value), intent(in) :: value
    complex(real32), intent(out) :: x
    integer, intent(out), optional :: ierr
    complex(real64) :: wide

    call as_complex128(value, wide, ierr)
    x = cmplx(wide, kind=real32)
  end subroutine as_complex64

  subroutine as_logical(value, x, ierr)
    type(px_value), intent(in) :: value
    logical, intent(out) :: x
    integer, intent(out), optional :: ierr
    integer(int64) :: number

    call as_int64(value, number, ierr)
    x = number /= 0
  end subroutine as_logical

  subroutine as_characters(value, x, ierr)
    type(px_value), intent(in) :: value
    character(:), allocatable, intent(out) :: x
    integer, intent(out), optional :: ierr
    type(c_ptr) :: text
    integer :: rc

    rc = c_value_as_text(value, text)
    if (rc == 0) then
      x = characters_n(text, value%word(2))
    else
      x = ''
    end if
    call done(rc, 'px_value_as', ierr)
  end subroutine as_characters

  ! --- arrays ---

  subroutine alloc_int32(client, dtype, shape, array, flags, ierr)
    type(px_client), intent(in) :: client
    integer(c_int), intent(in) :: dtype
    integer(int32), intent(in) :: shape(:)
    type(px_array), intent(out) :: array
    integer, intent(in), optional :: flags
    integer, intent(out), optional :: ierr

    call alloc_int64(client, dtype, int(shape, int64), array, flags, ierr)
  end subroutine alloc_int32

  subroutine alloc_int64(client, dtype, shape, array, flags, ierr)
    type(px_client), intent(in) :: client
    integer(c_int), intent(in) :: dtype
    integer(int64), intent(in) :: shape(:)
    type(px_array), intent(out) :: array
    integer, intent(in), optional :: flags
    integer, intent(out), optional :: ierr
    integer(c_int) :: bits

    bits = PX_ARRAY_FORTRAN
    if (present(flags)) bits = flags
    call done(c_array_alloc(client%c, dtype, size(shape), shape, bits, array%c), 'px_array_alloc', ierr)
  end subroutine alloc_int64

  ! Strides are the distances to second elements; those of a dimension that has none are not looked at.
  integer function wrap(p, array)
    type(place), intent(in) :: p
    type(px_array), intent(out) :: array
    integer(c_int64_t) :: strides(RANKS)
    integer(c_int64_t), target :: nothing
    type(c_ptr) :: first
    integer :: i

    strides = p%item_bytes
    first = p%first
    if (.not. c_associated(first)) first = c_loc(nothing)
    do i = 1, min(p%rank, RANKS)
      if (p%shape(i) > 1 .and. c_associated(p%next(i))) strides(i) = address(p%next(i)) - address(p%first)
    end do
    ! of more dimensions than there is room for: it is refused
    wrap = c_array_wrap(first, p%dtype, merge(p%rank, -1, p%rank <= RANKS), p%shape, strides, array%c)
  end function wrap

  subroutine px_array_shape(array, shape)
    type(px_array), intent(in) :: array
    integer(int64), allocatable, intent(out) :: shape(:)
    integer(c_int64_t), pointer :: lengths(:)

    call c_f_pointer(c_array_shape(array%c), lengths, [c_array_ndim(array%c)])
    shape = lengths
  end subroutine px_array_shape

  integer(c_int) function px_array_dtype(array)
    type(px_array), intent(in) :: array

    px_array_dtype = c_array_dtype(array%c)
  end function px_array_dtype

  integer(int64) function px_array_bytes(array)
    type(px_array), intent(in) :: array

    px_array_bytes = c_array_bytes(array%c)
  end function px_array_bytes

  ! For words.
  function dtype_name(dtype) result(name)
    integer(c_int), intent(in) :: dtype
    character(:), allocatable :: name
    character(3) :: bits

    write (bits, '(i0)') iand(dtype, 255) / merge(2, 1, dtype / 256 == 5)
    select case (dtype / 256)
    case (0)
      name = 'int'//trim(bits)
    case (1)
      name = 'unsigned int'//trim(bits)
    case (2)
      name = 'real'//trim(bits)
    case (5)
      name = 'complex of real'//trim(bits)
    case default
      name = 'logical(c_bool)'
    end select
  end function dtype_name

  ! The lengths of a pointer of this kind and rank to the array's elements; or says why there is none.
  logical function may_point(array, dtype, ndim, reversed, n, ierr)
    type(px_array), intent(in) :: array
    integer(c_int), intent(in) :: dtype
    integer, intent(in) :: ndim
    logical, intent(in), optional :: reversed
    integer(int64), intent(out) :: n(RANKS)
    integer, intent(out), optional :: ierr
    integer(c_int64_t), pointer :: shape(:), strides(:)
    integer(int64) :: step
    integer :: rank, kind, i, first, last, by
    character(len(own_words)) :: words

    n = 0
    may_point = .false.
    rank = c_array_ndim(array%c)
    call done(rank, 'px_array_pointer', ierr)
    if (rank < 0) return
    kind = c_array_dtype(array%c)
    if (rank /= ndim .or. kind /= dtype) then
      write (words, '(5a, i0, a, i0)') 'the array is ', dtype_name(kind), ', the pointer ', dtype_name(dtype), &
        '; their ranks are ', rank, ' and ', ndim
      call refuse('px_array_pointer', words, ierr)
      return
    end if
    call c_f_pointer(c_array_shape(array%c), shape, [ndim])
    call c_f_pointer(c_array_strides(array%c), strides, [ndim])
    first = 1; last = ndim; by = 1
    if (present(reversed)) then
      if (reversed) then
        first = ndim; last = 1; by = -1
      end if
    end if
    n(:ndim) = shape(first:last:by)
    step = iand(dtype, 255) / 8
    do i = first, last, by
      if (shape(i) /= 1 .and. strides(i) /= step .and. all(shape > 0)) then
        call refuse('px_array_pointer', 'the array is not column-major (reversed=.true.: not row-major)', ierr)
        return
      end if
      step = step * shape(i)
    end do
    may_point = .true.
  end function may_point

  subroutine px_array_ref(array)
    type(px_array), intent(in) :: array

    call c_array_ref(array%c)
  end subroutine px_array_ref

  subroutine px_array_unref(array)
    type(px_array), intent(inout) :: array

    call c_array_unref(array%c)
    array%c = c_null_ptr
  end subroutine px_array_unref

  ! Waits until no engine holds it any more.
  subroutine px_array_wait(array, timeout_ns, ierr)
    type(px_array), intent(in) :: array
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    call done(c_array_wait(array%c, limit(timeout_ns)), 'px_array_wait', ierr)
  end subroutine px_array_wait

  ! Ids of the engines that hold it, ascending.
  subroutine px_array_holders(array, ids, ierr)
    type(px_array), intent(in) :: array
    integer(int32), allocatable, intent(out) :: ids(:)
    integer, intent(out), optional :: ierr
    integer(c_int32_t) :: all(PX_ENGINES_MAX)
    integer :: n

    n = c_array_holders(array%c, all, size(all, kind=c_size_t))
    ids = all(:max(n, 0))
    call done(n, 'px_array_holders', ierr)
  end subroutine px_array_holders

  ! From a .npy file; with a client into memory that engines see.
  subroutine px_array_load(npy, array, client, ierr)
    character(*), intent(in) :: npy
    type(px_array), intent(out) :: array
    type(px_client), intent(in), optional :: client
    integer, intent(out), optional :: ierr
    type(px_client) :: whose

    if (present(client)) whose = client
    call done(c_array_load(whose%c, z(npy), array%c), 'px_array_load', ierr)
  end subroutine px_array_load

  subroutine px_array_save(array, npy, ierr)
    type(px_array), intent(in) :: array
    character(*), intent(in) :: npy
    integer, intent(out), optional :: ierr

    call done(c_array_save(array%c, z(npy)), 'px_array_save', ierr)
  end subroutine px_array_save

  ! --- views ---

  subroutine px_view_all(client, view, ierr)
    type(px_client), intent(in) :: client
    type(px_view), intent(out) :: view
    integer, intent(out), optional :: ierr

    call done(c_view_all(client%c, view%c), 'px_view_all', ierr)
  end subroutine px_view_all

  subroutine px_view_of(client, ids, view, ierr)
    type(px_client), intent(in) :: client
    integer, intent(in) :: ids(:)
    type(px_view), intent(out) :: view
    integer, intent(out), optional :: ierr
    integer(c_int32_t) :: copy(size(ids))

    copy = ids
    call done(c_view_of(client%c, copy, size(copy, kind=c_size_t), view%c), 'px_view_of', ierr)
  end subroutine px_view_of

  ! The load-balanced view.
  subroutine px_view_any(client, view, ierr)
    type(px_client), intent(in) :: client
    type(px_view), intent(out) :: view
    integer, intent(out), optional :: ierr

    call done(c_view_any(client%c, view%c), 'px_view_any', ierr)
  end subroutine px_view_any

  subroutine px_view_any_of(client, ids, view, ierr)
    type(px_client), intent(in) :: client
    integer, intent(in) :: ids(:)
    type(px_view), intent(out) :: view
    integer, intent(out), optional :: ierr
    integer(c_int32_t) :: copy(size(ids))

    copy = ids
    call done(c_view_any_of(client%c, copy, size(copy, kind=c_size_t), view%c), 'px_view_any_of', ierr)
  end subroutine px_view_any_of

  subroutine px_view_free(view)
    type(px_view), intent(inout) :: view

    call c_view_free(view%c)
    view%c = c_null_ptr
  end subroutine px_view_free

  ! --- requests ---

  subroutine px_view_noop(view, result, flags, retries, timeout_ns, ierr)
    type(px_view), intent(in) :: view
    type(px_result), intent(out) :: result
    integer, intent(in), optional :: flags, retries
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    call done(c_view_noop(view%c, how(flags, retries, timeout_ns), result%c), 'px_view_noop', ierr)
  end subroutine px_view_noop

  ! Runs code: lines end with new_line('a').
  subroutine px_view_execute(view, code, result, flags, retries, timeout_ns, ierr)
    type(px_view), intent(in) :: view
    character(*), intent(in) :: code
    type(px_result), intent(out) :: result
    integer, intent(in), optional :: flags, retries
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    call done(c_view_execute(view%c, z(code), how(flags, retries, timeout_ns), result%c), 'px_view_execute', ierr)
  end subroutine px_view_execute

  ! Calls 'module:function', or a name in the engines' namespace. keywords: of px_dict().
  subroutine px_view_call(view, function, result, args, keywords, flags, retries, timeout_ns, ierr)
    type(px_view), intent(in) :: view
    character(*), intent(in) :: function
    type(px_result), intent(out) :: result
    type(px_arg), intent(in), optional :: args(:)
    type(px_arg), intent(in), optional, target :: keywords
    integer, intent(in), optional :: flags, retries
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr
    type(px_arg) :: nothing(0)
    type(c_ptr) :: words
    integer :: rc

    words = c_null_ptr
    if (present(keywords)) words = c_loc(keywords)
    if (present(args)) then
      rc = c_view_call(view%c, z(function), size(args, kind=c_size_t), args, words, how(flags, retries, timeout_ns), result%c)
      call spent(args)
    else
      rc = c_view_call(view%c, z(function), 0_c_size_t, nothing, words, how(flags, retries, timeout_ns), result%c)
    end if
    if (present(keywords)) call spent([keywords])
    call done(rc, 'px_view_call', ierr)
  end subroutine px_view_call

  subroutine px_view_push(view, name, value, result, flags, retries, timeout_ns, ierr)
    type(px_view), intent(in) :: view
    character(*), intent(in) :: name
    type(px_arg), intent(in) :: value
    type(px_result), intent(out) :: result
    integer, intent(in), optional :: flags, retries
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr
    integer :: rc

    rc = c_view_push(view%c, z(name), value, how(flags, retries, timeout_ns), result%c)
    call spent([value])
    call done(rc, 'px_view_push', ierr)
  end subroutine px_view_push

  subroutine px_view_pull(view, name, result, flags, retries, timeout_ns, ierr)
    type(px_view), intent(in) :: view
    character(*), intent(in) :: name
    type(px_result), intent(out) :: result
    integer, intent(in), optional :: flags, retries
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    call done(c_view_pull(view%c, z(name), how(flags, retries, timeout_ns), result%c), 'px_view_pull', ierr)
  end subroutine px_view_pull

  ! One part of an array for each engine, along a dimension, which is the last one unless axis says so (from 1).
  subroutine px_view_scatter(view, name, array, result, axis, distribution, flags, timeout_ns, ierr)
    type(px_view), intent(in) :: view
    character(*), intent(in) :: name
    type(px_array), intent(in) :: array
    type(px_result), intent(out) :: result
    integer, intent(in), optional :: axis, flags
    integer(c_int), intent(in), optional :: distribution
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    call done(c_view_scatter(view%c, z(name), array%c, zero_based_axis(axis), distributed(distribution), &
      how(flags, timeout_ns=timeout_ns), result%c), 'px_view_scatter', ierr)
  end subroutine px_view_scatter

  pure integer(c_int) function zero_based_axis(axis)
    integer, intent(in), optional :: axis

    zero_based_axis = -1
    if (present(axis)) zero_based_axis = axis - 1
  end function zero_based_axis

  pure integer(c_int) function distributed(distribution)
    integer(c_int), intent(in), optional :: distribution

    distributed = PX_BLOCK
    if (present(distribution)) distributed = distribution
  end function distributed

  ! Calls a function for each of the items; px_result_item() finds what it returned.
  subroutine px_view_map(view, function, items, result, chunk, flags, retries, timeout_ns, ierr)
    type(px_view), intent(in) :: view
    character(*), intent(in) :: function
    type(px_arg), intent(in) :: items(:)
    type(px_result), intent(out) :: result
    integer, intent(in), optional :: chunk, flags, retries
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr
    integer(c_size_t) :: each
    integer :: rc

    each = 0
    if (present(chunk)) each = chunk
    rc = c_view_map(view%c, z(function), size(items, kind=c_size_t), items, each, how(flags, retries, timeout_ns), result%c)
    call spent(items)
    call done(rc, 'px_view_map', ierr)
  end subroutine px_view_map

  ! --- results ---

  ! Waits until every entry is ready; failed ones are, too.
  subroutine px_result_wait(result, timeout_ns, ierr)
    type(px_result), intent(in) :: result
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    call done(c_result_wait(result%c, limit(timeout_ns)), 'px_result_wait', ierr)
  end subroutine px_result_wait

  ! Waits until one of them is ready: which, the first in their order.
  subroutine px_result_wait_any(results, which, timeout_ns, ierr)
    type(px_result), intent(in) :: results(:)
    integer, intent(out) :: which
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr
    type(c_ptr) :: handles(size(results))
    integer(c_size_t) :: index
    integer :: rc

    handles = results%c
    index = 0
    rc = c_result_wait_any(handles, size(handles, kind=c_size_t), limit(timeout_ns), index)
    which = merge(int(index) + 1, 0, rc == 0)
    call done(rc, 'px_result_wait_any', ierr)
  end subroutine px_result_wait_any

  ! Waits until an entry has printed more than the first n bytes, or is ready.
  subroutine px_result_wait_output(result, index, which, n, timeout_ns, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index, which, n
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    call done(c_result_wait_output(result%c, zero_based(index), which, int(n, c_int64_t), limit(timeout_ns)), &
      'px_result_wait_output', ierr)
  end subroutine px_result_wait_output

  ! How the engine of an entry with PX_EENGINE has ended: the signal, or 0 and its exit code.
  subroutine px_result_death(result, index, signal_number, exit_code, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    integer, intent(out) :: signal_number, exit_code
    integer, intent(out), optional :: ierr

    signal_number = 0
    exit_code = 0
    call done(c_result_death(result%c, zero_based(index), signal_number, exit_code), 'px_result_death', ierr)
  end subroutine px_result_death

  subroutine px_result_times(result, index, times, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    type(px_times), intent(out) :: times
    integer, intent(out), optional :: ierr

    times%size = c_sizeof(times)
    call done(c_result_times(result%c, zero_based(index), times), 'px_result_times', ierr)
  end subroutine px_result_times

  logical function px_result_ready(result)
    type(px_result), intent(in) :: result

    px_result_ready = c_result_ready(result%c) == 1
  end function px_result_ready

  integer function px_result_count(result)
    type(px_result), intent(in) :: result

    px_result_count = int(c_result_count(result%c))
  end function px_result_count

  ! PX_NO_ENGINE: there is no such entry, or no engine has taken the task.
  integer function px_result_engine(result, index)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index

    px_result_engine = c_result_engine(result%c, zero_based(index))
  end function px_result_engine

  pure integer(c_size_t) function zero_based(index)
    integer, intent(in) :: index

    zero_based = index - 1
  end function zero_based

  subroutine value_itself(result, index, x, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    type(px_value), intent(out) :: x
    integer, intent(out), optional :: ierr

    call done(c_result_value(result%c, zero_based(index), x), 'px_result_value', ierr)
  end subroutine value_itself

  subroutine value_int32(result, index, x, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    integer(int32), intent(out) :: x
    integer, intent(out), optional :: ierr
    type(px_value) :: value
    integer :: rc

    rc = c_result_value(result%c, zero_based(index), value)
    if (rc == 0) then
      call px_value_as(value, x, ierr)
    else
      x = 0
      call done(rc, 'px_result_value', ierr)
    end if
  end subroutine value_int32

  subroutine value_int64(result, index, x, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    integer(int64), intent(out) :: x
    integer, intent(out), optional :: ierr
    type(px_value) :: value
    integer :: rc

    rc = c_result_value(result%c, zero_based(index), value)
    if (rc == 0) then
      call px_value_as(value, x, ierr)
    else
      x = 0
      call done(rc, 'px_result_value', ierr)
    end if
  end subroutine value_int64

  subroutine value_real32(result, index, x, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    real(real32), intent(out) :: x
    integer, intent(out), optional :: ierr
    type(px_value) :: value
    integer :: rc

    rc = c_result_value(result%c, zero_based(index), value)
    if (rc == 0) then
      call px_value_as(value, x, ierr)
    else
      x = 0
      call done(rc, 'px_result_value', ierr)
    end if
  end subroutine value_real32

  subroutine value_real64(result, index, x, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    real(real64), intent(out) :: x
    integer, intent(out), optional :: ierr
    type(px_value) :: value
    integer :: rc

    rc = c_result_value(result%c, zero_based(index), value)
    if (rc == 0) then
      call px_value_as(value, x, ierr)
    else
      x = 0
      call done(rc, 'px_result_value', ierr)
    end if
  end subroutine value_real64

  subroutine value_complex64(result, index, x, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    complex(real32), intent(out) :: x
    integer, intent(out), optional :: ierr
    type(px_value) :: value
    integer :: rc

    rc = c_result_value(result%c, zero_based(index), value)
    if (rc == 0) then
      call px_value_as(value, x, ierr)
    else
      x = 0
      call done(rc, 'px_result_value', ierr)
    end if
  end subroutine value_complex64

  subroutine value_complex128(result, index, x, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    complex(real64), intent(out) :: x
    integer, intent(out), optional :: ierr
    type(px_value) :: value
    integer :: rc

    rc = c_result_value(result%c, zero_based(index), value)
    if (rc == 0) then
      call px_value_as(value, x, ierr)
    else
      x = 0
      call done(rc, 'px_result_value', ierr)
    end if
  end subroutine value_complex128

  subroutine value_logical(result, index, x, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    logical, intent(out) :: x
    integer, intent(out), optional :: ierr
    type(px_value) :: value
    integer :: rc

    rc = c_result_value(result%c, zero_based(index), value)
    if (rc == 0) then
      call px_value_as(value, x, ierr)
    else
      x = .false.
      call done(rc, 'px_result_value', ierr)
    end if
  end subroutine value_logical

  subroutine value_characters(result, index, x, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    character(:), allocatable, intent(out) :: x
    integer, intent(out), optional :: ierr
    type(px_value) :: value
    integer :: rc

    rc = c_result_value(result%c, zero_based(index), value)
    if (rc == 0) then
      call px_value_as(value, x, ierr)
    else
      x = ''
      call done(rc, 'px_result_value', ierr)
    end if
  end subroutine value_characters

  ! The value of an entry that is an array: a reference of the program's own.
  subroutine px_result_array(result, index, array, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    type(px_array), intent(out) :: array
    integer, intent(out), optional :: ierr

    call done(c_result_array(result%c, zero_based(index), array%c), 'px_result_array', ierr)
  end subroutine px_result_array

  ! Of px_view_map(): what the function returned for an item.
  subroutine px_result_item(result, index, value, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    type(px_value), intent(out) :: value
    integer, intent(out), optional :: ierr

    call done(c_result_item(result%c, zero_based(index), value), 'px_result_item', ierr)
  end subroutine px_result_item

  ! The entry (from 1) that is an item's chunk: for its engine, output, times, and why it failed.
  subroutine px_result_item_entry(result, index, entry, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    integer, intent(out) :: entry
    integer, intent(out), optional :: ierr
    integer(c_size_t) :: from_zero

    from_zero = 0
    call done(c_result_item_entry(result%c, zero_based(index), from_zero), 'px_result_item_entry', ierr)
    entry = int(from_zero) + 1
  end subroutine px_result_item_entry

  ! Joins the arrays of all entries along a dimension, the last one unless axis says so (from 1), into an array.
  subroutine px_result_gather(result, into, axis, distribution, ierr)
    type(px_result), intent(in) :: result
    type(px_array), intent(in) :: into
    integer, intent(in), optional :: axis
    integer(c_int), intent(in), optional :: distribution
    integer, intent(out), optional :: ierr

    call done(c_result_gather(result%c, zero_based_axis(axis), distributed(distribution), into%c), 'px_result_gather', ierr)
  end subroutine px_result_gather

  ! What a request raised.
  subroutine px_result_error(result, index, ename, evalue, traceback, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    character(:), allocatable, intent(out), optional :: ename, evalue, traceback
    integer, intent(out), optional :: ierr
    type(c_ptr) :: words(3)
    integer :: rc

    words = c_null_ptr
    rc = c_result_error(result%c, zero_based(index), words(1), words(2), words(3))
    if (rc < 0) words = c_null_ptr
    if (present(ename)) ename = characters(words(1))
    if (present(evalue)) evalue = characters(words(2))
    if (present(traceback)) traceback = characters(words(3))
    call done(rc, 'px_result_error', ierr)
  end subroutine px_result_error

  ! What an entry has printed so far. which: 1, stdout; 2, stderr.
  subroutine px_result_output(result, index, which, text, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index, which
    character(:), allocatable, intent(out) :: text
    integer, intent(out), optional :: ierr
    character(kind=c_char), target :: part(4096)
    integer(c_size_t) :: got
    integer :: rc, i

    text = ''
    do
      got = 0
      rc = c_result_output(result%c, zero_based(index), which, len(text, kind=c_int64_t), c_loc(part), &
        size(part, kind=c_size_t), got)
      if (rc < 0 .or. got == 0) exit
      text = text//repeat(' ', int(got))
      do i = 1, int(got)
        text(len(text) - got + i:len(text) - got + i) = part(i)
      end do
    end do
    call done(rc, 'px_result_output', ierr)
  end subroutine px_result_output

  ! Raises KeyboardInterrupt in an entry's request.
  subroutine px_result_interrupt(result, index, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in) :: index
    integer, intent(out), optional :: ierr

    call done(c_result_interrupt(result%c, zero_based(index)), 'px_result_interrupt', ierr)
  end subroutine px_result_interrupt

  ! Stops the request of an entry; without index, of all.
  subroutine px_result_cancel(result, index, ierr)
    type(px_result), intent(in) :: result
    integer, intent(in), optional :: index
    integer, intent(out), optional :: ierr
    integer(c_size_t) :: which

    which = -1
    if (present(index)) which = zero_based(index)
    call done(c_result_cancel(result%c, which), 'px_result_cancel', ierr)
  end subroutine px_result_cancel

  ! Takes back what no engine has begun: how many requests.
  integer function px_result_abort(result)
    type(px_result), intent(in) :: result

    px_result_abort = int(c_result_abort(result%c))
  end function px_result_abort

  subroutine px_result_free(result)
    type(px_result), intent(inout) :: result

    call c_result_free(result%c)
    result%c = c_null_ptr
  end subroutine px_result_free

  ! A pointer of the program's, for whoever gets the result from px_client_next().
  subroutine px_result_set_user(result, user, ierr)
    type(px_result), intent(in) :: result
    type(c_ptr), intent(in) :: user
    integer, intent(out), optional :: ierr

    call done(c_result_set_user(result%c, user), 'px_result_set_user', ierr)
  end subroutine px_result_set_user

  type(c_ptr) function px_result_user(result)
    type(px_result), intent(in) :: result

    px_result_user = c_result_user(result%c)
  end function px_result_user

  ! --- native functions: the module pxrun_native is for who writes one ---

  ! Has the view's engines load a shared object.
  subroutine px_library_load(view, path, library, timeout_ns, ierr)
    type(px_view), intent(in) :: view
    character(*), intent(in) :: path
    type(px_library), intent(out) :: library
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr

    call done(c_library_load(view%c, z(path), limit(timeout_ns), library%c), 'px_library_load', ierr)
  end subroutine px_library_load

  subroutine px_library_free(library)
    type(px_library), intent(inout) :: library

    call c_library_free(library%c)
    library%c = c_null_ptr
  end subroutine px_library_free

  subroutine px_kernel_find(library, symbol, kernel, ierr)
    type(px_library), intent(in) :: library
    character(*), intent(in) :: symbol
    type(px_kernel), intent(out) :: kernel
    integer, intent(out), optional :: ierr

    call done(c_kernel_find(library%c, z(symbol), kernel%c), 'px_kernel_find', ierr)
  end subroutine px_kernel_find

  subroutine px_view_call_native(view, kernel, result, args, flags, retries, timeout_ns, ierr)
    type(px_view), intent(in) :: view
    type(px_kernel), intent(in) :: kernel
    type(px_result), intent(out) :: result
    type(px_arg), intent(in), optional :: args(:)
    integer, intent(in), optional :: flags, retries
    integer(int64), intent(in), optional :: timeout_ns
    integer, intent(out), optional :: ierr
    type(px_arg) :: nothing(0)
    integer :: rc

    if (present(args)) then
      rc = c_view_call_native(view%c, kernel%c, size(args, kind=c_size_t), args, how(flags, retries, timeout_ns), result%c)
      call spent(args)
    else
      rc = c_view_call_native(view%c, kernel%c, 0_c_size_t, nothing, how(flags, retries, timeout_ns), result%c)
    end if
    call done(rc, 'px_view_call_native', ierr)
  end subroutine px_view_call_native

  ! --- the same for each kind of number: where an array lies, an argument, an array around it, a pointer into one ---

  function place_int8(x) result(p)
    integer(int8), intent(in), target :: x(..)
    type(place) :: p

    p = place(PX_DTYPE_INT8, storage_size(x) / 8, rank(x))
    if (p%rank > RANKS) return
    p%shape(:p%rank) = shape(x)
    if (size(x) == 0) return
    select rank (x)
    rank (1)
      p%first = c_loc(x(1))
      p%next(1) = c_loc(x(min(2, size(x, 1))))
    rank (2)
      p%first = c_loc(x(1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2))))
    rank (3)
      p%first = c_loc(x(1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3))))
    rank (4)
      p%first = c_loc(x(1, 1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1, 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3)), 1))
      p%next(4) = c_loc(x(1, 1, 1, min(2, size(x, 4))))
    end select
  end function place_int8

  function place_int16(x) result(p)
    integer(int16), intent(in), target :: x(..)
    type(place) :: p

    p = place(PX_DTYPE_INT16, storage_size(x) / 8, rank(x))
    if (p%rank > RANKS) return
    p%shape(:p%rank) = shape(x)
    if (size(x) == 0) return
    select rank (x)
    rank (1)
      p%first = c_loc(x(1))
      p%next(1) = c_loc(x(min(2, size(x, 1))))
    rank (2)
      p%first = c_loc(x(1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2))))
    rank (3)
      p%first = c_loc(x(1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3))))
    rank (4)
      p%first = c_loc(x(1, 1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1, 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3)), 1))
      p%next(4) = c_loc(x(1, 1, 1, min(2, size(x, 4))))
    end select
  end function place_int16

  function place_int32(x) result(p)
    integer(int32), intent(in), target :: x(..)
    type(place) :: p

    p = place(PX_DTYPE_INT32, storage_size(x) / 8, rank(x))
    if (p%rank > RANKS) return
    p%shape(:p%rank) = shape(x)
    if (size(x) == 0) return
    select rank (x)
    rank (1)
      p%first = c_loc(x(1))
      p%next(1) = c_loc(x(min(2, size(x, 1))))
    rank (2)
      p%first = c_loc(x(1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2))))
    rank (3)
      p%first = c_loc(x(1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3))))
    rank (4)
      p%first = c_loc(x(1, 1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1, 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3)), 1))
      p%next(4) = c_loc(x(1, 1, 1, min(2, size(x, 4))))
    end select
  end function place_int32

  function place_int64(x) result(p)
    integer(int64), intent(in), target :: x(..)
    type(place) :: p

    p = place(PX_DTYPE_INT64, storage_size(x) / 8, rank(x))
    if (p%rank > RANKS) return
    p%shape(:p%rank) = shape(x)
    if (size(x) == 0) return
    select rank (x)
    rank (1)
      p%first = c_loc(x(1))
      p%next(1) = c_loc(x(min(2, size(x, 1))))
    rank (2)
      p%first = c_loc(x(1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2))))
    rank (3)
      p%first = c_loc(x(1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3))))
    rank (4)
      p%first = c_loc(x(1, 1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1, 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3)), 1))
      p%next(4) = c_loc(x(1, 1, 1, min(2, size(x, 4))))
    end select
  end function place_int64

  function place_real32(x) result(p)
    real(real32), intent(in), target :: x(..)
    type(place) :: p

    p = place(PX_DTYPE_FLOAT32, storage_size(x) / 8, rank(x))
    if (p%rank > RANKS) return
    p%shape(:p%rank) = shape(x)
    if (size(x) == 0) return
    select rank (x)
    rank (1)
      p%first = c_loc(x(1))
      p%next(1) = c_loc(x(min(2, size(x, 1))))
    rank (2)
      p%first = c_loc(x(1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2))))
    rank (3)
      p%first = c_loc(x(1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3))))
    rank (4)
      p%first = c_loc(x(1, 1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1, 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3)), 1))
      p%next(4) = c_loc(x(1, 1, 1, min(2, size(x, 4))))
    end select
  end function place_real32

  function place_real64(x) result(p)
    real(real64), intent(in), target :: x(..)
    type(place) :: p

    p = place(PX_DTYPE_FLOAT64, storage_size(x) / 8, rank(x))
    if (p%rank > RANKS) return
    p%shape(:p%rank) = shape(x)
    if (size(x) == 0) return
    select rank (x)
    rank (1)
      p%first = c_loc(x(1))
      p%next(1) = c_loc(x(min(2, size(x, 1))))
    rank (2)
      p%first = c_loc(x(1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2))))
    rank (3)
      p%first = c_loc(x(1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3))))
    rank (4)
      p%first = c_loc(x(1, 1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1, 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3)), 1))
      p%next(4) = c_loc(x(1, 1, 1, min(2, size(x, 4))))
    end select
  end function place_real64

  function place_complex64(x) result(p)
    complex(real32), intent(in), target :: x(..)
    type(place) :: p

    p = place(PX_DTYPE_COMPLEX64, storage_size(x) / 8, rank(x))
    if (p%rank > RANKS) return
    p%shape(:p%rank) = shape(x)
    if (size(x) == 0) return
    select rank (x)
    rank (1)
      p%first = c_loc(x(1))
      p%next(1) = c_loc(x(min(2, size(x, 1))))
    rank (2)
      p%first = c_loc(x(1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2))))
    rank (3)
      p%first = c_loc(x(1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3))))
    rank (4)
      p%first = c_loc(x(1, 1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1, 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3)), 1))
      p%next(4) = c_loc(x(1, 1, 1, min(2, size(x, 4))))
    end select
  end function place_complex64

  function place_complex128(x) result(p)
    complex(real64), intent(in), target :: x(..)
    type(place) :: p

    p = place(PX_DTYPE_COMPLEX128, storage_size(x) / 8, rank(x))
    if (p%rank > RANKS) return
    p%shape(:p%rank) = shape(x)
    if (size(x) == 0) return
    select rank (x)
    rank (1)
      p%first = c_loc(x(1))
      p%next(1) = c_loc(x(min(2, size(x, 1))))
    rank (2)
      p%first = c_loc(x(1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2))))
    rank (3)
      p%first = c_loc(x(1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3))))
    rank (4)
      p%first = c_loc(x(1, 1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1, 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3)), 1))
      p%next(4) = c_loc(x(1, 1, 1, min(2, size(x, 4))))
    end select
  end function place_complex128

  function place_bool(x) result(p)
    logical(c_bool), intent(in), target :: x(..)
    type(place) :: p

    p = place(PX_DTYPE_BOOL, storage_size(x) / 8, rank(x))
    if (p%rank > RANKS) return
    p%shape(:p%rank) = shape(x)
    if (size(x) == 0) return
    select rank (x)
    rank (1)
      p%first = c_loc(x(1))
      p%next(1) = c_loc(x(min(2, size(x, 1))))
    rank (2)
      p%first = c_loc(x(1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2))))
    rank (3)
      p%first = c_loc(x(1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3))))
    rank (4)
      p%first = c_loc(x(1, 1, 1, 1))
      p%next(1) = c_loc(x(min(2, size(x, 1)), 1, 1, 1))
      p%next(2) = c_loc(x(1, min(2, size(x, 2)), 1, 1))
      p%next(3) = c_loc(x(1, 1, min(2, size(x, 3)), 1))
      p%next(4) = c_loc(x(1, 1, 1, min(2, size(x, 4))))
    end select
  end function place_bool

  function arg_int8(x) result(arg)
    integer(int8), intent(in), target :: x(..)
    type(px_arg) :: arg

    select rank (x)
    rank (0)
      arg = arg_integer(int(x, int64))
    rank default
      arg = arg_place(place_int8(x))
    end select
  end function arg_int8

  subroutine wrap_int8(x, array, ierr)
    integer(int8), intent(in), target :: x(..)
    type(px_array), intent(out) :: array
    integer, intent(out), optional :: ierr

    call done(wrap(place_int8(x), array), 'px_array_wrap', ierr)
  end subroutine wrap_int8

  subroutine pointer_int8(array, p, reversed, ierr)
    type(px_array), intent(in) :: array
    integer(int8), pointer, intent(out) :: p(..)
    logical, intent(in), optional :: reversed
    integer, intent(out), optional :: ierr
    integer(int64) :: n(RANKS)

    if (.not. may_point(array, PX_DTYPE_INT8, rank(p), reversed, n, ierr)) return
    select rank (p)
    rank (1)
      call c_f_pointer(c_array_data(array%c), p, n(:1))
    rank (2)
      call c_f_pointer(c_array_data(array%c), p, n(:2))
    rank (3)
      call c_f_pointer(c_array_data(array%c), p, n(:3))
    rank (4)
      call c_f_pointer(c_array_data(array%c), p, n(:4))
    end select
  end subroutine pointer_int8

  function arg_int16(x) result(arg)
    integer(int16), intent(in), target :: x(..)
    type(px_arg) :: arg

    select rank (x)
    rank (0)
      arg = arg_integer(int(x, int64))
    rank default
      arg = arg_place(place_int16(x))
    end select
  end function arg_int16

  subroutine wrap_int16(x, array, ierr)
    integer(int16), intent(in), target :: x(..)
    type(px_array), intent(out) :: array
    integer, intent(out), optional :: ierr

    call done(wrap(place_int16(x), array), 'px_array_wrap', ierr)
  end subroutine wrap_int16

  subroutine pointer_int16(array, p, reversed, ierr)
    type(px_array), intent(in) :: array
    integer(int16), pointer, intent(out) :: p(..)
    logical, intent(in), optional :: reversed
    integer, intent(out), optional :: ierr
    integer(int64) :: n(RANKS)

    if (.not. may_point(array, PX_DTYPE_INT16, rank(p), reversed, n, ierr)) return
    select rank (p)
    rank (1)
      call c_f_pointer(c_array_data(array%c), p, n(:1))
    rank (2)
      call c_f_pointer(c_array_data(array%c), p, n(:2))
    rank (3)
      call c_f_pointer(c_array_data(array%c), p, n(:3))
    rank (4)
      call c_f_pointer(c_array_data(array%c), p, n(:4))
    end select
  end subroutine pointer_int16

  function arg_int32(x) result(arg)
    integer(int32), intent(in), target :: x(..)
    type(px_arg) :: arg

    select rank (x)
    rank (0)
      arg = arg_integer(int(x, int64))
    rank default
      arg = arg_place(place_int32(x))
    end select
  end function arg_int32

  subroutine wrap_int32(x, array, ierr)
    integer(int32), intent(in), target :: x(..)
    type(px_array), intent(out) :: array
    integer, intent(out), optional :: ierr

    call done(wrap(place_int32(x), array), 'px_array_wrap', ierr)
  end subroutine wrap_int32

  subroutine pointer_int32(array, p, reversed, ierr)
    type(px_array), intent(in) :: array
    integer(int32), pointer, intent(out) :: p(..)
    logical, intent(in), optional :: reversed
    integer, intent(out), optional :: ierr
    integer(int64) :: n(RANKS)

    if (.not. may_point(array, PX_DTYPE_INT32, rank(p), reversed, n, ierr)) return
    select rank (p)
    rank (1)
      call c_f_pointer(c_array_data(array%c), p, n(:1))
    rank (2)
      call c_f_pointer(c_array_data(array%c), p, n(:2))
    rank (3)
      call c_f_pointer(c_array_data(array%c), p, n(:3))
    rank (4)
      call c_f_pointer(c_array_data(array%c), p, n(:4))
    end select
  end subroutine pointer_int32

  function arg_int64(x) result(arg)
    integer(int64), intent(in), target :: x(..)
    type(px_arg) :: arg

    select rank (x)
    rank (0)
      arg = arg_integer(int(x, int64))
    rank default
      arg = arg_place(place_int64(x))
    end select
  end function arg_int64

  subroutine wrap_int64(x, array, ierr)
    integer(int64), intent(in), target :: x(..)
    type(px_array), intent(out) :: array
    integer, intent(out), optional :: ierr

    call done(wrap(place_int64(x), array), 'px_array_wrap', ierr)
  end subroutine wrap_int64

  subroutine pointer_int64(array, p, reversed, ierr)
    type(px_array), intent(in) :: array
    integer(int64), pointer, intent(out) :: p(..)
    logical, intent(in), optional :: reversed
    integer, intent(out), optional :: ierr
    integer(int64) :: n(RANKS)

    if (.not. may_point(array, PX_DTYPE_INT64, rank(p), reversed, n, ierr)) return
    select rank (p)
    rank (1)
      call c_f_pointer(c_array_data(array%c), p, n(:1))
    rank (2)
      call c_f_pointer(c_array_data(array%c), p, n(:2))
    rank (3)
      call c_f_pointer(c_array_data(array%c), p, n(:3))
    rank (4)
      call c_f_pointer(c_array_data(array%c), p, n(:4))
    end select
  end subroutine pointer_int64

  function arg_real32(x) result(arg)
    real(real32), intent(in), target :: x(..)
    type(px_arg) :: arg

    select rank (x)
    rank (0)
      arg = arg_real(real(x, real64))
    rank default
      arg = arg_place(place_real32(x))
    end select
  end function arg_real32

  subroutine wrap_real32(x, array, ierr)
    real(real32), intent(in), target :: x(..)
    type(px_array), intent(out) :: array
    integer, intent(out), optional :: ierr

    call done(wrap(place_real32(x), array), 'px_array_wrap', ierr)
  end subroutine wrap_real32

  subroutine pointer_real32(array, p, reversed, ierr)
    type(px_array), intent(in) :: array
    real(real32), pointer, intent(out) :: p(..)
    logical, intent(in), optional :: reversed
    integer, intent(out), optional :: ierr
    integer(int64) :: n(RANKS)

    if (.not. may_point(array, PX_DTYPE_FLOAT32, rank(p), reversed, n, ierr)) return
    select rank (p)
    rank (1)
      call c_f_pointer(c_array_data(array%c), p, n(:1))
    rank (2)
      call c_f_pointer(c_array_data(array%c), p, n(:2))
    rank (3)
      call c_f_pointer(c_array_data(array%c), p, n(:3))
    rank (4)
      call c_f_pointer(c_array_data(array%c), p, n(:4))
    end select
  end subroutine pointer_real32

  function arg_real64(x) result(arg)
    real(real64), intent(in), target :: x(..)
    type(px_arg) :: arg

    select rank (x)
    rank (0)
      arg = arg_real(real(x, real64))
    rank default
      arg = arg_place(place_real64(x))
    end select
  end function arg_real64

  subroutine wrap_real64(x, array, ierr)
    real(real64), intent(in), target :: x(..)
    type(px_array), intent(out) :: array
    integer, intent(out), optional :: ierr

    call done(wrap(place_real64(x), array), 'px_array_wrap', ierr)
  end subroutine wrap_real64

  subroutine pointer_real64(array, p, reversed, ierr)
    type(px_array), intent(in) :: array
    real(real64), pointer, intent(out) :: p(..)
    logical, intent(in), optional :: reversed
    integer, intent(out), optional :: ierr
    integer(int64) :: n(RANKS)

    if (.not. may_point(array, PX_DTYPE_FLOAT64, rank(p), reversed, n, ierr)) return
    select rank (p)
    rank (1)
      call c_f_pointer(c_array_data(array%c), p, n(:1))
    rank (2)
      call c_f_pointer(c_array_data(array%c), p, n(:2))
    rank (3)
      call c_f_pointer(c_array_data(array%c), p, n(:3))
    rank (4)
      call c_f_pointer(c_array_data(array%c), p, n(:4))
    end select
  end subroutine pointer_real64

  function arg_complex64(x) result(arg)
    complex(real32), intent(in), target :: x(..)
    type(px_arg) :: arg

    select rank (x)
    rank (0)
      arg = arg_complex(cmplx(x, kind=real64))
    rank default
      arg = arg_place(place_complex64(x))
    end select
  end function arg_complex64

  subroutine wrap_complex64(x, array, ierr)
    complex(real32), intent(in), target :: x(..)
    type(px_array), intent(out) :: array
    integer, intent(out), optional :: ierr

    call done(wrap(place_complex64(x), array), 'px_array_wrap', ierr)
  end subroutine wrap_complex64

  subroutine pointer_complex64(array, p, reversed, ierr)
    type(px_array), intent(in) :: array
    complex(real32), pointer, intent(out) :: p(..)
    logical, intent(in), optional :: reversed
    integer, intent(out), optional :: ierr
    integer(int64) :: n(RANKS)

    if (.not. may_point(array, PX_DTYPE_COMPLEX64, rank(p), reversed, n, ierr)) return
    select rank (p)
    rank (1)
      call c_f_pointer(c_array_data(array%c), p, n(:1))
    rank (2)
      call c_f_pointer(c_array_data(array%c), p, n(:2))
    rank (3)
      call c_f_pointer(c_array_data(array%c), p, n(:3))
    rank (4)
      call c_f_pointer(c_array_data(array%c), p, n(:4))
    end select
  end subroutine pointer_complex64

  function arg_complex128(x) result(arg)
    complex(real64), intent(in), target :: x(..)
    type(px_arg) :: arg

    select rank (x)
    rank (0)
      arg = arg_complex(cmplx(x, kind=real64))
    rank default
      arg = arg_place(place_complex128(x))
    end select
  end function arg_complex128

  subroutine wrap_complex128(x, array, ierr)
    complex(real64), intent(in), target :: x(..)
    type(px_array), intent(out) :: array
    integer, intent(out), optional :: ierr

    call done(wrap(place_complex128(x), array), 'px_array_wrap', ierr)
  end subroutine wrap_complex128

  subroutine pointer_complex128(array, p, reversed, ierr)
    type(px_array), intent(in) :: array
    complex(real64), pointer, intent(out) :: p(..)
    logical, intent(in), optional :: reversed
    integer, intent(out), optional :: ierr
    integer(int64) :: n(RANKS)

    if (.not. may_point(array, PX_DTYPE_COMPLEX128, rank(p), reversed, n, ierr)) return
    select rank (p)
    rank (1)
      call c_f_pointer(c_array_data(array%c), p, n(:1))
    rank (2)
      call c_f_pointer(c_array_data(array%c), p, n(:2))
    rank (3)
      call c_f_pointer(c_array_data(array%c), p, n(:3))
    rank (4)
      call c_f_pointer(c_array_data(array%c), p, n(:4))
    end select
  end subroutine pointer_complex128

  function arg_bool(x) result(arg)
    logical(c_bool), intent(in), target :: x(..)
    type(px_arg) :: arg

    select rank (x)
    rank (0)
      arg = arg_logical(logical(x))
    rank default
      arg = arg_place(place_bool(x))
    end select
  end function arg_bool

  subroutine wrap_bool(x, array, ierr)
    logical(c_bool), intent(in), target :: x(..)
    type(px_array), intent(out) :: array
    integer, intent(out), optional :: ierr

    call done(wrap(place_bool(x), array), 'px_array_wrap', ierr)
  end subroutine wrap_bool

  subroutine pointer_bool(array, p, reversed, ierr)
    type(px_array), intent(in) :: array
    logical(c_bool), pointer, intent(out) :: p(..)
    logical, intent(in), optional :: reversed
    integer, intent(out), optional :: ierr
    integer(int64) :: n(RANKS)

    if (.not. may_point(array, PX_DTYPE_BOOL, rank(p), reversed, n, ierr)) return
    select rank (p)
    rank (1)
      call c_f_pointer(c_array_data(array%c), p, n(:1))
    rank (2)
      call c_f_pointer(c_array_data(array%c), p, n(:2))
    rank (3)
      call c_f_pointer(c_array_data(array%c), p, n(:3))
    rank (4)
      call c_f_pointer(c_array_data(array%c), p, n(:4))
    end select
  end subroutine pointer_bool
end module pxrun
