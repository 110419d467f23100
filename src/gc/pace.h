// SPDX-License-Identifier: BSD-3-Clause
// When to collect; and the numbers about it. See pace.c.
#ifndef UNDERGO_GC_PACE_H
#define UNDERGO_GC_PACE_H

#include "gc/mark.h"

// Reads GOGC, GOMEMLIMIT and GODEBUG. Once, before the first allocation.
void pace_init(void);
// So many more bytes and objects are in use. Any thread.
void pace_allocated(int64_t bytes, int64_t objects);
// An object was freed by hand, and no cache counts it. Any thread.
void pace_freed(int64_t bytes);
// An object of so many bytes that the mark has not counted lives on.
void pace_revived(int64_t bytes);
// Takes over what a cache has counted.  STW, or its owner.
void pace_count(Mcache *c);

// Bytes in use, about.
int64_t pace_live(void);
// Bytes allocated since the start.
uint64_t pace_allocated_bytes(void);
// Bytes that can be allocated before the next cycle is due by GOGC; not positive: it is due.
int64_t pace_left(void);
// Bytes that a mark will find, about.
int64_t pace_expected(void);
// CPU time of all collecting so far.
int64_t pace_gc_cpu_ns(void);
struct go_pressure;
void pace_pressure(struct go_pressure *p);

// A cycle, as it is told by who holds gc.busy. Times are of os_nanotime.
typedef struct Cycle {
	GcWhy why;
	int64_t cpu_begin;     // CPU time of this thread when it began
	int64_t live_before;
	int64_t goal_before;
	int64_t asked;         // the stop was asked for; of the last try, as what follows
	int64_t stopped;       // all stand still, and the roots are known
	int64_t marked;
	int64_t resumed;
	int64_t mark_cpu;      // CPU time of marking: this thread's
	int64_t mark_cpu_help; // and the others'
	MarkCounts live;
	size_t stack_bytes;    // roots on stacks of goroutines and threads
	size_t stack_pages;    // bytes of the pages these are in
	size_t global_bytes;   // other roots
	uint32_t procs;
} Cycle;

void pace_begin(Cycle *c, GcWhy why);
// The mark is over. STW, all caches are flushed.
void pace_marked(const Cycle *c);
// The world runs again, from asked to resumed it was stopped. For each stop of a cycle.
void pace_paused(const Cycle *c);
// The cycle is over.
void pace_end(const Cycle *c);

// trace.c: a line for GODEBUG=gctrace=1. nth: number of the cycle; percent: of the CPU time that
// all processors had since the start, for collecting.
void trace_cycle(const Cycle *c, uint64_t nth, uint32_t percent, int64_t goal_bytes);

#endif
