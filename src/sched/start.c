// SPDX-License-Identifier: BSD-3-Clause
// Starting the runtime, entering it the slow way, announced blocking, and go_run.
#include "os/os_up.h"
#include "sched/sched_impl.h"

Sched sched = {
	.lock = MUTEX_INIT(sched),
	.gfree_lock = MUTEX_INIT(gfree),
	.allg_lock = MUTEX_INIT(allg),
	.id_gen = ATOMIC_INIT(1), // which the first main goroutine gets, as in Go
	.max_threads = MAX_THREADS,
};

// --- starting ---------------------------------------------------------------------------------

enum { NOT_STARTED, STARTING, STARTED };

// --- forks ------------------------------------------------------------------------------------

static bool forked; // this process is the child of one that had started us

// The other threads are gone, whatever they were at. The lease that the caller has lost sends it
// the slow way, so that a fork costs nobody anything.
static void
in_child(void)
{
	forked = true;
	if (sched_m() != NULL)
		lease_revoke(&sched_m()->lease);
}

// --- preparing --------------------------------------------------------------------------------

// What is done once, however often the rest has to be tried.
static void
prepare_once(void)
{
	static bool prepared; // guarded by the claim on sched.started
	if (prepared)
		return;
	prepared = true;
	os_init();
	(void)os_after_fork(in_child); // without memory a call in a child may hang
	sched.started_at = os_nanotime();
	const char *refused = arch_refuses();
	if (refused != NULL) {
		print_str("runtime: ");
		print_str(refused);
		print_str("\n");
		fatal("cannot switch stacks");
	}
	threads_init();
}

static int
start_all(void)
{
	prepare_once();
	int err = load_rlx(&sched_n_procs) != 0 ? 0 : procs_init(up_default_procs()); // order: own
	if (err == 0)
		err = monitor_start();
	if (err == 0)
		up_runtime_starts();
	return err;
}

int64_t
sched_started_at(void)
{
	return sched.started_at;
}

int
sched_start(void)
{
	for (;;) {
		uint32_t s = load_acq(&sched.started); // order: observe <- below
		if (likely(s == STARTED))
			return 0;
		if (s == STARTING) {
			arch_pause(); // os.h is not ready before os_init has run
			continue;
		}
		if (!cas_acq(&sched.started, &s, STARTING)) // order: claim
			continue;
		int err = start_all();
		// order: publish -> above. After a failure the next caller tries again.
		store_rel(&sched.started, err == 0 ? STARTED : NOT_STARTED);
		return err;
	}
}

// --- entering ---------------------------------------------------------------------------------

// After: a G that found no idle P waits for its turn in the global queue; its M has none either.
// The list of idle Ps is looked at under the same lock, or a P that idles just now would miss the
// G.
static void
wait_for_p(void *v)
{
	M *mp = sched_m();
	sched_note_queued(v, true);
	mutex_lock(&sched.lock);
	P *pp = pidle_get();
	if (pp == NULL)
		globq_put(v);
	else
		p_acquire(mp, pp);
	mutex_unlock(&sched.lock);
	if (pp != NULL)
		p_put_next(pp, v);
}

static void
regain_p(M *mp)
{
	mutex_lock(&sched.lock);
	P *pp = pidle_get();
	if (pp != NULL)
		p_acquire(mp, pp);
	mutex_unlock(&sched.lock);
	if (pp == NULL)
		sched_wait_for_p(mp->curg, mp->locked_g == NULL ? wait_for_p : locked_lost_p);
}

int
sched_attach(void)
{
	if (unlikely(forked))
		fatal("call of undergo in the child of a fork");
	if (sched_start() != 0 || (sched_m() == NULL && m_attach() == NULL))
		return GO_ENOMEM;
	return 0;
}

G *
sched_enter_slow(void)
{
	M *mp = sched_m();
	if (unlikely(forked))
		fatal("call of undergo in the child of a fork");
	if (unlikely(mp == NULL)) {
		if (sched_attach() != 0)
			fatal("no memory or no thread to start with");
		return sched_m()->curg;
	}
	G *gp = mp->curg;
	switch (lease_enter_slow(&mp->lease)) {
	case LEASE_LOST:
		regain_p(mp);
		break;
	case LEASE_WANTED:
		if (unlikely(gp->pinned)) { // it was inside, and stays; at its next entry, then
			lease_ask(&mp->lease);
			break;
		}
		if (mp->p != NULL && mp->locked_g != NULL)
			store_rlx(&mp->p->attention, 1); // order: own; sched_enter_locked, T2
		if (mp->p != NULL)
			sched_gosched();
		break;
	case LEASE_KEPT:
		break;
	}
	return gp;
}

// --- announced blocking -----------------------------------------------------------------------

void
sched_block_begin(void)
{
	M *mp = sched_m();
	P *pp = mp->p;
	if (pp == NULL) { // a thread of the program
		lease_leave(&mp->lease);
		return;
	}
	// Nothing to do here, and for what comes there are idle Ps, whose sleeper minds our timers.
	if (load_rlx(&sched.n_pidle) != 0 && !p_has_work(pp) && // order: hint
	    load_rlx(&sched.globq_n) == 0) {                    // order: hint
		lease_loosen(&mp->lease);
		return;
	}
	p_release(mp);
	lease_revoke(&mp->lease);
	p_hand_off(pp);
	lease_leave(&mp->lease);
}

// --- go_run -----------------------------------------------------------------------------------

typedef struct Main {
	int (*fn)(void *);
	void *arg;
	int result;
	G *waiter;
} Main;

static ATOMIC_U32 first_main = ATOMIC_INIT(1);

static void
main_body(void *v)
{
	Main *mn = v;
	mn->result = mn->fn(mn->arg);
	sched_enter();
	sched_ready(mn->waiter);
	sched_leave();
}

static void
ready_main(void *gp)
{
	sched_ready(gp);
}

void
sched_main_begins(G *gp)
{
	if (xchg_rlx(&first_main, 0) != 0) // order: count
		gp->id = 1;
	add_rlx(&sched.n_run_main, 1); // order: count
}

void
sched_main_ended(void)
{
	sub_rlx(&sched.n_run_main, 1); // order: count
	if (load_rlx(&base_dying) != 0) // order: hint
		base_hold_still(); // or the end of main would cut the text of a panic off
}

int
sched_run_main(int (*fn)(void *), void *arg)
{
	G *waiter = sched_g();
	if (!waiter->thread)
		return GO_EINVAL;
	if (!thread_reserve())
		return GO_ENOMEM;
	Main mn = {fn, arg, 0, waiter};
	G *gp = sched_spawn_held(main_body, &mn, 0, NULL);
	if (gp == NULL)
		return GO_ENOMEM;
	sched_main_begins(gp);
	sched_park(WAIT_run_main, ready_main, gp);
	sched_main_ended();
	return mn.result;
}

// --- numbers ----------------------------------------------------------------------------------

void
sched_stats(struct go_stats *st)
{
	*st = (go_stats){0};
	uint64_t ended = 0;
	ProcSnapshot all = procs_all();
	for (uint32_t i = 0; i < all.n; i++) {
		P *pp = all.p[i];
		st->spawned += load_rlx(&pp->spawned); // order: count
		ended += load_rlx(&pp->ended);         // order: count
		st->switches += load_rlx(&pp->tick);   // order: count
		st->steals += load_rlx(&pp->steals);   // order: count
	}
	st->spawned += load_rlx(&sched.spawned_no_p); // order: count
	st->goroutines = st->spawned > ended ? st->spawned - ended : 0;
	st->gomaxprocs = (int)load_acq(&sched_n_procs);         // order: count
	st->threads_foreign = (int)load_rlx(&sched.n_foreign);  // order: count
	st->wakeups = load_rlx(&sched.wakeups);                 // order: count
	st->retakes = load_rlx(&sched.retakes);                 // order: count
	mutex_lock(&sched.lock);
	st->threads = (int)sched.n_threads + 1;
	st->threads_idle = (int)sched.n_midle;
	st->threads_made = sched.threads_made + 1;
	mutex_unlock(&sched.lock);
	StackStats ss;
	stack_stats(&ss);
	st->stack_reserved = ss.reserved_bytes;
	st->stack_in_use = ss.in_use_bytes;
}

// --- the simulation ---------------------------------------------------------------------------

// What belongs to a thread of ours is its M alone.
void *
up_thread_state_swap(void *load)
{
	M *before = sched_m();
	arch_tls_set_m(load);
	return before;
}

void
up_sim_stuck(void)
{
}
