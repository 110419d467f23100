// SPDX-License-Identifier: BSD-3-Clause
// The monitor: a thread without a P that takes Ps back from Ms that block or loop in user code, and
// looks after what nobody else may be awake for.
//
// It sleeps 20 us between looks while there is something to take, longer and longer (to 10 ms)
// while there is not, and without a limit while every P is idle: an idle process makes no wake-ups.
//
// Whether an M in user code blocks or computes is told by its CPU time: a thread whose CPU clock
// stands still between two looks does not run, and then its state in /proc tells whether it sleeps
// or merely waits for a processor. Blocked: its P is taken at once when work waits for it, and
// after a while in any case, so that the process can go idle. Computing: its P is taken after a
// slice of 10 ms, when work waits; the M then competes for a P like everyone else at its next call.
#include "sched/sched_impl.h"

enum {
	LOOK_MIN_NS = 20 * 1000,
	LOOK_MAX_NS = 10 * 1000 * 1000,
	LOOK_WAITING_NS = 1000 * 1000, // the longest while some queue is not empty
	EAGER_LOOKS = 50,              // this many vain looks at LOOK_MIN_NS, then doubling
	SLICE_NS = 10 * 1000 * 1000,
	SCAVENGE_NS = 1000 * 1000 * 1000,
	SCAVENGES_IDLE = 8, // so often more after the last work, for the memory of a peak
};

typedef struct Monitor {
	uint32_t vain;         // looks in a row that took nothing
	uint32_t dead_looks;   // how often check_dead was asked again
	int64_t next_scavenge;
	uint32_t scavenges_left; // before it sleeps without a limit
} Monitor;

void
monitor_wake(void)
{
	if (load_rlx(&sched.monitor_asleep) != 0) { // order: own, under sched.lock
		store_rlx(&sched.monitor_asleep, 0);
		note_wake(&sched.monitor_note);
	}
}

// Nothing to watch: no P runs. Sleeps until one does.
static void
sleep_while_idle(Monitor *mon)
{
	mutex_lock(&sched.lock);
	bool idle = load_rlx(&sched.n_pidle) == load_rlx(&sched_n_procs) && // order: sched.lock
		    load_rlx(&sched.stopping) == 0 && load_rlx(&sched.thread_wanted) == 0 &&
		    load_rlx(&sched.dead_suspect) == 0;
	if (idle) {
		store_rlx(&sched.monitor_asleep, 1); // order: own, under sched.lock
		note_clear(&sched.monitor_note);
	}
	mutex_unlock(&sched.lock);
	if (!idle)
		return;
	// The memory of a peak is perhaps still to go back: a few more looks.
	int64_t until = mon->scavenges_left != 0 ? mon->next_scavenge : INT64_MAX;
	if (note_sleep(&sched.monitor_note, until)) {
		mon->scavenges_left = SCAVENGES_IDLE;
	} else {
		mon->scavenges_left--;
		mutex_lock(&sched.lock);
		store_rlx(&sched.monitor_asleep, 0); // order: own, under sched.lock
		mutex_unlock(&sched.lock);
	}
	mon->vain = 0;
}

static void
pause_between_looks(Monitor *mon, bool waiting)
{
	int64_t ns = LOOK_MIN_NS;
	if (mon->vain > EAGER_LOOKS) {
		uint32_t doublings = mon->vain - EAGER_LOOKS;
		ns = doublings < 9 ? (int64_t)LOOK_MIN_NS << doublings : LOOK_MAX_NS;
		if (waiting && ns > LOOK_WAITING_NS)
			ns = LOOK_WAITING_NS;
	}
	os_sleep(ns);
}

static bool
timer_due(P *pp, int64_t now)
{
	return load_acq(&pp->timer_when) <= now; // order: observe <- timers
}

// Whether pp's M, at the same switch since seen_when, should lose it.
static bool
shall_lose(P *pp, M *m, int64_t now, bool waiting)
{
	int64_t cpu = os_thread_cpu_ns(m->tid);
	int64_t before = load_rlx(&m->cpu_seen); // order: own, the monitor's
	store_rlx(&m->cpu_seen, cpu);
	bool blocked = load_rlx(&m->lease.state) == LEASE_LOOSE || // order: hint
		       (cpu == before && !os_thread_runnable(m->tid));
	bool long_since = now - pp->seen_when >= SLICE_NS;
	return blocked ? waiting || long_since : waiting && long_since;
}

static bool
retake(P *pp, M *m)
{
	if (!m_grab(m))
		return false;
	if (m->p != pp) {
		lease_thaw(&m->lease);
		return false;
	}
	p_release(m);
	lease_revoke(&m->lease);
	own_add(&sched.retakes, 1);
	p_hand_off(pp);
	return true;
}

// One look at a P; true when it was taken.
static bool
look_at(P *pp, int64_t now, bool waiting)
{
	M *m = load_acq(&pp->m); // order: observe <- p_acquire; Ms are never freed
	if (m == NULL || load_rlx(&pp->status) != Prunning) // order: hint
		return false;
	uint64_t tick = load_rlx(&pp->tick); // order: hint
	if (tick != pp->seen_tick) {
		pp->seen_tick = tick;
		pp->seen_when = now;
		store_rlx(&m->cpu_seen, os_thread_cpu_ns(m->tid)); // order: own, the monitor's
		return false;
	}
	waiting = waiting || p_has_work(pp) || timer_due(pp, now);
	if (timer_due(pp, now))
		store_rel(&pp->attention, 1); // order: hint, at a switch it shall look at the clock
	if (!shall_lose(pp, m, now, waiting))
		return false;
	if (load_rlx(&m->lease.inrt) != 0) { // order: hint; it switches, or waits in the runtime
		store_rel(&pp->attention, 1); // order: hint
		return false;
	}
	return retake(pp, m);
}

// Work that only waits for a P: in the global queue, or in the queue of a P that cannot be stolen
// from.
static bool
work_waits(ProcSnapshot procs)
{
	if (load_rlx(&sched.globq_n) != 0) // order: hint
		return true;
	for (uint32_t i = 0; i < procs.n; i++)
		if (p_has_work(procs.p[i]))
			return true;
	return false;
}

// A thread was refused to us; the limit may have been lifted.
static void
try_threads_again(void)
{
	if (load_rlx(&sched.thread_wanted) == 0) // order: hint
		return;
	store_rlx(&sched.thread_wanted, 0); // order: hint; a new refusal sets it again
	mutex_lock(&sched.lock);
	P *pp = pidle_get();
	if (pp != NULL)
		store_rlx(&pp->status, Prunning); // order: own
	mutex_unlock(&sched.lock);
	if (pp != NULL)
		thread_start(pp, false); // it finds the work of the others in the global queue
}

static void
scavenge(Monitor *mon, int64_t now)
{
	if (now < mon->next_scavenge)
		return;
	mon->next_scavenge = now + SCAVENGE_NS;
	g_scavenge();
	stack_scavenge();
}

// All seemed asleep but for a thread we do not know. Is it still there?
static void
look_for_dead(Monitor *mon)
{
	if (load_rlx(&sched.dead_suspect) == 0) { // order: hint
		mon->dead_looks = 0;
		return;
	}
	os_sleep((10 * GO_MSEC) << mon->dead_looks);
	mutex_lock(&sched.lock);
	store_rlx(&sched.dead_suspect, 0); // order: own, under sched.lock
	check_dead();
	if (load_rlx(&sched.dead_suspect) != 0 && ++mon->dead_looks == DEAD_LOOKS) {
		store_rlx(&sched.dead_suspect, 0); // it is a thread of the program: let it be
		mon->dead_looks = 0;
	}
	mutex_unlock(&sched.lock);
}

static void
monitor_main(void *unused)
{
	(void)unused;
	Monitor mon = {
		.next_scavenge = os_nanotime() + SCAVENGE_NS,
		.scavenges_left = SCAVENGES_IDLE,
	};
	void *signal_stack = up_thread_starts();
	(void)signal_stack; // for ever
	os_thread_name("undergo-mon");
	os_thread_exact_timers();
	bool waiting = false;
	for (;;) {
		pause_between_looks(&mon, waiting);
		sleep_while_idle(&mon);
		int64_t now = os_nanotime();
		ProcSnapshot procs = sched_procs();
		waiting = work_waits(procs);
		bool took = false;
		for (uint32_t i = 0; i < procs.n; i++)
			took |= look_at(procs.p[i], now, waiting);
		mon.vain = took ? 0 : mon.vain + 1;
		if (load_rlx(&sched.n_pidle) != 0 && first_timer() <= now) // order: hint
			sched_wake();
		try_threads_again();
		look_for_dead(&mon);
		scavenge(&mon, now);
	}
}

int
monitor_start(void)
{
	return os_thread_start(monitor_main, NULL) == 0 ? 0 : GO_ENOMEM;
}
