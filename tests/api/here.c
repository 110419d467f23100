// SPDX-License-Identifier: BSD-3-Clause
// go_run_here: the main goroutine begins on the calling thread, which runs goroutines until its
// function has returned and then goes on.
//
// A test runs on the first thread of its process, so that is the calling thread in most of them.
#include <pthread.h>
#include <sys/prctl.h>

#include "goroutines.h"

#include <undergo/heap.h>

static bool
on_first_thread(void)
{
	return tid_now() == getpid();
}

// --- locked to the thread -----------------------------------------------------------------------

static atomic_bool stop;

static void
wander(void *wg)
{
	while (!atomic_load(&stop)) {
		expect(!on_first_thread());
		go_yield();
	}
	go_wg_done(wg);
}

static int
stay_here(void *unused)
{
	enum { WANDERERS = 10 };
	go_waitgroup wg = {0};
	go_chan *c[2] = {go_chan_new(sizeof(long), 0), go_chan_new(sizeof(long), 0)};
	(void)unused;
	expect(on_first_thread());
	go_wg_add(&wg, WANDERERS);
	for (int i = 0; i < WANDERERS; i++)
		expect_eq(go_spawn(wander, &wg), 0);
	expect_eq(go_spawn(send_back, c), 0);
	for (long i = 0, back = -1; i < test_scale(300); i++) {
		expect_eq(go_chan_send(c[0], &i, GO_NEVER), 0);
		expect_eq(go_chan_recv(c[1], &back, GO_NEVER), 0);
		expect_eq(back, i);
		go_yield();
		if (i % 20 == 0)
			go_sleep(100 * GO_USEC);
		if (i % 40 == 0)
			block_thread_for(GO_MSEC);
		expect(on_first_thread());
	}
	atomic_store(&stop, true);
	expect_eq(go_wg_wait(&wg, GO_NEVER), 0);
	expect(on_first_thread());
	go_chan_close(c[0]);
	return 42;
}

static void
stays(int procs)
{
	go_gomaxprocs(procs);
	for (int i = 0; i < 3; i++) {
		atomic_store(&stop, false);
		expect_eq(go_run_here(stay_here, NULL), 42);
		expect(on_first_thread());
	}
}

void
test_here_stays_locked_on_one_p(void)
{
	stays(1);
}

void
test_here_stays_locked_on_four_ps(void)
{
	stays(4);
}

// --- unlocked -----------------------------------------------------------------------------------

static Count here, elsewhere;
static atomic_int main_is_on;

static void
note_where(void *unused)
{
	(void)unused;
	count_add(on_first_thread() ? &here : &elsewhere);
}

// The chance that goroutines come to run on the thread is good on one P, and there are some tries.
static int
let_others_run_here(void *unused)
{
	(void)unused;
	expect(on_first_thread());
	go_unlock_os_thread();
	go_unlock_os_thread(); // nothing
	for (int i = 0; i < 100000 && count_of(&here) == 0; i++) {
		expect_eq(go_spawn(note_where, NULL), 0);
		go_yield();
		if (i % 100 == 99)
			go_sleep(10 * GO_USEC);
	}
	expect(count_of(&here) != 0);
	return 1;
}

void
test_here_unlocked_runs_others(void)
{
	go_gomaxprocs(1);
	expect_eq(go_run_here(let_others_run_here, NULL), 1);
	expect(on_first_thread());
}

static void
busy_for_a_while(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		block_thread_for(100 * GO_USEC);
		go_yield();
	}
}

// It moves around, and returns wherever it is: the call returns here.
static int
move_and_end(void *by_exit)
{
	(void)by_exit;
	expect(on_first_thread());
	go_unlock_os_thread();
	for (int i = 0; i < 4; i++)
		expect_eq(go_spawn(busy_for_a_while, NULL), 0);
	for (int i = 0; i < 10; i++) {
		block_thread_for(100 * GO_USEC);
		go_yield();
		if (i % 4 == 0)
			go_sleep(50 * GO_USEC);
	}
	atomic_store(&main_is_on, tid_now());
	return 5;
}

void
test_here_unlocked_moves(void)
{
	long moved = 0;
	go_gomaxprocs(2);
	for (int i = 0; i < 200 && (i < 20 || moved == 0); i++) {
		expect_eq(go_run_here(move_and_end, NULL), 5);
		expect(on_first_thread());
		moved += atomic_load(&main_is_on) != getpid();
	}
	expect(moved != 0);
}

// It locks again, perhaps on another thread, and ends so: that one ends.
static int
end_locked_somewhere(void *unused)
{
	(void)move_and_end(unused);
	go_lock_os_thread();
	go_yield();
	return 6;
}

void
test_here_ends_locked(void)
{
	go_gomaxprocs(2);
	for (int i = 0; i < 30; i++) {
		expect_eq(go_run_here(end_locked_somewhere, NULL), 6);
		expect(on_first_thread());
	}
	go_stats st;
	go_stats_read(&st);
	expect_eq(st.threads_foreign, 1);
	expect(st.threads < 30);
}

// --- who keeps the thread -----------------------------------------------------------------------

static atomic_int keeps, kept_at_end;

static void
keep_thread(void *unused)
{
	(void)unused;
	go_lock_os_thread();
	if (on_first_thread()) {
		atomic_fetch_add(&keeps, 1);
		go_sleep(5 * GO_MSEC);
		expect(on_first_thread());
		atomic_fetch_add(&kept_at_end, 1);
	}
	go_unlock_os_thread();
}

static int
leave_it_to_another(void *unused)
{
	(void)unused;
	go_unlock_os_thread();
	while (atomic_load(&keeps) == 0) {
		expect_eq(go_spawn(keep_thread, NULL), 0);
		go_yield();
		go_sleep(10 * GO_USEC);
	}
	return 0;
}

// One that is locked to the thread keeps it until it has unlocked.
void
test_here_waits_for_who_is_locked(void)
{
	go_gomaxprocs(1);
	for (int i = 0; i < 3; i++) {
		atomic_store(&keeps, 0);
		atomic_store(&kept_at_end, 0);
		expect_eq(go_run_here(leave_it_to_another, NULL), 0);
		expect_eq(atomic_load(&kept_at_end), atomic_load(&keeps));
	}
}

// --- several, and again -------------------------------------------------------------------------

static int
take_turns(void *unused)
{
	int tid = tid_now();
	go_chan *c[2] = {go_chan_new(sizeof(long), 0), go_chan_new(sizeof(long), 0)};
	expect_eq(go_spawn(send_back, c), 0);
	for (long i = 0, back = -1; i < 50; i++) {
		if (i == 25) {
			expect_eq(tid_now(), tid);
			go_unlock_os_thread();
		}
		expect_eq(go_chan_send(c[0], &i, GO_NEVER), 0);
		expect_eq(go_chan_recv(c[1], &back, GO_NEVER), 0);
	}
	go_chan_close(c[0]);
	(void)unused;
	return tid;
}

static void *
run_here_often(void *unused)
{
	for (int i = 0; i < 10; i++)
		expect_eq(go_run_here(take_turns, NULL), tid_now());
	return unused;
}

static int
run_nothing(void *unused)
{
	(void)unused;
	return 3;
}

void
test_here_from_threads(void)
{
	enum { THREADS = 8 };
	pthread_t t[THREADS];
	go_gomaxprocs(4);
	for (int i = 0; i < THREADS; i++)
		expect_eq(pthread_create(&t[i], NULL, run_here_often, NULL), 0);
	run_here_often(NULL);
	expect_eq(go_run(run_nothing, NULL), 3);
	for (int i = 0; i < THREADS; i++)
		expect_eq(pthread_join(t[i], NULL), 0);
	go_stats st;
	until((go_stats_read(&st), st.threads_foreign == 1));
}

static int
run_here_inside(void *unused)
{
	(void)unused;
	expect_eq(go_run_here(run_nothing, NULL), GO_EINVAL);
	expect_eq(go_run(run_nothing, NULL), GO_EINVAL);
	return 0;
}

void
test_here_refuses(void)
{
	expect_eq(go_run_here(NULL, NULL), GO_EINVAL);
	expect_eq(go_run_here(run_here_inside, NULL), 0);
	expect_eq(go_run(run_here_inside, NULL), 0);
}

// What the thread had locked for itself it has afterwards.
void
test_here_keeps_locks_of_the_thread(void)
{
	go_lock_os_thread();
	expect_eq(go_run_here(take_turns, NULL), tid_now());
	go_unlock_os_thread();
	expect_eq(go_run_here(take_turns, NULL), tid_now());
}

// Wake-ups are exact while goroutines run there. What the program sets meanwhile stays.
static int
slack_is_small(void *set)
{
	expect_eq(prctl(PR_GET_TIMERSLACK), 1);
	if (set != NULL)
		expect_eq(prctl(PR_SET_TIMERSLACK, 70000UL), 0);
	return 0;
}

void
test_here_sleeps_exactly(void)
{
	static int yes;
	expect_eq(prctl(PR_SET_TIMERSLACK, 60000UL), 0);
	expect_eq(go_run_here(slack_is_small, NULL), 0);
	expect_eq(prctl(PR_GET_TIMERSLACK), 60000);
	expect_eq(go_run_here(slack_is_small, &yes), 0);
	expect_eq(prctl(PR_GET_TIMERSLACK), 70000);
}

// --- the heap -----------------------------------------------------------------------------------

static int
collect(void *unlocks)
{
	if (unlocks != NULL)
		go_unlock_os_thread();
	for (int i = 0; i < 5; i++) {
		for (int j = 0; j < 100; j++)
			expect(memset(go_alloc(64), 0x55, 64) != NULL);
		go_gc();
		go_sleep(100 * GO_USEC);
	}
	return 0;
}

// The frames of who called go_run_here are roots, wherever the thread is.
void
test_here_caller_keeps_objects(void)
{
	static int yes;
	go_gomaxprocs(2);
	for (int round = 0; round < 4; round++) {
		unsigned char *volatile object[20];
		for (int i = 0; i < 20; i++) {
			object[i] = go_alloc(64);
			memset(object[i], i, 64);
		}
		expect_eq(go_run_here(collect, round % 2 == 0 ? &yes : NULL), 0);
		for (int i = 0; i < 20; i++)
			for (int j = 0; j < 64; j++)
				expect_eq(object[i][j], i);
	}
}
