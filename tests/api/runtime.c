// SPDX-License-Identifier: BSD-3-Clause
// The runtime as a whole: GOMAXPROCS while everything runs, numbers, memory after a peak, and that
// an idle process is idle.
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>

#include "goroutines.h"

static Count ran;
static atomic_bool stop;

// --- GOMAXPROCS -------------------------------------------------------------------------------

void
test_gomaxprocs_tells_the_number_before(void)
{
	int n = go_gomaxprocs(0);
	expect(n >= 1);
	expect_eq(go_gomaxprocs(-5), n);
	expect_eq(go_gomaxprocs(3), n);
	expect_eq(go_gomaxprocs(1), 3);
	expect_eq(go_gomaxprocs(100), 1);
	expect_eq(go_gomaxprocs(2), 100);
	expect_eq(go_gomaxprocs(0), 2);
	expect(go_num_cpu() >= 1);
	expect_eq(go_gomaxprocs(0), 2);
}

// The number of CPUs is that of the start, whoever asks and whatever became of it.
void
test_num_cpu_is_that_of_the_start(void)
{
	cpu_set_t set, one;
	expect_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	if (CPU_COUNT(&set) == 1)
		skip("there is one CPU");
	expect_eq(go_num_cpu(), CPU_COUNT(&set));
	CPU_ZERO(&one);
	for (size_t i = 0; CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &set))
			CPU_SET(i, &one);
	expect_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	expect_eq(go_num_cpu(), CPU_COUNT(&set));
}

void
test_gomaxprocs_most_is_65536(void)
{
	go_gomaxprocs(100000);
	expect_eq(go_gomaxprocs(0), 65536);
	expect_eq(go_gomaxprocs(2), 65536);
}

static void
work_and_wait(void *arg)
{
	go_chan *c = arg;
	int v = 1;
	while (!atomic_load(&stop)) {
		expect_eq(go_chan_send(c, &v, GO_NEVER), 0);
		expect_eq(go_sleep(50 * GO_USEC), 0);
		expect_eq(go_chan_recv(c, &v, GO_NEVER), 0);
		go_yield();
	}
	count_add(&ran);
}

static void
compute_and_call(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop)) {
		compute_for(200 * GO_USEC);
		go_yield();
	}
	count_add(&ran);
}

static void
tick(void *unused)
{
	(void)unused;
	count_add(&ran);
}

static void
sleep_long(void *unused)
{
	(void)unused;
	expect_eq(go_sleep(100 * GO_MSEC), 0);
	count_add(&ran);
}

// Up and down with goroutines that run, wait, compute and sleep, and with timers on the Ps that go
// away: nothing is lost.
GO_TEST(gomaxprocs_changes_under_load, 0)
{
	static const int cycle[] = {1, 2, 3, 8, 17, 64, 5, 1, 300, 2};
	long timers = 0;
	go_chan *c = go_chan_new(sizeof(int), 5);
	go_timer *made[200];
	for (int i = 0; i < 30; i++) {
		expect_eq(go_spawn(work_and_wait, c), 0);
		if (i % 10 == 0)
			expect_eq(go_spawn(compute_and_call, NULL), 0);
		expect_eq(go_spawn(sleep_long, NULL), 0);
	}
	for (long i = 0; i < test_scale(200); i++) {
		go_gomaxprocs(cycle[i % 10]);
		expect_eq(go_gomaxprocs(0), cycle[i % 10]);
		made[timers] = go_after_func(i % 7 * GO_MSEC, tick, NULL);
		expect(made[timers++] != NULL);
		if (timers == 200)
			break;
		go_sleep(i % 3 * 100 * GO_USEC);
	}
	until(count_of(&ran) == timers + 30); // every timer fired once, every sleeper woke
	atomic_store(&stop, true);
	until(count_of(&ran) == timers + 30 + 33);
	for (long i = 0; i < timers; i++)
		go_timer_free(made[i]);
}

static void *
change_procs(void *arg)
{
	uint64_t rand = (uint64_t)(uintptr_t)arg;
	for (int i = 0; i < 50; i++)
		go_gomaxprocs(1 + (int)(test_rand(&rand) % 9));
	return NULL;
}

static void
change_procs_here(void *arg)
{
	change_procs(arg);
	count_add(&ran);
}

// Several may ask for a change at once, goroutines and threads.
GO_TEST(gomaxprocs_from_many, 0)
{
	pthread_t threads[3];
	for (uintptr_t i = 0; i < 3; i++) {
		expect(pthread_create(&threads[i], NULL, change_procs, (void *)(i + 1)) == 0);
		expect_eq(go_spawn(change_procs_here, (void *)(i + 10)), 0);
	}
	for (int i = 0; i < 2; i++)
		expect_eq(go_spawn(compute_and_call, NULL), 0);
	until(count_of(&ran) == 3);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&stop, true);
	until(count_of(&ran) == 5);
}

static void
sleep_and_expect(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		int64_t before = go_now();
		expect_eq(go_sleep(2 * GO_MSEC), 0);
		expect(go_now() - before >= 2 * GO_MSEC);
	}
	count_add(&ran);
}

// No sleeper wakes early or is forgotten when its P goes away.
GO_TEST(gomaxprocs_keeps_sleepers, 0)
{
	for (int i = 0; i < 50; i++)
		expect_eq(go_spawn(sleep_and_expect, NULL), 0);
	for (int i = 0; count_of(&ran) != 50; i++) {
		go_gomaxprocs(1 + i % 5);
		go_sleep(500 * GO_USEC);
	}
}

// --- numbers ----------------------------------------------------------------------------------

static void
yield_some(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10; i++)
		go_yield();
	count_add(&ran);
}

// What has run is counted, and each goroutine once.
GO_TEST(stats_count_goroutines, 4)
{
	go_stats a, b;
	go_stats_read(&a);
	expect_eq(a.gomaxprocs, 4);
	expect_eq(a.goroutines, 1);
	expect(a.threads >= 2); // one runs this, one is the monitor
	expect_eq(a.threads_foreign, 1);
	for (int i = 0; i < 1000; i++)
		expect_eq(go_spawn(yield_some, NULL), 0);
	until(count_of(&ran) == 1000);
	do {
		go_sleep(GO_MSEC);
		go_stats_read(&b);
	} while (b.goroutines != 1); // the last ones are still ending
	expect_eq(b.spawned - a.spawned, 1000);
	expect(b.switches - a.switches >= 1000);
	expect(b.threads <= (int)b.threads_made);
	expect(b.threads_idle < b.threads);
	expect(b.threads_made >= a.threads_made);
	expect(b.timers_fired > a.timers_fired);
	expect(b.stack_in_use <= b.stack_reserved);
	expect(b.stack_in_use > 0);
	expect_eq(b.gomaxprocs, 4);
}

static void *
attach_and_leave(void *unused)
{
	(void)unused;
	go_id();
	return NULL;
}

GO_TEST(stats_count_threads, 0)
{
	go_stats st;
	pthread_t thread;
	for (int i = 0; i < 20; i++) {
		expect(pthread_create(&thread, NULL, attach_and_leave, NULL) == 0);
		pthread_join(thread, NULL);
	}
	go_stats_read(&st);
	expect_eq(st.threads_foreign, 1); // the one that waits in go_run
}

// An error code has a text, and a number that is none too.
void
test_strerror_texts(void)
{
	expect_str(go_strerror(12345), "unknown error");
	expect_str(go_strerror(1), "unknown error");
	expect_str(go_strerror(GO_ERRNO(ENOENT)), "No such file or directory");
	expect_str(go_strerror(GO_ERRNO(4095)), "unknown error");
	expect_str(go_strerror(INT_MIN), "unknown error");
	for (int code = GO_EADDRESS; code <= 0; code++) {
		expect(go_strerror(code)[0] != '\0');
		expect(strcmp(go_strerror(code), "unknown error") != 0);
	}
}

GO_TEST(now_and_in, 0)
{
	int64_t before = go_now();
	for (int i = 0; i < 1000; i++) {
		int64_t now = go_now();
		expect(now >= before);
		before = now;
		if (i % 100 == 0)
			go_sleep(100 * GO_USEC);
	}
	expect(go_in(0) >= before);
	expect(go_in(GO_SEC) >= before + GO_SEC);
	expect(go_in(-GO_SEC) < go_now());
	expect_eq(go_in(INT64_MAX), GO_NEVER);
	expect_eq(go_in(GO_NEVER - 1), GO_NEVER);
}

// --- memory and rest --------------------------------------------------------------------------

static go_chan *gate;

static Count arrived;

static void
touch_and_wait(void *unused)
{
	(void)unused;
	volatile char page[3000];
	char byte;
	memset((void *)page, 1, sizeof(page));
	count_add(&arrived);
	go_chan_recv(gate, &byte, GO_NEVER);
	count_add(&ran);
}

// The memory of 200,000 goroutines goes back to the system soon after they have ended.
GO_TEST(memory_returns_after_peak, 0)
{
	long n = test_scale(200000) < 200000 ? test_scale(200000) : 200000;
	long before = proc_field("/proc/self/status", "VmRSS");
	gate = go_chan_new(1, 0);
	for (long i = 0; i < n; i++)
		expect_eq(go_spawn(touch_and_wait, NULL), 0);
	until(count_of(&arrived) == n);
	long peak = proc_field("/proc/self/status", "VmRSS");
	expect(peak - before > n * 4); // a page each, and more
	go_chan_close(gate);
	until(count_of(&ran) == n);
	// Records of goroutines stay (under 1 KiB each), stacks do not.
	long after = 0;
	for (int i = 0; i < 150; i++) {
		go_sleep(100 * GO_MSEC);
		after = proc_field("/proc/self/status", "VmRSS");
		if (after - before < (peak - before) / 5 + 4096)
			return;
	}
	printf("VmRSS: %ld KiB before, %ld at the peak, %ld after\n", before, peak, after);
	fflush(stdout);
	expect(false);
}

static void
busy_once(void *unused)
{
	(void)unused;
	compute_for(5 * GO_MSEC);
	count_add(&ran);
}

static int
make_it_busy(void *unused)
{
	(void)unused;
	for (int i = 0; i < 64; i++)
		expect_eq(go_spawn(busy_once, NULL), 0);
	until(count_of(&ran) == 64);
	return 0;
}

// A process in which nothing happens wakes no thread at all, and threads that were needed once have
// ended. The monitor looks after memory for some seconds after the last work.
void
test_idle_process_is_idle(void)
{
	int threads = 0;
	long before, after;
	go_gomaxprocs(8);
	expect_eq(go_run(make_it_busy, NULL), 0);
	for (int i = 0; i < 20; i++) {
		before = switches_of_others(&threads);
		block_thread_for(1500 * GO_MSEC);
		after = switches_of_others(&threads);
		if (after == before && threads <= 1)
			break;
	}
	printf("%d threads\n", threads);
	fflush(stdout);
	expect(threads <= 1); // the monitor
	before = switches_of_others(&threads);
	block_thread_for(2 * GO_SEC);
	after = switches_of_others(&threads);
	expect_eq(after - before, 0);
	atomic_store(&ran, 0);
	expect_eq(go_run(make_it_busy, NULL), 0); // and it wakes up
}

static int
wait_for_gate(void *unused)
{
	(void)unused;
	char byte;
	return go_chan_recv(gate, &byte, GO_NEVER);
}

static void *
run_waiting_main(void *unused)
{
	(void)unused;
	go_run(wait_for_gate, NULL);
	return NULL;
}

// The same while goroutines exist that wait, and one sleeps for an hour.
static void
sleep_for_ever(void *unused)
{
	(void)unused;
	go_sleep(3600 * GO_SEC);
}

void
test_idle_with_sleepers_is_idle(void)
{
	pthread_t thread;
	int threads = 0;
	gate = go_chan_new(1, 0);
	go_gomaxprocs(4);
	expect_eq(go_spawn(sleep_for_ever, NULL), 0);
	expect(pthread_create(&thread, NULL, run_waiting_main, NULL) == 0);
	block_thread_for(11 * GO_SEC);
	long before = switches_of_others(&threads);
	block_thread_for(2 * GO_SEC);
	long after = switches_of_others(&threads);
	expect_eq(after - before, 0);
	expect(threads <= 3); // the monitor, the one that sleeps for the timer, the one in go_run
	go_chan_close(gate);
	pthread_join(thread, NULL);
}
