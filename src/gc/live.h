// SPDX-License-Identifier: BSD-3-Clause
// What is alive, by sort and by site, for the leak report. See live.c.
#ifndef UNDERGO_GC_LIVE_H
#define UNDERGO_GC_LIVE_H

#include "gc/gc_impl.h"
#include "gc/site.h"

// Objects of one sort.
typedef struct LiveGroup {
	uint64_t objects;
	size_t bytes;         // of one; 0: of various sizes
	uint64_t all_bytes;
	const HeapType *type; // NULL: not known
	uint32_t site;        // 0: not known
	uint8_t kind;         // Kind
} LiveGroup;

typedef struct LiveReport {
	LiveGroup *groups; // the largest first
	size_t n;
	uint64_t objects;  // of all
	uint64_t all_bytes;
} LiveReport;

// Collects, and says what is left. False: no memory. One caller at a time; inside the runtime.
// Blocks: M, G.
bool live_report(LiveReport *r);
void live_report_free(LiveReport *r);

// Collects, and calls fn(ctx) when the mark is complete and all stand still: with nothing of libc,
// no lock, and on a stack that is the caller's or another's. False: there was no memory to collect.
// One caller at a time; inside the runtime.  Blocks: M, G.
typedef struct LiveVisit {
	void (*fn)(void *ctx, const RootSet *roots);
	void *ctx;
} LiveVisit;
bool live_visit(const LiveVisit *v);
// For fn: all objects, and whether each was found alive. What is not lives on as long as a
// finalizer has to be called.
void live_each(void (*fn)(void *ctx, Slot s, bool alive), void *ctx);

// For the cycle: the mark is complete.  STW.
bool live_wanted(void);
void live_gather(const RootSet *roots);

#endif
