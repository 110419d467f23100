// SPDX-License-Identifier: BSD-3-Clause
// Idle Ps and idle Ms, handing a P over, and the question whether anything can ever happen again.
//
// Both lists are last in, first out, under sched.lock: the warmest thread works next, and the
// coldest reaches its time limit and ends.
#include "sched/sched_impl.h"

void
pidle_put(P *pp)
{
	assert_held(&sched.lock);
	check(load_rlx(&pp->m) == NULL, "pidle_put: P has an M"); // order: own
	store_rlx(&pp->status, Pidle); // order: own, under sched.lock
	store_rlx(&pp->alone_until, 0); // order: own
	pp->batch_since = 0;
	pp->link = sched.pidle;
	sched.pidle = pp;
	add_rlx(&sched.n_pidle, 1); // order: dekker with sched_wake_after_put, fenced in find.c
}

P *
pidle_get(void)
{
	assert_held(&sched.lock);
	P *pp = sched.pidle;
	if (pp == NULL)
		return NULL;
	sched.pidle = pp->link;
	pp->link = NULL;
	if (sub_rlx(&sched.n_pidle, 1) == load_rlx(&sched_n_procs)) // order: hint
		monitor_wake();
	return pp;
}

void
midle_put(M *mp)
{
	assert_held(&sched.lock);
	mp->idle = true;
	mp->link = sched.midle;
	sched.midle = mp;
	sched.n_midle++;
}

void
midle_remove(M *mp)
{
	assert_held(&sched.lock);
	M **at = &sched.midle;
	while (*at != mp) {
		check(*at != NULL, "midle_remove: not idle");
		at = &(*at)->link;
	}
	*at = mp->link;
	mp->link = NULL;
	mp->idle = false;
	sched.n_midle--;
	if (sched.sleeper == mp) {
		sched.sleeper = NULL;
		store_rlx(&sched.sleep_until, 0); // order: own, under sched.lock
	}
	locked_mind(); // it may have been the last
}

// An idle M, preferably not one that minds the timers or the descriptors: these are two at most.
M *
midle_get(void)
{
	assert_held(&sched.lock);
	M *mp = sched.midle;
	for (int i = 0; i < 2 && mp != NULL && mp->link != NULL; i++)
		if (mp == sched.sleeper || mp->polls)
			mp = mp->link;
	if (mp != NULL)
		midle_remove(mp);
	return mp;
}

// Whether there is a trace. It begins and ends while the world is stopped. Whoever gets a P or
// loses it does so before the last P has stopped, which the stopper waits for; has got the P from
// who has started the world; or is the stopper himself.
static bool
is_traced(void)
{
	return unlikely((load_rlx(&sched.observing) & OBSERVE_TRACE) != 0); // order: as above
}

void
p_acquire(M *mp, P *pp)
{
	check(mp->p == NULL && load_rlx(&pp->m) == NULL, "p_acquire: taken"); // order: own
	mp->p = pp;
	store_rlx(&pp->status, Prunning); // order: own
	store_rel(&pp->m, mp);            // order: publish -> monitor, thieves
	lease_renew(&mp->lease);
	if (unlikely(mp->locked_g != NULL || load_rlx(&mp->lent) != LENT_NOT)) // order: own
		store_rlx(&pp->attention, 1); // order: own; T2 in locked.c, H2 in lent.c
	if (is_traced())
		events_p_begins(mp, pp);
}

P *
p_release(M *mp)
{
	P *pp = mp->p;
	check(pp != NULL, "p_release: no P");
	if (is_traced())
		events_p_ends(mp, pp);
	mp->p = NULL;
	store_rel(&pp->m, NULL); // order: publish -> monitor, thieves
	return pp;
}

// A P that has lost its M, status Prunning and the caller's: somebody shall run it when there is
// work.
void
p_hand_off(P *pp)
{
	if (p_has_work(pp) || load_rlx(&sched.globq_n) != 0) { // order: hint, rechecked by the M
		thread_start(pp, false);
		return;
	}
	// No work here, but nobody idle either who would look for some elsewhere: an M that spins.
	uint32_t zero = 0;
	if (load_rlx(&sched.n_pidle) == 0 && load_rlx(&sched_n_procs) > 1 && // order: hint
	    cas_rlx(&sched.n_spinning, &zero, 1)) { // order: dekker by the fences of find.c
		thread_start(pp, true);
		return;
	}
	mutex_lock(&sched.lock);
	if (load_rlx(&sched.stopping) != 0) { // order: own, under sched.lock
		world_p_stopped(pp);
		mutex_unlock(&sched.lock);
		return;
	}
	p_run_safe_point(pp);
	if (sched.globq.n != 0) {
		mutex_unlock(&sched.lock);
		thread_start(pp, false);
		return;
	}
	pidle_put(pp);
	mutex_unlock(&sched.lock);
	// order: dekker: the P is idle, then timers, queues and polled are read; with
	// sched_timer_moved (thread.c, O1), sched_wake_after_put (find.c, O1), sched_poll_waits
	fence_heavy();
	int64_t when = first_timer(); // others' too: that all are busy no longer holds
	if (when != INT64_MAX)
		sched_timer_moved(when);
	if (work_anywhere(sched_procs()) || poll_unminded())
		sched_wake();
}

// Whether nothing is runnable and no timer pending; *alive gets the number of goroutines.
static bool
all_wait(uint64_t *alive)
{
	uint64_t spawned = load_rlx(&sched.spawned_no_p), ended = 0; // order: count, all Ms idle
	ProcSnapshot all = procs_all();
	for (uint32_t i = 0; i < all.n; i++) {
		P *pp = all.p[i];
		if (p_has_work(pp) ||
		    load_acq(&pp->timer_when) != INT64_MAX) // order: observe <- timers
			return false;
		spawned += load_rlx(&pp->spawned); // order: count
		ended += load_rlx(&pp->ended);     // order: count
	}
	*alive = spawned - ended;
	return true;
}

// Called when an M has gone to sleep or a thread has parked: if all sleep and no timer is pending,
// nothing will ever happen again, unless a thread that we do not know calls in. When there is such
// a thread (perhaps one of our own that is just ending) the monitor looks again a few times.
void
check_dead(void)
{
	assert_held(&sched.lock);
	uint64_t alive;
	if (sched.n_midle + sched.n_locked_idle != sched.n_threads || sched.globq.n != 0)
		return;
	if (sched.n_lent_over != 0) // one may have lain down before it saw that it is to go back;
		return;             // H5 in lent.c
	if (load_acq(&sched.polled) != 0)       // order: observe <- sched_poll_waited
		return;                         // the world outside may do something
	if (load_acq(&sched.helpers_busy) != 0) // order: observe <- sched_helpers_idle
		return;
	uint32_t foreign = load_acq(&sched.n_foreign);       // order: observe <- m_attach
	uint32_t parked = load_acq(&sched.n_foreign_parked); // order: observe <- foreign_parks
	if (parked < foreign || !all_wait(&alive))
		return;
	bool awaited = parked != 0 || load_rlx(&sched.n_run_main) != 0; // order: count
	if (alive == 0 && !awaited)
		return;
	int known = (int)(sched.n_threads + foreign + 1);
	known += os_simulated ? 0 : STRANGE_THREADS; // the simulation counts its own
	known += (int)load_rlx(&sched.n_helpers); // order: count; started long before they are idle
	if (os_thread_count() != known) {
		store_rlx(&sched.dead_suspect, 1); // order: hint, under sched.lock
		monitor_wake();
		return;
	}
	mutex_unlock(&sched.lock);
	if (alive == 0 && load_rlx(&sched.n_run_main) != 0) // order: count
		fatal("no goroutines (main called runtime.Goexit) - deadlock!");
	fatal("all goroutines are asleep - deadlock!");
}

void
sched_helper_made(void)
{
	add_rlx(&sched.n_helpers, 1); // order: count
}

void
sched_helpers_busy(void)
{
	store_rlx(&sched.helpers_busy, 1); // order: own; who sets it has an M that is awake
}

void
sched_helpers_idle(void)
{
	store_rel(&sched.helpers_busy, 0); // order: publish -> check_dead: what they made runnable
	mutex_lock(&sched.lock);
	check_dead();
	mutex_unlock(&sched.lock);
}
