// SPDX-License-Identifier: BSD-3-Clause
// Channels, through the public header alone: what chan.h promises of send, receive and close.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "undergo.h"

// Runs a test body as the main goroutine.
static void
run(int (*body)(void *arg))
{
	expect_eq(go_run(body, NULL), 0);
}

static void
send(go_chan *c, long v)
{
	expect_eq(go_chan_send(c, &v, GO_NEVER), 0);
}

static long
recv(go_chan *c)
{
	long v = -1;
	expect_eq(go_chan_recv(c, &v, GO_NEVER), 0);
	return v;
}

// --- order, capacity, close -------------------------------------------------------------------

typedef struct Job {
	go_chan *c;
	go_chan *done;
	long n;
	long first;
} Job;

static void
count_up(void *arg)
{
	Job *j = arg;
	for (long i = 0; i < j->n; i++)
		send(j->c, j->first + i);
	if (j->done != NULL)
		send(j->done, j->n);
}

// Values come in the order sent, whatever the capacity; then the channel is closed, drains, and
// gives zero bytes for ever.
static int
order_and_close(void *arg)
{
	(void)arg;
	go_chan *done = go_chan_new(sizeof(long), 0);
	for (size_t cap = 0; cap <= 12; cap++) {
		go_chan *c = go_chan_new(sizeof(long), cap);
		Job j = {c, done, 100, 1};
		expect_eq(go_chan_cap(c), cap);
		expect_eq(go_spawn(count_up, &j), 0);
		for (long i = 1; i <= 100; i++)
			expect_eq(recv(c), i);
		expect_eq(recv(done), 100);
		for (size_t i = 0; i < cap; i++)
			send(c, (long)i + 7);
		expect_eq(go_chan_len(c), cap);
		long v = 5;
		expect_eq(go_chan_send(c, &v, GO_POLL), GO_EAGAIN);
		go_chan_close(c);
		for (size_t i = 0; i < cap; i++)
			expect_eq(recv(c), i + 7);
		for (int i = 0; i < 3; i++) {
			v = 5;
			expect_eq(go_chan_recv(c, &v, i == 0 ? GO_NEVER : GO_POLL), GO_ECLOSED);
			expect_eq(v, 0);
		}
		expect_eq(go_chan_recv(c, NULL, go_in(GO_SEC)), GO_ECLOSED);
		go_chan_free(c);
	}
	go_chan_free(done);
	return 0;
}

void
test_chan_order_and_close(void)
{
	run(order_and_close);
}

// What is not received leaves the caller's memory as it was.
static int
untouched(void *arg)
{
	(void)arg;
	for (size_t cap = 0; cap < 3; cap++) {
		go_chan *c = go_chan_new(sizeof(long), cap);
		long v = 77;
		expect_eq(go_chan_recv(c, &v, GO_POLL), GO_EAGAIN);
		expect_eq(go_chan_recv(c, &v, go_in(GO_MSEC)), GO_ETIMEDOUT);
		expect_eq(go_chan_recv(c, &v, go_now() - 1), GO_ETIMEDOUT);
		expect_eq(v, 77);
		go_chan_free(c);
	}
	return 0;
}

void
test_chan_recv_error_leaves_elem(void)
{
	run(untouched);
}

// --- nil --------------------------------------------------------------------------------------

static int
nil_waits(void *arg)
{
	(void)arg;
	long v = 3;
	expect_eq(go_chan_send(NULL, &v, GO_POLL), GO_EAGAIN);
	expect_eq(go_chan_recv(NULL, &v, GO_POLL), GO_EAGAIN);
	int64_t start = go_now();
	expect_eq(go_chan_send(NULL, &v, go_in(5 * GO_MSEC)), GO_ETIMEDOUT);
	expect_eq(go_chan_recv(NULL, &v, go_in(5 * GO_MSEC)), GO_ETIMEDOUT);
	expect(go_now() - start >= 10 * GO_MSEC);
	expect_eq(v, 3);
	expect_eq(go_chan_len(NULL), 0);
	expect_eq(go_chan_cap(NULL), 0);
	go_chan_free(NULL);
	return 0;
}

void
test_chan_nil_never_ready(void)
{
	run(nil_waits);
}

// --- element sizes ----------------------------------------------------------------------------

enum { BIG = 70000 };

typedef struct Sized {
	go_chan *c;
	size_t bytes;
	int n;
} Sized;

static unsigned char
pattern(int i, size_t at)
{
	return (unsigned char)(i * 31 + (int)(at % 251) + 1);
}

static void
send_patterns(void *arg)
{
	Sized *s = arg;
	unsigned char *buf = malloc(BIG);
	for (int i = 0; i < s->n; i++) {
		for (size_t k = 0; k < s->bytes; k++)
			buf[k] = pattern(i, k);
		expect_eq(go_chan_send(s->c, s->bytes == 0 ? NULL : buf, GO_NEVER), 0);
	}
	free(buf);
	go_chan_close(s->c);
}

// Elements of every kind of size arrive whole and nothing beside them is written: through the ring,
// and straight between two goroutines in either direction.
static int
sizes(void *arg)
{
	(void)arg;
	static const size_t all[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 64, 1000, BIG};
	unsigned char *buf = malloc(BIG + 1);
	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
		for (size_t cap = 0; cap <= 3; cap++) {
			Sized s = {go_chan_new(all[k], cap), all[k], 8};
			expect_eq(go_spawn(send_patterns, &s), 0);
			if (cap % 2 == 0)
				go_yield(); // so that it waits first
			for (int i = 0; i < s.n; i++) {
				buf[s.bytes] = 0xa5;
				bool drop = i == 3;
				expect_eq(go_chan_recv(s.c, drop ? NULL : buf, GO_NEVER), 0);
				for (size_t b = 0; b < s.bytes && !drop; b++)
					expect(buf[b] == pattern(i, b));
				expect(buf[s.bytes] == 0xa5);
			}
			memset(buf, 1, s.bytes);
			expect_eq(go_chan_recv(s.c, buf, GO_NEVER), GO_ECLOSED);
			for (size_t b = 0; b < s.bytes; b++)
				expect(buf[b] == 0);
			expect(buf[s.bytes] == 0xa5);
			go_chan_free(s.c);
		}
	free(buf);
	return 0;
}

void
test_chan_element_sizes(void)
{
	run(sizes);
}

// A ring of many megabytes, and a channel of nothing with room for more than there are bytes.
static int
capacities(void *arg)
{
	(void)arg;
	enum { N = 1000000 };
	go_chan *c = go_chan_new(sizeof(long), N);
	for (long i = 0; i < N; i++)
		send(c, i);
	expect_eq(go_chan_len(c), N);
	for (long i = 0; i < N; i++)
		expect_eq(recv(c), i);
	go_chan_free(c);

	c = go_chan_new(0, SIZE_MAX);
	for (int i = 0; i < 1000; i++)
		expect_eq(go_chan_send(c, NULL, GO_POLL), 0);
	expect_eq(go_chan_len(c), 1000);
	expect(go_chan_cap(c) == SIZE_MAX);
	for (int i = 0; i < 1000; i++)
		expect_eq(go_chan_recv(c, NULL, GO_POLL), 0);
	expect_eq(go_chan_recv(c, NULL, GO_POLL), GO_EAGAIN);
	go_chan_free(c);
	return 0;
}

void
test_chan_capacities(void)
{
	run(capacities);
}

// 128 TiB can be said, and cannot be had.
void
test_chan_no_memory(void)
{
	expect(go_chan_new(1 << 20, (size_t)1 << 27) == NULL);
	go_chan *c = go_chan_new(1 << 20, 1);
	expect(c != NULL);
	go_chan_free(c);
}

// --- closing while others wait ----------------------------------------------------------------

enum { WAITERS = 100 };

typedef struct Closing {
	go_chan *c;
	go_waitgroup wg;
	int closed; // under m
	go_mutex m;
} Closing;

static void
expect_closed(void *arg)
{
	Closing *cl = arg;
	struct {
		long a, b, c;
	} v = {1, 2, 3};
	expect_eq(go_chan_recv(cl->c, &v, GO_NEVER), GO_ECLOSED);
	expect(v.a == 0 && v.b == 0 && v.c == 0);
	go_mutex_lock(&cl->m);
	cl->closed++;
	go_mutex_unlock(&cl->m);
	go_wg_done(&cl->wg);
}

static int
close_wakes(void *arg)
{
	(void)arg;
	for (size_t cap = 0; cap < 2; cap++) {
		Closing cl = {.c = go_chan_new(3 * sizeof(long), cap)};
		go_wg_add(&cl.wg, WAITERS);
		for (int i = 0; i < WAITERS; i++)
			expect_eq(go_spawn(expect_closed, &cl), 0);
		go_sleep(2 * GO_MSEC);
		go_chan_close(cl.c);
		expect_eq(go_wg_wait(&cl.wg, GO_NEVER), 0);
		expect_eq(cl.closed, WAITERS);
		go_chan_free(cl.c);
	}
	return 0;
}

void
test_chan_close_wakes_all(void)
{
	run(close_wakes);
}

// --- deadlines --------------------------------------------------------------------------------

static int
deadlines(void *arg)
{
	(void)arg;
	for (size_t cap = 0; cap < 3; cap++) {
		go_chan *c = go_chan_new(sizeof(long), cap);
		for (size_t i = 0; i < cap; i++)
			send(c, (long)i);
		long v = 9;
		int64_t start = go_now();
		expect_eq(go_chan_send(c, &v, go_in(20 * GO_MSEC)), GO_ETIMEDOUT);
		expect(go_now() - start >= 20 * GO_MSEC);
		expect_eq(go_chan_len(c), cap);
		expect_eq(go_chan_send(c, &v, go_now() - GO_SEC), GO_ETIMEDOUT);
		for (size_t i = 0; i < cap; i++) // a deadline that has passed still tries
			expect_eq(go_chan_recv(c, &v, 1), 0);
		start = go_now();
		expect_eq(go_chan_recv(c, &v, go_in(20 * GO_MSEC)), GO_ETIMEDOUT);
		expect(go_now() - start >= 20 * GO_MSEC);
		if (cap > 0)
			expect_eq(go_chan_send(c, &v, 1), 0);
		go_chan_free(c);
	}
	return 0;
}

void
test_chan_deadlines(void)
{
	run(deadlines);
}

// Senders and receivers that give up all the time, and every value that was sent is received once.
typedef struct Flood {
	go_chan *c;
	go_waitgroup senders, receivers;
	uint64_t seed;
	long each;
	uint64_t sent, received; // sums
	long n_sent, n_received; // all under m
	go_mutex m;
} Flood;

static int64_t
impatient(uint64_t *r)
{
	uint64_t x = test_rand(r);
	switch (x % 4) {
	case 0:
		return GO_POLL;
	case 1:
		return GO_NEVER;
	default:
		return go_in((int64_t)(x >> 8) % (50 * GO_USEC));
	}
}

static uint64_t
flood_id(Flood *f)
{
	go_mutex_lock(&f->m);
	uint64_t id = ++f->seed;
	go_mutex_unlock(&f->m);
	return id;
}

static void
flood_send(void *arg)
{
	Flood *f = arg;
	uint64_t id = flood_id(f), r = id, sum = 0;
	long n = 0;
	for (long i = 0; i < f->each; i++) {
		uint64_t v = id << 32 | (uint64_t)i;
		int err = go_chan_send(f->c, &v, impatient(&r));
		expect(err == 0 || err == GO_EAGAIN || err == GO_ETIMEDOUT);
		if (err == 0) {
			sum += v;
			n++;
		}
	}
	go_mutex_lock(&f->m);
	f->sent += sum;
	f->n_sent += n;
	go_mutex_unlock(&f->m);
	go_wg_done(&f->senders);
}

static void
flood_recv(void *arg)
{
	Flood *f = arg;
	uint64_t r = flood_id(f), sum = 0, v;
	long n = 0;
	for (int err; (err = go_chan_recv(f->c, &v, impatient(&r))) != GO_ECLOSED;) {
		expect(err == 0 || err == GO_EAGAIN || err == GO_ETIMEDOUT);
		if (err == 0) {
			sum += v;
			n++;
		} else if (err == GO_EAGAIN) {
			go_yield();
		}
	}
	go_mutex_lock(&f->m);
	f->received += sum;
	f->n_received += n;
	go_mutex_unlock(&f->m);
	go_wg_done(&f->receivers);
}

static int
flood(void *arg)
{
	uint64_t *seed = arg;
	for (size_t cap = 0; cap < 4; cap++) {
		Flood f = {.c = go_chan_new(sizeof(uint64_t), cap),
			   .seed = *seed & 0xffffff,
			   .each = test_scale(5000)};
		go_wg_add(&f.senders, 4);
		go_wg_add(&f.receivers, 4);
		for (int i = 0; i < 4; i++) {
			expect_eq(go_spawn(flood_send, &f), 0);
			expect_eq(go_spawn(flood_recv, &f), 0);
		}
		go_wg_wait(&f.senders, GO_NEVER);
		go_chan_close(f.c);
		go_wg_wait(&f.receivers, GO_NEVER);
		expect_eq(f.n_sent, f.n_received);
		expect(f.sent == f.received);
		go_chan_free(f.c);
	}
	return 0;
}

void
test_chan_deadlines_lose_nothing(void)
{
	uint64_t seed = test_seed();
	expect_eq(go_run(flood, &seed), 0);
}

// --- cancellation -----------------------------------------------------------------------------

typedef struct Cancelled {
	go_chan *full, *empty, *result;
} Cancelled;

static int
wait_to_recv(void *arg)
{
	Cancelled *k = arg;
	long v;
	send(k->result, go_chan_recv(k->empty, &v, GO_NEVER));
	send(k->result, go_chan_recv(k->empty, &v, go_in(3600 * GO_SEC)));
	return 0;
}

static int
wait_to_send(void *arg)
{
	Cancelled *k = arg;
	long v = 1;
	send(k->result, go_chan_send(k->full, &v, GO_NEVER));
	return 0;
}

static int
wait_to_select(void *arg)
{
	Cancelled *k = arg;
	long v = 1;
	go_case cases[] = {GO_CASE_SEND(k->full, &v), GO_CASE_RECV(k->empty, &v)};
	send(k->result, go_select(cases, 2, GO_NEVER));
	send(k->result, go_select(cases, 0, GO_NEVER));
	return 0;
}

static int
wait_for_nil(void *arg)
{
	Cancelled *k = arg;
	send(k->result, go_chan_recv(NULL, NULL, GO_NEVER));
	return 0;
}

static int
cancel(void *arg)
{
	(void)arg;
	Cancelled k = {go_chan_new(sizeof(long), 1), go_chan_new(sizeof(long), 0),
		       go_chan_new(sizeof(long), 10)};
	send(k.full, 1);
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	expect_eq(go_scope_spawn(&s, wait_to_recv, &k), 0);
	expect_eq(go_scope_spawn(&s, wait_to_send, &k), 0);
	expect_eq(go_scope_spawn(&s, wait_to_select, &k), 0);
	expect_eq(go_scope_spawn(&s, wait_for_nil, &k), 0);
	go_sleep(5 * GO_MSEC);
	go_scope_cancel(&s);
	go_scope_wait(&s);
	for (int i = 0; i < 6; i++)
		expect_eq(recv(k.result), GO_ECANCELED);
	expect_eq(go_chan_len(k.full), 1);
	go_chan_free(k.full); // nobody is left in a queue
	go_chan_free(k.empty);
	go_chan_free(k.result);
	return 0;
}

void
test_chan_cancel(void)
{
	run(cancel);
}

// --- polling races ----------------------------------------------------------------------------

typedef struct Poll {
	go_chan *c;
	go_chan *done;
} Poll;

static void
poll_must_succeed(void *arg)
{
	Poll *p = arg;
	long v;
	int err = go_chan_recv(p->c, &v, GO_POLL);
	expect(err == 0 || err == GO_ECLOSED); // never "would wait": it holds a value or is closed
	send(p->done, 1);
}

// A channel that goes from full and open to empty and closed is ready to receive at every moment.
static int
poll_race(void *arg)
{
	(void)arg;
	Poll p = {.done = go_chan_new(sizeof(long), 0)};
	for (long i = test_scale(10000); i > 0; i--) {
		p.c = go_chan_new(sizeof(long), 1);
		send(p.c, 1);
		expect_eq(go_spawn(poll_must_succeed, &p), 0);
		go_chan_close(p.c);
		long v;
		int err = go_chan_recv(p.c, &v, GO_NEVER);
		expect(err == 0 || err == GO_ECLOSED);
		recv(p.done);
		go_chan_free(p.c);
	}
	go_chan_free(p.done);
	return 0;
}

void
test_chan_poll_race(void)
{
	run(poll_race);
}

// --- many at once -----------------------------------------------------------------------------

typedef struct Stage {
	go_chan *in, *out;
	go_waitgroup *wg;
} Stage;

static void
pass_on(void *arg)
{
	Stage *s = arg;
	for (long v; go_chan_recv(s->in, &v, GO_NEVER) == 0;) {
		if (v % 17 == 0)
			go_yield();
		send(s->out, v);
	}
	go_wg_done(s->wg);
}

static void
feed(void *arg)
{
	Job *j = arg;
	for (long i = 0; i < j->n; i++)
		send(j->c, i);
	go_chan_close(j->c);
}

static void
close_when_done(void *arg)
{
	Stage *s = arg;
	go_wg_wait(s->wg, GO_NEVER);
	go_chan_close(s->out);
}

// Several consumers between one producer and one collector.
static int
multi_consumer(void *arg)
{
	(void)arg;
	enum { CONSUMERS = 23 };
	long n = test_scale(50000);
	go_waitgroup wg = {0};
	Stage s = {go_chan_new(sizeof(long), CONSUMERS * 3),
		   go_chan_new(sizeof(long), CONSUMERS * 3), &wg};
	Job j = {s.in, NULL, n, 0};
	go_wg_add(&wg, CONSUMERS);
	for (int i = 0; i < CONSUMERS; i++)
		expect_eq(go_spawn(pass_on, &s), 0);
	expect_eq(go_spawn(feed, &j), 0);
	expect_eq(go_spawn(close_when_done, &s), 0);
	long seen = 0, sum = 0;
	for (long v; go_chan_recv(s.out, &v, GO_NEVER) == 0; seen++)
		sum += v;
	expect_eq(seen, n);
	expect_eq(sum, n * (n - 1) / 2);
	go_chan_free(s.in);
	go_chan_free(s.out);
	return 0;
}

void
test_chan_multi_consumer(void)
{
	run(multi_consumer);
}

typedef struct Sieve {
	go_chan *in, *out;
	long prime;
} Sieve;

static void
filter(void *arg)
{
	Sieve *s = arg;
	for (long v; (v = recv(s->in)) != 0;)
		if (v % s->prime != 0)
			send(s->out, v);
	send(s->out, 0);
	free(s);
}

static void
numbers(void *arg)
{
	Job *j = arg;
	for (long i = 2; i < j->n; i++)
		send(j->c, i);
	send(j->c, 0);
}

// A chain of goroutines that each take the multiples of one prime away.
static int
sieve(void *arg)
{
	(void)arg;
	enum { LAST = 1000, PRIMES = 168 };
	go_chan *made[PRIMES + 1];
	Job j = {made[0] = go_chan_new(sizeof(long), 0), NULL, LAST, 0};
	expect_eq(go_spawn(numbers, &j), 0);
	go_chan *c = made[0];
	int n = 0;
	for (long prime; (prime = recv(c)) != 0; n++) {
		Sieve *s = malloc(sizeof(*s));
		*s = (Sieve){c, made[n + 1] = go_chan_new(sizeof(long), 0), prime};
		c = s->out;
		expect_eq(go_spawn(filter, s), 0);
	}
	expect_eq(n, PRIMES);
	for (int i = 0; i <= PRIMES; i++)
		go_chan_free(made[i]);
	return 0;
}

void
test_chan_sieve(void)
{
	run(sieve);
}

// --- threads ----------------------------------------------------------------------------------

static void *
thread_echo(void *arg)
{
	Stage *s = arg;
	for (long v; go_chan_recv(s->in, &v, GO_NEVER) == 0;)
		send(s->out, -v);
	return NULL;
}

static int
talk_to_threads(void *arg)
{
	Stage *s = arg;
	long n = test_scale(3000), sum = 0;
	for (long i = 1; i <= n; i++) {
		send(s->in, i);
		sum += recv(s->out);
	}
	expect_eq(sum, -n * (n + 1) / 2);
	go_chan_close(s->in);
	return 0;
}

// Threads of the program take part as goroutines do, unbuffered and buffered, with deadlines too.
void
test_chan_threads(void)
{
	for (size_t cap = 0; cap < 2; cap++) {
		pthread_t t[3];
		Stage s = {go_chan_new(sizeof(long), cap), go_chan_new(sizeof(long), cap), NULL};
		for (int i = 0; i < 3; i++)
			expect_eq(pthread_create(&t[i], NULL, thread_echo, &s), 0);
		expect_eq(go_run(talk_to_threads, &s), 0);
		for (int i = 0; i < 3; i++)
			expect_eq(pthread_join(t[i], NULL), 0);
		long v;
		expect_eq(go_chan_recv(s.out, &v, go_in(5 * GO_MSEC)), GO_ETIMEDOUT);
		expect_eq(go_chan_recv(s.out, &v, GO_POLL), GO_EAGAIN);
		go_chan_free(s.in);
		go_chan_free(s.out);
	}
}

// --- whose memory -----------------------------------------------------------------------------

static void
answer(void *arg)
{
	send(arg, 42);
}

// The receiver of a channel's one value frees it, while the sender may still be on its way out.
static int
free_after_value(void *arg)
{
	(void)arg;
	enum { WINDOW = 16 };
	go_chan *c[WINDOW];
	for (long i = test_scale(3000); i > 0; i--) {
		for (int k = 0; k < WINDOW; k++) {
			c[k] = go_chan_new(sizeof(long), (size_t)k % 2);
			expect_eq(go_spawn(answer, c[k]), 0);
		}
		for (int k = 0; k < WINDOW; k++) {
			expect_eq(recv(c[k]), 42);
			go_chan_free(c[k]);
		}
	}
	return 0;
}

void
test_chan_free_after_value(void)
{
	run(free_after_value);
}

// --- order of memory --------------------------------------------------------------------------

typedef struct Tokens {
	go_chan *c;
	go_waitgroup wg;
	long plain; // whoever holds the token
	long each;
} Tokens;

static void
take_token(void *arg)
{
	Tokens *t = arg;
	for (long i = 0; i < t->each; i++) {
		recv(t->c);
		t->plain++;
		send(t->c, 1);
	}
	go_wg_done(&t->wg);
}

// A channel with one value in it excludes as a lock does: what its holder did is seen by the next.
static int
tokens(void *arg)
{
	(void)arg;
	Tokens t = {.c = go_chan_new(sizeof(long), 1), .each = test_scale(20000)};
	go_wg_add(&t.wg, 4);
	send(t.c, 1);
	for (int i = 0; i < 4; i++)
		expect_eq(go_spawn(take_token, &t), 0);
	go_wg_wait(&t.wg, GO_NEVER);
	expect_eq(t.plain, 4 * t.each);
	go_chan_free(t.c);
	return 0;
}

void
test_chan_as_a_lock(void)
{
	run(tokens);
}
