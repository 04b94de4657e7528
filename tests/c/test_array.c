/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/c/case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/array.h"
#include "client/dlpack.h"
#include "shm/error.h"

#define LIMIT UINT64_C(30000000000)
#define ROWS 300
#define COLUMNS 400

static struct px_client *client;
static struct px_view *all, *first;
static char profile[40];
static char folder[] = "/tmp/pxrun-npy-XXXXXX";

static int start(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS;

	(void)state;
	snprintf(profile, sizeof(profile), "arrays-%d", (int)getpid());
	options.profile = profile;
	options.engines = 2;
	if (px_pool_start(&options, &client) < 0) {
		print_error("%s\n", px_last_error());
		return -1;
	}
	if (!mkdtemp(folder))
		return -1;
	return px_view_all(client, &all) | px_view_of(client, (uint32_t[]){ 0 }, 1, &first);
}

static int stop(void **state)
{
	(void)state;
	px_view_free(first);
	px_view_free(all);
	(void)px_client_stop_pool(client, LIMIT);
	px_client_detach(client);
	return rmdir(folder);
}

static void wait_for(struct px_result *result)
{
	assert_int_equal(px_result_wait(result, LIMIT), 0);
}

static void run(struct px_view *view, const char *code)
{
	struct px_result *result;
	struct px_value value;

	assert_int_equal(px_view_execute(view, code, NULL, &result), 0);
	wait_for(result);
	for (size_t i = 0; i < px_result_count(result); i++)
		if (px_result_value(result, i, &value) < 0)
			fail_msg("%s", px_last_error());
	px_result_free(result);
}

static void push(struct px_view *view, const char *name, struct px_array *array)
{
	struct px_value value = px_of_array(array);
	struct px_result *result;

	if (px_view_push(view, name, &value, NULL, &result) < 0)
		fail_msg("%s", px_last_error());
	wait_for(result);
	px_result_free(result);
}

static struct px_array *pull(const char *name)
{
	struct px_result *result;
	struct px_array *array;

	assert_int_equal(px_view_pull(first, name, NULL, &result), 0);
	wait_for(result);
	if (px_result_array(result, 0, &array) < 0)
		fail_msg("%s", px_last_error());
	px_result_free(result);
	return array;
}

static struct px_array *matrix(unsigned flags)
{
	const int64_t shape[] = { ROWS, COLUMNS };
	struct px_array *array;

	assert_int_equal(px_array_alloc(client, PX_DTYPE_FLOAT64, 2, shape, flags, &array), 0);
	return array;
}

/* Element (i, j), whatever the strides. */
static double *at(const struct px_array *array, int64_t i, int64_t j)
{
	const int64_t *strides = px_array_strides(array);

	return (double *)(void *)((char *)px_array_data(array) + i * strides[0] + j * strides[1]);
}

/* --- shapes --- */

static void array_that_cannot_be_says_einval(void **state)
{
	const int64_t negative[] = { 2, -1 }, huge[] = { INT64_MAX, 4 };
	const int64_t far[] = { INT64_MAX, INT64_MAX }, small[] = { 2, 2 };
	struct px_array *array = NULL;
	char byte;

	(void)state;
	assert_int_equal(px_array_wrap(&byte, PX_DTYPE_INT8, 2, negative, NULL, &array), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "dimension 1"));
	assert_int_equal(px_array_wrap(&byte, PX_DTYPE_INT32, 2, huge, NULL, &array), PX_EINVAL);
	assert_int_equal(px_array_wrap(&byte, PX_DTYPE_INT8, 2, small, far, &array), PX_EINVAL);
	assert_int_equal(px_array_wrap(&byte, PX_DTYPE_INT8, 33, small, NULL, &array), PX_EINVAL);
	assert_int_equal(px_array_wrap(&byte, PX_DTYPE_INT8, -1, small, NULL, &array), PX_EINVAL);
	assert_int_equal(px_array_wrap(&byte, (enum px_dtype)0x0777, 2, small, NULL, &array),
			 PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "0x0777"));
	assert_int_equal(px_array_wrap(NULL, PX_DTYPE_INT8, 2, small, NULL, &array), PX_EINVAL);
	assert_int_equal(px_array_wrap(&byte, PX_DTYPE_INT8, 2, NULL, NULL, &array), PX_EINVAL);
	assert_int_equal(px_array_alloc(client, PX_DTYPE_INT8, 2, small, 0x100, &array), PX_EINVAL);
	assert_int_equal(px_array_alloc(NULL, PX_DTYPE_INT8, 2, small, 0, &array), PX_EINVAL);
	assert_null(array);
	assert_int_equal(px_array_alloc(client, PX_DTYPE_INT64, 1, (int64_t[]){ INT64_C(1) << 50 },
					0, &array),
			 PX_ENOMEM);
	assert_null(array);
}

static void null_and_freed_arrays_are_refused(void **state)
{
	struct px_array *array = matrix(0);

	(void)state;
	px_array_ref(array);
	px_array_unref(array);
	px_array_unref(array);
	assert_null(px_array_data(array));
	assert_int_equal(px_array_wait(array, 0), PX_ECLOSED);
	px_array_unref(array);
	px_array_ref(NULL);
	px_array_unref(NULL);
	assert_null(px_array_shape(NULL));
	assert_int_equal(px_array_ndim(NULL), PX_EINVAL);
	assert_int_equal(px_array_dtype((struct px_array *)client), PX_EINVAL);
}

static void empty_and_0d_arrays_there_and_back(void **state)
{
	double number = 2.5;
	struct px_array *array;

	(void)state;
	assert_int_equal(px_array_wrap(NULL, PX_DTYPE_INT16, 2, (int64_t[]){ 0, 3 }, NULL, &array),
			 0);
	push(first, "e", array);
	px_array_unref(array);
	run(first, "assert e.shape == (0, 3) and e.dtype == 'i2'");
	array = pull("e");
	assert_int_equal(px_array_shape(array)[1], 3);
	assert_int_equal(px_array_bytes(array), 0);
	px_array_unref(array);
	assert_int_equal(px_array_alloc(client, PX_DTYPE_FLOAT32, 1, (int64_t[]){ 0 }, 0, &array),
			 0);
	push(first, "e", array);
	px_array_unref(array);
	assert_int_equal(px_array_wrap(&number, PX_DTYPE_FLOAT64, 0, NULL, NULL, &array), 0);
	push(first, "z", array);
	run(first, "assert z.shape == () and z == 2.5");
	px_array_unref(array);
}

/* --- strides --- */

static void strides_arrive_as_they_are(void **state)
{
	double data[6 * 8];
	struct px_array *array;

	(void)state;
	for (int i = 0; i < 48; i++)
		data[i] = i;
	/* Every second column of the last four rows, backwards. */
	assert_int_equal(px_array_wrap(&data[5 * 8 + 7], PX_DTYPE_FLOAT64, 2, (int64_t[]){ 4, 4 },
				       (int64_t[]){ -64, -16 }, &array),
			 0);
	push(first, "s", array);
	px_array_unref(array);
	run(first, "import numpy as np\n"
		   "assert (s == np.arange(48.).reshape(6, 8)[:1:-1, ::-2]).all(), s");
	/* One element many times. */
	assert_int_equal(px_array_wrap(&data[3], PX_DTYPE_FLOAT64, 1, (int64_t[]){ 5 },
				       (int64_t[]){ 0 }, &array),
			 0);
	push(first, "s", array);
	px_array_unref(array);
	run(first, "assert (s == np.full(5, 3.)).all(), s");
}

static void fortran_order_stays(void **state)
{
	struct px_array *array = matrix(PX_ARRAY_FORTRAN), *back;
	double small[6] = { 1, 2, 3, 4, 5, 6 };

	(void)state;
	assert_int_equal(px_array_strides(array)[0], 8);
	for (int i = 0; i < ROWS; i++)
		for (int j = 0; j < COLUMNS; j++)
			*at(array, i, j) = 1000 * i + j;
	push(first, "f", array);
	px_array_unref(array);
	run(first, "assert f.flags.f_contiguous and f[7, 11] == 7011");
	back = pull("f");
	assert_true(*at(back, 299, 399) == 299399);
	px_array_unref(back);
	assert_int_equal(px_array_wrap(small, PX_DTYPE_FLOAT64, 2, (int64_t[]){ 2, 3 },
				       (int64_t[]){ 8, 16 }, &array),
			 0);
	push(first, "f", array);
	px_array_unref(array);
	run(first, "assert f.flags.f_contiguous and f.tolist() == [[1, 3, 5], [2, 4, 6]]");
}

static void slices_hold_their_array(void **state)
{
	struct px_array *array = matrix(0), *rows, *columns;

	(void)state;
	for (int i = 0; i < ROWS; i++)
		for (int j = 0; j < COLUMNS; j++)
			*at(array, i, j) = 1000 * i + j;
	assert_int_equal(px_array_slice(array, 0, 100, 1, 50, &rows), 0);
	assert_int_equal(px_array_slice(rows, 1, 3, 4, 90, &columns), 0);
	px_array_unref(array);
	px_array_unref(rows);
	push(all, "s", columns);
	run(all, "assert s.shape == (50, 90) and s[0, 0] == 100003 and s[49, 89] == 149359");
	assert_int_equal(px_array_wait(columns, 0), PX_ETIMEDOUT);
	run(all, "del s");
	assert_int_equal(px_array_wait(columns, LIMIT), 0);
	px_array_unref(columns);
}

/* --- memory that is shared --- */

static void allocated_array_is_not_copied_and_private(void **state)
{
	struct px_array *array = matrix(PX_ARRAY_ZERO);
	uint32_t holders[4];

	(void)state;
	assert_true(*at(array, 3, 3) == 0);
	assert_int_equal(px_array_holders(array, holders, 4), 0);
	push(all, "a", array);
	assert_int_equal(px_array_holders(array, holders, 4), 2);
	assert_true(holders[0] == 0 && holders[1] == 1);
	assert_int_equal(px_array_wait(array, 1000000), PX_ETIMEDOUT);
	run(first, "a[3, 3] = 7");
	assert_true(*at(array, 3, 3) == 0);
	run(first, "del a");
	assert_int_equal(px_array_holders(array, holders, 1), 1);
	assert_int_equal(holders[0], 1);
	run(all, "a = None");
	assert_int_equal(px_array_wait(array, LIMIT), 0);
	px_array_unref(array);
}

static void wrapped_part_of_an_allocated_array_is_copied(void **state)
{
	struct px_array *array = matrix(PX_ARRAY_LIVE | PX_ARRAY_ZERO), *wrapped;

	(void)state;
	assert_int_equal(px_array_wrap(at(array, 1, 0), PX_DTYPE_FLOAT64, 1,
				       (int64_t[]){ 50 * COLUMNS }, NULL, &wrapped),
			 0);
	push(first, "w", wrapped);
	*at(array, 1, 1) = 5;
	run(first, "assert w[1] == 0; w[2] = 9");
	assert_true(*at(array, 1, 2) == 0);
	px_array_unref(wrapped);
	px_array_unref(array);
}

static void live_array_is_written_by_all(void **state)
{
	struct px_array *array = matrix(PX_ARRAY_LIVE | PX_ARRAY_ZERO);

	(void)state;
	push(all, "u", array);
	run(first, "u[0] = 1");
	run(all, "u[1, 0] = 5 if u[0, 0] == 1 else -1");
	assert_true(*at(array, 1, 0) == 5);
	*at(array, 2, 2) = 9;
	run(all, "assert u[2, 2] == 9");
	run(all, "del u");
	px_array_unref(array);
}

static void array_outlives_result_client_and_pool(void **state)
{
	struct px_pool_options options = PX_POOL_OPTIONS;
	struct px_client *other;
	struct px_view *view;
	struct px_result *result;
	struct px_array *own, *received;

	(void)state;
	options.profile = "";
	options.engines = 1;
	assert_int_equal(px_pool_start(&options, &other), 0);
	assert_int_equal(px_view_all(other, &view), 0);
	assert_int_equal(px_view_execute(view, "import numpy; b = numpy.arange(100000)", NULL,
					 NULL),
			 0);
	assert_int_equal(px_view_pull(view, "b", NULL, &result), 0);
	wait_for(result);
	assert_int_equal(px_result_array(result, 0, &received), 0);
	px_result_free(result);
	assert_int_equal(px_array_alloc(other, PX_DTYPE_INT8, 1, (int64_t[]){ 100000 }, 0, &own),
			 0);
	px_view_free(view);
	px_client_detach(other);
	assert_int_equal(((int64_t *)px_array_data(received))[99999], 99999);
	memset(px_array_data(own), 1, 100000);
	assert_int_equal(px_array_wait(own, 0), PX_ECLOSED);
	assert_int_equal(px_array_wait(received, 0), 0);
	px_array_unref(own);
	px_array_unref(received);
}

static void received_array_is_private_and_sent_on(void **state)
{
	struct px_array *array;

	(void)state;
	run(first, "import numpy as np; r = np.arange(20000.)");
	array = pull("r");
	((double *)px_array_data(array))[5] = -5;
	run(first, "assert r[5] == 5");
	push(first, "q", array);
	run(first, "assert q[5] == -5 and q[19999] == 19999");
	px_array_unref(array);
}

static void array_of_another_client_is_copied(void **state)
{
	struct px_array *array = matrix(PX_ARRAY_ZERO), *columns;
	struct px_client *other;
	struct px_view *view;

	(void)state;
	*at(array, 2, 1) = 6;
	assert_int_equal(px_array_slice(array, 1, 1, 2, 100, &columns), 0);
	assert_int_equal(px_client_attach(profile, 0, &other), 0);
	assert_int_equal(px_view_all(other, &view), 0);
	push(view, "o", array);
	push(view, "c", columns);
	assert_int_equal(px_array_wait(array, 0), 0);
	px_array_unref(columns);
	px_array_unref(array);
	run(view, "assert o[2, 1] == 6 and c[2, 0] == 6 and c.shape == (300, 100)");
	px_view_free(view);
	px_client_detach(other);
}

static void many_arrays_of_one_call(void **state)
{
	struct px_value values[PX_ARRAYS_PER_CALL_MAX + 100];
	struct px_array *array;
	struct px_result *result;
	double number = 1;

	(void)state;
	run(first, "def count(arrays): return len(arrays)");
	assert_int_equal(px_array_wrap(&number, PX_DTYPE_FLOAT64, 1, (int64_t[]){ 1 }, NULL,
				       &array),
			 0);
	for (size_t i = 0; i < PX_ARRAYS_PER_CALL_MAX + 100; i++)
		values[i] = px_of_array(array);
	struct px_value list = px_list(values, PX_ARRAYS_PER_CALL_MAX + 100);

	assert_int_equal(px_view_call(first, "count", 1, &list, NULL, NULL, &result), PX_EINVAL);
#ifndef PX_TINY /* whose messages have room for a few */
	struct px_value value;

	list.as.list.count = PX_ARRAYS_PER_CALL_MAX;
	assert_int_equal(px_view_call(first, "count", 1, &list, NULL, NULL, &result), 0);
	wait_for(result);
	assert_int_equal(px_result_value(result, 0, &value), 0);
	assert_int_equal(value.as.integer, PX_ARRAYS_PER_CALL_MAX);
	px_result_free(result);
#endif
	px_array_unref(array);
}

/* --- DLPack --- */

static int deleted;

static void count_deletion(struct DLManagedTensorVersioned *self)
{
	(void)self;
	deleted++;
}

static void dlpack_in_and_out(void **state)
{
	float data[] = { 0, 1, 2, 3, 4, 5 };
	int64_t shape[] = { 2, 2 }, strides[] = { 3, 1 };
	struct DLManagedTensorVersioned tensor = { .version = { 1, 2 }, .deleter = count_deletion };
	struct DLManagedTensorVersioned *out;
	struct px_array *array;

	(void)state;
	tensor.tensor.data = data;
	tensor.tensor.byte_offset = 4;
	tensor.tensor.device.type = PX_DLPACK_CPU;
	tensor.tensor.ndim = 2;
	tensor.tensor.dtype.code = 2;
	tensor.tensor.dtype.bits = 32;
	tensor.tensor.dtype.lanes = 1;
	tensor.tensor.shape = shape;
	tensor.tensor.strides = strides;
	assert_int_equal(px_array_from_dlpack(&tensor, &array), 0);
	push(first, "d", array);
	run(first, "assert d.dtype == 'f4' and d.tolist() == [[1, 2], [4, 5]]");
	assert_int_equal(px_array_to_dlpack(array, &out), 0);
	px_array_unref(array);
	assert_int_equal(deleted, 0);
	assert_int_equal(out->tensor.strides[0], 3);
	assert_ptr_equal(out->tensor.data, &data[1]);
	out->deleter(out);
	assert_int_equal(deleted, 1);
	tensor.tensor.device.type = 2;
	assert_int_equal(px_array_from_dlpack(&tensor, &array), PX_EINVAL);
	assert_non_null(strstr(px_last_error(), "device"));
	tensor.tensor.device.type = PX_DLPACK_CPU;
	tensor.tensor.dtype.code = 4; /* bfloat */
	assert_int_equal(px_array_from_dlpack(&tensor, &array), PX_EINVAL);
	tensor.version.major = 0;
	assert_int_equal(px_array_from_dlpack(&tensor, &array), PX_EINVAL);
	assert_int_equal(deleted, 1);
}

/* --- .npy --- */

static const char *in_folder(const char *name)
{
	static char path[100];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

/* Files of each kind, in the folder, which is then the first engine's. */
static void make_files(void)
{
	char code[700];

	snprintf(code, sizeof(code),
		 "import numpy as np, os; os.chdir('%s')\n"
		 "m = np.arange(24.).reshape(4, 6)\n"
		 "np.save('c.npy', m); np.save('f.npy', np.asfortranarray(m))\n"
		 "np.save('b.npy', m.astype('>c8')); np.save('o.npy', np.array([None]))\n"
		 "np.save('s.npy', np.zeros(2, 'i4,f8')); np.save('0.npy', np.int16(7))\n"
		 "np.save('u.npy', np.array(['a'])); open('bad.npy', 'w').write('x' * 100)\n"
		 "open('short.npy', 'wb').write(open('c.npy', 'rb').read()[:-1])",
		 folder);
	run(first, code);
}

static void remove_files(void)
{
	run(first, "for name in os.listdir(): os.unlink(name)");
}

static void npy_from_numpy_and_back(void **state)
{
	struct px_array *array;

	(void)state;
	make_files();
	assert_int_equal(px_array_load(client, in_folder("c.npy"), &array), 0);
	assert_true(*at(array, 3, 5) == 23);
	assert_int_equal(px_array_save(array, in_folder("c2.npy")), 0);
	px_array_unref(array);
	assert_int_equal(px_array_load(NULL, in_folder("f.npy"), &array), 0);
	assert_true(*at(array, 3, 5) == 23 && px_array_strides(array)[0] == 8);
	assert_int_equal(px_array_save(array, in_folder("f2.npy")), 0);
	px_array_unref(array);
	assert_int_equal(px_array_load(NULL, in_folder("b.npy"), &array), 0);
	assert_true(((float *)px_array_data(array))[2] == 1 &&
		    ((float *)px_array_data(array))[3] == 0);
	px_array_unref(array);
	assert_int_equal(px_array_load(NULL, in_folder("0.npy"), &array), 0);
	assert_true(px_array_ndim(array) == 0 && *(int16_t *)px_array_data(array) == 7);
	px_array_unref(array);
	run(first, "assert open('c.npy', 'rb').read() == open('c2.npy', 'rb').read()\n"
		   "a, b = np.load('f.npy'), np.load('f2.npy')\n"
		   "assert b.flags.f_contiguous and (a == b).all()");
	remove_files();
}

static void npy_that_cannot_be_read_says_why(void **state)
{
	static const struct {
		const char *file, *word;
	} bad[] = {
		{ "o.npy", "|O" },        { "s.npy", "plain" },    { "u.npy", "<U1" },
		{ "bad.npy", "no .npy" }, { "short.npy", "ends" }, { "none.npy", "no file" },
	};
	struct px_array *array = NULL;

	(void)state;
	make_files();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(px_array_load(client, in_folder(bad[i].file), &array), PX_EINVAL);
		if (!strstr(px_last_error(), bad[i].word))
			fail_msg("%s: %s", bad[i].file, px_last_error());
	}
	assert_null(array);
	remove_files();
}

static void npy_of_gaps_is_whole_or_not_there(void **state)
{
	double data[] = { 1, 2, 3, 4 };
	struct px_array *array;

	(void)state;
	make_files();
	assert_int_equal(px_array_wrap(&data[3], PX_DTYPE_FLOAT64, 1, (int64_t[]){ 2 },
				       (int64_t[]){ -16 }, &array),
			 0);
	assert_int_equal(px_array_save(array, in_folder("g.npy")), 0);
	run(first, "assert np.load('g.npy').tolist() == [4, 2]");
	assert_int_equal(px_array_save(array, "/nowhere/at/all.npy"), PX_ESYSTEM);
	assert_non_null(strstr(px_last_error(), "/nowhere/at/all.npy"));
	px_array_unref(array);
	remove_files();
}

/* A link is followed, and a device written to: neither is replaced by a file. */
static void npy_goes_where_a_name_leads(void **state)
{
	double data[] = { 1, 2 };
	struct px_array *array;
	struct stat st;

	(void)state;
	make_files();
	assert_int_equal(px_array_wrap(data, PX_DTYPE_FLOAT64, 1, (int64_t[]){ 2 }, NULL, &array),
			 0);
	assert_int_equal(px_array_save(array, in_folder("meant.npy")), 0);
	data[1] = 3;
	assert_int_equal(symlink("meant.npy", in_folder("link.npy")), 0);
	assert_int_equal(px_array_save(array, in_folder("link.npy")), 0);
	assert_int_equal(lstat(in_folder("link.npy"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	run(first, "assert np.load('meant.npy').tolist() == [1, 3]");
	assert_int_equal(symlink("/dev/full", in_folder("full.npy")), 0);
	assert_int_equal(px_array_save(array, in_folder("full.npy")), PX_ESYSTEM);
	assert_int_equal(stat(in_folder("full.npy"), &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	px_array_unref(array);
	remove_files();
}

/* Whatever a header says, it is refused or a shape that fits. */
static void npy_damaged_never_crashes(void **state)
{
	const char good[] =
		"\x93NUMPY\x01\0\x46\0{'descr': '<f8', 'fortran_order': False, 'shape': "
		"(1, 2,), }            \n0123456789abcdef";
	char path[] = "/tmp/pxrun-npy-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	srand(3);
	for (int round = 0; round < 20000; round++) {
		char bytes[sizeof(good)];
		struct px_array *array;

		memcpy(bytes, good, sizeof(good));
		for (int hits = rand() % 4; hits; hits--)
			bytes[(size_t)rand() % (sizeof(good) - 17)] = (char)rand();
		assert_int_equal(pwrite(fd, bytes, sizeof(bytes) - 1, 0), sizeof(bytes) - 1);
		int rc = px_array_load(NULL, path, &array);

		if (rc == 0)
			px_array_unref(array);
		else
			assert_true(rc == PX_EINVAL || rc == PX_ENOMEM);
	}
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(array_that_cannot_be_says_einval),
		cmocka_unit_test(null_and_freed_arrays_are_refused),
		cmocka_unit_test(empty_and_0d_arrays_there_and_back),
		cmocka_unit_test(strides_arrive_as_they_are),
		cmocka_unit_test(fortran_order_stays),
		cmocka_unit_test(slices_hold_their_array),
		cmocka_unit_test(allocated_array_is_not_copied_and_private),
		cmocka_unit_test(wrapped_part_of_an_allocated_array_is_copied),
		cmocka_unit_test(live_array_is_written_by_all),
		cmocka_unit_test(array_outlives_result_client_and_pool),
		cmocka_unit_test(received_array_is_private_and_sent_on),
		cmocka_unit_test(array_of_another_client_is_copied),
		cmocka_unit_test(many_arrays_of_one_call),
		cmocka_unit_test(dlpack_in_and_out),
		cmocka_unit_test(npy_from_numpy_and_back),
		cmocka_unit_test(npy_that_cannot_be_read_says_why),
		cmocka_unit_test(npy_of_gaps_is_whole_or_not_there),
		cmocka_unit_test(npy_goes_where_a_name_leads),
		cmocka_unit_test(npy_damaged_never_crashes),
	};

	return run_cases(tests, start, stop);
}
