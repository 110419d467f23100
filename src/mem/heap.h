// SPDX-License-Identifier: BSD-3-Clause
// The managed heap: where an object lies, and what the collector knows about it.
//
// One reservation of address space holds four regions of equal size, told apart by address. Memory
// is handed out in pages of 8 KiB; a span is a run of pages that holds objects of one size class
// and one kind, or a single large object. Everything known about an object lies beside the heap, in
// arrays with an entry for each page (mem/heap_impl.h), never in the heap's own pages: the
// collector must not write there, and what a program overwrites there cannot mislead it.
//
// From any address to its object:
//   page = (address - base) / 8 KiB; info[page] tells how far back the span begins, the size of its
//   slots and their reciprocal; index = offset * magic >> 32; the object's bit is number `index`
//   of the row of bits that begins at the span's first page.
//
// Invariants:
//   M1  free bit set: the slot is free, and its contents mean nothing. Clear: it is allocated, or
//       an Mcache has it in hand.
//   M2  While the collector marks, mark bit set: marked, or free (heap_premark). So one test
//       answers whether a word from anywhere is worth following, and what is allocated meanwhile is
//       black.
//   M3  A page's info is complete before its state leaves SPAN_NONE (release), and state is read
//       (acquire) before the rest of it. Info, spans and bits are never unmapped.
#ifndef UNDERGO_MEM_HEAP_H
#define UNDERGO_MEM_HEAP_H

#include "base/base.h"
#include "sync/sync.h"
#include "undergo/heap.h"

enum {
	HEAP_PAGE_SHIFT = 13,
	HEAP_PAGE = 1 << HEAP_PAGE_SHIFT,
	GO_SIZE_CLASSES = 68,          // class 0 means large
	CLASS_TABLE = GO_SIZE_CLASSES, // of our own: see size.c
	SIZE_CLASSES,
	CLASS_TABLE_BYTES = 15360,
	CLASS_TINY = 1, // blocks of SLOT_MIN bytes that smaller objects without pointers share
	SMALL_MAX = 32768,
	SLOT_MIN = 16,
	PAGE_BITS = HEAP_PAGE / SLOT_MIN, // mark and free bits of a page
	PAGE_WORDS = PAGE_BITS / 64,
	MASKED_MAX = 512, // larger typed objects have a type word instead of a mask
};

typedef enum Region {
	REGION_TRACKED,  // objects of C: written without a barrier
	REGION_BARRIERED, // objects of Go: the compiler calls the write barrier
	REGION_NOSCAN,   // no pointers inside
	REGION_PINNED,   // scanned, never collected: explicit free only
	REGION_COUNT,
} Region;

typedef enum Kind {
	KIND_SCAN,   // tracked, each word may be a pointer
	KIND_TYPED,  // tracked, pointers where its type says
	KIND_NOSCAN, // noscan
	KIND_PINNED, // pinned, each word may be a pointer
	KIND_GO,     // barriered, pointers where its type says
	KIND_COUNT,
} Kind;

static inline bool
kind_typed(Kind k)
{
	return k == KIND_TYPED || k == KIND_GO;
}

static inline Region
kind_region(Kind k)
{
	static const uint8_t regions[KIND_COUNT] = {
		[KIND_SCAN] = REGION_TRACKED,   [KIND_TYPED] = REGION_TRACKED,
		[KIND_NOSCAN] = REGION_NOSCAN,  [KIND_PINNED] = REGION_PINNED,
		[KIND_GO] = REGION_BARRIERED,
	};
	return (Region)regions[k];
}

const char *heap_kind_name(Kind k); // for reports: "scan", "noscan", ...

// Where an object has pointers.
typedef struct go_type HeapType;

// --- pages and spans ----------------------------------------------------------------------------

typedef enum SpanState { SPAN_NONE, SPAN_SMALL, SPAN_LARGE } SpanState;

// Of each page, what finding an object needs: four to a cache line.
typedef struct PageInfo {
	uint32_t back;     // pages from the span's first page to this one
	uint32_t magic;    // reciprocal of the slot size; 0 for large
	uint32_t size;     // bytes of a slot; 0 for large
	uint16_t nelems;   // slots
	uint8_t kind;      // Kind
	ATOMIC(uint8_t) state; // SpanState; M3
} PageInfo;

// Who has a span.
typedef enum SpanPlace {
	PLACE_NONE,    // nobody yet, or who sweeps it
	PLACE_CACHED,  // an Mcache allocates from it
	PLACE_PARTIAL, // in a list of its Mcentral
	PLACE_FULL,
} SpanPlace; // the last two, with an old gen: in the list of unswept ones

// Of each span, the rest; at its first page's index.
typedef struct Mspan {
	struct Mspan *next;  // central lock, or heap lock for large ones
	struct Mspan *prev;
	ATOMIC(struct Special *) specials; // special lock writes: finalizers and the like
	uint32_t npages;     // set before publication
	uint8_t class;       // set before publication; 0: large
	ATOMIC(uint8_t) place; // SpanPlace; central lock, or who has taken it out of its list
	ATOMIC_BOOL needzero; // free slots may hold old bytes; published by their free bits
	ATOMIC(uint8_t) gen; // who sweeps: other than heap_gen: unswept
	size_t bytes;        // large: what was asked for, rounded up to 8
	const HeapType *type; // large typed: its type
	size_t elems;        // large typed: how many elements
	uint32_t lead;       // large: bytes before the object; efence.c
} Mspan;
#ifndef UNDERGO_EXPLORE // whose atomics are larger
static_assert(sizeof(Mspan) <= 64, "one cache line");
#endif

// Constant after heap_reserve but for used, which grows: read by every marker.
typedef struct Heap {
	uintptr_t base;          // of all regions
	size_t limit;            // bytes of all regions
	PageInfo *info;          // arrays by page
	Mspan *spans;
	ATOMIC_U64 *marks;       // PAGE_WORDS a page
	ATOMIC_U64 *frees;       // PAGE_WORDS a page
	uint64_t *types;         // 16 words a page: a bit per word, or a HeapType for each slot
	bool watched;      // each allocation is looked at: no cache keeps slots in hand
} Heap;
extern Heap heap;

enum { TYPE_WORDS = HEAP_PAGE / 8 / 64 };

static inline bool
heap_contains(uintptr_t addr)
{
	return addr - heap.base < heap.limit;
}

static inline size_t
heap_page(uintptr_t addr)
{
	return (addr - heap.base) >> HEAP_PAGE_SHIFT;
}

static inline char *
heap_page_addr(size_t page)
{
	return (char *)(heap.base + (page << HEAP_PAGE_SHIFT));
}

static inline size_t
span_page(const Mspan *s)
{
	return (size_t)(s - heap.spans);
}

// An object, or a slot for one.
typedef struct Slot {
	size_t page;    // the span's first
	uint32_t index; // in the span
	PageInfo *info; // of the span's first page; NULL: no slot here
} Slot;

// The slot that addr points to or into, allocated or not.  Locks: none.  Signal-safe.
static inline Slot
heap_slot(uintptr_t addr)
{
	Slot none = {0, 0, NULL};
	if (!heap_contains(addr))
		return none;
	size_t page = heap_page(addr);
	PageInfo *pi = &heap.info[page];
	if (load_acq(&pi->state) == SPAN_NONE) // order: observe <- span_publish, M3
		return none;
	size_t first = page - pi->back;
	uintptr_t offset = addr - (uintptr_t)heap_page_addr(first);
	uint32_t index = (uint32_t)((offset * pi->magic) >> 32);
	if (index >= pi->nelems)
		return none;
	return (Slot){first, index, &heap.info[first]};
}

static inline char *
slot_addr(Slot s)
{
	size_t size = s.info->size;
	return heap_page_addr(s.page) + (size != 0 ? s.index * size : heap.spans[s.page].lead);
}

// The bytes of a slot, which are at least those asked for.
static inline size_t
slot_bytes(Slot s)
{
	return s.info->size != 0 ? s.info->size : heap.spans[s.page].bytes;
}

static inline ATOMIC_U64 *
slot_mark_word(Slot s)
{
	return &heap.marks[s.page * PAGE_WORDS + s.index / 64];
}

static inline ATOMIC_U64 *
slot_free_word(Slot s)
{
	return &heap.frees[s.page * PAGE_WORDS + s.index / 64];
}

// --- allocating: mem/cache.c ---------------------------------------------------------------------

// What an Mcache allocates from: up to 64 neighbouring slots of a span. Two to a cache line.
typedef struct CacheSlots {
	uint64_t free;  // owner: bit i: slot i of these is free
	char *first;    // owner: slot 0 of these
	uint64_t mask;  // owner: pointers of all these slots that no other type took since; or 0
	uint32_t size;  // owner: bytes of a slot
	uint16_t word;  // owner: which 64 of the span's
	bool needzero;  // owner
} CacheSlots;
static_assert(sizeof(CacheSlots) == 32, "half a cache line");

typedef struct Mcache {
	// The owner is a P, or who holds the gate.
	CacheSlots slots[KIND_COUNT][SIZE_CLASSES]; // owner
	Mspan *spans[KIND_COUNT][SIZE_CLASSES];     // owner: where the slots are; NULL: none
	uintptr_t tiny;     // owner: in the block that is shared now, what nobody has
	uintptr_t tiny_end; // owner: its end; 0: there is no such block
	int64_t tinies;     // owner: objects put beside another, since gc last asked
	int64_t allocated; // owner: bytes taken in hand, since gc last asked
	int64_t objects;   // owner: the same of slots
	int64_t freed;     // owner: bytes freed by hand, since gc last asked
	int64_t freed_objects; // owner
	// For samples, see heap_sample_rate.
	uint64_t later[KIND_COUNT][SIZE_CLASSES]; // owner: slots in hand, of which the first is one
	int64_t sample_rate; // owner: what heap_sample_rate was
	int64_t sample_in;   // owner: bytes before the one that is chosen next
	uint64_t rand;       // owner
	ATOMIC_U64 taken[SIZE_CLASSES]; // own: slots of each size, ever
} Mcache;

// Reserves address space. 0 or GO_ENOMEM. Call it once; heap_ready tells.
int heap_reserve(void);
static inline bool
heap_ready(void)
{
	return heap.base != 0;
}

// One byte in so many that are allocated is chosen, by chance; 0: none. The object that it lies in
// is a sample. A cache that comes to one leaves it for the slow path. 1: each object is. Where the
// number lies is set before the first allocation.
extern ATOMIC_I64 *heap_sample_rate;

Mcache *mcache_new(void); // NULL without memory
// Gives back all that c has in hand. STW, or the owner.
void mcache_flush(Mcache *c);

// Size classes: class_size by class, the others by size. Filled by heap_reserve, constant then.
enum { SMALL_STEP = 8, SMALL_STEP_MAX = 1024, LARGE_STEP = 128 };
extern uint8_t class_of_8[SMALL_STEP_MAX / SMALL_STEP + 1];
extern uint8_t class_of_128[SMALL_MAX / LARGE_STEP + 1];
extern const uint16_t class_size[SIZE_CLASSES];

// The class for bytes, at most SMALL_MAX; 0 becomes the smallest.
static inline uint32_t
size_class(size_t bytes)
{
	if (bytes <= SMALL_STEP_MAX)
		return class_of_8[(bytes + SMALL_STEP - 1) / SMALL_STEP];
	return class_of_128[(bytes + LARGE_STEP - 1) / LARGE_STEP];
}

// The one that Go has for bytes, for what it tells of sizes.
static inline uint32_t
size_class_go(size_t bytes)
{
	uint32_t class = size_class(bytes);
	return class != CLASS_TABLE ? class : size_class(CLASS_TABLE_BYTES + 1);
}

// Refills these slots from their span, or with another one. *sampled: the first slot is a sample.
// False: no memory.  Locks: takes central, pages.
bool mcache_refill(Mcache *c, Kind kind, uint32_t class, bool *sampled);
// Whether an object of so many bytes that no cache holds is a sample.
bool mcache_sample_large(Mcache *c, size_t bytes);

// Puts back what is in hand of these slots' span, which stays the cache's. There is a span.
void slots_return(Mcache *c, Kind kind, uint32_t class);

// A free slot, of which there is one, with whatever is in it.
static inline char *
slots_take(CacheSlots *cs)
{
	uint32_t i = (uint32_t)__builtin_ctzll(cs->free);
	cs->free &= cs->free - 1;
	return cs->first + (size_t)i * cs->size;
}

// Objects without pointers of 1 to SLOT_MIN - 1 bytes, aligned to the power of two in their size,
// share blocks: slots of KIND_NOSCAN and CLASS_TINY. A block lives as long as one of its objects.

// Room in the block that is shared now, zeroed; NULL: there is not enough.
static inline char *
tiny_take(Mcache *c, size_t bytes)
{
	uintptr_t align = bytes & -bytes;
	uintptr_t at = (c->tiny + align - 1) & -align;
	if (at + bytes > c->tiny_end)
		return NULL;
	c->tiny = at + bytes;
	c->tinies++;
	return (char *)at;
}

// A block, just taken, begins with an object of so many bytes. Of it and the one that was shared
// the one with more room is shared from here on.
static inline void
tiny_begin(Mcache *c, const char *block, size_t bytes)
{
	if (SLOT_MIN - bytes <= c->tiny_end - c->tiny)
		return;
	c->tiny = (uintptr_t)block + bytes;
	c->tiny_end = (uintptr_t)block + SLOT_MIN;
}

// Whether the slot is a block of such objects.
static inline bool
slot_is_tiny(Slot s)
{
	return heap.spans[s.page].class == CLASS_TINY;
}

// An object of its own span, bytes > SMALL_MAX or aligned to more than its class; NULL without
// memory. type may be NULL unless the kind is typed. *zeroed false: the caller has to zero it,
// which may take long; until then it is scanned as it is.
char *heap_alloc_large(size_t bytes, size_t align, Kind kind, const HeapType *type, size_t elems,
		       bool *zeroed);

// Gives the slot back, which is allocated and no longer used. False: it was free.
bool heap_free(Slot s);

// Gives p, just taken from cs, the pointers of elems elements of type t.
void slots_type(CacheSlots *cs, const char *p, const HeapType *t, size_t elems);

// The same of a slot of at most MASKED_MAX bytes, by its words that may be pointers.
void slots_mask(CacheSlots *cs, const char *p, uint64_t mask);

// The pointer bits of a typed object of at most MASKED_MAX bytes: one for each word of the heap.
static inline uint64_t
heap_mask_at(uintptr_t addr, uint32_t words)
{
	size_t at = (addr - heap.base) / 8;
	uint32_t shift = at % 64;
	uint64_t mask = heap.types[at / 64] >> shift;
	if (shift + words > 64)
		mask |= heap.types[at / 64 + 1] << (64 - shift);
	return words >= 64 ? mask : mask & (((uint64_t)1 << words) - 1);
}

static inline uint64_t
heap_mask(Slot s)
{
	return heap_mask_at((uintptr_t)slot_addr(s), s.info->size / 8);
}

const HeapType *heap_slot_type(Slot s); // of a larger one that is not large

// --- collecting: for gc --------------------------------------------------------------------------

// M2: begins a mark. STW; all is swept and all Mcaches are flushed.
// The heap is walked by chunks, numbered from 0 to heap_chunks() - 1.
size_t heap_chunks(void);
void heap_premark(size_t chunk);
// After a mark, STW: what is not marked is garbage from here on, and is found by sweeping.
void heap_start_sweep(void);
// Sweeps a span that nobody has swept yet. False: all is swept.  Any thread.
bool heap_sweep_one(void);
// Calls fn for each span that begins in the chunk.  STW.
void chunk_each_span(size_t chunk, void (*fn)(void *ctx, Mspan *s), void *ctx);
// Whether s has been swept since the last mark.
bool span_swept(const Mspan *s);
// Gives free pages back to the system, about as many bytes; returns how many. With `ahead` also
// those that heap_populate has made present and nobody has used.
size_t heap_scavenge(size_t bytes, bool ahead);

// Of functions that look at any memory: what is free belongs to nobody that the sanitizers know,
// and stacks are laid out as they like it.
#define ANY_MEMORY __attribute__((no_sanitize("address", "thread")))

// Puts memory behind the pages that a growing region will hand out next, POPULATE_BYTES of them, so
// that who touches them first need not wait for the kernel to clear them. False: none are wanted.
// Takes as long as that. One caller at a time: the monitor.  Locks: takes heappages.
enum { POPULATE_BYTES = 2 << 20 };
bool heap_populate(void);
// Whether any are wanted.
bool heap_pages_wanted(void);
uint64_t heap_fresh_bytes(void); // of HeapCounts, free: what heap_populate has done ahead

// The numbers as they are about now.  Locks: none.
typedef struct HeapCounts {
	uint64_t reserved;  // bytes of address space committed
	uint64_t in_use;    // bytes of spans
	uint64_t free;      // bytes of free pages that have memory behind them
	uint64_t released;  // bytes of free pages that have none
	uint64_t meta;      // bytes beside the heap, about
} HeapCounts;
void heap_counts(HeapCounts *c);
uint64_t heap_swept(uint32_t class); // slots found dead, ever
uint64_t heap_used_bytes(void); // of HeapCounts, in_use
// The most bytes that were in use since the last call. For one caller, the scavenger.
uint64_t heap_take_peak(void);
// No more pages than that shall be in use: an allocation that wants more finds no memory.
void heap_set_max(uint64_t bytes);

#endif
