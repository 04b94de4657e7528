/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map_output.c - writes results and the job log, and reads the log of an earlier run.
 */
#include "bin/map_output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/error.h"

#define HELD_BYTES ((size_t)1 << 18)
#define GIVE_UP_MS 1000

static const char header[] =
	"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/* --- what an earlier run has done --- */

static int mark(struct px_map_output *output, uint64_t seq)
{
	size_t count = output->done_count;
	struct px_map_range *grown;

	if (count && output->done[count - 1].last + 1 == seq) {
		output->done[count - 1].last = seq;
		return 0;
	}
	if (count == output->done_room) {
		size_t room = count ? 2 * count : 64;

		grown = realloc(output->done, room * sizeof(*grown));
		if (!grown)
			return px_fail(PX_ENOMEM, "no private memory for the log %s",
				       output->log_path);
		output->done = grown;
		output->done_room = room;
	}
	output->done[output->done_count++] = (struct px_map_range){ seq, seq };
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct px_map_range *one = a, *other = b;

	return (one->first > other->first) - (one->first < other->first);
}

bool px_map_output_has(struct px_map_output *output, uint64_t seq)
{
	while (output->done_at < output->done_count && output->done[output->done_at].last < seq)
		output->done_at++;
	return output->done_at < output->done_count && output->done[output->done_at].first <= seq;
}

static int read_line(struct px_map_output *output, const char *line, unsigned long number)
{
	unsigned long long seq;
	long code, ended_by;

	if (!strcmp(line, header))
		return 0;
	if (sscanf(line, "%llu\t%*[^\t]\t%*[^\t]\t%*[^\t]\t%*[^\t]\t%*[^\t]\t%ld\t%ld\t", &seq,
		   &code, &ended_by) != 3 ||
	    seq == 0)
		return px_fail(PX_EINVAL, "%s, line %lu: no line of a job log", output->log_path,
			       number);
	/* What failed is done again. */
	return code == 0 && ended_by == 0 ? mark(output, seq) : 0;
}

/* *end: where the last whole line ends. */
static int read_log(struct px_map_output *output, off_t *end)
{
	FILE *file = fopen(output->log_path, "re");
	unsigned long number = 0;
	size_t room = 0;
	char *line = NULL;
	ssize_t length;
	int rc = 0;

	*end = 0;
	if (!file)
		return errno == ENOENT ? 0 : px_fail_errno("the job log %s", output->log_path);
	while (rc == 0 && (length = getline(&line, &room, file)) > 0 && line[length - 1] == '\n') {
		rc = read_line(output, line, ++number);
		*end += length;
	}
	if (rc == 0 && ferror(file))
		rc = px_fail_errno("reading the job log %s", output->log_path);
	/* Results that came out of order, and records that were done again, are not in theirs. */
	if (output->done)
		qsort(output->done, output->done_count, sizeof(*output->done), compare);
	free(line);
	fclose(file);
	return rc;
}

int px_map_output_open(struct px_map_output *output, bool resume)
{
	off_t end = 0;
	int rc = 0;

	output->held = malloc(HELD_BYTES);
	output->log_fd = -1;
	if (!output->held)
		return px_fail(PX_ENOMEM, "no private memory for results");
	if (output->log_path && resume)
		rc = read_log(output, &end);
	if (rc < 0 || !output->log_path || output->log_stays)
		return rc;
	output->log_fd = open(output->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (output->log_fd < 0)
		return px_fail_errno("the job log %s", output->log_path);
	/* A device or a pipe cannot be made shorter, and has nothing of an earlier run. */
	if (ftruncate(output->log_fd, end) < 0 && errno != EINVAL)
		return px_fail_errno("the job log %s", output->log_path);
	return end ? 0 : px_map_output_put(output, NULL, 0, header, sizeof(header) - 1);
}

void px_map_output_close(struct px_map_output *output)
{
	if (output->log_fd >= 0)
		close(output->log_fd);
	free(output->done);
	free(output->held);
	free(output->log_held);
}

/* --- writing --- */

/* After a signal: no more than fits, and not for ever. PX_EINTR: nobody reads. */
static ssize_t write_careful(int fd, const char *data, size_t bytes)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

	if (poll(&poll_fd, 1, GIVE_UP_MS) <= 0)
		return px_fail(PX_EINTR, "nobody reads the results");
	return write(fd, data, bytes < PIPE_BUF ? bytes : PIPE_BUF);
}

static int write_all(struct px_map_output *output, int fd, const char *data, size_t bytes,
		     const char *what)
{
	while (bytes) {
		ssize_t done =
			*output->signals ? write_careful(fd, data, bytes) : write(fd, data, bytes);

		if (done == PX_EINTR || (done < 0 && errno == EINTR && *output->signals > 1))
			return px_fail(PX_EINTR, "results were not read");
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			output->unread = fd == STDOUT_FILENO && errno == EPIPE;
			return px_fail_errno("writing to %s", what);
		}
		data += done;
		bytes -= (size_t)done;
	}
	return 0;
}

/* Once something is missing, nothing follows it: what is written is a beginning of the results. */
static int write_results(struct px_map_output *output, const char *text, size_t bytes)
{
	if (output->failed == 0)
		output->failed = write_all(output, STDOUT_FILENO, text, bytes, "standard output");
	return output->failed;
}

/* Results that nobody has logged are no secret: who resumes gets them twice. */
static int write_log(struct px_map_output *output, size_t bytes)
{
	char why[400];
	int rc = write_all(output, output->log_fd, output->log_held, bytes, output->log_path);

	if (rc == 0)
		return 0;
	snprintf(why, sizeof(why), "%s", px_last_error());
	return px_fail(rc,
		       "%s; the last results that were printed may not be in it, and --resume "
		       "would give those again",
		       why);
}

int px_map_output_flush(struct px_map_output *output)
{
	size_t bytes = output->held_bytes, log_bytes = output->log_bytes;
	int rc;

	output->held_bytes = output->log_bytes = 0;
	rc = write_results(output, output->held, bytes);
	return rc == 0 && log_bytes ? write_log(output, log_bytes) : rc;
}

bool px_map_output_unread(struct px_map_output *output)
{
	struct pollfd fd = { .fd = STDOUT_FILENO };

	if (poll(&fd, 1, 0) == 1 && fd.revents & POLLERR)
		output->unread = true;
	return output->unread;
}

static int hold_log(struct px_map_output *output, const char *log, size_t bytes)
{
	char *grown = realloc(output->log_held, output->log_bytes + bytes);

	if (!grown)
		return px_fail(PX_ENOMEM, "no private memory for the job log");
	memcpy(grown + output->log_bytes, log, bytes);
	output->log_held = grown;
	output->log_bytes += bytes;
	return 0;
}

int px_map_output_put(struct px_map_output *output, const char *text, size_t bytes, const char *log,
		      size_t log_bytes)
{
	int rc = 0;

	if (output->held_bytes + bytes > HELD_BYTES)
		rc = px_map_output_flush(output);
	if (rc == 0 && bytes > HELD_BYTES) {
		rc = write_results(output, text, bytes);
	} else if (rc == 0 && bytes) {
		memcpy(output->held + output->held_bytes, text, bytes);
		output->held_bytes += bytes;
	}
	if (rc == 0 && log_bytes)
		rc = hold_log(output, log, log_bytes);
	return rc;
}
