/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run_corpus.c - runs a fuzz target without a fuzzer: on each file of its corpus, on each
 * beginning of the file, and with each byte changed. For make check; make fuzz goes on from here.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In a block of exactly that size, so that a sanitizer notices a read beyond it. */
static void try_bytes(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void try_file(uint8_t *data, size_t size)
{
	static const uint8_t masks[] = { 0x01, 0x20, 0x80, 0xff };

	for (size_t length = 0; length <= size; length++)
		try_bytes(data, length);
	for (size_t at = 0; at < size; at++) {
		for (size_t i = 0; i < sizeof(masks); i++) {
			data[at] ^= masks[i];
			try_bytes(data, size);
			data[at] ^= masks[i];
		}
	}
}

int main(int argc, char **argv)
{
	static uint8_t data[FILE_BYTES_MAX];
	const char *source = getenv("PXRUN_SRCDIR");
	const char *name = strrchr(argv[0], '_');
	char folder[4096], path[8192];
	struct dirent *entry;
	int files = 0;
	DIR *dir;

	(void)argc;
	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", source ? source : ".",
		 name ? name + 1 : "");
	dir = opendir(folder);
	if (!dir) {
		perror(folder);
		return 1;
	}
	while ((entry = readdir(dir))) {
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		file = fopen(path, "rb");
		if (!file) {
			perror(path);
			return 1;
		}
		/* Printed before the run, so that after a crash it is known. */
		printf("%s\n", entry->d_name);
		fflush(stdout);
		try_file(data, fread(data, 1, sizeof(data), file));
		fclose(file);
		files++;
	}
	closedir(dir);
	printf("%d passed, 0 failed\n", files);
	return files == 0;
}
