/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * result.c - results: their allocation and holds, and their entries as C values.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "client/internal.h"
#include "client/tasks.h"
#include "client/values.h"
#include "pool/sized.h"
#include "shm/error.h"

static struct px_result *result_alloc(uint32_t count)
{
	uint32_t inlined = count <= PX_RESULT_INLINE ? count : 0;
	struct px_result *result = calloc(1, sizeof(*result) + inlined * sizeof(struct px_request));

	if (!result)
		return NULL;
	result->requests = inlined ? result->inlined : calloc(count, sizeof(struct px_request));
	if (!result->requests) {
		free(result);
		return NULL;
	}
	px_handle_init(&result->handle, PX_HANDLE_RESULT);
	pthread_mutex_init(&result->lock, NULL);
	atomic_init(&result->holds, 1);
	atomic_init(&result->pending, count);
	result->count = count;
	return result;
}

static int make_trackers(struct px_result *result)
{
	result->tracked = true;
	for (uint32_t i = 0; i < result->count; i++) {
		result->requests[i].tracker = px_tracker_new();
		if (!result->requests[i].tracker)
			return px_fail(PX_ENOMEM, "no private memory for a tracker");
	}
	return 0;
}

int px_result_new(struct px_client *client, const uint32_t *engines, uint32_t n, bool tracked,
		  struct px_result **out)
{
	struct px_result *result;
	int rc;

	if (n == 0)
		return px_fail(PX_EINVAL, "no targets: name at least one engine");
	result = result_alloc(n);
	if (!result)
		return px_fail(PX_ENOMEM, "no private memory for %u requests", n);
	result->client = client;
	px_client_hold(client);
	for (uint32_t i = 0; i < n; i++) {
		result->requests[i].result = result;
		result->requests[i].engine = engines[i];
	}
	rc = tracked ? make_trackers(result) : 0;
	if (rc < 0)
		px_result_release(result);
	else
		*out = result;
	return rc;
}

static void request_clear(struct px_request *request)
{
	free(request->long_body);
	px_incoming_free(&request->reply);
	px_tracker_release(request->tracker);
	free(request->words);
	free(request->refused);
	if (request->output)
		px_output_clear(request->output);
	free(request->output);
}

static void result_free(struct px_result *result)
{
	/* Also for a result that was never given to the user. */
	px_handle_end(&result->handle);
	for (uint32_t i = 0; i < result->count; i++)
		request_clear(&result->requests[i]);
	px_decoded_free(result);
	/* It could not be sent to the first, in a call that is still inside. */
	if (result->barrier)
		px_region_release(result->barrier);
	if (result->requests != result->inlined)
		free(result->requests);
	pthread_mutex_destroy(&result->lock);
	px_client_release(result->client);
	px_handle_discard(&result->handle);
}

/* Whether that was the last hold. */
static bool let_go(struct px_result *result)
{
	/* SYNC private: who lets go last sees what the others did before they let go. */
	return atomic_fetch_sub_explicit(&result->holds, 1, memory_order_acq_rel) == 1;
}

/*
 * Has it in no list; as long as it is held it keeps its time limit. In a forked child lists are of no use,
 * and the lock may be taken.
 */
static void unlist(struct px_result *result, bool held)
{
	struct px_client *client = result->client;

	bool limited = !held && result->limit.at_ns;

	if ((!result->completion.list && !limited) || px_client_own(client) < 0)
		return;
	pthread_mutex_lock(&client->lock);
	if (limited)
		px_limits_remove(result);
	px_completions_remove(result);
	result->completion.list = NULL;
	pthread_mutex_unlock(&client->lock);
}

void px_result_release(struct px_result *result)
{
	if (!let_go(result))
		return;
	unlist(result, false);
	result_free(result);
}

void px_result_release_locked(struct px_result *result)
{
	if (!let_go(result))
		return;
	px_limits_remove(result);
	px_completions_remove(result);
	result_free(result);
}

void px_result_free(struct px_result *result)
{
	if (!result || px_handle_check(result, PX_HANDLE_RESULT, "result") < 0)
		return;
	unlist(result, true);
	px_handle_end(&result->handle);
	px_result_release(result);
}

/* With the lock. */
static void set_list(struct px_result *result, struct px_completions *list, bool each)
{
	uint32_t finished = px_result_finished(result);

	px_completions_remove(result);
	result->completion.list = list;
	result->completion.each = each;
	if (finished == result->count || (each && finished))
		(void)px_completions_add(result);
}

int px_result_list(struct px_result *result, struct px_completions *list, bool each)
{
	struct px_client *client = result->client;
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	set_list(result, list, each);
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return 0;
}

int px_result_tell(struct px_result *result)
{
	struct px_client *client = result->client;
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	if (!result->completion.list)
		set_list(result, &client->finished, false);
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return 0;
}

int px_result_set_user(struct px_result *result, void *user)
{
	int rc = px_handle_check(result, PX_HANDLE_RESULT, "result");

	if (rc == 0)
		atomic_store_explicit(&result->user, user, memory_order_relaxed);
	return rc;
}

void *px_result_user(const struct px_result *result)
{
	int rc = px_handle_check(result, PX_HANDLE_RESULT, "result");

	return rc < 0 ? NULL : atomic_load_explicit(&result->user, memory_order_relaxed);
}

size_t px_result_count(const struct px_result *result)
{
	return px_handle_check(result, PX_HANDLE_RESULT, "result") < 0 ? 0 : result->count;
}

int px_result_check_entry(const struct px_result *result, size_t index)
{
	int rc = px_handle_check(result, PX_HANDLE_RESULT, "result");

	if (rc == 0 && index >= result->count)
		rc = px_fail(PX_EINVAL, "entry %zd, counted from 0, of a result that has %u",
			     (ssize_t)index, result->count);
	return rc;
}

uint32_t px_result_engine(struct px_result *result, size_t index)
{
	return px_result_check_entry(result, index) < 0 ?
		       UINT32_MAX :
		       px_request_engine(&result->requests[index]);
}

void px_decoded_free(struct px_result *result)
{
	for (uint32_t i = 0; result->decoded && i < result->count; i++)
		px_decoded_clear(&result->decoded[i]);
	free(result->decoded);
}

/*
 * An entry that is ready; PX_EAGAIN. PX_ECLOSED also in a forked child: replies lie in the segment.
 */
static int entry(struct px_result *result, size_t index, struct px_request **out)
{
	uint32_t engine;
	int rc = px_result_check_entry(result, index);

	if (rc == 0)
		rc = px_client_own(result->client);
	if (rc < 0)
		return rc;
	*out = &result->requests[index];
	if (px_request_is_done(*out))
		return 0;
	engine = px_request_engine(*out);
	if (engine == PX_NO_ENGINE)
		return px_fail(PX_EAGAIN,
			       "no engine has taken the task yet: px_result_wait() waits for it");
	return px_fail(PX_EAGAIN, "engine %u has not answered yet: px_result_wait() waits for it",
		       engine);
}

/* The entry's reply as values, which the first call decodes. */
static int decoded_entry(struct px_request *request, struct px_decoded **out)
{
	struct px_result *result = request->result;
	int rc = 0;

	/* Several threads may ask at once: the first decodes, and what it decoded is not changed. */
	pthread_mutex_lock(&result->lock);
	if (!result->decoded)
		result->decoded = calloc(result->count, sizeof(*result->decoded));
	if (!result->decoded) {
		rc = px_fail(PX_ENOMEM, "no private memory for a reply's values");
	} else {
		*out = &result->decoded[request - result->requests];
		if (!(*out)->count)
			rc = px_decode(&request->reply, *out);
	}
	pthread_mutex_unlock(&result->lock);
	return rc;
}

int px_request_failure(struct px_request *request)
{
	struct px_decoded *decoded;
	int rc;

	if (request->code == 0)
		return 0;
	if (request->words)
		return px_fail(request->code, "%s", request->words);
	if (request->code != PX_EREMOTE)
		return px_fail(request->code, "engine %u: %.*s", request->engine,
			       (int)request->reply.body_bytes, (const char *)request->reply.body);
	rc = decoded_entry(request, &decoded);
	if (rc < 0)
		return rc;
	if (decoded->count >= 2 && decoded->values[0].type == PX_STRING &&
	    decoded->values[1].type == PX_STRING)
		return px_fail(PX_EREMOTE, "engine %u: %s: %s", request->engine,
			       decoded->values[0].as.text.data, decoded->values[1].as.text.data);
	return px_fail(PX_EREMOTE, "engine %u raised an exception", request->engine);
}

int px_result_value(struct px_result *result, size_t index, struct px_value *value)
{
	struct px_request *request = NULL;
	struct px_decoded *decoded;
	int rc = entry(result, index, &request);

	if (rc == 0)
		rc = px_need(value, "value");
	if (rc < 0)
		return rc;
	if (request->code < 0)
		return px_request_failure(request);
	if (request->reply.body_bytes == 0) {
		*value = px_none();
		return 0;
	}
	rc = decoded_entry(request, &decoded);
	if (rc < 0)
		return rc;
	/* A reply to EXECUTE is a count and then the value as text; others are one value. */
	*value = decoded->values[decoded->count > 1 ? 1 : 0];
	return 0;
}

int px_result_array(struct px_result *result, size_t index, struct px_array **array)
{
	struct px_value value;
	int rc = px_result_value(result, index, &value);

	if (rc == 0)
		rc = px_need(array, "array");
	if (rc < 0)
		return rc;
	if (value.type != PX_ARRAY)
		return px_fail(PX_EINVAL, "the value of entry %zu is no array", index);
	px_array_ref(value.as.array);
	*array = value.as.array;
	return 0;
}

int px_result_error(struct px_result *result, size_t index, const char **ename, const char **evalue,
		    const char **traceback)
{
	const char **out[] = { ename, evalue, traceback };
	struct px_request *request = NULL;
	struct px_decoded *decoded;
	int rc = entry(result, index, &request);

	if (rc < 0)
		return rc;
	if (request->code != PX_EREMOTE)
		return px_fail(PX_EINVAL, "no exception was raised for entry %zu", index);
	rc = decoded_entry(request, &decoded);
	if (rc < 0)
		return rc;
	if (decoded->count < 3)
		return px_fail(PX_ECORRUPT, "engine %u sent an error without words",
			       request->engine);
	for (unsigned i = 0; i < 3; i++)
		if (out[i])
			*out[i] = decoded->values[i].type == PX_STRING ?
					  decoded->values[i].as.text.data :
					  "";
	return 0;
}

int px_result_death(struct px_result *result, size_t index, int *signal_number, int *exit_code)
{
	struct px_request *request = NULL;
	int rc = entry(result, index, &request);

	if (rc == 0)
		rc = px_need(signal_number, "signal_number");
	if (rc == 0)
		rc = px_need(exit_code, "exit_code");
	if (rc < 0)
		return rc;
	if (!request->died)
		return px_fail(PX_EINVAL, "no process has died with entry %zu", index);
	*signal_number = request->exit_signal;
	*exit_code = request->exit_code;
	return 0;
}

int px_result_times(struct px_result *result, size_t index, struct px_times *out)
{
	struct px_times times = { 0 };
	const struct px_request *request;
	int rc = px_result_check_entry(result, index);

	if (rc == 0)
		rc = px_need(out, "times");
	if (rc == 0)
		rc = px_sized_check(out, "px_times");
	if (rc < 0)
		return rc;
	request = &result->requests[index];
	times.submitted_ns = request->submitted_ns;
	if (px_request_is_done(request)) {
		times.started_ns = request->reply.started_ns;
		times.completed_ns = request->reply.completed_ns;
		times.received_ns = request->received_ns;
	} else {
		times.started_ns = px_request_began_ns(&result->requests[index]);
	}
	px_sized_write(out, &times, sizeof(times));
	return 0;
}

int px_result_output(struct px_result *result, size_t index, int which, uint64_t from, char *to,
		     size_t cap, size_t *got)
{
	const struct px_output_text *text;
	const struct px_output *output;
	size_t bytes = 0;
	int rc = px_result_check_entry(result, index);

	if (rc == 0)
		rc = px_client_own(result->client);
	if (rc == 0 && (which < 1 || which > 2))
		rc = px_fail(PX_EINVAL, "output %d: 1 is stdout, 2 is stderr", which);
	if (rc == 0 && cap)
		rc = px_need(to, "to");
	if (rc == 0)
		rc = px_need(got, "got");
	if (rc < 0)
		return rc;
	/* What has been read can be had also when the client is closed. */
	(void)px_client_poll(result->client);
	pthread_mutex_lock(&result->client->lock);
	output = result->requests[index].output;
	text = output ? &output->texts[which - 1] : NULL;
	if (text && from < text->length)
		bytes = text->length - from < cap ? text->length - from : cap;
	if (bytes)
		memcpy(to, text->bytes + from, bytes);
	pthread_mutex_unlock(&result->client->lock);
	*got = bytes;
	return 0;
}

const char *px_version(void)
{
	return PX_VERSION;
}
