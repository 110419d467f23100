// SPDX-License-Identifier: BSD-3-Clause
// undergo/scope.h. Each promise of the header has a test; the rest are races between cancellation,
// deadlines, children that begin or end a wait, and scopes that close.
#include <undergo.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "harness.h"

static atomic_int count;

static int
add_one(void *arg)
{
	(void)arg;
	go_sleep(GO_MSEC / 2);
	atomic_fetch_add(&count, 1);
	return 0;
}

static int
wait_for_end(void *arg)
{
	(void)arg;
	int err = go_sleep_until(GO_NEVER);
	expect_eq(err, GO_ECANCELED);
	expect(go_canceled());
	atomic_fetch_add(&count, 1);
	return err;
}

static atomic_int spawned;

// Up to n children, unless the deadline comes first on a busy machine.
static void
spawn_before_end(go_scope *s, int n)
{
	for (int i = 0; i < n; i++) {
		int err = go_scope_spawn(s, wait_for_end, NULL);
		expect(err == 0 || err == GO_ECANCELED);
		atomic_fetch_add(&spawned, err == 0);
	}
}

static int
fail(void *arg)
{
	return (int)(intptr_t)arg;
}

// --- waiting and results ------------------------------------------------------------------------

static int
waits_for_all(void *arg)
{
	(void)arg;
	int data[20] = {0};
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	expect_eq(go_scope_wait(&s), 0);
	for (int round = 1; round <= 20; round++) {
		go_scope_open(&s, round % 2 != 0 ? GO_NEVER : go_in(3600 * GO_SEC));
		for (int i = 0; i < 20; i++)
			expect_eq(go_scope_spawn(&s, add_one, &data[i]), 0);
		expect_eq(go_scope_wait(&s), 0);
		expect_eq(atomic_load(&count), 20 * round);
	}
	return 0;
}

void
test_scope_waits_for_all(void)
{
	expect_eq(go_run(waits_for_all, NULL), 0);
}

static int
first_error(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	for (int i = 0; i < 5; i++)
		expect_eq(go_scope_spawn(&s, wait_for_end, NULL), 0);
	expect_eq(go_scope_spawn(&s, fail, (void *)(intptr_t)5), 0);
	go_sleep(GO_MSEC);
	expect_eq(atomic_load(&count), 0);
	expect_eq(go_scope_spawn(&s, fail, (void *)(intptr_t)-77), 0);
	expect_eq(go_scope_wait(&s), -77);
	expect_eq(atomic_load(&count), 5);
	return 0;
}

// A positive result is no error. The first negative one cancels the others and is the scope's.
void
test_scope_first_error_counts(void)
{
	expect_eq(go_run(first_error, NULL), 0);
}

static int
leave(void *arg)
{
	(void)arg;
	atomic_fetch_add(&count, 1);
	go_exit();
}

static int
exit_is_0(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	for (int i = 0; i < 10; i++)
		expect_eq(go_scope_spawn(&s, leave, NULL), 0);
	expect_eq(go_scope_wait(&s), 0);
	expect_eq(atomic_load(&count), 10);
	return 0;
}

void
test_scope_exit_is_success(void)
{
	expect_eq(go_run(exit_is_0, NULL), 0);
}

static int
spawn_more(void *arg)
{
	go_scope *s = arg;
	if (atomic_fetch_add(&count, 1) < 100)
		for (int i = 0; i < 2; i++)
			expect_eq(go_scope_spawn(s, spawn_more, s), 0);
	return 0;
}

static int
children_spawn(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	expect_eq(go_scope_spawn(&s, spawn_more, &s), 0);
	expect_eq(go_scope_wait(&s), 0);
	expect_eq(atomic_load(&count), 201);
	return 0;
}

void
test_scope_children_spawn(void)
{
	expect_eq(go_run(children_spawn, NULL), 0);
}

static int
has_name(void *arg)
{
	(void)arg;
	char deep[512 * 1024];
	memset(deep, 1, sizeof(deep));
	expect_str(go_name(), "worker");
	return deep[go_id() % sizeof(deep)];
}

static int
attributes(void *arg)
{
	(void)arg;
	go_scope s;
	go_attr attr = {.stack_bytes = 1024 * 1024, .name = "worker"};
	go_attr huge = {.stack_bytes = (size_t)1 << 40};
	go_scope_open(&s, GO_NEVER);
	expect_eq(go_scope_spawn_with(&s, &attr, has_name, NULL), 0);
	expect_eq(go_scope_spawn_with(&s, &huge, has_name, NULL), GO_EINVAL);
	expect_eq(go_scope_spawn_with(&s, &attr, NULL, NULL), GO_EINVAL);
	expect_eq(go_scope_spawn(&s, NULL, NULL), GO_EINVAL);
	expect_eq(go_scope_spawn(NULL, fail, NULL), GO_EINVAL);
	expect_eq(go_scope_wait(&s), 0);
	return 0;
}

void
test_scope_spawn_with_attributes(void)
{
	expect_eq(go_run(attributes, NULL), 0);
}

// --- cancelling -------------------------------------------------------------------------------

static go_chan *nobody;

static int
receive(void *arg)
{
	(void)arg;
	int err = go_chan_recv(nobody, NULL, GO_NEVER);
	expect_eq(err, GO_ECANCELED);
	expect_eq(go_chan_recv(nobody, NULL, go_in(GO_SEC)), GO_ECANCELED);
	atomic_fetch_add(&count, 1);
	return 0;
}

static int
send_one(void *arg)
{
	(void)arg;
	char x = 0;
	expect_eq(go_chan_send(nobody, &x, GO_NEVER), GO_ECANCELED);
	atomic_fetch_add(&count, 1);
	return 0;
}

static int
choose(void *arg)
{
	(void)arg;
	go_case cases[] = {GO_CASE_RECV(nobody, NULL), GO_CASE_RECV(NULL, NULL)};
	expect_eq(go_select(cases, 2, GO_NEVER), GO_ECANCELED);
	expect_eq(go_select(NULL, 0, GO_NEVER), GO_ECANCELED);
	atomic_fetch_add(&count, 1);
	return 0;
}

static int
receive_from_nil(void *arg)
{
	(void)arg;
	expect_eq(go_chan_recv(NULL, NULL, GO_NEVER), GO_ECANCELED);
	atomic_fetch_add(&count, 1);
	return 0;
}

static int
cancel_ends_waits(void *arg)
{
	(void)arg;
	go_scope s;
	go_chan *other = nobody = go_chan_new(1, 0);
	go_scope_open(&s, GO_NEVER);
	for (int i = 0; i < 5; i++) {
		expect_eq(go_scope_spawn(&s, receive, NULL), 0);
		expect_eq(go_scope_spawn(&s, choose, NULL), 0);
		expect_eq(go_scope_spawn(&s, receive_from_nil, NULL), 0);
		expect_eq(go_scope_spawn(&s, wait_for_end, NULL), 0);
	}
	go_sleep(2 * GO_MSEC);
	expect_eq(atomic_load(&count), 0);
	go_scope_cancel(&s);
	go_scope_cancel(&s);
	expect_eq(go_scope_spawn(&s, receive, NULL), GO_ECANCELED);
	expect(!go_canceled());
	expect_eq(go_scope_wait(&s), GO_ECANCELED);
	expect_eq(atomic_load(&count), 20);

	go_scope_open(&s, GO_NEVER);
	for (int i = 0; i < 5; i++)
		expect_eq(go_scope_spawn(&s, send_one, NULL), 0);
	go_sleep(GO_MSEC);
	go_scope_cancel(&s);
	expect_eq(go_scope_wait(&s), GO_ECANCELED);
	expect_eq(go_chan_recv(other, NULL, GO_POLL), GO_EAGAIN); // nobody is left in the queue
	go_chan_free(other);
	return 0;
}

void
test_scope_cancel_ends_waits(void)
{
	expect_eq(go_run(cancel_ends_waits, NULL), 0);
}

static go_mutex mutex = GO_MUTEX_INIT;

static int
lock_and_unlock(void *arg)
{
	(void)arg;
	go_mutex_lock(&mutex);
	expect(go_canceled());
	atomic_fetch_add(&count, 1);
	go_mutex_unlock(&mutex);
	return 0;
}

static int
locks_go_on(void *arg)
{
	(void)arg;
	go_scope s;
	go_mutex_lock(&mutex);
	go_scope_open(&s, GO_NEVER);
	for (int i = 0; i < 4; i++)
		expect_eq(go_scope_spawn(&s, lock_and_unlock, NULL), 0);
	go_sleep(GO_MSEC);
	go_scope_cancel(&s);
	go_sleep(GO_MSEC);
	expect_eq(atomic_load(&count), 0);
	go_mutex_unlock(&mutex);
	expect_eq(go_scope_wait(&s), GO_ECANCELED);
	expect_eq(atomic_load(&count), 4);
	return 0;
}

void
test_scope_locks_are_not_canceled(void)
{
	expect_eq(go_run(locks_go_on, NULL), 0);
}

static int
deadlines(void *arg)
{
	(void)arg;
	go_scope s;
	int64_t from = go_now();
	go_scope_open(&s, go_in(3 * GO_MSEC));
	spawn_before_end(&s, 5);
	// The opener's own wait is not cancelled, and the children end while it goes on.
	expect_eq(go_sleep(6 * GO_MSEC), 0);
	while (atomic_load(&count) < atomic_load(&spawned))
		expect_eq(go_sleep(GO_MSEC), 0);
	expect_eq(go_scope_spawn(&s, add_one, NULL), GO_ECANCELED);
	expect_eq(go_scope_wait(&s), GO_ETIMEDOUT);
	expect(go_now() >= from + 3 * GO_MSEC);

	go_scope_open(&s, GO_POLL);
	expect_eq(go_scope_spawn(&s, add_one, NULL), GO_ECANCELED);
	expect_eq(go_scope_wait(&s), GO_ETIMEDOUT);
	return 0;
}

void
test_scope_deadline(void)
{
	expect_eq(go_run(deadlines, NULL), 0);
}

// --- scopes within scopes -----------------------------------------------------------------------

static int
nest(void *arg)
{
	intptr_t depth = (intptr_t)arg;
	go_scope s;
	go_scope_open(&s, depth % 2 != 0 ? GO_NEVER : go_in(3600 * GO_SEC));
	for (int i = 0; i < 2; i++) {
		int err = go_scope_spawn(&s, depth > 0 ? nest : wait_for_end, (void *)(depth - 1));
		expect(err == 0 || err == GO_ECANCELED);
		if (depth == 0)
			atomic_fetch_add(&spawned, err == 0);
	}
	expect_eq(go_scope_wait(&s), GO_ECANCELED);
	expect(go_canceled());
	return 0;
}

static int
nested(void *arg)
{
	(void)arg;
	go_scope s;
	for (int round = 0; round < 30; round++) {
		int64_t deadline = round % 3 == 1 ? go_in(GO_MSEC) : GO_NEVER;
		go_scope_open(&s, deadline);
		int err = go_scope_spawn(&s, nest, (void *)(intptr_t)5);
		expect(err == 0 || (err == GO_ECANCELED && go_now() >= deadline));
		while (round % 3 == 0 && atomic_load(&spawned) < 64) // the whole tree stands
			go_sleep(GO_MSEC);
		if (round % 3 == 2)
			go_sleep(round * 30 * GO_USEC);
		if (round % 3 != 1)
			go_scope_cancel(&s);
		expect_eq(go_scope_wait(&s), round % 3 == 1 ? GO_ETIMEDOUT : GO_ECANCELED);
		expect_eq(atomic_exchange(&count, 0), atomic_exchange(&spawned, 0));
	}
	return 0;
}

// Cancelling reaches every depth, also while inner scopes are being opened and filled.
void
test_scope_cancel_reaches_inner(void)
{
	expect_eq(go_run(nested, NULL), 0);
}

static int
inner_fails(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	expect_eq(go_scope_spawn(&s, wait_for_end, NULL), 0);
	expect_eq(go_scope_spawn(&s, fail, (void *)(intptr_t)-9), 0);
	expect_eq(go_scope_wait(&s), -9);
	expect(!go_canceled());
	return 0;
}

static int
inner_alone(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	for (int i = 0; i < 10; i++)
		expect_eq(go_scope_spawn(&s, inner_fails, NULL), 0);
	expect_eq(go_scope_wait(&s), 0);
	expect_eq(atomic_load(&count), 10);
	return 0;
}

void
test_scope_inner_ends_alone(void)
{
	expect_eq(go_run(inner_alone, NULL), 0);
}

static int
open_late(void *arg)
{
	go_scope *outer = arg, s;
	go_scope_cancel(outer);
	expect(go_canceled());
	go_scope_open(&s, GO_NEVER);
	expect_eq(go_scope_spawn(&s, add_one, NULL), GO_ECANCELED);
	return go_scope_wait(&s);
}

static int
born_canceled(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	expect_eq(go_scope_spawn(&s, open_late, &s), 0);
	expect_eq(go_scope_wait(&s), GO_ECANCELED);
	return 0;
}

void
test_scope_opened_in_canceled(void)
{
	expect_eq(go_run(born_canceled, NULL), 0);
}

// --- races ------------------------------------------------------------------------------------

static int
begin_waits(void *arg)
{
	go_chan *c = arg;
	uint64_t rand = go_id();
	for (;;) {
		uint64_t r = test_rand(&rand);
		int err;
		if (r % 3 == 0)
			err = go_sleep((int64_t)(r % 3000));
		else if (r % 3 == 1)
			err = go_chan_recv(c, NULL,
					   r % 2 != 0 ? GO_NEVER : go_in((int64_t)(r % 5000)));
		else
			err = go_chan_send(c, &r,
					   r % 2 != 0 ? GO_NEVER : go_in((int64_t)(r % 5000)));
		if (err == GO_ECANCELED)
			return r % 5 == 0 ? err : 0;
	}
}

static int
inside_begin_waits(void *arg)
{
	go_scope s;
	go_scope_open(&s, go_in(200 * GO_USEC));
	for (int i = 0; i < 3; i++)
		(void)go_scope_spawn(&s, begin_waits, arg);
	(void)go_scope_wait(&s);
	return 0;
}

static void
cancel_other(void *arg)
{
	go_sleep(50 * GO_USEC);
	go_scope_cancel(arg);
	atomic_store(&count, 1);
}

static int
cancel_races(void *arg)
{
	(void)arg;
	go_chan *c = go_chan_new(sizeof(uint64_t), 1);
	for (long round = 0, n = test_scale(400); round < n; round++) {
		go_scope s;
		atomic_store(&count, 0);
		go_scope_open(&s, round % 3 != 0 ? GO_NEVER : go_in(round % 7 * 30 * GO_USEC));
		for (int i = 0; i < 6; i++)
			(void)go_scope_spawn(&s, i % 3 == 0 ? inside_begin_waits : begin_waits, c);
		if (round % 3 == 1)
			go_sleep(round % 5 * 20 * GO_USEC);
		if (round % 3 == 2) {
			expect_eq(go_spawn(cancel_other, &s), 0);
			while (atomic_load(&count) == 0)
				go_yield();
		}
		if (round % 3 == 1)
			go_scope_cancel(&s);
		int err = go_scope_wait(&s);
		expect(err == GO_ECANCELED || err == GO_ETIMEDOUT);
	}
	go_chan_free(c);
	return 0;
}

// No child that is about to wait, waits, or wakes is missed by a cancellation from a child, the
// opener, another goroutine or a timer; one that were missed would hang the test.
void
test_scope_cancel_races(void)
{
	expect_eq(go_run(cancel_races, NULL), 0);
}

static int
nap(void *arg)
{
	go_sleep((intptr_t)arg);
	return 0;
}

static int
close_races(void *arg)
{
	(void)arg;
	for (long round = 0, n = test_scale(1000); round < n; round++) {
		go_scope s;
		go_scope_open(&s, go_in(100 * GO_USEC + round % 50 * GO_USEC));
		for (int i = 0; i < 3; i++)
			(void)go_scope_spawn(&s, nap, (void *)(intptr_t)(round % 60 * 1000));
		int err = go_scope_wait(&s);
		expect(err == 0 || err == GO_ETIMEDOUT);
		memset(&s, 0xa5, sizeof(s)); // whoever still touches it shall notice
	}
	return 0;
}

// Deadlines that come while the last child ends and the scope closes.
void
test_scope_close_races(void)
{
	expect_eq(go_run(close_races, NULL), 0);
}

static int
many_children(void *arg)
{
	(void)arg;
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	for (long i = 0, n = test_scale(5000) % 5001; i < n; i++)
		expect_eq(go_scope_spawn(&s, i % 2 != 0 ? add_one : wait_for_end, NULL), 0);
	go_sleep(GO_MSEC);
	go_scope_cancel(&s);
	expect_eq(go_scope_wait(&s), GO_ECANCELED);
	return 0;
}

void
test_scope_many_children(void)
{
	expect_eq(go_run(many_children, NULL), 0);
}

// --- threads ----------------------------------------------------------------------------------

static void *
on_thread(void *arg)
{
	(void)arg;
	go_scope s;
	expect(!go_canceled());
	go_scope_open(&s, GO_NEVER);
	for (int i = 0; i < 10; i++)
		expect_eq(go_scope_spawn(&s, add_one, NULL), 0);
	expect_eq(go_scope_wait(&s), 0);
	go_scope_open(&s, go_in(2 * GO_MSEC));
	spawn_before_end(&s, 10);
	expect_eq(go_scope_wait(&s), GO_ETIMEDOUT);
	expect(!go_canceled());
	return NULL;
}

void
test_scope_on_a_thread(void)
{
	pthread_t other;
	expect_eq(pthread_create(&other, NULL, on_thread, NULL), 0);
	on_thread(NULL);
	pthread_join(other, NULL);
	expect_eq(atomic_load(&count), 20 + atomic_load(&spawned));
}

// --- two who cancel -----------------------------------------------------------------------------

enum { DEPTH = 200 };

static atomic_int cancellers, cancels_returned;
static atomic_bool at_bottom;

// Goes down DEPTH scopes, and looks from the innermost one.
static int
go_down(void *arg)
{
	intptr_t depth = (intptr_t)arg;
	if (depth < DEPTH) {
		go_scope s;
		go_scope_open(&s, GO_NEVER);
		(void)go_scope_spawn(&s, go_down, (void *)(depth + 1));
		return go_scope_wait(&s);
	}
	atomic_store(&at_bottom, true);
	while (atomic_load(&cancels_returned) == 0)
		if (!go_canceled())
			go_yield();
	expect(go_canceled());
	return 0;
}

static int
cancel_top(void *arg)
{
	atomic_fetch_add(&cancellers, 1);
	while (!atomic_load(&at_bottom) || atomic_load(&cancellers) != 2)
		go_yield();
	go_scope_cancel(arg);
	atomic_fetch_add(&cancels_returned, 1);
	return 0;
}

static int
second_waits(void *arg)
{
	(void)arg;
	go_gomaxprocs(4);
	for (long round = 0, n = test_scale(100); round < n; round++) {
		atomic_store(&cancellers, 0);
		atomic_store(&cancels_returned, 0);
		atomic_store(&at_bottom, false);
		go_scope top;
		go_scope_open(&top, GO_NEVER);
		expect_eq(go_scope_spawn(&top, go_down, NULL), 0);
		for (int i = 0; i < 2; i++)
			expect_eq(go_scope_spawn(&top, cancel_top, &top), 0);
		expect_eq(go_scope_wait(&top), GO_ECANCELED);
		expect_eq(atomic_load(&cancels_returned), 2);
	}
	return 0;
}

// Who cancels what another one is cancelling returns when all inside is cancelled, too.
void
test_scope_second_cancel_waits(void)
{
	expect_eq(go_run(second_waits, NULL), 0);
}
