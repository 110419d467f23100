// SPDX-License-Identifier: BSD-3-Clause
// Goroutines begin, run, yield and end as include/undergo/goroutine.h promises.
#include <pthread.h>
#include <stdatomic.h>

#include "goroutines.h"

// --- go_run -----------------------------------------------------------------------------------

static int
return_arg(void *arg)
{
	return *(int *)arg;
}

// The main goroutine's result is go_run's, whatever it is.
void
test_go_run_returns_result(void)
{
	int results[] = {0, 1, -1, 42, GO_EINVAL, 1 << 30};
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		expect_eq(go_run(return_arg, &results[i]), results[i]);
}

void
test_go_run_null_is_einval(void)
{
	int result = 7;
	expect_eq(go_run(NULL, NULL), GO_EINVAL);
	expect_eq(go_run(return_arg, &result), 7);
}

static int
run_inside(void *arg)
{
	return go_run(return_arg, arg);
}

typedef struct Run {
	int arg;
	int result;
	atomic_bool ended;
} Run;

static void
run_inside_void(void *arg)
{
	Run *r = arg;
	r->result = go_run(return_arg, &r->arg);
	atomic_store(&r->ended, true);
}

// Neither the main goroutine nor another one may wait for a main goroutine.
void
test_go_run_in_goroutine_is_einval(void)
{
	int five = 5;
	expect_eq(go_run(run_inside, &five), GO_EINVAL);
}

GO_TEST(go_run_in_spawned_is_einval, 0)
{
	static Run run = {.arg = 3};
	expect_eq(go_spawn(run_inside_void, &run), 0);
	until(atomic_load(&run.ended));
	expect_eq(run.result, GO_EINVAL);
}

static void *
run_many(void *arg)
{
	for (int i = 0; i < 50; i++) {
		int result = *(int *)arg + i;
		expect_eq(go_run(return_arg, &result), result);
	}
	return NULL;
}

// Several threads each run main goroutines, and get their own results.
void
test_go_run_from_threads(void)
{
	pthread_t threads[4];
	int base[4] = {0, 1000, 2000, 3000};
	for (int i = 0; i < 4; i++)
		expect(pthread_create(&threads[i], NULL, run_many, &base[i]) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static Count outlived;

static void
outlive(void *arg)
{
	go_sleep(*(int64_t *)arg);
	count_add(&outlived);
}

static int64_t short_sleep = 5 * GO_MSEC;

static int
spawn_and_leave(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10; i++)
		expect_eq(go_spawn(outlive, &short_sleep), 0);
	return 0;
}

// The runtime stays up after go_run: goroutines that main left behind run on.
void
test_go_run_leaves_others_running(void)
{
	expect_eq(go_run(spawn_and_leave, NULL), 0);
	while (count_of(&outlived) != 10)
		usleep(1000);
}

static int
main_exits(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10; i++)
		expect_eq(go_spawn(outlive, &short_sleep), 0);
	go_exit();
}

static atomic_bool run_returned;

static void *
run_main_that_exits(void *unused)
{
	(void)unused;
	go_run(main_exits, NULL);
	atomic_store(&run_returned, true);
	return NULL;
}

// go_exit in the main goroutine: the others go on, go_run does not return, and later calls work.
void
test_go_exit_in_main_leaves_go_run_waiting(void)
{
	pthread_t thread;
	int result = 9;
	go_id(); // this thread is known, so the process is not dead when all goroutines are gone
	expect(pthread_create(&thread, NULL, run_main_that_exits, NULL) == 0);
	while (count_of(&outlived) != 10)
		usleep(1000);
	expect_eq(go_run(return_arg, &result), 9);
	usleep(20 * 1000);
	expect(!atomic_load(&run_returned));
}

// --- spawning ---------------------------------------------------------------------------------

static Count ran;

static void
run_once(void *unused)
{
	(void)unused;
	count_add(&ran);
}

GO_TEST(go_spawn_runs_each_once, 0)
{
	for (long i = 1; i <= test_scale(20000); i++) {
		expect_eq(go_spawn(run_once, NULL), 0);
		if (i % 1000 == 0)
			until(count_of(&ran) == i);
	}
	until(count_of(&ran) == test_scale(20000));
	go_sleep(5 * GO_MSEC);
	expect_eq(count_of(&ran), test_scale(20000));
}

// The first call of all starts the runtime, on a thread that is in no go_run.
void
test_go_spawn_starts_the_runtime(void)
{
	expect_eq(go_spawn(run_once, NULL), 0);
	while (count_of(&ran) != 1)
		usleep(1000);
}

GO_TEST(go_spawn_null_is_einval, 0)
{
	expect_eq(go_spawn(NULL, NULL), GO_EINVAL);
	expect_eq(go_spawn_with(NULL, NULL, NULL), GO_EINVAL);
	go_attr big = {.stack_bytes = (size_t)1000000001};
	expect_eq(go_spawn_with(&big, run_once, NULL), GO_EINVAL);
	big.stack_bytes = SIZE_MAX;
	expect_eq(go_spawn_with(&big, run_once, NULL), GO_EINVAL);
	go_sleep(5 * GO_MSEC);
	expect_eq(count_of(&ran), 0);
}

GO_TEST(go_spawn_with_null_attr, 0)
{
	expect_eq(go_spawn_with(NULL, run_once, NULL), 0);
	go_attr zero = {0};
	expect_eq(go_spawn_with(&zero, run_once, NULL), 0);
	until(count_of(&ran) == 2);
}

static int plain_value; // written by the spawner alone, read by the spawned

static void
read_plain_value(void *arg)
{
	expect_eq(plain_value, *(int *)arg);
	count_add(&ran);
}

// What the spawner did before is visible to the goroutine, wherever it runs.
GO_TEST(go_spawn_publishes, 0)
{
	for (int i = 1; i <= 500; i++) {
		plain_value = i;
		expect_eq(go_spawn(read_plain_value, &i), 0);
		while (count_of(&ran) != i)
			go_yield();
	}
}

typedef struct Tree {
	int depth;
	go_waitgroup *done;
} Tree;

static void
grow(void *arg)
{
	Tree t = *(Tree *)arg;
	free(arg);
	count_add(&ran);
	for (int i = 0; i < 2 && t.depth > 0; i++) {
		Tree *child = malloc(sizeof(*child));
		expect(child != NULL);
		*child = (Tree){t.depth - 1, t.done};
		go_wg_add(t.done, 1);
		expect_eq(go_spawn(grow, child), 0);
	}
	go_wg_done(t.done);
}

// Goroutines start goroutines: a tree of 2^13 - 1.
GO_TEST(go_spawn_tree, 0)
{
	static go_waitgroup done;
	int depth = test_scale(4096) >= 4096 ? 12 : 9;
	Tree *root = malloc(sizeof(*root));
	expect(root != NULL);
	*root = (Tree){depth, &done};
	go_wg_add(&done, 1);
	expect_eq(go_spawn(grow, root), 0);
	expect_eq(go_wg_wait(&done, GO_NEVER), 0);
	expect_eq(count_of(&ran), (1L << (depth + 1)) - 1);
}

static go_chan *gate;

static void
wait_at_gate(void *unused)
{
	(void)unused;
	char byte;
	expect_eq(go_chan_recv(gate, &byte, GO_NEVER), GO_ECLOSED);
	count_add(&ran);
}

// 10,000 goroutines alive at once, all waiting, all released.
GO_TEST(go_spawn_ten_thousand, 0)
{
	long n = test_scale(10000);
	go_stats st;
	gate = go_chan_new(1, 0);
	for (long i = 0; i < n; i++)
		expect_eq(go_spawn(wait_at_gate, NULL), 0);
	go_stats_read(&st);
	expect_eq(st.goroutines, n + 1);
	go_chan_close(gate);
	until(count_of(&ran) == n);
}

static void
call_go_exit(void *unused)
{
	(void)unused;
	count_add(&ran);
	go_exit();
	expect(false);
}

// go_exit ends the goroutine wherever it is called, and its record is used again.
GO_TEST(go_exit_ends_goroutine, 0)
{
	for (int i = 1; i <= 1000; i++) {
		expect_eq(go_spawn(call_go_exit, NULL), 0);
		if (i % 100 == 0)
			until(count_of(&ran) == i);
	}
	go_stats st;
	do {
		go_sleep(GO_MSEC);
		go_stats_read(&st);
	} while (st.goroutines != 1);
}

// --- ids and names ----------------------------------------------------------------------------

enum { IDS_MAX = 1 << 20 };
static _Atomic unsigned char *id_seen; // of IDS_MAX

static void
mark_id(void *unused)
{
	(void)unused;
	uint64_t id = go_id();
	expect(id >= 1 && id < IDS_MAX);
	expect_eq(atomic_exchange(&id_seen[id], 1), 0);
	go_yield();
	expect_eq(go_id(), id);
	count_add(&ran);
}

static void *
spawn_marks(void *unused)
{
	(void)unused;
	mark_id(NULL); // the thread's own number is not a goroutine's either
	for (int i = 0; i < 500; i++)
		expect_eq(go_spawn(mark_id, NULL), 0);
	return NULL;
}

// No number is used twice, by goroutines one after the other, at once, or by threads.
GO_TEST(go_id_never_used_twice, 0)
{
	pthread_t threads[4];
	id_seen = test_pages(IDS_MAX);
	mark_id(NULL);
	for (int i = 0; i < 4; i++)
		expect(pthread_create(&threads[i], NULL, spawn_marks, NULL) == 0);
	for (int i = 0; i < 2000; i++)
		expect_eq(go_spawn(mark_id, NULL), 0);
	until(count_of(&ran) == 1 + 2000 + 4 * 501);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

// As in Go, whose dumps people know, the main goroutine is number 1.
GO_TEST(go_id_of_main_is_1, 0)
{
	expect_eq(go_id(), 1);
}

static void
check_names(void *unused)
{
	(void)unused;
	expect_str(go_name(), "");
	go_name_set("first");
	expect_str(go_name(), "first");
	go_yield();
	expect_str(go_name(), "first");
	go_name_set("a name of twenty-three.and more");
	expect_str(go_name(), "a name of twenty-three.");
	go_name_set("short");
	expect_str(go_name(), "short");
	go_name_set(NULL);
	expect_str(go_name(), "");
	go_name_set("left behind"); // whoever gets this record next must not find it
	count_add(&ran);
}

GO_TEST(go_name_is_kept, 1)
{
	for (int i = 1; i <= 100; i++) {
		expect_eq(go_spawn(check_names, NULL), 0);
		until(count_of(&ran) == i);
	}
	expect_str(go_name(), "");
}

static void
expect_named(void *arg)
{
	expect_str(go_name(), arg);
	count_add(&ran);
}

GO_TEST(go_attr_name, 0)
{
	char name[8] = "worker";
	go_attr attr = {.name = name};
	expect_eq(go_spawn_with(&attr, expect_named, "worker"), 0);
	memset(name, 'x', sizeof(name) - 1); // attr may be reused on return
	expect_eq(go_spawn_with(NULL, expect_named, ""), 0);
	until(count_of(&ran) == 2);
}

void
test_go_name_of_thread(void)
{
	expect_str(go_name(), "");
	go_name_set("thread");
	expect_str(go_name(), "thread");
}

// --- fairness ---------------------------------------------------------------------------------

static atomic_bool stop;

static void
ping(void *arg)
{
	go_chan **c = arg;
	int v = 0;
	while (go_chan_send(c[0], &v, GO_NEVER) == 0 && go_chan_recv(c[1], &v, GO_NEVER) == 0)
		if (atomic_load(&stop))
			go_chan_close(c[0]), go_exit();
}

static void
pong(void *arg)
{
	go_chan **c = arg;
	int v = 0;
	while (go_chan_recv(c[0], &v, GO_NEVER) == 0)
		go_chan_send(c[1], &v, GO_NEVER);
	count_add(&ran);
}

static void
start_ping_pong(void)
{
	static go_chan *c[2];
	c[0] = go_chan_new(sizeof(int), 0);
	c[1] = go_chan_new(sizeof(int), 0);
	expect_eq(go_spawn(ping, c), 0);
	expect_eq(go_spawn(pong, c), 0);
}

// On one P, two goroutines that always make each other run next do not keep a third away.
GO_TEST(go_chain_does_not_starve_local, 1)
{
	start_ping_pong();
	for (int i = 1; i <= 50; i++) {
		go_yield();
		expect_eq(go_spawn(run_once, NULL), 0);
	}
	while (count_of(&ran) != 50)
		go_yield();
	atomic_store(&stop, true);
	until(count_of(&ran) == 51);
}

static void *
spawn_from_thread(void *unused)
{
	(void)unused;
	for (int i = 0; i < 50; i++)
		expect_eq(go_spawn(run_once, NULL), 0);
	return NULL;
}

// The same for goroutines in the global queue, where threads of the program put theirs.
GO_TEST(go_chain_does_not_starve_global, 1)
{
	pthread_t thread;
	start_ping_pong();
	expect(pthread_create(&thread, NULL, spawn_from_thread, NULL) == 0);
	while (count_of(&ran) != 50)
		go_yield();
	atomic_store(&stop, true);
	until(count_of(&ran) == 51);
	pthread_join(thread, NULL);
}

static void
sleep_briefly(void *unused)
{
	(void)unused;
	for (int i = 0; i < 5; i++)
		expect_eq(go_sleep(GO_MSEC), 0);
	count_add(&ran);
}

// And for timers.
GO_TEST(go_chain_does_not_starve_timers, 1)
{
	start_ping_pong();
	expect_eq(go_spawn(sleep_briefly, NULL), 0);
	until(count_of(&ran) == 1);
	atomic_store(&stop, true);
	until(count_of(&ran) == 2);
}

static void
yield_until_stop(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop))
		go_yield();
	count_add(&ran);
}

// Goroutines that only yield keep neither each other, nor threads' goroutines, nor timers away.
GO_TEST(go_yield_is_fair, 1)
{
	pthread_t thread;
	for (int i = 0; i < 10; i++)
		expect_eq(go_spawn(yield_until_stop, NULL), 0);
	expect(pthread_create(&thread, NULL, spawn_from_thread, NULL) == 0);
	expect_eq(go_spawn(sleep_briefly, NULL), 0);
	until(count_of(&ran) == 51);
	atomic_store(&stop, true);
	until(count_of(&ran) == 61);
	pthread_join(thread, NULL);
}

enum { TURNS = 100, PLAYERS = 4 };
static int turn[PLAYERS];
static Count out_of_turn;

static void
take_turns(void *arg)
{
	int me = *(int *)arg;
	for (int i = 0; i < TURNS; i++) {
		turn[me]++;
		for (int other = 0; other < PLAYERS; other++)
			if (turn[me] - turn[other] > 1)
				count_add(&out_of_turn);
		go_yield();
	}
	count_add(&ran);
}

// go_yield goes to the end of the queue: on one P yielding goroutines run in turns. A thread that
// the system puts aside loses its P and its turn, so this is asked of one round in many.
GO_TEST(go_yield_goes_to_the_end, 1)
{
#ifdef UNDERGO_STRESS
	skip("the stress build shuffles queues");
#endif
	static int ids[PLAYERS] = {0, 1, 2, 3};
	long rounds = 0;
	do {
		expect(++rounds <= 200);
		atomic_store(&out_of_turn, 0);
		memset(turn, 0, sizeof(turn));
		for (int i = 0; i < PLAYERS; i++)
			expect_eq(go_spawn(take_turns, &ids[i]), 0);
		while (count_of(&ran) != PLAYERS * rounds)
			go_yield();
	} while (count_of(&out_of_turn) != 0);
}

// --- stacks -----------------------------------------------------------------------------------

// Uses about so many bytes of stack, in frames of 512 bytes, and checks that they keep their
// values.
static __attribute__((noinline)) unsigned
recurse(size_t bytes, unsigned depth)
{
	volatile unsigned char frame[512];
	memset((void *)frame, (int)(depth & 0xff), sizeof(frame));
	unsigned sum = 0;
	// Under sanitizers a frame takes more than it asks for.
	size_t used = sizeof(frame) + (test_slowness() > 1 ? 512 : 64);
	if (bytes > used)
		sum = recurse(bytes - used, depth + 1);
	if (depth % 64 == 0)
		go_yield();
	expect_eq(frame[0], depth & 0xff);
	expect_eq(frame[511], depth & 0xff);
	return sum + 1;
}

typedef struct Deep {
	size_t ask;
	size_t use;
} Deep;

static void
go_deep(void *arg)
{
	const Deep *d = arg;
	recurse(d->use, 0);
	count_add(&ran);
}

// A stack has the size that was asked for; 0 is 256 KiB.
GO_TEST(go_stack_bytes, 0)
{
	static Deep sizes[] = {
	    {0, 200 << 10},        {1, 8 << 10},           {32 << 10, 24 << 10},
	    {64 << 10, 50 << 10},  {256 << 10, 230 << 10}, {(256 << 10) + 1, 256 << 10},
	    {1 << 20, 1000 << 10}, {8 << 20, 8000 << 10},
	};
	long n = (long)(sizeof(sizes) / sizeof(sizes[0]));
	for (int round = 0; round < 3; round++)
		for (long i = 0; i < n; i++) {
			go_attr attr = {.stack_bytes = sizes[i].ask};
			expect_eq(go_spawn_with(&attr, go_deep, &sizes[i]), 0);
		}
	until(count_of(&ran) == 3 * n);
}

static void
touch_bottom(void *arg)
{
	// One byte of each MiB, downwards, in one frame.
	size_t bytes = *(size_t *)arg;
	volatile char *area = __builtin_alloca(bytes);
	for (size_t at = bytes; at >= 1 << 20; at -= 1 << 20)
		area[at - 1] = 1;
	area[0] = 1;
	count_add(&ran);
}

// The largest stacks cost what is touched.
GO_TEST(go_stack_bytes_largest, 0)
{
	static size_t most = 990000000;
	go_attr attr = {.stack_bytes = 1000000000};
	for (int i = 1; i <= 4; i++) {
		expect_eq(go_spawn_with(&attr, touch_bottom, &most), 0);
		until(count_of(&ran) == i);
	}
}

// A goroutine's stack keeps its contents while others run on theirs.
static void
deep_among_others(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++)
		recurse(100 << 10, (unsigned)go_id());
	count_add(&ran);
}

GO_TEST(go_stacks_are_separate, 0)
{
	long n = test_scale(200);
	for (long i = 0; i < n; i++)
		expect_eq(go_spawn(deep_among_others, NULL), 0);
	until(count_of(&ran) == n);
}

static void
expect_aligned(void *unused)
{
	(void)unused;
	_Alignas(64) volatile char line[64];
	_Alignas(16) volatile char word[16];
	expect_eq((uintptr_t)line % 64, 0);
	expect_eq((uintptr_t)word % 16, 0);
	char text[64];
	volatile double v = 1.5;
	snprintf(text, sizeof(text), "%.3f", v); // wants an aligned stack
	expect_str(text, "1.500");
	count_add(&ran);
}

GO_TEST(go_stack_is_aligned, 0)
{
	for (int i = 0; i < 100; i++)
		expect_eq(go_spawn(expect_aligned, NULL), 0);
	until(count_of(&ran) == 100);
}
