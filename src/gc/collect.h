// SPDX-License-Identifier: BSD-3-Clause
// The allocator's cache for threads without a P; see alloc.c.
#ifndef UNDERGO_GC_COLLECT_H
#define UNDERGO_GC_COLLECT_H

#include "gc/gc_impl.h"

Mcache *foreign_cache(void); // NULL: there is none yet

// Whether there is a heap yet.
bool gc_started(void);
// All is swept, since the last mark.  Locks: takes leaf, sched.
void gc_swept(void);
// Whether so much is in use that a cycle shall begin, before an object with `more` bytes of pages
// of its own.
bool gc_due(size_t more);
// Whether collections may begin by themselves: not with GOGC=off.
bool pace_may_collect(void);

#endif
