// SPDX-License-Identifier: BSD-3-Clause
// GODEBUG=gcwalk=1: a walk over all that is known about the heap, which must agree with itself.
//
// The world stands still, every cache is flushed; the monitor, which nobody stops, is kept from
// giving pages back and from making some present. What is wrong is printed, a few lines of it;
// the process dies at the end of the walk.
//
//   pages    summaries of chunks (P1, P2), released pages (P3, P4), counts
//   infos    each page of a span says the same, and what the span's class says; no other page says
//            anything
//   bits     no free bit beyond the last slot; after a mark, mark bits of all free slots (M2)
//   lists    each span is in the list of its kind and class that its free bits call for, and in
//            none twice: as many spans are listed as there are
//
// Not done: what objects point to. gccheckmark looks there.
#include "mem/walk.h"

#include "mem/efence.h"
#include "mem/heap_impl.h"

enum { TOLD_MAX = 10 };

static HeapWalk *walk; // who stopped the world

COLD void
heap_walk_wrong(const char *what, uintptr_t at, uint64_t is, uint64_t should)
{
	if (walk->faults++ >= TOLD_MAX)
		return;
	print_str("runtime: heap walk: ");
	print_str(what);
	print_str(", at ");
	print_hex(at);
	print_str(": ");
	print_u64(is);
	print_str(", should be ");
	print_u64(should);
	print_str("\n");
}

void
heap_walk_same(const char *what, uintptr_t at, uint64_t is, uint64_t should)
{
	if (unlikely(is != should))
		heap_walk_wrong(what, at, is, should);
}

// --- pages --------------------------------------------------------------------------------------

static bool
bit_of(const uint64_t *bits, uint32_t i)
{
	return (bits[i / 64] >> (i % 64) & 1) != 0;
}

static void
walk_summary(const Chunk *c, uintptr_t at)
{
	uint32_t lead = CHUNK_PAGES, longest = 0, run = 0;
	for (uint32_t i = 0; i < CHUNK_PAGES; i++) {
		if (bit_of(c->used, i)) {
			lead = lead < i ? lead : i;
			run = 0;
			continue;
		}
		run++;
		longest = longest > run ? longest : run;
	}
	heap_walk_same("free pages at a chunk's beginning", at, c->lead, lead);
	heap_walk_same("free pages at a chunk's end", at, c->trail, run);
	heap_walk_same("longest run of free pages", at, c->longest, longest);
}

static void
walk_chunk_pages(size_t chunk)
{
	const Chunk *c = &heap_chunk_table[chunk];
	uintptr_t at = (uintptr_t)heap_page_addr(chunk * CHUNK_PAGES);
	walk_summary(c, at);
	for (int i = 0; i < CHUNK_WORDS; i++) {
		uint64_t used = c->used[i] & ~(uint64_t)(chunk == 0 && i == 0); // P4
		heap_walk_same("released pages in use", at, used & c->released[i], 0);
		walk->used += (uint64_t)__builtin_popcountll(used);
		walk->released += (uint64_t)__builtin_popcountll(c->released[i]);
		walk->fresh += (uint64_t)__builtin_popcountll(c->fresh[i]);
	}
}

// --- spans --------------------------------------------------------------------------------------

// What info must say on each page of s.
static PageInfo
info_for(const Mspan *s)
{
	const PageInfo *first = &heap.info[span_page(s)];
	PageInfo want = {.nelems = 1, .kind = first->kind};
	if (s->class == 0)
		return want;
	want.size = class_size[s->class];
	want.magic = ~(uint32_t)0 / want.size + 1;
	want.nelems = (uint16_t)(s->npages * HEAP_PAGE / want.size);
	return want;
}

static void
walk_infos(const Mspan *s, const PageInfo *want)
{
	size_t page = span_page(s);
	for (uint32_t i = 0; i < s->npages; i++) {
		const PageInfo *pi = &heap.info[page + i];
		uintptr_t at = (uintptr_t)heap_page_addr(page + i);
		heap_walk_same("a page's state", at, load_rlx(&pi->state), // order: STW
			    s->class == 0 ? SPAN_LARGE : SPAN_SMALL);
		heap_walk_same("a page's way back", at, pi->back, i);
		heap_walk_same("a page's slot size", at, pi->size, want->size);
		heap_walk_same("a page's reciprocal", at, pi->magic, want->magic);
		heap_walk_same("a page's slots", at, pi->nelems, want->nelems);
		heap_walk_same("a page's kind", at, pi->kind, want->kind);
	}
}

// Counts what is allocated.
static void
walk_bits(const Mspan *s, const PageInfo *want)
{
	uintptr_t at = (uintptr_t)heap_page_addr(span_page(s));
	uint64_t nfree = 0;
	for (uint32_t i = 0; i < span_words(want); i++) {
		uint32_t left = want->nelems - i * 64u;
		uint64_t valid = left >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << left) - 1;
		size_t word = span_page(s) * PAGE_WORDS + i;
		uint64_t free = load_rlx(&heap.frees[word]);  // order: STW
		uint64_t marks = load_rlx(&heap.marks[word]); // order: STW
		heap_walk_same("free bits beyond the last slot", at, free & ~valid, 0);
		if (walk->marked)
			heap_walk_same("slots neither free nor without a mark bit", at,
				    (free | ~valid) & ~marks, 0);
		nfree += (uint64_t)__builtin_popcountll(free & valid);
	}
	uint64_t size = s->class == 0 ? s->bytes : want->size;
	walk->objects += want->nelems - nfree;
	walk->bytes += (want->nelems - nfree) * size;
}

static void
walk_span(const Mspan *s)
{
	uintptr_t at = (uintptr_t)heap_page_addr(span_page(s));
	if (s->class >= SIZE_CLASSES || heap.info[span_page(s)].kind >= KIND_COUNT) {
		heap_walk_wrong("a span's class and kind", at, s->class, 0);
		return;
	}
	PageInfo want = info_for(s);
	walk->spans++;
	walk_infos(s, &want);
	walk_bits(s, &want);
	if (s->class != 0)
		heap_walk_same("a span's pages", at, s->npages, class_pages[s->class]);
	else if (s->bytes == 0 || s->bytes > (size_t)s->npages * HEAP_PAGE)
		heap_walk_wrong("bytes of a large object", at, s->bytes, s->npages * HEAP_PAGE);
	if (!walk->marked && !span_swept(s))
		heap_walk_wrong("a span is not swept", at, load_rlx(&s->gen), 0); // order: STW
}

static void
walk_chunk_spans(size_t chunk)
{
	const Chunk *c = &heap_chunk_table[chunk];
	for (uint32_t i = 0; i < CHUNK_PAGES; i++) {
		size_t page = chunk * CHUNK_PAGES + i;
		const PageInfo *pi = &heap.info[page];
		uintptr_t at = (uintptr_t)heap_page_addr(page);
		bool in_span = load_rlx(&pi->state) != SPAN_NONE; // order: STW
		bool gone = !in_span && (fenced() || page == 0); // an object's that was freed; P4
		if (in_span != bit_of(c->used, i) && !gone) {
			heap_walk_wrong("a page is of a span, but not in use, or the reverse", at,
					in_span, !in_span);
			continue;
		}
		if (!in_span)
			continue;
		const Mspan *s = &heap.spans[page - pi->back];
		if (pi->back == 0)
			walk_span(s);
		else if (pi->back >= s->npages)
			heap_walk_wrong("a page beyond its span's end", at, pi->back, s->npages);
	}
}

// --- lists --------------------------------------------------------------------------------------

static void
walk_listed(const Mspan *s, const Mspan *before, Kind kind, uint32_t class, SpanPlace place)
{
	size_t page = span_page(s);
	uintptr_t at = (uintptr_t)heap_page_addr(page);
	walk->listed++;
	if (s->prev != before)
		heap_walk_wrong("a list of spans is torn", at, 0, 1);
	heap_walk_same("the class of a listed span", at, s->class, class);
	heap_walk_same("the kind of a listed span", at, heap.info[page].kind, kind);
	if (load_rlx(&heap.info[page].state) == SPAN_NONE) // order: STW
		heap_walk_wrong("a listed span that is none", at, 0, 1);
	if (place == PLACE_NONE)
		return;
	heap_walk_same("the place of a listed span", at, load_rlx(&s->place), // order: STW
		       place);
	// A slot may have been freed while its span was being filed as full: see heap_free.
	if (place == PLACE_PARTIAL && !span_has_free(s))
		heap_walk_wrong("a span without free slots among those with some", at, 0, 1);
}

// --- the face -----------------------------------------------------------------------------------

void
heap_walk(HeapWalk *w, bool marked)
{
	*w = (HeapWalk){.marked = marked};
	walk = w;
	pages_hold();
	for (size_t i = 0, n = heap_chunks(); i < n; i++) {
		walk_chunk_pages(chunk_number(i));
		walk_chunk_spans(chunk_number(i));
		w->chunks++;
	}
	pages_verify(heap_walk_wrong);
	centrals_each(walk_listed);
	HeapCounts counts;
	heap_counts(&counts);
	heap_walk_same("pages in use", heap.base, counts.in_use / HEAP_PAGE, w->used);
	heap_walk_same("pages without memory", heap.base, counts.released / HEAP_PAGE, w->released);
	heap_walk_same("pages ahead of use", heap.base, heap_fresh_bytes() / HEAP_PAGE, w->fresh);
	heap_walk_same("pages committed", heap.base, counts.reserved / HEAP_PAGE,
		    w->chunks * CHUNK_PAGES);
	heap_walk_same("spans in lists", heap.base, w->listed, w->spans);
	pages_let_go();
}

void
heap_walk_end(const HeapWalk *w)
{
	if (w->faults != 0)
		throw("heap walk: the heap is not what it says");
}
