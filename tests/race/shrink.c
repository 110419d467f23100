// SPDX-License-Identifier: BSD-3-Clause
// Stacks are trimmed while those who sleep on them are woken: no wait for a state that may never
// come back, no stack pointer believed before it is published, one owner of a stack at a time.
//
// Goroutines go deep, come back, and wait halfway up, in every kind of wait there is: channel,
// select, mutex, semaphore, sleep, deadline. Peers, timers and closers wake them at any moment of a
// collection, and write into their frames. Each frame carries a pattern that its depth and its
// goroutine decide. Nothing that was in use may have changed, and nobody may hang.
#include "goroutines.h"

#include <undergo/heap.h>

enum { DEEPEST = 60, WAITERS = 24, FRAME_WORDS = 64, TURNS = 600, SLOTS = 4 };

static go_chan *chans[SLOTS];
static go_mutex mutexes[SLOTS];
static Count ended;

// --- frames --------------------------------------------------------------------------------------

typedef struct Waiter {
	uint64_t number;
	uint64_t rand;
} Waiter;

static uint64_t
next(Waiter *w)
{
	w->rand ^= w->rand << 13;
	w->rand ^= w->rand >> 7;
	w->rand ^= w->rand << 17;
	return w->rand;
}

static uint64_t
word_of(const Waiter *w, int depth, int i)
{
	return w->number << 32 | (uint64_t)depth << 16 | (uint64_t)i;
}

// --- waits ---------------------------------------------------------------------------------------

static int64_t
soon(Waiter *w)
{
	return go_now() + (int64_t)(next(w) % 500) * 1000;
}

// A peer copies into this frame, or nobody does.
static void
receive(Waiter *w)
{
	volatile uint64_t before = 1, v = 0, after = 2;
	int err = go_chan_recv(chans[next(w) % SLOTS], (void *)&v, soon(w));
	expect(err == 0 ? v != 0 : v == 0);
	expect(before == 1 && after == 2);
}

static void
send(Waiter *w)
{
	uint64_t v = w->number;
	(void)go_chan_send(chans[next(w) % SLOTS], &v, soon(w));
	expect_eq(v, w->number);
}

static void
select_some(Waiter *w)
{
	uint64_t in = 0, out = w->number;
	go_case cases[] = {
		GO_CASE_RECV(chans[next(w) % SLOTS], &in),
		GO_CASE_SEND(chans[next(w) % SLOTS], &out),
	};
	int i = go_select(cases, 2, soon(w));
	expect_eq(out, w->number);
	expect((i == 0) == (in != 0));
}

static void
lock(Waiter *w)
{
	go_mutex *m = &mutexes[next(w) % SLOTS];
	go_mutex_lock(m);
	if (next(w) % 4 == 0)
		go_sleep((int64_t)(next(w) % 50) * 1000);
	go_mutex_unlock(m);
}

static void
nap(Waiter *w)
{
	go_sleep((int64_t)(next(w) % 500) * 1000);
}

static void
yield(Waiter *w)
{
	(void)w;
	go_yield();
}

static void (*const waits[])(Waiter *) = {receive, send, select_some, lock, nap, yield};

static void
wait_somehow(Waiter *w)
{
	waits[next(w) % (sizeof(waits) / sizeof(waits[0]))](w);
}

// --- goroutines ----------------------------------------------------------------------------------

// Down to `to`, waiting on the way at some depths; each frame is as it was when control comes back.
__attribute__((noinline)) static void
descend(Waiter *w, int depth, int to)
{
	volatile uint64_t frame[FRAME_WORDS];
	for (int i = 0; i < FRAME_WORDS; i++)
		frame[i] = word_of(w, depth, i);
	if (depth < to)
		descend(w, depth + 1, to);
	if (next(w) % 16 == 0)
		wait_somehow(w);
	for (int i = 0; i < FRAME_WORDS; i++)
		expect_eq(frame[i], word_of(w, depth, i));
}

static uint64_t seed;
static go_waitgroup alive;

static void
spawn(void (*fn)(void *), uint64_t number)
{
	go_wg_add(&alive, 1);
	expect_eq(go_spawn(fn, (void *)(uintptr_t)number), 0);
}

static Waiter
waiter_of(void *number)
{
	Waiter w = {.number = (uint64_t)(uintptr_t)number};
	w.rand = seed * 2654435761u + w.number * 40503u + 1;
	return w;
}

// All go on until a stack has been shrunk.
static atomic_bool shrunk;

static void
waiter(void *v)
{
	Waiter w = waiter_of(v);
	for (long i = test_scale(TURNS); i > 0 || !atomic_load(&shrunk); i--)
		descend(&w, 0, (int)(next(&w) % DEEPEST));
	count_add(&ended);
	go_wg_done(&alive);
}

// Others end and begin on the stacks that are left behind.
static void
short_lived(void *v)
{
	Waiter w = waiter_of(v);
	descend(&w, 0, (int)(next(&w) % DEEPEST));
	go_wg_done(&alive);
}

static void
collect(void *unused)
{
	(void)unused;
	while (count_of(&ended) < WAITERS) {
		struct go_heap_stats st;
		go_gc();
		go_heap_stats_read(&st);
		atomic_store(&shrunk, st.stacks_shrunk > 0);
		go_yield();
	}
	go_wg_done(&alive);
}

static void
feed(void *v)
{
	Waiter w = waiter_of(v);
	while (count_of(&ended) < WAITERS) {
		spawn(short_lived, next(&w) % 1000 + 1);
		send(&w);
		receive(&w);
	}
	go_wg_done(&alive);
}

static void
run_waiters(void)
{
	seed = test_seed();
	expect(go_alloc(1) != NULL);
	for (int i = 0; i < SLOTS; i++)
		chans[i] = go_chan_new(sizeof(uint64_t), i % 2 == 0 ? 0 : 2);
	for (uint64_t i = 1; i <= WAITERS; i++)
		spawn(waiter, i);
	spawn(collect, 1);
	spawn(feed, 1);
	expect_eq(go_wg_wait(&alive, GO_NEVER), 0);
}

GO_TEST(shrink_under_load, 0)
{
	run_waiters();
}

GO_TEST(shrink_under_load_on_many_ps, 8)
{
	run_waiters();
}
