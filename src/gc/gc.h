// SPDX-License-Identifier: BSD-3-Clause
// The collector: the face that the layers above see.
//
// Stop-the-world, parallel mark, sweep while the program runs. A cycle is begun by whoever
// allocates beyond the goal; it runs on that goroutine's M and on the collector's own threads.
#ifndef UNDERGO_GC_GC_H
#define UNDERGO_GC_GC_H

#include "mem/heap.h"

// --- alloc.c -------------------------------------------------------------------------------------

// A zeroed object; NULL without memory. May collect first.  Blocks: M, G.
// Called inside the runtime with no lock held.
void *gc_alloc(size_t bytes, Kind kind);
void *gc_alloc_typed(const HeapType *t, size_t elems, Kind kind);
// Without pointers, 1 to SLOT_MIN - 1 bytes, aligned to the power of two in the size: shares a
// block with others, and all of them live as long as one does. gc_free of one does nothing.
void *gc_alloc_tiny(size_t bytes);
void *gc_alloc_aligned(size_t bytes, size_t align, Kind kind);
// For who has a frame that no mark should see. gc_try_typed takes what is in hand, or nothing:
// NULL. The others are for afterwards, where it is known that below `kept` there is no root: of
// gc_alloc, without pointers, or gc_alloc_tiny, and of gc_alloc_typed. t has pointers, and so many
// of it fit into an address space.
void *gc_try_typed(const HeapType *t, size_t elems, Kind kind);
void *gc_alloc_bytes_from(size_t bytes, const void *kept);
void *gc_alloc_typed_from(const HeapType *t, size_t elems, Kind kind, const void *kept);
// A record of the runtime in which pointers of the program lie: scanned, freed by gc_free_pinned.
// Never collects. NULL without memory.  Locks: takes central, heappages.  Blocks: no.
void *gc_alloc_pinned(size_t bytes);
void gc_free_pinned(void *p);
// gc_alloc and gc_alloc_typed for who may not be interrupted: never collect, never leave the
// runtime. t is NULL where kind has no types.
void *gc_alloc_now(size_t bytes, const HeapType *t, size_t elems, Kind kind);
// For misuse that ends the process, and go_free.
void gc_free(void *p);
COLD NORETURN void gc_out_of_memory(size_t bytes);
COLD NORETURN void gc_no_memory_for(const char *what); // of which the size is not known
// Whether so much more memory could be had if nothing else wanted any: for who is about to take a
// lot of it in small pieces. The heap has begun.  Blocks: no.  Stack: 1 KiB.
bool gc_could_have(size_t bytes);

// Held by a thread without a P while no cycle may mark: inside the allocator, and while it goes
// from one stack to another; and by a cycle while the world is stopped.  Rank heapgate.
void foreign_lock(void);
void foreign_unlock(void);

// --- collect.c -----------------------------------------------------------------------------------

// Collects: all that was unreachable at the call is garbage when it returns. It is swept, too, but
// for GC_GOAL and GC_CHAOS, and nothing happens for these when somebody collects already.
// Inside the runtime, no lock held.  Blocks: M, G.
typedef enum GcWhy {
	GC_GOAL,     // the goal of GOGC or of the memory limit
	GC_FORCED,   // by the program
	GC_PERIODIC, // by the clock
	GC_LIMIT,    // there is no memory
	GC_CHAOS,    // by chance, in stress builds
} GcWhy;
void gc_collect(GcWhy why);
// The same, for who knows that below `kept` there is no root: arch_call_kept tells him.
void gc_collect_from(GcWhy why, const void *kept);
// The same, if it is time to before an object with `more` bytes of pages of its own.
void gc_collect_if_due(size_t more, const void *kept);

// Called when the world is stopped for a cycle, before anything is marked. Set once by the Go face,
// before there is garbage; else NULL.  Stack: any, with some KiB.
extern void (*gc_cycle_begins)(void);

// --- roots.c, pace.c: settings and numbers -------------------------------------------------------

int root_add(const void *p, size_t n); // [p, p + n) may hold pointers. 0, GO_ENOMEM
int root_remove(const void *p);        // 0, GO_EINVAL
// Reads what the environment says about the heap, once; before the functions below, and limit.h's.
void gc_configure(void);
int pace_set_percent(int percent);
void pace_stats(struct go_heap_stats *st);

#endif
