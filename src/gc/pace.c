// SPDX-License-Identifier: BSD-3-Clause
// When to collect: the goal that GOGC sets, and the memory limit.
//
// The heap in use is what the last mark found, and what has been taken in hand since. When it gets
// to the goal, whoever allocates collects.
//
// Locks:  settings, rank leaf. Other fields are written by who holds gc.busy, or are counts.
#include "gc/pace.h"

#include <stdlib.h>
#include <string.h>

#include "gc/collect.h"
#include "gc/worker.h"

enum { GOAL_MIN_BYTES = 4 << 20, PERCENT_DEFAULT = 100 }; // Go's

static struct {
	ATOMIC_I64 live CACHE_ALIGNED; // bytes in use, about
	ATOMIC_I64 goal CACHE_ALIGNED; // who holds gc.busy writes
	ATOMIC(int32_t) percent;
	ATOMIC_I64 limit;
	ATOMIC_I64 marked;             // by the last mark
	ATOMIC_U64 allocated;          // since the start, up to the last mark
	ATOMIC_I64 freed;              // by hand, since the last mark
	ATOMIC_U64 cycles, forced;
	ATOMIC_I64 pause_all, pause_max, pause_last;
	ATOMIC_I64 cpu_ns;
	int64_t workers_cpu;           // who holds gc.busy
} pace = {.goal = ATOMIC_INIT(INT64_MAX), .limit = ATOMIC_INIT(INT64_MAX)};

static Mutex settings = MUTEX_INIT(leaf);
static bool initialised; // settings

// --- the environment -----------------------------------------------------------------------------

static int32_t
percent_from_env(void)
{
	const char *v = getenv("GOGC");
	if (v == NULL || v[0] == '\0')
		return PERCENT_DEFAULT;
	if (strcmp(v, "off") == 0)
		return -1;
	char *end;
	long n = strtol(v, &end, 10);
	return *end == '\0' && n >= 0 && n <= INT32_MAX ? (int32_t)n : PERCENT_DEFAULT;
}

static void
set_goal(void)
{
	int64_t marked = load_rlx(&pace.marked); // order: own
	int64_t percent = load_rlx(&pace.percent), goal = INT64_MAX; // order: hint
	if (percent >= 0) {
		int64_t min = GOAL_MIN_BYTES * percent / 100, grow;
		if (__builtin_mul_overflow(marked, percent, &grow))
			grow = INT64_MAX / 2;
		goal = marked + grow / 100;
		goal = goal > min ? goal : min;
	}
	store_rlx(&pace.goal, goal); // order: hint
}

// Locks: settings held.
static void
init(void)
{
	if (initialised)
		return;
	initialised = true;
	store_rlx(&pace.percent, percent_from_env()); // order: own, under the lock
	set_goal();
}

void
pace_init(void)
{
	mutex_lock(&settings);
	init();
	mutex_unlock(&settings);
}

// --- the heap in use -----------------------------------------------------------------------------

void
pace_allocated(int64_t n)
{
	add_rlx(&pace.live, n); // order: count
}

void
pace_freed(int64_t n)
{
	add_rlx(&pace.freed, n); // order: count
	sub_rlx(&pace.live, n);  // order: count
}

void
pace_revived(int64_t n)
{
	add_rlx(&pace.marked, n); // order: count
	add_rlx(&pace.live, n);   // order: count
}

bool
gc_due(void)
{
	return load_rlx(&pace.live) >= load_rlx(&pace.goal); // order: hint
}

bool
pace_may_collect(void)
{
	return load_rlx(&pace.percent) >= 0; // order: hint
}

// --- a cycle -------------------------------------------------------------------------------------

int64_t
pace_begin(void)
{
	return os_thread_cpu_ns(os_thread_id());
}

void
pace_marked(MarkCounts live, GcWhy why)
{
	// order: STW, all
	int64_t gone = load_rlx(&pace.freed);
	int64_t fresh = load_rlx(&pace.live) + gone - load_rlx(&pace.marked);
	add_rlx(&pace.allocated, (uint64_t)fresh);
	sub_rlx(&pace.freed, gone);
	store_rlx(&pace.marked, (int64_t)live.bytes); // order: own
	store_rlx(&pace.live, (int64_t)live.bytes);   // order: STW
	own_add(&pace.cycles, 1);
	if (why == GC_FORCED)
		own_add(&pace.forced, 1);
	set_goal();
}

void
pace_paused(int64_t ns)
{
	own_add(&pace.pause_all, ns);
	store_rlx(&pace.pause_last, ns);       // order: own
	if (ns > load_rlx(&pace.pause_max))    // order: own
		store_rlx(&pace.pause_max, ns);
}

void
pace_end(int64_t begun, GcWhy why)
{
	(void)why;
	int64_t of_workers = workers_cpu_ns();
	int64_t here = os_thread_cpu_ns(os_thread_id()) - begun;
	own_add(&pace.cpu_ns, here + of_workers - pace.workers_cpu);
	pace.workers_cpu = of_workers;
}

// --- settings and numbers ------------------------------------------------------------------------

int
pace_set_percent(int percent)
{
	mutex_lock(&settings);
	init();
	int32_t before = load_rlx(&pace.percent); // order: own, under the lock
	store_rlx(&pace.percent, percent < 0 ? -1 : percent);
	set_goal();
	mutex_unlock(&settings);
	return before;
}

int64_t
pace_set_limit(int64_t bytes)
{
	int64_t before = load_rlx(&pace.limit); // order: hint
	if (bytes >= 0)
		store_rlx(&pace.limit, bytes);
	return before;
}

void
pace_stats(struct go_heap_stats *st)
{
	// order: count, all
	int64_t live = load_rlx(&pace.live), marked = load_rlx(&pace.marked);
	int64_t fresh = live + load_rlx(&pace.freed) - marked;
	*st = (struct go_heap_stats){
		.alloc_bytes = load_rlx(&pace.allocated) + (uint64_t)fresh,
		.live_bytes = (uint64_t)live,
		.goal_bytes = (uint64_t)load_rlx(&pace.goal),
		.collections = load_rlx(&pace.cycles),
		.forced = load_rlx(&pace.forced),
		.pause_ns = (uint64_t)load_rlx(&pace.pause_all),
		.pause_max_ns = (uint64_t)load_rlx(&pace.pause_max),
		.pause_last_ns = (uint64_t)load_rlx(&pace.pause_last),
		.gc_cpu_ns = (uint64_t)load_rlx(&pace.cpu_ns),
	};
	if (!heap_ready())
		return;
	HeapCounts c;
	heap_counts(&c);
	st->spans_bytes = c.in_use;
	st->free_bytes = c.free;
	st->released_bytes = c.released;
}
