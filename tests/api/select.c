// SPDX-License-Identifier: BSD-3-Clause
// go_select, through the public header alone.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "undergo.h"

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

static go_chan *
new_chan(size_t cap)
{
	go_chan *c = go_chan_new(sizeof(long), cap);
	expect(c != NULL);
	return c;
}

// --- what it returns --------------------------------------------------------------------------

static int
results(void *arg)
{
	(void)arg;
	long v = 4, w = 0;
	go_chan *full = new_chan(1), *empty = new_chan(0), *closed = new_chan(0);
	send(full, 11);
	go_chan_close(closed);

	go_case bad[1] = {GO_CASE_RECV(full, &w)};
	expect_eq(go_select(bad, -1, GO_POLL), GO_EINVAL);
	expect_eq(go_select(bad, 65537, GO_POLL), GO_EINVAL);
	expect_eq(go_select(NULL, 1, GO_POLL), GO_EINVAL);
	expect_eq(go_select(NULL, 0, GO_POLL), GO_EAGAIN);
	expect_eq(go_select(NULL, 0, go_in(GO_MSEC)), GO_ETIMEDOUT);

	for (int n = 1; n <= 3; n++) { // none is ready
		go_case k[] = {GO_CASE_RECV(empty, &w), GO_CASE_SEND(full, &v),
			       GO_CASE_RECV(NULL, &w)};
		expect_eq(go_select(k, n, GO_POLL), GO_EAGAIN);
		expect_eq(go_select(k, n, go_in(GO_MSEC)), GO_ETIMEDOUT);
		expect_eq(go_select(k, n, go_now() - 1), GO_ETIMEDOUT);
		expect_eq(w, 0);
	}
	go_case nils[] = {GO_CASE_RECV(NULL, &w), GO_CASE_SEND(NULL, &v)};
	expect_eq(go_select(nils, 2, GO_POLL), GO_EAGAIN);
	expect_eq(go_select(nils, 2, go_in(GO_MSEC)), GO_ETIMEDOUT);

	for (int n = 1; n <= 2; n++) { // the first is ready; a deadline that has passed still tries
		go_case k[] = {GO_CASE_RECV(full, &w), GO_CASE_RECV(NULL, &w)};
		expect_eq(go_select(k, n, 1), 0);
		expect(k[0].ok);
		expect_eq(w, 11);
		go_case s[] = {GO_CASE_SEND(full, &w), GO_CASE_RECV(empty, &v)};
		expect_eq(go_select(s, n, GO_NEVER), 0);

		w = 9;
		go_case c[] = {GO_CASE_RECV(closed, &w), GO_CASE_RECV(NULL, &w)};
		expect_eq(go_select(c, n, n == 1 ? GO_POLL : GO_NEVER), 0);
		expect(!c[0].ok);
		expect_eq(w, 0);
		w = 11;
	}
	go_chan_free(full);
	go_chan_free(empty);
	go_chan_free(closed);
	return 0;
}

void
test_select_results(void)
{
	run(results);
}

// --- waiting ----------------------------------------------------------------------------------

typedef struct Waiting {
	go_chan *a, *b, *closed, *out;
} Waiting;

static void
wait_three(void *arg)
{
	Waiting *w = arg;
	for (int i = 0; i < 3; i++) {
		long in = -1, out = 100 + i;
		go_case k[] = {GO_CASE_RECV(w->a, &in), GO_CASE_SEND(w->b, &out),
			       GO_CASE_RECV(w->closed, &in)};
		int chosen = go_select(k, 3, i == 0 ? GO_NEVER : go_in(3600 * GO_SEC));
		send(w->out, chosen);
		send(w->out, chosen == 1 ? out : in);
		send(w->out, k[chosen].ok);
	}
}

// A select that waits is woken by a sender, by a receiver, and by a close.
static int
woken(void *arg)
{
	(void)arg;
	Waiting w = {new_chan(0), new_chan(0), new_chan(0), new_chan(0)};
	expect_eq(go_spawn(wait_three, &w), 0);
	go_sleep(GO_MSEC);
	send(w.a, 5);
	expect_eq(recv(w.out), 0);
	expect_eq(recv(w.out), 5);
	expect_eq(recv(w.out), 1);
	go_sleep(GO_MSEC);
	expect_eq(recv(w.b), 101);
	expect_eq(recv(w.out), 1);
	expect_eq(recv(w.out), 101);
	recv(w.out);
	go_sleep(GO_MSEC);
	go_chan_close(w.closed);
	expect_eq(recv(w.out), 2);
	expect_eq(recv(w.out), 0);
	expect_eq(recv(w.out), 0);
	go_chan_free(w.a);
	go_chan_free(w.b);
	go_chan_free(w.closed);
	go_chan_free(w.out);
	return 0;
}

void
test_select_woken(void)
{
	run(woken);
}

// --- default ----------------------------------------------------------------------------------

typedef struct Pair {
	go_chan *c1, *c2, *done;
} Pair;

static void
poll_both(void *arg)
{
	Pair *p = arg;
	long v;
	go_case k[] = {GO_CASE_RECV(p->c1, &v), GO_CASE_RECV(p->c2, &v)};
	send(p->done, go_select(k, 2, GO_POLL) >= 0);
}

// At every moment one of the two channels is ready to receive from, so a polling select never says
// that none is, though which one it is changes while it looks.
static int
always_one_ready(bool close)
{
	Pair p = {.done = new_chan(1)};
	for (long i = test_scale(20000); i > 0; i--) {
		p.c1 = new_chan(1);
		p.c2 = new_chan(close ? 0 : 1);
		send(p.c1, 1);
		expect_eq(go_spawn(poll_both, &p), 0);
		long v;
		if (close)
			go_chan_close(p.c2);
		else
			send(p.c2, 1);
		go_case k[] = {GO_CASE_RECV(p.c1, &v)};
		go_select(k, 1, GO_POLL);
		expect_eq(recv(p.done), 1);
		go_chan_free(p.c1);
		go_chan_free(p.c2);
	}
	go_chan_free(p.done);
	return 0;
}

static int
default_send(void *arg)
{
	(void)arg;
	return always_one_ready(false);
}

static int
default_close(void *arg)
{
	(void)arg;
	return always_one_ready(true);
}

void
test_select_default_race(void)
{
	run(default_send);
	run(default_close);
}

// --- fairness ---------------------------------------------------------------------------------

// Among n cases that are always ready each is chosen about equally often.
static void
fair_among(int n)
{
	enum { MOST = 40 };
	go_chan *c[MOST];
	go_case k[MOST];
	long seen[MOST] = {0}, v;
	for (int i = 0; i < n; i++) {
		c[i] = new_chan(0);
		go_chan_close(c[i]);
		k[i] = (go_case)GO_CASE_RECV(c[i], &v);
	}
	long each = test_scale(4000);
	for (long i = 0; i < each * n; i++)
		seen[go_select(k, n, GO_NEVER)]++;
	for (int i = 0; i < n; i++) // a fair choice is beyond this once in some 10^9 runs
		expect(seen[i] - each < 10 + each / 4 && each - seen[i] < 10 + each / 4);
	for (int i = 0; i < n; i++)
		go_chan_free(c[i]);
}

static int
fair(void *arg)
{
	(void)arg;
	fair_among(2);
	fair_among(3);
	fair_among(7);
	fair_among(16);
	fair_among(40);
	return 0;
}

void
test_select_fair(void)
{
	if (test_scale(4000) < 1000)
		skip("too few rounds here to tell");
	run(fair);
}

typedef struct Streams {
	go_chan *c1, *c2, *stop;
	go_waitgroup wg;
} Streams;

static void
stream(void *arg)
{
	Streams *s = arg;
	go_chan *mine = go_id() % 2 == 0 ? s->c1 : s->c2;
	(void)mine;
	long v = 1;
	for (;;) {
		go_case k[] = {GO_CASE_SEND(s->c1, &v), GO_CASE_SEND(s->c2, &v),
			       GO_CASE_RECV(s->stop, NULL)};
		if (go_select(k, 3, GO_NEVER) == 2)
			break;
	}
	go_wg_done(&s->wg);
}

// Neither of two channels with eager senders is neglected.
static int
neither_neglected(void *arg)
{
	(void)arg;
	Streams s = {new_chan(0), new_chan(0), new_chan(0), {0}};
	go_wg_add(&s.wg, 3);
	for (int i = 0; i < 3; i++)
		expect_eq(go_spawn(stream, &s), 0);
	long n[2] = {0}, v, trials = test_scale(10000);
	for (long i = 0; i < trials; i++) {
		go_case k[] = {GO_CASE_RECV(s.c1, &v), GO_CASE_RECV(s.c2, &v)};
		n[go_select(k, 2, GO_NEVER)]++;
	}
	go_chan_close(s.stop);
	go_wg_wait(&s.wg, GO_NEVER);
	if (trials >= 1000)
		expect(n[0] > trials / 5 && n[1] > trials / 5);
	go_chan_free(s.c1);
	go_chan_free(s.c2);
	go_chan_free(s.stop);
	return 0;
}

void
test_select_neglects_none(void)
{
	run(neither_neglected);
}

// --- a channel in several cases ---------------------------------------------------------------

typedef struct Self {
	go_chan *c;
	go_waitgroup wg;
	long id, each;
} Self;

static void
send_and_recv(void *arg)
{
	Self *s = arg;
	long id;
	static go_mutex m;
	go_mutex_lock(&m);
	id = ++s->id;
	go_mutex_unlock(&m);
	for (long i = 0; i < s->each; i++) {
		long got = -1;
		go_case k[] = {GO_CASE_SEND(s->c, &id), GO_CASE_RECV(s->c, &got)};
		if (id % 2 == 0) {
			go_case first = k[0];
			k[0] = k[1];
			k[1] = first;
		}
		int chosen = go_select(k, 2, GO_NEVER);
		if (!k[chosen].send && go_chan_cap(s->c) == 0)
			expect(got != id); // nobody meets himself
	}
	go_wg_done(&s->wg);
}

// Two goroutines that would both send and receive on one channel never deadlock.
static int
self(void *arg)
{
	(void)arg;
	for (size_t cap = 0; cap <= 10; cap += 5) {
		Self s = {.c = new_chan(cap), .each = test_scale(5000)};
		go_wg_add(&s.wg, 2);
		expect_eq(go_spawn(send_and_recv, &s), 0);
		expect_eq(go_spawn(send_and_recv, &s), 0);
		go_wg_wait(&s.wg, GO_NEVER);
		go_chan_free(s.c);
	}
	return 0;
}

void
test_select_self(void)
{
	run(self);
}

typedef struct Dup {
	go_chan *c, *d, *e;
} Dup;

static void
dup_a(void *arg)
{
	Dup *u = arg;
	go_case k[] = {GO_CASE_RECV(u->c, NULL), GO_CASE_RECV(u->c, NULL),
		       GO_CASE_RECV(u->d, NULL)};
	expect_eq(go_select(k, 3, GO_NEVER), 2);
	send(u->e, 9);
}

static void
dup_b(void *arg)
{
	Dup *u = arg;
	expect_eq(recv(u->c), 8);
	send(u->e, 10);
}

// A select that stands twice in a queue, before somebody else, leaves it twice.
static int
duplicate(void *arg)
{
	(void)arg;
	Dup u = {new_chan(0), new_chan(0), new_chan(0)};
	expect_eq(go_spawn(dup_a, &u), 0);
	go_sleep(GO_MSEC);
	expect_eq(go_spawn(dup_b, &u), 0);
	go_sleep(GO_MSEC);
	send(u.d, 7);
	expect_eq(recv(u.e), 9);
	send(u.c, 8);
	expect_eq(recv(u.e), 10);
	go_chan_free(u.c);
	go_chan_free(u.d);
	go_chan_free(u.e);
	return 0;
}

void
test_select_duplicate_channel(void)
{
	run(duplicate);
}

// --- stress -----------------------------------------------------------------------------------

typedef struct Stress {
	go_chan *c[4];
	go_waitgroup wg;
	long n;
} Stress;

typedef struct One {
	Stress *s;
	int i;
} One;

static void
plain_send(void *arg)
{
	One *o = arg;
	for (long i = 0; i < o->s->n; i++)
		send(o->s->c[o->i], i);
	go_wg_done(&o->s->wg);
}

static void
plain_recv(void *arg)
{
	One *o = arg;
	for (long i = 0; i < o->s->n; i++)
		recv(o->s->c[o->i]);
	go_wg_done(&o->s->wg);
}

// Does n operations on each of the four channels, in the order they become possible.
static void
select_all(Stress *s, bool sends)
{
	go_chan *c[4];
	long left[4], v = 0;
	for (int i = 0; i < 4; i++) {
		c[i] = s->c[i];
		left[i] = s->n;
	}
	for (long i = 0; i < 4 * s->n; i++) {
		go_case k[4];
		for (int j = 0; j < 4; j++) {
			int at = sends ? 3 - j : j;
			k[j] = (go_case){c[at], &v, sends, false};
		}
		int chosen = go_select(k, 4, GO_NEVER);
		expect(chosen >= 0 && (sends || k[chosen].ok));
		int at = sends ? 3 - chosen : chosen;
		if (--left[at] == 0)
			c[at] = NULL;
	}
	go_wg_done(&s->wg);
}

static void
select_send(void *arg)
{
	select_all(arg, true);
}

static void
select_recv(void *arg)
{
	select_all(arg, false);
}

// Plain and selecting senders against plain and selecting receivers, on four channels.
static int
stress(void *arg)
{
	(void)arg;
	Stress s = {.c = {new_chan(0), new_chan(0), new_chan(2), new_chan(3)},
		    .n = test_scale(10000)};
	One ones[4];
	go_wg_add(&s.wg, 10);
	for (int i = 0; i < 4; i++) {
		ones[i] = (One){&s, i};
		expect_eq(go_spawn(plain_send, &ones[i]), 0);
		expect_eq(go_spawn(plain_recv, &ones[i]), 0);
	}
	expect_eq(go_spawn(select_send, &s), 0);
	expect_eq(go_spawn(select_recv, &s), 0);
	go_wg_wait(&s.wg, GO_NEVER);
	for (int i = 0; i < 4; i++)
		go_chan_free(s.c[i]);
	return 0;
}

void
test_select_stress(void)
{
	run(stress);
}

// --- many cases -------------------------------------------------------------------------------

static void
send_one(void *arg)
{
	go_sleep(GO_MSEC);
	send(arg, 3);
}

// With n cases over n / 2 channels, some of them NULL: polling, waiting and being woken.
static void
many_cases(int n)
{
	go_chan **c = malloc((size_t)n * sizeof(*c));
	go_case *k = malloc((size_t)n * sizeof(*k));
	uint64_t r = (uint64_t)n;
	long v;
	for (int i = 0; i < n; i++) {
		c[i] = i % 2 == 0 ? new_chan(0) : NULL;
		int from = (int)(test_rand(&r) % (uint64_t)(i + 1));
		k[i] = (go_case)GO_CASE_RECV(i % 5 == 4 ? NULL : c[from & ~1], &v);
	}
	expect_eq(go_select(k, n, GO_POLL), GO_EAGAIN);
	expect_eq(go_select(k, n, go_in(GO_MSEC)), GO_ETIMEDOUT);
	for (int round = 0; round < 3; round++) {
		go_chan *target = k[n / 5 * 5 - 2 - round * 5].chan;
		expect_eq(go_spawn(send_one, target), 0);
		int chosen = go_select(k, n, round == 0 ? GO_NEVER : go_in(3600 * GO_SEC));
		expect(chosen >= 0 && k[chosen].chan == target && k[chosen].ok);
		expect_eq(v, 3);
	}
	for (int i = 0; i < n; i++)
		go_chan_free(c[i]); // nothing was left in their queues
	free(c);
	free(k);
}

static int
many(void *arg)
{
	(void)arg;
	many_cases(16);
	many_cases(17);
	many_cases(100);
	many_cases(5000);
	many_cases(test_slowness() > 1 ? 10000 : 65536);
	return 0;
}

void
test_select_many_cases(void)
{
	run(many);
}

// --- deadlines --------------------------------------------------------------------------------

typedef struct Flood {
	go_chan *c[3];
	go_waitgroup senders, receivers;
	go_mutex m;
	long each, n_sent, n_received; // under m, but each
	uint64_t sent, received, id;
} Flood;

static int64_t
impatient(uint64_t *r)
{
	uint64_t x = test_rand(r);
	return x % 3 == 0 ? GO_POLL : go_in((int64_t)(x >> 8) % (40 * GO_USEC));
}

static uint64_t
flood_id(Flood *f)
{
	go_mutex_lock(&f->m);
	uint64_t id = ++f->id;
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
		uint64_t v[3];
		go_case k[3];
		for (int j = 0; j < 3; j++) {
			v[j] = id << 40 | (uint64_t)i << 8 | (uint64_t)j;
			k[j] = (go_case)GO_CASE_SEND(f->c[j], &v[j]);
		}
		int chosen = go_select(k, 3, impatient(&r));
		expect(chosen >= 0 || chosen == GO_EAGAIN || chosen == GO_ETIMEDOUT);
		if (chosen >= 0) {
			sum += v[chosen];
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
	uint64_t r = flood_id(f), sum = 0, v = 0;
	go_chan *c[3] = {f->c[0], f->c[1], f->c[2]};
	long n = 0;
	while (c[0] != NULL || c[1] != NULL || c[2] != NULL) {
		go_case k[3];
		for (int j = 0; j < 3; j++)
			k[j] = (go_case)GO_CASE_RECV(c[j], &v);
		int chosen = go_select(k, 3, impatient(&r));
		expect(chosen >= 0 || chosen == GO_EAGAIN || chosen == GO_ETIMEDOUT);
		if (chosen >= 0 && !k[chosen].ok) {
			c[chosen] = NULL;
		} else if (chosen >= 0) {
			sum += v;
			n++;
		} else if (chosen == GO_EAGAIN) {
			go_yield();
		}
	}
	go_mutex_lock(&f->m);
	f->received += sum;
	f->n_received += n;
	go_mutex_unlock(&f->m);
	go_wg_done(&f->receivers);
}

static void *
flood_thread(void *arg)
{
	flood_recv(arg);
	return NULL;
}

// Selects that give up all the time, on goroutines and threads: every value sent is received once.
static int
flood(void *arg)
{
	uint64_t *seed = arg;
	Flood f = {.c = {new_chan(0), new_chan(1), new_chan(0)},
		   .each = test_scale(5000),
		   .id = *seed & 0xffff};
	pthread_t thread;
	go_wg_add(&f.senders, 3);
	go_wg_add(&f.receivers, 4);
	for (int i = 0; i < 3; i++) {
		expect_eq(go_spawn(flood_send, &f), 0);
		expect_eq(go_spawn(flood_recv, &f), 0);
	}
	expect_eq(pthread_create(&thread, NULL, flood_thread, &f), 0);
	go_wg_wait(&f.senders, GO_NEVER);
	for (int i = 0; i < 3; i++)
		go_chan_close(f.c[i]);
	go_wg_wait(&f.receivers, GO_NEVER);
	pthread_join(thread, NULL);
	expect_eq(f.n_sent, f.n_received);
	expect(f.sent == f.received);
	for (int i = 0; i < 3; i++)
		go_chan_free(f.c[i]);
	return 0;
}

void
test_select_deadlines_lose_nothing(void)
{
	uint64_t seed = test_seed();
	expect_eq(go_run(flood, &seed), 0);
}
