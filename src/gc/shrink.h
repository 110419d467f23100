// SPDX-License-Identifier: BSD-3-Clause
// Giving back what parked goroutines' stacks do not use; see shrink.c.
#ifndef UNDERGO_GC_SHRINK_H
#define UNDERGO_GC_SHRINK_H

#include "gc/gc.h"

// The mark is over: shall there be a pass over the stacks? Who holds gc.busy.
void shrink_plan(GcWhy why);
// Makes the pass that is planned, unless somebody does or has.  Blocks: no.  Allocates: no.
void shrink_run(void);
// A cycle is about to begin: the pass ends early. What it has not seen the next one does.
void shrink_hurry(void);

struct go_heap_stats;
void shrink_stats(struct go_heap_stats *st);

#endif
