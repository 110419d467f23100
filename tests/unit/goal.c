// SPDX-License-Identifier: BSD-3-Clause
// gc/goal.c: the arithmetic of pacing, case by case, and the cap against a program played here.
#include "gc/goal.h"

#include "base/base.h"
#include "harness.h"

#define MIB (INT64_C(1) << 20)

void
test_goal_growth(void)
{
	static const struct {
		int64_t marked, roots;
		int32_t percent;
		int64_t goal;
	} cases[] = {
		{0, 0, 100, 4 * MIB},
		{0, 0, 200, 8 * MIB},
		{0, 0, 0, 0},
		{0, 0, -1, INT64_MAX},
		{MIB, 0, 100, 4 * MIB},
		{2 * MIB, 0, 100, 4 * MIB},
		{10 * MIB, 0, 100, 20 * MIB},
		{10 * MIB, 0, 50, 15 * MIB},
		{10 * MIB, 6 * MIB, 100, 26 * MIB},
		{10 * MIB, 6 * MIB, 50, 18 * MIB},
		{10 * MIB, 0, 0, 10 * MIB},
		{INT64_MAX / 2, 0, 200, INT64_MAX},
		{1 << 30, 0, INT32_MAX, (1 << 30) + (INT64_C(1) << 30) * INT32_MAX / 100},
		{INT64_MAX - 5, 100, 1, INT64_MAX},
	};
	for (size_t i = 0; i < countof(cases); i++)
		expect_eq(goal_by_growth(cases[i].marked, cases[i].roots, cases[i].percent),
			  cases[i].goal);
}

void
test_goal_limit(void)
{
	static const struct {
		int64_t limit, other, swept, goal;
	} cases[] = {
		{INT64_MAX, 0, 0, INT64_MAX},
		{INT64_MAX, MIB, 500 * MIB, INT64_MAX},
		{100 * MIB, 0, 0, 97 * MIB},
		{100 * MIB, 20 * MIB, 10 * MIB, 77 * MIB},
		{20 * MIB, 2 * MIB, 0, 17 * MIB},             // the least headroom
		{100 * MIB, 20 * MIB, 76 * MIB, 78 * MIB + 3 * MIB / 8}, // swept and a 32nd
		{100 * MIB, 0, 640 * MIB, 660 * MIB},         // over the limit
		{100 * MIB, 200 * MIB, 8 * MIB, 9 * MIB},     // others are over it
		{0, 0, 0, MIB},
	};
	for (size_t i = 0; i < countof(cases); i++)
		expect_eq(goal_by_limit(cases[i].limit, cases[i].other, cases[i].swept),
			  cases[i].goal);
	expect_eq(goal_limit_of_group(1000), 900);
	expect_eq(goal_limit_of_group(INT64_MAX), INT64_MAX);
	expect_eq(goal_limit_of_group(INT64_MAX - 1), (INT64_MAX - 1) / 100 * 90);
}

// A program of which each millisecond wants a collection of so many: whatever that costs, the
// collector gets a burst and then at most half of the CPU; when it costs less it is never held
// back.
static void
play(int64_t cycle_ns, uint32_t procs, bool held)
{
	GcCap cap = {0};
	int64_t gc = 0, all = 0, step = 1000 * 1000;
	uint32_t refused = 0;
	for (int i = 0; i < 100000; i++) {
		cap_count(&cap, all, gc);
		if (cap_allows(&cap, procs)) {
			gc += cycle_ns;
			all += cycle_ns;
		} else {
			refused++;
		}
		all += step;
		int64_t burst = (int64_t)procs * 1000 * 1000 * 1000 + cycle_ns;
		expect(gc <= (all - gc) + burst);
	}
	expect_eq(refused != 0, held);
	if (held)
		expect(gc >= (all - gc)); // it gets its half
}

void
test_goal_cap(void)
{
	play(900 * 1000, 1, false);
	play(1000 * 1000, 4, false);
	play(1100 * 1000, 1, true);
	play(5 * 1000 * 1000, 1, true);
	play(5 * 1000 * 1000, 2, true);
	play(INT64_C(3) * 1000 * 1000 * 1000, 2, true);

	// The process's clock and the collector's are not read at once: nothing goes below 0.
	GcCap cap = {0};
	cap_count(&cap, 5, 10);
	expect_eq(cap.debt_ns, 10);
	cap_count(&cap, 1000, 10);
	expect_eq(cap.debt_ns, 0);
	cap_count(&cap, 2000, 510);
	expect_eq(cap.debt_ns, 0);
	cap_count(&cap, 2600, 1010);
	expect_eq(cap.debt_ns, 400);
}

// With what is kept beyond what is wanted.
static int64_t
kept(int64_t wanted_mib)
{
	return wanted_mib * MIB / 16 * 17;
}

void
test_goal_keep(void)
{
	KeepWindow w = {{0}, 0};
	int64_t none = INT64_MAX;
	expect(keep_settled(&w));
	expect_eq(keep_bytes(&w, 0, 0, 0, 0, none), MIB);
	expect_eq(keep_bytes(&w, 100 * MIB, 100 * MIB, 0, 0, none), kept(100));

	keep_note(&w, 200 * MIB);
	expect(!keep_settled(&w));
	for (int i = 1; i < KEEP_SECONDS; i++) {
		expect_eq(keep_bytes(&w, 100 * MIB, 100 * MIB, 0, 0, none), kept(200));
		keep_note(&w, 100 * MIB);
	}
	expect_eq(keep_bytes(&w, 100 * MIB, 100 * MIB, 0, 0, none), kept(200));
	keep_note(&w, 100 * MIB); // the peak is out of the window
	expect(keep_settled(&w));
	expect_eq(keep_bytes(&w, 100 * MIB, 100 * MIB, 0, 0, none), kept(100));

	// What will be allocated is kept, up to the next cycle.
	expect_eq(keep_bytes(&w, 100 * MIB, 100 * MIB, MIB, 1000 * MIB, none), kept(108));
	expect_eq(keep_bytes(&w, 100 * MIB, 100 * MIB, 500 * MIB, 100 * MIB, none), kept(200));
	expect_eq(keep_bytes(&w, 100 * MIB, 100 * MIB, 500 * MIB, -5, none), kept(100));
	// First in the slots that are free.
	expect_eq(keep_bytes(&w, 100 * MIB, 90 * MIB, MIB, 1000 * MIB, none), kept(100));
	expect_eq(keep_bytes(&w, 100 * MIB, 60 * MIB, 10 * MIB, 1000 * MIB, none), kept(140));
	expect_eq(keep_bytes(&w, 100 * MIB, 100 * MIB, INT64_MAX, INT64_MAX, none), INT64_MAX);

	// Not beyond the limit, and never less than is in use.
	expect_eq(keep_bytes(&w, 100 * MIB, 100 * MIB, 0, 0, 105 * MIB), 105 * MIB);
	expect_eq(keep_bytes(&w, 100 * MIB, 100 * MIB, 0, 0, 50 * MIB), 100 * MIB);
	expect_eq(keep_bytes(&w, 100 * MIB, 100 * MIB, 0, 0, -MIB), 100 * MIB);
}
