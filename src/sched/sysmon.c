// SPDX-License-Identifier: BSD-3-Clause
// The monitor: a thread without a P that takes Ps back from Ms that block or loop in user code, and
// looks after what nobody else may be awake for.
//
// It sleeps 20 us between looks while there is something to take, longer and longer (to 10 ms)
// while there is not, and without a limit when no P has run since the look before: an idle process
// makes no wake-ups. One whose Ps are idle for a moment only, again and again, as a server's that
// waits for its peers, pays for none either: the sleep without a limit is for who means it.
//
// It also makes threads for those that must not make them themselves (births in thread.c), at once,
// and does what the collector calls it for (up_monitor_looks).
//
// Whether an M in user code blocks or computes is told by its CPU time: a thread whose CPU clock
// stands still between two looks does not run, and then its state in /proc tells whether it sleeps
// or merely waits for a processor. Blocked: its P is taken at once when work waits for it, and
// after a while in any case, so that the process can go idle. Computing: its P is taken after a
// slice of 10 ms, when work waits; the M then competes for a P like everyone else at its next call.
#include "sched/sched_impl.h"
#include "sched/sched_up.h"

enum {
	LOOK_MIN_NS = 20 * 1000,
	LOOK_MAX_NS = 10 * 1000 * 1000,
	LOOK_WAITING_NS = 1000 * 1000, // the longest while some queue is not empty
	LOOK_IDLE_NS = 1000 * 1000,    // the first one while every P is idle
	EAGER_LOOKS = 16,              // this many vain looks at LOOK_MIN_NS, then doubling
	SLICE_NS = 10 * 1000 * 1000,
	POLL_LATE_NS = 1000 * 1000,
	SCAVENGE_NS = 1000 * 1000 * 1000,
	STAMP_S = 20,
	LOST_NS = 10 * 1000 * 1000,
	RETRY_MIN_NS = 1000 * 1000,
	RETRY_MAX_NS = 128 * 1000 * 1000,
	WATCHED_PROCS = 64,
	SCAVENGES_IDLE = 8, // so often more after the last work, for the memory of a peak
};

// What stands first in a queue, and since when.
typedef struct QueueWatch {
	uint64_t oldest;
	int64_t since;
	bool waits;
} QueueWatch;

typedef struct Monitor {
	uint32_t vain;         // looks in a row that took nothing
	bool idle;             // at the last look no P ran, after so many switches:
	uint64_t idle_ticks;
	uint32_t dead_looks;   // how often check_dead was asked again
	int64_t next_dead_look;
	int64_t retry_ns;      // between tries to get a thread
	int64_t next_retry;
	int64_t next_scavenge;
	uint32_t scavenges_left; // before it sleeps without a limit
	int64_t next_stamp;      // of waits
	uint32_t brisk_left;     // looks for which sched.brisk stays without being wanted
	bool stamped;            // when every P was idle, after so many switches:
	uint64_t stamped_ticks;
	QueueWatch global;       // see watch_conservation
	QueueWatch local[WATCHED_PROCS];
} Monitor;

void
monitor_wake(void)
{
	if (load_rlx(&sched.monitor_asleep) != 0) { // order: own, under sched.lock
		store_rlx(&sched.monitor_asleep, 0); // order: dekker with monitor_doze, by the next
		monitor_hurry();
	}
}

// Whether no P runs; then *ticks gets how many switches they have made. The same number later says
// that none has run in between.
static bool
all_idle(uint64_t *ticks)
{
	assert_held(&sched.lock);
	if (load_rlx(&sched.n_pidle) != load_rlx(&sched_n_procs)) // order: sched.lock
		return false;
	ProcSnapshot procs = sched_procs();
	*ticks = 0;
	for (uint32_t i = 0; i < procs.n; i++)
		*ticks += load_rlx(&procs.p[i]->tick); // order: sched.lock, they are idle
	return true;
}

// Ends a pause, and a sleep without work for one look.  Locks: none.  Stack: any.
void
monitor_hurry(void)
{
	fence_seq(); // order: dekker with monitor_doze: what it is told stored, then pauses read
	if (load_rlx(&sched.monitor_dozes) != 0 && // order: dekker with monitor_doze
	    xchg_acq(&sched.monitor_dozes, 0) != 0) // order: claim, observe <- monitor_doze
		note_wake(&sched.doze_note);
}

// Sleeps until then, while monitor_asleep stays as it is and nobody is in a hurry.
static void
monitor_doze(uint32_t asleep, int64_t until)
{
	note_clear(&sched.doze_note);
	store_rel(&sched.monitor_dozes, 1); // order: publish -> monitor_hurry: the note is clear
	fence_seq(); // order: dekker with monitor_hurry: pauses stored, then what it is told read
	// order: dekker with monitor_hurry, all three
	bool nothing = load_rlx(&sched.births) == NULL && !load_rlx(&sched.monitor_called) &&
		       load_rlx(&sched.monitor_asleep) == asleep;
	if (nothing && note_sleep(&sched.doze_note, until))
		return;
	if (xchg_rlx(&sched.monitor_dozes, 0) == 0) // order: claim, no data rides on it
		note_sleep(&sched.doze_note, INT64_MAX); // who was faster is about to ring
}

// Whether to sleep until a P runs. Then monitor_wake will be told of it.
static bool
shall_sleep(Monitor *mon, uint64_t *ticks)
{
	mutex_lock(&sched.lock);
	bool idle = all_idle(ticks) && load_rlx(&sched.stopping) == 0 && // order: sched.lock
		    load_rlx(&sched.thread_wanted) == 0 && load_rlx(&sched.births) == NULL;
	bool still = idle && mon->idle && mon->idle_ticks == *ticks;
	if (still)
		store_rlx(&sched.monitor_asleep, 1); // order: own, under sched.lock
	mutex_unlock(&sched.lock);
	mon->idle = idle;
	mon->idle_ticks = *ticks;
	return still;
}

// Nothing to watch: no P has run for a while. Sleeps until one does.
static void
sleep_while_idle(Monitor *mon)
{
	uint64_t ticks = 0;
	if (!shall_sleep(mon, &ticks)) {
		mon->scavenges_left = SCAVENGES_IDLE;
		return;
	}
	// The memory of a peak is perhaps still to go back: a few more looks.
	if (!g_worth_scavenging() && !stack_worth_scavenging())
		mon->scavenges_left = 0;
	// After monitor_asleep is set: who has more for it to do from here on wakes it.
	int64_t until = up_monitor_looks(os_nanotime());
	if (mon->scavenges_left != 0 && mon->next_scavenge < until)
		until = mon->next_scavenge;
	else if ((!mon->stamped || ticks != mon->stamped_ticks) && mon->next_stamp < until)
		until = mon->next_stamp;
	if (load_rlx(&sched.dead_suspect) != 0 && mon->next_dead_look < until) // order: hint
		until = mon->next_dead_look;
	monitor_doze(1, until);
	mutex_lock(&sched.lock);
	if (load_rlx(&sched.monitor_asleep) == 0) // order: own, under sched.lock
		mon->scavenges_left = SCAVENGES_IDLE;
	store_rlx(&sched.monitor_asleep, 0); // order: own, under sched.lock
	mutex_unlock(&sched.lock);
	mon->vain = 0;
}

static void
pause_between_looks(Monitor *mon, bool waiting)
{
	int64_t ns = mon->idle ? LOOK_IDLE_NS : LOOK_MIN_NS;
	if (mon->vain > EAGER_LOOKS) {
		uint32_t doublings = mon->vain - EAGER_LOOKS;
		int64_t longer = doublings < 9 ? (int64_t)LOOK_MIN_NS << doublings : LOOK_MAX_NS;
		ns = longer > ns ? longer : ns;
		if (waiting && ns > LOOK_WAITING_NS)
			ns = LOOK_WAITING_NS;
	}
	if (be_brisk(&mon->brisk_left) && ns > LOOK_WAITING_NS)
		ns = LOOK_WAITING_NS;
	monitor_doze(0, base_deadline(os_nanotime(), ns));
}

static bool
timer_due(P *pp, int64_t now)
{
	return load_acq(&pp->timer_when) <= now; // order: observe <- timers
}

// Whether m, whose CPU clock stands still at cpu, sleeps. What merely waits for a processor would
// have to run first: so it is asked once.
static bool
sleeps(M *m, int tid, int64_t cpu)
{
	if (cpu > 0 && m->cpu_awake == cpu) // a clock that cannot be read says nothing
		return false;
	if (!os_thread_runnable(tid))
		return true;
	m->cpu_awake = cpu;
	return false;
}

// Whether pp's M, at the same switch since seen_when, should lose it.
static bool
shall_lose(P *pp, M *m, int64_t now, bool waiting)
{
	int tid = load_rlx(&m->tid); // order: set by who acquired pp
	int64_t cpu = os_thread_cpu_ns(tid);
	int64_t before = load_rlx(&m->cpu_seen); // order: own, the monitor's
	store_rlx(&m->cpu_seen, cpu);
	bool long_since = now - pp->seen_when >= SLICE_NS;
	if (waiting == long_since)
		return waiting; // blocked or not
	return load_rlx(&m->lease.state) == LEASE_LOOSE || // order: hint
	       (cpu == before && sleeps(m, tid, cpu));
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
		int tid = load_rlx(&m->tid); // order: set by who acquired pp
		store_rlx(&m->cpu_seen, os_thread_cpu_ns(tid)); // order: own, the monitor's
		return false;
	}
	waiting = waiting || p_has_work(pp) || timer_due(pp, now);
	if (timer_due(pp, now))
		store_rel(&pp->attention, 1); // order: hint, at a switch it shall look at the clock
	if (!shall_lose(pp, m, now, waiting))
		return false;
	if (load_rlx(&m->lease.inrt) != 0) { // order: hint; it switches, or waits in the runtime
		store_rel(&pp->attention, 1); // order: hint
		lease_ask(&m->lease);
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

// The P that wants a thread; none when an M is idle, or each P has one.
static P *
p_without_thread(void)
{
	mutex_lock(&sched.lock);
	P *pp = sched.midle == NULL ? pidle_get() : NULL;
	if (pp != NULL)
		store_rlx(&pp->status, Prunning); // order: own
	mutex_unlock(&sched.lock);
	return pp;
}

// A thread was refused to us; the limit may have been lifted. From here on wakers start threads by
// themselves again, and what they left to us meanwhile is looked for.
static void
try_threads_again(Monitor *mon, int64_t now)
{
	if (load_rlx(&sched.thread_wanted) == 0 || now < mon->next_retry) // order: hint
		return;
	P *pp = p_without_thread();
	if (pp != NULL && thread_retry(pp))
		mon->retry_ns = 0;
	else
		mon->retry_ns = mon->retry_ns == 0 ? RETRY_MIN_NS : 2 * mon->retry_ns;
	if (mon->retry_ns > RETRY_MAX_NS)
		mon->retry_ns = RETRY_MAX_NS;
	mon->next_retry = now + mon->retry_ns;
	if (pp != NULL && mon->retry_ns != 0)
		return; // refused
	mutex_lock(&sched.lock);
	store_rlx(&sched.thread_wanted, 0); // order: own, under sched.lock
	if (pp != NULL)
		sched.refused = false; // T7 in locked.c
	mutex_unlock(&sched.lock);
	if (work_anywhere(sched_procs()))
		sched_wake();
}

// Notes for dumps since when, about, each goroutine has been waiting: now and then, and once more
// before a sleep without a limit: with every P idle, or the last to park might be missed. A stamp
// that lands just after its G has woken and parked again is too early by that much. Threads of the
// program note the time themselves.
static void
stamp_waits(Monitor *mon, int64_t now)
{
	if (now < mon->next_stamp)
		return;
	mon->next_stamp = now + STAMP_S * GO_SEC;
	mutex_lock(&sched.lock);
	mon->stamped = all_idle(&mon->stamped_ticks);
	mutex_unlock(&sched.lock);
	for (G *gp = sched_all_first(); gp != NULL; gp = gp->all_next)
		if (load_rlx(&gp->status) == Gwaiting && // order: count
		    load_rlx(&gp->wait_since) == 0)
			store_rlx(&gp->wait_since, now);
}

static void
scavenge(Monitor *mon, int64_t now)
{
	if (now < mon->next_scavenge)
		return;
	mon->next_scavenge = now + SCAVENGE_NS;
	if (mon->scavenges_left != 0)
		mon->scavenges_left--;
	g_scavenge();
	stack_scavenge();
}

// All seemed asleep but for a thread we do not know. Is it still there?
static void
look_for_dead(Monitor *mon, int64_t now)
{
	if (load_rlx(&sched.dead_suspect) == 0) { // order: hint
		mon->dead_looks = 0;
		return;
	}
	if (mon->dead_looks != 0 && now < mon->next_dead_look)
		return;
	mon->next_dead_look = now + ((10 * GO_MSEC) << mon->dead_looks);
	mutex_lock(&sched.lock);
	store_rlx(&sched.dead_suspect, 0); // order: own, under sched.lock
	if (mon->dead_looks < DEAD_LOOKS)
		check_dead(); // suspects again, or finds the deadlock proved
	if (load_rlx(&sched.dead_suspect) != 0) // order: own, under sched.lock
		mon->dead_looks++;
	else
		mon->dead_looks = 0; // after DEAD_LOOKS it is a thread of the program: let it be
	mutex_unlock(&sched.lock);
}

// The oracle of work conservation, where time is virtual and waiting costs nothing: the oldest G of
// a queue may not stand there for LOST_NS beside an idle P. It would be a lost wake-up.
static void
watch_queue(QueueWatch *w, uint64_t oldest, bool waits, int64_t now)
{
	if (!waits || !w->waits || oldest != w->oldest)
		*w = (QueueWatch){oldest, now, waits};
	check(!waits || now - w->since < LOST_NS,
	      "lost wake-up: a runnable goroutine waits beside an idle P");
}

static void
watch_conservation(Monitor *mon, ProcSnapshot procs, int64_t now)
{
	if (!os_simulated)
		return;
	mutex_lock(&sched.lock);
	bool idle = load_rlx(&sched.n_pidle) != 0 && // order: own, under sched.lock
		    load_rlx(&sched.n_spinning) == 0 && // else somebody is on the way
		    load_rlx(&sched.thread_wanted) == 0 && load_rlx(&sched.stopping) == 0;
	watch_queue(&mon->global, (uintptr_t)sched.globq.first, idle && sched.globq.n != 0, now);
	mutex_unlock(&sched.lock);
	for (uint32_t i = 0; i < procs.n && i < WATCHED_PROCS; i++) {
		P *pp = procs.p[i];
		// order: hint, all three
		bool waits = idle && load_rlx(&pp->m) != NULL && !runq_empty(&pp->runq);
		watch_queue(&mon->local[i], load_rlx(&pp->runq.head), waits, now);
	}
}

// Whether all were busy for so long that nobody has looked at descriptors. Then it is for us.
static bool
poll_for_all(int64_t now)
{
	if (!poll_unminded() || now - load_rlx(&sched.poll_last) < POLL_LATE_NS) // order: hint
		return false;
	(void)poll_now();
	return true;
}

static void
look_when_called(int64_t now)
{
	(void)xchg_acq(&sched.monitor_called, false); // order: observe <- sched_monitor_come
	(void)up_monitor_looks(now);
}

static void
monitor_main(void *unused)
{
	(void)unused;
	Monitor mon = {
		.next_scavenge = os_nanotime() + SCAVENGE_NS,
		.scavenges_left = SCAVENGES_IDLE,
	};
	store_rel(&sched.monitor_tid, os_thread_id()); // order: publish -> sched_monitor_tid
	void *signal_stack = up_thread_starts();
	(void)signal_stack; // for ever
	os_thread_name("undergo-mon");
	(void)os_thread_exact_timers(); // for ever
	bool waiting = false;
	for (;;) {
		pause_between_looks(&mon, waiting);
		births_serve();
		sleep_while_idle(&mon);
		births_serve();
		int64_t now = os_nanotime();
		ProcSnapshot procs = sched_procs();
		waiting = work_waits(procs);
		bool took = false;
		for (uint32_t i = 0; i < procs.n; i++) {
			poll_overdue(procs.p[i], now);
			took |= look_at(procs.p[i], now, waiting);
		}
		mon.vain = took ? 0 : mon.vain + 1;
		if (load_rlx(&sched.n_pidle) != 0 && first_timer() <= now) // order: hint
			sched_wake();
		waiting |= poll_for_all(now);
		watch_conservation(&mon, procs, now);
		try_threads_again(&mon, now);
		look_for_dead(&mon, now);
		scavenge(&mon, now);
		stamp_waits(&mon, now);
		look_when_called(now);
	}
}

void
sched_monitor_come(void)
{
	// An exchange, so that the monitor sees what all of several callers want, not the last's.
	// order: publish -> look_when_called; dekker with monitor_doze, by the next
	(void)xchg_rel(&sched.monitor_called, true);
	monitor_hurry();
}

void
sched_monitor_look(void)
{
	mutex_lock(&sched.lock);
	monitor_wake();
	mutex_unlock(&sched.lock);
}

int
sched_monitor_tid(void)
{
	return load_acq(&sched.monitor_tid); // order: observe <- monitor_main
}

int
monitor_start(void)
{
	return os_thread_start_patient(monitor_main, NULL) == 0 ? 0 : GO_ENOMEM;
}
