// SPDX-License-Identifier: BSD-3-Clause
// A collection from its beginning to its end; the steps stand in gc_impl.h.
//
// Invariants:
//   G1  gc.busy is held by one party from the decision to collect until the world runs again.
//   G2  While the world is stopped by a cycle, foreign_lock is held by it: no thread without a P is
//       inside the allocator, and all others of the heap's locks are free; but the monitor, which
//       is never stopped, takes that of pages for a moment. It is taken after the stop, so that no
//       P waits for it; who has it needs no P to get on.
//   G3  No span is unswept when a mark begins.
// Locks:  foreign_lock (alloc.c), with the world stopped. gc.busy is no Mutex: who has it parks.
#include "gc/collect.h"

#include "arch/arch.h"
#include "base/godebug.h"
#include "gc/checkmark.h"
#include "gc/chores.h"
#include "gc/limit.h"
#include "gc/live.h"
#include "gc/mark.h"
#include "gc/pace.h"
#include "gc/poison.h"
#include "gc/shrink.h"
#include "gc/special.h"
#include "gc/worker.h"
#include "mem/walk.h"
#include "sched/sched.h"

static struct {
	ATOMIC_U32 busy;   // G1
	ATOMIC_U64 begun;  // cycles; who holds busy writes
	ATOMIC_U64 ended;  // the last of them that was swept at its end; who holds busy writes
} gc;

static Mutex waiters_lock = MUTEX_INIT(leaf);
static GList waiters;     // waiters_lock: for the end of a cycle

static RootSet roots;     // who holds busy
static ATOMIC_U64 next_root;
static ATOMIC_U64 next_chunk;
static size_t chunks;     // who holds busy

// --- the phases, each run by all workers ---------------------------------------------------------

static void
phase_premark(Marker *m)
{
	(void)m;
	for (uint64_t i; (i = add_rlx(&next_chunk, 1)) < chunks;) // order: claim
		heap_premark(i);
}

static void
pinned_span(void *v, Mspan *s)
{
	if (heap.info[span_page(s)].kind == KIND_PINNED)
		mark_pinned(v, s);
}

// Most roots are stacks of goroutines that have waited for long: a few lines each, all of them far
// away. They are fetched together.
static void
mark_roots(Marker *m)
{
	enum { BATCH = 32, FETCH_BYTES = 512 };
	for (uint64_t i; (i = add_rlx(&next_root, BATCH)) < roots.n;) { // order: claim
		uint64_t end = i + BATCH < roots.n ? i + BATCH : roots.n;
		for (uint64_t k = i; k < end; k++) {
			const char *lo = roots.ranges[k].lo, *hi = roots.ranges[k].hi;
			for (size_t at = 0; at < FETCH_BYTES && lo + at < hi; at += CACHE_LINE)
				__builtin_prefetch(lo + at);
		}
		for (uint64_t k = i; k < end; k++)
			mark_range(m, roots.ranges[k].lo, roots.ranges[k].hi);
	}
}

static void
phase_mark(Marker *m)
{
	mark_roots(m);
	for (uint64_t i; (i = add_rlx(&next_chunk, 1)) < chunks;) // order: claim
		chunk_each_span(i, pinned_span, m);
	specials_mark_roots(m);
	mark_drain(m);
}

static void
run_phase(WorkerFn *fn)
{
	store_rlx(&next_chunk, 0); // order: published by workers_run
	store_rlx(&next_root, 0);
	workers_run(fn);
}

// --- a cycle -------------------------------------------------------------------------------------

// What it has taken in hand and not told of yet is told now.
static void
flush_cache(Mcache *c)
{
	mcache_flush(c);
	pace_count(c);
}

static void
flush_caches(void)
{
	ProcSnapshot all = procs_all();
	for (uint32_t i = 0; i < all.n; i++)
		if (all.p[i]->mcache != NULL)
			flush_cache(all.p[i]->mcache);
	if (foreign_cache() != NULL)
		flush_cache(foreign_cache());
}

// GODEBUG=gcwalk=1: once before the mark, when everything is known exactly, and once after it.
COLD static void
walk_heap(bool marked)
{
	HeapWalk w;
	heap_walk(&w, marked);
	if (!marked) {
		go_heap_stats st;
		pace_stats(&st);
		heap_walk_same("bytes of live objects", heap.base, st.live_bytes, w.bytes);
		specials_verify();
	}
	heap_walk_end(&w);
}

static void
finish_sweeping(void)
{
	while (heap_sweep_one()) {
	}
	workers_wait();
}

static int64_t
cpu_here(void)
{
	return os_thread_cpu_ns(os_thread_id());
}
#ifdef UNDERGO_STRESS
static void
verify(void)
{
	for (size_t i = 0; i < roots.n; i++)
		verify_range(roots.ranges[i].lo, roots.ranges[i].hi);
	verify_heap();
}
#else
#define verify() ((void)0)
#endif

// The world is stopped, and all threads.
static void
mark_all(Cycle *c)
{
	chunks = heap_chunks();
	int64_t here = cpu_here(), help = workers_cpu_ns();
	run_phase(phase_premark);
	workers_reset();
	mark_begin(workers_count());
	run_phase(phase_mark);
	Marker *m = workers_marker(0);
	mark_recover(m);
	verify();
	specials_after_mark();
	c->live = workers_counts();
	c->mark_cpu = cpu_here() - here;
	c->mark_cpu_help = workers_cpu_ns() - help;
}

static void
note_roots(Cycle *c)
{
	c->stack_bytes = roots.stack_bytes;
	c->stack_pages = roots.stack_pages;
	c->global_bytes = roots.bytes - roots.stack_bytes;
	c->stopped = os_nanotime();
}

// All stand still, and the roots are gathered.
static void
mark_heap(Cycle *c)
{
	note_roots(c);
	flush_caches();
	c->live_before = pace_live();
	if (unlikely(godebug.gcwalk != 0))
		walk_heap(false);
	if (unlikely(godebug.stackpoison != 0))
		stacks_poison();
	if (unlikely(godebug.gccheckmark != 0))
		checkmark_begin(&roots);
	mark_all(c);
	if (unlikely(godebug.gccheckmark != 0))
		checkmark_end();
	if (unlikely(live_wanted()))
		live_gather(&roots);
	if (unlikely(godebug.gcwalk != 0))
		walk_heap(true);
	heap_start_sweep();
	pace_marked(c);
	c->marked = os_nanotime();
}

typedef enum Outcome {
	MARKED,
	CHANGED, // a module came or went meanwhile, or there are more roots than there was room for
	LATE,    // not all threads could be stopped
	REFUSED, // no memory
} Outcome;

void (*gc_cycle_begins)(void);

// From the stop to the restart; of the caller's stack, what is live begins at sp.
static Outcome
stopped_part(Cycle *c, const void *sp)
{
	c->asked = os_nanotime();
	sched_stop_world();
	if (gc_cycle_begins != NULL)
		gc_cycle_begins();
	foreign_lock();
	finish_sweeping(); // what was being swept when the stop was asked for
	Halt halt = threads_stop();
	Outcome outcome = halt == HALT_LATE ? LATE : REFUSED;
	if (halt == HALTED) {
		outcome = roots_gather(&roots, sp) ? MARKED : CHANGED;
		if (outcome == MARKED)
			mark_heap(c);
		threads_resume();
	}
	foreign_unlock();
	sched_start_world();
	c->resumed = os_nanotime();
	pace_paused(c);
	return outcome;
}

// They look again.
static void
wake_waiters(void)
{
	mutex_lock(&waiters_lock);
	GList all = waiters;
	waiters = (GList){0};
	mutex_unlock(&waiters_lock);
	sched_ready_list(&all);
}

// Not all threads could be stopped; the world runs. Who cannot do without the cycle waits for the
// next round, as if for the kernel; the others go on meanwhile: the thread may wait for them.
COLD static bool
may_try_again(Cycle *c)
{
	if (!threads_failed() || (c->why != GC_FORCED && c->why != GC_LIMIT))
		return false;
	wake_waiters(); // threads_held_off says so from now on
	sched_block_begin();
	os_sleep(threads_again_at() - os_nanotime()); // nothing tells when it can be stopped
	sched_enter();
	c->cpu_begin = os_thread_cpu_ns(os_thread_id()); // it may be another thread
	return true;
}

// Of the caller's stack what is live begins at `kept`: all that lies below is ours, and would keep
// alive what earlier marks have met, and what else was there. NULL: nobody has said. Then it begins
// with this frame, which holds the callee-saved registers of whoever called; it lasts until the
// mark is over.
// False: there is no memory to collect with, or a thread did not stop.
NOINLINE static bool
cycle(Cycle *c, const void *kept)
{
	__builtin_unwind_init();
	shrink_hurry();
	finish_sweeping();
	for (;;) {
		const void *sp = kept != NULL ? kept : arch_sp();
		Outcome outcome = roots_prepare() ? stopped_part(c, sp) : REFUSED;
		if (outcome == MARKED)
			return true;
		if (outcome == REFUSED || (outcome == LATE && !may_try_again(c)))
			return false;
	}
}

// --- who collects, and when ----------------------------------------------------------------------

static bool
gc_enter(void)
{
	uint32_t zero = 0;
	return cas_acq(&gc.busy, &zero, 1); // order: claim
}

// gp waits, unless what it waits for has come.
static void
wait_for(G *gp, bool end_of_try)
{
	mutex_lock(&waiters_lock);
	// order: own, the lock: gc_leave and may_try_again look afterwards
	bool waits = load_rlx(&gc.busy) != 0 && !(end_of_try && threads_held_off());
	if (waits)
		glist_push(&waiters, gp);
	mutex_unlock(&waiters_lock);
	if (!waits)
		sched_ready(gp);
}

// After: for the end of a cycle; for that, or for a stop of all threads that has failed.
static void
wait_for_end(void *gp)
{
	wait_for(gp, false);
}

static void
wait_for_try(void *gp)
{
	wait_for(gp, true);
}

static void
gc_leave(void)
{
	store_rel(&gc.busy, 0); // order: release
	wake_waiters();
}

// Who holds busy. Nothing happens without memory to collect with, or while a thread cannot be
// stopped: who allocates finds out whether there is enough for that, and tries again before the
// next time.
static void
collect(GcWhy why, const void *kept)
{
	Cycle c;
	pace_begin(&c, why);
	store_rel(&gc.begun, load_rlx(&gc.begun) + 1); // order: own
	c.procs = sched_procs().n;
	if (!workers_start(pace_expected() + (int64_t)roots.stack_bytes) || !cycle(&c, kept))
		return; // as if it had found nothing
	shrink_plan(why);
	bool helped = workers_sweep();
	bool sweeps = !helped || (why != GC_GOAL && why != GC_CHAOS);
	if (sweeps) {
		finish_sweeping();
		gc_swept();
	}
	if (!helped)
		shrink_run();
	specials_wake();
	final_watch(os_nanotime());
	pace_end(&c);
	if (sweeps) // the others leave some garbage for later: not enough for who waits
		store_rel(&gc.ended, load_rlx(&gc.begun)); // order: publish -> gc_collect
}

void
gc_swept(void)
{
	limit_swept();
	chores_freed();
	pressure_check(limit_memory(), limit_stats().limit);
}

// What sweeping finds may be enough.
static bool
is_due(size_t more)
{
	limit_learn();
	if (pace_left() <= 0)
		return true;
	if (!limit_due(more))
		return false;
	finish_sweeping(); // and whoever was the last to sweep has set a new goal
	return limit_due(more) && limit_allows(pace_gc_cpu_ns(), sched_procs().n);
}

// Somebody collects. Whether the end of that, or of a try, has been waited for: where the memory
// limit is near, what would be allocated meanwhile might be beyond it by far, should that thread
// have no CPU. For the goal's sake nobody waits.
static bool
awaits_end(size_t more)
{
	G *gp = sched_g();
	if (!limit_due(more) || threads_held_off() || gp->pinned)
		return false;
	sched_park(WAIT_gc_cycle, wait_for_try, gp);
	return true;
}

void
gc_collect_if_due(size_t more, const void *kept)
{
	if (!gc_started() || threads_held_off())
		return; // somebody waits for a thread
	// Once: who finds the next one at it goes on, however many there are.
	if (!gc_enter() && (!awaits_end(more) || !gc_enter()))
		return; // somebody is at it
	if (is_due(more)) {
		bool tight = limit_due(more);
		collect(GC_GOAL, kept);
		if (tight)
			finish_sweeping(); // or the limit would be exceeded meanwhile
	}
	gc_leave();
}

void
gc_collect_from(GcWhy why, const void *kept)
{
	if (!gc_started() || (why == GC_CHAOS && threads_held_off()))
		return;
	// order: count. One that begins after the call sees all the caller has dropped.
	uint64_t wanted = load_acq(&gc.begun) + 1;
	while (!gc_enter()) {
		if (why == GC_GOAL || why == GC_CHAOS)
			return; // somebody is at it
		sched_park(WAIT_gc_cycle, wait_for_end, sched_g());
		if (load_acq(&gc.ended) >= wanted) // order: observe <- collect
			return;
	}
	collect(why, kept);
	gc_leave();
}

void
gc_collect(GcWhy why)
{
	gc_collect_from(why, NULL);
}
