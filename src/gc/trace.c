// SPDX-License-Identifier: BSD-3-Clause
// GODEBUG=gctrace=1: a line for each cycle, in Go's form, so that what reads Go's reads ours.
//
//   gc 2 @0.037s 5%: 0.046+0.30+0.003 ms clock, 0.093+0.012/0.050/0+0.006 ms cpu, 5->5->2 MB,
//   5 MB goal, 0 MB stacks, 0 MB globals, 2 P (forced)
//
// The world stands still throughout, so of the three times the first is until all stand still and
// the roots are known, the second the mark, the third until all run again. CPU time of the mark is
// that of who began the cycle, and of the other workers; nobody marks because a processor is idle.
// The second size is that of the heap when the mark ends: nothing is freed before.
#include "base/line.h"
#include "gc/pace.h"
#include "sched/sched.h"

// Milliseconds with two digits that count, at most three behind the point; as Go does.
static void
line_ms(Line *l, int64_t ns)
{
	uint64_t us = ns > 0 ? (uint64_t)ns / 1000 : 0;
	unsigned places = 3;
	if (us == 0) {
		line_str(l, "0");
		return;
	}
	if (us >= 10 * 1000) {
		line_u64(l, us / 1000);
		return;
	}
	for (; us >= 100; us /= 10)
		places--;
	line_fixed(l, us, places);
}

static void
line_mb(Line *l, const char *before, int64_t bytes)
{
	line_str(l, before);
	line_u64(l, bytes > 0 ? (uint64_t)bytes >> 20 : 0);
}

static void
line_times(Line *l, const Cycle *c)
{
	int64_t stopping = c->stopped - c->asked, resuming = c->resumed - c->marked;
	line_ms(l, stopping);
	line_str(l, "+");
	line_ms(l, c->marked - c->stopped);
	line_str(l, "+");
	line_ms(l, resuming);
	line_str(l, " ms clock, ");
	line_ms(l, stopping * c->procs);
	line_str(l, "+");
	line_ms(l, c->mark_cpu);
	line_str(l, "/");
	line_ms(l, c->mark_cpu_help);
	line_str(l, "/0+");
	line_ms(l, resuming * c->procs);
	line_str(l, " ms cpu");
}

void
trace_cycle(const Cycle *c, uint64_t nth, uint32_t percent, int64_t goal_bytes)
{
	Line l = {.n = 0};
	line_str(&l, "gc ");
	line_u64(&l, nth);
	line_str(&l, " @");
	line_fixed(&l, (uint64_t)(c->asked - sched_started_at()) / (1000 * 1000), 3);
	line_str(&l, "s ");
	line_u64(&l, percent);
	line_str(&l, "%: ");
	line_times(&l, c);
	line_mb(&l, ", ", c->live_before);
	line_mb(&l, "->", c->live_before);
	line_mb(&l, "->", (int64_t)c->live.bytes);
	line_mb(&l, " MB, ", goal_bytes);
	line_mb(&l, " MB goal, ", (int64_t)c->stack_bytes);
	line_mb(&l, " MB stacks, ", (int64_t)c->global_bytes);
	line_str(&l, " MB globals, ");
	line_u64(&l, c->procs);
	line_str(&l, " P");
	if (c->why == GC_FORCED)
		line_str(&l, " (forced)");
	line_end(&l);
}
