// SPDX-License-Identifier: BSD-3-Clause
// The 4-ary heap of timers: insert, remove and move any of them in O(log n).
//
// An entry holds the time beside the pointer, so comparing touches no timer; moving an entry
// stores its new place into the timer it names.
//
// Adding a timer must not fail: a wait with a deadline has no way to say so. So when the array
// cannot grow, a timer goes to a list, the spill, and comes back as places fall free.
//
// Invariants, under the lock of the heap's owner:
//   H1  entry[i].when >= entry[(i - 1) / 4].when
//   H2  entry[i].t->index == i and entry[i].t->when == entry[i].when
//   H3  The spill is empty unless n == cap, but within a call of this file; its timers have the
//       index SPILLED, and none is earlier than entry[0]. So entry[0] is the earliest of all.
#include "timer/timer_impl.h"

#include <string.h>

enum {
	SHRINK_ABOVE = 1024, // arrays up to this many places are kept
};
#define SPILLED UINT32_MAX

void
heap_init(TimerHeap *h)
{
	*h = (TimerHeap){.entry = h->first, .cap = HEAP_FIRST, .cap_max = HEAP_CAP_MAX};
}

void
heap_fini(TimerHeap *h)
{
	if (h->entry != h->first)
		os_free(h->entry);
	heap_init(h);
}

static void
put(TimerHeap *h, uint32_t i, TimerEntry e)
{
	h->entry[i] = e;
	store_rlx(&e.t->index, i); // order: own, under the lock; a hint to heap_has
}

// Puts e where i is or above, so that H1 holds on the way up.
static void
sift_up(TimerHeap *h, uint32_t i, TimerEntry e)
{
	while (i > 0) {
		uint32_t above = (i - 1) / 4;
		if (e.when >= h->entry[above].when)
			break;
		put(h, i, h->entry[above]);
		i = above;
	}
	put(h, i, e);
}

static uint32_t
earliest_below(const TimerHeap *h, uint32_t i)
{
	uint32_t c = 4 * i + 1;
	uint32_t end = c + 4 < h->n ? c + 4 : h->n;
	uint32_t best = c;
	for (c++; c < end; c++)
		if (h->entry[c].when < h->entry[best].when)
			best = c;
	return best;
}

// Puts e where i is or below.
static void
sift_down(TimerHeap *h, uint32_t i, TimerEntry e)
{
	while (4 * i + 1 < h->n) {
		uint32_t best = earliest_below(h, i);
		if (h->entry[best].when >= e.when)
			break;
		put(h, i, h->entry[best]);
		i = best;
	}
	put(h, i, e);
}

static void
sift(TimerHeap *h, uint32_t i, TimerEntry e)
{
	if (i > 0 && e.when < h->entry[(i - 1) / 4].when)
		sift_up(h, i, e);
	else
		sift_down(h, i, e);
}

static bool
resize(TimerHeap *h, uint32_t cap)
{
	if (cap > h->cap_max || CHAOS("timer heap stays small", 8))
		return false;
	TimerEntry *bigger = os_alloc(cap * sizeof(TimerEntry));
	if (bigger == NULL)
		return false;
	memcpy(bigger, h->entry, h->n * sizeof(TimerEntry));
	if (h->entry != h->first)
		os_free(h->entry);
	h->entry = bigger;
	h->cap = cap;
	return true;
}

static void
spill(TimerHeap *h, TimerEntry e)
{
	store_rlx(&e.t->index, SPILLED); // order: the same
	e.t->next = h->spill;
	h->spill = e.t;
	h->n_spill++;
}

static void
spill_unlink(TimerHeap *h, Timer *t)
{
	Timer **at = &h->spill;
	while (*at != t) {
		check(*at != NULL, "timer heap: a timer is in no list");
		at = &(*at)->next;
	}
	*at = t->next;
	h->n_spill--;
}

// A place has fallen free: the earliest of the spill gets it (H3).
static void
refill(TimerHeap *h)
{
	Timer *best = h->spill;
	if (likely(best == NULL) || h->n == h->cap)
		return;
	for (Timer *t = best->next; t != NULL; t = t->next)
		if (t->when < best->when)
			best = t;
	spill_unlink(h, best);
	h->n++;
	sift_up(h, h->n - 1, (TimerEntry){best->when, best});
}

void
heap_push(TimerHeap *h, Timer *t, int64_t when)
{
	TimerEntry e = {when, t};
	t->when = when;
	if (likely(h->n < h->cap) || resize(h, 2 * h->cap)) {
		h->n++;
		sift_up(h, h->n - 1, e);
		while (unlikely(h->spill != NULL) && h->n < h->cap)
			refill(h);
		return;
	}
	if (when < h->entry[0].when) { // H3: the earliest is in the array
		TimerEntry later = h->entry[0];
		put(h, 0, e);
		e = later;
	}
	spill(h, e);
}

static void
remove_at(TimerHeap *h, uint32_t i)
{
	TimerEntry last = h->entry[--h->n];
	if (i < h->n)
		sift(h, i, last);
	refill(h);
	if (unlikely(h->cap > SHRINK_ABOVE) && h->n < h->cap / 8)
		(void)resize(h, h->cap / 2);
}

// Whether H1 holds with that time at i: told at once of a leaf only, as most places are.
static inline bool
stays(const TimerHeap *h, uint32_t i, int64_t when)
{
	return 4 * i + 1 >= h->n && (i == 0 || when >= h->entry[(i - 1) / 4].when);
}

static uint32_t
index_of(const Timer *t)
{
	return load_rlx(&t->index); // order: own, under the lock
}

static uint32_t
checked_place(const TimerHeap *h, const Timer *t)
{
	check(heap_has(h, t), "timer heap: wrong place");
	return index_of(t);
}

void
heap_remove(TimerHeap *h, Timer *t)
{
	if (unlikely(index_of(t) == SPILLED)) {
		spill_unlink(h, t);
		return;
	}
	remove_at(h, checked_place(h, t));
}

void
heap_remove_first(TimerHeap *h)
{
	remove_at(h, 0);
}

void
heap_move(TimerHeap *h, Timer *t, int64_t when)
{
	if (unlikely(h->spill != NULL)) { // both ends of H3 may change
		heap_remove(h, t);
		heap_push(h, t, when);
		return;
	}
	uint32_t i = checked_place(h, t);
	TimerEntry e = {when, t};
	t->when = when;
	if (likely(stays(h, i, when)))
		h->entry[i] = e;
	else
		sift(h, i, e);
}

void
heap_verify(const TimerHeap *h)
{
	uint32_t spilled = 0;
	check(h->n <= h->cap, "timer heap: more timers than places");
	for (uint32_t i = 0; i < h->n; i++) {
		const TimerEntry *e = &h->entry[i];
		check(i == 0 || e->when >= h->entry[(i - 1) / 4].when, "timer heap: H1 is broken");
		check(index_of(e->t) == i && e->t->when == e->when, "timer heap: H2 is broken");
	}
	for (const Timer *t = h->spill; t != NULL; t = t->next, spilled++) {
		check(h->n == h->cap && index_of(t) == SPILLED, "timer heap: H3 is broken");
		check(t->when >= h->entry[0].when, "timer heap: the spill has the earliest");
	}
	check(spilled == h->n_spill, "timer heap: the spill is miscounted");
}
