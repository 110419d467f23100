// SPDX-License-Identifier: BSD-3-Clause
// Timers: something that happens at a time, no earlier, and goroutines that wait for one.
//
// Reading order and the protocols that span files: src/timer/README.
#ifndef UNDERGO_TIMER_TIMER_H
#define UNDERGO_TIMER_TIMER_H

#include "base/base.h"
#include "chan/chan.h"
#include "sched/sched.h"

typedef struct Timers Timers;
typedef struct Timer Timer;

// --- timers of the runtime's own: a member of what they belong to -------------------------------

enum { FIRING_POSTS = 16 };

// A round of firing, as the functions that fire see it.
typedef struct Firing {
	int64_t now;    // not later than the clock
	int64_t when;   // what the timer was set to
	G *spare;       // a goroutine, held, for who starts one; NULL: ask with TIMER_WANTS_G
	bool no_memory; // it was asked for and there is none
	uint32_t posts;
	struct {
		void (*fn)(void *);
		void *arg;
	} post[FIRING_POSTS]; // run after the heap is unlocked
} Firing;

// What a firing function returns unless it is the time at which to fire again.
enum {
	TIMER_DONE = 0,     // it has fired; the runner lets go of it
	TIMER_GONE = -1,    // the function has let go of it with timer_let_go: it may be no more
	TIMER_WANTS_G = -2, // nothing was done; call again with Firing.spare or Firing.no_memory
};

// Runs when the timer fires, with its heap's lock held: short, waits for nobody, and neither adds
// nor stops timers. What is longer is posted.
// Locks: timers held.  Stack: g0.  Allocates: no.
typedef int64_t TimerFire(Timer *t, Firing *f);

struct Timer {
	ATOMIC(Timers *) ts; // the heap it is in, NULL none; see T1 in timer.c
	TimerFire *fire;     // set before publication
	int64_t when;        // ts->lock
	Timer *next;         // ts->lock: list of those beyond the heap
	ATOMIC_U32 index;    // ts->lock writes: place in the heap; a hint to timer_move_here
};

// An object before anyone else can see it.
static inline void
timer_init(Timer *t, TimerFire *fire)
{
	init_plain(&t->ts, NULL);
	t->fire = fire;
}

// Sets a timer that nobody else sets or stops at the same time and that is not set. INT64_MAX is a
// time like any other.
// Locks: takes timers; the caller holds none before chan.  Blocks: no.  Allocates: seldom.
void timer_add(Timer *t, int64_t when);

// Keeps it from firing. True when this call did, false when it is not set. Either way its firing
// function is not running any more, and the timer not touched again.
// Locks: takes timers.  Blocks: no.  Allocates: no.
bool timer_stop(Timer *t);

// Sets a timer, whatever it did before; true when it was set. Any number of calls may overlap, with
// timer_stop too. hook(t, arg), unless NULL, runs under the lock once the old setting is over and
// before the new one counts.
typedef void TimerHook(Timer *t, int64_t arg);
bool timer_set(Timer *t, int64_t when, TimerHook *hook, int64_t arg);
// The same, true, where it is one step: t is set, in the heap of this P, and the caller's, as mine
// says under the lock. Else nothing was done. t may be no more, and its memory somebody else's, as
// long as it can be read: it is a timer if the heap says so.
// Locks: takes timers.  Blocks: no.  Inside the runtime.
typedef bool TimerMine(const Timer *t, const void *arg);
bool timer_move_here(Timer *t, int64_t when, TimerMine *mine, const void *arg);
// timer_stop with such a hook. When the timer was not set the hook runs without a lock.
bool timer_stop_with(Timer *t, TimerHook *hook);

// For firing functions that make their timer's owner go on: after this the timer may be gone.
static inline void
timer_let_go(Timer *t)
{
	store_rel(&t->ts, NULL); // order: publish -> timer_stop, timer_set
}

// For firing functions: fn(arg) runs after the lock is given up, on the same stack. It may add and
// stop timers, and waits for nobody. There is always room for one post per call.
static inline void
timer_post(Firing *f, void (*fn)(void *), void *arg)
{
	check(f->posts < FIRING_POSTS, "timer_post: no room");
	f->post[f->posts].fn = fn;
	f->post[f->posts++].arg = arg;
}

// Timers that have fired since the start.
uint64_t timer_fired(void);
// Walks the heap of pp and checks its invariants. Locks: takes timers.
void timer_verify(P *pp);

// --- goroutines that wait for a time ------------------------------------------------------------

// 0 when the time has come, GO_ECANCELED.  Blocks: G.
int timer_sleep(int64_t ns);
int timer_sleep_until(int64_t deadline);

// --- timers of the program ----------------------------------------------------------------------

typedef struct go_timer UserTimer;

UserTimer *timer_after_func(int64_t delay_ns, void (*fn)(void *), void *arg); // NULL: no memory
UserTimer *timer_new(int64_t delay_ns);
UserTimer *timer_ticker_new(int64_t period_ns);
Hchan *timer_chan(UserTimer *u);
bool timer_user_stop(UserTimer *u);
bool timer_user_reset(UserTimer *u, int64_t delay_ns);
void timer_user_free(UserTimer *u);

#endif
