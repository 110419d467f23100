// SPDX-License-Identifier: BSD-3-Clause
// When to collect: the goal that GOGC sets; and the numbers about collecting.
//
// The heap in use is what the last mark found, and what has been taken in hand since. When it gets
// to the goal, whoever allocates collects. The memory limit has goals of its own: limit.c.
// Whichever is reached first counts.
//
// Invariants:
//   P1  Allocated since the start: base + (live - marked) + freed. Only a mark changes base and
//       marked, with the world stopped; the same of objects.
// Locks:  pace.lock, rank leaf, for the goal; never taken while the world is stopped. Other fields
//         are written by who holds gc.busy, or are counts.
#include "gc/pace.h"

#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/godebug.h"
#include "gc/chores.h"
#include "gc/collect.h"
#include "gc/goal.h"
#include "gc/limit.h"
#include "gc/shrink.h"
#include "gc/worker.h"
#include "sched/sched.h"

#define NO_TSAN __attribute__((no_sanitize("thread")))

enum { PERCENT_DEFAULT = 100 }; // Go's

// Bytes, or objects; P1.
typedef struct Counted {
	ATOMIC_I64 live CACHE_ALIGNED; // in use, about
	ATOMIC_I64 marked;             // by the last mark
	ATOMIC_I64 freed;              // by hand
	ATOMIC_I64 base;
} Counted;

static struct {
	Counted bytes, objects;
	ATOMIC_I64 tinies; // objects that were put beside another: not in `objects`
	ATOMIC_I64 goal CACHE_ALIGNED; // lock writes
	Mutex lock;
	ATOMIC(int32_t) percent;
	ATOMIC_I64 roots; // bytes looked through by the last cycle that are not in the heap
	ATOMIC_U64 cycles, forced, periodic;
	ATOMIC_I64 pause_all, pause_max, pause_last, ended_at;
	ATOMIC_I64 cpu_ns;
	ATOMIC_I64 pauses[PAUSES_KEPT], pauses_ended[PAUSES_KEPT];
	ATOMIC_U64 stops[PAUSE_BUCKETS];
	int64_t pause_cycle; // who holds gc.busy: of the cycle at hand
	int64_t workers_cpu; // who holds gc.busy: by the last cycle
} pace = {.goal = ATOMIC_INIT(INT64_MAX), .lock = MUTEX_INIT(leaf)};

// --- the goal ------------------------------------------------------------------------------------

static int32_t
percent_from_env(void)
{
	const char *v = getenv("GOGC");
	int32_t n;
	if (v == NULL || v[0] == '\0')
		return PERCENT_DEFAULT;
	if (strcmp(v, "off") == 0)
		return -1;
	if (!env_int32(v, &n))
		return PERCENT_DEFAULT;
	return n < 0 ? -1 : n;
}

static void
set_goal(void)
{
	mutex_lock(&pace.lock);
	int64_t goal = goal_by_growth(load_rlx(&pace.bytes.marked), // order: hint, all
				      load_rlx(&pace.roots), load_rlx(&pace.percent));
	store_rlx(&pace.goal, goal); // order: hint
	mutex_unlock(&pace.lock);
}

void
pace_init(void)
{
	store_rlx(&pace.percent, percent_from_env()); // order: before the first allocation
	limit_init();
	set_goal();
}

int64_t
pace_live(void)
{
	return load_rlx(&pace.bytes.live); // order: count
}

int64_t
pace_left(void)
{
	int64_t goal = load_rlx(&pace.goal); // order: hint
	// What is in use may be below 0 for a while: frees are told before allocations.
	return goal == INT64_MAX ? goal : goal - load_rlx(&pace.bytes.live); // order: hint
}

bool
gc_due(size_t more)
{
	return pace_left() <= 0 || limit_due(more);
}

bool
pace_may_collect(void)
{
	return load_rlx(&pace.percent) >= 0; // order: hint
}

// --- the heap in use -----------------------------------------------------------------------------

void
pace_allocated(int64_t bytes, int64_t objects)
{
	add_rlx(&pace.bytes.live, bytes);     // order: count
	add_rlx(&pace.objects.live, objects); // order: count
}

static void
count(Counted *c, int64_t taken, int64_t freed)
{
	add_rlx(&c->live, taken - freed); // order: count
	if (freed != 0)
		add_rlx(&c->freed, freed); // order: count
}

void
pace_freed(int64_t bytes)
{
	count(&pace.bytes, 0, bytes);
	count(&pace.objects, 0, 1);
}

void
pace_revived(int64_t bytes)
{
	add_rlx(&pace.bytes.marked, bytes); // order: count
	add_rlx(&pace.objects.marked, 1);   // order: count
	add_rlx(&pace.bytes.live, bytes);   // order: count
	add_rlx(&pace.objects.live, 1);     // order: count
}

void
pace_count(Mcache *c)
{
	count(&pace.bytes, c->allocated, c->freed);
	count(&pace.objects, c->objects, c->freed_objects);
	if (c->tinies != 0)
		add_rlx(&pace.tinies, c->tinies); // order: count
	c->tinies = 0;
	c->allocated = c->objects = c->freed = c->freed_objects = 0;
}

// P1.
static uint64_t
counted_since_start(const Counted *c)
{
	// order: count, all
	return (uint64_t)(load_rlx(&c->base) + load_rlx(&c->live) - load_rlx(&c->marked) +
			  load_rlx(&c->freed));
}

uint64_t
pace_allocated_bytes(void)
{
	return counted_since_start(&pace.bytes);
}

// STW, P1.
static void
count_marked(Counted *c, uint64_t marked)
{
	// order: STW, all
	store_rlx(&c->base, load_rlx(&c->base) + load_rlx(&c->live) - load_rlx(&c->marked));
	store_rlx(&c->marked, (int64_t)marked);
	store_rlx(&c->live, (int64_t)marked);
}

// --- a cycle -------------------------------------------------------------------------------------

void
pace_begin(Cycle *c, GcWhy why)
{
	*c = (Cycle){
		.why = why,
		.cpu_begin = os_thread_cpu_ns(os_thread_id()),
		.goal_before = load_rlx(&pace.goal), // order: hint
	};
}

// As many as last time, or some of what has come since: most of it dies young.
int64_t
pace_expected(void)
{
	int64_t marked = load_rlx(&pace.bytes.marked); // order: count
	int64_t some = load_rlx(&pace.bytes.live) / 8; // order: count
	return marked > some ? marked : some;
}

void
pace_marked(const Cycle *c)
{
	count_marked(&pace.bytes, c->live.bytes);
	count_marked(&pace.objects, c->live.objects);
	store_rlx(&pace.roots, (int64_t)(c->stack_bytes + c->global_bytes)); // order: own
}

// Each stop counts, also one that no mark came of.
void
pace_paused(const Cycle *c)
{
	int64_t ns = c->resumed - c->asked;
	own_add(&pace.pause_all, ns);
	store_rlx(&pace.pause_last, ns);    // order: own
	pace.pause_cycle += ns;
	int bucket = 63 - __builtin_clzll((uint64_t)ns | 1);
	own_add(&pace.stops[bucket < PAUSE_BUCKETS ? bucket : PAUSE_BUCKETS - 1], 1);
	if (ns > load_rlx(&pace.pause_max)) // order: own
		store_rlx(&pace.pause_max, ns);
}

static void
count_cpu(const Cycle *c)
{
	int64_t of_workers = workers_cpu_ns();
	int64_t here = os_thread_cpu_ns(os_thread_id()) - c->cpu_begin;
	own_add(&pace.cpu_ns, here + of_workers - pace.workers_cpu);
	pace.workers_cpu = of_workers;
}

// Of all CPU time that the processors had.
static uint32_t
gc_percent(const Cycle *c)
{
	int64_t had = (c->resumed - sched_started_at()) * c->procs;
	return had > 0 ? (uint32_t)(load_rlx(&pace.cpu_ns) * 100 / had) : 0; // order: own
}

void
pace_end(const Cycle *c)
{
	uint64_t nth = load_rlx(&pace.cycles) % PAUSES_KEPT;   // order: own
	store_rlx(&pace.pauses[nth], pace.pause_cycle);         // order: count
	store_rlx(&pace.pauses_ended[nth], c->resumed);         // order: count
	pace.pause_cycle = 0;
	own_add(&pace.cycles, 1);
	own_add(&pace.forced, c->why == GC_FORCED);
	own_add(&pace.periodic, c->why == GC_PERIODIC);
	count_cpu(c);
	store_rlx(&pace.ended_at, c->resumed); // order: count
	set_goal();
	limit_cycle((int64_t)c->stack_pages, c->resumed);
	chores_cycle(c->resumed);
	if (godebug.gctrace > 0)
		trace_cycle(c, load_rlx(&pace.cycles), gc_percent(c), c->goal_before); // order: own
}

int64_t
pace_gc_cpu_ns(void)
{
	return load_rlx(&pace.cpu_ns); // order: count
}

void
pace_pauses(Pauses *p)
{
	p->cycles = load_rlx(&pace.cycles); // order: count, all
	for (size_t i = 0; i < PAUSES_KEPT; i++) {
		p->ns[i] = load_rlx(&pace.pauses[i]);
		p->ended_at[i] = load_rlx(&pace.pauses_ended[i]);
	}
	for (size_t i = 0; i < PAUSE_BUCKETS; i++)
		p->stops[i] = load_rlx(&pace.stops[i]);
}

// Slots of a class that a cache has in hand. Caches are never freed; it may change meanwhile.
static NO_TSAN uint64_t
in_hand(const Mcache *c, uint32_t class)
{
	uint64_t n = 0;
	for (int kind = 0; kind < KIND_COUNT; kind++) {
		n += (uint64_t)__builtin_popcountll(c->slots[kind][class].free);
		n += (uint64_t)__builtin_popcountll(c->later[kind][class]);
	}
	return n;
}

static uint64_t
taken(const Mcache *c, uint32_t class)
{
	if (c == NULL)
		return 0;
	uint64_t all = load_rlx(&c->taken[class]), free = in_hand(c, class); // order: count
	return all > free ? all - free : 0;
}

uint64_t
pace_tinies(void)
{
	return (uint64_t)load_rlx(&pace.tinies); // order: count
}

ClassCounts
pace_of_class(uint32_t class)
{
	ProcSnapshot ps = procs_all();
	uint64_t allocated = taken(foreign_cache(), class);
	for (uint32_t i = 0; i < ps.n; i++)
		allocated += taken(ps.p[i]->mcache, class);
	return (ClassCounts){allocated, heap_swept(class)};
}

// --- settings and numbers ------------------------------------------------------------------------

int
pace_set_percent(int percent)
{
	int32_t before = xchg_rlx(&pace.percent, percent < 0 ? -1 : percent); // order: hint
	set_goal();
	return before;
}

// The heap in use at which the next cycle begins, as far as pages are used as they were: the limit
// counts pages.
static int64_t
goal_of_both(int64_t live)
{
	limit_learn();
	int64_t goal = load_rlx(&pace.goal), pages = limit_left(); // order: hint
	if (pages == INT64_MAX)
		return goal;
	int64_t by_limit = live + (pages > 0 ? pages : 0);
	return by_limit < goal ? by_limit : goal;
}

void
pace_pressure(struct go_pressure *p)
{
	limit_learn();
	LimitStats lim = limit_stats();
	*p = (struct go_pressure){
		.limit_bytes = lim.limit,
		.used_bytes = limit_memory(),
		.live_bytes = load_rlx(&pace.bytes.marked), // order: count
		.held_back = lim.held_back,
	};
}

static void
memory_stats(struct go_heap_stats *st)
{
	HeapCounts c;
	heap_counts(&c);
	LimitStats lim = limit_stats();
	st->spans_bytes = c.in_use;
	st->free_bytes = c.free;
	st->released_bytes = c.released;
	st->reserved_bytes = c.reserved;
	st->meta_bytes = c.meta;
	st->stack_bytes = (uint64_t)lim.stack_bytes;
	st->memory_bytes = (uint64_t)limit_memory();
	st->limit_bytes = lim.limit;
	st->max_bytes = lim.max;
	st->held_back = lim.held_back;
	st->held_back_at = lim.held_back_at;
}

void
pace_stats(struct go_heap_stats *st)
{
	// order: count, all
	int64_t live = load_rlx(&pace.bytes.live), objects = load_rlx(&pace.objects.live);
	*st = (struct go_heap_stats){
		.alloc_bytes = counted_since_start(&pace.bytes),
		.allocs = counted_since_start(&pace.objects) +
			  (uint64_t)load_rlx(&pace.tinies),
		.live_bytes = live > 0 ? (uint64_t)live : 0,
		.objects = objects > 0 ? (uint64_t)objects : 0,
		.marked_bytes = (uint64_t)load_rlx(&pace.bytes.marked),
		.goal_bytes = (uint64_t)goal_of_both(live),
		.gc_percent = load_rlx(&pace.percent),
		.collections = load_rlx(&pace.cycles),
		.forced = load_rlx(&pace.forced),
		.periodic = load_rlx(&pace.periodic),
		.pause_ns = (uint64_t)load_rlx(&pace.pause_all),
		.pause_max_ns = (uint64_t)load_rlx(&pace.pause_max),
		.pause_last_ns = (uint64_t)load_rlx(&pace.pause_last),
		.last_at = load_rlx(&pace.ended_at),
		.gc_cpu_ns = (uint64_t)load_rlx(&pace.cpu_ns),
	};
	st->frees = st->allocs > st->objects ? st->allocs - st->objects : 0;
	shrink_stats(st);
	memory_stats(st);
}

// What a cache has not told yet, less what of it nobody has.
static NO_TSAN void
add_untold(struct go_heap_stats *st, const Mcache *c)
{
	if (c == NULL)
		return;
	int64_t bytes = c->allocated, objects = c->objects;
	for (uint32_t class = 1; class < SIZE_CLASSES; class++) {
		int64_t n = (int64_t)in_hand(c, class);
		bytes -= n * class_size[class];
		objects -= n;
	}
	st->alloc_bytes += (uint64_t)bytes;
	st->live_bytes += (uint64_t)bytes;
	st->allocs += (uint64_t)(objects + c->tinies);
	st->frees += (uint64_t)c->tinies;
	st->objects += (uint64_t)objects;
}

void
pace_stats_now(struct go_heap_stats *st)
{
	ProcSnapshot ps = procs_all();
	pace_stats(st);
	add_untold(st, foreign_cache());
	for (uint32_t i = 0; i < ps.n; i++)
		add_untold(st, ps.p[i]->mcache);
}
