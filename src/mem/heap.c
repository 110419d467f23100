// SPDX-License-Identifier: BSD-3-Clause
// The reservation of the heap, and of the arrays beside it.
//
// Address space is reserved once: a tebibyte for each region, or as much as the system grants; of
// what ulimit -v allows a quarter at most, for the program wants the rest. It costs nothing until
// chunks of it are committed, together with their share of the arrays, and then what is touched.
#include "mem/heap_impl.h"

#include "base/godebug.h"
#include "undergo/base.h"

#if SANITIZE_THREAD || SANITIZE_ADDRESS
enum { REGION_SHIFT_MAX = 35 }; // what the sanitizers leave us
#else
enum { REGION_SHIFT_MAX = 40 };
#endif
enum {
	REGION_SHIFT_MIN = 24,
	ALIGN = 1 << REGION_SHIFT_MIN,
};

Heap heap;

const char *
heap_kind_name(Kind k)
{
	static const char *const names[KIND_COUNT] = {
		[KIND_SCAN] = "scan",     [KIND_TYPED] = "typed", [KIND_NOSCAN] = "noscan",
		[KIND_PINNED] = "pinned", [KIND_GO] = "go",
	};
	return names[k];
}

Chunk *heap_chunk_table;

// An array with an entry for each page, or for each chunk of pages.
typedef struct Array {
	char *at;
	size_t entry_bytes; // for a chunk of pages
} Array;

enum { ARRAY_INFO, ARRAY_SPANS, ARRAY_MARKS, ARRAY_FREES, ARRAY_TYPES, ARRAY_CHUNKS, ARRAYS };

static Array arrays[ARRAYS] = {
	[ARRAY_INFO] = {.entry_bytes = sizeof(PageInfo) * CHUNK_PAGES},
	[ARRAY_SPANS] = {.entry_bytes = sizeof(Mspan) * CHUNK_PAGES},
	[ARRAY_MARKS] = {.entry_bytes = sizeof(uint64_t) * PAGE_WORDS * CHUNK_PAGES},
	[ARRAY_FREES] = {.entry_bytes = sizeof(uint64_t) * PAGE_WORDS * CHUNK_PAGES},
	[ARRAY_TYPES] = {.entry_bytes = sizeof(uint64_t) * TYPE_WORDS * CHUNK_PAGES},
	[ARRAY_CHUNKS] = {.entry_bytes = sizeof(Chunk)},
};

static size_t
round_up(size_t n, size_t to)
{
	return (n + to - 1) & ~(to - 1);
}

// Regions of 1 << shift bytes each, and the arrays for them, lie in one piece.
static size_t
reserved_bytes(uint32_t shift)
{
	size_t bytes = (size_t)REGION_COUNT << shift, total = bytes;
	size_t chunks = bytes / (CHUNK_PAGES * (size_t)HEAP_PAGE);
	for (int i = 0; i < ARRAYS; i++)
		total += round_up(chunks * arrays[i].entry_bytes, os_page_bytes());
	return total;
}

static void
place_arrays(char *at)
{
	size_t chunks = heap.limit / (CHUNK_PAGES * (size_t)HEAP_PAGE);
	for (int i = 0; i < ARRAYS; i++) {
		arrays[i].at = at;
		at += round_up(chunks * arrays[i].entry_bytes, os_page_bytes());
	}
	heap.info = (void *)arrays[ARRAY_INFO].at;
	heap.spans = (void *)arrays[ARRAY_SPANS].at;
	heap.marks = (void *)arrays[ARRAY_MARKS].at;
	heap.frees = (void *)arrays[ARRAY_FREES].at;
	heap.types = (void *)arrays[ARRAY_TYPES].at;
	heap_chunk_table = (void *)arrays[ARRAY_CHUNKS].at;
}

int
heap_reserve(void)
{
	char *at = NULL;
	uint32_t shift = REGION_SHIFT_MAX;
	while (shift > REGION_SHIFT_MIN && reserved_bytes(shift) > os_address_limit() / 4)
		shift--;
	while (shift >= REGION_SHIFT_MIN && (at = os_reserve(reserved_bytes(shift), ALIGN)) == NULL)
		shift--;
	if (at == NULL)
		return GO_ENOMEM;
	// Whoever asks about a word from anywhere reads the info of a page that may not exist.
	size_t pages = ((size_t)REGION_COUNT << shift) / HEAP_PAGE;
	char *info = at + ((size_t)REGION_COUNT << shift);
	if (os_commit_zero(info, pages * sizeof(PageInfo)) != 0) {
		os_unmap(at, reserved_bytes(shift));
		return GO_ENOMEM;
	}
	heap.limit = (size_t)REGION_COUNT << shift;
	place_arrays(at + heap.limit);
	heap.watched = godebug.clobberfree == 1 || godebug.gcevery > 0 || godebug.efence != 0 ||
		       godebug.leaks != 0 || godebug.allocsites > 0;
	sizes_init();
	centrals_init();
	pages_init();
	heap.base = (uintptr_t)at;
	return 0;
}

bool
heap_commit(size_t from, size_t to)
{
	size_t page = os_page_bytes();
	for (int i = 0; i < ARRAYS; i++) {
		uintptr_t lo = (uintptr_t)arrays[i].at + from * arrays[i].entry_bytes;
		uintptr_t hi = (uintptr_t)arrays[i].at + to * arrays[i].entry_bytes;
		lo &= ~(uintptr_t)(page - 1);
		hi = round_up(hi, page);
		if (os_commit((void *)lo, hi - lo) != 0)
			return false;
	}
	size_t chunk_bytes = CHUNK_PAGES * (size_t)HEAP_PAGE;
	char *base = (char *)heap.base;
	return os_commit(base + from * chunk_bytes, (to - from) * chunk_bytes) == 0;
}

int
heap_make_present(size_t page, size_t n)
{
	size_t os_page = os_page_bytes();
	for (int i = 0; i < ARRAY_TYPES; i++) {
		size_t entry = arrays[i].entry_bytes / CHUNK_PAGES;
		uintptr_t lo = (uintptr_t)arrays[i].at + page * entry;
		uintptr_t hi = round_up(lo + n * entry, os_page);
		lo &= ~(uintptr_t)(os_page - 1);
		int err = os_populate((void *)lo, hi - lo);
		if (err != 0)
			return err;
	}
	return os_populate(heap_page_addr(page), n * HEAP_PAGE);
}

void
heap_forget(size_t chunk)
{
	size_t page = os_page_bytes();
	for (int i = 0; i < ARRAY_CHUNKS; i++) {
		uintptr_t lo = (uintptr_t)arrays[i].at + chunk * arrays[i].entry_bytes;
		uintptr_t hi = (lo + arrays[i].entry_bytes) & ~(uintptr_t)(page - 1);
		lo = round_up(lo, page);
		if (lo < hi)
			os_decommit((void *)lo, hi - lo); // what the system keeps is not wrong
	}
}
