/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ring_deaths.c - processes that are killed at any instruction leave a sound ring.
 */
#include "tests/c/ring_world.h"

#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* Counts what a consumer would find if nothing more were written. -1: damage. */
static int frames_there(uint64_t first_id, const uint32_t *bytes)
{
	struct px_consumer consumer = world.consumer;
	uint64_t consumed = atomic_load(&world.to_producer->consumed_seq);
	struct px_frame frame;
	int count = 0, rc;

	while ((rc = px_consumer_peek(&consumer, &frame)) == 1) {
		if (frame.id != first_id + (uint64_t)count || frame.payload_bytes != bytes[count] ||
		    !is_intact(&frame))
			return -1;
		px_consumer_advance(&consumer);
		count++;
	}
	atomic_store(&world.to_producer->consumed_seq, consumed);
	return rc ? -1 : count;
}

static void publish_killed_before_or_after_is_unsent_or_sent(void **state)
{
	static const uint32_t bytes[2] = { 100, 100 };

	(void)state;
	for (int visible = 0; visible < 2; visible++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (!child) {
			void *payload;

			if (px_producer_reserve(&world.producer, 100, &payload))
				_exit(1);
			fill(payload, 100, 0);
			if (visible)
				px_producer_publish(&world.producer, 0, 0, 0, 100);
			raise(SIGKILL);
		}
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_int_equal(frames_there(0, bytes), visible);
	}
}

/*
 * Runs a child one instruction at a time, and after each one looks at the ring as a
 * consumer would if the child had been killed there.
 */
static void step_producer(const uint32_t *bytes, int count)
{
	static uint8_t payloads[4][PX_FRAME_MAX_BYTES];
	int seen = 0, status;
	long steps = 0;
	pid_t child;

	/* What the chunks held before. */
	memset(world.to_consumer->first_chunk[0] + PX_LINE_BYTES, 0xa5,
	       sizeof(world.to_consumer->first_chunk) - PX_LINE_BYTES);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		/* A sandbox may forbid tracing: then the test is skipped. */
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(77);
		for (int i = 0; i < count; i++)
			fill(payloads[i], bytes[i], (uint64_t)i);
		raise(SIGSTOP);
		for (int i = 0; i < count; i++) {
			void *payload;

			if (px_producer_reserve(&world.producer, bytes[i], &payload))
				_exit(1);
			memcpy(payload, payloads[i], bytes[i]);
			px_producer_publish(&world.producer, 0, 0, (uint64_t)i, bytes[i]);
		}
		_exit(0);
	}
	for (;;) {
		int now;

		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status))
			break;
		assert_true(WIFSTOPPED(status));
		now = frames_there(0, bytes);
		assert_in_range(now, seen, seen + 1);
		seen = now;
		/* Once all is sent, it does not matter how the child ends. */
		assert_int_equal(ptrace(seen == count ? PTRACE_CONT : PTRACE_SINGLESTEP, child, 0,
					0),
				 0);
		steps++;
	}
	if (WEXITSTATUS(status) == 77) {
		print_message("ptrace is not allowed here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(seen, count);
	assert_true(steps > 20 * count);
}

static void publish_killed_at_any_instruction_leaves_a_sound_ring(void **state)
{
	static const uint32_t bytes[] = { 10, LINE_PAYLOAD, 70, 0 };

	(void)state;
	step_producer(bytes, 4);
}

static void grow_killed_at_any_instruction_leaves_a_sound_ring(void **state)
{
	/* The other first chunk, then two from the source. */
	static const uint32_t bytes[] = { FIRST_LINES * PX_LINE_BYTES - 16,
					  FIRST_LINES * PX_LINE_BYTES - 16, 60,
					  PX_FIRST_CHUNK_BYTES };

	(void)state;
	step_producer(bytes, 4);
}

static void advance_killed_consumer_lets_producer_go_on(void **state)
{
	uint64_t id = 0;
	pid_t child;

	(void)state;
	while (world.taken_count < 5)
		publish(id++, 100);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		for (uint64_t k = 0; k < FIRST_LINES; k++)
			expect(k, 100);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	px_producer_reclaim(&world.producer);
	while (world.taken_count < 20)
		publish(id++, 100);
	px_producer_close(&world.producer);
	assert_int_equal(world.taken_count, 0);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		RING_CASE(publish_killed_before_or_after_is_unsent_or_sent),
		RING_CASE(publish_killed_at_any_instruction_leaves_a_sound_ring),
		RING_CASE(grow_killed_at_any_instruction_leaves_a_sound_ring),
		RING_CASE(advance_killed_consumer_lets_producer_go_on),
	};

	return run_cases(cases, NULL, NULL);
}
