// SPDX-License-Identifier: BSD-3-Clause
// gc/alloc.c: large objects are zeroed outside of the runtime, after they have been allocated. A
// thread looks at the memory meanwhile, and at whether who allocates is inside.
#include "goroutines.h"

#include <pthread.h>

#include "sched/sched.h"

enum { BYTES = 32 << 20, EARLY = BYTES / 8, LATE = BYTES / 8 * 7 };

static _Atomic uintptr_t looked_at; // complement of where the object lies; 0: nowhere yet
static atomic_bool over;
static Count inside, outside; // how often zeroing was seen, by where who does it was
static atomic_long rounds; // begun: each frees the object and makes it anew
static G *allocates;

static bool
is_zero(size_t at)
{
	const char *p = (const char *)~atomic_load(&looked_at);
	return *(const volatile char *)(p + at) == 0;
}

// Before an object is freed nothing of it is zero.
static bool
is_being_zeroed(void)
{
	return is_zero(EARLY) && !is_zero(LATE);
}

static void *
look_on(void *unused)
{
	(void)unused;
	while (!atomic_load(&over)) {
		long round = atomic_load(&rounds);
		if (atomic_load(&looked_at) == 0 || !is_being_zeroed())
			continue;
		const M *mp = load_acq(&allocates->m);                // order: hint
		bool in = mp != NULL && load_acq(&mp->lease.inrt) != 0; // order: hint
		if (is_being_zeroed() && atomic_load(&rounds) == round) // all the while
			count_add(in ? &inside : &outside);
	}
	return NULL;
}

// What was freed just now has to be zeroed.
static void
allocate_until_seen(void *(*allocate)(size_t n))
{
	pthread_t t;
	go_set_gc_percent(-1);
	allocates = sched_enter();
	sched_leave();
	expect_eq(pthread_create(&t, NULL, look_on, NULL), 0);
	for (int i = 0; i < 1000 && count_of(&outside) + count_of(&inside) < 3; i++) {
		char *p = allocate(BYTES);
		for (size_t at = 0; at < BYTES; at += 4096 - 8)
			expect_eq(p[at], 0);
		memset(p, 1, BYTES);
		atomic_store(&looked_at, ~(uintptr_t)p);
		atomic_fetch_add(&rounds, 1);
		go_free(p);
	}
	atomic_store(&over, true);
	pthread_join(t, NULL);
	expect(count_of(&outside) > 0);
	expect_eq(count_of(&inside), 0);
}

GO_TEST(large_zeroed_outside, 1)
{
	allocate_until_seen(go_alloc);
}

void
test_large_zeroed_outside_by_a_thread(void)
{
	allocate_until_seen(go_alloc_data);
}
