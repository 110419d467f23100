// SPDX-License-Identifier: BSD-3-Clause
// Marking: from roots through the heap, on several threads, without waiting for memory.
//
// Most of a mark's time would be cache misses: of what is known about a page, of its mark bits, of
// the object itself. So nothing is touched when it is found. A word that may be a pointer goes into
// the ring of candidates while its page's records are on their way, and leaves it some 32 words
// later; an object that was marked goes onto the stack, and when it comes off it stays in the ring
// of objects while its own lines are on their way.
//
//   word -> candidates -> (mark bit) -> stack -> objects -> scanned: more words
//
// A worker whose stack is full gives some of it to all, in a chunk; so does one that sees others
// idle. Who has nothing takes a chunk. When all have nothing and there is no chunk, the mark is
// complete. Without memory for a chunk its objects are dropped, and found again by a walk over all
// that is marked, and over the records of finalizers, whose objects are not (mark_recover).
//
// Invariants:
//   K1  Between two calls of mark_drain, an object whose mark bit this mark has set, or that
//       mark_contents was called for, is scanned, or waits on a stack, in a ring or in a chunk, or
//       `dropped` is set.
//   K2  work.idle counts the workers that hold nothing. It is n only when the mark is complete.
// Locks:  work.lock, rank leaf.
// Order:  O1  The world is stopped: objects and records do not change. Mark bits are atomic among
//             workers alone; what a chunk holds is published by the lock.
#include <string.h>

#include "gc/mark.h"

#include "arch/arch.h"

// Small in the stress build, so that what is rare happens.
#ifdef UNDERGO_STRESS
#define SIZED(usual, small) (small)
#else
#define SIZED(usual, small) (usual)
#endif

enum {
	CANDIDATES = 32,        // as many lines as a core can have on the way, about
	OBJECTS = 16,
	PREFETCH_BYTES = 512,   // of an object; what follows the processor has noticed by itself
	STACK = SIZED(2048, 8), // entries of a worker's stack
	CHUNK_ENTRIES = SIZED(510, 4),
	SHARE_MIN = SIZED(64, 2), // entries on a stack from which on others get some
	SHARE_LOOK = SIZED(64, 1), // objects scanned between two looks at who is idle
	OBLET = 128 << 10,      // large objects are scanned in pieces, which others may take
	IDLE_SPINS = SIZED(200, 1),
};

// An object to be scanned: its address, an eighth of its size above (0: large), typed in the top
// bit.
typedef uint64_t Entry;
enum { SIZE_SHIFT = 48, SIZE_MASK = 0x1fff, TYPED_SHIFT = 63 };

typedef struct WorkChunk {
	struct WorkChunk *next;
	uint64_t n;
	Entry entries[CHUNK_ENTRIES];
} WorkChunk;

struct Marker {
	uintptr_t candidates[CANDIDATES]; // 0: none
	Entry objects[OBJECTS];           // 0: none
	uint32_t candidate;               // next to replace
	uint32_t object;
	uint32_t n;                       // on the stack
	uint32_t scans;
	bool shared;                      // other workers mark at the same time
	MarkCounts counts;
	Entry stack[STACK];
};

static struct {
	Mutex lock;
	uint32_t n;        // workers; set before they start
	ATOMIC_U32 idle;   // lock writes; K2
	ATOMIC_U32 chunks; // lock writes: in the list
	ATOMIC_U32 changed; // futex: counts up when there is a chunk, or the end
	ATOMIC_BOOL dropped;
	bool complete;     // lock
	WorkChunk *list;   // lock
	WorkChunk *spare;  // lock
} work = {.lock = MUTEX_INIT(leaf)};

// --- chunks --------------------------------------------------------------------------------------

enum { SLAB_BYTES = SIZED(1 << 20, 4096) };

// Locks: work.lock held.
static WorkChunk *
chunk_get(void)
{
	if (work.spare == NULL) {
		WorkChunk *slab = gc_map(SLAB_BYTES);
		if (slab == NULL)
			return NULL;
		for (size_t i = 0; i < SLAB_BYTES / sizeof(WorkChunk); i++) {
			slab[i].next = work.spare;
			work.spare = &slab[i];
		}
	}
	WorkChunk *c = work.spare;
	work.spare = c->next;
	return c;
}

static void
changed(int wake)
{
	add_rel(&work.changed, 1); // order: publish -> wait_for_work
	os_futex_wake(&work.changed, wake);
}

// Puts n entries into a chunk for all; without memory they are dropped.
static void
give(const Entry *e, uint32_t n)
{
	mutex_lock(&work.lock);
	WorkChunk *c = chunk_get();
	if (c != NULL) {
		memcpy(c->entries, e, n * sizeof(Entry));
		c->n = n;
		c->next = work.list;
		work.list = c;
		store_rlx(&work.chunks, load_rlx(&work.chunks) + 1); // order: own, under the lock
	} else {
		store_rlx(&work.dropped, true); // order: read after the mark
	}
	bool wake = load_rlx(&work.idle) != 0; // order: own, under the lock
	mutex_unlock(&work.lock);
	if (wake)
		changed(1);
}

// The stack is full: its newest entries make room, as nothing has to be moved for that.
COLD static void
spill(Marker *m)
{
	m->n -= CHUNK_ENTRIES;
	give(m->stack + m->n, CHUNK_ENTRIES);
}

// Somebody is idle: the older half, behind which most is to be expected.
static void
share(Marker *m)
{
	uint32_t n = m->n / 2 < CHUNK_ENTRIES ? m->n / 2 : CHUNK_ENTRIES;
	give(m->stack, n);
	m->n -= n;
	memmove(m->stack, m->stack + n, m->n * sizeof(Entry));
}

// False: there is no chunk.
static bool
take_chunk(Marker *m)
{
	if (load_rlx(&work.chunks) == 0) // order: hint
		return false;
	mutex_lock(&work.lock);
	WorkChunk *c = work.list;
	if (c != NULL) {
		work.list = c->next;
		store_rlx(&work.chunks, load_rlx(&work.chunks) - 1); // order: own, under the lock
		memcpy(m->stack, c->entries, c->n * sizeof(Entry));
		m->n = (uint32_t)c->n;
		c->next = work.spare;
		work.spare = c;
	}
	mutex_unlock(&work.lock);
	return c != NULL;
}

// --- words and objects ---------------------------------------------------------------------------

static inline void
push(Marker *m, Entry e)
{
	if (unlikely(m->n == STACK))
		spill(m);
	m->stack[m->n++] = e;
}

// Sets the bit; false: it was set.
static inline bool
set_mark(Marker *m, ATOMIC_U64 *word, uint64_t bit)
{
	uint64_t w = load_rlx(word); // order: O1
	if ((w & bit) != 0)
		return false;
	if (m->shared)
		return (or_ar(word, bit) & bit) == 0; // order: claim
	store_rlx(word, w | bit); // order: own, the only worker
	return true;
}

// Marks what w points to or into, and puts it on the stack unless it has no pointers.
static inline void
resolve(Marker *m, uintptr_t w)
{
	size_t page = heap_page(w);
	const PageInfo *pi = &heap.info[page];
	if (load_acq(&pi->state) == SPAN_NONE) // order: observe <- span_publish
		return;
	size_t first = page - pi->back;
	uintptr_t start = (uintptr_t)heap_page_addr(first);
	uint32_t i = (uint32_t)(((w - start) * pi->magic) >> 32);
	if (i >= pi->nelems)
		return;
	if (!set_mark(m, &heap.marks[first * PAGE_WORDS + i / 64], (uint64_t)1 << (i % 64)))
		return;
	m->counts.objects++;
	m->counts.bytes += pi->size != 0 ? pi->size : heap.spans[first].bytes;
	if (pi->kind == KIND_NOSCAN)
		return;
	push(m, (start + (uintptr_t)i * pi->size) | (uint64_t)(pi->size / 8) << SIZE_SHIFT |
			(uint64_t)kind_typed(pi->kind) << TYPED_SHIFT);
}

// A word from anywhere: when it points into the heap it becomes a candidate.
static inline void
consider(Marker *m, uintptr_t w)
{
	if (likely(!heap_contains(w)))
		return;
	size_t page = heap_page(w);
	__builtin_prefetch(&heap.info[page]);
	__builtin_prefetch(&heap.marks[page * PAGE_WORDS + (w >> 10) % PAGE_WORDS]);
	uintptr_t *slot = &m->candidates[m->candidate++ % CANDIDATES];
	uintptr_t before = *slot;
	*slot = w;
	if (before != 0)
		resolve(m, before);
}

// --- scanning ------------------------------------------------------------------------------------

// Reads what may be anybody's, so not for the sanitizers' eyes.
#define READS_ANYTHING __attribute__((no_sanitize("address", "thread")))

// The upper halves of words.
typedef uint32_t Halves __attribute__((vector_size(16), aligned(8), may_alias));
typedef int32_t Signed __attribute__((vector_size(16)));
typedef uint64_t Pair __attribute__((vector_size(16)));

READS_ANYTHING static inline Halves
upper_halves(const uintptr_t *p)
{
	const Halves *two = (const void *)p;
	return __builtin_shufflevector(two[0], two[1], 1, 3, 5, 7);
}

// Whether none of the eight words points into the heap, as their upper halves say; most of what a
// conservative mark sees. Vectors compare signed numbers, so all is moved by half the range.
READS_ANYTHING static inline bool
none_inside(const uintptr_t *p)
{
	uint32_t first = (uint32_t)(heap.base >> 32);
	uint32_t last = (uint32_t)((heap.base + heap.limit - 1) >> 32);
	uint32_t moved = first + ((uint32_t)1 << 31);
	int32_t most = (int32_t)(last - moved);
	Signed out = ((Signed)(upper_halves(p) - moved) > most) &
		     ((Signed)(upper_halves(p + 4) - moved) > most);
	Pair both = (Pair)out;
	return (both[0] & both[1]) == UINT64_MAX;
}

READS_ANYTHING static inline void
scan_words(Marker *m, const uintptr_t *p, const uintptr_t *end)
{
	enum { STRIDE = 8 };
	for (; p + STRIDE <= end; p += STRIDE) {
		if (none_inside(p))
			continue;
		for (int i = 0; i < STRIDE; i++)
			consider(m, p[i]);
	}
	for (; p < end; p++)
		consider(m, *p);
}

// Words of [p, p + 64 words) whose bits are set.
READS_ANYTHING static inline void
scan_mask(Marker *m, const uintptr_t *p, uint64_t mask)
{
	for (; mask != 0; mask &= mask - 1)
		consider(m, p[__builtin_ctzll(mask)]);
}

// [lo, hi) of an array at start of elements of type t.
READS_ANYTHING static void
scan_elements(Marker *m, const HeapType *t, uintptr_t start, uintptr_t lo, uintptr_t hi)
{
	if (t->bytes == sizeof(void *)) {
		scan_words(m, (uintptr_t *)lo, (uintptr_t *)hi);
		return;
	}
	size_t in = (lo - start) % t->bytes;
	for (uintptr_t p = lo; p < hi; p += 8, in += 8) {
		if (in == t->bytes)
			in = 0;
		if (in < t->scan_bytes && type_bit(t, in / 8))
			consider(m, *(uintptr_t *)p);
	}
}

// A piece of a large object, which begins at addr; the rest goes back on the stack first.
static void
scan_oblet(Marker *m, uintptr_t addr, bool typed)
{
	size_t page = heap_page(addr), first = page - heap.info[page].back;
	const Mspan *s = &heap.spans[first];
	uintptr_t start = (uintptr_t)heap_page_addr(first) + s->lead, end = start + s->bytes;
	if (addr < start)
		addr = start;
	uintptr_t to = addr + OBLET;
	if (to < end)
		push(m, to | (uint64_t)typed << TYPED_SHIFT);
	else
		to = end;
	if (typed)
		scan_elements(m, s->type, start, addr, to);
	else
		scan_words(m, (uintptr_t *)addr, (uintptr_t *)to);
}

// Of more than MASKED_MAX bytes, which has its type in a word of its own.
static void
scan_typed(Marker *m, uintptr_t addr, size_t size)
{
	const HeapType *t = heap_slot_type(heap_slot(addr));
	scan_elements(m, t, addr, addr, addr + size / t->bytes * t->bytes);
}

static inline void
scan(Marker *m, Entry e)
{
	uintptr_t addr = e & (((uint64_t)1 << SIZE_SHIFT) - 1);
	size_t size = (e >> SIZE_SHIFT & SIZE_MASK) * 8;
	bool typed = e >> TYPED_SHIFT;
	if (unlikely(size == 0))
		scan_oblet(m, addr, typed);
	else if (!typed)
		scan_words(m, (uintptr_t *)addr, (uintptr_t *)(addr + size));
	else if (size <= MASKED_MAX)
		scan_mask(m, (uintptr_t *)addr, heap_mask_at(addr, (uint32_t)size / 8));
	else
		scan_typed(m, addr, size);
}

static inline uintptr_t
entry_addr(Entry e)
{
	return e & (((uint64_t)1 << SIZE_SHIFT) - 1);
}

// Exchanges the oldest in the ring of objects for e, which may be 0, and scans it. The prefetches
// stand here and not in a function of their own: gcc 12 takes one that does nothing else for one
// that does nothing.
static inline void
through_ring(Marker *m, Entry e)
{
	uintptr_t addr = entry_addr(e);
	size_t bytes = (e >> SIZE_SHIFT & SIZE_MASK) * 8;
	__builtin_prefetch((void *)addr);
	for (size_t at = CACHE_LINE; at < bytes && at < PREFETCH_BYTES; at += CACHE_LINE)
		__builtin_prefetch((void *)(addr + at));
	if (e >> TYPED_SHIFT)
		__builtin_prefetch(&heap.types[(addr - heap.base) / 512]);
	Entry *slot = &m->objects[m->object++ % OBJECTS];
	Entry before = *slot;
	*slot = e;
	if (before != 0)
		scan(m, before);
}

// Works until this worker holds nothing.
static void
drain_own(Marker *m)
{
	for (;;) {
		while (m->n != 0) {
			Entry e = m->stack[--m->n];
			through_ring(m, e);
			if (unlikely(++m->scans % SHARE_LOOK == 0) && m->n >= SHARE_MIN &&
			    load_rlx(&work.idle) != 0 && load_rlx(&work.chunks) == 0) // order: hint
				share(m);
		}
		for (int i = 0; i < OBJECTS; i++)
			through_ring(m, 0);
		if (m->n != 0)
			continue;
		for (int i = 0; i < CANDIDATES; i++) {
			uintptr_t w = m->candidates[i];
			m->candidates[i] = 0;
			if (w != 0)
				resolve(m, w);
		}
		if (m->n == 0)
			return;
	}
}

// --- workers -------------------------------------------------------------------------------------

// Waits for a chunk or the end. False: the mark is complete.
static bool
wait_for_work(Marker *m)
{
	mutex_lock(&work.lock);
	uint32_t idle = load_rlx(&work.idle) + 1; // order: own, under the lock
	store_rlx(&work.idle, idle);
	bool last = idle == work.n && work.list == NULL;
	if (last)
		work.complete = true;
	mutex_unlock(&work.lock);
	if (last) {
		changed(INT32_MAX);
		return false;
	}
	for (uint32_t spins = 0;; spins++) {
		uint32_t seen = load_acq(&work.changed); // order: observe <- changed
		mutex_lock(&work.lock);
		bool complete = work.complete, some = work.list != NULL;
		if (some)
			store_rlx(&work.idle, load_rlx(&work.idle) - 1); // order: own
		mutex_unlock(&work.lock);
		if (complete)
			return false;
		if (some) {
			if (take_chunk(m))
				return true;
			return wait_for_work(m);
		}
		// order: hint
		for (int i = 0; i < IDLE_SPINS && load_rlx(&work.changed) == seen; i++)
			arch_pause();
		os_futex_wait(&work.changed, seen, INT64_MAX);
	}
}

void
mark_drain(Marker *m)
{
	do {
		do
			drain_own(m);
		while (take_chunk(m));
	} while (wait_for_work(m));
}

void
mark_begin(uint32_t workers)
{
	work.n = workers;
	work.complete = false;
	store_rlx(&work.idle, 0);        // order: before the workers start
	store_rlx(&work.dropped, false);
}

Marker *
marker_new(void)
{
	size_t page = os_page_bytes();
	return gc_map((sizeof(Marker) + page - 1) & ~(page - 1));
}

void
marker_begin(Marker *m, bool shared)
{
	m->shared = shared;
	m->counts = (MarkCounts){0, 0};
}

MarkCounts
marker_counts(const Marker *m)
{
	return m->counts;
}

// --- for roots -----------------------------------------------------------------------------------

void
mark_word(Marker *m, uintptr_t word)
{
	consider(m, word);
}

READS_ANYTHING void
mark_range(Marker *m, const char *lo, const char *hi)
{
	scan_words(m, (const uintptr_t *)(const void *)lo, (const uintptr_t *)(const void *)hi);
}

static Entry
entry_of(Slot s)
{
	return (uintptr_t)slot_addr(s) | (uint64_t)(s.info->size / 8) << SIZE_SHIFT |
	       (uint64_t)kind_typed(s.info->kind) << TYPED_SHIFT;
}

void
mark_contents(Marker *m, Slot s)
{
	if (s.info->kind != KIND_NOSCAN)
		push(m, entry_of(s));
}

// All workers count as idle by now, so there may be chunks of our own making.
void
mark_settle(Marker *m)
{
	do
		drain_own(m);
	while (take_chunk(m));
}

// Puts what is allocated in a span of pinned objects on the stack: roots, all of it.
void
mark_pinned(Marker *m, Mspan *sp)
{
	size_t page = span_page(sp);
	PageInfo *pi = &heap.info[page];
	for (uint32_t i = 0; i < pi->nelems; i++) {
		Slot s = {page, i, pi};
		if ((load_rlx(slot_free_word(s)) >> (i % 64) & 1) != 0) // order: O1
			continue;
		m->counts.objects++;
		m->counts.bytes += slot_bytes(s);
		push(m, entry_of(s));
	}
}

// --- when chunks were dropped --------------------------------------------------------------------

static void
push_marked(void *v, Mspan *sp)
{
	Marker *m = v;
	size_t page = span_page(sp);
	PageInfo *pi = &heap.info[page];
	if (pi->kind == KIND_NOSCAN)
		return;
	for (uint32_t i = 0; i < pi->nelems; i++) {
		Slot s = {page, i, pi};
		bool free = (load_rlx(slot_free_word(s)) >> (i % 64) & 1) != 0; // order: O1
		if (slot_marked(s) && !free) {
			push(m, entry_of(s));
			mark_settle(m);
		}
	}
}

// Scans all that is marked once more, while memory for chunks is refused, and what was not marked
// itself. One worker.
void
mark_recover(Marker *m)
{
	while (load_rlx(&work.dropped)) { // order: own, one worker
		store_rlx(&work.dropped, false);
		for (size_t i = 0, n = heap_chunks(); i < n; i++)
			chunk_each_span(i, push_marked, m);
		specials_mark_again(m);
	}
}
