// SPDX-License-Identifier: BSD-3-Clause
// Descriptors under load: closing against all that may be going on, and goroutines that the poller
// wakes while their stacks are trimmed and the heap is collected without a pause.
#include "goroutines.h"

static Count ended;
static atomic_bool stop;

static void
start(void (*fn)(void *), void *arg)
{
	expect_eq(go_spawn(fn, arg), 0);
}

static go_fd
listen_here(char *at, size_t n)
{
	go_fd l = go_listen("tcp", "127.0.0.1:0");
	expect(l > 0);
	expect(go_local_text(l, at, n) > 0);
	return l;
}

static void
connect_pair(go_fd l, const char *at, go_fd *a, go_fd *b)
{
	*a = go_dial("tcp", at, go_in(60 * GO_SEC));
	expect(*a > 0);
	*b = go_accept(l);
	expect(*b > 0);
}

// --- the pairs ----------------------------------------------------------------------------------
// Go's issue 9186: a hundred pairs, both ends of each read a hundred bytes, go deep into the stack,
// and write a hundred; the main goroutine collects for ever. A goroutine that the poller made ready
// while its stack was being shrunk hung the collector there.

enum { PAIRS = 100, MESSAGE = 100, DEPTH = 200 };

static atomic_long messages;

static int __attribute__((noinline))
deep(int n)
{
	volatile char frame[100];
	frame[0] = (char)n;
	frame[99] = (char)(n > 0 ? deep(n - 1) : 0);
	return frame[0] + frame[99];
}

static void
end_of_pair(void *v)
{
	go_fd fd = (go_fd)(intptr_t)v;
	char buf[MESSAGE];
	while (go_read_full(fd, buf, MESSAGE) == MESSAGE) {
		deep(DEPTH);
		char *garbage = go_alloc_data(1000);
		garbage[999] = buf[0];
		if (go_write(fd, buf, MESSAGE) != MESSAGE)
			break;
		atomic_fetch_add_explicit(&messages, 1, memory_order_relaxed);
	}
	count_add(&ended);
}

// Of `lively` pairs each has a message under way; the others only wait.
static void
run_pairs(int lively, int64_t ns)
{
	static go_fd a[PAIRS], b[PAIRS];
	char at[64], message[MESSAGE] = {0};
	go_fd l = listen_here(at, sizeof(at));
	for (int i = 0; i < PAIRS; i++) {
		connect_pair(l, at, &a[i], &b[i]);
		start(end_of_pair, (void *)(intptr_t)a[i]);
		start(end_of_pair, (void *)(intptr_t)b[i]);
	}
	for (int i = 0; i < lively; i++)
		expect_eq(go_write(a[i], message, MESSAGE), MESSAGE);
	int64_t before = atomic_load(&messages), until_then = go_in(ns);
	do {
		go_gc();
	} while (go_now() < until_then || atomic_load(&messages) < before + 10 * lively);
	for (int i = 0; i < PAIRS; i++) {
		expect_eq(go_close(a[i]), 0);
		expect_eq(go_close(b[i]), 0);
	}
	until(count_of(&ended) == 2 * PAIRS);
	atomic_store(&ended, 0);
	expect_eq(go_close(l), 0);
}

static void
pairs(int procs, int64_t ns)
{
	go_gomaxprocs(procs);
	run_pairs(PAIRS, ns);
	run_pairs(3, ns);
}

GO_TEST(net_pairs_on_one, 1)
{
	pairs(1, 100 * GO_MSEC);
}

GO_TEST(net_pairs_on_two, 2)
{
	pairs(2, 100 * GO_MSEC);
}

GO_TEST(net_pairs_on_eight, 8)
{
	pairs(8, 100 * GO_MSEC);
}

GO_TEST(net_pairs_long, 1)
{
	static const int procs[] = {1, 2, 8};
	for (int i = 0; i < 3; i++)
		pairs(procs[i], 30 * GO_SEC);
}

// --- closing against all ------------------------------------------------------------------------

enum { CLOSE_ROUNDS = 150 };

static go_fd under_test;

static void
reads(void *unused)
{
	char buf[64];
	int64_t n;
	(void)unused;
	while ((n = go_read(under_test, buf, sizeof(buf))) != GO_ECLOSED)
		expect(n > 0 || n == GO_ETIMEDOUT || n == GO_EAGAIN);
	count_add(&ended);
}

static void
writes(void *unused)
{
	static char buf[1 << 14];
	int64_t n;
	(void)unused;
	while ((n = go_write(under_test, buf, sizeof(buf))) != GO_ECLOSED)
		expect(n > 0 || n == GO_ETIMEDOUT || n == GO_EAGAIN);
	count_add(&ended);
}

static void
accepts(void *unused)
{
	go_fd fd;
	(void)unused;
	while ((fd = go_accept(under_test)) != GO_ECLOSED) {
		expect(fd > 0 || fd == GO_ETIMEDOUT || fd == GO_EAGAIN);
		if (fd > 0)
			expect_eq(go_close(fd), 0);
	}
	count_add(&ended);
}

static void
sets_deadlines(void *unused)
{
	uint64_t rand = test_seed() + (uint64_t)under_test;
	int err = 0;
	(void)unused;
	for (int i = 0; err == 0; i++) {
		static const int64_t in[] = {1000, 100000, GO_SEC};
		uint64_t r = test_rand(&rand);
		err = r % 5 == 0   ? go_set_deadline(under_test, GO_NEVER)
		      : r % 5 == 1 ? go_set_read_deadline(under_test, GO_POLL)
				   : go_set_deadline(under_test, go_in(in[r % 3]));
		if (i % 16 == 0)
			go_yield();
	}
	expect_eq(err, GO_ECLOSED);
	count_add(&ended);
}

static void
feeds(void *v)
{
	char buf[50] = {0};
	while (go_write((go_fd)(intptr_t)v, buf, sizeof(buf)) > 0)
		go_yield();
	count_add(&ended);
}

static void
wait_a_little(uint64_t *rand)
{
	switch (test_rand(rand) % 4) {
	case 0:
		break;
	case 1:
		go_yield();
		break;
	default:
		go_sleep((int64_t)(test_rand(rand) % 300) * GO_USEC);
	}
}

static void
close_connections(int rounds)
{
	char at[64];
	uint64_t rand = test_seed();
	go_fd l = listen_here(at, sizeof(at));
	for (int i = 0; i < rounds; i++) {
		go_fd other;
		connect_pair(l, at, &under_test, &other);
		atomic_store(&ended, 0);
		start(reads, NULL);
		start(reads, NULL);
		start(writes, NULL);
		start(writes, NULL);
		start(sets_deadlines, NULL);
		start(feeds, (void *)(intptr_t)other);
		wait_a_little(&rand);
		expect_eq(go_close(under_test), 0);
		until(count_of(&ended) >= 5);
		expect_eq(go_close(other), 0);
		until(count_of(&ended) == 6);
	}
	expect_eq(go_close(l), 0);
}

static void
dials(void *at)
{
	while (!atomic_load(&stop)) {
		go_fd fd = go_dial("tcp", at, go_in(GO_SEC));
		if (fd > 0)
			expect_eq(go_close(fd), 0);
	}
	count_add(&ended);
}

static void
close_listeners(int rounds)
{
	char at[64];
	uint64_t rand = test_seed();
	for (int i = 0; i < rounds; i++) {
		under_test = listen_here(at, sizeof(at));
		atomic_store(&ended, 0);
		atomic_store(&stop, false);
		start(accepts, NULL);
		start(accepts, NULL);
		start(sets_deadlines, NULL);
		start(dials, at);
		wait_a_little(&rand);
		expect_eq(go_close(under_test), 0);
		atomic_store(&stop, true);
		until(count_of(&ended) == 4);
	}
}

GO_TEST(net_close_race, 2)
{
	close_connections(CLOSE_ROUNDS);
	close_listeners(CLOSE_ROUNDS / 2);
}

GO_TEST(net_close_race_on_eight, 8)
{
	close_connections(CLOSE_ROUNDS);
	close_listeners(CLOSE_ROUNDS / 2);
}

// --- numbers that are used again ----------------------------------------------------------------

// What is written to one descriptor never reaches another that has its number a moment later.
enum { OPENERS = 6, OPENINGS = 300 };

static void
opens(void *v)
{
	char mine = (char)(intptr_t)v, c;
	for (int i = 0; i < OPENINGS; i++) {
		go_fd ends[2];
		expect_eq(go_pipe(ends), 0);
		expect_eq(go_write(ends[1], &mine, 1), 1);
		expect_eq(go_set_read_deadline(ends[0], go_in(10 * GO_SEC)), 0);
		expect_eq(go_read(ends[0], &c, 1), 1);
		expect_eq(c, mine);
		expect_eq(go_close(ends[i % 2]), 0);
		expect_eq(go_write(ends[i % 2], &mine, 1), GO_ECLOSED);
		expect_eq(go_close(ends[1 - i % 2]), 0);
	}
	count_add(&ended);
}

GO_TEST(net_numbers_again, 4)
{
	for (int i = 0; i < OPENERS; i++)
		start(opens, (void *)(intptr_t)(i + 1));
	until(count_of(&ended) == OPENERS);
}
