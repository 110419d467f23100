// SPDX-License-Identifier: BSD-3-Clause
// Timers: adding, stopping, setting anew, and firing those that are due.
//
// Each P has a heap of timers under a lock of its own. A timer goes into the heap of the P its
// caller runs on, and stays there until it fires, is stopped, or the P goes away. The due timers of
// a P are run by its owner between goroutines, and by others who have nothing better to do.
//
// A timer's life, by Timer.ts and who stores it there:
//
//             timer_add, timer_set (under X.lock)
//    NULL ----------------------------------------> X, in X's heap ---> NULL
//                                                   |  ^     timer_stop (under X.lock)
//               up_timers_move (under both locks)   |  |     run: once fire has returned, or in
//                                                   v  |     fire by timer_let_go (under X.lock)
//                                                   Y
// Invariants:
//   T1  ts == X while, and only while, the timer is in X's heap or its function runs under X.lock.
//       Everything else in the timer is guarded by X.lock then.
//   T2  Who stores NULL into ts does not touch the timer again: it may be freed by who sees it.
//       So when timer_stop has returned, the function is not running and the timer is its owner's.
//   T3  P.timer_when is the time of the earliest timer in the heap whenever its lock is free.
//   T4  A timer is never early: it fires when its time is at most a clock reading of the past.
//   T5  A timer is never lost: it leaves the heap by firing and by being stopped. None is set to
//       INT64_MAX, which in P.timer_when means that there is none: the latest is a moment earlier.
// Locks:  Timers.lock, rank timers. Two at once, by rising address, only in up_timers_move.
// Order:  O1  publish ts = NULL -> who sees it: what the function did comes before a new setting.
//         O2  publish P.timer_when -> readers; a hint to them, they look again under the lock.
// Not done: leaving stopped timers in the heap until they come up. Deadlines are stopped millions
//         of times a second and would fill it; removing one by its index costs less than the clock.
#include "timer/timer_impl.h"

// --- heaps ------------------------------------------------------------------------------------

// The heap for a new timer: that of the P under us, which stays while we are in the runtime.
// The first P never goes away.
static Timers *
timers_here(void)
{
	M *mp = sched_m();
	P *pp = mp != NULL ? mp->p : NULL;
	return pp != NULL ? pp->timers : sched_procs().p[0]->timers;
}

// Whether the heap is that of our own P: then we play its lock's owner, and nobody else does, as
// inside the runtime an M owns its P outright (L1 in sched/lease.h).
static inline bool
is_own(const Timers *ts)
{
	const M *mp = sched_m();
	if (mp == NULL || mp->p != ts->p)
		return false;
	assert(load_rlx(&mp->lease.inrt) != 0); // order: own
	return true;
}

static inline void
lock(Timers *ts)
{
	if (likely(is_own(ts)))
		biased_lock_own(&ts->lock);
	else
		biased_lock(&ts->lock);
}

static inline void
unlock(Timers *ts)
{
	if (likely(is_own(ts)))
		biased_unlock_own(&ts->lock);
	else
		biased_unlock(&ts->lock);
}

// Restores T3 before the lock is given up. True: the earliest timer is now earlier than before.
static bool
publish(Timers *ts)
{
	int64_t when = heap_first(&ts->heap).when;
	int64_t before = load_rlx(&ts->p->timer_when); // order: own, under the lock
	if (when != before)
		store_rel(&ts->p->timer_when, when); // order: publish -> readers, O2
	return when < before;
}

// Locks the heap that t is in; NULL when it is in none.
static Timers *
lock_heap_of(Timer *t)
{
	for (;;) {
		Timers *ts = load_acq(&t->ts); // order: observe <- O1
		if (ts == NULL)
			return NULL;
		lock(ts);
		if (likely(load_rlx(&t->ts) == ts)) // order: own, T1
			return ts;
		unlock(ts);
	}
}

// Every heap ever made, for debuggers, and for leak checkers, who do not see what only Ps point to.
static Timers *all; // sched.lock

bool
up_timers_make(P *pp)
{
	if (pp->timers != NULL)
		return true;
	// Its own cache lines; never freed, like the P.
	char *raw = os_alloc(sizeof(Timers) + CACHE_LINE);
	if (raw == NULL)
		return false;
	raw += -(uintptr_t)raw & (CACHE_LINE - 1);
	Timers *ts = (Timers *)(void *)raw;
	biased_init(&ts->lock, RANK_timers);
	ts->p = pp;
	ts->all_next = all;
	all = ts;
	heap_init(&ts->heap);
	init_plain(&pp->timer_when, INT64_MAX);
	pp->timers = ts;
	return true;
}

// Threads without a P may use either heap meanwhile, hence the locks.
// STW: yes.  Locks: takes both heaps'; sched.lock comes after them.
void
up_timers_move(P *pp, P *heir)
{
	Timers *from = pp->timers, *to = heir->timers;
	check(from != to, "up_timers_move: a P cannot inherit from itself");
	lock(from < to ? from : to);
	lock(from < to ? to : from);
	for (Timer *t; (t = heap_first(&from->heap).t) != NULL;) {
		int64_t when = t->when;
		heap_remove_first(&from->heap);
		heap_push(&to->heap, t, when);
		store_rlx(&t->ts, to); // order: readers look again under a lock, T1
	}
	heap_fini(&from->heap);
	own_add(&to->fired, load_rlx(&from->fired)); // order: own, under the locks
	store_rlx(&from->fired, 0);                  // order: own, under the lock
	publish(from);
	publish(to);
	unlock(to);
	unlock(from);
}

// --- adding and stopping ------------------------------------------------------------------------

// T5.
static inline int64_t
timely(int64_t when)
{
	return likely(when != INT64_MAX) ? when : INT64_MAX - 1;
}

void
timer_add(Timer *t, int64_t when)
{
	assert(load_rlx(&t->ts) == NULL); // order: own, nobody else sets it
	when = timely(when);
	Timers *ts = timers_here();
	lock(ts);
	store_rlx(&t->ts, ts); // order: who needs the timer locks the heap, T1
	heap_push(&ts->heap, t, when);
	bool earliest = publish(ts);
	unlock(ts);
	if (earliest)
		sched_timer_moved(when);
}

// Ends the setting of a timer in ts, the lock held and given up.
static void
take_out(Timers *ts, Timer *t, TimerHook *hook)
{
	heap_remove(&ts->heap, t);
	if (hook != NULL)
		hook(t, 0);
	timer_let_go(t);
	publish(ts);
	unlock(ts);
}

bool
timer_stop(Timer *t)
{
	Timers *ts = lock_heap_of(t);
	if (ts == NULL)
		return false;
	take_out(ts, t, NULL);
	return true;
}

bool
timer_stop_with(Timer *t, TimerHook *hook)
{
	Timers *ts = lock_heap_of(t);
	if (ts == NULL) {
		hook(t, 0);
		return false;
	}
	take_out(ts, t, hook);
	return true;
}

bool
timer_set(Timer *t, int64_t when, TimerHook *hook, int64_t arg)
{
	bool was_set;
	Timers *ts;
	when = timely(when);
	for (;;) {
		ts = lock_heap_of(t);
		was_set = ts != NULL;
		if (was_set)
			break;
		ts = timers_here();
		lock(ts);
		Timers *none = NULL;
		if (cas_acq(&t->ts, &none, ts)) // order: claim, observe <- O1
			break;
		unlock(ts); // somebody else has set it
	}
	if (hook != NULL)
		hook(t, arg);
	if (was_set)
		heap_move(&ts->heap, t, when);
	else
		heap_push(&ts->heap, t, when);
	bool earliest = publish(ts);
	unlock(ts);
	if (earliest)
		sched_timer_moved(when);
	return was_set;
}

bool
timer_move_here(Timer *t, int64_t when, TimerMine *mine, const void *arg)
{
	const P *pp = sched_m()->p;
	Timers *ts = pp != NULL ? pp->timers : NULL;
	if (ts == NULL || load_rlx(&t->ts) != ts) // order: hint, the heap decides
		return false;
	assert(is_own(ts));
	biased_lock_own(&ts->lock);
	bool found = heap_has(&ts->heap, t) && mine(t, arg);
	bool earliest = false;
	if (likely(found)) {
		when = timely(when);
		heap_move(&ts->heap, t, when);
		earliest = publish(ts);
	}
	biased_unlock_own(&ts->lock);
	if (earliest)
		sched_timer_moved(when);
	return found;
}

// --- firing -----------------------------------------------------------------------------------

// Fires the earliest timer if it is due. False: it is not, or it wants a G first (then *wants_g).
// Locks: ts held.  Stack: g0.
static bool
fire_one(Timers *ts, Firing *f, bool *wants_g)
{
	TimerEntry e = heap_first(&ts->heap);
	if (e.t == NULL || e.when > f->now) // T4
		return false;
	f->when = e.when;
	int64_t next = e.t->fire(e.t, f);
	if (next == TIMER_WANTS_G) {
		*wants_g = true;
		return false;
	}
	if (next > 0) {
		heap_move(&ts->heap, e.t, timely(next));
	} else {
		heap_remove_first(&ts->heap);
		if (next == TIMER_DONE)
			timer_let_go(e.t); // T2
	}
	own_add(&ts->fired, 1); // order: own, under the lock
	return true;
}

static void
nothing(void *arg)
{
	(void)arg;
}

// What the functions have left to do without the lock, and a G for the next one that wants one.
static void
after_firing(Firing *f, bool wants_g)
{
	for (uint32_t i = 0; i < f->posts; i++)
		f->post[i].fn(f->post[i].arg);
	f->posts = 0;
	if (!wants_g)
		return;
	f->spare = sched_spawn_held(nothing, NULL, 0, NULL);
	f->no_memory = f->spare == NULL;
}

// A thief leaves a heap alone that somebody has locked: its owner, or another thief, is at it.
static bool
lock_to_run(Timers *ts)
{
	if (!is_own(ts))
		return biased_trylock(&ts->lock);
	biased_lock_own(&ts->lock);
	return true;
}

int64_t
up_timers_run(P *pp, int64_t now)
{
	Timers *ts = pp->timers;
	Firing f = {.now = now};
	int left = FIRE_AT_ONCE;
	bool more = true;

	while (more && load_acq(&pp->timer_when) <= now) { // order: observe <- O2
		if (!lock_to_run(ts))
			break;
		bool wants_g = false;
		while (left > 0 && f.posts < FIRING_POSTS && fire_one(ts, &f, &wants_g))
			left--;
		publish(ts);
		unlock(ts);
		more = wants_g || (left > 0 && f.posts == FIRING_POSTS);
		after_firing(&f, wants_g);
	}
	if (f.spare != NULL)
		sched_ready(f.spare);     // its timer was stopped meanwhile; it does nothing
	return load_acq(&pp->timer_when); // order: observe <- O2
}

// --- looking ----------------------------------------------------------------------------------

uint64_t
timer_fired(void)
{
	ProcSnapshot s = sched_procs();
	uint64_t sum = 0;
	for (uint32_t i = 0; i < s.n; i++)
		sum += load_rlx(&s.p[i]->timers->fired); // order: count
	return sum;
}

void
timer_verify(P *pp)
{
	Timers *ts = pp->timers;
	lock(ts);
	heap_verify(&ts->heap);
	for (uint32_t i = 0; i < ts->heap.n; i++) // order: own, T1
		check(load_rlx(&ts->heap.entry[i].t->ts) == ts, "timers: T1 is broken");
	int64_t when = load_rlx(&pp->timer_when); // order: own, under the lock
	check(when == heap_first(&ts->heap).when, "timers: T3 is broken");
	unlock(ts);
}
