// SPDX-License-Identifier: BSD-3-Clause
// Allocating a small object from what the P has in hand: what the faces inline.
//
// Cost: the P's slots of that kind and class, and the object's own first line. No locked
// instruction, no call. The caller is inside the runtime and stays there until the object's type is
// set, so no mark begins in between.
#ifndef UNDERGO_GC_FAST_H
#define UNDERGO_GC_FAST_H

#include <string.h>

#include "gc/gc.h"
#include "mem/watch.h"
#include "sched/sched.h"

// Zeroes a slot: at least SLOT_MIN bytes, a multiple of 8. Stores that overlap save the branches.
static inline void
gc_zero(char *p, size_t bytes)
{
	enum { HALF = 16, WHOLE = 32, TWICE = 64, MOST = 128 };
	if (likely(bytes <= WHOLE)) {
		__builtin_memset(p, 0, HALF);
		__builtin_memset(p + bytes - HALF, 0, HALF);
	} else if (bytes <= TWICE) {
		__builtin_memset(p, 0, WHOLE);
		__builtin_memset(p + bytes - WHOLE, 0, WHOLE);
	} else if (bytes <= MOST) {
		__builtin_memset(p, 0, TWICE);
		__builtin_memset(p + bytes - TWICE, 0, TWICE);
	} else {
		memset(p, 0, bytes);
	}
}

// The slots from which the next object of this size comes without further ado, at most
// SMALL_STEP_MAX bytes; NULL: there are none, see gc_alloc.
static inline CacheSlots *
gc_slots(const M *mp, size_t bytes, Kind kind)
{
	const P *pp = mp->p;
	if (unlikely(pp == NULL) || unlikely(pp->mcache == NULL))
		return NULL;
	if (unlikely(bytes > SMALL_STEP_MAX))
		return NULL;
	uint32_t class = class_of_8[(bytes + SMALL_STEP - 1) / SMALL_STEP];
	CacheSlots *cs = &pp->mcache->slots[kind][class];
	return likely(cs->free != 0) ? cs : NULL;
}

// A zeroed slot of those in hand, of which there is one.
static inline char *
gc_take(CacheSlots *cs)
{
	char *p = slots_take(cs);
	watch_made(p, cs->size);
	if (likely(cs->needzero))
		gc_zero(p, cs->size);
	return p;
}

// An object from what is in hand; NULL: there is nothing, see gc_alloc.
static inline char *
gc_plain(const M *mp, size_t bytes, Kind kind)
{
	CacheSlots *cs = gc_slots(mp, bytes, kind);
	return likely(cs != NULL) ? gc_take(cs) : NULL;
}

// An object without pointers of 1 to SLOT_MIN - 1 bytes, from what is in hand; NULL: there is
// nothing, see gc_alloc_tiny.
static inline char *
gc_tiny(const M *mp, size_t bytes)
{
	const P *pp = mp->p;
	if (unlikely(pp == NULL) || unlikely(pp->mcache == NULL))
		return NULL;
	Mcache *c = pp->mcache;
	char *p = tiny_take(c, bytes);
	if (likely(p != NULL))
		return p;
	CacheSlots *cs = &c->slots[KIND_NOSCAN][CLASS_TINY];
	if (unlikely(cs->free == 0))
		return NULL;
	p = gc_take(cs);
	tiny_begin(c, p, bytes);
	return p;
}

// The next object of the type comes from cs, and its pointers are known already.
static inline bool
gc_typed_already(const CacheSlots *cs, const HeapType *t)
{
	return cs->mask == t->mask && t->mask != 0;
}

#endif
