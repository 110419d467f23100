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
// Timers are minded by an M that idles (thread.c). Where the system refuses threads there may be
// none. Then one of those that sleep until their locked G is to run does it, the minder:
//
//           lies down when nobody minds timers, or not as early as it would;
//           or is told: the minder has got a P, no M idles any more, a thread was refused
//   asleep ------------------------------------------------------------------------> minds timers
//          <------------------------------------------------------------------------
//           looks, and an M idles, or threads are to be had; or was given a P
//
// Invariants:
//   T1  M.locked_g runs on M alone, and M runs nothing else.
//   T2  While a locked G runs and its M has a P, P.attention is set.
//   T3  A runnable locked G is in the global queue, or its M has M.next_p or M.locked_ready.
//   T4  Who gives M a P through M.next_p does so under sched.lock, once for each time the G is
//       readied, and then wakes M.park; not if M.told is set, as M is being woken already. Told it
//       is under sched.lock, where it clears both, too. So each wake is slept for once, the note is
//       clear whenever the G can be readied, and nobody wakes an M that has gone on.
//   T5  locked_idle, and with it the place among the locked sleepers, is taken back by who gives
//       the P, and by M itself before it takes one to run timers with. So check_dead never takes an
//       M that is about to run something for one asleep.
//   T6  While threads are refused, no M idles and some locked M sleeps, there is a minder: it
//       sleeps until mind_until at most, or was told, or runs timers. mind_until is when the first
//       timer is due, LOOK_NS from its last look at most, as timers may have moved since; and
//       LOOK_NS if that look was vain: no P idled, or others were at the timers.
//   T7  `refused` is set by who got no thread, and taken back when one was made and all may ask for
//       threads again. From then on who makes a P idle that has timers, and the monitor when one
//       is due beside an idle P, wakes an M or asks for one, and is perhaps refused: do_without.
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

// Its G is not to run, and there is nothing else for it to do.
static void
fall_asleep(M *mp)
{
	assert_held(&sched.lock);
	mp->locked_idle = true;
	sched.n_locked_idle++;
	if (load_rlx(&mp->lent) == LENT_OVER) // order: under sched.lock; H1 in lent.c
		sched.n_lent_over--;
	mp->link_back = NULL;
	mp->link = sched.locked_sleepers;
	if (mp->link != NULL)
		mp->link->link_back = mp;
	sched.locked_sleepers = mp;
}

static void
sleep_no_more(M *mp)
{
	assert_held(&sched.lock);
	mp->locked_idle = false;
	sched.n_locked_idle--;
	if (load_rlx(&mp->lent) == LENT_OVER) // order: under sched.lock; H1 in lent.c
		sched.n_lent_over++;
	*(mp->link_back != NULL ? &mp->link_back->link : &sched.locked_sleepers) = mp->link;
	if (mp->link != NULL)
		mp->link->link_back = mp->link_back;
	mp->link = mp->link_back = NULL;
}

// Whether nobody else may be there who minds timers.
static bool
locked_must_mind(void)
{
	assert_held(&sched.lock);
	return unlikely(sched.refused) && sched.midle == NULL;
}

// Somebody has stopped minding timers, or a thread was refused.
void
locked_mind(void)
{
	M *mp = sched.locked_sleepers;
	if (likely(!locked_must_mind()) || sched.minder != NULL || mp == NULL)
		return;
	sched.minder = mp; // T6
	if (mp->told)
		return;
	mp->told = true;
	note_wake(&mp->park); // T4
}

// pp is Prunning and the caller's, who then wakes M.park of whom this returns, unless NULL.
static M *
give(M *mp, P *pp)
{
	assert_held(&sched.lock);
	check(mp->next_p == NULL, "locked: M has a P in hand"); // T4
	mp->next_p = pp;
	if (mp->locked_idle)
		sleep_no_more(mp); // T5
	if (sched.minder == mp) {
		sched.minder = NULL;
		locked_mind(); // T6
	}
	return mp->told ? NULL : mp; // T4
}

static void
wake_given(M *mp)
{
	if (mp != NULL)
		note_wake(&mp->park);
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
		mp = give(mp, pp);
	}
	mutex_unlock(&sched.lock);
	if (pp != NULL)
		wake_given(mp);
	else
		sched_wake_after_put();
}

void
locked_hand_over(M *mp, G *gp)
{
	M *to = load_rlx(&gp->m); // order: own, who has taken it out of the queue
	P *pp = p_release(mp);
	mutex_lock(&sched.lock);
	to = give(to, pp);
	mutex_unlock(&sched.lock);
	add_rlx(&sched.wakeups, 1); // order: count
	wake_given(to);
}

// No thread can be had for pp. Where all there are have a G locked to them, nobody would ever take
// a runnable one from the global queue; but its thread is there. Whether it gets pp; then *to is
// whom to wake, or NULL.
bool
locked_give_vacant(P *pp, M **to)
{
	G *gp = globq_take_locked();
	if (gp == NULL)
		return false;
	*to = give(load_rlx(&gp->m), pp); // order: own, who has taken it out of the queue
	add_rlx(&sched.wakeups, 1); // order: count
	return true;
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

// Until when mp sleeps if it is given no P, and whether it minds timers meanwhile.  T6
static int64_t
sleeps_until(M *mp, bool vain)
{
	if (likely(!locked_must_mind())) {
		if (sched.minder == mp)
			sched.minder = NULL;
		return INT64_MAX;
	}
	int64_t now = os_nanotime(), first = first_timer(), look = now + LOOK_NS;
	if (first > look || (vain && first <= now))
		first = look;
	if (sched.minder != NULL && sched.minder != mp && first >= sched.mind_until)
		return INT64_MAX;
	sched.minder = mp;
	sched.mind_until = first;
	return first;
}

// Of every P: whose they are may be blocked, or nobody.  Runs on: an M with a P
static bool
run_due_timers(void)
{
	bool ran = false;
	int64_t now = os_nanotime();
	ProcSnapshot procs = sched_procs();
	for (uint32_t i = 0; i < procs.n; i++) {
		int64_t when = load_acq(&procs.p[i]->timer_when); // order: observe <- timers
		if (when <= now)
			ran |= up_timers_run(procs.p[i], now) != when;
	}
	return ran;
}

// With an idle P, if mp has not been given one meanwhile. What is ready then is mp's own G, or it
// is had by whom p_hand_off finds. False: timers are due, and that was in vain.
static bool
mind_timers(M *mp)
{
	mutex_lock(&sched.lock);
	bool due = sched.minder == mp && first_timer() <= os_nanotime();
	P *pp = due ? pidle_get() : NULL;
	if (pp != NULL) {
		sleep_no_more(mp); // T5
		p_acquire(mp, pp);
	}
	mutex_unlock(&sched.lock);
	if (pp == NULL)
		return !due;
	bool ran = run_due_timers();
	p_hand_off(p_release(mp));
	return ran;
}

// Awake, and perhaps told to mind timers. Whether it has been given a P.
static bool
has_been_given(M *mp)
{
	if (!mp->told) // or who has woken it could not have done so: T4
		return true;
	mutex_lock(&sched.lock);
	mp->told = false;
	note_clear(&mp->park);
	bool given = mp->next_p != NULL;
	mutex_unlock(&sched.lock);
	return given;
}

// Asleep until it is given a P, or until it is time to mind timers. False: that. Vain: so was the
// last look at them.
static bool
rest(M *mp, bool vain)
{
	int64_t until = INT64_MAX;
	mutex_lock(&sched.lock);
	if (mp->next_p == NULL) {
		if (!mp->locked_idle) {
			fall_asleep(mp);
			check_dead();
		}
		until = sleeps_until(mp, vain);
	}
	mutex_unlock(&sched.lock);
	return m_rest(mp, &mp->park, until) && has_been_given(mp);
}

// Until the G is to run and has a P.
static void
sleep_for_p(M *mp)
{
	bool vain = false;
	while (!rest(mp, vain))
		vain = !mind_timers(mp);
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
