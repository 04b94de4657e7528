/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * result.c - what came back: counted, and as C values.
 */
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"
#include "client/values.h"
#include "shm/error.h"

struct px_result *px_result_new(struct px_client *client, uint32_t count)
{
	struct px_result *result = calloc(1, sizeof(*result) + count * sizeof(struct px_request));

	if (!result)
		return NULL;
	result->client = client;
	result->count = count;
	atomic_init(&result->holds, 1);
	for (uint32_t i = 0; i < count; i++)
		result->requests[i].result = result;
	px_client_hold(client);
	return result;
}

void px_result_release(struct px_result *result)
{
	/* SYNC private: who lets go last sees what the others did before they let go. */
	if (atomic_fetch_sub_explicit(&result->holds, 1, memory_order_acq_rel) != 1)
		return;
	for (uint32_t i = 0; i < result->count; i++) {
		struct px_request *request = &result->requests[i];

		if (request->reply.body != request->small && !request->reply.body_loan)
			free((void *)(uintptr_t)request->reply.body);
		px_incoming_free(&request->reply);
		px_tracker_release(request->tracker);
		free(request->words);
		if (request->output)
			px_output_clear(request->output);
		free(request->output);
	}
	px_decoded_free(result);
	px_client_release(result->client);
	free(result);
}

void px_result_free(struct px_result *result)
{
	if (result)
		px_result_release(result);
}

size_t px_result_count(const struct px_result *result)
{
	return result->count;
}

uint32_t px_result_engine(const struct px_result *result, size_t index)
{
	return index < result->count ? result->requests[index].engine : UINT32_MAX;
}

void px_decoded_free(struct px_result *result)
{
	for (uint32_t i = 0; result->decoded && i < result->count; i++)
		px_decoded_clear(&result->decoded[i]);
	free(result->decoded);
}

/* A ready entry, or PX_EAGAIN. */
static int entry(const struct px_result *result, size_t index, const struct px_request **out)
{
	if (index >= result->count)
		return px_fail(PX_EINVAL, "entry %zu of a result that has %u", index,
			       result->count);
	*out = &result->requests[index];
	/* SYNC request.done: acquire; partner: px_request_done(). */
	if (!atomic_load_explicit(&(*out)->done, memory_order_acquire))
		return px_fail(PX_EAGAIN, "engine %u has not answered yet", (*out)->engine);
	return 0;
}

static int decoded_entry(struct px_result *result, size_t index, const struct px_request *request,
			 struct px_decoded **out)
{
	if (!result->decoded) {
		result->decoded = calloc(result->count, sizeof(*result->decoded));
		if (!result->decoded)
			return px_fail(PX_ENOMEM, "no private memory for a reply's values");
	}
	*out = &result->decoded[index];
	return (*out)->count ? 0 : px_decode(&request->reply, *out);
}

int px_request_failure(struct px_request *request)
{
	struct px_decoded decoded;
	int rc;

	if (request->code == 0)
		return 0;
	if (request->words)
		return px_fail(request->code, "%s", request->words);
	if (request->code != PX_EREMOTE)
		return px_fail(request->code, "engine %u: %.*s", request->engine,
			       (int)request->reply.body_bytes, (const char *)request->reply.body);
	rc = px_decode(&request->reply, &decoded);
	if (rc < 0)
		return rc;
	if (decoded.count >= 2 && decoded.values[0].type == PX_STRING &&
	    decoded.values[1].type == PX_STRING)
		px_fail(PX_EREMOTE, "engine %u: %s: %s", request->engine,
			decoded.values[0].as.text.data, decoded.values[1].as.text.data);
	else
		px_fail(PX_EREMOTE, "engine %u raised an exception", request->engine);
	px_decoded_clear(&decoded);
	return PX_EREMOTE;
}

int px_result_value(struct px_result *result, size_t index, struct px_value *value)
{
	const struct px_request *request = NULL;
	struct px_decoded *decoded;
	int rc = entry(result, index, &request);

	if (rc < 0)
		return rc;
	if (request->code < 0)
		return px_request_failure(&result->requests[index]);
	if (request->reply.body_bytes == 0) {
		*value = px_none();
		return 0;
	}
	rc = decoded_entry(result, index, request, &decoded);
	if (rc < 0)
		return rc;
	/* EXECUTE answers with a count and then the value as text; the others with one value. */
	*value = decoded->values[decoded->count > 1 ? 1 : 0];
	return 0;
}

int px_result_error(struct px_result *result, size_t index, const char **ename, const char **evalue,
		    const char **traceback)
{
	const char **out[] = { ename, evalue, traceback };
	const struct px_request *request = NULL;
	struct px_decoded *decoded;
	int rc = entry(result, index, &request);

	if (rc < 0)
		return rc;
	if (request->code != PX_EREMOTE)
		return px_fail(PX_EINVAL, "engine %u raised no exception", request->engine);
	rc = decoded_entry(result, index, request, &decoded);
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

const char *px_result_output(struct px_result *result, size_t index, int which, size_t *bytes)
{
	const struct px_output *output;

	*bytes = 0;
	if (index >= result->count || which < 1 || which > 2)
		return "";
	(void)px_client_poll(result->client);
	output = result->requests[index].output;
	if (!output || !output->texts[which - 1].length)
		return "";
	*bytes = output->texts[which - 1].length;
	return output->texts[which - 1].bytes;
}

size_t px_result_abort(struct px_result *result)
{
	size_t count = 0;

	for (uint32_t i = 0; i < result->count; i++)
		count += px_request_abort(&result->requests[i]);
	return count;
}

const char *px_version(void)
{
	return PX_VERSION;
}
