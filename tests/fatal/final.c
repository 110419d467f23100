// SPDX-License-Identifier: BSD-3-Clause
// Misuse of finalizers, and what the goroutine that runs them must not change: a deadlock is seen
// beside it, and it is none itself.
#include "goroutines.h"

#include <pthread.h>
#include <undergo/heap.h>

static int a_global;
static atomic_int ran;

static void
finalizer(void *p, void *arg)
{
	(void)p;
	(void)arg;
	atomic_fetch_add(&ran, 1);
}

static void
cleanup(void *arg)
{
	(void)arg;
}

static int
of_global(void *arg)
{
	(void)arg;
	return go_set_finalizer(&a_global, finalizer, NULL);
}

static int
of_null(void *arg)
{
	(void)arg;
	return go_set_finalizer(NULL, finalizer, NULL);
}

static int
of_middle(void *arg)
{
	(void)arg;
	return go_set_finalizer((char *)go_alloc(64) + 8, finalizer, NULL);
}

static int
of_middle_of_large(void *arg)
{
	(void)arg;
	return go_set_finalizer((char *)go_alloc(100000) + 16, NULL, NULL);
}

static int
twice(void *arg)
{
	(void)arg;
	void *p = go_alloc(64);
	return go_set_finalizer(p, finalizer, NULL) + go_set_finalizer(p, finalizer, NULL);
}

static int
cleanup_of_null(void *arg)
{
	(void)arg;
	return go_add_cleanup(NULL, cleanup, NULL) == 0;
}

static int
cleanup_of_itself(void *arg)
{
	arg = go_alloc(64);
	return go_add_cleanup(arg, cleanup, arg) == 0;
}

static int
cleanup_of_global(void *arg)
{
	(void)arg;
	return go_add_cleanup(&a_global, cleanup, NULL) == 0;
}

DEATH(final_of_global)
{
	go_run(of_global, NULL);
}

DEATH(final_of_null)
{
	go_run(of_null, NULL);
}

DEATH(final_of_middle)
{
	go_run(of_middle, NULL);
}

DEATH(final_of_middle_of_large)
{
	go_run(of_middle_of_large, NULL);
}

DEATH(final_twice)
{
	go_run(twice, NULL);
}

DEATH(cleanup_of_null)
{
	go_run(cleanup_of_null, NULL);
}

DEATH(cleanup_of_itself)
{
	go_run(cleanup_of_itself, NULL);
}

DEATH(cleanup_of_global)
{
	go_run(cleanup_of_global, NULL);
}

static int
use_freed_weak(void *free_it)
{
	go_weak *w = go_weak_new(go_alloc(100));
	go_weak_free(w);
	if (free_it != NULL)
		go_weak_free(w);
	else
		go_weak_get(w);
	return 0;
}

DEATH(weak_get_freed)
{
	go_run(use_freed_weak, NULL);
}

DEATH(weak_free_twice)
{
	go_run(use_freed_weak, "");
}

void
test_fatal_weak(void)
{
	expect_death(weak_get_freed, .status = 2,
		     .err = "fatal error: go_weak_get: the weak pointer was freed\n");
	expect_death(weak_free_twice, .status = 2,
		     .err = "fatal error: go_weak_free: the weak pointer was freed already\n");
}

void
test_fatal_final(void)
{
	static const char *const not_heap =
		"fatal error: runtime.SetFinalizer: pointer not in heap\n";
	static const char *const inside =
		"fatal error: runtime.SetFinalizer: pointer not at beginning of allocated block\n";
	static const char *const itself =
		"fatal error: runtime.AddCleanup: ptr is equal to arg, cleanup will never run\n";
	expect_death(final_of_global, .status = 2, .err = not_heap);
	expect_death(final_of_null, .status = 2, .err = not_heap);
	expect_death(final_of_middle, .status = 2, .err = inside);
	expect_death(final_of_middle_of_large, .status = 2, .err = inside);
	expect_death(final_twice, .status = 2,
		     .err = "fatal error: runtime.SetFinalizer: finalizer already set\n");
	expect_death(cleanup_of_null, .status = 2,
		     .err = "fatal error: runtime.AddCleanup: ptr is nil\n");
	expect_death(cleanup_of_global, .status = 2,
		     .err = "fatal error: runtime.AddCleanup: ptr not in allocated block\n");
	expect_death(cleanup_of_itself, .status = 2,
		     .err = itself);
}

// --- the goroutine -------------------------------------------------------------------------------

static void
make_some(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		go_set_finalizer(go_alloc(64), finalizer, NULL);
}

static int
run_some(void *arg)
{
	(void)arg;
	go_spawn(make_some, NULL);
	do {
		go_gc();
		go_sleep(GO_MSEC);
	} while (atomic_load(&ran) == 0);
	return 0;
}

static int
run_and_block(void *arg)
{
	int v;
	run_some(arg);
	return go_chan_recv(go_chan_new(sizeof(v), 0), &v, GO_NEVER);
}

DEATH(final_and_deadlock)
{
	go_run(run_and_block, NULL);
}

void
test_fatal_final_and_deadlock(void)
{
	expect_death(final_and_deadlock, .status = 2,
		     .err = "fatal error: all goroutines are asleep - deadlock!\n",
		     .err_lacks = {"\"finalizers\""});
	expect_death(final_and_deadlock, .status = 2, .env = "GOTRACEBACK=system",
		     .err_has = {"\"finalizers\" [finalizer wait]"});
}

static int
run_and_exit(void *arg)
{
	run_some(arg);
	go_exit();
}

DEATH(final_and_goexit)
{
	go_run(run_and_exit, NULL);
}

void
test_fatal_final_and_goexit(void)
{
	expect_death(final_and_goexit, .status = 2,
		     .err = "fatal error: no goroutines (main called runtime.Goexit) - "
			    "deadlock!\n");
}

static void *
run_on_thread(void *arg)
{
	go_run(run_some, arg);
	return NULL;
}

// All of the program that the runtime knows has ended.
DEATH(final_alone)
{
	pthread_t t;
	pthread_create(&t, NULL, run_on_thread, NULL);
	pthread_join(t, NULL);
	usleep(300 * 1000);
	printf("alive\n");
}

void
test_fatal_final_alone_is_no_deadlock(void)
{
	expect_death(final_alone, .status = 0, .out = "alive\n");
}

// --- the runner has ended -----------------------------------------------------------------------

enum { BALLAST = 300, BALLAST_BYTES = 30000, ROUNDS = 8 };
static void *ballast[BALLAST];
static go_chan *told;

static void
end_the_runner(void *p, void *arg)
{
	(void)p;
	(void)arg;
	atomic_store(&ran, 1);
	go_exit();
}

static void
tell(void *p, void *arg)
{
	(void)arg;
	int v = 1;
	(void)p;
	go_chan_send(told, &v, GO_POLL);
}

// The first one ends the goroutine that runs finalizers; attaching one would start another.
static __attribute__((noinline)) void
attach_all(void)
{
	for (int i = 0; i < BALLAST; i++) {
		ballast[i] = go_alloc_data(BALLAST_BYTES);
		go_set_finalizer(ballast[i], i == 0 ? end_the_runner : tell, NULL);
	}
	ballast[0] = NULL;
}

// A collection for the goal: its sweeping is left to the collector's own threads.
static __attribute__((noinline)) void
fill_until_collected(void)
{
	go_heap_stats before, now;
	go_heap_stats_read(&before);
	do {
		(void)go_alloc_data(200000);
		go_heap_stats_read(&now);
	} while (now.collections == before.collections);
}

static int
wait_behind_goexit(void *arg)
{
	(void)arg;
	told = go_chan_new(sizeof(int), BALLAST);
	for (int i = 0, v; i < ROUNDS; i++) {
		atomic_store(&ran, 0);
		attach_all();
		while (atomic_load(&ran) == 0) {
			go_gc();
			go_sleep(GO_MSEC);
		}
		memset(ballast, 0, sizeof(ballast));
		fill_until_collected();
		expect_eq(go_chan_recv(told, &v, GO_NEVER), 0);
		while (go_chan_recv(told, &v, 10 * GO_MSEC) == 0) {
		}
	}
	return 0;
}

DEATH(final_behind_goexit)
{
	exit(go_run(wait_behind_goexit, NULL));
}

// Finalizers are waiting to run, and whoever has found them cannot run them: no deadlock.
void
test_fatal_final_behind_goexit(void)
{
	expect_death(final_behind_goexit, .status = 0, .limit_ms = 30000);
}
