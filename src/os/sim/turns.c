// SPDX-License-Identifier: BSD-3-Clause
// Whose turn it is, by the strategy that the seed has drawn, and how virtual time passes. Every
// decision goes into the digest.
#include "os/sim/sim_impl.h"

// --- time ---------------------------------------------------------------------------------------

void
sim_make_runnable(Fiber *f, bool woken)
{
	sim.polling -= f->poller != 0;
	f->poller = 0;
	f->state = FIBER_RUNNABLE;
	f->woken = woken;
	f->word = NULL;
	f->deadline = INT64_MAX;
}

void
sim_wake_due(void)
{
	if (sim.now < sim.due)
		return;
	sim.due = INT64_MAX;
	for (int i = 0; i < sim.live_count; i++) {
		Fiber *f = sim.live[i];
		if (f->state != FIBER_SLEEPING)
			continue;
		if (f->deadline <= sim.now)
			sim_make_runnable(f, false);
		else if (f->deadline < sim.due)
			sim.due = f->deadline;
	}
}

void
sim_look_outside(int64_t timeout_ns)
{
	for (int i = 0; i < sim.live_count; i++) {
		Fiber *f = sim.live[i];
		if (f->poller == 0 || sys_readable(f->poller, timeout_ns) == 0)
			continue;
		sim_make_runnable(f, true);
		sim_digest((uint64_t)f->id << 8);
	}
}

void
sim_time_passes(void)
{
	sim.points++;
	sim.now += 1 + sim_draw(STEP_NS);
	if (sim.stalls && sim_chance(STALL_ONE_IN))
		sim.now += sim_draw(STALL_NS);
	sim_wake_due();
	if (sim.polling != 0 && sim.points % LOOK_OUTSIDE_EVERY == 0)
		sim_look_outside(0);
}

// --- who goes on --------------------------------------------------------------------------------

static bool
may_run(const Fiber *f)
{
	return f->state == FIBER_RUNNABLE && (!sim.halted || f->excepted);
}

Fiber *
sim_any_runnable(const Fiber *except)
{
	uint32_t n = 0;
	for (int i = 0; i < sim.live_count; i++)
		n += may_run(sim.live[i]) && sim.live[i] != except;
	if (n == 0)
		return NULL;
	uint32_t skip = n > 1 ? sim_draw(n) : 0;
	for (int i = 0;; i++)
		if (may_run(sim.live[i]) && sim.live[i] != except && skip-- == 0)
			return sim.live[i];
}

Fiber *
sim_first_runnable(void)
{
	Fiber *best = NULL;
	for (int i = 0; i < sim.live_count; i++) {
		Fiber *f = sim.live[i];
		if (may_run(f) && (best == NULL || f->priority > best->priority))
			best = f;
	}
	return best;
}

// Priorities start in the upper half of the numbers, and who falls gets one from the lower half.
uint64_t
sim_first_priority(void)
{
	return base_rand(&sim.rand) | UINT64_C(1) << 63;
}

void
sim_fall(Fiber *f)
{
	f->priority = --sim.lowest;
}

Fiber *
sim_successor(void)
{
	return sim.ranks ? sim_first_runnable() : sim_any_runnable(NULL);
}

Fiber *
sim_after_point(void)
{
	Fiber *other = NULL;
	if (sim.ranks) {
		if (sim_chance(sim.one_in) || sim.points - sim.run_start > LONGEST_RUN) {
			sim_fall(sim.current);
			sim.run_start = sim.points;
		}
		other = sim_first_runnable();
	} else if (sim_chance(sim.one_in)) {
		other = sim_any_runnable(sim.current);
	}
	return other != NULL ? other : sim.current;
}

void
sim_draw_strategy(void)
{
	static const uint32_t dice[] = {2, 8, 32};
	static const uint32_t falls[] = {64, 512, 4096};
	sim.ranks = sim_chance(3);
	sim.one_in = sim.ranks ? falls[sim_draw(countof(falls))] : dice[sim_draw(countof(dice))];
	sim.stalls = sim_chance(2);
	sim.lowest = UINT64_C(1) << 63;
}
