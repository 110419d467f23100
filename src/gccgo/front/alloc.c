// SPDX-License-Identifier: BSD-3-Clause
// Allocating an object of a size and with pointers that the compiler knows, from what the P has in
// hand.
//
// Invariants:
//   A1  A front enters the runtime only from outside, so not for who is pinned, and leaves it in
//       the same straight piece of code: it calls nothing in between, touches nothing of the
//       program, and cannot fault.
//   A2  When anything is unusual it has changed nothing when it leaves, and the rest is called,
//       outside. An entry that is given up so is none for who wants the lease: see lease.h.
//   A3  The slot is taken, zeroed and typed before the front leaves, so no mark begins in between.
//       That it is typed already is what makes it usual: see CacheSlots.mask.
#include "gccgo/front/front.h"

#include "gc/fast.h"
#include "gccgo/front/size.h"

static_assert((size_t)TYPE_MASK_MOST >= FRONT_MADE_MOST, "a bit for each word");

// The M, inside the runtime with a P that has a cache; NULL: outside, as before.
static inline M *
enter(void)
{
	M *mp = sched_m();
	if (unlikely(mp == NULL) || unlikely(load_rlx(&mp->lease.inrt) != 0)) // order: own
		return NULL;
	if (likely(lease_enter(&mp->lease)) && likely(mp->p != NULL) &&
	    likely(mp->p->mcache != NULL))
		return mp;
	lease_leave(&mp->lease);
	return NULL;
}

// A zeroed object; NULL: the rest has to be asked. All but the first are constants.
static inline __attribute__((always_inline)) void *
take(M *mp, Kind kind, size_t bytes, uint64_t mask)
{
	CacheSlots *cs = &mp->p->mcache->slots[kind][front_class(bytes)];
	char *p = NULL;
	if (likely(cs->free != 0) && (mask == 0 || likely(cs->mask == mask))) {
		p = cs->first + (size_t)__builtin_ctzll(cs->free) * front_slot(bytes);
		cs->free &= cs->free - 1;
		if (likely(cs->needzero))
			__builtin_memset(p, 0, front_slot(bytes));
	}
	lease_leave(&mp->lease);
	return p;
}

// The same for objects without pointers of less than SLOT_MIN bytes: gc_tiny.
static inline __attribute__((always_inline)) void *
take_tiny(M *mp, size_t bytes)
{
	Mcache *c = mp->p->mcache;
	CacheSlots *cs = &c->slots[KIND_NOSCAN][CLASS_TINY];
	char *p = tiny_take(c, bytes);
	if (p == NULL && likely(cs->free != 0)) {
		p = cs->first + (size_t)__builtin_ctzll(cs->free) * SLOT_MIN;
		cs->free &= cs->free - 1;
		if (likely(cs->needzero))
			__builtin_memset(p, 0, SLOT_MIN);
		tiny_begin(c, p, bytes);
	}
	lease_leave(&mp->lease);
	return p;
}

// An object of so many bytes, with these pointers if it has any; NULL: the rest has to be asked.
static inline __attribute__((always_inline)) void *
make(size_t bytes, bool scanned, uint64_t mask)
{
	M *mp = enter();
	if (unlikely(mp == NULL))
		return NULL;
	if (bytes < SLOT_MIN && !scanned)
		return take_tiny(mp, bytes);
	return take(mp, scanned ? KIND_GO : KIND_NOSCAN, bytes, mask);
}

// Whether one, or an array, can be made here. An object with pointers is one word at least.
#define MADE_HERE(t, bytes, mask)                                                \
	(KNOWN(bytes) && (bytes) != 0 && (bytes) <= FRONT_MADE_MOST && KNOWN((t)->ptrdata) && \
	 ((t)->ptrdata == 0 || (KNOWN(mask) && ((t)->kind & KIND_GC_PROGRAM) == 0)))

FRONT_REST("runtime.newobject", void *, rest_newobject, (const Type *));
FRONT("runtime.newobject", void *, rt_newobject, (const Type *t))
{
	if (!KNOWN(t->size))
		return rest_newobject(t);
	uint64_t mask = t->ptrdata != 0 ? type_mask(t) : 0;
	if (MADE_HERE(t, t->size, mask)) {
		void *p = make(t->size, t->ptrdata != 0, mask);
		if (likely(p != NULL))
			return p;
	}
	return rest_newobject(t);
}

// The mask of n elements of so many words each; 0: not one that is found so easily.
static inline uint64_t
repeated(uint64_t mask, size_t words, size_t n)
{
	uint64_t every = 0;
	if (words == 1)
		every = UINT64_MAX;
	else if (words == 2)
		every = UINT64_C(0x5555555555555555);
	else if (words == 3)
		every = UINT64_C(0x9249249249249249);
	else if (words == 4)
		every = UINT64_C(0x1111111111111111);
	return mask * every & (((uint64_t)1 << n * words) - 1);
}

FRONT_REST("runtime.makeslice", void *, rest_makeslice, (const Type *, Int, Int));
FRONT("runtime.makeslice", void *, rt_makeslice, (const Type *elem, Int len, Int cap))
{
	size_t words = elem->size / sizeof(void *);
	if (KNOWN(cap) && KNOWN(elem->size) && cap > 0 && cap <= FRONT_MADE_MOST &&
	    (uintptr_t)len <= (uintptr_t)cap && elem->size <= FRONT_MADE_MOST) {
		size_t bytes = elem->size * (size_t)cap;
		uint64_t mask = 0;
		if (elem->ptrdata != 0 && bytes <= FRONT_MADE_MOST)
			mask = repeated(type_mask(elem), words, (size_t)cap);
		if (MADE_HERE(elem, bytes, mask) && (elem->ptrdata == 0 || mask != 0)) {
			void *p = make(bytes, elem->ptrdata != 0, mask);
			if (likely(p != NULL))
				return p;
		}
	}
	return rest_makeslice(elem, len, cap);
}
