// SPDX-License-Identifier: BSD-3-Clause
// The Ps: how many, changing their number, stopping them all, visiting each.
//
// Ps are never freed, and neither are the arrays that list them: an array grows by doubling, its
// old copies stay (together less than the last one). So whoever has read a count and an array may
// walk it as long as he likes, with or without a P, while GOMAXPROCS changes under him; what he
// finds at worst is a P that is dead by now, whose queue is empty.
//
// Invariants:
//   R1  Slots [0, made) of the current array, and of every older one up to its capacity, hold Ps
//       that are complete.
//   R2  n_procs <= made. Ps from n_procs on are Pdead: no M, no work, no timers.
//   R3  While the world is stopped all Ps are Pstopped, Pdead or the stopper's own, and no G runs
//       but the stopper; threads may be in user code without a P.
// Order:  O1  publish array -> sched_procs, before publish n_procs. The reader loads n_procs first:
//             the array he then finds is at least as long.
#include <string.h>

#include "sched/sched_impl.h"

ATOMIC_U32 sched_n_procs;
// The slot before the first holds the array it replaced, so that none is lost to leak checkers.
static ATOMIC(P **) procs_array; // R1
static ATOMIC_U32 made;          // under sched.lock; read by observe
static uint32_t capacity;        // sched.lock

ProcSnapshot
sched_procs(void)
{
	uint32_t n = load_acq(&sched_n_procs);          // order: observe <- resize, O1
	return (ProcSnapshot){n, load_acq(&procs_array)}; // order: observe <- grow_array
}

ProcSnapshot
procs_all(void)
{
	uint32_t n = load_acq(&made);                   // order: observe <- make_procs
	return (ProcSnapshot){n, load_acq(&procs_array)}; // order: observe <- grow_array
}

// --- making -----------------------------------------------------------------------------------

static bool
grow_array(uint32_t n)
{
	uint32_t cap = capacity != 0 ? capacity : 8;
	while (cap < n)
		cap *= 2;
	if (cap == capacity)
		return true;
	void **slots = os_alloc((cap + 1) * sizeof(P *));
	if (slots == NULL)
		return false;
	P **old = load_rlx(&procs_array); // order: own, under sched.lock
	slots[0] = old;
	P **fresh = (P **)(slots + 1);
	if (old != NULL)
		memcpy(fresh, old, load_rlx(&made) * sizeof(P *)); // order: own
	store_rel(&procs_array, fresh); // order: publish -> sched_procs
	capacity = cap;
	return true;
}

static P *
proc_new(uint32_t id)
{
	void *raw = os_alloc(sizeof(P) + CACHE_LINE);
	if (raw == NULL)
		return NULL;
	P *pp = (P *)(((uintptr_t)raw + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1));
	pp->id = id;
	init_plain(&pp->status, Pdead);
	init_plain(&pp->timer_when, INT64_MAX);
	if (!up_timers_make(pp)) {
		os_free(raw);
		return NULL;
	}
	return pp;
}

// At least n Ps exist afterwards, or as many as there was memory for.
static void
make_procs(uint32_t n)
{
	while (load_rlx(&made) < n) { // order: own, under sched.lock
		uint32_t id = load_rlx(&made);
		if (!grow_array(id + 1))
			return;
		P *pp = proc_new(id);
		if (pp == NULL)
			return;
		load_rlx(&procs_array)[id] = pp; // order: published by made and n_procs
		store_rel(&made, id + 1);        // order: publish -> procs_all
	}
}

int
procs_init(int n)
{
	mutex_lock(&sched.lock);
	make_procs((uint32_t)n);
	uint32_t got = load_rlx(&made); // order: own
	if (got > (uint32_t)n)
		got = (uint32_t)n;
	store_rel(&sched_n_procs, got); // order: publish -> sched_procs
	for (uint32_t i = got; i-- > 0;)
		pidle_put(load_rlx(&procs_array)[i]); // order: own
	mutex_unlock(&sched.lock);
	return got != 0 ? 0 : GO_ENOMEM;
}

// --- stopping the world -----------------------------------------------------------------------

// One at a time stops the world or visits the Ps. Who waits must go on being stoppable.
static void
world_enter(void)
{
	uint32_t zero = 0;
	while (!cas_acq(&sched.world, &zero, 1)) { // order: claim
		zero = 0;
		if (sched_g()->thread)
			os_sleep(20 * GO_USEC);
		else
			sched_gosched();
	}
}

static void
world_leave(void)
{
	store_rel(&sched.world, 0); // order: release
}

void
world_p_stopped(P *pp)
{
	assert_held(&sched.lock);
	store_rlx(&pp->status, Pstopped); // order: own, under sched.lock
	check(sched.stop_wait > 0, "world_p_stopped: too many");
	if (--sched.stop_wait == 0)
		note_wake(&sched.stop_note);
}

// Takes the Ps of Ms that are in user code.
static void
stop_leased(ProcSnapshot procs)
{
	for (uint32_t i = 0; i < procs.n; i++) {
		P *pp = procs.p[i];
		M *m = load_acq(&pp->m); // order: observe <- p_acquire
		if (m == NULL || m == sched_m())
			continue;
		if (!m_grab(m)) {
			lease_ask(&m->lease);
			continue;
		}
		if (m->p != pp) {
			lease_thaw(&m->lease);
			continue;
		}
		p_release(m);
		lease_revoke(&m->lease);
		mutex_lock(&sched.lock);
		world_p_stopped(pp);
		mutex_unlock(&sched.lock);
	}
}

void
sched_stop_world(void)
{
	world_enter();
	M *mp = sched_m();
	ProcSnapshot procs = sched_procs();
	mutex_lock(&sched.lock);
	note_clear(&sched.stop_note);
	sched.stop_wait = (int32_t)procs.n;
	store_rlx(&sched.stopping, 1); // order: under sched.lock
	if (mp->p != NULL)
		world_p_stopped(mp->p);
	for (P *pp; (pp = pidle_get()) != NULL;)
		world_p_stopped(pp);
	mutex_unlock(&sched.lock);
	for (uint32_t i = 0; i < procs.n; i++)
		store_rel(&procs.p[i]->attention, 1); // order: publish -> attend
	do
		stop_leased(procs);
	while (!note_sleep(&sched.stop_note, os_nanotime() + 100 * GO_USEC));
	if (mp->p != NULL)
		store_rlx(&mp->p->status, Prunning); // order: own
}

void
sched_start_world(void)
{
	M *mp = sched_m();
	P *busy = NULL;
	mutex_lock(&sched.lock);
	ProcSnapshot procs = sched_procs();
	store_rlx(&sched.stopping, 0); // order: under sched.lock
	for (uint32_t i = procs.n; i-- > 0;) {
		P *pp = procs.p[i];
		store_rlx(&pp->attention, 0); // order: hint, its reasons are gone
		if (pp == mp->p) {
			if (mp->locked_g != NULL || load_rlx(&mp->lent) != LENT_NOT) // order: own
				store_rel(&pp->attention, 1); // order: own; T2 in locked.c
			continue;
		}
		if (p_has_work(pp)) {
			store_rlx(&pp->status, Prunning); // order: own
			pp->link = busy;
			busy = pp;
		} else {
			pidle_put(pp);
		}
	}
	mutex_unlock(&sched.lock);
	world_leave();
	while (busy != NULL) {
		P *pp = busy;
		busy = pp->link;
		pp->link = NULL;
		thread_start(pp, false);
	}
	sched_wake(); // for the global queue, and for timers that came to a P that idles
}

// --- GOMAXPROCS -------------------------------------------------------------------------------

// pp will not run again soon: what it holds goes where others find it. World stopped.
static void
proc_retire(P *pp, P *heir)
{
	p_empty(pp);
	up_timers_move(pp, heir);
	g_flush_free(pp);
	store_rlx(&pp->status, Pdead); // order: own, world stopped
}

static void
resize(uint32_t n)
{
	M *mp = sched_m();
	uint32_t old = load_rlx(&sched_n_procs); // order: own, world stopped
	mutex_lock(&sched.lock);
	make_procs(n);
	mutex_unlock(&sched.lock);
	if (n > load_rlx(&made)) // order: own
		n = load_rlx(&made);
	P **p = load_rlx(&procs_array); // order: own
	P *mine = mp->p;
	if (mine != NULL && mine->id >= n) {
		p_release(mp);
		p_acquire(mp, p[0]);
	}
	for (uint32_t i = n; i < old; i++)
		proc_retire(p[i], p[0]);
	for (uint32_t i = old; i < n; i++)
		store_rlx(&p[i]->status, Pstopped); // order: own, world stopped
	store_rel(&sched_n_procs, n); // order: publish -> sched_procs
	if (events_on())
		events_procs(n);
}

int
sched_gomaxprocs(int n)
{
	int before = (int)load_acq(&sched_n_procs); // order: observe <- resize
	if (n < 1 || n == before)
		return before;
	sched_stop_world();
	before = (int)load_rlx(&sched_n_procs); // order: own, world stopped
	resize(n > MAX_PROCS ? MAX_PROCS : (uint32_t)n);
	sched_start_world();
	return before;
}

// --- visiting each P --------------------------------------------------------------------------

static ATOMIC_U32 unvisited;

void
p_run_safe_point(P *pp)
{
	if (likely(load_rlx(&pp->safe_point) == NULL)) // order: hint
		return;
	SafePointFn *fn = xchg_ar(&pp->safe_point, NULL); // order: claim
	if (fn == NULL)
		return;
	fn(pp);
	sub_rel(&unvisited, 1); // order: publish -> sched_for_each_p
}

static void
visit_leased(P *pp)
{
	M *m = load_acq(&pp->m); // order: observe <- p_acquire
	if (m == NULL || !m_grab(m))
		return;
	if (m->p == pp)
		p_run_safe_point(pp);
	lease_thaw(&m->lease);
}

// Locks: none.  Blocks: M, until every other P has passed a safe point.
void
sched_for_each_p(SafePointFn *fn)
{
	world_enter();
	ProcSnapshot procs = sched_procs();
	store_rlx(&unvisited, procs.n); // order: published by safe_point
	for (uint32_t i = 0; i < procs.n; i++) {
		store_rel(&procs.p[i]->safe_point, fn); // order: publish -> p_run_safe_point
		store_rel(&procs.p[i]->attention, 1);   // order: publish -> attend
	}
	P *mine = sched_m()->p;
	if (mine != NULL)
		p_run_safe_point(mine);
	mutex_lock(&sched.lock);
	for (P *pp = sched.pidle; pp != NULL; pp = pp->link)
		p_run_safe_point(pp);
	mutex_unlock(&sched.lock);
	while (load_acq(&unvisited) != 0) { // order: observe <- p_run_safe_point
		for (uint32_t i = 0; i < procs.n; i++)
			if (load_rlx(&procs.p[i]->safe_point) != NULL) // order: hint
				visit_leased(procs.p[i]);
		if (load_rlx(&unvisited) != 0) // order: hint
			os_sleep(20 * GO_USEC);
	}
	world_leave();
}
