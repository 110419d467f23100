// SPDX-License-Identifier: BSD-3-Clause
// Numbers of the heap and of collecting, as packages runtime and runtime/debug tell them. Package
// runtime/metrics has the same ones, in go/metrics.go.
#include <time.h>

#include "gc/pace.h"
#include "gc/site.h"
#include "gccgo/gccgo.h"
#include "sched/observe.h"
#include "undergo/heap.h"

// What to add to our time to have the system's. The same each time until somebody sets the clock:
// who asks twice for one moment is told one.
static int64_t
unix_less_mono(void)
{
	static ATOMIC(int64_t) told;
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	int64_t less = ts.tv_sec * GO_SEC + ts.tv_nsec - os_nanotime();
	int64_t was = load_rlx(&told); // order: hint
	if (was != 0 && less - was < GO_MSEC && was - less < GO_MSEC)
		return was;
	store_rlx(&told, less); // order: hint
	return less;
}

// 0 stays 0: it has not been.
static uint64_t
unix_of(int64_t at, int64_t less)
{
	return at != 0 ? (uint64_t)(at + less) : 0;
}

static void
read_stats(go_heap_stats *st)
{
	gc_configure();
	sched_enter();
	pace_stats_now(st);
	sched_leave();
}

// --- runtime.ReadMemStats ------------------------------------------------------------------------

static void
tell_memory(MemStats *m, const go_heap_stats *st)
{
	m->alloc = m->heap_alloc = st->live_bytes;
	m->total_alloc = st->alloc_bytes;
	m->mallocs = st->allocs;
	m->frees = st->frees;
	m->heap_objects = st->objects;
	m->heap_inuse = st->spans_bytes;
	m->heap_idle = st->free_bytes + st->released_bytes;
	m->heap_released = st->released_bytes;
	m->heap_sys = st->spans_bytes + st->free_bytes + st->released_bytes;
	m->stack_inuse = m->stack_sys = st->stack_bytes;
	m->buckhash_sys = sites_count() * sizeof(Site);
	m->gc_sys = st->meta_bytes;
	m->sys = m->heap_sys + m->stack_sys + m->gc_sys + m->buckhash_sys;
}

static double
gc_share(const go_heap_stats *st)
{
	double had = (double)(os_nanotime() - sched_started_at()) * (double)sched_procs().n;
	return had > 0 ? (double)st->gc_cpu_ns / had : 0;
}

static void
tell_cycles(MemStats *m, const go_heap_stats *st)
{
	static_assert(PAUSES_KEPT == countof(m->pause_ns), "what programs were compiled with");
	Pauses p;
	int64_t less = unix_less_mono();
	pace_pauses(&p);
	m->next_gc = st->goal_bytes;
	m->last_gc = unix_of(st->last_at, less);
	m->pause_total_ns = st->pause_ns;
	for (size_t i = 0; i < PAUSES_KEPT; i++) {
		m->pause_ns[i] = (uint64_t)p.ns[i];
		m->pause_end[i] = unix_of(p.ended_at[i], less);
	}
	m->num_gc = (uint32_t)st->collections;
	m->num_forced_gc = (uint32_t)st->forced;
	m->gc_cpu_fraction = gc_share(st);
	m->enable_gc = true;
}

typedef struct OfClass {
	uintptr_t size; // 0: there is no such class
	uint64_t allocated, dead;
} OfClass;

static ClassCounts
counts_and(ClassCounts c, uint32_t other)
{
	ClassCounts more = pace_of_class(other);
	return (ClassCounts){c.allocated + more.allocated, c.dead + more.dead};
}

// Our first two classes are of the same size, and one to Go. So is the one of our own and the next.
static OfClass
of_class(uint32_t i)
{
	uint32_t class = i + 1;
	if (i == 0 || class >= GO_SIZE_CLASSES)
		return (OfClass){0, 0, 0};
	ClassCounts c = pace_of_class(class);
	if (i == 1)
		c = counts_and(c, CLASS_TINY);
	if (class == size_class_go(CLASS_TABLE_BYTES))
		c = counts_and(c, CLASS_TABLE);
	uint64_t dead = c.dead < c.allocated ? c.dead : c.allocated;
	return (OfClass){class_size[class], c.allocated, dead};
}

// Of class 0, large objects, nothing.
static void
tell_sizes(MemStats *m)
{
	for (uint32_t i = 1; i < countof(m->by_size); i++) {
		OfClass c = of_class(i);
		m->by_size[i].size = (uint32_t)c.size;
		m->by_size[i].mallocs = c.allocated;
		m->by_size[i].frees = c.dead;
	}
}

GOFUNC("runtime.ReadMemStats", void, rt_readmemstats, (MemStats *m))
{
	go_heap_stats st;
	read_stats(&st);
	memset(m, 0, sizeof(*m));
	tell_memory(m, &st);
	tell_cycles(m, &st);
	tell_sizes(m);
}

// --- runtime/debug -------------------------------------------------------------------------------

// The pauses, the newest first; when they ended; when the last cycle did, how many there were, and
// all pauses together. There is room.
GOFUNC("runtime_1debug.readGCStats", void, rt_readgcstats, (Slice *pauses))
{
	go_heap_stats st;
	Pauses p;
	read_stats(&st);
	pace_pauses(&p);
	uint64_t *to = pauses->p, n = p.cycles < PAUSES_KEPT ? p.cycles : PAUSES_KEPT;
	int64_t less = unix_less_mono();
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = (p.cycles - 1 - i) % PAUSES_KEPT;
		to[i] = (uint64_t)p.ns[at];
		to[n + i] = unix_of(p.ended_at[at], less);
	}
	to[2 * n] = unix_of(st.last_at, less);
	to[2 * n + 1] = p.cycles;
	to[2 * n + 2] = st.pause_ns;
	pauses->len = (Int)(2 * n + 3);
}

// --- runtime/metrics -----------------------------------------------------------------------------

GOFUNC("runtime.pausecounts", void, rt_pausecounts, (Slice counts))
{
	Pauses p;
	pace_pauses(&p);
	for (Int i = 0; i < counts.len && i < PAUSE_BUCKETS; i++)
		((uint64_t *)counts.p)[i] = p.stops[i];
}

GOFUNC("runtime.latencycounts", void, rt_latencycounts, (Slice counts))
{
	for (Int i = 0; i < counts.len && i < LATENCY_BUCKETS; i++)
		((uint64_t *)counts.p)[i] = latency_count((uint32_t)i);
}

// Programs without package runtime/metrics have nobody to tell.
GO_VISIBLE extern void metrics_import(void) __asm__("runtime_1metrics..import")
	__attribute__((weak));

void
memstats_init(void)
{
	if (metrics_import == NULL)
		return;
	sched_enter();
	latency_begin();
	sched_leave();
}

GOFUNC("runtime.sizeclass", OfClass, rt_sizeclass, (Int i))
{
	return of_class((uint32_t)i);
}

GOFUNC("runtime.tinyallocs", uint64_t, rt_tinyallocs, (void))
{
	return pace_tinies();
}
