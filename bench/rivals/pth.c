// SPDX-License-Identifier: BSD-3-Clause
// Rival: GNU Pth, threads inside one thread of the system.
//
// Rows: yield, spawn, chan_unbuf (mutex and condition variable, one-place mailboxes), mutex,
// sleep50us, parked (fewer of them: its thread queues are walked from end to end), wg, idle.
// Every thread is joinable unless the row says otherwise; stacks are Pth's default of 64 KiB.

#include <pth.h>

#include "../bench.h"

enum { PARKED = 2000 };

static int64_t ran;

static void *
yield_loop(void *arg)
{
	for (int64_t n = *(int64_t *)arg; n > 0; n--) {
		ran++;
		pth_yield(NULL);
	}
	return NULL;
}

static pth_t
start(void *(*fn)(void *), void *arg)
{
	pth_t t = pth_spawn(PTH_ATTR_DEFAULT, fn, arg);

	bench_check(t != NULL, "pth_spawn failed");
	return t;
}

static void
yield_body(int64_t n)
{
	ran = 0;
	pth_t a = start(yield_loop, &n);
	pth_t b = start(yield_loop, &n);
	pth_join(a, NULL);
	pth_join(b, NULL);
	bench_check(ran == 2 * n, "yield: lost a turn");
}

static void
row_yield(void)
{
	bench_row("yield", yield_body, 2);
}

static void *
count_run(void *arg)
{
	(void)arg;
	ran++;
	return NULL;
}

static void
spawn_body(int64_t n)
{
	ran = 0;
	for (int64_t i = 0; i < n; i++)
		pth_join(start(count_run, NULL), NULL);
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
	pth_t t[BENCH_FANOUT];

	ran = 0;
	for (int64_t i = 0; i < n; i++) {
		for (int k = 0; k < BENCH_FANOUT; k++)
			t[k] = start(count_run, NULL);
		for (int k = 0; k < BENCH_FANOUT; k++)
			pth_join(t[k], NULL);
	}
	bench_check(ran == n * BENCH_FANOUT, "wg: lost a thread");
}

static void
row_wg(void)
{
	bench_row("wg", wg_body, BENCH_FANOUT);
}

struct mailbox {
	pth_mutex_t lock;
	pth_cond_t changed;
	int full;
	int64_t value;
};

static void
mailbox_put(struct mailbox *m, int64_t v)
{
	pth_mutex_acquire(&m->lock, FALSE, NULL);
	while (m->full)
		pth_cond_await(&m->changed, &m->lock, NULL);
	m->value = v;
	m->full = 1;
	pth_cond_notify(&m->changed, FALSE);
	pth_mutex_release(&m->lock);
}

static int64_t
mailbox_take(struct mailbox *m)
{
	pth_mutex_acquire(&m->lock, FALSE, NULL);
	while (!m->full)
		pth_cond_await(&m->changed, &m->lock, NULL);
	int64_t v = m->value;
	m->full = 0;
	pth_cond_notify(&m->changed, FALSE);
	pth_mutex_release(&m->lock);
	return v;
}

static struct mailbox ping, pong;

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
	pth_t t = start(echo, &n);
	int64_t sum = 0;

	for (int64_t i = 0; i < n; i++) {
		mailbox_put(&ping, 0);
		sum += mailbox_take(&pong);
	}
	pth_join(t, NULL);
	bench_check(sum == n, "chan_unbuf: lost a message");
}

static void
row_chan_unbuf(void)
{
	pth_mutex_init(&ping.lock);
	pth_cond_init(&ping.changed);
	pth_mutex_init(&pong.lock);
	pth_cond_init(&pong.changed);
	bench_row("chan_unbuf", chan_unbuf_body, 1);
}

static pth_mutex_t lock;

static void
mutex_body(int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		pth_mutex_acquire(&lock, FALSE, NULL);
		pth_mutex_release(&lock);
	}
}

static void
row_mutex(void)
{
	pth_mutex_init(&lock);
	bench_row("mutex", mutex_body, 1);
}

static void
sleep_ns(int64_t ns)
{
	pth_nap(pth_time((long)(ns / bench_second_ns), (long)(ns % bench_second_ns / 1000)));
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

static pth_cond_t gate;
static int gate_open;
static int waiting;

static void *
park(void *arg)
{
	(void)arg;
	pth_mutex_acquire(&lock, FALSE, NULL);
	waiting++;
	while (!gate_open)
		pth_cond_await(&gate, &lock, NULL);
	pth_mutex_release(&lock);
	return NULL;
}

static pth_t parked[PARKED];

static void
park_all(int n)
{
	pth_mutex_init(&lock);
	pth_cond_init(&gate);
	for (int i = 0; i < n; i++)
		parked[i] = start(park, NULL);
	while (waiting < n)
		pth_yield(NULL);
}

// Lets them run to their end. They are not joined: the process is about to end.
static void
release_all(void)
{
	pth_mutex_acquire(&lock, FALSE, NULL);
	gate_open = 1;
	pth_cond_notify(&gate, TRUE);
	pth_mutex_release(&lock);
}

static void
row_parked(void)
{
	struct bench_mem before = bench_mem_now();

	park_all(PARKED);
	struct bench_mem full = bench_mem_now();
	bench_print_mem("parked", before, full, PARKED);
	release_all();
}

static void
row_idle(void)
{
	park_all(BENCH_IDLE_TASKS);
	bench_idle("idle", sleep_ns);
	release_all();
}

int
main(int argc, char **argv)
{
	static const struct bench_entry rows[] = {
	    {"yield", row_yield},
	    {"spawn", row_spawn},
	    {"chan_unbuf", row_chan_unbuf},
	    {"mutex", row_mutex},
	    {"sleep50us", row_sleep50us},
	    {"parked", row_parked},
	    {"wg", row_wg},
	    {"idle", row_idle},
	};

	bench_check(pth_init() == TRUE, "pth_init failed");
	return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
