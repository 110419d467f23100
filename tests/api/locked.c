// SPDX-License-Identifier: BSD-3-Clause
// go_lock_os_thread: a locked goroutine has its thread for itself, and a thread whose locked
// goroutine has ended is gone.
//
// Who is on a thread is told by its number at the kernel. Each test runs its checks between calls
// of the library, where a goroutine may be on any thread unless it is locked.
#include <pthread.h>

#include "goroutines.h"

#include <undergo/heap.h>

// --- alone on its thread ------------------------------------------------------------------------

static atomic_int taken_tid; // no other goroutine may be here; 0: none
static atomic_bool stop;
static Count turns;

static void
wander(void *wg)
{
	while (!atomic_load(&stop)) {
		expect(tid_now() != atomic_load(&taken_tid));
		count_add(&turns);
		go_yield();
	}
	go_wg_done(wg);
}

static void
blocking_call(void)
{
	go_block_begin();
	block_thread_for(GO_MSEC);
	go_block_end();
}

// All the ways to wait, and to lose the processor.
static void
wait_variously(go_chan **c, long i)
{
	long back = -1;
	expect_eq(go_chan_send(c[0], &i, GO_NEVER), 0);
	expect_eq(go_chan_recv(c[1], &back, GO_NEVER), 0);
	expect_eq(back, i);
	go_yield();
	if (i % 10 == 0)
		expect_eq(go_sleep(100 * GO_USEC), 0);
	if (i % 16 == 1)
		blocking_call();
	if (i % 16 == 2)
		block_thread_for(2 * GO_MSEC); // nobody is told: the monitor takes the processor
}

static void
locked_alone(void)
{
	enum { WANDERERS = 20 };
	go_waitgroup wg = {0};
	go_chan *c[2] = {go_chan_new(sizeof(long), 0), go_chan_new(sizeof(long), 0)};
	go_lock_os_thread();
	int tid = tid_now();
	atomic_store(&taken_tid, tid);
	go_wg_add(&wg, WANDERERS);
	for (int i = 0; i < WANDERERS; i++)
		expect_eq(go_spawn(wander, &wg), 0);
	expect_eq(go_spawn(send_back, c), 0);
	for (long i = 0; i < test_scale(500); i++) {
		wait_variously(c, i);
		expect_eq(tid_now(), tid);
	}
	until(count_of(&turns) > WANDERERS);
	atomic_store(&stop, true);
	expect_eq(go_wg_wait(&wg, GO_NEVER), 0);
	expect_eq(tid_now(), tid);
	atomic_store(&taken_tid, 0);
	go_unlock_os_thread();
	go_chan_close(c[0]);
}

GO_TEST(locked_alone_on_one_p, 1)
{
	locked_alone();
}

GO_TEST(locked_alone_on_two_ps, 2)
{
	locked_alone();
}

GO_TEST(locked_alone_on_four_ps, 4)
{
	locked_alone();
}

// --- beside others that sleep -------------------------------------------------------------------

static atomic_bool slept;

static void
sleep_and_tell(void *unused)
{
	(void)unused;
	go_sleep(GO_MSEC);
	atomic_store(&slept, true);
}

// The only P is the yielding goroutine's, and so are the timers of all others.
GO_TEST(locked_yields_to_timers, 1)
{
	go_lock_os_thread();
	for (int i = 0; i < 3; i++) {
		atomic_store(&slept, false);
		expect_eq(go_spawn(sleep_and_tell, NULL), 0);
		while (!atomic_load(&slept))
			go_yield();
	}
	go_unlock_os_thread();
}

// --- counting -----------------------------------------------------------------------------------

static Count other_ran;

static void
note_tid(void *tid)
{
	atomic_store((atomic_int *)tid, tid_now());
	count_add(&other_ran);
}

// Whether another goroutine, on the one P there is, comes to run on this thread when we wait.
static bool
shares_thread(void)
{
	static atomic_int tid;
	long before = count_of(&other_ran);
	atomic_store(&tid, 0);
	expect_eq(go_spawn(note_tid, &tid), 0);
	int mine = tid_now();
	until(count_of(&other_ran) > before);
	return atomic_load(&tid) == mine;
}

// The chance that a processor moves to another thread by itself is there, so some tries.
static bool
ever_shares_thread(void)
{
	for (int i = 0; i < 100; i++)
		if (shares_thread())
			return true;
	return false;
}

GO_TEST(locked_counts, 1)
{
	expect(ever_shares_thread());
	go_unlock_os_thread(); // not locked: nothing
	expect(ever_shares_thread());
	for (int i = 0; i < 3; i++)
		go_lock_os_thread();
	for (int i = 0; i < 3; i++) {
		int tid = tid_now();
		for (int j = 0; j < 20; j++)
			expect(!shares_thread());
		expect_eq(tid_now(), tid);
		go_unlock_os_thread();
	}
	expect(ever_shares_thread());
	go_unlock_os_thread();
	go_lock_os_thread();
	expect(!shares_thread()); // the calls that did nothing are not remembered
	go_unlock_os_thread();
	expect(ever_shares_thread());
}

// --- threads of the program ---------------------------------------------------------------------

static void *
lock_on_thread(void *unused)
{
	int tid = tid_now();
	go_chan *c[2] = {go_chan_new(sizeof(long), 0), go_chan_new(sizeof(long), 0)};
	go_lock_os_thread();
	go_lock_os_thread();
	expect_eq(go_spawn(send_back, c), 0);
	for (long i = 0; i < 20; i++)
		wait_variously(c, i);
	go_unlock_os_thread();
	expect_eq(tid_now(), tid);
	go_chan_close(c[0]);
	return unused;
}

void
test_locked_threads_of_the_program(void)
{
	pthread_t t;
	go_unlock_os_thread();
	lock_on_thread(NULL);
	expect_eq(pthread_create(&t, NULL, lock_on_thread, NULL), 0); // and ends locked
	expect_eq(pthread_join(t, NULL), 0);
	go_gomaxprocs(2);
}

// --- ends ---------------------------------------------------------------------------------------

typedef struct Ender {
	atomic_int tid;
	bool by_exit;
	int nested;
} Ender;

static void
end_locked(void *v)
{
	Ender *e = v;
	bool by_exit = e->by_exit;
	for (int i = 0; i <= e->nested; i++)
		go_lock_os_thread();
	go_yield();
	atomic_store(&e->tid, tid_now());
	if (by_exit)
		go_exit();
}

static void
ends(Ender *e)
{
	int tid;
	expect_eq(go_spawn(end_locked, e), 0);
	while ((tid = atomic_load(&e->tid)) == 0)
		go_yield();
	until(thread_gone(tid));
}

GO_TEST(locked_ends_its_thread, 2)
{
	for (int i = 0; i < 20; i++) {
		Ender e = {0, i % 2 != 0, i % 3};
		ends(&e);
	}
	go_stats st;
	go_stats_read(&st);
	expect(st.threads < 20);
}

GO_TEST(locked_ends_its_thread_on_one_p, 1)
{
	for (int i = 0; i < 20; i++) {
		Ender e = {0, i % 2 != 0, i % 3};
		ends(&e);
	}
}

static int
end_of_run(void *tid)
{
	go_lock_os_thread();
	*(int *)tid = tid_now();
	return 7;
}

// The main goroutine is as any other, and go_run has its result.
void
test_locked_main_goroutine_ends(void)
{
	for (int i = 0; i < 5; i++) {
		int tid = 0;
		expect_eq(go_run(end_of_run, &tid), 7);
		until(thread_gone(tid));
		expect(tid != getpid()); // on the process's first thread nothing runs but main
	}
}

// --- finalizers ---------------------------------------------------------------------------------

static Count finalized;
static atomic_int final_tid;

static void
finalize_locked(void *p, void *exits)
{
	(void)p;
	go_lock_os_thread();
	atomic_store(&final_tid, tid_now());
	count_add(&finalized);
	if (exits != NULL)
		go_exit();
	go_unlock_os_thread();
}

static void
make_objects(void *exits)
{
	for (int i = 0; i < 20; i++)
		expect_eq(go_set_finalizer(go_alloc(64), finalize_locked,
					   i % 2 == 0 ? exits : NULL),
			  0);
}

// The goroutine that runs finalizers begins again when it ends: on another thread.
GO_TEST(locked_finalizer_ends, 2)
{
	static int yes;
	int tid = 0;
	for (int i = 0; i < 3; i++) {
		run_aside(make_objects, &yes);
		long before = count_of(&finalized);
		for (int j = 0; count_of(&finalized) < before + 10; j++) {
			go_gc();
			go_sleep(GO_MSEC);
		}
		tid = atomic_load(&final_tid);
	}
	expect(tid != 0);
}
