// SPDX-License-Identifier: BSD-3-Clause
// Rows of channels and select: chan_unbuf, chan_buf, chan_prodcons, select2, select_many.

#include "ours.h"

static go_chan *
make(size_t cap)
{
	go_chan *c = go_chan_new(sizeof(int64_t), cap);

	bench_check(c != NULL, "no memory for a channel");
	return c;
}

static void
send(go_chan *c, int64_t v)
{
	go_chan_send(c, &v, GO_NEVER);
}

static int64_t
receive(go_chan *c)
{
	int64_t v;

	go_chan_recv(c, &v, GO_NEVER);
	return v;
}

struct pingpong {
	go_chan *ping, *pong;
	int64_t n;
	go_waitgroup wg;
};

static void
echo(void *arg)
{
	struct pingpong *p = arg;

	for (int64_t i = 0; i < p->n; i++)
		send(p->pong, receive(p->ping) + 1);
	go_wg_done(&p->wg);
}

// A round trip is two messages.
static void
chan_unbuf_body(int64_t n)
{
	struct pingpong p = {.ping = make(0), .pong = make(0), .n = n};
	int64_t sum = 0;

	go_wg_add(&p.wg, 1);
	spawn(echo, &p);
	for (int64_t i = 0; i < n; i++) {
		send(p.ping, 0);
		sum += receive(p.pong);
	}
	go_wg_wait(&p.wg, GO_NEVER);
	go_chan_free(p.ping);
	go_chan_free(p.pong);
	bench_check(sum == n, "chan_unbuf: lost a message");
}

void
row_chan_unbuf(void)
{
	one_p();
	bench_row("chan_unbuf", chan_unbuf_body, 1);
}

// One send and one receive for each n.
static void
chan_buf_body(int64_t n)
{
	go_chan *c = make(16);
	int64_t sum = 0;

	for (int64_t i = 0; i < n; i++) {
		send(c, 1);
		sum += receive(c);
	}
	go_chan_free(c);
	bench_check(sum == n, "chan_buf: lost an element");
}

void
row_chan_buf(void)
{
	one_p();
	bench_row("chan_buf", chan_buf_body, 1);
}

struct prodcons {
	go_chan *c;
	int64_t n;
	int64_t consumed; // atomic
	go_waitgroup wg;
};

static void
producer(void *arg)
{
	struct prodcons *p = arg;

	for (int64_t i = 0; i < p->n; i++)
		send(p->c, 1);
	go_wg_done(&p->wg);
}

static void
consumer(void *arg)
{
	struct prodcons *p = arg;
	int64_t sum = 0;

	for (int64_t i = 0; i < p->n; i++)
		sum += receive(p->c);
	__atomic_fetch_add(&p->consumed, sum, __ATOMIC_RELAXED); // order: count, read after wait
	go_wg_done(&p->wg);
}

static void
chan_prodcons_body(int64_t n)
{
	struct prodcons p = {.c = make(100), .n = n};

	go_wg_add(&p.wg, 2 * BENCH_PRODUCERS);
	for (int i = 0; i < BENCH_PRODUCERS; i++) {
		spawn(producer, &p);
		spawn(consumer, &p);
	}
	go_wg_wait(&p.wg, GO_NEVER);
	go_chan_free(p.c);
	bench_check(p.consumed == n * BENCH_PRODUCERS, "chan_prodcons: lost an element");
}

void
row_chan_prodcons(void)
{
	all_ps();
	bench_row("chan_prodcons", chan_prodcons_body, BENCH_PRODUCERS);
}

// One send and one receive over two channels in turn, without select: what select2 adds to.
static void
turns_body(int64_t n)
{
	go_chan *c[2] = {make(1), make(1)};
	int64_t sum = 0;

	for (int64_t i = 0; i < n; i++) {
		send(c[i & 1], 1);
		sum += receive(c[i & 1]);
	}
	go_chan_free(c[0]);
	go_chan_free(c[1]);
	bench_check(sum == n, "select2: lost an element");
}

static void
select2_body(int64_t n)
{
	go_chan *c[2] = {make(1), make(1)};
	int64_t v, sum = 0;

	for (int64_t i = 0; i < n; i++) {
		send(c[i & 1], 1);
		go_case cases[] = {GO_CASE_RECV(c[0], &v), GO_CASE_RECV(c[1], &v)};
		switch (go_select(cases, 2, GO_NEVER)) {
		case 0:
		case 1:
			sum += v;
		}
	}
	go_chan_free(c[0]);
	go_chan_free(c[1]);
	bench_check(sum == n, "select2: lost an element");
}

static void
select_many_body(int64_t n)
{
	go_chan *c[8];
	int64_t v, sum = 0;

	for (int k = 0; k < 8; k++)
		c[k] = make(1);
	for (int64_t i = 0; i < n; i++) {
		send(c[i & 7], 1);
		go_case cases[] = {
		    GO_CASE_RECV(c[0], &v), GO_CASE_RECV(c[1], &v), GO_CASE_RECV(c[2], &v),
		    GO_CASE_RECV(c[3], &v), GO_CASE_RECV(c[4], &v), GO_CASE_RECV(c[5], &v),
		    GO_CASE_RECV(c[6], &v), GO_CASE_RECV(c[7], &v),
		};
		if (go_select(cases, 8, GO_NEVER) >= 0)
			sum += v;
	}
	for (int k = 0; k < 8; k++)
		go_chan_free(c[k]);
	bench_check(sum == n, "select_many: lost an element");
}

// Also prints the select alone: the whole less one send, taken as half of a send and a receive.
static void
select_row(const char *row, void (*body)(int64_t n))
{
	double wall;
	double pair = bench_time(turns_body, 1, NULL);
	double cpu = bench_time(body, 1, &wall);

	printf("%s %.3f %.3f alone=%.1f\n", row, cpu, wall, cpu - pair / 2);
}

void
row_select2(void)
{
	one_p();
	select_row("select2", select2_body);
}

void
row_select_many(void)
{
	one_p();
	select_row("select_many", select_many_body);
}
