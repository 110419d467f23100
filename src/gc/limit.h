// SPDX-License-Identifier: BSD-3-Clause
// The memory limit: where it comes from, what counts against it, what follows. See limit.c.
#ifndef UNDERGO_GC_LIMIT_H
#define UNDERGO_GC_LIMIT_H

#include "gc/gc_impl.h"
#include "os/cgroup.h"

// Reads GOMEMLIMIT and UNDERGO_MEMORY_MAX. Before the first allocation.
void limit_init(void);

// Looks at the control groups if nobody has yet.  Blocks: M, on small files.  Locks: takes leaf.
void limit_learn(void);

// Sets the limit; negative: only asks. Returns the old one.
int64_t limit_set(int64_t bytes);
// Sets how many bytes of pages may be in use, hard; negative: only asks. Returns the old one.
int64_t limit_set_max(int64_t bytes);

// Whether a cycle is due for the limit's sake, before so many more bytes of pages.
bool limit_due(size_t more);
// Bytes of pages that can be taken before one is; INT64_MAX without a limit.
int64_t limit_left(void);
// All is swept and a cycle is still due: whether it may begin. False: the limit will be exceeded.
// Who holds gc.busy.
bool limit_allows(int64_t gc_cpu_ns, uint32_t procs);
// Memory beyond the limit is given back at once as far as it is free, before so many more bytes of
// pages. Where a cycle could not stop the world in between: on a P, or with foreign_lock held.
void limit_trim(size_t more);

// A cycle is over, but perhaps for sweeping; goroutines' stacks have so much in use. Who holds
// gc.busy.
void limit_cycle(int64_t stack_bytes, int64_t now);
// All is swept.  Locks: takes leaf.
void limit_swept(void);

// The runtime's memory as it is now, all that counts against the limit.
int64_t limit_memory(void);
// What of it the heap may have, free pages too.
int64_t limit_room(void);

typedef struct LimitStats {
	int64_t limit, max;
	int64_t stack_bytes;
	uint64_t held_back;    // how often a cycle was not begun for the cap's sake
	int64_t held_back_at;  // the last time; 0: never
} LimitStats;
LimitStats limit_stats(void);

// The smallest limit of the control groups above us; INT64_MAX for none. root goes before the path
// of each file.
int64_t limit_of_groups(OsCgroup *scratch, const char *root);

#endif
