// SPDX-License-Identifier: BSD-3-Clause
// Threads of the program may do everything a goroutine may, from their first call to their end.
#include <pthread.h>
#include <signal.h>

#include "goroutines.h"

static Count ran;
static go_chan *chan_in, *chan_out;

static void
run_once(void *unused)
{
	(void)unused;
	count_add(&ran);
}

static void *
spawn_a_hundred(void *unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++)
		expect_eq(go_spawn(run_once, NULL), 0);
	return NULL;
}

static void
run_threads(int n, void *(*fn)(void *), void *arg)
{
	pthread_t threads[64];
	for (int i = 0; i < n; i++)
		expect(pthread_create(&threads[i], NULL, fn, arg) == 0);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

// Many threads start goroutines at once; the first call of several at the same time starts the
// runtime once.
void
test_foreign_threads_spawn(void)
{
	run_threads(16, spawn_a_hundred, NULL);
	while (count_of(&ran) != 1600)
		usleep(1000);
}

static void *
echo_ten(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10; i++) {
		long v = 0;
		expect_eq(go_chan_recv(chan_in, &v, GO_NEVER), 0);
		v++;
		expect_eq(go_chan_send(chan_out, &v, GO_NEVER), 0);
	}
	return NULL;
}

static void
send_and_sum(void *arg)
{
	long n = *(long *)arg, sum = 0;
	for (long i = 0; i < n; i++) {
		long v = i;
		go_case cases[] = {GO_CASE_SEND(chan_in, &v)};
		expect_eq(go_select(cases, 1, GO_NEVER), 0);
		expect_eq(go_chan_recv(chan_out, &v, GO_NEVER), 0);
		sum += v;
	}
	expect_eq(sum, n * (n + 1) / 2);
	count_add(&ran);
}

// Threads and goroutines hand values to each other over unbuffered channels.
void
test_foreign_threads_on_channels(void)
{
	static long n = 80;
	chan_in = go_chan_new(sizeof(long), 0);
	chan_out = go_chan_new(sizeof(long), 0);
	expect_eq(go_spawn(send_and_sum, &n), 0);
	run_threads(8, echo_ten, NULL);
	while (count_of(&ran) != 1)
		usleep(1000);
}

// They sleep, wait with deadlines, lock, and time out like goroutines.
static void *
wait_in_all_ways(void *arg)
{
	go_mutex *m = arg;
	char byte;
	go_waitgroup wg = {0};
	int64_t before = go_now();
	expect_eq(go_sleep(2 * GO_MSEC), 0);
	expect(go_now() - before >= 2 * GO_MSEC);
	expect_eq(go_chan_recv(chan_in, &byte, go_in(GO_MSEC)), GO_ETIMEDOUT);
	expect_eq(go_chan_recv(chan_in, &byte, GO_POLL), GO_EAGAIN);
	for (int i = 0; i < 100; i++) {
		go_mutex_lock(m);
		long seen = count_of(&ran);
		if (i % 10 == 0)
			go_sleep(10 * GO_USEC);
		atomic_store(&ran, seen + 1);
		go_mutex_unlock(m);
	}
	go_wg_add(&wg, 1);
	expect_eq(go_wg_wait(&wg, go_in(GO_MSEC)), GO_ETIMEDOUT);
	go_yield();
	return NULL;
}

void
test_foreign_threads_wait(void)
{
	static go_mutex m;
	chan_in = go_chan_new(1, 0);
	run_threads(8, wait_in_all_ways, &m);
	expect_eq(count_of(&ran), 800);
}

static void *
nothing_much(void *unused)
{
	(void)unused;
	char byte = 0;
	expect_eq(go_chan_send(chan_in, &byte, GO_NEVER), 0);
	return NULL;
}

// Threads that come and go leave nothing behind: neither in the statistics nor in memory.
GO_TEST(foreign_threads_come_and_go, 0)
{
	go_stats st;
	char byte;
	chan_in = go_chan_new(1, 100);
	long before = 0;
	for (long i = 0; i < test_scale(400) / 8; i++) {
		run_threads(8, nothing_much, NULL);
		for (int k = 0; k < 8; k++)
			expect_eq(go_chan_recv(chan_in, &byte, GO_NEVER), 0);
		if (i == 4)
			before = proc_field("/proc/self/status", "VmRSS");
	}
	long after = proc_field("/proc/self/status", "VmRSS");
	if (test_slowness() < 4) // sanitizers keep what has been freed
		expect(after - before < 2048);
	go_stats_read(&st);
	expect_eq(st.threads_foreign, 1);
}

static pthread_key_t key;

// The program's own destructors may still call in, in whatever order the C library runs them.
static void
call_from_destructor(void *unused)
{
	(void)unused;
	expect_eq(go_spawn(run_once, NULL), 0);
	go_sleep(10 * GO_USEC);
}

static void *
set_key(void *unused)
{
	(void)unused;
	go_id();
	pthread_setspecific(key, &key);
	return NULL;
}

void
test_foreign_thread_calls_in_while_it_ends(void)
{
	expect_eq(pthread_key_create(&key, call_from_destructor), 0);
	run_threads(8, set_key, NULL);
	while (count_of(&ran) != 8)
		usleep(1000);
}

static void *
set_key_unknown(void *unused)
{
	(void)unused;
	pthread_setspecific(key, &key);
	return NULL;
}

// A destructor may even be the first to call in.
void
test_foreign_thread_first_calls_in_while_it_ends(void)
{
	expect_eq(pthread_key_create(&key, call_from_destructor), 0);
	run_threads(8, set_key_unknown, NULL);
	while (count_of(&ran) != 8)
		usleep(1000);
}

// In which round of destructors a thread calls for the first time, or in all up to that.
enum { LAST_ROUND = 4, ALL_ROUNDS = 8 };
static pthread_key_t late_key;
static _Thread_local int round_now;

static void
call_in_a_round(void *v)
{
	int want = (int)(intptr_t)v;
	int last = want % ALL_ROUNDS;
	if (++round_now == last || want > ALL_ROUNDS)
		call_from_destructor(NULL);
	if (round_now < last)
		pthread_setspecific(late_key, v);
}

static void *
end_late(void *v)
{
	pthread_setspecific(late_key, v);
	return NULL;
}

static void *
end_late_known(void *v)
{
	go_id();
	return end_late(v);
}

static void
run_late(int rounds)
{
	go_stats st;
	for (int all = 0; all <= ALL_ROUNDS; all += ALL_ROUNDS)
		for (int last = 1; last <= rounds; last++) {
			void *v = (void *)(intptr_t)(all + last);
			run_threads(2, end_late, v);
			run_threads(2, end_late_known, v);
		}
	go_stats_read(&st);
	expect_eq(st.threads_foreign, 1);
}

// A thread is detached in whatever round of destructors it calls. The C library takes keys in the
// order of their making: ours last.
void
test_foreign_thread_calls_late_in_its_end(void)
{
	expect_eq(pthread_key_create(&late_key, call_in_a_round), 0);
	run_late(LAST_ROUND);
}

// Ours first: behind it the last round is too late.
void
test_foreign_thread_calls_late_behind_ours(void)
{
	go_id();
	expect_eq(pthread_key_create(&late_key, call_in_a_round), 0);
	run_late(LAST_ROUND - 1);
}

// --- many, and short ----------------------------------------------------------------------------

// Thousands come and go, each for one call, while some always are about.
static void *
make_short_ones(void *unused)
{
	pthread_t t;
	for (long i = 0; i < test_scale(500); i++) {
		expect(pthread_create(&t, NULL, nothing_much, NULL) == 0);
		expect_eq(pthread_join(t, NULL), 0);
	}
	return unused;
}

static void
take_all(void *sum)
{
	char byte;
	while (go_chan_recv(chan_in, &byte, GO_NEVER) == 0)
		count_add(sum);
}

void
test_foreign_threads_by_thousands(void)
{
	static Count taken;
	go_stats st;
	chan_in = go_chan_new(1, 10);
	expect_eq(go_spawn(take_all, &taken), 0);
	run_threads(8, make_short_ones, NULL);
	until(count_of(&taken) == 8 * test_scale(500));
	go_chan_close(chan_in);
	go_stats_read(&st);
	expect_eq(st.threads_foreign, 1);
}

// --- calls within calls -------------------------------------------------------------------------

typedef struct Nest {
	go_once once[6];
	int depth;
	go_chan *there, *back;
} Nest;

static void answer_nest(void *n);

static void
ask_nest(Nest *n)
{
	long v = n->depth;
	expect_eq(go_chan_send(n->there, &v, GO_NEVER), 0);
	expect_eq(go_chan_recv(n->back, &v, GO_NEVER), 0);
	expect_eq(v, n->depth + 100);
}

// Called by the runtime, calls the runtime, which calls this one again.
static void
nest(void *arg)
{
	Nest *n = arg;
	uint64_t id = go_id();
	ask_nest(n);
	if (++n->depth < 6)
		go_once_do(&n->once[n->depth], nest, n);
	n->depth--;
	ask_nest(n);
	expect_eq(go_id(), id);
}

static int
nest_main(void *n)
{
	go_once_do(&((Nest *)n)->once[0], nest, n);
	go_unlock_os_thread();
	ask_nest(n);
	return 0;
}

static void
answer_nest(void *arg)
{
	long v;
	go_chan *there = ((Nest *)arg)->there, *back = ((Nest *)arg)->back;
	while (go_chan_recv(there, &v, GO_NEVER) == 0) {
		v += 100;
		expect_eq(go_chan_send(back, &v, GO_NEVER), 0);
	}
	go_chan_free(there);
	go_chan_free(back);
}

static void
nest_with(void (*run)(Nest *n))
{
	Nest n = {.there = go_chan_new(sizeof(long), 0), .back = go_chan_new(sizeof(long), 0)};
	expect_eq(go_spawn(answer_nest, &n), 0);
	run(&n);
	go_chan_close(n.there);
}

static void
run_plain(Nest *n)
{
	go_once_do(&n->once[0], nest, n);
}

static void
run_here(Nest *n)
{
	expect_eq(go_run_here(nest_main, n), 0);
}

static void *
nest_on_thread(void *unused)
{
	for (int i = 0; i < 20; i++) {
		nest_with(run_plain);
		nest_with(run_here); // and goroutines on the thread in between
	}
	return unused;
}

void
test_foreign_calls_within_calls(void)
{
	go_gomaxprocs(2);
	run_threads(4, nest_on_thread, NULL);
	nest_on_thread(NULL);
}

// --- signals ------------------------------------------------------------------------------------

static Count signals_seen;
static atomic_bool signals_stop;

static void
see_signal(int unused)
{
	(void)unused;
	count_add(&signals_seen);
}

// First calls and all later ones are interrupted, at any place.
static void *
talk_among_signals(void *arg)
{
	go_chan **c = arg;
	for (long i = 0; i < 30; i++) {
		long v = i;
		expect_eq(go_chan_send(c[0], &v, GO_NEVER), 0);
		expect_eq(go_chan_recv(c[1], &v, GO_NEVER), 0);
		expect_eq(go_chan_recv(c[2], &v, go_in(20 * GO_USEC)), GO_ETIMEDOUT);
	}
	return NULL;
}

static void
answer_among_signals(void *arg)
{
	long v;
	go_chan *in = ((go_chan **)arg)[0], *out = ((go_chan **)arg)[1];
	while (go_chan_recv(in, &v, GO_NEVER) == 0)
		expect_eq(go_chan_send(out, &v, GO_NEVER), 0);
}

static void *
send_signals(void *unused)
{
	while (!atomic_load(&signals_stop)) {
		expect_eq(kill(getpid(), SIGUSR1), 0);
		usleep(200);
	}
	return unused;
}

void
test_foreign_threads_among_signals(void)
{
	pthread_t t;
	static go_chan *c[3];
	struct sigaction sa = {.sa_handler = see_signal}; // on the thread's stack, no restart
	expect_eq(sigaction(SIGUSR1, &sa, NULL), 0);
	for (int i = 0; i < 3; i++)
		c[i] = go_chan_new(sizeof(long), 0);
	expect_eq(go_spawn(answer_among_signals, c), 0);
	expect(pthread_create(&t, NULL, send_signals, NULL) == 0);
	for (int i = 0; i < 10; i++)
		run_threads(8, talk_among_signals, c);
	until(count_of(&signals_seen) >= 20);
	atomic_store(&signals_stop, true);
	expect_eq(pthread_join(t, NULL), 0);
	go_chan_close(c[0]);
}
