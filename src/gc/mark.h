// SPDX-License-Identifier: BSD-3-Clause
// What the cycle asks of the marker; see mark.c.
#ifndef UNDERGO_GC_MARK_H
#define UNDERGO_GC_MARK_H

#include "gc/gc_impl.h"

typedef struct MarkCounts {
	uint64_t objects;
	uint64_t bytes;
} MarkCounts;

Marker *marker_new(void); // NULL without memory
void mark_begin(uint32_t workers);
void marker_begin(Marker *m, bool shared);
MarkCounts marker_counts(const Marker *m);
void mark_pinned(Marker *m, Mspan *sp);
void mark_recover(Marker *m);

// Whether word number `word` of a t is a pointer.
static inline bool
type_bit(const HeapType *t, size_t word)
{
	uint64_t bits = t->bitmap != NULL ? t->bitmap[word / 64] : word < 64 ? t->mask : 0;
	return (bits >> (word % 64) & 1) != 0;
}

// --- verify.c: throws unless what these words, or all marked objects, point to is marked.  STW.
void verify_range(const char *lo, const char *hi);
void verify_heap(void);

#endif
