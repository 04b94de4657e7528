/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_files.c - the files of a pool that lives are deleted.
 */
#include "tests/c/pool.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/holder.h"
#include "shm/error.h"
#include "shm/os.h"

static const char *path_of(struct pool *pool, const char *file)
{
	static char path[128];

	return px_runtime_path(&pool->options.runtime, file, path, sizeof(path));
}

static void remove_all(const char *path)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -rf %s", path);
	assert_int_equal(system(command), 0);
}

static void await_file(struct pool *pool, const char *file)
{
	while (access(path_of(pool, file), F_OK) < 0)
		usleep(1000);
}

/* It has its files; who was connected still is, and who comes is let in; it ends as any other. */
static void assert_whole(struct pool *pool, int connected)
{
	int fd, lock;

	await_file(pool, "lock");
	await_file(pool, "control");
	await_file(pool, "connection.json");
	assert_int_equal(px_runtime_lock(&pool->options.runtime, &lock), PX_EEXIST);
	status(connected);
	fd = dial(pool);
	status(fd);
	close(fd);
}

static void each_file_is_put_back(void **state)
{
	static const char *const files[] = { "control", "lock", "connection.json", "log" };
	struct pool *pool = *state;
	int fd;

	start(pool);
	fd = dial(pool);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		assert_int_equal(unlink(path_of(pool, files[i])), 0);
		assert_true(px_runtime_alive(&pool->options.runtime));
		if (strcmp(files[i], "log") != 0)
			await_file(pool, files[i]);
		assert_whole(pool, fd);
	}
	close(fd);
	stop(pool);
}

static void folders_are_put_back(void **state)
{
	struct pool *pool = *state;
	char root[80];
	struct stat st;
	int fd;

	snprintf(root, sizeof(root), "%s/pxrun", base);
	start(pool);
	fd = dial(pool);
	remove_all(pool->options.runtime.folder);
	assert_whole(pool, fd);
	remove_all(root);
	assert_whole(pool, fd);
	remove_all(base);
	assert_whole(pool, fd);
	assert_int_equal(stat(root, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	close(fd);
	stop(pool);
}

/* Nothing in the folder tells of it. */
static void moved_folders_are_put_back(void **state)
{
	struct pool *pool = *state;
	char root[80], aside[96];
	int fd;

	snprintf(root, sizeof(root), "%s/pxrun", base);
	snprintf(aside, sizeof(aside), "%s/aside", base);
	start(pool);
	fd = dial(pool);
	assert_int_equal(rename(root, aside), 0);
	assert_whole(pool, fd);
	close(fd);
	stop(pool);
}

/* As a client that has the lock's name for itself. */
static void a_lock_that_is_put_in_place_is_not_the_pools(void **state)
{
	struct pool *pool = *state;
	char other[128];
	int fd;

	snprintf(other, sizeof(other), "%s/other", base);
	start(pool);
	fd = dial(pool);
	close(open(other, O_WRONLY | O_CREAT, 0600));
	assert_int_equal(rename(other, path_of(pool, "lock")), 0);
	assert_true(px_runtime_alive(&pool->options.runtime));
	while (px_holder_find(&pool->options.runtime) != pool->supervisor ||
	       access(path_of(pool, "control"), F_OK) < 0)
		usleep(1000);
	assert_whole(pool, fd);
	close(fd);
	stop(pool);
}

static int lock_anew(struct pool *pool)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd;

	assert_int_equal(unlink(path_of(pool, "lock")), 0);
	fd = open(path_of(pool, "lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

static void a_lock_that_another_has_for_a_moment_is_waited_for(void **state)
{
	struct pool *pool = *state;
	int fd, lock;

	start(pool);
	fd = dial(pool);
	lock = lock_anew(pool);
	usleep(300000);
	status(fd);
	close(lock);
	await_log(pool, "and are put back");
	assert_whole(pool, fd);
	close(fd);
	stop(pool);
}

/* It could not be found any more; what is in the folder is the other's. */
static void a_pool_whose_profile_is_taken_ends_and_leaves_the_files(void **state)
{
	struct pool *pool = *state;
	int lock;

	start(pool);
	lock = lock_anew(pool);
	assert_int_equal(supervisor_exit(pool), 0);
	await_log(pool, "its profile is another pool's");
	assert_int_equal(access(path_of(pool, "lock"), F_OK), 0);
	assert_int_equal(access(path_of(pool, "control"), F_OK), 0);
	close(lock);
}

static void a_stop_before_files_are_back_leaves_nothing(void **state)
{
	struct pool *pool = *state;

	start(pool);
	assert_int_equal(unlink(path_of(pool, "lock")), 0);
	stop(pool);
}

/* A folder where none can be made. */
static void a_pool_without_files_goes_on_and_is_found(void **state)
{
	struct pool *pool = *state;
	char root[80];
	int fd, lock;

	snprintf(root, sizeof(root), "%s/pxrun", base);
	start(pool);
	fd = dial(pool);
	remove_all(root);
	close(open(root, O_WRONLY | O_CREAT, 0600));
	usleep(300000);
	status(fd);
	assert_true(px_runtime_alive(&pool->options.runtime));
	assert_int_equal(px_holder_find(&pool->options.runtime), pool->supervisor);
	assert_true(px_runtime_lock(&pool->options.runtime, &lock) < 0);
	assert_int_equal(unlink(root), 0);
	assert_whole(pool, fd);
	close(fd);
	stop(pool);
}

int main(void)
{
	static const struct CMUnitTest cases[] = {
		POOL_CASE(each_file_is_put_back),
		POOL_CASE(folders_are_put_back),
		POOL_CASE(moved_folders_are_put_back),
		POOL_CASE(a_lock_that_is_put_in_place_is_not_the_pools),
		POOL_CASE(a_lock_that_another_has_for_a_moment_is_waited_for),
		POOL_CASE(a_pool_whose_profile_is_taken_ends_and_leaves_the_files),
		POOL_CASE(a_stop_before_files_are_back_leaves_nothing),
		POOL_CASE(a_pool_without_files_goes_on_and_is_found),
	};

	return run_pool_cases(cases);
}
