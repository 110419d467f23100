// SPDX-License-Identifier: BSD-3-Clause
// The arithmetic of pacing: functions of numbers alone, without a state of their own. See goal.c.
//
// Bytes and nanoseconds are int64_t; INT64_MAX as a limit or goal is none.
#ifndef UNDERGO_GC_GOAL_H
#define UNDERGO_GC_GOAL_H

#include <stdbool.h>
#include <stdint.h>

// The heap in use at which to collect next, by GOGC: marked is what lives, roots the bytes of
// stacks and globals that had to be looked through for it. percent negative: never.
int64_t goal_by_growth(int64_t marked, int64_t roots, int32_t percent);

// The bytes of pages in use at which to collect next, by the memory limit: other is what the
// process uses beside them, swept what was in use when the last sweep was over.
int64_t goal_by_limit(int64_t limit, int64_t other, int64_t swept);

// The limit that follows from those of control groups, of which the smallest is given.
int64_t goal_limit_of_group(int64_t bytes);

// How much CPU time the collector has taken beyond that of the program, lately.
typedef struct GcCap {
	int64_t debt_ns;
	int64_t gc_ns;  // the collector's CPU time at the last cap_count
	int64_t all_ns; // and the process's
} GcCap;

// Some cycles were followed by some running of the program; the process has used all_ns of CPU time
// since the start, gc_ns of it for collecting.
void cap_count(GcCap *cap, int64_t all_ns, int64_t gc_ns);
// Whether one more cycle may begin for the limit's sake.
bool cap_allows(const GcCap *cap, uint32_t procs);

// What the heap was like lately, second by second.
enum { KEEP_SECONDS = 4 };
typedef struct KeepWindow {
	int64_t peak[KEEP_SECONDS]; // the most bytes of pages in use in each
	uint32_t at;
} KeepWindow;

void keep_note(KeepWindow *w, int64_t peak);
// Whether nothing has changed in the whole window.
bool keep_settled(const KeepWindow *w);
// How many bytes of memory the heap shall keep, in use or not: used is what pages are in use now,
// live what objects are, rate what the program allocates in a second, left what it will before the
// next cycle begins, room what the memory limit leaves.
int64_t keep_bytes(const KeepWindow *w, int64_t used, int64_t live, int64_t rate, int64_t left,
		   int64_t room);

#endif
