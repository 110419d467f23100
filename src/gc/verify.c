// SPDX-License-Identifier: BSD-3-Clause
// The oracle of the mark, in the stress build: after it, whatever a root or a marked object points
// to is marked. This is looked at word by word, with nothing of what makes marking fast.
#include "gc/mark.h"

#include "sched/sched.h"

// Reads what may be anybody's.
#define READS_ANYTHING __attribute__((no_sanitize("address", "thread")))

COLD NORETURN static void
unmarked(uintptr_t word, const void *at)
{
	Slot s = heap_slot(word);
	print_str("runtime: the word at ");
	print_hex((uintptr_t)at);
	print_str(" points into the unmarked object at ");
	print_hex((uintptr_t)slot_addr(s));
	print_str("\n");
	throw("a mark has missed an object");
}

READS_ANYTHING static void
verify_word(const uintptr_t *p)
{
	Slot s = heap_slot(*p);
	if (s.info != NULL && !slot_marked(s)) // what is free counts as marked, M2
		unmarked(*p, p);
}

void
verify_range(const char *lo, const char *hi)
{
	for (; lo < hi; lo += sizeof(uintptr_t))
		verify_word((const uintptr_t *)(const void *)lo);
}

static void
verify_elements(uintptr_t start, size_t bytes, const HeapType *t)
{
	for (size_t i = 0; i + sizeof(uintptr_t) <= bytes; i += sizeof(uintptr_t)) {
		size_t in = i % t->bytes;
		if (in < t->scan_bytes && type_bit(t, in / 8))
			verify_word((const uintptr_t *)(start + i));
	}
}

static void
verify_object(Slot s)
{
	uintptr_t p = (uintptr_t)slot_addr(s);
	size_t bytes = slot_bytes(s);
	if (!kind_typed(s.info->kind)) {
		verify_range((const char *)p, (const char *)p + bytes);
	} else if (s.info->size == 0) {
		verify_elements(p, bytes, heap.spans[s.page].type);
	} else if (s.info->size > MASKED_MAX) {
		const HeapType *t = heap_slot_type(s);
		verify_elements(p, bytes / t->bytes * t->bytes, t);
	} else {
		for (uint64_t mask = heap_mask(s); mask != 0; mask &= mask - 1)
			verify_word((const uintptr_t *)p + __builtin_ctzll(mask));
	}
}

static void
verify_span(void *unused, Mspan *sp)
{
	(void)unused;
	size_t page = span_page(sp);
	PageInfo *pi = &heap.info[page];
	for (uint32_t i = 0; i < pi->nelems && pi->kind != KIND_NOSCAN; i++) {
		Slot s = {page, i, pi};
		bool free = (load_rlx(slot_free_word(s)) >> (i % 64) & 1) != 0; // order: STW
		if (!free && slot_marked(s))
			verify_object(s);
	}
}

void
verify_heap(void)
{
	for (size_t i = 0, n = heap_chunks(); i < n; i++)
		chunk_each_span(i, verify_span, NULL);
}
