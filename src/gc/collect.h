// SPDX-License-Identifier: BSD-3-Clause
// The allocator's cache for threads without a P; see alloc.c.
#ifndef UNDERGO_GC_COLLECT_H
#define UNDERGO_GC_COLLECT_H

#include "gc/gc_impl.h"

// Held by a thread without a P while it is inside the allocator, and by a cycle while the world is
// stopped.  Rank heapgate.
void foreign_lock(void);
void foreign_unlock(void);
Mcache *foreign_cache(void);

// Whether there is a heap yet.
bool gc_started(void);
// Whether so much has been allocated that a cycle shall begin.
bool gc_due(void);

#endif
