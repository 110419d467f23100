// SPDX-License-Identifier: BSD-3-Clause
// Goroutines that are observed: who is told of what they do, and how long they waited for a
// processor.
//
// Invariants:
//   V1  While sched.observing has a bit, each G in the list of all has it; and none has it while
//       sched.observing has not.
//   V2  SCAN_OBSERVED is set while any bit is.
// Who has no processor is not stopped with the world, and may see a bit late: a thread of the
// program, an M that comes out of the poller, a helper of the collector, the monitor. What he has
// not told of then, the trace infers (events.c, E3).
#include "sched/observe.h"

#include "sched/sched_impl.h"

// --- beginning and ending ------------------------------------------------------------------------

void
observe_record(G *gp, uint32_t bits)
{
	gp->observed = (uint8_t)bits;
	gp->ready_at = 0;
	if (bits != 0)
		(void)or_ar(&gp->scan, SCAN_OBSERVED); // order: own, or with the world stopped
	else
		(void)and_ar(&gp->scan, ~(uint32_t)SCAN_OBSERVED); // order: the same
}

static void
observe_all(uint32_t bits)
{
	mutex_lock(&sched.allg_lock);
	store_rlx(&sched.observing, bits); // order: own, under the lock
	for (G *gp = load_rlx(&sched.all_g); gp != NULL; gp = gp->all_next) // order: own
		observe_record(gp, bits);
	mutex_unlock(&sched.allg_lock);
}

void
observe_begin(uint32_t bits)
{
	observe_all(load_rlx(&sched.observing) | bits); // order: own, world stopped
}

void
observe_end(uint32_t bits)
{
	observe_all(load_rlx(&sched.observing) & ~bits); // order: own, world stopped
}

// --- how long goroutines wait --------------------------------------------------------------------

enum { SAMPLE_ONE_IN = 8, CLOCK_SHIFT = 6 };

static ATOMIC_U64 latency[LATENCY_BUCKETS];

// Time in steps that let 32 bits tell four minutes; never 0.
static uint32_t
clock_now(void)
{
	return (uint32_t)((uint64_t)os_nanotime() >> CLOCK_SHIFT) | 1;
}

static void
latency_waits(G *gp)
{
	M *mp = sched_m();
	bool taken = mp != NULL && base_rand_below(&mp->rand, SAMPLE_ONE_IN) == 0;
	gp->ready_at = taken ? clock_now() : 0;
}

static void
latency_ends(G *gp)
{
	if (gp->ready_at == 0)
		return;
	uint64_t ns = (uint64_t)(clock_now() - gp->ready_at) << CLOCK_SHIFT;
	uint32_t i = ns != 0 ? 63 - (uint32_t)__builtin_clzll(ns) : 0;
	gp->ready_at = 0;
	add_rlx(&latency[i < LATENCY_BUCKETS ? i : LATENCY_BUCKETS - 1], 1); // order: count
}

void
latency_begin(void)
{
	sched_stop_world();
	observe_begin(OBSERVE_LATENCY);
	sched_start_world();
}

uint64_t
latency_count(uint32_t i)
{
	return load_rlx(&latency[i]); // order: count
}

// --- what the scheduler tells --------------------------------------------------------------------

void
observe_ready(G *gp)
{
	if ((gp->observed & OBSERVE_TRACE) != 0)
		events_ready(gp);
	if ((gp->observed & OBSERVE_LATENCY) != 0)
		latency_waits(gp);
}

void
observe_parks(G *gp, WaitReason why)
{
	if ((gp->observed & OBSERVE_TRACE) != 0)
		events_parks(gp, why);
}

void
observe_yields(G *gp)
{
	if ((gp->observed & OBSERVE_TRACE) != 0)
		events_yields(gp);
	observe_waits_for_p(gp);
}

void
observe_ends(G *gp)
{
	if ((gp->observed & OBSERVE_TRACE) != 0)
		events_ends(gp);
}

void
observe_waits_for_p(G *gp)
{
	if ((gp->observed & OBSERVE_LATENCY) != 0)
		latency_waits(gp);
}

void
observe_runs(G *gp)
{
	if ((gp->observed & OBSERVE_TRACE) != 0)
		events_runs(gp);
	latency_ends(gp);
}
