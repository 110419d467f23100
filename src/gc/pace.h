// SPDX-License-Identifier: BSD-3-Clause
// When to collect; and the numbers about it. See pace.c.
#ifndef UNDERGO_GC_PACE_H
#define UNDERGO_GC_PACE_H

#include "gc/mark.h"

// Reads GOGC, unless that was done. Before the first allocation.
void pace_init(void);
// n more bytes are in use, or fewer when a cache gives some back. Any thread.
void pace_allocated(int64_t n);
// n bytes were freed by hand.
void pace_freed(int64_t n);
// n bytes that the mark has not counted live on.
void pace_revived(int64_t n);
// Whether collections may begin by themselves: not with GOGC=off.
bool pace_may_collect(void);
// A cycle begins, whose parts are told by the others: what was marked, how long the world stood
// still, and that it is over, with what pace_begin returned. Who holds gc.busy.
int64_t pace_begin(void);
void pace_marked(MarkCounts live, GcWhy why);
void pace_paused(int64_t ns);
void pace_end(int64_t begun, GcWhy why);

#endif
