// SPDX-License-Identifier: BSD-3-Clause
// Rival: threads of the system, as the C library gives them.
//
// Rows: spawn (create and join), chan_unbuf (two one-place mailboxes), mutex, mutex_cont,
// sleep50us, parked (fewer of them: PARKED), chan_prodcons (ring, mutex, two condition variables),
// wg (create and join a hundred), idle.
// What the kernel keeps for each thread (its kernel stack, its task) is in no figure here.

#include <pthread.h>

#include "../bench.h"

enum { PARKED = 5000, RING = 100 };

static int64_t ran;

static void *
count_run(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&ran, 1, __ATOMIC_RELAXED);
	return NULL;
}

static pthread_t
start(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	bench_check(pthread_create(&t, NULL, fn, arg) == 0, "pthread_create failed");
	return t;
}

static void
spawn_body(int64_t n)
{
	ran = 0;
	for (int64_t i = 0; i < n; i++)
		pthread_join(start(count_run, NULL), NULL);
	bench_check(ran == n, "spawn: lost a thread");
}

static void
row_spawn(void)
{
	bench_row("spawn", spawn_body, 1);
}

static void
wg_body(int64_t n)
{
	pthread_t t[BENCH_FANOUT];

	ran = 0;
	for (int64_t i = 0; i < n; i++) {
		for (int k = 0; k < BENCH_FANOUT; k++)
			t[k] = start(count_run, NULL);
		for (int k = 0; k < BENCH_FANOUT; k++)
			pthread_join(t[k], NULL);
	}
	bench_check(ran == n * BENCH_FANOUT, "wg: lost a thread");
}

static void
row_wg(void)
{
	bench_row("wg", wg_body, BENCH_FANOUT);
}

// A mailbox holds one message; the sender waits until it has been taken, as with an unbuffered
// channel.
struct mailbox {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int full;
	int64_t value;
};

#define MAILBOX_INIT {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0}

static void
mailbox_put(struct mailbox *m, int64_t v)
{
	pthread_mutex_lock(&m->lock);
	while (m->full)
		pthread_cond_wait(&m->changed, &m->lock);
	m->value = v;
	m->full = 1;
	pthread_cond_signal(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

static int64_t
mailbox_take(struct mailbox *m)
{
	pthread_mutex_lock(&m->lock);
	while (!m->full)
		pthread_cond_wait(&m->changed, &m->lock);
	int64_t v = m->value;
	m->full = 0;
	pthread_cond_signal(&m->changed);
	pthread_mutex_unlock(&m->lock);
	return v;
}

static struct mailbox ping = MAILBOX_INIT, pong = MAILBOX_INIT;

static void *
echo(void *arg)
{
	for (int64_t n = *(int64_t *)arg; n > 0; n--)
		mailbox_put(&pong, mailbox_take(&ping) + 1);
	return NULL;
}

static void
chan_unbuf_body(int64_t n)
{
	pthread_t t = start(echo, &n);
	int64_t sum = 0;

	for (int64_t i = 0; i < n; i++) {
		mailbox_put(&ping, 0);
		sum += mailbox_take(&pong);
	}
	pthread_join(t, NULL);
	bench_check(sum == n, "chan_unbuf: lost a message");
}

static void
row_chan_unbuf(void)
{
	bench_row("chan_unbuf", chan_unbuf_body, 1);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int64_t guarded;

static void *
lock_loop(void *arg)
{
	for (int64_t n = *(int64_t *)arg; n > 0; n--) {
		pthread_mutex_lock(&lock);
		guarded++;
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void
mutex_body(int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		pthread_mutex_lock(&lock);
		pthread_mutex_unlock(&lock);
	}
}

static void *
nothing(void *arg)
{
	return arg;
}

// A thread is made first: glibc takes a shorter way through its locks in a process that has had
// but one.
static void
row_mutex(void)
{
	pthread_join(start(nothing, NULL), NULL);
	bench_row("mutex", mutex_body, 1);
}

static void
mutex_cont_body(int64_t n)
{
	pthread_t t[BENCH_LOCKERS];

	guarded = 0;
	for (int i = 0; i < BENCH_LOCKERS; i++)
		t[i] = start(lock_loop, &n);
	for (int i = 0; i < BENCH_LOCKERS; i++)
		pthread_join(t[i], NULL);
	bench_check(guarded == n * BENCH_LOCKERS, "mutex_cont: lost a turn");
}

static void
row_mutex_cont(void)
{
	bench_row("mutex_cont", mutex_cont_body, BENCH_LOCKERS);
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t room, data;
	int head, count;
	int64_t slot[RING];
} ring = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, {0}};

static int64_t consumed;

static void *
producer(void *arg)
{
	for (int64_t n = *(int64_t *)arg; n > 0; n--) {
		pthread_mutex_lock(&ring.lock);
		while (ring.count == RING)
			pthread_cond_wait(&ring.room, &ring.lock);
		ring.slot[(ring.head + ring.count++) % RING] = 1;
		pthread_cond_signal(&ring.data);
		pthread_mutex_unlock(&ring.lock);
	}
	return NULL;
}

static void *
consumer(void *arg)
{
	int64_t sum = 0;

	for (int64_t n = *(int64_t *)arg; n > 0; n--) {
		pthread_mutex_lock(&ring.lock);
		while (ring.count == 0)
			pthread_cond_wait(&ring.data, &ring.lock);
		sum += ring.slot[ring.head];
		ring.head = (ring.head + 1) % RING;
		ring.count--;
		pthread_cond_signal(&ring.room);
		pthread_mutex_unlock(&ring.lock);
	}
	__atomic_fetch_add(&consumed, sum, __ATOMIC_RELAXED);
	return NULL;
}

static void
chan_prodcons_body(int64_t n)
{
	pthread_t t[2 * BENCH_PRODUCERS];

	consumed = 0;
	for (int i = 0; i < 2 * BENCH_PRODUCERS; i++)
		t[i] = start(i % 2 == 0 ? producer : consumer, &n);
	for (int i = 0; i < 2 * BENCH_PRODUCERS; i++)
		pthread_join(t[i], NULL);
	bench_check(consumed == n * BENCH_PRODUCERS, "chan_prodcons: lost an element");
}

static void
row_chan_prodcons(void)
{
	bench_row("chan_prodcons", chan_prodcons_body, BENCH_PRODUCERS);
}

static void
sleep_ns(int64_t ns)
{
	struct timespec ts = {(time_t)(ns / bench_second_ns), (long)(ns % bench_second_ns)};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static void
nap(void)
{
	sleep_ns(BENCH_SLEEP_NS);
}

static void
row_sleep50us(void)
{
	bench_sleeps("sleep50us", nap);
}

static pthread_cond_t gate = PTHREAD_COND_INITIALIZER;
static int gate_open;
static int waiting;

static void *
park(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	__atomic_fetch_add(&waiting, 1, __ATOMIC_RELEASE);
	while (!gate_open)
		pthread_cond_wait(&gate, &lock);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static pthread_t parked[PARKED];

static void
park_all(int n)
{
	for (int i = 0; i < n; i++)
		parked[i] = start(park, NULL);
	while (__atomic_load_n(&waiting, __ATOMIC_ACQUIRE) < n)
		usleep(1000);
}

static void
release_all(int n)
{
	pthread_mutex_lock(&lock);
	gate_open = 1;
	pthread_cond_broadcast(&gate);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < n; i++)
		pthread_join(parked[i], NULL);
}

static void
row_parked(void)
{
	struct bench_mem before = bench_mem_now();

	park_all(PARKED);
	struct bench_mem full = bench_mem_now();
	release_all(PARKED);
	bench_print_mem("parked", before, full, PARKED);
}

static void
row_idle(void)
{
	park_all(BENCH_IDLE_TASKS);
	bench_idle("idle", sleep_ns);
	release_all(BENCH_IDLE_TASKS);
}

int
main(int argc, char **argv)
{
	static const struct bench_entry rows[] = {
	    {"spawn", row_spawn},
	    {"chan_unbuf", row_chan_unbuf},
	    {"mutex", row_mutex},
	    {"mutex_cont", row_mutex_cont},
	    {"sleep50us", row_sleep50us},
	    {"parked", row_parked},
	    {"chan_prodcons", row_chan_prodcons},
	    {"wg", row_wg},
	    {"idle", row_idle},
	};

	return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
