// SPDX-License-Identifier: BSD-3-Clause
// Running and moving timers, seen from inside: what is due fires at most FIRE_AT_ONCE in a row,
// what is posted runs after the unlock, a function without memory for its goroutine is tried again,
// moved timers can be stopped where they went, who yields all the time delays no sleeper, and what
// is no timer any more is not set.
#include <string.h>

#include "harness.h"
#include "os/os.h"
#include "timer/timer_impl.h"
#include "undergo/chan.h"
#include "undergo/goroutine.h"
#include "undergo/runtime.h"
#include "undergo/timer.h"

enum { MANY = 200 };

static ATOMIC_U32 fired, posted;
static Timer timers[MANY];

// Another P's heap without a P that runs it.
static P *
lone_p(void)
{
	static P p;
	init_plain(&p.timer_when, INT64_MAX);
	expect(up_timers_make(&p));
	return &p;
}

static void
put_on(P *pp, Timer *t, int64_t when)
{
	biased_lock(&pp->timers->lock);
	store_rlx(&t->ts, pp->timers);
	heap_push(&pp->timers->heap, t, when);
	store_rel(&pp->timer_when, heap_first(&pp->timers->heap).when);
	biased_unlock(&pp->timers->lock);
}

static void
count_post(void *arg)
{
	P *pp = arg;
	biased_lock(&pp->timers->lock); // for ever if the caller holds it
	biased_unlock(&pp->timers->lock);
	add_rlx(&posted, 1);
}

static P *post_p;

static int64_t
count_fire(Timer *t, Firing *f)
{
	expect(f->now >= f->when && t->when == f->when);
	add_rlx(&fired, 1);
	timer_post(f, count_post, post_p);
	return TIMER_DONE;
}

static int
run_in_batches(void *arg)
{
	(void)arg;
	sched_enter();
	P *pp = post_p = lone_p();
	for (int i = 0; i < MANY; i++) {
		timer_init(&timers[i], count_fire);
		put_on(pp, &timers[i], 1000 + i);
	}
	expect_eq(up_timers_run(pp, 999), 1000);
	expect_eq(load_rlx(&fired), 0);
	expect_eq(up_timers_run(pp, 1000), 1001);
	expect_eq(load_rlx(&fired), 1);
	int64_t next = up_timers_run(pp, 5000);
	expect_eq(load_rlx(&fired), 1 + FIRE_AT_ONCE);
	expect_eq(next, 1000 + 1 + FIRE_AT_ONCE);
	expect_eq(load_rlx(&posted), load_rlx(&fired));
	timer_verify(pp);
	while (next != INT64_MAX)
		next = up_timers_run(pp, 5000);
	expect_eq(load_rlx(&fired), MANY);
	expect_eq(load_rlx(&posted), MANY);
	sched_leave();
	return 0;
}

void
test_timer_run_in_batches(void)
{
	expect_eq(go_run(run_in_batches, NULL), 0);
}

static bool
is_named(const Timer *t, const void *name)
{
	(void)t;
	return name != NULL;
}

static int
move_here(void *arg)
{
	(void)arg;
	sched_enter();
	Timer *t = &timers[0], *far = &timers[1], gone;
	P *there = lone_p();
	int64_t later = os_nanotime() + 3600 * GO_SEC;
	timer_init(t, count_fire);
	timer_init(far, count_fire);
	expect(!timer_move_here(t, 1, is_named, t));
	timer_add(t, later);
	put_on(there, far, later);
	memcpy(&gone, t, sizeof(gone));
	expect(!timer_move_here(&gone, 1, is_named, t)); // it only looks like one
	expect(!timer_move_here(far, 1, is_named, far));
	expect(!timer_move_here(t, 1, is_named, NULL));
	expect_eq(t->when, later);
	expect(timer_move_here(t, INT64_MAX, is_named, t));
	expect_eq(t->when, INT64_MAX - 1);
	timer_verify(sched_m()->p);
	expect(timer_stop(t));
	expect(!timer_move_here(t, 1, is_named, t));
	expect_eq(load_rlx(&fired), 0);
	sched_leave();
	return 0;
}

void
test_timer_moves_what_is_one(void)
{
	expect_eq(go_run(move_here, NULL), 0);
}

static int
move(void *arg)
{
	(void)arg;
	sched_enter();
	P *from = lone_p(), *here = sched_m()->p;
	post_p = from;
	for (int i = 0; i < MANY; i++) {
		timer_init(&timers[i], count_fire);
		put_on(from, &timers[i], os_nanotime() + (i % 2 == 0 ? 3600 * GO_SEC : GO_MSEC));
	}
	up_timers_move(from, here);
	expect_eq(load_rlx(&from->timer_when), INT64_MAX);
	timer_verify(from);
	timer_verify(here);
	int stopped = 0;
	for (int i = 0; i < MANY; i += 2)
		stopped += timer_stop(&timers[i]);
	expect_eq(stopped, MANY / 2);
	timer_verify(here);
	while (load_rlx(&fired) < MANY / 2)
		timer_sleep(GO_MSEC);
	sched_leave();
	return 0;
}

void
test_timer_moved_can_be_stopped(void)
{
	expect_eq(go_run(move, NULL), 0);
}

static int64_t
want_g(Timer *t, Firing *f)
{
	(void)t;
	add_rlx(&fired, 1);
	if (f->no_memory)
		return f->now + 500;
	if (f->spare == NULL)
		return TIMER_WANTS_G;
	return TIMER_DONE; // leaves the spare to the runner
}

static int
leave_spare(void *arg)
{
	(void)arg;
	sched_enter();
	P *pp = lone_p();
	timer_init(&timers[0], want_g);
	put_on(pp, &timers[0], 1000);
	expect_eq(up_timers_run(pp, 2000), INT64_MAX);
	expect_eq(load_rlx(&fired), 2);
	expect(!timer_stop(&timers[0]));
	sched_leave();
	return 0;
}

void
test_timer_spare_goroutine_unused(void)
{
	expect_eq(go_run(leave_spare, NULL), 0);
}

// When t is due next; 0 when it is not set.
static int64_t
when_of(Timer *t)
{
	Timers *ts = load_acq(&t->ts);
	if (ts == NULL)
		return 0;
	biased_lock(&ts->lock);
	int64_t when = t->when;
	biased_unlock(&ts->lock);
	return when;
}

static int
keep_to_grid(void *arg)
{
	(void)arg;
	enum { PERIOD = 300000 };
	sched_enter();
	UserTimer *u = timer_ticker_new(PERIOD);
	Timer *t = (Timer *)(void *)u;
	int64_t first = when_of(t), value;
	for (int i = 0; i < 30; i++) {
		expect_eq(chan_recv(timer_chan(u), &value, GO_NEVER), 0);
		int64_t next = when_of(t);
		expect(next > value);
		expect_eq((next - first) % PERIOD, 0);
		if (i % 3 == 0)
			timer_sleep(PERIOD * 5 / 2);
	}
	timer_user_free(u);
	sched_leave();
	return 0;
}

// A ticker whose reader is late stays on the grid of its first tick.
void
test_ticker_does_not_drift(void)
{
	expect_eq(go_run(keep_to_grid, NULL), 0);
}

static go_chan *hold;

static void
be_held(void *arg)
{
	(void)arg;
	go_chan_recv(hold, NULL, GO_NEVER);
}

static void
note_run(void *arg)
{
	(void)arg;
	add_rlx(&fired, 1);
}

static int
run_out_of_memory(void *arg)
{
	(void)arg;
	hold = go_chan_new(1, 0);
	go_timer *t = go_after_func(3600 * GO_SEC, note_run, NULL);
	expect(os_fault_plan("alloc:*:ENOMEM,map:*:ENOMEM"));
	int err = 0;
	for (int i = 0; i < 200000 && err == 0; i++)
		err = go_spawn(be_held, NULL);
	expect_eq(err, GO_ENOMEM);
	for (int i = 0; i < 3; i++) {
		go_timer_reset(t, 0);
		go_sleep(3 * GO_MSEC);
		expect_eq(load_rlx(&fired), 0);
		expect(go_timer_stop(t)); // it is still to come
	}
	go_timer_reset(t, 0);
	go_sleep(GO_MSEC);
	os_fault_plan(NULL);
	while (load_rlx(&fired) == 0)
		go_sleep(GO_MSEC);
	expect(!go_timer_stop(t));
	go_timer_free(t);
	go_chan_close(hold);
	return 0;
}

// A function whose goroutine finds no memory is started later and can be stopped until then.
void
test_timer_func_without_memory(void)
{
	expect_eq(go_run(run_out_of_memory, NULL), 0);
	expect_eq(load_rlx(&fired), 1);
}

// --- sleeping beside one that yields ------------------------------------------------------------

enum { SLEEPS = 20, LATE_YIELDS = 1000 }; // eight are usual; three seconds would have millions

static ATOMIC(G *) sleeper;
static ATOMIC_I64 due;
static ATOMIC_U32 slept;

static int64_t
never_fires(Timer *t, Firing *f)
{
	(void)t;
	(void)f;
	throw("a timer of an hour has fired");
}

// Between the goroutine's leaving and the scheduler's look at the clock: the only timer goes.
static void
stop_and_ready(void *gp)
{
	expect(timer_stop(&timers[0]));
	sched_ready(gp);
}

static void
sleep_again_and_again(void *arg)
{
	(void)arg;
	sched_enter();
	store_rlx(&sleeper, sched_g());
	for (int i = 0; i < SLEEPS; i++) {
		store_rlx(&due, os_nanotime() + GO_MSEC);
		timer_sleep_until(load_rlx(&due));
	}
	store_rlx(&slept, 1);
	sched_leave();
}

static bool
is_late(void)
{
	G *gp = load_rlx(&sleeper);
	return gp != NULL && load_rlx(&gp->status) == Gwaiting && os_nanotime() >= load_rlx(&due);
}

static int
yield_beside_sleeper(void *arg)
{
	(void)arg;
	sched_enter();
	timer_init(&timers[0], never_fires);
	for (int i = 0; i < 100; i++) {
		timer_add(&timers[0], os_nanotime() + 3600 * GO_SEC);
		sched_park(WAIT_sleep, stop_and_ready, sched_g());
	}
	expect(sched_spawn(sleep_again_and_again, NULL, 0, NULL) != NULL);
	for (int late = 0; load_rlx(&slept) == 0; sched_gosched()) {
		late = is_late() ? late + 1 : 0;
		expect(late < LATE_YIELDS);
	}
	sched_leave();
	return 0;
}

// One P, and a goroutine on it that yields all the time and never leaves the runtime, so nobody
// takes the P away. However slow the machine: between the time of a sleeper and its waking lie few
// yields. They begin after the P has gone to look at the clock again and again, and found that the
// timer it did so for was no more; it counts switches until its next look all the same.
void
test_timer_beside_yields(void)
{
	go_gomaxprocs(1);
	expect_eq(go_run(yield_beside_sleeper, NULL), 0);
}
