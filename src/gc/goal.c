// SPDX-License-Identifier: BSD-3-Clause
// The arithmetic of pacing.
//
// Growth. As in Go: the heap may grow by GOGC percent of what lives and of what else had to be
// looked through, and never has to be collected below 4 MiB * GOGC / 100.
//
// Limit. Memory counts in pages: slots within pages that are in use anyhow cost nothing. So the
// limit asks for a cycle when new pages are wanted, never while the program lives on slots it has.
// A headroom of 3 percent, as in Go, is left for what is used before the cycle has begun. Where a
// sweep leaves more than that in use, since it lives or lies beside what lives, the next cycle is
// due after some more pages.
//
// Cap. Cycles that follow each other ever faster must not eat the program. The collector may run
// into debt: each nanosecond of its CPU time adds one, each of the program's takes one away, down
// to none. While the debt is more than a second for each P, no cycle begins for the limit's sake.
// So it gets half of the CPU at most, but for a burst, and the limit is exceeded instead.
//
// Keeping. What the pages in use were at most in the last seconds will be wanted again, and a
// sixteenth more (Go: a tenth more, but whatever was in use lately); and who allocates fast wants
// what it will fill in the next seconds, before the collector can give it any: first the free slots
// of pages in use, then pages. The rest goes back to the system.
#include "gc/goal.h"

#include "base/base.h"

enum {
	GROWTH_MIN = 4 << 20, // at 100 percent
	HEADROOM_PERCENT = 3,
	HEADROOM_MIN = 1 << 20,
	STEP_SHIFT = 5, // a thirty-second more
	STEP_MIN = 1 << 20,
	GROUP_PERCENT = 90,
	BURST_NS = 1000 * 1000 * 1000,
	KEEP_SHARE = 16, // one in so many more
	KEEP_MIN = 1 << 20,
	KEEP_AHEAD = 8, // seconds of allocating
};

static int64_t
min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

// a + b, not beyond INT64_MAX; b is not negative.
static int64_t
plus(int64_t a, int64_t b)
{
	int64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

// percent of n, at most 100.
static int64_t
share(int64_t n, int64_t percent)
{
	int64_t part;
	return __builtin_mul_overflow(n, percent, &part) ? n / 100 * percent : part / 100;
}

int64_t
goal_by_growth(int64_t marked, int64_t roots, int32_t percent)
{
	if (percent < 0)
		return INT64_MAX;
	int64_t base = plus(marked, roots), grow;
	if (__builtin_mul_overflow(base, (int64_t)percent, &grow))
		return INT64_MAX;
	int64_t least = (int64_t)GROWTH_MIN * percent / 100;
	return max64(plus(marked, grow / 100), least);
}

int64_t
goal_by_limit(int64_t limit, int64_t other, int64_t swept)
{
	if (limit == INT64_MAX)
		return INT64_MAX;
	int64_t headroom = max64(share(limit, HEADROOM_PERCENT), HEADROOM_MIN);
	int64_t step = max64(swept >> STEP_SHIFT, STEP_MIN);
	return max64(limit - other - headroom, plus(swept, step));
}

int64_t
goal_limit_of_group(int64_t bytes)
{
	return bytes == INT64_MAX ? INT64_MAX : share(bytes, GROUP_PERCENT);
}

// --- the cap -------------------------------------------------------------------------------------

void
cap_count(GcCap *cap, int64_t all_ns, int64_t gc_ns)
{
	int64_t gc = gc_ns - cap->gc_ns, rest = all_ns - cap->all_ns - gc;
	cap->debt_ns = max64(cap->debt_ns + gc - max64(rest, 0), 0);
	cap->gc_ns = gc_ns;
	cap->all_ns = all_ns;
}

bool
cap_allows(const GcCap *cap, uint32_t procs)
{
	return cap->debt_ns <= (int64_t)procs * BURST_NS;
}

// --- what to keep --------------------------------------------------------------------------------

void
keep_note(KeepWindow *w, int64_t peak)
{
	w->peak[w->at] = peak;
	w->at = (w->at + 1) % KEEP_SECONDS;
}

bool
keep_settled(const KeepWindow *w)
{
	for (int i = 1; i < KEEP_SECONDS; i++)
		if (w->peak[i] != w->peak[0])
			return false;
	return true;
}

int64_t
keep_bytes(const KeepWindow *w, int64_t used, int64_t live, int64_t rate, int64_t left,
	   int64_t room)
{
	int64_t ahead = rate > left / KEEP_AHEAD ? left : rate * KEEP_AHEAD;
	int64_t wanted = max64(used, plus(live, max64(ahead, 0)));
	for (int i = 0; i < KEEP_SECONDS; i++)
		wanted = max64(wanted, w->peak[i]);
	int64_t keep = plus(wanted, max64(wanted / KEEP_SHARE, KEEP_MIN));
	return max64(min64(keep, room), used);
}
