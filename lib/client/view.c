/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view.c - a handle on some engines, and the requests to them.
 */
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"
#include "client/tasks.h"
#include "client/values.h"
#include "shm/error.h"

struct px_view {
	struct px_handle handle;
	struct px_client *client;
	uint32_t count; /* 0: all that are up at each call */
	uint32_t ids[];
};

static int view_new(struct px_client *client, const uint32_t *ids, size_t count,
		    struct px_view **out)
{
	struct px_view *view = malloc(sizeof(*view) + count * sizeof(uint32_t));

	if (!view)
		return px_fail(PX_ENOMEM, "no private memory for a view");
	px_handle_init(&view->handle, PX_HANDLE_VIEW);
	view->client = client;
	view->count = (uint32_t)count;
	if (count)
		memcpy(view->ids, ids, count * sizeof(uint32_t));
	px_client_hold(client);
	*out = view;
	return 0;
}

int px_view_new(struct px_client *client, const uint32_t *ids, size_t count, struct px_view **out)
{
	int rc = px_client_begin(client);

	if (rc < 0)
		return rc;
	rc = px_need(out, "view");
	if (rc == 0 && count)
		rc = px_need(ids, "ids");
	if (rc == 0 && count > PX_ENGINES_MAX)
		rc = px_fail(PX_EINVAL, "%zu targets: a pool has at most %d engines", count,
			     PX_ENGINES_MAX);
	if (rc == 0)
		rc = view_new(client, ids, count, out);
	px_client_leave(client);
	return rc;
}

void px_view_free(struct px_view *view)
{
	if (!view || px_handle_check(&view->handle, PX_HANDLE_VIEW, "view") < 0)
		return;
	px_handle_end(&view->handle);
	px_client_release(view->client);
	px_handle_discard(&view->handle);
}

/* Enters the view's client. */
static int begin(struct px_view *view)
{
	int rc = px_handle_check(&view->handle, PX_HANDLE_VIEW, "view");

	return rc < 0 ? rc : px_client_enter(view->client);
}

/* Sends one message to the view's targets. The client was entered. */
static int submit(struct px_view *view, struct px_outgoing *message, struct px_result **result)
{
	uint32_t ids[PX_ENGINES_MAX];
	const uint32_t *targets = view->ids;
	int count = (int)view->count;

	if (!count) {
		count = px_client_live(view->client, ids, PX_ENGINES_MAX);
		if (count == 0)
			return px_client_no_engines(view->client);
		targets = ids;
	}
	return px_client_submit(view->client, targets, (uint32_t)count, message, result);
}

/* Posts one message, for the first of the view's targets that is idle. The client was entered. */
static int post(struct px_view *view, struct px_outgoing *message, uint32_t retries,
		struct px_result **out)
{
	struct px_engine_set set;
	struct px_result *result;
	int rc = px_engine_set(view->ids, view->count, &set);

	if (rc == 0)
		rc = px_result_new_tasks(view->client, 1, &result);
	if (rc < 0)
		return rc;
	result->completion.list = out ? &view->client->finished : NULL;
	rc = px_tasks_post(result, message, view->count ? &set : NULL, NULL, retries);
	if (rc == 0 && out)
		*out = result;
	else
		px_result_release(result);
	return rc;
}

/* How a message goes: to all targets, or as a task. */
struct way {
	bool task;
	uint32_t retries;
};
static const struct way to_all = { .task = false };

static int send_by(const struct way *way, struct px_view *view, struct px_outgoing *message,
		   struct px_result **result)
{
	return way->task ? post(view, message, way->retries, result) :
			   submit(view, message, result);
}

/* The same; enters the client. */
static int request(const struct way *way, struct px_view *view, struct px_outgoing *message,
		   struct px_result **result)
{
	int rc = begin(view);

	if (rc < 0)
		return rc;
	rc = send_by(way, view, message, result);
	px_client_leave(view->client);
	return rc;
}

int px_view_noop(struct px_view *view, struct px_result **result)
{
	struct px_outgoing message = { .kind = PX_REQUEST_NOOP };

	return request(&to_all, view, &message, result);
}

/* The same with values as the body, and their tensors in regions. The client was entered. */
static int send_values(const struct way *way, struct px_view *view, uint16_t kind, const char *name,
		       size_t argc, const struct px_value *argv, struct px_result **result)
{
	struct px_encoder encoder = PX_ENCODER(view->client);
	struct px_value first = px_string(name);
	int rc = px_encode(&encoder, &first);

	for (size_t i = 0; i < argc && rc == 0; i++)
		rc = px_encode(&encoder, &argv[i]);
	if (rc == 0) {
		struct px_outgoing message = {
			.kind = kind,
			.body = encoder.bytes,
			.body_bytes = encoder.length,
			.buffers = encoder.parts,
			.buffers_count = encoder.parts_count,
		};
		rc = send_by(way, view, &message, result);
	}
	px_encoder_free(&encoder);
	return rc;
}

/* The same; enters the client. */
static int request_values(const struct way *way, struct px_view *view, uint16_t kind,
			  const char *name, size_t argc, const struct px_value *argv,
			  struct px_result **result)
{
	int rc = begin(view);

	if (rc < 0)
		return rc;
	rc = send_values(way, view, kind, name, argc, argv, result);
	px_client_leave(view->client);
	return rc;
}

static int execute(const struct way *way, struct px_view *view, const char *code,
		   struct px_result **result)
{
	struct px_outgoing message = { .kind = PX_REQUEST_EXECUTE, .body = code };
	int rc = px_need(code, "code");

	if (rc < 0)
		return rc;
	message.body_bytes = strlen(code);
	return request(way, view, &message, result);
}

int px_view_execute(struct px_view *view, const char *code, struct px_result **result)
{
	return execute(&to_all, view, code, result);
}

int px_task_execute(struct px_view *view, const char *code, uint32_t retries,
		    struct px_result **result)
{
	return execute(&(struct way){ true, retries }, view, code, result);
}

static int call(const struct way *way, struct px_view *view, const char *function, size_t argc,
		const struct px_value *argv, struct px_result **result)
{
	int rc = px_need(function, "function");

	if (rc == 0 && argc)
		rc = px_need(argv, "argv");
	return rc < 0 ? rc :
			request_values(way, view, PX_REQUEST_CALL, function, argc, argv, result);
}

int px_view_call(struct px_view *view, const char *function, size_t argc,
		 const struct px_value *argv, struct px_result **result)
{
	return call(&to_all, view, function, argc, argv, result);
}

int px_task_call(struct px_view *view, const char *function, size_t argc,
		 const struct px_value *argv, uint32_t retries, struct px_result **result)
{
	return call(&(struct way){ true, retries }, view, function, argc, argv, result);
}

int px_view_push(struct px_view *view, const char *name, const struct px_value *value,
		 struct px_result **result)
{
	int rc = px_need(name, "name");

	if (rc == 0)
		rc = px_need(value, "value");
	return rc < 0 ? rc : request_values(&to_all, view, PX_REQUEST_PUSH, name, 1, value, result);
}

int px_view_pull(struct px_view *view, const char *name, struct px_result **result)
{
	int rc = px_need(name, "name");

	return rc < 0 ? rc : request_values(&to_all, view, PX_REQUEST_PULL, name, 0, NULL, result);
}
