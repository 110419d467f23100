// SPDX-License-Identifier: BSD-3-Clause
// go_mutex, go_rwmutex, go_cond, go_waitgroup, go_once and go_sem, through the public header alone.
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
spawn_n(int n, void (*fn)(void *), void *arg)
{
	for (int i = 0; i < n; i++)
		expect_eq(go_spawn(fn, arg), 0);
}

// What others have come to.
#define LOOK(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define COUNT(x) __atomic_fetch_add(&(x), 1, __ATOMIC_ACQ_REL)

static void
until(int *what, int value)
{
	while (LOOK(*what) != value)
		go_sleep(100 * GO_USEC);
}

// --- mutex ------------------------------------------------------------------------------------

typedef struct Hammer {
	go_mutex m;
	go_waitgroup wg;
	long each;
	long count; // under m
	int ids;
} Hammer;

static void
hammer(void *arg)
{
	Hammer *h = arg;
	for (long i = 0; i < h->each; i++) {
		if (i % 3 == 0) {
			if (!go_mutex_try_lock(&h->m))
				continue;
			go_mutex_unlock(&h->m);
			continue;
		}
		go_mutex_lock(&h->m);
		h->count++;
		if (i % 64 == 0)
			go_yield(); // so that others come to wait
		go_mutex_unlock(&h->m);
	}
	go_wg_done(&h->wg);
}

static void *
hammer_thread(void *arg)
{
	hammer(arg);
	return NULL;
}

// Goroutines and threads on one mutex, and no count is lost.
static int
mutex_hammer(void *arg)
{
	(void)arg;
	for (int n = 2; n <= 32; n *= 4) {
		Hammer h = {.each = test_scale(20000)};
		pthread_t t[2];
		go_wg_add(&h.wg, n + 2);
		spawn_n(n, hammer, &h);
		for (int i = 0; i < 2; i++)
			expect_eq(pthread_create(&t[i], NULL, hammer_thread, &h), 0);
		go_wg_wait(&h.wg, GO_NEVER);
		for (int i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
		expect_eq(h.count, (n + 2) * (h.each - (h.each + 2) / 3));
		expect(go_mutex_try_lock(&h.m));
		go_mutex_unlock(&h.m);
	}
	return 0;
}

void
test_mutex_hammer(void)
{
	run(mutex_hammer);
}

// Contention that comes and goes, so that the mutex is first contended again and again.
static void
gusts(void *arg)
{
	Hammer *h = arg;
	uint64_t r = (uint64_t)COUNT(h->ids) + 1;
	for (long i = 0; i < h->each; i++) {
		if (test_rand(&r) % 256 == 0)
			go_sleep((int64_t)(test_rand(&r) % 50) * GO_USEC);
		go_mutex_lock(&h->m);
		h->count++;
		go_mutex_unlock(&h->m);
	}
	go_wg_done(&h->wg);
}

static int
mutex_gusts(void *arg)
{
	(void)arg;
	Hammer h = {.each = test_scale(50000)};
	go_wg_add(&h.wg, 4);
	spawn_n(4, gusts, &h);
	go_wg_wait(&h.wg, GO_NEVER);
	expect_eq(h.count, 4 * h.each);
	return 0;
}

void
test_mutex_gusts(void)
{
	run(mutex_gusts);
}

static int
mutex_try(void *arg)
{
	(void)arg;
	go_mutex m = GO_MUTEX_INIT;
	expect(go_mutex_try_lock(&m));
	expect(!go_mutex_try_lock(&m));
	go_mutex_unlock(&m);
	go_mutex_lock(&m);
	expect(!go_mutex_try_lock(&m));
	go_mutex_unlock(&m);
	return 0;
}

void
test_mutex_try_lock(void)
{
	run(mutex_try);
}

typedef struct Unfair {
	go_mutex m;
	go_chan *done;
	int stop;
} Unfair;

// Keeps the mutex nearly all of the time.
static void
greedy(void *arg)
{
	Unfair *u = arg;
	while (!LOOK(u->stop)) {
		go_mutex_lock(&u->m);
		int64_t end = go_in(100 * GO_USEC);
		while (go_now() < end)
			;
		go_mutex_unlock(&u->m);
	}
	go_chan_send(u->done, NULL, GO_NEVER);
}

// One that comes by now and then gets the mutex in about its turn, though another hogs it.
static int
mutex_fair(void *arg)
{
	(void)arg;
	Unfair u = {.done = go_chan_new(0, 2)};
	expect_eq(go_spawn(greedy, &u), 0);
	int64_t start = go_now();
	for (int i = 0; i < 20; i++) {
		go_sleep(100 * GO_USEC);
		go_mutex_lock(&u.m);
		go_mutex_unlock(&u.m);
	}
	expect(go_now() - start < 10 * GO_SEC);
	__atomic_store_n(&u.stop, 1, __ATOMIC_RELAXED);
	expect_eq(go_chan_recv(u.done, NULL, GO_NEVER), 0);
	go_chan_free(u.done);
	return 0;
}

void
test_mutex_fair(void)
{
	run(mutex_fair);
}

// --- rwmutex ----------------------------------------------------------------------------------

typedef struct RwHammer {
	go_rwmutex rw;
	go_waitgroup wg;
	int activity; // readers, or 10000 for the writer
	long each;
	long written; // under rw
} RwHammer;

static void
rw_reader(void *arg)
{
	RwHammer *h = arg;
	for (long i = 0; i < h->each; i++) {
		if (i % 4 == 0) {
			if (!go_rwmutex_try_rlock(&h->rw))
				continue;
		} else {
			go_rwmutex_rlock(&h->rw);
		}
		int n = __atomic_add_fetch(&h->activity, 1, __ATOMIC_RELAXED);
		expect(n >= 1 && n < 10000);
		if (i % 16 == 0)
			go_yield();
		__atomic_add_fetch(&h->activity, -1, __ATOMIC_RELAXED);
		go_rwmutex_runlock(&h->rw);
	}
	go_wg_done(&h->wg);
}

static void
rw_writer(void *arg)
{
	RwHammer *h = arg;
	for (long i = 0; i < h->each; i++) {
		if (i % 4 == 0) {
			if (!go_rwmutex_try_lock(&h->rw))
				continue;
		} else {
			go_rwmutex_lock(&h->rw);
		}
		expect_eq(__atomic_add_fetch(&h->activity, 10000, __ATOMIC_RELAXED), 10000);
		h->written++;
		if (i % 16 == 0)
			go_yield();
		__atomic_add_fetch(&h->activity, -10000, __ATOMIC_RELAXED);
		go_rwmutex_unlock(&h->rw);
	}
	go_wg_done(&h->wg);
}

static int
rw_hammer(void *arg)
{
	(void)arg;
	for (int readers = 1; readers <= 10; readers += 3) {
		RwHammer h = {.each = test_scale(3000)};
		go_wg_add(&h.wg, readers + 2);
		spawn_n(1, rw_writer, &h);
		spawn_n(readers, rw_reader, &h);
		spawn_n(1, rw_writer, &h);
		go_wg_wait(&h.wg, GO_NEVER);
		expect(h.written >= 2 * (h.each - (h.each + 3) / 4));
		expect_eq(h.activity, 0);
		expect(go_rwmutex_try_lock(&h.rw));
		go_rwmutex_unlock(&h.rw);
	}
	return 0;
}

void
test_rwmutex_hammer(void)
{
	run(rw_hammer);
}

typedef struct RwOrder {
	go_rwmutex rw;
	int in, writers;
	go_chan *go;
	go_waitgroup wg;
} RwOrder;

static void
rw_stay(void *arg)
{
	RwOrder *o = arg;
	go_rwmutex_rlock(&o->rw);
	COUNT(o->in);
	go_chan_recv(o->go, NULL, GO_NEVER);
	go_rwmutex_runlock(&o->rw);
	go_wg_done(&o->wg);
}

static void
rw_write(void *arg)
{
	RwOrder *o = arg;
	go_rwmutex_lock(&o->rw);
	COUNT(o->writers);
	go_rwmutex_unlock(&o->rw);
	go_wg_done(&o->wg);
}

// Readers are in together; a writer that waits keeps new ones out and comes next.
static int
rw_order(void *arg)
{
	(void)arg;
	RwOrder o = {.go = go_chan_new(0, 0)};
	go_wg_add(&o.wg, 5);
	spawn_n(3, rw_stay, &o);
	until(&o.in, 3);
	expect(!go_rwmutex_try_lock(&o.rw));
	expect(go_rwmutex_try_rlock(&o.rw));
	go_rwmutex_runlock(&o.rw);

	spawn_n(1, rw_write, &o);
	while (go_rwmutex_try_rlock(&o.rw)) { // until it waits
		go_rwmutex_runlock(&o.rw);
		go_sleep(100 * GO_USEC);
	}
	spawn_n(1, rw_stay, &o);
	go_sleep(2 * GO_MSEC);
	expect_eq(LOOK(o.in), 3);
	expect_eq(LOOK(o.writers), 0);
	for (int i = 0; i < 3; i++)
		go_chan_send(o.go, NULL, GO_NEVER);
	until(&o.in, 4);
	expect_eq(LOOK(o.writers), 1);
	go_chan_send(o.go, NULL, GO_NEVER);
	go_wg_wait(&o.wg, GO_NEVER);
	go_chan_free(o.go);
	return 0;
}

void
test_rwmutex_order(void)
{
	run(rw_order);
}

// --- cond -------------------------------------------------------------------------------------

typedef struct Conds {
	go_mutex m;
	go_cond c;
	go_waitgroup wg;
	int waiting, awake, ready; // under m
	int timed_out;
	int each;
	int order[64];
} Conds;

static void
cond_waiter(void *arg)
{
	Conds *k = arg;
	go_mutex_lock(&k->m);
	k->waiting++;
	expect_eq(go_cond_wait(&k->c, &k->m, GO_NEVER), 0);
	k->awake++;
	go_mutex_unlock(&k->m);
	go_wg_done(&k->wg);
}

// Waits until n goroutines wait, then returns with the mutex held.
static void
lock_when_waiting(Conds *k, int n)
{
	for (;; go_sleep(100 * GO_USEC)) {
		go_mutex_lock(&k->m);
		if (k->waiting == n)
			return;
		go_mutex_unlock(&k->m);
	}
}

static void
expect_awake(Conds *k, int n)
{
	for (;; go_sleep(100 * GO_USEC)) {
		go_mutex_lock(&k->m);
		int awake = k->awake;
		go_mutex_unlock(&k->m);
		expect(awake <= n);
		if (awake == n)
			return;
	}
}

// A signal wakes one, a broadcast all, and one that nobody waits for is gone.
static int
cond_basic(void *arg)
{
	(void)arg;
	enum { N = 10 };
	Conds k = {0};
	go_cond_signal(&k.c);
	go_cond_broadcast(&k.c);
	go_wg_add(&k.wg, 2 * N);
	spawn_n(N, cond_waiter, &k);
	lock_when_waiting(&k, N);
	go_mutex_unlock(&k.m);
	for (int i = 1; i <= N; i++) {
		go_cond_signal(&k.c);
		expect_awake(&k, i);
	}
	go_cond_signal(&k.c);
	spawn_n(N, cond_waiter, &k);
	lock_when_waiting(&k, 2 * N);
	go_cond_broadcast(&k.c);
	go_mutex_unlock(&k.m);
	go_wg_wait(&k.wg, GO_NEVER);
	expect_eq(k.awake, 2 * N);
	return 0;
}

void
test_cond_signal_and_broadcast(void)
{
	run(cond_basic);
}

typedef struct Turn {
	Conds *k;
	int id;
} Turn;

static void
cond_in_turn(void *arg)
{
	Turn *t = arg;
	go_mutex_lock(&t->k->m);
	t->k->waiting++;
	expect_eq(go_cond_wait(&t->k->c, &t->k->m, GO_NEVER), 0);
	t->k->order[t->k->awake++] = t->id;
	go_mutex_unlock(&t->k->m);
	go_wg_done(&t->k->wg);
}

// A signal wakes who has waited longest, not whoever is fastest.
static int
cond_generations(void *arg)
{
	(void)arg;
	enum { N = 60 };
	Conds k = {0};
	Turn turns[N];
	go_wg_add(&k.wg, N);
	for (int i = 0; i < N; i++) {
		turns[i] = (Turn){&k, i};
		spawn_n(1, cond_in_turn, &turns[i]);
		lock_when_waiting(&k, i + 1);
		if (i > 0)
			go_cond_signal(&k.c);
		go_mutex_unlock(&k.m);
		expect_awake(&k, i);
	}
	go_cond_signal(&k.c);
	go_wg_wait(&k.wg, GO_NEVER);
	for (int i = 0; i < N; i++)
		expect_eq(k.order[i], i);
	return 0;
}

void
test_cond_generations(void)
{
	run(cond_generations);
}

static void
cond_impatient(void *arg)
{
	Conds *k = arg;
	uint64_t r = (uint64_t)(uintptr_t)&r;
	go_mutex_lock(&k->m);
	for (int i = 0; i < k->each; i++) {
		while (k->ready == 0) {
			int64_t wait = (int64_t)(test_rand(&r) % 40) * GO_USEC;
			int err = go_cond_wait(&k->c, &k->m, go_in(wait));
			expect(err == 0 || err == GO_ETIMEDOUT);
			k->timed_out += err != 0;
		}
		k->ready--;
	}
	go_mutex_unlock(&k->m);
	go_wg_done(&k->wg);
}

static void
cond_patient(void *arg)
{
	Conds *k = arg;
	go_mutex_lock(&k->m);
	for (int i = 0; i < k->each; i++) {
		while (k->ready == 0)
			expect_eq(go_cond_wait(&k->c, &k->m, GO_NEVER), 0);
		k->ready--;
		if (k->ready > 0) // a signal that a patient one took may have been meant for two
			go_cond_signal(&k->c);
	}
	go_mutex_unlock(&k->m);
	go_wg_done(&k->wg);
}

static void
cond_giver(void *arg)
{
	Conds *k = arg;
	for (int i = 0; i < k->each; i++) {
		go_mutex_lock(&k->m);
		k->ready++;
		if (i % 2 == 0)
			go_cond_signal(&k->c);
		go_mutex_unlock(&k->m);
		if (i % 2 != 0)
			go_cond_broadcast(&k->c);
	}
	go_wg_done(&k->wg);
}

// A deadline that comes together with a signal does not eat it. Nobody is left behind.
static int
cond_deadlines(void *arg)
{
	(void)arg;
	Conds k = {.each = (int)test_scale(5000)};
	go_mutex_lock(&k.m);
	int64_t start = go_now();
	expect_eq(go_cond_wait(&k.c, &k.m, go_in(10 * GO_MSEC)), GO_ETIMEDOUT);
	expect(go_now() - start >= 10 * GO_MSEC);
	expect_eq(go_cond_wait(&k.c, &k.m, GO_POLL), GO_ETIMEDOUT);
	expect(!go_mutex_try_lock(&k.m));
	go_mutex_unlock(&k.m);

	go_wg_add(&k.wg, 6);
	spawn_n(2, cond_impatient, &k);
	spawn_n(1, cond_patient, &k);
	spawn_n(3, cond_giver, &k);
	go_wg_wait(&k.wg, GO_NEVER);
	expect_eq(k.ready, 0);
	return 0;
}

void
test_cond_deadlines(void)
{
	run(cond_deadlines);
}

static int
cond_scoped(void *arg)
{
	Conds *k = arg;
	go_mutex_lock(&k->m);
	int err = go_cond_wait(&k->c, &k->m, GO_NEVER);
	expect(!go_mutex_try_lock(&k->m)); // held, whatever the result
	go_mutex_unlock(&k->m);
	return err == GO_ECANCELED ? 0 : GO_EINVAL;
}

static int
wg_scoped(void *arg)
{
	return go_wg_wait(arg, GO_NEVER) == GO_ECANCELED ? 0 : GO_EINVAL;
}

static int
sem_scoped(void *arg)
{
	return go_sem_acquire(arg, GO_NEVER) == GO_ECANCELED ? 0 : GO_EINVAL;
}

// Cancelling a scope ends these waits too.
static int
canceled(void *arg)
{
	(void)arg;
	Conds k = {0};
	go_waitgroup wg = {0};
	go_sem sem = {0};
	go_wg_add(&wg, 1);
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	for (int i = 0; i < 3; i++) {
		expect_eq(go_scope_spawn(&s, cond_scoped, &k), 0);
		expect_eq(go_scope_spawn(&s, wg_scoped, &wg), 0);
		expect_eq(go_scope_spawn(&s, sem_scoped, &sem), 0);
	}
	go_sleep(5 * GO_MSEC);
	go_scope_cancel(&s);
	int err = go_scope_wait(&s);
	expect(err == GO_ECANCELED || err == 0);
	go_sem_release(&sem, 1); // nobody is queued to take it
	expect_eq(go_sem_acquire(&sem, GO_POLL), 0);
	go_wg_done(&wg);
	expect_eq(go_wg_wait(&wg, GO_POLL), 0);
	return 0;
}

void
test_sync_cancel(void)
{
	run(canceled);
}

// --- waitgroup --------------------------------------------------------------------------------

typedef struct Group {
	go_waitgroup *a, *b;
	go_chan *out;
	long plain;
} Group;

static void
group_member(void *arg)
{
	Group *g = arg;
	go_wg_done(g->a);
	expect_eq(go_wg_wait(g->b, GO_NEVER), 0);
	go_chan_send(g->out, NULL, GO_NEVER);
}

static int
wg_basic(void *arg)
{
	(void)arg;
	enum { N = 16 };
	go_waitgroup a = {0}, b = {0};
	for (int round = 0; round < 8; round++) { // and may be used again
		Group g = {&a, &b, go_chan_new(0, N), 0};
		expect_eq(go_wg_wait(&a, GO_POLL), 0);
		go_wg_add(&a, N);
		go_wg_add(&b, 1);
		spawn_n(N, group_member, &g);
		expect_eq(go_wg_wait(&a, GO_NEVER), 0);
		expect_eq(go_wg_wait(&b, GO_POLL), GO_EAGAIN);
		expect_eq(go_wg_wait(&b, go_in(GO_MSEC)), GO_ETIMEDOUT);
		expect_eq(go_chan_recv(g.out, NULL, GO_POLL), GO_EAGAIN);
		go_wg_done(&b);
		for (int i = 0; i < N; i++)
			expect_eq(go_chan_recv(g.out, NULL, GO_NEVER), 0);
		go_chan_free(g.out);
	}
	return 0;
}

void
test_wg_waits(void)
{
	run(wg_basic);
}

static void
wg_work(void *arg)
{
	Group *g = arg;
	__atomic_fetch_add(&g->plain, 1, __ATOMIC_RELAXED);
	go_wg_done(g->a);
}

// The group lies in the waiter's frame, which is gone as soon as the wait returns; with deadlines
// that come about when the count does.
static void
wg_in_frame(uint64_t *r, Group *g)
{
	go_waitgroup wg = {0};
	int64_t wait = (int64_t)(test_rand(r) % 20) * GO_USEC;
	g->a = &wg;
	go_wg_add(&wg, 3);
	spawn_n(3, wg_work, g);
	while (go_wg_wait(&wg, test_rand(r) % 2 != 0 ? GO_NEVER : go_in(wait)) != 0)
		;
	memset(&wg, 0xee, sizeof(wg));
}

static int
wg_frames(void *arg)
{
	Group g = {0};
	long rounds = test_scale(5000);
	for (long i = 0; i < rounds; i++)
		wg_in_frame(arg, &g);
	expect_eq(g.plain, 3 * rounds);
	return 0;
}

void
test_wg_in_frame(void)
{
	uint64_t seed = test_seed();
	expect_eq(go_run(wg_frames, &seed), 0);
}

// --- once -------------------------------------------------------------------------------------

typedef struct Once {
	go_once once;
	go_waitgroup wg;
	int calls; // inside once
} Once;

static void
call_slowly(void *arg)
{
	Once *o = arg;
	go_sleep(GO_MSEC);
	o->calls++;
}

static void
once_user(void *arg)
{
	Once *o = arg;
	go_once_do(&o->once, call_slowly, o);
	expect_eq(o->calls, 1);
	go_wg_done(&o->wg);
}

static int
once(void *arg)
{
	(void)arg;
	for (long i = test_scale(50); i > 0; i--) {
		Once o = {0};
		go_wg_add(&o.wg, 10);
		spawn_n(10, once_user, &o);
		go_wg_wait(&o.wg, GO_NEVER);
		expect_eq(o.calls, 1);
	}
	return 0;
}

void
test_once_calls_once(void)
{
	run(once);
}

typedef struct Leave {
	go_once inner, outer, before;
	int begun;
} Leave;

static void
once_nothing(void *arg)
{
	(void)arg;
}

static void
once_never(void *arg)
{
	(void)arg;
	expect(false);
}

static void
once_leave(void *arg)
{
	Leave *l = arg;
	COUNT(l->begun);
	go_sleep(100 * GO_USEC);
	go_exit();
}

static void
once_leave_deeper(void *arg)
{
	go_once_do(&((Leave *)arg)->inner, once_leave, arg);
}

static int
once_leaver(void *arg)
{
	Leave *l = arg;
	go_once_do(&l->before, once_nothing, NULL);
	go_once_do(&l->outer, once_leave_deeper, l);
	expect(false);
	return 0;
}

static int
once_exit(void *arg)
{
	(void)arg;
	for (long i = test_scale(100); i > 0; i--) {
		Leave l = {0};
		go_scope s;
		go_scope_open(&s, GO_NEVER);
		expect_eq(go_scope_spawn(&s, once_leaver, &l), 0);
		while (LOOK(l.begun) == 0)
			go_yield();
		go_once_do(&l.inner, once_never, NULL);
		go_once_do(&l.outer, once_never, NULL);
		go_once_do(&l.before, once_never, NULL);
		expect_eq(go_scope_wait(&s), 0);
	}
	return 0;
}

// A function that ends with its goroutine has been called, as in Go; who waits for it goes on.
void
test_once_ends_with_go_exit(void)
{
	run(once_exit);
}

// --- semaphore --------------------------------------------------------------------------------

typedef struct Sems {
	go_sem s;
	go_waitgroup wg;
	int inside, ids, each;
} Sems;

static void
sem_user(void *arg)
{
	Sems *k = arg;
	uint64_t r = (uint64_t)COUNT(k->ids) + 1;
	for (int i = 0; i < k->each; i++) {
		uint64_t x = test_rand(&r);
		int64_t deadline = x % 4 == 0   ? GO_POLL
				   : x % 4 == 1 ? GO_NEVER
						: go_in((int64_t)(x >> 8) % (30 * GO_USEC));
		int err = go_sem_acquire(&k->s, deadline);
		expect(err == 0 || err == GO_EAGAIN || err == GO_ETIMEDOUT);
		if (err != 0)
			continue;
		expect(__atomic_add_fetch(&k->inside, 1, __ATOMIC_RELAXED) <= 3);
		if (i % 8 == 0)
			go_yield();
		__atomic_add_fetch(&k->inside, -1, __ATOMIC_RELAXED);
		go_sem_release(&k->s, 1);
	}
	go_wg_done(&k->wg);
}

// Three permits, many that want one and often give up: never more inside, none lost at the end.
static int
sem_limits(void *arg)
{
	(void)arg;
	Sems k = {.each = (int)test_scale(5000)};
	go_sem_init(&k.s, 3);
	go_wg_add(&k.wg, 8);
	spawn_n(8, sem_user, &k);
	go_wg_wait(&k.wg, GO_NEVER);
	for (int i = 0; i < 3; i++)
		expect_eq(go_sem_acquire(&k.s, GO_POLL), 0);
	expect_eq(go_sem_acquire(&k.s, GO_POLL), GO_EAGAIN);
	expect_eq(go_sem_acquire(&k.s, go_in(GO_MSEC)), GO_ETIMEDOUT);
	go_sem_release(&k.s, 0);
	go_sem_release(&k.s, 2);
	expect_eq(go_sem_acquire(&k.s, 1), 0);
	expect_eq(go_sem_acquire(&k.s, GO_NEVER), 0);
	return 0;
}

void
test_sem_limits(void)
{
	run(sem_limits);
}
