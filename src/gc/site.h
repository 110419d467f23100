// SPDX-License-Identifier: BSD-3-Clause
// Where objects come from: call stacks that allocate, each kept once. See site.c.
#ifndef UNDERGO_GC_SITE_H
#define UNDERGO_GC_SITE_H

#include "gc/gc.h"

enum { SITE_FRAMES = 32, SITES_MAX = 1 << 16 };

// Constant once it has a number, but for the counts.
typedef struct Site {
	uint64_t hash;
	uint32_t next;        // in its bucket; 0: the last. site_lock
	uint16_t n_pcs;
	uint8_t kind;         // Kind
	size_t bytes;         // of one object
	const HeapType *type; // NULL: none
	ATOMIC_U64 allocs;    // objects sampled
	ATOMIC_U64 frees;     // of these
	uintptr_t pcs[SITE_FRAMES];
} Site;

// The number of the present stack with objects of that sort. 0: no memory, or there are too many.
// Locks: takes site.  Time: some microseconds.
uint32_t site_here(size_t frames, size_t bytes, Kind kind, const HeapType *type);
Site *site_of(uint32_t number);
uint32_t sites_count(void); // numbers go from 1 to it

// --- GODEBUG=allocsites=n: of every object ------------------------------------------------------

// Sets up the table; nothing happens without memory. Once, when the heap starts.
void objsites_start(void);
bool objsites_on(void);
// The object at p has just been made.
void objsites_note(void *p, const HeapType *type);
uint32_t objsites_get(Slot s); // 0: not known

#endif
