// SPDX-License-Identifier: BSD-3-Clause
// Goroutines that are locked to their thread.
//
// A locked G runs on the M it was locked on, its G.m, and that M runs nothing else. The program
// wants this where a thread has state of its own: a namespace, a window, credentials. A G that ends
// locked takes its thread along, which may be in any state; so a thread is never made from one that
// a G is or was locked to, nor from one of the program's: the monitor makes it (births in
// thread.c). The monitor is there before the first M and the program never runs on it.
//
//                  its G parks              readied, and a P idles: the P is M.next_p
//   M runs its G ------------> M has let its ---------------------------------------> M runs its G
//        |                     P go, asleep   \                                    /
//        | its G ends                          \-- readied, no P idles: the G is  /
//        v                                         in the global queue; an M that
//   the thread ends                                takes it gives its own P away, or
//                                                  who gets no thread for a P gives that
//
// A thread of the program that runs goroutines does not end so: lent.c.
//
// What this costs is paid on ways that are slow anyway. A locked G comes into no queue of a P, so a
// direct switch never meets it (switch.c), and who readies it sees G.odd, which it looks at for
// threads. When it leaves, it has to go to its M's scheduler: `attention` of its P is set all the
// while, which every switch looks at.
//
// Invariants:
//   T1  M.locked_g runs on M alone, and M runs nothing else.
//   T2  While a locked G runs and its M has a P, P.attention is set.
//   T3  A runnable locked G is in the global queue, or its M has M.next_p or M.locked_ready.
//   T4  Who gives M a P through M.next_p does so under sched.lock, once for each time the G is
//       readied, and then wakes M.park. M sleeps once for each, and clears the note before its G
//       runs. So the note is clear whenever the G can be readied.
//   T5  locked_idle is taken back by who gives the P, so that check_dead never takes an M that has
//       been woken for one asleep.
// Locks:  sched.lock.
//
// In the simulation a thread is a fiber. T1 holds there, and a locked G that ends ends the fiber;
// what the kernel keeps for a thread all of them share, as there is one.
#include "sched/sched_impl.h"

enum { LOOK_NS = 10 * 1000 * 1000 };

static bool
has_locks(const M *mp)
{
	return mp->locks[LOCK_EXTERNAL] != 0 || mp->locks[LOCK_INTERNAL] != 0;
}

void
sched_lock_thread(ThreadLock kind)
{
	M *mp = sched_m();
	G *gp = mp->curg;
	mp->locks[kind]++;
	if (gp->thread || mp->locked_g != NULL)
		return;
	note_clear(&mp->park); // T4
	mp->locked_g = gp;
	gp->locked = true;
	store_rlx(&mp->p->attention, 1); // order: own; T2
}

// Outside, the lock is our own affair: others see it when we have lost our P, in locked_lost_p.
void
sched_enter_locked(ThreadLock kind)
{
	M *mp = sched_m();
	G *gp = mp->curg;
	mp->locks[kind]++;
	if (!gp->thread && mp->locked_g == NULL) {
		note_clear(&mp->park); // T4
		mp->locked_g = gp;
		gp->locked = true;
	}
	sched_enter();
	if (!gp->thread)
		store_rlx(&mp->p->attention, 1); // order: own; T2
}

void
sched_unlock_thread(ThreadLock kind)
{
	M *mp = sched_m();
	if (mp->locks[kind] == 0)
		return;
	mp->locks[kind]--;
	if (mp->curg->thread || has_locks(mp))
		return;
	mp->curg->locked = false;
	mp->locked_g = NULL; // attention stays, and is found to be nothing
}

// --- giving it a P ------------------------------------------------------------------------------

// pp is Prunning and the caller's, who then wakes mp->park.
static void
give(M *mp, P *pp)
{
	assert_held(&sched.lock);
	check(mp->next_p == NULL, "locked: M has a P in hand"); // T4
	mp->next_p = pp;
	if (mp->locked_idle) {
		mp->locked_idle = false; // T5
		sched.n_locked_idle--;
	}
}

void
locked_ready(G *gp)
{
	M *mp = load_rlx(&gp->m); // order: own, who readies it
	mutex_lock(&sched.lock);
	P *pp = pidle_get();
	if (pp == NULL) {
		globq_put(gp);
	} else {
		store_rlx(&pp->status, Prunning); // order: own
		give(mp, pp);
	}
	mutex_unlock(&sched.lock);
	if (pp != NULL)
		note_wake(&mp->park);
	else
		sched_wake_after_put();
}

void
locked_hand_over(M *mp, G *gp)
{
	M *to = load_rlx(&gp->m); // order: own, who has taken it out of the queue
	P *pp = p_release(mp);
	mutex_lock(&sched.lock);
	give(to, pp);
	mutex_unlock(&sched.lock);
	add_rlx(&sched.wakeups, 1); // order: count
	note_wake(&to->park);
}

// No thread can be had for pp. Where all there are have a G locked to them, nobody would ever take
// a runnable one from the global queue; but its thread is there. NULL: there is none.
M *
locked_give_vacant(P *pp)
{
	G *gp = globq_take_locked();
	if (gp == NULL)
		return NULL;
	M *to = load_rlx(&gp->m); // order: own, who has taken it out of the queue
	give(to, pp);
	add_rlx(&sched.wakeups, 1); // order: count
	return to;
}

// --- on its own M -------------------------------------------------------------------------------

// Alone it goes on at once.
void
locked_yields(void *v)
{
	M *mp = sched_m();
	sched_note_queued(v, true);
	if (!p_has_work(mp->p) && load_rlx(&sched.globq_n) == 0) { // order: hint
		mp->locked_ready = true;
		return;
	}
	mutex_lock(&sched.lock);
	globq_put(v);
	mutex_unlock(&sched.lock);
	sched_wake_after_put();
}

// An idle P, or a place in the global queue: under one lock, or a P that idles just now would miss
// the G.
static void
get_p_or_queue(M *mp)
{
	mutex_lock(&sched.lock);
	P *pp = pidle_get();
	if (pp != NULL)
		p_acquire(mp, pp);
	else
		globq_put(mp->locked_g);
	mp->locked_ready = pp != NULL;
	mutex_unlock(&sched.lock);
}

void
locked_lost_p(void *v)
{
	sched_note_queued(v, true);
	get_p_or_queue(sched_m());
}

void
locked_ends(M *mp)
{
	mp->curg->locked = false;
	mp->ends = true;
}

// An M without a locked G minds timers in its sleep. Where the system has refused threads, or may
// do so now, there may be none, and those that are locked look after timers, in turns.
static int64_t
rests_until(void)
{
	assert_held(&sched.lock);
	if (likely(!sched.refused && sched.being_born == 0) || sched.midle != NULL)
		return INT64_MAX;
	int64_t now = os_nanotime(), first = first_timer();
	int64_t look = now + LOOK_NS; // timers may have moved
	return first < look ? first : look;
}

// With an idle P, if mp has not been given one meanwhile. What is ready then is mp's own G, or it
// is had by whom p_hand_off finds.
static void
mind_timers(M *mp)
{
	mutex_lock(&sched.lock);
	P *pp = mp->next_p == NULL ? pidle_get() : NULL;
	if (pp != NULL) {
		mp->locked_idle = false; // T5
		sched.n_locked_idle--;
		p_acquire(mp, pp);
	}
	mutex_unlock(&sched.lock);
	if (pp == NULL)
		return;
	p_run_timers(pp);
	p_hand_off(p_release(mp));
}

// Asleep until it is given a P, or until it is time to mind timers. False: that.
static bool
rest(M *mp)
{
	mutex_lock(&sched.lock);
	if (mp->next_p == NULL && !mp->locked_idle) {
		mp->locked_idle = true;
		sched.n_locked_idle++;
		check_dead();
	}
	int64_t until = rests_until();
	mutex_unlock(&sched.lock);
	return m_rest(mp, &mp->park, until);
}

// Until the G is to run and has a P.
static void
sleep_for_p(M *mp)
{
	while (!rest(mp))
		mind_timers(mp);
	note_clear(&mp->park); // T4
	P *pp = mp->next_p;
	mp->next_p = NULL;
	p_acquire(mp, pp);
	mp->locked_ready = true;
}

// Its G, or NULL when that has ended.
G *
find_locked(M *mp)
{
	for (;;) {
		if (mp->p != NULL)
			m_attend(mp); // somebody else may have set it: T2
		if (mp->ends) {
			m_ends(mp);
			return NULL;
		}
		if (mp->p != NULL && mp->locked_ready) {
			mp->locked_ready = false;
			p_run_timers(mp->p); // it may have come here by yielding, again and again
			store_rlx(&mp->p->attention, 1); // order: own; T2
			return mp->locked_g;
		}
		if (mp->locked_ready) { // the world stops
			get_p_or_queue(mp);
			continue;
		}
		if (mp->p != NULL)
			p_hand_off(p_release(mp));
		sleep_for_p(mp);
	}
}
