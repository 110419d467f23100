// SPDX-License-Identifier: BSD-3-Clause
// GODEBUG=gcwalk=1; see walk.c.
#ifndef UNDERGO_MEM_WALK_H
#define UNDERGO_MEM_WALK_H

#include "mem/heap.h"

// What a walk has found.
typedef struct HeapWalk {
	bool marked;       // between a mark and its sweeping
	uint64_t chunks;
	uint64_t used;     // pages
	uint64_t released; // pages
	uint64_t fresh;    // pages
	uint64_t spans;
	uint64_t listed;   // spans in lists
	uint64_t objects;  // allocated
	uint64_t bytes;    // of them
	uint64_t faults;   // what is wrong, printed already
} HeapWalk;

// Walks the heap; all is swept, or marked and nothing swept yet. All caches are flushed.  STW.
void heap_walk(HeapWalk *w, bool marked);
// For what the layers above know: says what is wrong with what lies at an address, in the walk that
// was begun last. The second one only if the two differ.
void heap_walk_wrong(const char *what, uintptr_t at, uint64_t is, uint64_t should);
void heap_walk_same(const char *what, uintptr_t at, uint64_t is, uint64_t should);
// Dies if something was wrong.
void heap_walk_end(const HeapWalk *w);

#endif
