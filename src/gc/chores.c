// SPDX-License-Identifier: BSD-3-Clause
// Chores: a collection every two minutes, memory that goes back to the system, callbacks.
//
// The monitor has the clock (up_monitor_looks). It gives memory back itself, some pages at a time
// and with pauses of nine times as long, and looks each second at what the heap was like lately
// (goal.c says what to keep). When nothing has changed for some seconds it stops looking, until
// pages become free again. It also puts memory behind the pages that a growing heap hands out next.
// Whatever else is due it tells a goroutine of the runtime's own, which begins with the first
// managed object: so a program that has none has no chores, and one that has become idle is awake
// for a moment every two minutes.
//
// Invariants:
//   H1  next is the earliest of force_at and scavenge_at, which change under the lock alone. Who
//       makes it earlier tells the monitor.
// Locks:  chores.lock, rank leaf. Never taken while the world is stopped, but by the monitor.
#include "gc/chores.h"

#include "gc/collect.h"
#include "gc/goal.h"
#include "gc/limit.h"
#include "gc/pace.h"
#include "gc/service.h"
#include "mem/mem_up.h"
#include "sched/sched.h"
#include "sched/sched_up.h"

enum {
	SLICE_BYTES = 4 << 20,
	SLICE_LEAST = 64 << 10,
	SLICE_REST = 9, // times as long as the slice took
	SLICE_REST_MIN_NS = 100 * 1000,
	LIMIT_PERCENT = 95, // free memory is kept up to so much of what the limit leaves
};
static const int64_t FORCE_NS = 120 * GO_SEC, LOOK_NS = GO_SEC;

static struct {
	Mutex lock;
	int64_t force_at;    // lock
	int64_t scavenge_at; // lock
	ATOMIC_I64 next;     // lock writes; H1
	ATOMIC_BOOL looking; // the monitor looks each second; lock writes
	bool asked;          // lock: for a collection
	// the monitor:
	KeepWindow window;
	int64_t look_at;     // when to look at the window again
	int64_t keep;        // by the last look
	int64_t allocated;   // by the last look, since the start
	bool populated;      // memory was made present ahead of use since the last look
	bool grows;          // and before it: what is ahead is kept
} chores = {
	.lock = MUTEX_INIT(leaf),
	.force_at = INT64_MAX,
	.scavenge_at = INT64_MAX,
	.next = ATOMIC_INIT(INT64_MAX),
};

static void do_chores(void);
static bool nothing_asked(void);
static Service service = {
	.name = "gc",
	.why = WAIT_force_gc,
	.work = do_chores,
	.idle = nothing_asked,
	.lock = &chores.lock,
};

// --- when ----------------------------------------------------------------------------------------

// Locks: chores.lock held. True: it became earlier.
static bool
set_next(void)
{
	int64_t before = load_rlx(&chores.next); // order: own, under the lock
	int64_t next = chores.force_at < chores.scavenge_at ? chores.force_at : chores.scavenge_at;
	store_rlx(&chores.next, next); // order: hint; who sleeps by it is woken
	return next < before;
}

void
chores_cycle(int64_t now)
{
	mutex_lock(&chores.lock);
	bool earlier = false;
	if (chores.force_at != INT64_MAX) {
		chores.force_at = now + FORCE_NS;
		earlier = set_next();
	}
	mutex_unlock(&chores.lock);
	if (earlier)
		sched_monitor_look();
}

void
chores_freed(void)
{
	fence_light(); // order: dekker with stop_looking: pages freed, then looking read
	if (likely(load_rlx(&chores.looking)))
		return;
	mutex_lock(&chores.lock);
	store_rlx(&chores.looking, true); // order: own, under the lock
	int64_t at = os_nanotime() + LOOK_NS;
	if (at < chores.scavenge_at)
		chores.scavenge_at = at;
	bool earlier = set_next();
	mutex_unlock(&chores.lock);
	if (earlier)
		sched_monitor_look();
}

// --- giving memory back --------------------------------------------------------------------------

static int64_t
room(void)
{
	int64_t bytes = limit_room();
	return bytes == INT64_MAX ? bytes : bytes / 100 * LIMIT_PERCENT;
}

// A second is over. False: nothing has changed in the whole window.
static bool
look(int64_t now)
{
	int64_t allocated = (int64_t)pace_allocated_bytes();
	int64_t rate = allocated - chores.allocated, used = (int64_t)heap_used_bytes();
	chores.allocated = allocated;
	chores.look_at = now + LOOK_NS;
	keep_note(&chores.window, (int64_t)heap_take_peak());
	chores.keep = keep_bytes(&chores.window, used, pace_live(), rate, pace_left(), room());
	chores.grows = chores.populated;
	chores.populated = false;
	return rate != 0 || !keep_settled(&chores.window);
}

static int64_t
surplus(void)
{
	HeapCounts c;
	heap_counts(&c);
	int64_t ahead = chores.grows ? (int64_t)heap_fresh_bytes() : 0;
	return (int64_t)(c.in_use + c.free) - ahead - chores.keep;
}

// Gives back some of what is too much. When to go on; 0: there is nothing.
static int64_t
give_slice(int64_t now)
{
	int64_t bytes = surplus();
	if (bytes < SLICE_LEAST)
		return 0;
	size_t most = bytes < SLICE_BYTES ? (size_t)bytes : SLICE_BYTES;
	if (heap_scavenge(most, !chores.grows) == 0)
		return 0;
	int64_t end = os_nanotime(), rest = (end - now) * SLICE_REST;
	return end + (rest > SLICE_REST_MIN_NS ? rest : SLICE_REST_MIN_NS);
}

// Nothing has changed and nothing is left to do. What is freed from here on begins it anew.
static int64_t
stop_looking(void)
{
	store_rlx(&chores.looking, false); // order: dekker with chores_freed: then pages read
	fence_heavy();
	return heap_used_bytes() == (uint64_t)chores.window.peak[0] ? INT64_MAX : chores.look_at;
}

// Runs on: the monitor. When to be called again.
static int64_t
scavenge(int64_t now)
{
	bool changes = true;
	if (now >= chores.look_at)
		changes = look(now);
	int64_t then = give_slice(now);
	if (then == 0)
		then = changes ? chores.look_at : stop_looking();
	return then < chores.look_at || then == INT64_MAX ? then : chores.look_at;
}

// --- memory ahead of use -------------------------------------------------------------------------

void
up_pages_wanted(void)
{
	sched_monitor_come();
}

// Not where the memory limit is near: what is wanted stays so then, and nobody says it anew. Runs
// on: the monitor, which has more to do: at most as many at a time as a region wishes for.
static void
populate(void)
{
	enum { AT_ONCE = 2 };
	bool any = false;
	int64_t most = room();
	most -= most / 4; // who makes room for an object now shall not find it gone
	for (int i = 0; i < AT_ONCE; i++) {
		HeapCounts c;
		heap_counts(&c);
		int64_t left = most - (int64_t)(c.in_use + c.free);
		if (left < POPULATE_BYTES || !heap_populate())
			break;
		any = true;
	}
	if (!any)
		return;
	chores.populated = true;
	chores_freed(); // the monitor shall look whether they stay unused
	if (heap_pages_wanted())
		sched_monitor_come();
}

// --- the goroutine -------------------------------------------------------------------------------

static bool
nothing_asked(void)
{
	return !chores.asked;
}

static void
do_chores(void)
{
	mutex_lock(&chores.lock);
	bool asked = chores.asked;
	chores.asked = false;
	mutex_unlock(&chores.lock);
	if (asked && pace_may_collect())
		gc_collect(GC_PERIODIC);
}

static void
ask(void)
{
	mutex_lock(&chores.lock);
	chores.asked = true;
	service_unlock_wake(&service);
}

COLD static void
begin(void)
{
	if (!service_start(&service))
		return; // the next who allocates tries again
	mutex_lock(&chores.lock);
	if (chores.force_at == INT64_MAX)
		chores.force_at = os_nanotime() + FORCE_NS;
	bool earlier = set_next();
	mutex_unlock(&chores.lock);
	if (earlier)
		sched_monitor_look();
}

void
chores_begin(void)
{
	if (unlikely(!service_started(&service)))
		begin();
}

// --- the clock -----------------------------------------------------------------------------------

int64_t
up_monitor_looks(int64_t now)
{
	if (unlikely(heap_pages_wanted()))
		populate();
	int64_t next = load_rlx(&chores.next); // order: hint
	if (likely(now < next))
		return next;
	mutex_lock(&chores.lock);
	bool force = now >= chores.force_at, scavenges = now >= chores.scavenge_at;
	if (force)
		chores.force_at = now + FORCE_NS;
	if (scavenges)
		chores.scavenge_at = INT64_MAX;
	mutex_unlock(&chores.lock);
	if (force)
		ask();
	int64_t then = scavenges ? scavenge(now) : INT64_MAX;
	mutex_lock(&chores.lock);
	if (then < chores.scavenge_at)
		chores.scavenge_at = then;
	(void)set_next();
	next = load_rlx(&chores.next); // order: own, under the lock
	mutex_unlock(&chores.lock);
	return next;
}
