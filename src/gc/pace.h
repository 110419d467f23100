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
// Objects of a size class that were allocated and that were found dead, ever; of large ones, class
// 0, the latter alone.
typedef struct ClassCounts {
	uint64_t allocated, dead;
} ClassCounts;
ClassCounts pace_of_class(uint32_t class);
uint64_t pace_tinies(void); // objects that were put beside another, ever

// The last pauses, one for each cycle: that of cycle n is at (n - 1) % PAUSES_KEPT.
enum { PAUSES_KEPT = 256, PAUSE_BUCKETS = 44 };
typedef struct Pauses {
	uint64_t cycles;
	int64_t ns[PAUSES_KEPT];
	int64_t ended_at[PAUSES_KEPT]; // os_nanotime
	uint64_t stops[PAUSE_BUCKETS]; // how many took from 2^i nanoseconds on, ever
} Pauses;
void pace_pauses(Pauses *p); // one after the other, so the newest may be half there

struct go_heap_stats;
// As pace_stats, with what the caches have not told yet and without what they have in hand: to the
// object, as long as nobody else allocates.
void pace_stats_now(struct go_heap_stats *st);

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
