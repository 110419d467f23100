// SPDX-License-Identifier: BSD-3-Clause
// Finding something to run, and the wake-up protocol that keeps work and idle Ps from missing each
// other.
//
// An M that looks for work beyond its own P is spinning, and counted in n_spinning. Whoever makes
// work available wakes one M, if a P is idle and none is spinning. An M that finds work stops
// spinning and wakes another one in its place (stop_spinning): so as long as there is work and an
// idle P, somebody is on the way.
//
// Invariants:
//   F1  While work sits in a queue and a P is idle, an M is spinning, or is being woken to spin, or
//       is between making a P idle and the recheck of F2; or no M is idle, the system refuses
//       threads, and the monitor will ask it again; or the work is a batch that the poller has
//       told its P of, which runs it alone (poll.c, I4).
//   F2  An M that makes its P idle, spinning or not, looks at every queue once more afterwards.
//   F3  A spinning M's own queue is empty when it goes idle; it stops spinning before it runs a G.
//   F4  An M walks the Ps through a snapshot taken before it let its P go (procs.c).
//   F5  An M that goes idle may be recalled until it has looked once more (sched.resigning), by who
//       would have to wake another: that look takes some microseconds, in which more work comes
//       often, and a thread that is woken beside one that is about to sleep is often put by the
//       kernel behind its waker, and stays there for milliseconds. Only one that was worth it: its
//       last find kept it busy for WORTH_NS. Goroutines that change places every few microseconds,
//       over a channel or a mutex, run best on one P, and gather there while the other M is awake
//       seldom and comes late.
// Order:  O1  dekker: sched_wake_after_put stores work, light fence, reads n_pidle and n_spinning;
//             who goes idle makes its P idle, lowers n_spinning if it was spinning, heavy fence,
//             reads the queues. The heavy fence is on the side that is about to sleep anyway.
//             It carries what waits for descriptors, too: poll.c, O1.
//         O2  dekker between timers and the sleeper: see m_stop and sched_timer_moved (thread.c).
//         O3  Who gives up the last P has nobody on the other side of O1 with a P, so a light fence
//             of nobody's to meet with a heavy one. Who had a P and put something before has given
//             it up by the same lock. Who has none puts under the lock, too, after which he sees
//             the counts, or before which his work is seen; or uses a fence of his own
//             (sched_timer_moved, sched_poll_waits).
#include "sched/sched_impl.h"

#ifdef UNDERGO_STRESS
enum { STEAL_ROUNDS = 4, ROB_PATIENCE = 2, WORTH_NS = 0 };
#else
enum {
	STEAL_ROUNDS = 4,
	ROB_PATIENCE = 100,   // pauses: some microseconds
	WORTH_NS = 50 * 1000, // what a wake-up costs, until the one that is woken runs
};
#endif

// --- waking -----------------------------------------------------------------------------------

enum { RESIGNS = 1, RECALLED }; // sched.resigning

// Whether an M that was about to sleep, having found nothing, comes back in place of one that
// would have to be woken. Then it is counted as spinning.  F5
static bool
recall(void)
{
	uint32_t resigns = RESIGNS;
	return load_rlx(&sched.resigning) == RESIGNS &&       // order: hint
	       cas_rlx(&sched.resigning, &resigns, RECALLED); // order: claim; the look is fenced
}

void
sched_wake(void)
{
	uint32_t zero = 0;
	if (load_rlx(&sched.n_spinning) != 0 || // order: hint
	    !cas_rlx(&sched.n_spinning, &zero, 1)) // order: dekker with go_idle, O1
		return;
	if (recall())
		return;
	mutex_lock(&sched.lock);
	// While threads are refused the monitor stands for us, and for whoever relies on the count.
	bool vain = sched.midle == NULL && load_rlx(&sched.thread_wanted) != 0; // order: own
	P *pp = vain ? NULL : pidle_get();
	if (pp == NULL) // F2 covers whoever relied on the count: no P idles before we are gone
		sub_rlx(&sched.n_spinning, 1); // order: O1
	else
		store_rlx(&pp->status, Prunning); // order: own
	mutex_unlock(&sched.lock);
	if (pp != NULL)
		thread_start(pp, true);
}

static void
start_spinning(M *mp)
{
	mp->spinning = true;
	add_rlx(&sched.n_spinning, 1); // order: dekker with go_idle, O1
}

// Work was found: somebody else shall look for more.
void
stop_spinning(M *mp)
{
	mp->spinning = false;
	mp->busy_since = os_nanotime();
	check(sub_rlx(&sched.n_spinning, 1) != 0, "stop_spinning: negative count"); // order: O1
	sched_wake_after_put();
}

// --- stealing ---------------------------------------------------------------------------------

// What victim, frozen, has in next and in hand: `next`, or half of the hand. One is returned, the
// others go to pp's ring.
static G *
rob_frozen(P *pp, P *victim)
{
	G *gp = load_rlx(&victim->next); // order: own, frozen
	if (gp != NULL) {
		store_rlx(&victim->next, NULL); // order: own, frozen
		return gp;
	}
	uint32_t head = load_rlx(&victim->hand_head); // order: own, frozen
	uint32_t n = load_rlx(&victim->hand_tail) - head; // order: own, frozen
	if (n == 0)
		return NULL;
	n -= n / 2;
	for (uint32_t i = 0; i < n; i++) // order: own, frozen
		p_put_tail(pp, load_rlx(&victim->hand[(head + i) % HAND_SIZE]));
	store_rlx(&victim->hand_head, head + n); // order: own, frozen
	return p_take(pp);
}

// What only the owner may touch: freeze the owner, if it is in user code and its queue has not
// moved for some microseconds. A G that two talk through is gone by then.
static G *
rob(P *pp, P *victim)
{
	uint64_t tick = load_rlx(&victim->tick); // order: hint
	if (!p_has_work(victim))
		return NULL;
	for (int i = 0; i < ROB_PATIENCE; i++) {
		arch_pause();
		os_sim_point();
		if (load_rlx(&victim->tick) != tick) // order: hint
			return NULL;
	}
	M *m = load_acq(&victim->m); // order: observe <- p_acquire; Ms are never freed
	if (m == NULL || !m_grab(m))
		return NULL;
	G *gp = m->p == victim ? rob_frozen(pp, victim) : NULL;
	lease_thaw(&m->lease);
	return gp;
}

static G *
steal_from(P *pp, P *victim, bool last)
{
	if (last) {
		int64_t when = load_acq(&victim->timer_when); // order: observe <- timers
		if (when != INT64_MAX) {
			int64_t now = os_nanotime();
			if (when <= now) {
				up_timers_run(victim, now);
				if (p_has_work(pp))
					return p_take(pp);
			}
		}
	}
	if (runq_steal_half(&victim->runq, &pp->runq) != 0)
		return p_take(pp);
	return last ? rob(pp, victim) : NULL;
}

// Every other P in turn, from a random one on, in STEAL_ROUNDS rounds; the last one takes what
// is better left with its owner: due timers, `next` and the hand.
static G *
steal(M *mp, P *pp)
{
	ProcSnapshot procs = sched_procs();
	for (int round = 0; round < STEAL_ROUNDS; round++) {
		uint32_t at = base_rand_below(&mp->rand, procs.n);
		for (uint32_t i = 0; i < procs.n; i++, at = at + 1 == procs.n ? 0 : at + 1) {
			if (load_rlx(&pp->attention) != 0) // order: hint
				return NULL;
			if (procs.p[at] == pp)
				continue;
			G *gp = steal_from(pp, procs.p[at], round == STEAL_ROUNDS - 1);
			if (gp != NULL) {
				own_add(&pp->steals, 1);
				return gp;
			}
		}
	}
	return NULL;
}

// Half as many spinners as busy Ps is enough; more would burn CPU when there is little to do.
static bool
may_spin(void)
{
	uint32_t busy = load_rlx(&sched_n_procs) - load_rlx(&sched.n_pidle); // order: hint
	return 2 * load_rlx(&sched.n_spinning) < busy;                       // order: hint
}

// Those idle and those spinning hold no lock of the program's.
bool
sched_spin_helps(void)
{
	P *pp = sched_m()->p;
	uint32_t busy = load_rlx(&sched_n_procs) - load_rlx(&sched.n_pidle); // order: hint
	uint32_t here = pp != NULL ? 1 : 0;
	return !os_simulated && busy > load_rlx(&sched.n_spinning) + here && // order: hint
	       (pp == NULL || !p_has_work(pp));
}

// --- looking at home --------------------------------------------------------------------------

// Somebody wants us in the scheduler: the world stops, or a safe-point function waits.
void
m_attend(M *mp)
{
	P *pp = mp->p;
	xchg_ar(&pp->attention, 0); // order: observe <- who set it; his reason was stored before
	p_run_safe_point(pp);
	mutex_lock(&sched.lock);
	if (load_rlx(&sched.stopping) != 0) { // order: own, under sched.lock
		p_release(mp);
		if (mp->spinning) {
			mp->spinning = false;
			sub_rlx(&sched.n_spinning, 1); // order: sched_start_world wakes
		}
		world_p_stopped(pp);
	}
	mutex_unlock(&sched.lock);
}

static G *
take_global(P *pp, uint32_t max)
{
	G *gp = NULL;
	mutex_lock(&sched.lock);
	globq_take(pp, max, &gp);
	mutex_unlock(&sched.lock);
	return gp;
}

// Those of pp's timers that are due.
void
p_run_timers(P *pp)
{
	int64_t when = load_acq(&pp->timer_when); // order: observe <- timers
	pp->timer_look = 0;
	if (when == INT64_MAX)
		return;
	int64_t now = os_nanotime();
	if (when <= now)
		up_timers_run(pp, now);
}

static G *
look_at_home(P *pp)
{
	p_run_timers(pp);
	bool global = load_rlx(&sched.globq_n) != 0; // order: hint
	if (global && load_rlx(&pp->tick) % GLOBAL_EVERY == 0) { // order: own
		G *gp = take_global(pp, 1);
		if (gp != NULL)
			return gp;
	}
	G *gp = p_take(pp);
	if (gp != NULL)
		return gp;
	return global ? take_global(pp, RUNQ_SIZE / 2) : NULL;
}

// --- going idle -------------------------------------------------------------------------------

bool
work_anywhere(ProcSnapshot procs)
{
	for (uint32_t i = 0; i < procs.n; i++)
		if (p_has_work(procs.p[i]))
			return true;
	return load_rlx(&sched.globq_n) != 0; // order: dekker with sched_wake_after_put, O1
}

// An idle P for an M that has seen work, or was recalled to some, which makes it spin.
static bool
back_to_work(M *mp, bool recalled)
{
	mutex_lock(&sched.lock);
	P *pp = pidle_get();
	if (pp != NULL) {
		p_acquire(mp, pp);
		mp->spinning = true;
	}
	if (pp != NULL && !recalled)
		add_rlx(&sched.n_spinning, 1); // order: dekker with go_idle, O1
	else if (pp == NULL && recalled)
		sub_rlx(&sched.n_spinning, 1); // order: O1; as in sched_wake
	mutex_unlock(&sched.lock);
	return pp != NULL;
}

typedef enum GaveUp { GAVE_NOT, GAVE_ONE, GAVE_LAST } GaveUp;

// Whether what mp found last has kept it busy for longer than a wake-up takes. It counts for half
// with each time that it has found nothing since.  F5
static bool
was_worth(M *mp)
{
	if (mp->busy_since != 0)
		mp->worth_ns = os_nanotime() - mp->busy_since;
	else
		mp->worth_ns /= 2;
	mp->busy_since = 0;
	return mp->worth_ns >= WORTH_NS;
}

// Gives the P up, and stops spinning, unless something turned up and the M has to look again.
// GAVE_LAST: no M has a P now. *resigns: until `resigned` it may be recalled.
static GaveUp
give_up_p(M *mp, G **found, bool *resigns)
{
	uint32_t nobody = 0;
	P *pp = mp->p;
	GaveUp gave = GAVE_NOT;
	mutex_lock(&sched.lock);
	if (load_rlx(&sched.stopping) != 0 || load_rlx(&pp->attention) != 0) { // order: own, hint
		gave = GAVE_NOT;
	} else if (sched.globq.n != 0) {
		globq_take(pp, RUNQ_SIZE / 2, found);
	} else {
		check(!p_has_work(pp), "give_up_p: P has work"); // F3
		*resigns = was_worth(mp) &&
			   cas_rlx(&sched.resigning, &nobody, RESIGNS); // order: claim, F5
		pidle_put(p_release(mp));
		if (mp->spinning) {
			mp->spinning = false;
			sub_rlx(&sched.n_spinning, 1); // order: dekker, O1; O3
		}
		uint32_t idle = load_rlx(&sched.n_pidle); // order: own, under sched.lock
		gave = idle == load_rlx(&sched_n_procs) ? GAVE_LAST : GAVE_ONE; // order: the same
	}
	mutex_unlock(&sched.lock);
	return gave;
}

// Between giving the P up and looking for what was put meanwhile.  O1, O3
static void
fence_idle(GaveUp gave)
{
	if (gave == GAVE_LAST)
		fence_seq(); // order: dekker with sched_timer_moved, sched_poll_waits; O3
	else
		fence_heavy(); // order: dekker with sched_wake_after_put, O1
}

// The end of what give_up_p began; whether the M was recalled.
static bool
resigned(void)
{
	return xchg_rlx(&sched.resigning, 0) == RECALLED; // order: claim, nothing rides on it
}

// No work: the P goes to the idle list and the M to sleep. Returns true when it has a P, or shall
// look for one, false when it shall end.
static bool
go_idle(M *mp, G **found)
{
	ProcSnapshot procs = sched_procs(); // F4
	bool resigns = false;
	GaveUp gave = give_up_p(mp, found, &resigns);
	if (gave == GAVE_NOT)
		return true;
	fence_idle(gave);
	bool work = work_anywhere(procs); // F2
	int64_t when = first_timer();
	bool due = when != INT64_MAX && when <= os_nanotime();
	bool recalled = resigns && resigned();
	if ((work || due || recalled) && back_to_work(mp, recalled))
		return true;
	return m_stop(mp, when);
}

// An M without a P: it lost the lease, gave the P to the stopping world, or woke for a timer.
static bool
find_p(M *mp)
{
	int64_t when = first_timer();
	if (when == INT64_MAX || when > os_nanotime())
		return m_stop(mp, when);
	mutex_lock(&sched.lock);
	P *pp = pidle_get();
	if (pp != NULL)
		p_acquire(mp, pp);
	mutex_unlock(&sched.lock);
	if (pp == NULL) // all are busy, and look at their timers themselves
		return m_stop(mp, INT64_MAX);
	if (!mp->spinning)
		start_spinning(mp); // so that it looks at other Ps' timers too
	return true;
}

G *
find_runnable(M *mp)
{
	for (;;) {
		G *gp = NULL;
		P *pp = mp->p;
		if (unlikely(load_rlx(&mp->lent) == LENT_OVER)) { // order: O1 in lent.c
			lent_leaves(mp);
			return NULL;
		}
		if (pp == NULL) {
			if (!find_p(mp))
				return NULL;
			continue;
		}
		if (load_rlx(&pp->attention) != 0) { // order: hint, attend looks closer
			m_attend(mp);
			continue;
		}
		os_sim_point();
		gp = look_at_home(pp);
		if (gp == NULL && poll_now())
			gp = p_take(pp);
		if (gp != NULL)
			return gp;
		if (!mp->spinning && may_spin())
			start_spinning(mp);
		if (mp->spinning)
			gp = steal(mp, pp);
		if (gp != NULL)
			return gp;
		if (!go_idle(mp, &gp))
			return NULL;
		if (gp != NULL)
			return gp;
	}
}
