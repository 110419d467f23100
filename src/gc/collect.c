// SPDX-License-Identifier: BSD-3-Clause
// A collection from its beginning to its end; the steps stand in gc_impl.h.
//
// Invariants:
//   G1  gc.busy is held by one party from the decision to collect until the world runs again.
//   G2  While the world is stopped by a cycle, foreign_lock is held by it: no thread without a P is
//       inside the allocator, and all others of the heap's locks are free. It is taken after the
//       stop, so that no P waits for it; who has it needs no P to get on.
//   G3  No span is unswept when a mark begins.
// Locks:  foreign_lock (alloc.c), with the world stopped. gc.busy is no Mutex: who has it parks.
#include "gc/collect.h"

#include "arch/arch.h"
#include "base/godebug.h"
#include "gc/checkmark.h"
#include "gc/live.h"
#include "gc/mark.h"
#include "gc/pace.h"
#include "gc/poison.h"
#include "gc/special.h"
#include "gc/worker.h"
#include "mem/walk.h"
#include "sched/sched.h"

static struct {
	ATOMIC_U32 busy;   // G1
	ATOMIC_U64 begun;  // cycles; who holds busy writes
	ATOMIC_U64 ended;  // who holds busy writes
} gc;

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

static void
phase_mark(Marker *m)
{
	for (uint64_t i; (i = add_rlx(&next_root, 1)) < roots.n;) // order: claim
		mark_range(m, roots.ranges[i].lo, roots.ranges[i].hi);
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

static void
flush_cache(Mcache *c)
{
	mcache_flush(c);
	pace_allocated(c->allocated); // or it would be counted on top of what is marked
	c->allocated = 0;
}

static void
flush_caches(void)
{
	ProcSnapshot all = procs_all();
	for (uint32_t i = 0; i < all.n; i++)
		if (all.p[i]->mcache != NULL)
			flush_cache(all.p[i]->mcache);
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
static MarkCounts
mark_all(void)
{
	chunks = heap_chunks();
	run_phase(phase_premark);
	workers_reset();
	mark_begin(workers_count());
	run_phase(phase_mark);
	Marker *m = workers_marker(0);
	mark_recover(m);
	mark_begin(1);
	verify();
	specials_after_mark(m);
	return workers_counts();
}

// From the stop to the restart; of the caller's stack, what is live begins at sp. False: a module
// came or went meanwhile.
static bool
stopped_part(GcWhy why, const void *sp)
{
	sched_stop_world();
	int64_t stopped_at = os_nanotime();
	foreign_lock();
	finish_sweeping(); // what was being swept when the stop was asked for
	threads_stop();
	bool ok = roots_gather(&roots, sp);
	if (ok) {
		flush_caches();
		if (unlikely(godebug.gcwalk != 0))
			walk_heap(false);
		if (unlikely(godebug.stackpoison != 0))
			stacks_poison();
		if (unlikely(godebug.gccheckmark != 0))
			checkmark_begin(&roots);
		MarkCounts live = mark_all();
		if (unlikely(godebug.gccheckmark != 0))
			checkmark_end();
		if (unlikely(live_wanted()))
			live_gather();
		if (unlikely(godebug.gcwalk != 0))
			walk_heap(true);
		heap_start_sweep();
		pace_marked(live, why);
	}
	threads_resume();
	foreign_unlock();
	if (ok)
		pace_paused(os_nanotime() - stopped_at);
	sched_start_world();
	return ok;
}

// Its frame holds the callee-saved registers of whoever called, and lasts until the mark is over.
// What lies below it is the collector's own, and would keep alive what earlier marks have met.
NOINLINE static void
cycle(GcWhy why)
{
	__builtin_unwind_init();
	finish_sweeping();
	do
		roots_prepare();
	while (!stopped_part(why, arch_sp()));
}

static bool
gc_enter(void)
{
	uint32_t zero = 0;
	return cas_acq(&gc.busy, &zero, 1); // order: claim
}

static void
pause_a_little(void)
{
	if (sched_g()->thread)
		os_sleep(50 * 1000);
	else
		sched_gosched();
}

void
gc_collect(GcWhy why)
{
	if (!gc_started())
		return;
	// order: count. One that begins after the call sees all the caller has dropped.
	uint64_t wanted = load_acq(&gc.begun) + 1;
	while (!gc_enter()) {
		if (why == GC_GOAL)
			return; // somebody is at it
		pause_a_little();
		if (load_acq(&gc.ended) >= wanted) // order: observe <- below
			return;
	}
	if (why == GC_GOAL && !gc_due()) {
		store_rel(&gc.busy, 0); // order: release
		return;
	}
	int64_t cpu = pace_begin();
	store_rel(&gc.begun, load_rlx(&gc.begun) + 1); // order: own
	workers_start();
	cycle(why);
	if (!workers_sweep() || why == GC_FORCED)
		finish_sweeping();
	specials_wake();
	pace_end(cpu, why);
	store_rel(&gc.ended, load_rlx(&gc.begun)); // order: publish -> gc_collect
	store_rel(&gc.busy, 0);                    // order: release
}
