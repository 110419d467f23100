// SPDX-License-Identifier: BSD-3-Clause
// Giving the processor to another goroutine: park, ready, yield, exit, and an M's scheduler.
//
// A G that leaves switches straight to the next one in its P's queue, without a detour over the
// scheduler's stack. So at the moment of the switch the leaving G is still on its stack, and
// nothing that lets others run it may have happened: its status, its place in a queue, the
// unlocking of what it waits on. These are left in M.prev, M.prev_status and M.after, and done by
// whoever arrives (finish_switch), on the arriving context's stack.
//
// Invariants:
//   S1  A G that others can find (in a queue, or Gwaiting) is off its stack and its sp is saved.
//   S2  Between taking a G out of a queue and switching to it nothing can fail.
//   S3  An M in the scheduler or in here is inside the runtime (lease.h), so its P is its own.
//   S4  No pointer to an M survives fiber_switch.
// Order:  O1  publish G.status after sp -> sched_scan_begin, dumps: who parks, and who wakes, which
//             knows sp from who parked. A scanner may read either's status.
//         O2  dekker with sched_scan_begin: Grunning stored, then scan read (light; heavy there).
//         O3  The G itself travels by its queue's order (runq.h, or sched.lock).
#include "sched/fiber.h"
#include "sched/sched_impl.h"

static inline __attribute__((always_inline)) void
finish_switch(void)
{
	M *mp = sched_m();
	G *prev = mp->prev;
	if (prev == NULL)
		return;
	mp->prev = NULL;
	store_rel(&prev->status, mp->prev_status); // order: publish, O1
	void (*after)(void *) = mp->after;
	if (after != NULL)
		after(mp->after_arg);
}

// The next G to run from pp's own queue, when nothing asks for the scheduler; NULL otherwise.
static inline G *
take_local(P *pp)
{
	uint64_t tick = load_rlx(&pp->tick) + 1; // order: own
	store_rlx(&pp->tick, tick);              // order: own; sysmon reads it
	if (unlikely(load_rlx(&pp->attention) != 0)) // order: hint, the scheduler looks closer
		return NULL;
	if (CHAOS("detour", 8))
		return NULL;
	if (tick % GLOBAL_EVERY == 0 && load_rlx(&sched.globq_n) != 0) // order: hint
		return NULL;
	if (load_rlx(&pp->timer_when) != INT64_MAX && ++pp->timer_look >= TIMER_LOOK_EVERY)
		return NULL;
	return p_take(pp);
}

static NORETURN void begin(void *unused);

// Somebody reads gp's stack: he took the scan bit before he could know that gp is to run, and gives
// it up when he sees Grunning. Or somebody wants to know that it runs.
static COLD void
run_oddly(G *gp)
{
	while ((load_acq(&gp->scan) & SCAN_HELD) != 0) { // order: observe <- sched_scan_end
		arch_pause();
		os_yield();
	}
	if (gp->observed != 0)
		observe_runs(gp);
}

static inline void
prepare(M *mp, G *gp)
{
	sched_note_queued(gp, false);
	assert(gp->locked ? gp == mp->locked_g : mp->locked_g == NULL); // T1 in locked.c
	store_rlx(&gp->m, mp);          // order: hint
	mp->curg = gp;
	arch_set_stack_limit(gp->split ? (uintptr_t)gp->stack.lo + STACK_RESERVE_BYTES : 0);
	store_rlx(&gp->status, Grunning); // order: dekker with sched_scan_begin, O2
	fence_light();
	if (unlikely(load_acq(&gp->scan) != 0)) // order: observe <- sched_scan_end
		run_oddly(gp);
}

// The running G leaves; st and after take effect when it is off its stack. Returns when it runs
// again, on whatever M. Errno goes with the G. Inlined, like all from the C face down to the switch
// as far as may be: each return that follows a switch between unlike callers is predicted wrongly.
static inline __attribute__((always_inline)) void
leave_cpu(G *gp, GStatus st, void (*after)(void *), void *arg)
{
	M *mp = sched_m();
	P *pp = mp->p;
	gp->errno_saved = *mp->errno_addr;
	mp->prev = gp;
	mp->prev_status = st;
	mp->after = after;
	mp->after_arg = arg;
	G *next = likely(pp != NULL) ? take_local(pp) : NULL;
	if (likely(next != NULL))
		prepare(mp, next);
	else
		mp->curg = NULL;
	fiber_switch(mp, gp, next, st == Gdead, begin);
	finish_switch();
	*sched_m()->errno_addr = gp->errno_saved;
}

void
sched_wait_for_p(G *gp, void (*after)(void *))
{
	if (unlikely(gp->observed != 0))
		observe_waits_for_p(gp);
	leave_cpu(gp, Grunnable, after, gp);
}

void
sched_run(M *mp)
{
	for (;;) {
		G *gp = likely(mp->locked_g == NULL) ? find_runnable(mp) : find_locked(mp);
		if (gp == NULL)
			return;
		if (mp->spinning)
			stop_spinning(mp);
		if (unlikely(gp->locked) && gp != mp->locked_g) {
			locked_hand_over(mp, gp);
			continue;
		}
		prepare(mp, gp);
		fiber_switch(mp, NULL, gp, false, begin);
		finish_switch();
	}
}

// --- parking ----------------------------------------------------------------------------------

// A thread of the program sleeps on its own note; it has no P to give away.
static void
thread_park(G *gp, WaitReason why, void (*after)(void *), void *arg)
{
	note_clear(&gp->note);
	store_rlx(&gp->wait, (uint8_t)why); // order: count
	store_rlx(&gp->wait_since, os_nanotime()); // order: count
	foreign_parks(gp);
	store_rel(&gp->status, Gwaiting); // order: publish -> dumps
	if (after != NULL)
		after(arg);
	foreign_sleeps(gp);
	m_rest(sched_m(), &gp->note, INT64_MAX);
	store_rlx(&gp->status, Grunning); // order: own
}

// Whether it has parked already: a thread.
static COLD bool
park_oddly(G *gp, WaitReason why, void (*after)(void *), void *arg)
{
	if (gp->thread)
		thread_park(gp, why, after, arg);
	else if (gp->observed != 0)
		observe_parks(gp, why);
	return gp->thread;
}

void
sched_park(WaitReason why, void (*after)(void *), void *arg)
{
	G *gp = sched_g();
	if (unlikely(gp->odd != 0) && park_oddly(gp, why, after, arg))
		return;
	store_rlx(&gp->wait, (uint8_t)why); // order: count
	store_rlx(&gp->wait_since, 0); // order: count
	leave_cpu(gp, Gwaiting, after, arg);
}

void
sched_count_self(bool counts)
{
	own_add(&sched_m()->p->ended, counts ? (uint64_t)-1 : 1);
}

void
sched_count_held(bool counts)
{
	P *pp = sched_m()->p;
	if (pp != NULL)
		sched_count_self(counts);
	else
		add_rlx(&sched.spawned_no_p, counts ? 1 : (uint64_t)-1); // order: count
}

void
sched_unlock_after(void *m)
{
	mutex_unlock(m);
}

void
sched_park_unlock(WaitReason why, Mutex *m)
{
	sched_park(why, sched_unlock_after, m);
}

// --- waking -----------------------------------------------------------------------------------

// Where the caller has no P: the queue everyone looks into.
static void
put_global(GList *l)
{
	mutex_lock(&sched.lock);
	globq_put_list(l);
	mutex_unlock(&sched.lock);
}

static inline void
make_runnable(G *gp)
{
	assert(load_rlx(&gp->status) == Gwaiting || load_rlx(&gp->status) == Gidle); // order: own
	store_rel(&gp->status, Grunnable); // order: publish -> sched_scan_begin, O1
	sched_note_queued(gp, true);
}

static inline __attribute__((always_inline)) void
ready_usual(G *gp)
{
	make_runnable(gp);
	M *mp = sched_m();
	P *pp = mp != NULL ? mp->p : NULL;
	if (likely(pp != NULL)) {
		p_put_next(pp, gp);
	} else {
		GList l = {0};
		glist_push(&l, gp);
		put_global(&l);
	}
	sched_wake_after_put();
}

static COLD void
ready_oddly(G *gp)
{
	if (gp->observed != 0)
		observe_ready(gp);
	if (gp->thread) {
		foreign_wakes(gp);
		note_wake(&gp->note);
	} else if (gp->locked) {
		make_runnable(gp);
		locked_ready(gp);
	} else {
		ready_usual(gp);
	}
}

void
sched_ready(G *gp)
{
	if (unlikely(gp->odd != 0))
		ready_oddly(gp);
	else
		ready_usual(gp);
}

// A hungry P takes it out of the ring by one locked instruction. From `next` it would have to wait
// for a while, whether the two of them are about to change places, and then freeze us. Where other
// work is queued here, that is for the hungry.
void
sched_ready_aside(G *gp)
{
	M *mp = sched_m();
	P *pp = mp != NULL ? mp->p : NULL;
	if (likely(!others_hungry()) || pp == NULL || p_has_work(pp)) {
		sched_ready(gp);
		return;
	}
	GList l = {0};
	glist_push(&l, gp);
	sched_ready_list(&l);
}

// Whether it is, and comes into no queue.
static COLD bool
ready_apart(G *gp)
{
	bool apart = gp->thread || gp->locked;
	if (apart)
		ready_oddly(gp);
	else if (gp->observed != 0)
		observe_ready(gp);
	return apart;
}

void
sched_put_list(GList *l)
{
	GList rest = {0};
	M *mp = sched_m();
	P *pp = mp != NULL ? mp->p : NULL;
	for (G *gp; (gp = glist_pop(l)) != NULL;) {
		if (unlikely(gp->odd != 0) && ready_apart(gp))
			continue;
		make_runnable(gp);
		if (pp != NULL)
			p_put_tail(pp, gp);
		else
			glist_push(&rest, gp);
	}
	if (rest.n != 0)
		put_global(&rest);
}

void
sched_ready_list(GList *l)
{
	sched_put_list(l);
	sched_wake_after_put();
}

// --- yielding and ending ----------------------------------------------------------------------

// After: a G that yielded goes to the end of the queue, behind what waits in the global one too.
static void
requeue(void *v)
{
	sched_note_queued(v, true);
	if (likely(load_rlx(&sched.globq_n) == 0)) { // order: hint
		p_put_tail(sched_m()->p, v);
	} else {
		GList l = {v, v, 1};
		((G *)v)->link = NULL;
		put_global(&l);
	}
	sched_wake_after_put();
}

// Whether who yields stays: alone, with nobody asking. The scheduler still gets its look at the
// clock and the others.
static inline bool
yields_to_none(P *pp)
{
	if (load_rlx(&pp->attention) != 0 || p_has_work(pp) || // order: hint
	    load_rlx(&sched.globq_n) != 0)                     // order: hint
		return false;
	if (load_rlx(&pp->timer_when) != INT64_MAX && ++pp->timer_look >= TIMER_LOOK_EVERY)
		return false;
	own_add(&pp->tick, 1);
	os_sim_point();
	return true;
}

static COLD void
yield_oddly(G *gp)
{
	if (gp->thread) {
		os_yield();
		return;
	}
	bool leaves = gp->locked || (gp->observed & OBSERVE_TRACE) != 0;
	if (!leaves && yields_to_none(sched_m()->p))
		return;
	if (gp->observed != 0)
		observe_yields(gp);
	leave_cpu(gp, Grunnable, gp->locked ? locked_yields : requeue, gp);
}

void
sched_gosched(void)
{
	M *mp = sched_m();
	G *gp = mp->curg;
	if (unlikely(gp->odd != 0))
		yield_oddly(gp);
	else if (!yields_to_none(mp->p))
		leave_cpu(gp, Grunnable, requeue, gp);
}

// After: a G that begins again is as good as new, but for its number, name and creator.
static void
renew(void *v)
{
	G *gp = v;
	fiber_reset(gp);
	gp->sp = NULL;
	gp->defers = NULL;
	gp->panics = NULL;
	gp->panics_on_fault = false;
	store_rel(&gp->status, Grunnable); // order: publish -> sched_scan_begin, O1
	requeue(gp);
}

static COLD NORETURN void
end_oddly(G *gp)
{
	if (gp->observed != 0)
		(gp->begins_again ? observe_yields : observe_ends)(gp);
	if (gp->locked)
		locked_ends(sched_m());
	if (!gp->begins_again)
		own_add(&sched_m()->p->ended, 1);
	leave_cpu(gp, Gdead, gp->begins_again ? renew : g_retire, gp);
	__builtin_unreachable();
}

static inline __attribute__((always_inline)) NORETURN void
end(G *gp)
{
	if (unlikely(gp->scope != NULL || gp->locals != NULL || gp->open_scopes != 0))
		up_g_ends(gp);
	if (unlikely(gp->odd != 0))
		end_oddly(gp);
	P *pp = sched_m()->p;
	own_add(&pp->ended, 1);
	leave_cpu(gp, Gdead, g_retire, gp);
	__builtin_unreachable();
}

void
sched_exit(void)
{
	end(sched_g());
}

// Where every goroutine begins, on its own stack.
static NORETURN void
begin(void *unused)
{
	(void)unused;
	fiber_arrived();
	finish_switch();
	G *gp = sched_g();
	*sched_m()->errno_addr = 0;
	void (*fn)(void *) = gp->fn;
	void *arg = gp->arg; // from here on this goroutine's stack keeps it alive, not the record
	sched_leave();
	fn(arg);
	sched_enter();
	end(gp);
}

// --- the scan bit -----------------------------------------------------------------------------

// One fence for all of them: it may interrupt every processor.
uint32_t
sched_scan_begin_all(G *const *gs, uint32_t n)
{
	uint32_t held = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t was = load_rlx(&gs[i]->scan) & ~(uint32_t)SCAN_HELD; // order: hint
		if (cas_acq(&gs[i]->scan, &was, was | SCAN_HELD)) // order: claim, among scanners
			held |= (uint32_t)1 << i;
	}
	if (held == 0)
		return 0;
	fence_heavy(); // order: dekker with prepare: scan stored, then status read
	for (uint32_t i = 0; i < n; i++) {
		if ((held >> i & 1) == 0)
			continue;
		uint32_t s = load_acq(&gs[i]->status); // order: observe <- who parked or woke, O1
		if (s == Gwaiting || s == Grunnable)
			continue;
		sched_scan_end(gs[i]);
		held &= ~((uint32_t)1 << i);
	}
	return held;
}

bool
sched_scan_begin(G *gp)
{
	return sched_scan_begin_all(&gp, 1) != 0;
}

void
sched_scan_end(G *gp)
{
	and_ar(&gp->scan, ~(uint32_t)SCAN_HELD); // order: publish -> prepare
}

const char *
sched_wait_text(WaitReason r)
{
	static const char *const text[] = {
#define WAIT(name, txt) txt,
#include "sched/wait_reason.def"
#undef WAIT
	};
	return r < WAIT_COUNT ? text[r] : "unknown";
}
