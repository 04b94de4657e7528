/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait.c - waits for replies: one thread reads all rings, the others follow it.
 *
 * A thread that waits for whatever finishes next waits *behind* those that wait for something they
 * sent. It shares the client's one doorbell with the thread that leads: while somebody leads, the
 * announcement that wakes a sleeper is taken back, so that engines do not wake both; when the leader
 * leaves, it announces again and reads what has come meanwhile.
 */
#include <errno.h>

#include "client/internal.h"
#include "client/tasks.h"
#include "shm/error.h"
#include "shm/os.h"

#define FOLLOWER_NAP_NS UINT64_C(50000000)

/*
 * Who waits for many answers that come thick and fast is woken by each, and reads one: that is a system
 * call of the engine's, and a switch or two. So after DOZE_AFTER looks that had news, DOZE_GAP_NS apart
 * or less, it sleeps DOZE_NS at a time without announcing itself, until there are few answers to come,
 * or they come slowly. With two engines on two processors a task took 3.5 us of the engines' time instead of 4.3.
 */
#define DOZE_NS UINT64_C(100000)
#define DOZE_AFTER 16
#define DOZE_GAP_NS UINT64_C(20000)
#define DOZE_LEFT 64

struct px_waiting {
	struct px_client *client;
	int (*done)(void *ctx); /* with the lock */
	void *ctx;
	bool behind;                       /* waits for whatever finishes */
	bool reads;                        /* it looks at the moment, and needs no waking */
	const struct px_completions *list; /* if behind: what done() looks at; NULL: nothing */
	const struct px_result *result;    /* what it waits for as a whole; NULL: it does not */
	bool dozes;
	uint32_t left;  /* entries of the result that were not done at the last look with news */
	uint32_t looks; /* with news, since: */
	uint64_t since_ns;
};

/* After a look: whether answers come so fast that it does not pay to be woken by each. */
static bool should_doze(struct px_waiting *w)
{
	uint32_t left = w->result ? w->result->count - px_result_finished(w->result) : 0;
	uint64_t now;

	if (left < DOZE_LEFT || left == w->left)
		return false;
	w->left = left;
	if (++w->looks < DOZE_AFTER)
		return false;
	now = px_os.now_ns();
	w->dozes = now - w->since_ns < DOZE_AFTER * DOZE_GAP_NS;
	w->looks = 0;
	w->since_ns = now;
	return w->dozes;
}

/* Not 0: the wait is over, and the lock taken. */
static int pump(void *ctx)
{
	struct px_waiting *w = ctx;
	struct px_client *client = w->client;

	pthread_mutex_lock(&client->lock);
	/* Who waits for an answer reads; where both sleep, each would take the other's bell. */
	if (w->behind && client->pumping)
		return 1;
	w->reads = true;
	if (!px_client_ended(client) && !client->lost)
		px_client_read_all(client);
	w->reads = false;
	if (px_client_ended(client) || client->lost || w->done(w->ctx) || should_doze(w))
		return 1;
	pthread_mutex_unlock(&client->lock);
	return 0;
}

static int pump_nap(void *ctx)
{
	struct px_waiting *w = ctx;
	int rc = px_endpoint_look(w->client->endpoint);

	pthread_mutex_lock(&w->client->lock);
	if (rc == 0) {
		px_tasks_mend(w->client);
		pthread_mutex_unlock(&w->client->lock);
		return 0;
	}
	/* What engines published before they went still counts. */
	px_client_read_all(w->client);
	(void)px_client_lose(w->client, rc);
	return 1;
}

/*
 * A follower's sleep: until the leader has news of a result, or leaves. Bounded,
 * for what else one may wait for is not announced.
 */
static int follow(struct px_client *client, uint64_t deadline_ns, uint64_t nap_ns)
{
	uint64_t now = px_os.now_ns();
	uint32_t seen = atomic_load_explicit(&client->changes, memory_order_relaxed);
	int rc;

	if (now >= deadline_ns)
		return PX_ETIMEDOUT;
	client->followers++;
	pthread_mutex_unlock(&client->lock);
	/* No condition variable: its wait is not ended by a signal. */
	rc = px_os.futex_wait(&client->changes, seen,
			      deadline_ns - now < nap_ns ? deadline_ns - now : nap_ns);
	pthread_mutex_lock(&client->lock);
	client->followers--;
	return rc == -EINTR ? px_fail(PX_EINTR, "a signal arrived while waiting") : 0;
}

/* Sleeps a little, unannounced, and reads what has come meanwhile; as long as that is a lot. */
static int doze(struct px_waiting *w, uint64_t deadline_ns)
{
	struct px_client *client = w->client;
	int rc = follow(client, deadline_ns, DOZE_NS);
	uint32_t before = w->left;

	if (px_client_ended(client) || client->lost)
		return rc;
	px_client_read_all(client);
	w->left = w->result->count - px_result_finished(w->result);
	w->dozes = w->left >= DOZE_LEFT && before - w->left >= DOZE_NS / DOZE_GAP_NS;
	return rc;
}

/*
 * Engines shall not wake the one behind for what we wait for. If it is only about to sleep, it
 * announces itself after this, and one reply wakes it for nothing.
 */
static void silence_behind(struct px_client *client)
{
	if (client->behind)
		px_doorbell_cancel(client->endpoint->bell);
}

/* The one behind sleeps on, announced by us; what it has missed is read here. */
static void let_behind_hear(struct px_client *client)
{
	if (!client->behind || px_client_ended(client) || client->lost)
		return;
	(void)px_doorbell_announce(client->endpoint->bell, PX_BELL_FRAME);
	px_client_read_all(client);
}

/* Reads all rings until w->done; with the lock before and after. As px_doorbell_wait(). */
static int lead(struct px_waiting *w, uint64_t timeout_ns, uint32_t why)
{
	struct px_client *client = w->client;
	int rc;

	if (w->behind) {
		client->behind = w;
	} else {
		client->pumping = true;
		silence_behind(client);
	}
	pthread_mutex_unlock(&client->lock);
	rc = px_endpoint_wait(client->endpoint, why, timeout_ns, pump, pump_nap, w);
	if (rc <= 0)
		pthread_mutex_lock(&client->lock);
	if (w->behind) {
		client->behind = NULL;
		/* By leaving the bell we have taken the leader's announcement back. */
		if (client->pumping)
			px_doorbell_wake(client->endpoint->bell);
	} else {
		client->pumping = false;
		let_behind_hear(client);
	}
	if (client->followers)
		px_client_changed(client);
	return rc;
}

static int wait_locked(struct px_waiting *w, uint64_t timeout_ns, uint32_t why)
{
	struct px_client *client = w->client;
	uint64_t now = timeout_ns == PX_FOREVER ? 0 : px_os.now_ns();
	uint64_t deadline = timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
	int rc = 0;

	while (!w->done(w->ctx) && !px_client_ended(client) && !client->lost && rc == 0) {
		if (client->pumping || (w->behind && client->behind)) {
			rc = follow(client, deadline, FOLLOWER_NAP_NS);
			continue;
		}
		if (w->dozes) {
			rc = doze(w, deadline);
			continue;
		}
		if (deadline != UINT64_MAX) {
			now = px_os.now_ns();
			timeout_ns = deadline > now ? deadline - now : 0;
		}
		rc = lead(w, timeout_ns, why);
		rc = rc > 0 ? 0 : rc;
	}
	return w->done(w->ctx) ? 0 : rc;
}

int px_client_wait_locked(struct px_client *client, int (*done)(void *ctx), void *ctx,
			  uint64_t timeout_ns, uint32_t why)
{
	struct px_waiting w = { .client = client, .done = done, .ctx = ctx };

	return wait_locked(&w, timeout_ns, why);
}

int px_client_wait_behind_locked(struct px_client *client, const struct px_completions *list,
				 int (*done)(void *ctx), void *ctx, uint64_t timeout_ns)
{
	struct px_waiting w = {
		.client = client, .done = done, .ctx = ctx, .behind = true, .list = list
	};

	return wait_locked(&w, timeout_ns, PX_BELL_FRAME);
}

void px_client_wake(struct px_client *client, const struct px_completions *list)
{
	const struct px_waiting *behind = client->behind;

	if (client->followers)
		px_client_changed(client);
	if (behind && behind->list == list && !behind->reads)
		px_doorbell_wake(client->endpoint->bell);
}

void px_client_wake_leader(struct px_client *client)
{
	if (client->pumping)
		px_doorbell_wake(client->endpoint->bell);
}

static int late(int rc, uint64_t timeout_ns)
{
	return rc == PX_ETIMEDOUT ? px_fail(rc, "not ready in %.3f s", (double)timeout_ns / 1e9) :
				    rc;
}

/* --- results and their entries --- */

uint32_t px_result_finished(const struct px_result *result)
{
	/* SYNC result.pending: acquire, of nth and what it says; partner: px_request_done(). */
	return result->count - atomic_load_explicit(&result->pending, memory_order_acquire);
}

static int is_finished(void *ctx)
{
	const struct px_result *result = ctx;

	return px_result_finished(result) == result->count;
}

int px_result_wait(struct px_result *result, uint64_t timeout_ns)
{
	struct px_waiting w = { .done = is_finished, .ctx = result, .result = result };
	int rc = px_handle_check(result, PX_HANDLE_RESULT, "result");

	if (rc < 0 || is_finished(result))
		return rc;
	rc = px_client_enter(result->client);
	if (rc < 0)
		return is_finished(result) ? 0 : rc; /* it failed, as the client was closed */
	w.client = result->client;
	pthread_mutex_lock(&result->client->lock);
	rc = wait_locked(&w, timeout_ns, PX_BELL_FRAME);
	pthread_mutex_unlock(&result->client->lock);
	px_client_leave(result->client);
	return late(rc, timeout_ns);
}

/* Waits for something that one entry may change, and that is looked at with the lock. */
static int wait_locked_entry(struct px_result *result, int (*done)(void *ctx), void *ctx,
			     uint64_t timeout_ns)
{
	struct px_client *client = result->client;
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	result->entry_waiters++;
	rc = px_client_wait_locked(client, done, ctx, timeout_ns, PX_BELL_FRAME);
	result->entry_waiters--;
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return late(rc, timeout_ns);
}

/* The same of what can be looked at without it. */
static int wait_entry(struct px_result *result, int (*done)(void *ctx), void *ctx,
		      uint64_t timeout_ns)
{
	int rc = done(ctx) ? 0 : wait_locked_entry(result, done, ctx, timeout_ns);

	/* Where the client was closed meanwhile, it may have failed, and so be done. */
	return rc == PX_ECLOSED && done(ctx) ? 0 : rc;
}

static int is_done(void *ctx)
{
	return px_request_is_done(ctx);
}

int px_request_wait(struct px_request *request, uint64_t timeout_ns)
{
	return wait_entry(request->result, is_done, request, timeout_ns);
}

struct more {
	const struct px_result *result;
	uint32_t known;
};

static int are_more(void *ctx)
{
	const struct more *more = ctx;

	return px_result_finished(more->result) > more->known;
}

int px_result_wait_more(struct px_result *result, uint32_t known, uint64_t timeout_ns)
{
	return wait_entry(result, are_more, &(struct more){ result, known }, timeout_ns);
}

struct waiting_any {
	struct px_result *const *results;
	size_t n, which;
};

static int is_any(void *ctx)
{
	struct waiting_any *any = ctx;

	for (any->which = 0; any->which < any->n; any->which++)
		if (is_finished(any->results[any->which]))
			return 1;
	return 0;
}

static int check_any(struct px_result *const *results, size_t n)
{
	int rc = px_need(results, "results");

	if (rc == 0 && !n)
		rc = px_fail(PX_EINVAL, "none of no results will ever be ready");
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = px_handle_check(results[i], PX_HANDLE_RESULT, "results");
		if (rc == 0 && results[i]->client != results[0]->client)
			rc = px_fail(PX_EINVAL, "results[%zu] is of another client than results[0]",
				     i);
	}
	return rc;
}

int px_result_wait_any(struct px_result *const *results, size_t n, uint64_t timeout_ns,
		       size_t *which)
{
	struct waiting_any any = { .results = results, .n = n };
	int rc = check_any(results, n);

	if (rc == 0)
		rc = px_need(which, "which");
	if (rc == 0)
		rc = wait_entry(results[0], is_any, &any, timeout_ns);
	if (rc == 0)
		*which = any.which;
	return rc;
}

struct more_output {
	const struct px_request *request;
	int which;
	uint64_t from;
};

static int is_more_output(void *ctx)
{
	const struct more_output *more = ctx;
	const struct px_output *output = more->request->output;

	return px_request_is_done(more->request) ||
	       (output && output->texts[more->which - 1].length > more->from);
}

int px_result_wait_output(struct px_result *result, size_t index, int which, uint64_t from,
			  uint64_t timeout_ns)
{
	struct more_output more = { .which = which, .from = from };
	int rc = px_result_check_entry(result, index);

	if (rc == 0 && (which < 1 || which > 2))
		rc = px_fail(PX_EINVAL, "output %d: 1 is stdout, 2 is stderr", which);
	if (rc < 0 || px_request_is_done(&result->requests[index]))
		return rc;
	more.request = &result->requests[index];
	return wait_locked_entry(result, is_more_output, &more, timeout_ns);
}

int px_result_ready(struct px_result *result)
{
	int rc = px_handle_check(result, PX_HANDLE_RESULT, "result");

	if (rc < 0)
		return rc;
	if (is_finished(result))
		return 1;
	(void)px_client_poll(result->client);
	return is_finished(result);
}

/* --- whatever finishes --- */

struct taking {
	struct px_completions *list;
	struct px_result *taken;
};

static int taken(void *ctx)
{
	struct taking *t = ctx;

	if (!t->taken)
		t->taken = px_completions_take(t->list);
	return t->taken != NULL;
}

int px_client_take(struct px_client *client, struct px_completions *list, uint64_t timeout_ns,
		   struct px_result **out)
{
	struct taking t = { .list = list };
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	if (!taken(&t)) {
		rc = px_client_usable(client);
		if (rc == 0)
			rc = px_client_look(client);
		/* Also if that has found the pool gone: there may have been an answer before. */
		if (!taken(&t) && rc == 0 && timeout_ns)
			rc = px_client_wait_behind_locked(client, list, taken, &t, timeout_ns);
		if (rc == 0 && !t.taken)
			rc = px_client_usable(client);
		if (rc == 0 && !t.taken)
			rc = PX_ETIMEDOUT;
	}
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	if (!t.taken)
		return rc == PX_ETIMEDOUT ? px_fail(rc, "nothing has finished in %.3f s",
						    (double)timeout_ns / 1e9) :
					    rc;
	*out = t.taken;
	return 0;
}

int px_client_next(struct px_client *client, uint64_t timeout_ns, struct px_result **out)
{
	int rc = px_handle_check(client, PX_HANDLE_CLIENT, "client");

	if (rc == 0)
		rc = px_need(out, "result");
	if (rc == 0)
		rc = px_client_take(client, &client->finished, timeout_ns, out);
	if (rc == 0)
		px_result_release(*out); /* its user has it, and will free it */
	return rc;
}

/* --- everything --- */

/* What was aborted is done for its user, though it is in its queue. */
static int idle(void *ctx)
{
	const struct px_client *client = ctx;

	for (const struct px_queue *queue = client->active; queue; queue = queue->next)
		if (queue->waiting)
			return 0;
	return !px_tasks_any(client);
}

int px_client_wait_idle(struct px_client *client, uint64_t timeout_ns)
{
	int rc = px_client_enter(client);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&client->lock);
	rc = px_client_usable(client);
	if (rc == 0)
		rc = px_client_wait_locked(client, idle, client, timeout_ns, PX_BELL_FRAME);
	if (rc == 0)
		rc = px_client_usable(client);
	pthread_mutex_unlock(&client->lock);
	px_client_leave(client);
	return rc;
}
