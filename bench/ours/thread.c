// SPDX-License-Identifier: BSD-3-Clause
// Rows of threads: locked_pair, reentry, attach.

#include <pthread.h>

#include "ours.h"

static go_chan *
make(size_t cap)
{
	go_chan *c = go_chan_new(sizeof(int64_t), cap);

	bench_check(c != NULL, "no memory for a channel");
	return c;
}

static int64_t
send_and_receive(go_chan *to, go_chan *from, int64_t v)
{
	int64_t back;

	go_chan_send(to, &v, GO_NEVER);
	go_chan_recv(from, &back, GO_NEVER);
	return back;
}

// --- a locked goroutine and another -------------------------------------------------------------

struct pair {
	go_chan *ping, *pong;
	int64_t n;
};

static void
echo(void *arg)
{
	struct pair p = *(struct pair *)arg;
	int64_t v;

	for (int64_t i = 0; i < p.n; i++) {
		go_chan_recv(p.ping, &v, GO_NEVER);
		v++;
		go_chan_send(p.pong, &v, GO_NEVER);
	}
}

// A round trip is two messages, and two changes of threads.
static void
locked_pair_body(int64_t n)
{
	struct pair p = {make(0), make(0), n};
	int64_t sum = 0;

	go_lock_os_thread();
	spawn(echo, &p);
	for (int64_t i = 0; i < n; i++)
		sum += send_and_receive(p.ping, p.pong, 0);
	go_unlock_os_thread();
	bench_check(sum == n, "locked_pair: lost a message");
}

void
row_locked_pair(void)
{
	one_p();
	bench_row("locked_pair", locked_pair_body, 1);
}

// --- threads of the program ---------------------------------------------------------------------

static go_chan *buffered;

static void *
exchange_once(void *unused)
{
	bench_check(send_and_receive(buffered, buffered, 1) == 1, "lost an element");
	return unused;
}

static void
reentry_body(int64_t n)
{
	int64_t sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += send_and_receive(buffered, buffered, 1);
	bench_check(sum == n, "reentry: lost an element");
}

static void *
reentry_thread(void *unused)
{
	bench_row("reentry", reentry_body, 1);
	return unused;
}

static void
run_thread(void *(*fn)(void *))
{
	pthread_t t;

	bench_check(pthread_create(&t, NULL, fn, NULL) == 0, "no thread");
	bench_check(pthread_join(t, NULL) == 0, "no end of a thread");
}

void
row_reentry(void)
{
	all_ps();
	buffered = make(16);
	run_thread(reentry_thread);
}

static void
attach_body(int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		run_thread(exchange_once);
}

void
row_attach(void)
{
	all_ps();
	buffered = make(16);
	bench_row("attach", attach_body, 1);
}
