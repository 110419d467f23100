// SPDX-License-Identifier: BSD-3-Clause
// The timer heap against an array that is searched for the earliest: random insertions, removals
// and moves, the heap's own invariants checked on the way. Small time ranges make many equal times.
// A second run lets the array grow to 32 places only, so that most timers are in the spill.
#include "harness.h"
#include "timer/timer_impl.h"

enum { TIMERS = 300, STEPS = 60000, VERIFY_EVERY = 16 };

static Timer timers[TIMERS];
static bool in_heap[TIMERS];

static int64_t
earliest_in_model(void)
{
	int64_t first = INT64_MAX;
	for (int i = 0; i < TIMERS; i++)
		if (in_heap[i] && timers[i].when < first)
			first = timers[i].when;
	return first;
}

static void
step(TimerHeap *h, uint64_t *rand, int64_t range)
{
	uint64_t r = test_rand(rand);
	int i = (int)((r >> 8) % TIMERS);
	int64_t when = (int64_t)((r >> 20) % (uint64_t)range);
	if (!in_heap[i]) {
		heap_push(h, &timers[i], when);
		in_heap[i] = true;
	} else if (r % 4 == 0) {
		heap_move(h, &timers[i], when);
	} else if (r % 4 == 1) {
		TimerEntry e = heap_first(h);
		heap_remove_first(h);
		in_heap[e.t - timers] = false;
	} else {
		heap_remove(h, &timers[i]);
		in_heap[i] = false;
	}
	expect_eq(heap_first(h).when, earliest_in_model());
}

static void
run_against_model(uint32_t cap_max)
{
	TimerHeap h;
	uint64_t rand = test_seed();
	heap_init(&h);
	h.cap_max = cap_max;
	for (int i = 0; i < TIMERS; i++)
		in_heap[i] = false;
	for (long k = 0, n = test_scale(STEPS); k < n; k++) {
		step(&h, &rand, k < n / 2 ? 50 : 1000000);
		if (k % VERIFY_EVERY == 0)
			heap_verify(&h);
	}
	heap_fini(&h);
}

void
test_timer_heap_matches_model(void)
{
	run_against_model(HEAP_CAP_MAX);
}

void
test_timer_heap_spills(void)
{
	run_against_model(32);
}

// Takes all out again: times rise, and the array of a large heap shrinks.
void
test_timer_heap_shrinks(void)
{
	enum { MANY = 100000 };
	Timer *many = test_pages(MANY * sizeof(Timer));
	TimerHeap h;
	uint64_t rand = test_seed();
	heap_init(&h);
	for (int i = 0; i < MANY; i++)
		heap_push(&h, &many[i], (int64_t)(test_rand(&rand) >> 2));
	heap_verify(&h);
	expect_eq(h.n + h.n_spill, MANY);
	int64_t before = 0;
	while (h.n > 0) {
		TimerEntry e = heap_first(&h);
		expect(e.when >= before);
		before = e.when;
		heap_remove_first(&h);
	}
	expect_eq(h.n_spill, 0);
	expect(h.cap < MANY / 8);
	heap_fini(&h);
}
