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

#endif
