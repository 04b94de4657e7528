/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native.c - loads libraries into engines, finds their functions, and calls them.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/how.h"
#include "client/internal.h"
#include "client/pxrun_native.h"
#include "client/values.h"
#include "client/view.h"
#include "link/native_call.h"
#include "shm/barrier.h"
#include "shm/error.h"
#include "shm/os.h"

/* What a request about a library or a function begins with, ready to be sent. */
struct prefix {
	struct px_native_call *call; /* and the names behind it; from malloc */
	size_t bytes;
};

struct px_library {
	struct px_handle handle;
	struct px_client *client; /* held */
	uint64_t timeout_ns;
	char *path;
	struct px_file_identity file;
	pthread_mutex_t lock; /* kernels */
	struct px_kernel *kernels;
	uint32_t count; /* of the engines that have loaded it */
	uint32_t ids[];
};

struct px_kernel {
	struct px_handle handle;
	struct px_kernel *next;
	struct prefix prefix;
	const char *symbol; /* in it */
};

static int no_memory(void)
{
	return px_fail(PX_ENOMEM, "no private memory for a library");
}

static int make_prefix(const struct px_library *library, uint16_t what, const char *symbol,
		       struct prefix *out)
{
	size_t path_bytes = strlen(library->path) + 1;
	size_t symbol_bytes = symbol ? strlen(symbol) + 1 : 0;
	struct px_native_call *call;
	char *names;

	out->bytes = sizeof(*call) + path_bytes + symbol_bytes;
	call = out->call = calloc(1, out->bytes);
	if (!call)
		return no_memory();
	names = (char *)(call + 1);
	*call = (struct px_native_call){
		.what = what,
		.path_bytes = (uint32_t)path_bytes,
		.symbol_bytes = (uint32_t)symbol_bytes,
		.file = library->file,
	};
	memcpy(names, library->path, path_bytes);
	if (symbol)
		memcpy(names + path_bytes, symbol, symbol_bytes);
	call->key = px_native_key(PX_NATIVE_KEY, &call->file, sizeof(call->file));
	call->key = px_native_key(call->key, names, path_bytes + symbol_bytes);
	return 0;
}

/* --- asking engines --- */

/* Those that there still are. */
static uint32_t living(struct px_library *library, uint32_t *out)
{
	uint32_t live[PX_ENGINES_MAX], count = 0;
	int all = px_client_live(library->client, live, PX_ENGINES_MAX);

	for (uint32_t i = 0; i < library->count; i++)
		for (int k = 0; k < all; k++)
			if (live[k] == library->ids[i])
				out[count++] = live[k];
	return count;
}

/* Until a deadline that was counted from `began_ns`. */
static uint64_t time_left(uint64_t began_ns, uint64_t timeout_ns)
{
	uint64_t past = px_os.now_ns() - began_ns;

	return timeout_ns == PX_FOREVER ? PX_FOREVER : past < timeout_ns ? timeout_ns - past : 0;
}

/* Sends a question to the library's engines. It is no result of the user's: px_client_next() is not told. */
static int ask(struct px_library *library, const struct prefix *prefix, uint64_t began_ns,
	       struct px_result **out)
{
	struct px_outgoing message = { .kind = PX_REQUEST_NATIVE,
				       .body = prefix->call,
				       .body_bytes = prefix->bytes };
	uint32_t ids[PX_ENGINES_MAX], count = living(library, ids);
	int rc;

	if (!count)
		return px_fail(PX_EENGINE, "none of the engines that had loaded %s is left",
			       library->path);
	rc = px_result_new(library->client, ids, count, false, out);
	if (rc < 0)
		return rc;
	rc = px_result_send(*out, &message, time_left(began_ns, library->timeout_ns));
	if (rc < 0) {
		(void)px_result_abort(*out);
		px_result_release(*out);
	}
	if (rc == PX_ETIMEDOUT)
		rc = px_fail(rc, "an engine had no room, or was being started, for %.3f s",
			     (double)library->timeout_ns / 1e9);
	return rc;
}

/* Waits for the first answer, or with `all` for all of them that are no failure. */
static int hear(struct px_library *library, struct px_result *result, bool all, uint64_t began_ns)
{
	bool heard = false;
	int rc = 0;

	for (uint32_t known = 0; known < result->count; known++) {
		struct px_request *request;

		rc = px_result_wait_more(result, known, time_left(began_ns, library->timeout_ns));
		if (rc < 0)
			break;
		request = &result->requests[result->requests[known].nth];
		rc = px_request_failure(request);
		/* One that has died loads it when it is back. */
		if (rc == 0 ? !all : rc != PX_EENGINE)
			break;
		heard = heard || rc == 0;
	}
	return rc == PX_EENGINE && heard ? 0 : rc;
}

static int ask_and_hear(struct px_library *library, const struct prefix *prefix, bool all)
{
	uint64_t began_ns = px_os.now_ns();
	struct px_result *result;
	int rc = ask(library, prefix, began_ns, &result);

	if (rc < 0)
		return rc;
	rc = hear(library, result, all, began_ns);
	/* The others need not answer any more. */
	(void)px_result_abort(result);
	px_result_release(result);
	return rc;
}

/* --- libraries --- */

/* The file's real path, from malloc, and which file that is. */
static int identify(const char *path, char **real, struct px_file_identity *out)
{
	int rc;

	*real = realpath(path, NULL);
	if (!*real)
		return px_fail_errno("loading %s", path);
	rc = px_file_identify(*real, out);
	if (rc < 0)
		free(*real);
	return rc;
}

static void free_library(struct px_library *library)
{
	while (library->kernels) {
		struct px_kernel *kernel = library->kernels;

		library->kernels = kernel->next;
		px_handle_end(&kernel->handle);
		free(kernel->prefix.call);
		px_handle_discard(&kernel->handle);
	}
	px_handle_end(&library->handle);
	pthread_mutex_destroy(&library->lock);
	free(library->path);
	px_client_release(library->client);
	px_handle_discard(&library->handle);
}

static int new_library(struct px_view *view, const char *path, uint64_t timeout_ns,
		       struct px_library **out)
{
	uint32_t ids[PX_ENGINES_MAX];
	struct px_library *library;
	int count = px_view_targets(view, ids), rc;

	if (count < 0)
		return count;
	library = calloc(1, sizeof(*library) + (size_t)count * sizeof(uint32_t));
	if (!library)
		return no_memory();
	rc = identify(path, &library->path, &library->file);
	if (rc < 0) {
		free(library);
		return rc;
	}
	px_handle_init(&library->handle, PX_HANDLE_LIBRARY);
	library->client = px_view_client(view);
	px_client_hold(library->client);
	library->timeout_ns = timeout_ns;
	pthread_mutex_init(&library->lock, NULL);
	library->count = (uint32_t)count;
	memcpy(library->ids, ids, (size_t)count * sizeof(uint32_t));
	*out = library;
	return 0;
}

static int load(struct px_view *view, const char *path, uint64_t timeout_ns,
		struct px_library **out)
{
	struct prefix prefix = { 0 };
	int rc = new_library(view, path, timeout_ns, out);

	if (rc < 0)
		return rc;
	rc = make_prefix(*out, PX_NATIVE_LOAD, NULL, &prefix);
	if (rc == 0)
		rc = ask_and_hear(*out, &prefix, true);
	free(prefix.call);
	if (rc < 0)
		free_library(*out);
	return rc;
}

int px_library_load(struct px_view *view, const char *path, uint64_t timeout_ns,
		    struct px_library **out)
{
	struct px_library *library;
	int rc = px_view_begin(view);

	if (rc < 0)
		return rc;
	rc = px_need(path, "path");
	if (rc == 0)
		rc = px_need(out, "library");
	if (rc == 0)
		rc = load(view, path, timeout_ns, &library);
	if (rc == 0)
		*out = library;
	px_client_leave(px_view_client(view));
	return rc;
}

void px_library_free(struct px_library *library)
{
	if (library && px_handle_check(library, PX_HANDLE_LIBRARY, "library") == 0)
		free_library(library);
}

/* --- functions --- */

/* With the library's lock. */
static struct px_kernel *known(const struct px_library *library, const char *symbol)
{
	struct px_kernel *kernel = library->kernels;

	while (kernel && strcmp(kernel->symbol, symbol))
		kernel = kernel->next;
	return kernel;
}

/* With the library's lock. */
static int find(struct px_library *library, const char *symbol, struct px_kernel **out)
{
	struct px_kernel *kernel = known(library, symbol);
	int rc;

	if (!kernel) {
		kernel = calloc(1, sizeof(*kernel));
		if (!kernel)
			return no_memory();
		rc = make_prefix(library, PX_NATIVE_FIND, symbol, &kernel->prefix);
		if (rc == 0)
			rc = ask_and_hear(library, &kernel->prefix, false);
		if (rc < 0) {
			free(kernel->prefix.call);
			free(kernel);
			return rc;
		}
		px_handle_init(&kernel->handle, PX_HANDLE_KERNEL);
		kernel->prefix.call->what = PX_NATIVE_CALL;
		kernel->symbol =
			(const char *)(kernel->prefix.call + 1) + kernel->prefix.call->path_bytes;
		kernel->next = library->kernels;
		library->kernels = kernel;
	}
	*out = kernel;
	return 0;
}

int px_kernel_find(struct px_library *library, const char *symbol, struct px_kernel **out)
{
	int rc = px_handle_check(library, PX_HANDLE_LIBRARY, "library");

	if (rc == 0)
		rc = px_need(symbol, "symbol");
	if (rc == 0)
		rc = px_need(out, "kernel");
	if (rc == 0)
		rc = px_client_enter(library->client);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&library->lock);
	rc = find(library, symbol, out);
	pthread_mutex_unlock(&library->lock);
	px_client_leave(library->client);
	return rc;
}

/* --- calls --- */

static int check_once_each(const uint32_t *ids, uint32_t count)
{
	uint8_t seen[PX_ENGINES_MAX] = { 0 };

	for (uint32_t i = 0; i < count; i++)
		if (ids[i] < PX_ENGINES_MAX && seen[ids[i]]++)
			return px_fail(
				PX_EINVAL,
				"engine %u is in the view twice: it has one rank in a native call",
				ids[i]);
	return 0;
}

/* The barrier as the encoder's first buffer, and who has which rank. */
static int put_barrier(struct px_encoder *encoder, const uint32_t *ids, uint32_t count)
{
	static const uint32_t padding;
	uint64_t bytes = px_barrier_bytes(count);
	struct px_region *region;
	int rc = check_once_each(ids, count);

	if (rc == 0)
		rc = px_encode_raw(encoder, ids, count * sizeof(uint32_t));
	if (rc == 0 && count % 2)
		rc = px_encode_raw(encoder, &padding, sizeof(padding));
	if (rc < 0)
		return rc;
	encoder->parts = malloc(sizeof(*encoder->parts));
	if (!encoder->parts)
		return no_memory();
	rc = px_region_new(encoder->endpoint->arena, bytes, &region);
	if (rc < 0)
		return rc;
	region->live = true;
	*encoder->parts = (struct px_part){ .region = region, .bytes = bytes };
	encoder->parts_count = 1;
	px_barrier_init(region->at, count);
	return 0;
}

struct call {
	struct px_view *view;
	const struct px_kernel *kernel;
	size_t argc;
	const struct px_value *argv;
	struct px_how how;
	uint32_t count; /* of engines; 0: a task */
	uint32_t ids[PX_ENGINES_MAX];
};

static int send_it(const struct call *call, struct px_encoder *encoder, struct px_result **result)
{
	struct px_outgoing message = {
		.kind = PX_REQUEST_NATIVE,
		.flags = call->how.flags & PX_QUIET ? PX_NATIVE_QUIET : 0,
		.body = encoder->bytes,
		.body_bytes = encoder->length,
		.buffers = encoder->parts,
		.buffers_count = encoder->parts_count,
		.barrier = call->count > 1 ? encoder->parts[0].region : NULL,
	};

	if (!call->count)
		return px_view_send(call->view, &message, &call->how, result);
	return px_client_submit(px_view_client(call->view), call->ids, call->count, &message,
				&call->how, result);
}

static int encode(const struct call *call, struct px_encoder *encoder)
{
	const struct prefix *prefix = &call->kernel->prefix;
	struct px_native_call head = *prefix->call;
	int rc;

	head.argc = (uint16_t)call->argc;
	head.count = call->count > 1 ? call->count : 0;
	rc = px_encode_raw(encoder, &head, sizeof(head));
	if (rc == 0 && call->count > 1)
		rc = put_barrier(encoder, call->ids, call->count);
	for (size_t i = 0; i < call->argc && rc == 0; i++)
		rc = px_encode(encoder, &call->argv[i]);
	return rc < 0 ? rc : px_encode_raw(encoder, prefix->call + 1, prefix->bytes - sizeof(head));
}

/* The client was entered. */
static int call_it(struct call *call, const struct px_how *how, struct px_result **result)
{
	struct px_encoder encoder = PX_ENCODER(px_view_client(call->view)->endpoint);
	int rc = px_how_read(how, &call->how), count = 0;

	if (rc == 0 && !px_view_is_any(call->view))
		count = rc = px_view_targets(call->view, call->ids);
	if (rc < 0)
		return rc;
	call->count = (uint32_t)count;
	rc = encode(call, &encoder);
	if (rc == 0)
		rc = send_it(call, &encoder, result);
	px_encoder_free(&encoder);
	return rc;
}

int px_view_call_native(struct px_view *view, struct px_kernel *kernel, size_t argc,
			const struct px_value *argv, const struct px_how *how,
			struct px_result **result)
{
	struct call call;
	int rc = px_handle_check(kernel, PX_HANDLE_KERNEL, "kernel");

	if (rc == 0 && argc)
		rc = px_need(argv, "argv");
	if (rc == 0 && argc > PX_NATIVE_ARGS_MAX)
		rc = px_fail(PX_EINVAL, "%zu arguments: a native function has at most %d", argc,
			     PX_NATIVE_ARGS_MAX);
	if (rc == 0)
		rc = px_view_begin(view);
	if (rc < 0)
		return rc;
	call.view = view;
	call.kernel = kernel;
	call.argc = argc;
	call.argv = argv;
	rc = call_it(&call, how, result);
	px_client_leave(px_view_client(view));
	return rc;
}
