// SPDX-License-Identifier: BSD-3-Clause
// Storms: everything at once, while GOMAXPROCS changes and signals interrupt whatever they can.
//
// A test starts some of the loads below and lets them run for a while. Each load keeps books, and
// when all have come to an end the books must be right: every message sent was received once and in
// order, every goroutine started has ended, every timer has fired or was stopped.
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "goroutines.h"

static atomic_bool stop;
static go_waitgroup loads; // goroutines of loads that have not come to their end
static uint64_t first_seed;
static atomic_ullong next_seed;

static bool
stopped(void)
{
	return atomic_load_explicit(&stop, memory_order_relaxed);
}

// A random number in [0, n), from the test's seed and who asks.
static uint64_t
fresh_rand(void)
{
	return first_seed + atomic_fetch_add(&next_seed, 1) * UINT64_C(0x5851f42d4c957f2d);
}

static unsigned
below(uint64_t *rand, unsigned n)
{
	return (unsigned)(test_rand(rand) % n);
}

static void
load_start(void (*fn)(void *), void *arg)
{
	go_wg_add(&loads, 1);
	expect_eq(go_spawn(fn, arg), 0);
}

// --- pairs that talk --------------------------------------------------------------------------

enum { PAIRS = 64 };

typedef struct Pair {
	go_chan *there, *back;
	long sent, echoed; // each by one side alone
} Pair;

static Pair pairs[PAIRS];

static void
pair_ask(void *arg)
{
	Pair *p = arg;
	uint64_t rand = fresh_rand();
	while (!stopped()) {
		long v = p->sent, got = -1;
		expect_eq(go_chan_send(p->there, &v, GO_NEVER), 0);
		p->sent++;
		if (below(&rand, 8) == 0)
			go_sleep(below(&rand, 200) * GO_USEC);
		expect_eq(go_chan_recv(p->back, &got, GO_NEVER), 0);
		expect_eq(got, v + 1);
	}
	go_chan_close(p->there);
	go_wg_done(&loads);
}

static void
pair_answer(void *arg)
{
	Pair *p = arg;
	uint64_t rand = fresh_rand();
	long v;
	for (;;) {
		int64_t deadline = below(&rand, 4) == 0 ? go_in(50 * GO_USEC) : GO_NEVER;
		int err = go_chan_recv(p->there, &v, deadline);
		if (err == GO_ETIMEDOUT)
			continue;
		if (err == GO_ECLOSED)
			break;
		expect_eq(err, 0);
		expect_eq(v, p->echoed); // nothing lost, nothing twice, in order
		p->echoed++;
		v++;
		expect_eq(go_chan_send(p->back, &v, GO_NEVER), 0);
	}
	expect_eq(p->echoed, p->sent);
	go_chan_free(p->there);
	go_chan_free(p->back);
	go_wg_done(&loads);
}

static void
load_pairs(void)
{
	for (int i = 0; i < PAIRS; i++) {
		pairs[i].there = go_chan_new(sizeof(long), (size_t)(i % 3));
		pairs[i].back = go_chan_new(sizeof(long), (size_t)(i % 2));
		load_start(pair_ask, &pairs[i]);
		load_start(pair_answer, &pairs[i]);
	}
}

// --- GOMAXPROCS up and down ---------------------------------------------------------------------

static void
change_procs(void *unused)
{
	static const int cycle[] = {1, 2, 3, 8, 17, 64, 5, 1};
	(void)unused;
	uint64_t rand = fresh_rand();
	for (int i = 0; !stopped(); i++) {
		go_gomaxprocs(cycle[i % 8]);
		go_sleep(below(&rand, 3000) * GO_USEC);
	}
	go_wg_done(&loads);
}

static void
load_procs(void)
{
	load_start(change_procs, NULL);
}

// --- timers -----------------------------------------------------------------------------------

static void
count_fired(void *arg)
{
	count_add(arg);
}

// Functions that run later: each as often as its timer was set and not stopped in time.
static void
use_after_funcs(void *unused)
{
	(void)unused;
	uint64_t rand = fresh_rand();
	Count fired = 0;
	long due = 0;
	while (!stopped()) {
		go_timer *t[8];
		for (int i = 0; i < 8; i++) {
			t[i] = go_after_func(below(&rand, 300) * GO_USEC, count_fired, &fired);
			expect(t[i] != NULL);
			due++;
		}
		for (int i = 0; i < 8; i++) {
			if (below(&rand, 2) == 0)
				go_sleep(below(&rand, 200) * GO_USEC);
			if (below(&rand, 3) == 0)
				due -= go_timer_stop(t[i]);
			else if (below(&rand, 3) == 0)
				due += !go_timer_reset(t[i], below(&rand, 300) * GO_USEC);
		}
		until(count_of(&fired) >= due);
		expect_eq(count_of(&fired), due);
		for (int i = 0; i < 8; i++)
			go_timer_free(t[i]);
	}
	go_wg_done(&loads);
}

// Values that come later: never early, never twice.
static void
use_timers(void *unused)
{
	(void)unused;
	uint64_t rand = fresh_rand();
	go_timer *t = go_timer_new(0), *ticker = go_ticker_new(100 * GO_USEC);
	int64_t when, last = 0;
	expect(t != NULL && ticker != NULL);
	expect_eq(go_chan_recv(go_timer_chan(t), &when, GO_NEVER), 0);
	while (!stopped()) {
		int64_t delay = below(&rand, 300) * GO_USEC, before = go_now();
		expect(!go_timer_reset(t, delay));
		go_case cases[] = {
		    GO_CASE_RECV(go_timer_chan(t), &when),
		    GO_CASE_RECV(go_timer_chan(ticker), &when),
		};
		int got;
		while ((got = go_select(cases, 2, GO_NEVER)) == 1) {
			expect(when > last);
			last = when;
		}
		expect_eq(got, 0);
		expect(when - before >= delay);
		expect_eq(go_chan_recv(go_timer_chan(t), &when, GO_POLL), GO_EAGAIN);
	}
	go_timer_free(t);
	go_timer_free(ticker);
	go_wg_done(&loads);
}

static void
load_timers(void)
{
	for (int i = 0; i < 4; i++) {
		load_start(use_after_funcs, NULL);
		load_start(use_timers, NULL);
	}
}

// --- many short lives ---------------------------------------------------------------------------

typedef struct Brood {
	go_waitgroup wg;
	Count lived;
} Brood;

static void
live_briefly(void *arg)
{
	Brood *b = arg;
	count_add(&b->lived);
	go_wg_done(&b->wg);
}

static void
live_and_yield(void *arg)
{
	go_yield();
	live_briefly(arg);
}

static void
live_and_exit(void *arg)
{
	live_briefly(arg);
	go_exit();
}

static void
breed(void *unused)
{
	static void (*const lives[])(void *) = {live_briefly, live_and_yield, live_and_exit};
	static const size_t stacks[] = {0, 0, 0, 20 << 10, 1 << 20};
	(void)unused;
	uint64_t rand = fresh_rand();
	while (!stopped()) {
		Brood b = {0};
		long n = 1 + below(&rand, below(&rand, 8) == 0 ? 1000 : 50);
		go_wg_add(&b.wg, (int)n);
		for (long i = 0; i < n; i++) {
			go_attr attr = {.stack_bytes = stacks[below(&rand, 5)],
					.name = below(&rand, 5) == 0 ? "brief" : NULL};
			expect_eq(go_spawn_with(&attr, lives[below(&rand, 3)], &b), 0);
		}
		expect_eq(go_wg_wait(&b.wg, GO_NEVER), 0);
		expect_eq(count_of(&b.lived), n);
	}
	go_wg_done(&loads);
}

static void
load_breeders(void)
{
	for (int i = 0; i < 6; i++)
		load_start(breed, NULL);
}

// --- leases lost and regained -------------------------------------------------------------------

// Blocks in the system, computes, and calls, in all orders.
static void
block_and_compute(void *arg)
{
	go_chan *c = arg;
	uint64_t rand = fresh_rand();
	long held = 0, v = 0;
	while (!stopped()) {
		switch (below(&rand, 8)) {
		case 0:
			usleep(below(&rand, 300));
			break;
		case 1:
			poll(NULL, 0, 1);
			break;
		case 2:
			go_block_begin();
			usleep(below(&rand, 300));
			go_block_end();
			break;
		case 3:
			compute_for(below(&rand, 300) * GO_USEC);
			break;
		case 4:
			compute_for(below(&rand, 16) == 0 ? 12 * GO_MSEC : 10 * GO_USEC);
			break;
		case 5:
			held += go_chan_send(c, &v, GO_POLL) == 0;
			break;
		case 6:
			held -= go_chan_recv(c, &v, GO_POLL) == 0;
			break;
		default:
			go_yield();
		}
	}
	expect_eq(go_chan_send(c, &held, GO_NEVER), 0); // room is left for each one's last
	go_wg_done(&loads);
}

static void
load_leases(void)
{
	static go_chan *c;
	c = go_chan_new(sizeof(long), 1 << 16);
	for (int i = 0; i < 24; i++)
		load_start(block_and_compute, c);
}

// Every unlock belongs to a lock, and one is inside.
static go_mutex mutex;
static long inside, turns; // mutex

static void
lock_and_block(void *unused)
{
	(void)unused;
	uint64_t rand = fresh_rand();
	while (!stopped()) {
		go_mutex_lock(&mutex);
		expect_eq(inside++, 0);
		turns++;
		if (below(&rand, 32) == 0)
			usleep(below(&rand, 100));
		if (below(&rand, 16) == 0)
			go_yield();
		expect_eq(--inside, 0);
		go_mutex_unlock(&mutex);
		if (below(&rand, 4) == 0)
			go_sleep(below(&rand, 100) * GO_USEC);
	}
	go_wg_done(&loads);
}

static void
load_locks(void)
{
	for (int i = 0; i < 12; i++)
		load_start(lock_and_block, NULL);
}

// --- threads of the program --------------------------------------------------------------------

static go_chan *mail;
static Count mailed;

static void *
mail_and_leave(void *arg)
{
	long v = (long)(uintptr_t)arg;
	expect_eq(go_chan_send(mail, &v, GO_NEVER), 0);
	count_add(&mailed);
	return NULL;
}

// About a thousand threads a second, eight at a time.
static void *
make_threads(void *unused)
{
	(void)unused;
	while (!stopped()) {
		pthread_t threads[8];
		for (uintptr_t i = 0; i < 8; i++)
			expect(pthread_create(&threads[i], NULL, mail_and_leave, (void *)(i + 1)) ==
			       0);
		for (int i = 0; i < 8; i++)
			pthread_join(threads[i], NULL);
		block_thread_for(8 * GO_MSEC);
	}
	go_chan_close(mail);
	return NULL;
}

static void
collect_mail(void *unused)
{
	(void)unused;
	long v, sum = 0, n = 0;
	while (go_chan_recv(mail, &v, GO_NEVER) == 0) {
		sum += v;
		n++;
	}
	expect_eq(n, count_of(&mailed));
	expect_eq(sum, n / 8 * 36);
	go_wg_done(&loads);
}

static pthread_t thread_maker;

static void
load_threads(void)
{
	mail = go_chan_new(sizeof(long), 4);
	load_start(collect_mail, NULL);
	expect(pthread_create(&thread_maker, NULL, make_threads, NULL) == 0);
}

// --- signals ------------------------------------------------------------------------------------

static atomic_long signals_seen;
static pthread_t signaller;

static void
on_signal(int sig)
{
	(void)sig;
	int saved = *go_errno_location();
	atomic_fetch_add(&signals_seen, 1);
	*go_errno_location() = saved;
}

static int
list_threads(long tids[], int most)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int n = 0;
	while (dir != NULL && n < most && (entry = readdir(dir)) != NULL)
		if ((tids[n] = strtol(entry->d_name, NULL, 10)) > 0)
			n++;
	if (dir != NULL)
		closedir(dir);
	return n;
}

// A thousand signals a second to random threads, none of which restarts what it interrupts.
static void *
send_signals(void *unused)
{
	(void)unused;
	uint64_t rand = fresh_rand();
	long tids[256];
	for (int i = 0, n = 0; !stopped(); i++) {
		if (i % 64 == 0)
			n = list_threads(tids, 256);
		if (n > 0)
			syscall(SYS_tgkill, getpid(), tids[below(&rand, (unsigned)n)], SIGUSR1);
		block_thread_for(GO_MSEC);
	}
	return NULL;
}

static void
load_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	expect_eq(sigaction(SIGUSR1, &sa, NULL), 0);
	expect(pthread_create(&signaller, NULL, send_signals, NULL) == 0);
}

// --- the storms --------------------------------------------------------------------------------

static void
weather(void (*const start[])(void))
{
	go_stats st;
	for (; *start != NULL; start++)
		(*start)();
	int64_t ms = test_scale(1000);
	go_sleep((ms > 300 ? ms : 300) * GO_MSEC);
	atomic_store(&stop, true);
	expect_eq(go_wg_wait(&loads, GO_NEVER), 0);
	if (thread_maker != 0)
		pthread_join(thread_maker, NULL);
	if (signaller != 0)
		pthread_join(signaller, NULL);
	expect_eq(inside, 0);
	do {
		go_sleep(GO_MSEC);
		go_stats_read(&st);
	} while (st.goroutines != 1);
}

typedef void (*const Loads[])(void);

#define STORM(name, ...)                             \
	GO_TEST(name, 0)                             \
	{                                            \
		first_seed = test_seed();            \
		weather((Loads){__VA_ARGS__, NULL}); \
	}

STORM(storm_pairs, load_procs, load_timers, load_pairs)
STORM(storm_pairs_on_fixed_procs, load_timers, load_pairs)
STORM(storm_breeding, load_procs, load_breeders)
STORM(storm_leases, load_procs, load_leases, load_locks)
STORM(storm_leases_on_fixed_procs, load_leases, load_locks)
STORM(storm_threads, load_procs, load_threads, load_pairs)
STORM(storm_signals, load_signals, load_pairs, load_leases, load_timers)
STORM(storm_mixed, load_procs, load_timers, load_pairs, load_breeders, load_leases, load_locks,
      load_threads, load_signals)
