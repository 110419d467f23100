// SPDX-License-Identifier: BSD-3-Clause
// What the files of the heap share: pages of address space, and lists of spans.
#ifndef UNDERGO_MEM_HEAP_IMPL_H
#define UNDERGO_MEM_HEAP_IMPL_H

#include "mem/heap.h"
#include "os/os.h"

// --- heap.c: the reservation ---------------------------------------------------------------------

enum {
	CHUNK_PAGES = 512, // 4 MiB
	CHUNK_WORDS = CHUNK_PAGES / 64,
};

// The pages of 4 MiB, bit by bit, and where in them the free runs are.
typedef struct Chunk {
	uint64_t used[CHUNK_WORDS];
	uint64_t released[CHUNK_WORDS]; // no memory behind it: reads as zero
	uint64_t fresh[CHUNK_WORDS];    // memory made present ahead of use: zero as well
	uint16_t lead;                  // free pages at the beginning
	uint16_t trail;                 // and at the end
	uint16_t longest;               // run of free pages within
	bool in_parts[2];               // a half that gets no huge page
} Chunk;

// Makes chunks [from, to) of the heap usable, with all that is known about their pages.
bool heap_commit(size_t from, size_t to);
// Puts memory behind committed pages, and what is known about them. 0, or an error of the system.
int heap_make_present(size_t page, size_t n);
// Gives back what is known about a chunk without a page in use: all of it reads as zero from now
// on, which is what is true of such pages.
void heap_forget(size_t chunk);
extern Chunk *heap_chunk_table;

// --- pages.c -------------------------------------------------------------------------------------

typedef struct PageRun {
	size_t page;
	bool ok;
	bool zeroed; // nobody has written there
} PageRun;

void pages_init(void);
// A run of npages pages, in the region if there is room, else in another. Its address is a multiple
// of `align` pages, a power of two.  Locks: takes heappages.
PageRun pages_alloc(size_t npages, size_t align, Region region);
void pages_free(size_t page, size_t npages);
// Which chunk the i-th of heap_chunks() is.  STW.
size_t chunk_number(size_t i);
// Calls wrong when what is known about regions is.  STW.
typedef void WrongFn(const char *what, uintptr_t at, uint64_t is, uint64_t should);
void pages_verify(WrongFn *wrong);
// While the world is stopped the monitor may still give memory back, or make some present ahead of
// its use, but not between these two.
void pages_hold(void);
void pages_let_go(void);

// --- size.c --------------------------------------------------------------------------------------

void sizes_init(void);
extern uint8_t class_pages[SIZE_CLASSES]; // pages of a span

// --- span.c --------------------------------------------------------------------------------------

// A span without an owner, all slots free. NULL without memory.  Locks: takes heappages.
Mspan *span_new(Kind kind, uint32_t class);
// Frees the pages of a span in no list.
void span_free(Mspan *s);
// The number of 64s of slots.
static inline uint32_t
span_words(const PageInfo *pi)
{
	return (pi->nelems + 63u) / 64;
}
bool span_has_free(const Mspan *s);
Mspan *span_new_large(size_t bytes, size_t align, Kind kind);
void centrals_init(void);
// Calls fn for each span in a list, the one before it in that list beside it; place is PLACE_NONE
// for those that wait to be swept.  STW.
typedef void ListedFn(const Mspan *s, const Mspan *before, Kind kind, uint32_t class,
		      SpanPlace place);
void centrals_each(ListedFn *fn);

// A span with free slots to allocate from, PLACE_CACHED; NULL without memory.
Mspan *central_take(Kind kind, uint32_t class);
// Gives one back, after allocating from it.
void central_put(Mspan *s);

#endif
