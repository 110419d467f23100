// SPDX-License-Identifier: BSD-3-Clause
// Running, stopping, setting and moving timers, src/timer/timer.c and heap.c: a P's owner and a
// thief run the same heap, others stop and set its timers, with the engine's lock.
//
// Everything a timer's function does and everything its owner does once the timer is his is a plain
// write: a function that still runs when timer_stop has returned (T2), or is not seen by who found
// the timer fired (O1), is a data race. Firings and stops are counted: each setting ends once (T5).
#include "explore_arch.h"

#include "explore_lock.h"

// chan.h pins that ATOMIC adds nothing to a field's size, which is not so here; timers need of it
// a name only.
#define UNDERGO_CHAN_CHAN_H
typedef struct go_chan Hchan;

#include "sync/biased.c"

#include "timer/heap.c"

#include "timer/timer.c"

#include <string.h>

enum { NOW = 10 };

typedef struct Alarm {
	Timer timer;
	int fired;
	int owned; // written by the function, and by the owner when the timer is his
} Alarm;

static P ps[2];
static P *const all_ps[2] = {&ps[0], &ps[1]};
static M ms[3];
static Timers heaps[2];
static Alarm alarms[2];
static int settings, stops; // of alarms[0]

// --- what lies around the code under test -------------------------------------------------------

ProcSnapshot
sched_procs(void)
{
	return (ProcSnapshot){2, all_ps};
}

void
sched_timer_moved(int64_t when)
{
	(void)when;
}

// --- set-up -----------------------------------------------------------------------------------

static int64_t
fire(Timer *t, Firing *f)
{
	Alarm *a = container_of(t, Alarm, timer);
	EXPLORE_CHECK(f->when <= f->now, "T4: early");
	PLAIN_WRITE(a->owned, a->owned + 1);
	a->fired++;
	return TIMER_DONE;
}

// One that frees itself, as a sleeper's does.
static int64_t
fire_and_go(Timer *t, Firing *f)
{
	(void)fire(t, f);
	timer_let_go(t);
	return TIMER_GONE;
}

static void
begin(TimerFire *fn)
{
	explore_thread_local(&explore_words, sizeof(explore_words));
	memset(ps, 0, sizeof(ps));
	memset(ms, 0, sizeof(ms));
	memset(heaps, 0, sizeof(heaps));
	memset(alarms, 0, sizeof(alarms));
	settings = 1;
	stops = 0;
	for (int i = 0; i < 2; i++) {
		heap_init(&heaps[i].heap);
		heaps[i].p = &ps[i];
		ps[i].timers = &heaps[i];
		store_rlx(&ps[i].timer_when, INT64_MAX);
		ms[i].p = &ps[i];
		store_rlx(&ms[i].lease.inrt, 1);
	}
	for (int i = 0; i < 2; i++) {
		Alarm *a = &alarms[i];
		timer_init(&a->timer, fn);
		heap_push(&heaps[0].heap, &a->timer, NOW - 1 + i);
		store_rlx(&a->timer.ts, &heaps[0]);
	}
	store_rlx(&ps[0].timer_when, NOW - 1);
}

static void
init(void)
{
	begin(fire);
}

static void
init_going(void)
{
	begin(fire_and_go);
}

static void
be(int id)
{
	explore_words.m = &ms[id];
}

static void
stop(Alarm *a)
{
	if (timer_stop(&a->timer))
		stops++;
	PLAIN_WRITE(a->owned, a->owned + 1); // his now, whoever ended the setting
}

static void
final(void)
{
	heap_verify(&heaps[0].heap);
	heap_verify(&heaps[1].heap);
	int left = load_rlx(&alarms[0].timer.ts) != NULL;
	EXPLORE_CHECK(alarms[0].fired + stops + left == settings, "T5: a setting ends once");
	for (int i = 0; i < 2; i++)
		EXPLORE_CHECK(load_rlx(&ps[i].timer_when) == heap_first(&heaps[i].heap).when, "T3");
}

// --- tests ------------------------------------------------------------------------------------

static void
owner_and_thief(int id)
{
	be(id);
	if (id == 2)
		stop(&alarms[0]);
	else
		(void)up_timers_run(&ps[0], NOW);
}

// Two want to stop one timer; one of them does, or the function did.
static void
two_stop(int id)
{
	be(id);
	if (id == 0)
		(void)up_timers_run(&ps[0], NOW);
	else if (timer_stop(&alarms[0].timer))
		stops++;
}

// Set again from another P, fired or not.
static void
set_again(int id)
{
	be(id);
	if (id == 0) {
		(void)up_timers_run(&ps[0], NOW);
	} else if (id == 1) {
		if (!timer_set(&alarms[0].timer, 2 * NOW, NULL, 0))
			settings++;
	} else {
		(void)up_timers_run(&ps[0], 2 * NOW);
		(void)up_timers_run(&ps[1], 2 * NOW);
	}
}

// The P goes away while somebody without one stops its timer.
static void
move(int id)
{
	be(id);
	if (id == 0)
		up_timers_move(&ps[0], &ps[1]);
	else if (id == 1)
		stop(&alarms[0]);
	else
		(void)up_timers_run(&ps[1], NOW);
}

// A timer that is not set, set by two from different Ps, fired in between: who sets it anew sees
// what its function did.
static void
init_unset(void)
{
	begin(fire);
	heap_remove(&heaps[0].heap, &alarms[0].timer);
	store_rlx(&alarms[0].timer.ts, NULL);
	store_rlx(&ps[0].timer_when, NOW);
	settings = 0;
}

static void
own(Timer *t, int64_t arg)
{
	Alarm *a = container_of(t, Alarm, timer);
	(void)arg;
	PLAIN_WRITE(a->owned, a->owned + 1);
}

static void
two_set(int id)
{
	be(id);
	if (!timer_set(&alarms[0].timer, NOW - id, own, 0))
		settings++;
	(void)up_timers_run(&ps[id], NOW);
}

static const struct ExploreTest tests[] = {
    {.name = "owner, thief, stop",
     .threads = 3,
     .init = init,
     .thread = owner_and_thief,
     .final = final},
    {.name = "one that lets go of itself",
     .threads = 3,
     .init = init_going,
     .thread = owner_and_thief,
     .final = final},
    {.name = "two stop", .threads = 3, .init = init, .thread = two_stop, .final = final},
    {.name = "set again", .threads = 3, .init = init, .thread = set_again, .final = final},
    {.name = "two set", .threads = 2, .init = init_unset, .thread = two_set, .final = final},
    {.name = "move", .threads = 3, .init = init, .thread = move, .final = final},
    {0},
};

static const struct ExploreAllowed allowed[] = {
    {"publish", "store_rel(&ts->p->timer_when)", "release", "a hint, looked at again locked (O2)"},
    {"up_timers_run", "load_acq(&pp->timer_when)", "acquire",
     "a hint, looked at again locked (O2)"},
    {0},
};

static const char *const sources[] = {"timer/timer.c", "timer/timer.h", NULL};

const struct ExploreDriver explore_driver = {
    .name = "timersteal",
    .tests = tests,
    .allowed = allowed,
    .sources = sources,
};
