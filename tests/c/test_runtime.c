/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_runtime.c - checks of folders, locks, and cleaning up.
 */
#include "tests/c/case.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool/runtime.h"
#include "shm/error.h"

static char base[64], root[80];

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *walk)
{
	(void)st;
	(void)flag;
	(void)walk;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	strcpy(base, "/tmp/pxrt.XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(root, sizeof(root), "%s/pxrun", base);
	unsetenv("PXRUN_PROFILE");
	return setenv("XDG_RUNTIME_DIR", base, 1);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(base, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct px_runtime made(const char *profile)
{
	struct px_runtime runtime;

	assert_int_equal(px_runtime_find(profile, true, &runtime), 0);
	return runtime;
}

static void write_text(const struct px_runtime *runtime, const char *file, const char *text)
{
	char path[256];
	FILE *to = fopen(px_runtime_path(runtime, file, path, sizeof(path)), "w");

	assert_non_null(to);
	fputs(text, to);
	fclose(to);
}

static bool there(const struct px_runtime *runtime, const char *file)
{
	char path[256];

	return access(px_runtime_path(runtime, file, path, sizeof(path)), F_OK) == 0;
}

/* A process that holds the lock until it is killed. */
static pid_t hold_lock(const struct px_runtime *runtime)
{
	int ready[2], lock;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (px_runtime_lock(runtime, &lock) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void kill_and_reap(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* --- names --- */

static void find_default_name(void **state)
{
	struct px_runtime runtime;
	char expected[128];

	(void)state;
	assert_int_equal(px_runtime_find(NULL, false, &runtime), 0);
	assert_string_equal(runtime.profile, "default");
	snprintf(expected, sizeof(expected), "%s/default", root);
	assert_string_equal(runtime.folder, expected);
	setenv("PXRUN_PROFILE", "other", 1);
	assert_int_equal(px_runtime_find(NULL, false, &runtime), 0);
	assert_string_equal(runtime.profile, "other");
	unsetenv("PXRUN_PROFILE");
}

static void find_bad_name_refused(void **state)
{
	static const char *const names[] = {
		"../x",     "a/b",
		"/etc",     ".",
		"..",       ".hidden",
		"a b",      "a\nb",
		"\xc3\xa4", "0123456789012345678901234567890123456789012345678901234567890123",
	};
	struct px_runtime runtime = { .profile = "untouched" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(px_runtime_find(names[i], true, &runtime), PX_EINVAL);
		assert_words("is no profile name");
		assert_string_equal(runtime.profile, "untouched");
	}
	assert_int_not_equal(access(root, F_OK), 0);
}

static void find_long_path_refused(void **state)
{
	char path[256] = "/tmp/";
	struct px_runtime runtime;

	(void)state;
	memset(path + 5, 'x', 120);
	path[125] = '\0';
	setenv("XDG_RUNTIME_DIR", path, 1);
	assert_int_equal(px_runtime_find("default", true, &runtime), PX_EINVAL);
	assert_words("set XDG_RUNTIME_DIR to a shorter one");
	setenv("XDG_RUNTIME_DIR", base, 1);
}

/* What just fits into px_runtime.folder also fits into a socket's address. */
static void find_longest_path_fits_socket(void **state)
{
	struct sockaddr_un address;
	struct px_runtime runtime;
	char name[64];
	size_t length = sizeof(runtime.folder) - 1 - strlen(root) - 1;

	(void)state;
	if (length > 63)
		length = 63;
	memset(name, 'n', length);
	name[length] = '\0';
	runtime = made(name);
	assert_true(strlen(runtime.folder) + strlen("/control") < sizeof(address.sun_path));
}

static void find_relative_runtime_dir_ignored(void **state)
{
	struct px_runtime runtime;
	char expected[64];

	(void)state;
	setenv("XDG_RUNTIME_DIR", "run", 1);
	assert_int_equal(px_runtime_find("x-test-name", false, &runtime), 0);
	snprintf(expected, sizeof(expected), "/tmp/pxrun-%u/x-test-name", (unsigned)getuid());
	assert_string_equal(runtime.folder, expected);
	setenv("XDG_RUNTIME_DIR", base, 1);
}

/* --- folders --- */

static void find_makes_private_folders(void **state)
{
	struct px_runtime runtime;
	struct stat st;

	(void)state;
	umask(0);
	runtime = made("default");
	assert_int_equal(stat(root, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(runtime.folder, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	umask(022);
}

static void find_without_create_makes_nothing(void **state)
{
	struct px_runtime runtime;

	(void)state;
	assert_int_equal(px_runtime_find("default", false, &runtime), 0);
	assert_int_not_equal(access(root, F_OK), 0);
}

static void find_wide_mode_refused(void **state)
{
	struct px_runtime runtime = made("default");

	(void)state;
	chmod(runtime.folder, 0750);
	assert_int_equal(px_runtime_find("default", false, &runtime), PX_EPERM);
	assert_words("has mode 0750");
	chmod(runtime.folder, 0700);
	chmod(root, 0777);
	assert_int_equal(px_runtime_find("default", true, &runtime), PX_EPERM);
	assert_words("has mode 0777");
}

static void find_link_refused(void **state)
{
	struct px_runtime runtime;
	char target[128], name[160];

	(void)state;
	snprintf(target, sizeof(target), "%s/elsewhere", base);
	mkdir(target, 0700);
	assert_int_equal(symlink(target, root), 0);
	assert_int_equal(px_runtime_find("default", true, &runtime), PX_EPERM);
	assert_words("is a symbolic link");
	unlink(root);
	(void)made("other");
	snprintf(name, sizeof(name), "%s/default", root);
	assert_int_equal(symlink(target, name), 0);
	assert_int_equal(px_runtime_find("default", false, &runtime), PX_EPERM);
	assert_words("is a symbolic link");
}

static void find_file_in_the_way_refused(void **state)
{
	struct px_runtime runtime;
	FILE *file = fopen(root, "w");

	(void)state;
	assert_non_null(file);
	fclose(file);
	assert_int_equal(px_runtime_find("default", true, &runtime), PX_EPERM);
	assert_words("is not a folder");
}

static void find_other_owner_refused(void **state)
{
	struct px_runtime runtime = made("default");

	(void)state;
	if (getuid() != 0) {
		print_message("only root can give a folder away\n");
		skip();
	}
	assert_int_equal(chown(runtime.folder, 12345, 12345), 0);
	assert_int_equal(px_runtime_find("default", true, &runtime), PX_EPERM);
	assert_words("belongs to user 12345");
}

static void find_missing_runtime_dir_says_so(void **state)
{
	struct px_runtime runtime;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/gone", base);
	setenv("XDG_RUNTIME_DIR", path, 1);
	assert_int_equal(px_runtime_find("default", true, &runtime), PX_ESYSTEM);
	assert_words("making the folder");
	setenv("XDG_RUNTIME_DIR", base, 1);
}

/* --- the lock --- */

static void lock_held_says_pid(void **state)
{
	struct px_runtime runtime = made("default");
	pid_t pid = hold_lock(&runtime);
	char words[64];
	int lock = -7;

	(void)state;
	assert_true(px_runtime_alive(&runtime));
	assert_int_equal(px_runtime_lock(&runtime, &lock), PX_EEXIST);
	assert_int_equal(lock, -7);
	snprintf(words, sizeof(words), "(process %d)", (int)pid);
	assert_words(words);
	assert_words("pxrun stop");
	kill_and_reap(pid);
	assert_false(px_runtime_alive(&runtime));
	assert_int_equal(px_runtime_lock(&runtime, &lock), 0);
	close(lock);
}

static void lock_cleans_what_the_dead_left(void **state)
{
	struct px_runtime runtime = made("default");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), lock;

	(void)state;
	px_runtime_path(&runtime, "control", address.sun_path, sizeof(address.sun_path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	write_text(&runtime, "connection.json", "{}");
	write_text(&runtime, "log", "last words\n");
	kill_and_reap(hold_lock(&runtime));
	/* The holder has cleaned already; leave new remains. */
	write_text(&runtime, "control", "");
	write_text(&runtime, "connection.json", "{}");
	assert_int_equal(px_runtime_lock(&runtime, &lock), 0);
	assert_false(there(&runtime, "control"));
	assert_false(there(&runtime, "connection.json"));
	assert_true(there(&runtime, "log"));
	close(lock);
}

static void lock_of_cleaned_folder_makes_it_anew(void **state)
{
	struct px_runtime runtime = made("default");
	int lock;

	(void)state;
	px_runtime_clean(&runtime, true);
	assert_int_not_equal(access(runtime.folder, F_OK), 0);
	assert_int_equal(px_runtime_lock(&runtime, &lock), 0);
	assert_true(px_runtime_alive(&runtime));
	close(lock);
}

static void lock_link_refused(void **state)
{
	struct px_runtime runtime = made("default");
	char path[128];
	int lock;

	(void)state;
	px_runtime_path(&runtime, "lock", path, sizeof(path));
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(px_runtime_lock(&runtime, &lock), PX_ESYSTEM);
}

/* A query takes no lock: a start at the same moment must not be refused. */
static void alive_does_not_disturb_lock(void **state)
{
	struct px_runtime runtime = made("default");
	pid_t looker = fork();
	int lock;

	(void)state;
	if (looker == 0)
		for (;;)
			(void)px_runtime_alive(&runtime);
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(px_runtime_lock(&runtime, &lock), 0);
		close(lock);
	}
	kill_and_reap(looker);
}

/* --- cleaning, listing --- */

static void clean_removes_folder(void **state)
{
	struct px_runtime runtime = made("default");

	(void)state;
	write_text(&runtime, "control", "");
	write_text(&runtime, "connection.json", "{}");
	write_text(&runtime, "lock", "");
	write_text(&runtime, "log", "");
	write_text(&runtime, "kernel-12.json", "{}");
	write_text(&runtime, "k12-5", "");
	px_runtime_clean(&runtime, true);
	assert_int_not_equal(access(runtime.folder, F_OK), 0);
}

static void clean_leaves_the_log(void **state)
{
	struct px_runtime runtime = made("default");

	(void)state;
	write_text(&runtime, "control", "");
	write_text(&runtime, "lock", "");
	write_text(&runtime, "log", "");
	write_text(&runtime, "log.1", "");
	assert_true(px_runtime_has_pool(&runtime));
	px_runtime_clean(&runtime, false);
	assert_false(px_runtime_has_pool(&runtime));
	assert_false(there(&runtime, "control"));
	assert_true(there(&runtime, "log"));
	assert_true(there(&runtime, "log.1"));
	/* Without one the folder is of no use. */
	px_runtime_clean(&runtime, true);
	assert_int_not_equal(access(runtime.folder, F_OK), 0);
	runtime = made("default");
	px_runtime_clean(&runtime, false);
	assert_int_not_equal(access(runtime.folder, F_OK), 0);
}

static void clean_dead_leaves_the_log_of_a_named_pool(void **state)
{
	struct px_runtime named = made("default"), private = made("private-1-1");

	(void)state;
	write_text(&named, "log", "");
	write_text(&private, "log", "");
	px_runtime_clean_dead(&named);
	px_runtime_clean_dead(&private);
	assert_true(there(&named, "log"));
	assert_int_not_equal(access(private.folder, F_OK), 0);
}

/* Of pools that a program tries to start again and again. */
static void clean_private_leaves_the_newest(void **state)
{
	struct px_runtime named = made("default"), live = made("private-7-0"), each;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { 0 } };
	char name[32], path[128];
	pid_t pid;

	(void)state;
	write_text(&named, "log", "");
	for (int i = 1; i <= 20; i++) {
		snprintf(name, sizeof(name), "private-7-%d", i);
		each = made(name);
		write_text(&each, "log", "");
		/* Seconds that do not rise with their names. */
		times[1].tv_sec = 1000 + i * 7 % 20;
		px_runtime_path(&each, "log", path, sizeof(path));
		assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	}
	write_text(&live, "log", "");
	times[1].tv_sec = 1;
	px_runtime_path(&live, "log", path, sizeof(path));
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	pid = hold_lock(&live);
	px_runtime_clean_private();
	for (int i = 1; i <= 20; i++) {
		snprintf(name, sizeof(name), "private-7-%d", i);
		assert_int_equal(px_runtime_find(name, false, &each), 0);
		assert_int_equal(there(&each, "log"), i * 7 % 20 >= 12);
	}
	assert_true(there(&live, "log"));
	assert_true(there(&named, "log"));
	kill_and_reap(pid);
}

static void clean_spares_foreign_files(void **state)
{
	struct px_runtime runtime = made("default");

	(void)state;
	write_text(&runtime, "control", "");
	write_text(&runtime, "log", "");
	write_text(&runtime, "notes", "mine\n");
	px_runtime_clean(&runtime, true);
	assert_false(there(&runtime, "control"));
	assert_true(there(&runtime, "notes"));
	assert_true(there(&runtime, "log"));
}

static void remove_kernel_spares_those_of_others(void **state)
{
	struct px_runtime runtime = made("default");

	(void)state;
	assert_false(px_runtime_remove_kernel(&runtime, 1));
	write_text(&runtime, "kernel-1.json", "{}");
	write_text(&runtime, "k1-1", "");
	write_text(&runtime, "kernel-11.json", "{}");
	write_text(&runtime, "k11-1", "");
	assert_true(px_runtime_remove_kernel(&runtime, 1));
	assert_false(there(&runtime, "kernel-1.json"));
	assert_false(there(&runtime, "k1-1"));
	assert_true(there(&runtime, "kernel-11.json"));
	assert_true(there(&runtime, "k11-1"));
	write_text(&runtime, "k11-6", "no socket of a kernel's");
	px_runtime_clean(&runtime, true);
	assert_false(there(&runtime, "kernel-11.json"));
	assert_true(there(&runtime, "k11-6"));
}

static int collect(void *ctx, const struct px_runtime *runtime)
{
	strcat(strcat(ctx, runtime->profile), " ");
	return 0;
}

static int stop_at_first(void *ctx, const struct px_runtime *runtime)
{
	strcat(strcat(ctx, runtime->profile), " ");
	return 7;
}

static void list_finds_profiles(void **state)
{
	struct px_runtime runtime;
	char names[256] = "", path[160];

	(void)state;
	assert_int_equal(px_runtime_list(collect, names), 0);
	assert_string_equal(names, "");
	runtime = made("b");
	runtime = made("a");
	runtime = made("wide");
	chmod(runtime.folder, 0755);
	snprintf(path, sizeof(path), "%s/.hidden", root);
	mkdir(path, 0700);
	assert_int_equal(px_runtime_list(collect, names), 0);
	assert_string_equal(names, "a b ");
	names[0] = '\0';
	assert_int_equal(px_runtime_list(stop_at_first, names), 7);
	assert_string_equal(names, "a ");
}

/* --- connection files --- */

static void write_connection(const struct px_runtime *runtime, const char *profile)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "{\"pxrun\": \"0.1.0\", \"profile\": \"%s\", \"pid\": 1, "
		 "\"socket\": \"%s\\/control\", \"engines\": 4}\n",
		 profile, runtime->folder);
	write_text(runtime, "connection.json", text);
}

static void from_file_finds_folder(void **state)
{
	struct px_runtime runtime = made("work"), found;
	char path[160], copy[160];

	(void)state;
	write_connection(&runtime, "work");
	px_runtime_path(&runtime, "connection.json", path, sizeof(path));
	assert_int_equal(px_runtime_from_file(path, &found), 0);
	assert_string_equal(found.folder, runtime.folder);
	assert_string_equal(found.profile, "work");
	/* A copy of the connection file elsewhere works as well. */
	snprintf(copy, sizeof(copy), "%s/copy.json", base);
	assert_int_equal(rename(path, copy), 0);
	assert_int_equal(px_runtime_from_file(copy, &found), 0);
	assert_string_equal(found.folder, runtime.folder);
}

static void from_file_missing_says_no_pool(void **state)
{
	struct px_runtime runtime = made("work"), found;
	char path[160], copy[160];

	(void)state;
	snprintf(path, sizeof(path), "%s/nothing.json", base);
	assert_int_equal(px_runtime_from_file(path, &found), PX_ENOPOOL);
	assert_words("its pool has stopped");
	write_connection(&runtime, "work");
	px_runtime_path(&runtime, "connection.json", path, sizeof(path));
	snprintf(copy, sizeof(copy), "%s/copy.json", base);
	rename(path, copy);
	px_runtime_clean(&runtime, true);
	assert_int_equal(px_runtime_from_file(copy, &found), PX_ENOPOOL);
}

static void from_file_garbage_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"{}",
		"\"",
		"{\"pxrun\": 1}",
		"{\"pxrun\": 1, \"socket\": 2}",
		"{\"pxrun\": 1, \"profile\": \"work\", \"socket\": \"/control\"}",
		"{\"pxrun\": 1, \"profile\": \"../..\", \"socket\": \"/tmp/../../control\"}",
		"{\"pxrun\": 1, \"profile\": \"work\", \"socket\": \"/tmp/other/control\"}",
		"{\"pxrun\": 1, \"profile\": \"work\", \"socket\": \"work/control\"}",
		"{\"pxrun\": 1, \"profile\": \"work\", \"socket\": \"/tmp/work/control\"",
	};
	struct px_runtime runtime = made("work"), found;
	char path[160];

	(void)state;
	px_runtime_path(&runtime, "connection.json", path, sizeof(path));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_text(&runtime, "connection.json", texts[i]);
		assert_int_equal(px_runtime_from_file(path, &found), PX_EINVAL);
	}
}

/* A FIFO would be waited for, and a device perhaps do something. */
static void from_file_of_another_kind_refused(void **state)
{
	struct px_runtime found;
	char path[160];

	(void)state;
	snprintf(path, sizeof(path), "%s/fifo", base);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(px_runtime_from_file(path, &found), PX_EINVAL);
	assert_words("fifo is a FIFO, and no connection file");
	assert_int_equal(px_runtime_from_file("/dev/zero", &found), PX_EINVAL);
	assert_words("/dev/zero is a device, and no connection file");
	assert_int_equal(px_runtime_from_file(base, &found), PX_EINVAL);
	assert_words(" is a folder, and no connection file");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(find_default_name),
		CASE(find_bad_name_refused),
		CASE(find_long_path_refused),
		CASE(find_longest_path_fits_socket),
		CASE(find_relative_runtime_dir_ignored),
		CASE(find_makes_private_folders),
		CASE(find_without_create_makes_nothing),
		CASE(find_wide_mode_refused),
		CASE(find_link_refused),
		CASE(find_file_in_the_way_refused),
		CASE(find_other_owner_refused),
		CASE(find_missing_runtime_dir_says_so),
		CASE(lock_held_says_pid),
		CASE(lock_cleans_what_the_dead_left),
		CASE(lock_of_cleaned_folder_makes_it_anew),
		CASE(lock_link_refused),
		CASE(alive_does_not_disturb_lock),
		CASE(clean_removes_folder),
		CASE(clean_leaves_the_log),
		CASE(clean_dead_leaves_the_log_of_a_named_pool),
		CASE(clean_private_leaves_the_newest),
		CASE(clean_spares_foreign_files),
		CASE(remove_kernel_spares_those_of_others),
		CASE(list_finds_profiles),
		CASE(from_file_finds_folder),
		CASE(from_file_missing_says_no_pool),
		CASE(from_file_garbage_refused),
		CASE(from_file_of_another_kind_refused),
	};

	return run_cases(tests, NULL, NULL);
}
