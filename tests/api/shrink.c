// SPDX-License-Identifier: BSD-3-Clause
// Stacks of waiting goroutines give back what they do not use: what undergo/heap.h says of
// stacks_shrunk, and GODEBUG=gcshrinkstackoff.
//
// Goroutines go deep, come back and wait; a collection then takes the pages they left behind, which
// the process's resident memory shows. What they still use is checked when they go on.
#include <undergo/heap.h>

#include "goroutines.h"

enum { KIB = 1024, MANY = 1000, DEEP = 100 * KIB, FRAME = KIB, PATTERN = 0x5a };

static go_chan *gate;
static Count at_gate, passed;

static size_t
resident_bytes(void)
{
	size_t pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	expect(f != NULL);
	expect_eq(fscanf(f, "%*u %zu", &pages), 1);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static struct go_heap_stats
stats(void)
{
	struct go_heap_stats st;
	go_heap_stats_read(&st);
	return st;
}

static void
fill(volatile char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = PATTERN;
}

// Touches about `bytes` of stack.
__attribute__((noinline)) static int
go_deep(size_t bytes)
{
	volatile char frame[FRAME];
	fill(frame, FRAME);
	int sum = bytes > FRAME ? go_deep(bytes - FRAME) : 0;
	return sum + frame[0] - PATTERN + frame[FRAME - 1] - PATTERN;
}

static void
wait_at_gate(void)
{
	volatile char kept[4 * KIB];
	fill(kept, sizeof(kept));
	count_add(&at_gate);
	expect_eq(go_chan_recv(gate, NULL, GO_NEVER), 0);
	for (size_t i = 0; i < sizeof(kept); i++)
		expect_eq(kept[i], PATTERN);
	count_add(&passed);
}

static void
deep_then_wait(void *bytes)
{
	expect_eq(go_deep((size_t)bytes), 0);
	wait_at_gate();
	expect_eq(go_deep((size_t)bytes), 0); // the pages come again
	wait_at_gate();
}

static void
start(int n, size_t bytes, size_t stack_bytes)
{
	gate = go_chan_new(0, 0);
	expect(go_alloc(1) != NULL); // a heap there must be
	go_attr attr = {.stack_bytes = stack_bytes};
	for (int i = 0; i < n; i++)
		expect_eq(go_spawn_with(&attr, deep_then_wait, (void *)bytes), 0);
	until(count_of(&at_gate) == n);
	go_sleep(20 * GO_MSEC); // the last is off its stack
}

// Lets n pass and wait once more, or end.
static void
let_go_on(int n, bool again)
{
	atomic_store(&at_gate, 0);
	for (int i = 0; i < n; i++)
		expect_eq(go_chan_send(gate, NULL, GO_NEVER), 0);
	if (again)
		until(count_of(&at_gate) == n);
	else
		until(count_of(&passed) == 2 * n);
	go_sleep(20 * GO_MSEC);
}

GO_TEST(shrink_gives_back, 0)
{
	enum { LEAST = MANY * (DEEP - 16 * KIB) };
	start(MANY, DEEP, 0);
	for (int turn = 0; turn < 2; turn++) {
		size_t before = resident_bytes(), released = stats().stack_released_bytes;
		expect(before > LEAST);
		go_gc();
		expect(resident_bytes() + LEAST < before);
		expect(stats().stack_released_bytes - released > LEAST);
		let_go_on(MANY, turn == 0);
	}
	expect_eq(count_of(&passed), 2 * MANY);
}

// Who waits on has nothing more to give.
GO_TEST(shrink_once_a_wait, 0)
{
	enum { N = 10 };
	start(N, DEEP, 0);
	go_gc();
	uint64_t shrunk = stats().stacks_shrunk;
	expect(shrunk >= N);
	for (int i = 0; i < 3; i++)
		go_gc();
	expect(stats().stacks_shrunk < shrunk + N); // others may have moved
	let_go_on(N, true);
	go_gc();
	expect(stats().stacks_shrunk >= shrunk + N);
	let_go_on(N, false);
}

GO_TEST(shrink_large_stacks, 0)
{
	enum { N = 3, BYTES = 40 << 20, RESERVED = 100 << 20 };
	start(N, BYTES, RESERVED);
	size_t before = resident_bytes();
	go_gc();
	expect(resident_bytes() + (size_t)N * (BYTES - (1 << 20)) < before);
	let_go_on(N, true);
	let_go_on(N, false);
}

// Collections that the program's own garbage brings about do it too, for who has waited for a
// while.
GO_TEST(shrink_unasked, 0)
{
	enum { N = 20 };
	start(N, DEEP, 0);
	while (stats().stack_released_bytes < (uint64_t)N * (DEEP - 16 * KIB))
		(void)go_alloc(1000);
	expect_eq(stats().forced, 0);
	let_go_on(N, true);
	let_go_on(N, false);
}

// What is in use is not touched: of a goroutine that computes, that has called into the system,
// that waits deep down.
static atomic_bool stop;

static void
compute(void)
{
	while (!atomic_load(&stop))
		;
}

static void
block(void)
{
	while (!atomic_load(&stop))
		block_thread_for(GO_MSEC);
}

static void
sleep_deep(void)
{
	while (!atomic_load(&stop))
		go_sleep(GO_MSEC);
}

__attribute__((noinline)) static int
deep_down(size_t bytes, void (*fn)(void))
{
	volatile char frame[FRAME];
	fill(frame, FRAME);
	int bad = 0;
	if (bytes > FRAME)
		bad = deep_down(bytes - FRAME, fn);
	else
		fn();
	for (size_t i = 0; i < sizeof(frame); i++)
		bad += frame[i] != PATTERN;
	return bad;
}

static void
stay_deep(void *fn)
{
	expect_eq(deep_down(DEEP, *(void (**)(void))fn), 0);
	count_add(&passed);
}

GO_TEST(shrink_leaves_what_is_used, 4)
{
	static void (*fns[])(void) = {compute, block, sleep_deep};
	enum { KINDS = sizeof(fns) / sizeof(fns[0]), N = 2 };
	expect(go_alloc(1) != NULL);
	for (int i = 0; i < N * KINDS; i++)
		expect_eq(go_spawn(stay_deep, &fns[i % KINDS]), 0);
	for (int i = 0; i < 50; i++) {
		go_gc();
		go_sleep(GO_MSEC);
	}
	atomic_store(&stop, true);
	until(count_of(&passed) == N * KINDS);
}

static int
never_shrinks(void *unused)
{
	(void)unused;
	enum { N = 10 };
	start(N, DEEP, 0);
	go_gc();
	expect_eq(stats().stacks_shrunk, 0);
	expect_eq(stats().stack_released_bytes, 0);
	let_go_on(N, true);
	let_go_on(N, false);
	return 0;
}

void
test_shrink_off(void)
{
	expect_eq(setenv("GODEBUG", "gctrace=0,gcshrinkstackoff=1", 1), 0);
	expect_eq(go_run(never_shrinks, NULL), 0);
}
