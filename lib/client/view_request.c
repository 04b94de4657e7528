/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view_request.c - the requests to views.
 */
#include <string.h>

#include "client/how.h"
#include "client/values.h"
#include "client/view.h"
#include "shm/error.h"

/* Sends a message; the client was entered. */
static int send_it(struct px_view *view, struct px_outgoing *message, const struct px_how *how,
		   struct px_result **result)
{
	struct px_how known;
	int rc = px_how_read(how, &known);

	return rc < 0 ? rc : px_view_send(view, message, &known, result);
}

/* The same; enters the client. */
static int request(struct px_view *view, struct px_outgoing *message, const struct px_how *how,
		   struct px_result **result)
{
	int rc = px_view_begin(view);

	if (rc < 0)
		return rc;
	rc = send_it(view, message, how, result);
	px_client_leave(px_view_client(view));
	return rc;
}

int px_view_noop(struct px_view *view, const struct px_how *how, struct px_result **result)
{
	struct px_outgoing message = { .kind = PX_REQUEST_NOOP };

	return request(view, &message, how, result);
}

int px_view_execute(struct px_view *view, const char *code, const struct px_how *how,
		    struct px_result **result)
{
	struct px_outgoing message = { .kind = PX_REQUEST_EXECUTE, .body = code };
	int rc = px_need(code, "code");

	if (rc < 0)
		return rc;
	message.body_bytes = strlen(code);
	return request(view, &message, how, result);
}

/* A request whose body is values: a name, and what belongs to it. */
struct named {
	uint16_t kind;
	const char *name;
	size_t argc;
	const struct px_value *argv;
	const struct px_value *keywords;
};

static int encode(struct px_encoder *encoder, const struct named *named)
{
	struct px_value name = px_string(named->name);
	int rc = px_encode(encoder, &name);

	for (size_t i = 0; i < named->argc && rc == 0; i++)
		rc = px_encode(encoder, &named->argv[i]);
	if (rc == 0 && named->keywords)
		rc = px_encode_keywords(encoder, named->keywords);
	return rc;
}

static int request_values(struct px_view *view, const struct named *named, const struct px_how *how,
			  struct px_result **result)
{
	int rc = px_view_begin(view);

	if (rc < 0)
		return rc;
	struct px_encoder encoder = PX_ENCODER(px_view_client(view)->endpoint);

	rc = encode(&encoder, named);
	if (rc == 0) {
		struct px_outgoing message;

		px_encoder_message(&encoder, named->kind, &message);
		rc = send_it(view, &message, how, result);
	}
	px_encoder_free(&encoder);
	px_client_leave(px_view_client(view));
	return rc;
}

int px_view_call(struct px_view *view, const char *function, size_t argc,
		 const struct px_value *argv, const struct px_value *keywords,
		 const struct px_how *how, struct px_result **result)
{
	const struct named named = { PX_REQUEST_CALL, function, argc, argv, keywords };
	int rc = px_need(function, "function");

	if (rc == 0 && argc)
		rc = px_need(argv, "argv");
	return rc < 0 ? rc : request_values(view, &named, how, result);
}

int px_view_push(struct px_view *view, const char *name, const struct px_value *value,
		 const struct px_how *how, struct px_result **result)
{
	const struct named named = { PX_REQUEST_PUSH, name, 1, value, NULL };
	int rc = px_need(name, "name");

	if (rc == 0)
		rc = px_need(value, "value");
	return rc < 0 ? rc : request_values(view, &named, how, result);
}

int px_view_pull(struct px_view *view, const char *name, const struct px_how *how,
		 struct px_result **result)
{
	const struct named named = { PX_REQUEST_PULL, name, 0, NULL, NULL };
	int rc = px_need(name, "name");

	return rc < 0 ? rc : request_values(view, &named, how, result);
}
