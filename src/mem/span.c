// SPDX-License-Identifier: BSD-3-Clause
// Spans: made, listed by kind and class, swept.
//
// A list for each kind and class (an Mcentral) holds the spans that no Mcache has: those with free
// slots, those without, and, after a mark, those that nobody has swept yet. Sweeping a span turns
// what was not marked into free slots; it is done when somebody needs the slots, and otherwise by
// the collector's threads while the program runs.
//
// Invariants:
//   C1  A span is in one list, or an Mcache has it, or who took it out sweeps it.
//   C2  gen != heap_gen: nobody has swept it since the last mark. Only then it is in `unswept`.
//   C3  Free bits only ever become set by sweeping and freeing, clear by taking them in hand.
// Locks:  Mcentral.lock, rank central; one at a time. Sweeping itself is done without.
#include "mem/heap_impl.h"

#include "mem/clobber.h"
#include "mem/efence.h"
#include "mem/mem_up.h"
#include "mem/watch.h"
#include "undergo/base.h"

// Doubly linked: heap_free takes spans out of the middle.
typedef struct SpanList {
	Mspan *first;
	Mspan *last;
} SpanList;

typedef struct Mcentral {
	Mutex lock CACHE_ALIGNED;
	SpanList partial; // lock
	SpanList full;    // lock
	SpanList unswept; // lock
} Mcentral;

static Mcentral centrals[KIND_COUNT][SIZE_CLASSES]; // class 0: large objects
static ATOMIC_U32 heap_gen;    // STW writes
static ATOMIC_U64 swept[SIZE_CLASSES]; // slots found dead
static ATOMIC_U32 sweep_next;  // the Mcentral that heap_sweep_one looks at; hint

enum { CENTRALS = KIND_COUNT * SIZE_CLASSES };

void
centrals_init(void)
{
	for (int k = 0; k < KIND_COUNT; k++)
		for (int c = 0; c < SIZE_CLASSES; c++)
			mutex_init(&centrals[k][c].lock, RANK_central);
	os_modules_leave_out(centrals, sizeof(centrals)); // spans are no objects
}

static PageInfo *
info_of(const Mspan *s)
{
	return &heap.info[span_page(s)];
}

static Mcentral *
central_of(const Mspan *s)
{
	return &centrals[info_of(s)->kind][s->class];
}

// --- lists ---------------------------------------------------------------------------------------

static void
list_push(SpanList *l, Mspan *s)
{
	s->prev = NULL;
	s->next = l->first;
	if (l->first != NULL)
		l->first->prev = s;
	else
		l->last = s;
	l->first = s;
}

static void
list_remove(SpanList *l, Mspan *s)
{
	*(s->prev != NULL ? &s->prev->next : &l->first) = s->next;
	*(s->next != NULL ? &s->next->prev : &l->last) = s->prev;
	s->next = s->prev = NULL;
}

static Mspan *
list_pop(SpanList *l)
{
	Mspan *s = l->first;
	if (s != NULL)
		list_remove(l, s);
	return s;
}

// All of `from` goes to the end of l.
static void
list_append(SpanList *l, SpanList *from)
{
	if (from->first == NULL)
		return;
	if (l->last != NULL) {
		l->last->next = from->first;
		from->first->prev = l->last;
	} else {
		l->first = from->first;
	}
	l->last = from->last;
	*from = (SpanList){NULL, NULL};
}

static uint8_t
gen_now(void)
{
	return (uint8_t)load_rlx(&heap_gen); // order: STW writes
}

static void
set_place(Mspan *s, SpanPlace place)
{
	store_rlx(&s->place, (uint8_t)place); // order: own, or under the lock
}

// Enters a swept span where it belongs.  Locks: its central held.
static void
file_span(Mcentral *ce, Mspan *s)
{
	bool free = span_has_free(s);
	set_place(s, free ? PLACE_PARTIAL : PLACE_FULL);
	list_push(free ? &ce->partial : &ce->full, s);
}

// --- making --------------------------------------------------------------------------------------

// Describes each page of a span, the state last; M3.
static void
span_publish(size_t page, PageInfo proto, uint32_t npages, SpanState state)
{
	for (uint32_t i = 0; i < npages; i++) {
		PageInfo *pi = &heap.info[page + i];
		proto.back = i;
		pi->back = i;
		pi->magic = proto.magic;
		pi->size = proto.size;
		pi->nelems = proto.nelems;
		pi->kind = proto.kind;
		store_rel(&pi->state, (uint8_t)state); // order: publish -> heap_slot, M3
	}
}

static void
set_free_bits(size_t page, uint32_t n)
{
	ATOMIC_U64 *f = &heap.frees[page * PAGE_WORDS];
	for (uint32_t i = 0; i < n; i += 64)
		store_rlx(&f[i / 64], n - i >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << (n - i)) - 1);
}

static Mspan *
span_init(PageRun run, uint32_t npages, uint32_t class)
{
	Mspan *s = &heap.spans[run.page];
	*s = (Mspan){
		.npages = npages,
		.class = (uint8_t)class,
	};
	init_plain(&s->gen, gen_now());
	init_plain(&s->needzero, !run.zeroed || clobbers());
	if (clobbers())
		clobber_check_pages(run.page, npages);
	return s;
}

Mspan *
span_new(Kind kind, uint32_t class)
{
	uint32_t npages = class_pages[class], size = class_size[class];
	PageRun run = pages_alloc(npages, 1, kind_region(kind));
	if (!run.ok)
		return NULL;
	Mspan *s = span_init(run, npages, class);
	uint32_t nelems = npages * HEAP_PAGE / size;
	if (clobbers())
		clobber_fill(heap_page_addr(run.page), (size_t)npages * HEAP_PAGE);
	set_free_bits(run.page, nelems);
	PageInfo proto = {
		.magic = ~(uint32_t)0 / size + 1,
		.size = size,
		.nelems = (uint16_t)nelems,
		.kind = (uint8_t)kind,
	};
	span_publish(run.page, proto, npages, SPAN_SMALL);
	return s;
}

Mspan *
span_new_large(size_t bytes, size_t align, Kind kind)
{
	size_t npages = (bytes + HEAP_PAGE - 1) / HEAP_PAGE + fenced();
	size_t align_pages = align > HEAP_PAGE ? align / HEAP_PAGE : 1;
	PageRun run = pages_alloc(npages, align_pages, kind_region(kind));
	if (!run.ok)
		return NULL;
	Mspan *s = span_init(run, (uint32_t)npages, 0);
	s->bytes = bytes;
	if (fenced())
		efence_place(s, align);
	store_rlx(&heap.frees[run.page * PAGE_WORDS], 0); // order: published by the state
	PageInfo proto = {.nelems = 1, .kind = (uint8_t)kind};
	span_publish(run.page, proto, (uint32_t)npages, SPAN_LARGE);
	return s;
}

// All of a span that is given up is pattern: of small objects it is by now.
static void
clobber_span(const Mspan *s)
{
	char *p = heap_page_addr(span_page(s));
	size_t bytes = (size_t)s->npages * HEAP_PAGE;
	if (s->class == 0)
		clobber_fill(p, bytes);
	else
		clobber_check_slot(p, bytes, (Kind)info_of(s)->kind);
}

void
span_free(Mspan *s)
{
	size_t page = span_page(s);
	uint32_t npages = s->npages;
	if (clobbers() && !fenced())
		clobber_span(s);
	set_place(s, PLACE_NONE);
	for (uint32_t i = 0; i < npages; i++)
		store_rel(&heap.info[page + i].state, SPAN_NONE); // order: M3
	if (fenced())
		efence_close(s);
	else
		pages_free(page, npages);
}

bool
span_has_free(const Mspan *s)
{
	const PageInfo *pi = info_of(s);
	ATOMIC_U64 *f = &heap.frees[span_page(s) * PAGE_WORDS];
	for (uint32_t i = 0; i < span_words(pi); i++)
		if (load_rlx(&f[i]) != 0) // order: hint
			return true;
	return false;
}

// --- sweeping ------------------------------------------------------------------------------------

// Those of the i-th 64 slots are objects no more. A large one is clobbered when its span goes.
static void
gone(const Mspan *s, uint32_t i, uint64_t garbage)
{
	for (; (WATCHES_FREE || clobbers()) && garbage != 0; garbage &= garbage - 1) {
		uint32_t index = i * 64 + (uint32_t)__builtin_ctzll(garbage);
		Slot slot = {span_page(s), index, &heap.info[span_page(s)]};
		if (clobbers())
			clobber_fill(slot_addr(slot), slot.info->size);
		watch_gone(slot_addr(slot), slot_bytes(slot));
	}
}

// Turns what is neither marked nor free into free slots. Returns how many slots are free now. When
// all are, the pages go back: what those did who freed by hand comes before that.
static uint32_t
free_unmarked(Mspan *s)
{
	const PageInfo *pi = info_of(s);
	size_t at = span_page(s) * PAGE_WORDS;
	uint32_t n = 0, dead = 0;
	for (uint32_t i = 0; i < span_words(pi); i++) {
		uint64_t marked = load_rlx(&heap.marks[at + i]); // order: the mark is over
		uint64_t before = load_acq(&heap.frees[at + i]); // order: observe <- set_free
		uint64_t garbage = ~marked & ~before;
		if (garbage != 0) {
			gone(s, i, garbage);
			store_rlx(&s->needzero, true); // order: published by the bits
			before = garbage | or_ar(&heap.frees[at + i], garbage); // order: the same
		}
		n += (uint32_t)__builtin_popcountll(before);
		dead += (uint32_t)__builtin_popcountll(garbage);
	}
	add_rlx(&swept[s->class], dead); // order: count
	return n;
}

uint64_t
heap_swept(uint32_t class)
{
	return load_rlx(&swept[class]); // order: count
}

// Sweeps a span taken out of its list; false: nothing was left in it and it is gone.
static bool
span_sweep(Mspan *s)
{
	// order: observe <- specials_drop_empty; dead objects get no more
	if (unlikely(load_acq(&s->specials) != NULL))
		up_sweep_specials(s);
	uint32_t nelems = info_of(s)->nelems;
	uint32_t nfree = free_unmarked(s);
	store_rlx(&s->gen, gen_now()); // order: own
	if (CHAOS("swept", 4))
		os_yield(); // swept, and in no list yet
	if (nfree < nelems)
		return true;
	span_free(s);
	return false;
}

bool
span_swept(const Mspan *s)
{
	return load_rlx(&s->gen) == gen_now(); // order: hint, or under a lock
}

static Mspan *
pop_unswept(Mcentral *ce)
{
	mutex_lock(&ce->lock);
	Mspan *s = list_pop(&ce->unswept);
	if (s != NULL)
		set_place(s, PLACE_NONE); // in no list, whatever gen says from now on
	mutex_unlock(&ce->lock);
	return s;
}

bool
heap_sweep_one(void)
{
	Mcentral *all = &centrals[0][0];
	for (;;) {
		uint32_t i = load_rlx(&sweep_next); // order: hint
		if (i >= CENTRALS)
			return false;
		Mspan *s = pop_unswept(&all[i]);
		if (s == NULL) {
			(void)cas_rlx(&sweep_next, &i, i + 1); // order: hint
			continue;
		}
		if (span_sweep(s)) {
			mutex_lock(&all[i].lock);
			file_span(&all[i], s);
			mutex_unlock(&all[i].lock);
		}
		return true;
	}
}

// O(classes): spans are not touched.
void
heap_start_sweep(void)
{
	Mcentral *all = &centrals[0][0];
	add_rlx(&heap_gen, 1); // order: STW
	for (uint32_t i = 0; i < CENTRALS; i++) {
		list_append(&all[i].unswept, &all[i].partial);
		list_append(&all[i].unswept, &all[i].full);
	}
	store_rel(&sweep_next, 0); // order: publish -> heap_sweep_one; what is pinned is swept, too
}

// --- taking and giving back ----------------------------------------------------------------------

static Mspan *
pop_partial(Mcentral *ce)
{
	mutex_lock(&ce->lock);
	Mspan *s = list_pop(&ce->partial);
	if (s != NULL)
		set_place(s, PLACE_CACHED);
	mutex_unlock(&ce->lock);
	return s;
}

// Sweeps until a span with free slots turns up.
static Mspan *
sweep_for_one(Mcentral *ce)
{
	enum { TRIES = 64 }; // then a new span costs less than going on
	for (int i = 0; i < TRIES; i++) {
		Mspan *s = pop_unswept(ce);
		if (s == NULL)
			return NULL;
		if (!span_sweep(s))
			continue;
		if (span_has_free(s)) {
			set_place(s, PLACE_CACHED);
			return s;
		}
		mutex_lock(&ce->lock);
		file_span(ce, s);
		mutex_unlock(&ce->lock);
	}
	return NULL;
}

Mspan *
central_take(Kind kind, uint32_t class)
{
	Mcentral *ce = &centrals[kind][class];
	Mspan *s = pop_partial(ce);
	if (s == NULL)
		s = sweep_for_one(ce);
	if (s == NULL) {
		s = span_new(kind, class);
		if (s != NULL)
			set_place(s, PLACE_CACHED);
	}
	return s;
}

void
central_put(Mspan *s)
{
	Mcentral *ce = central_of(s);
	mutex_lock(&ce->lock);
	file_span(ce, s);
	mutex_unlock(&ce->lock);
}

// --- freeing by hand -----------------------------------------------------------------------------

// order: publish -> who takes it, and free_unmarked. False: it was free before.
static bool
set_free(Slot slot)
{
	uint64_t bit = (uint64_t)1 << (slot.index % 64);
	if ((load_rlx(slot_free_word(slot)) & bit) != 0) // order: own, the caller's object
		return false;
	if (clobbers())
		clobber_fill(slot_addr(slot), slot.info->size);
	watch_gone(slot_addr(slot), slot_bytes(slot));
	store_rlx(&heap.spans[slot.page].needzero, true); // order: published by the bit
	return (or_ar(slot_free_word(slot), bit) & bit) == 0;
}

// In a span that was full, or is a large one. While the slot is not free its span is not either, so
// whether the span is in `full` is settled before the bit is set.
static bool
free_in_full(Slot slot)
{
	Mspan *s = &heap.spans[slot.page];
	Mcentral *ce = central_of(s);
	mutex_lock(&ce->lock);
	bool listed = span_swept(s) && load_rlx(&s->place) == PLACE_FULL; // order: own, the lock
	bool was_used = set_free(slot), gone = false;
	if (listed && was_used) {
		list_remove(&ce->full, s);
		gone = s->class == 0;
		if (!gone)
			file_span(ce, s);
	}
	mutex_unlock(&ce->lock);
	if (gone)
		span_free(s);
	return was_used;
}

bool
heap_free(Slot slot)
{
	if (load_rlx(&heap.spans[slot.page].place) == PLACE_FULL) // order: hint
		return free_in_full(slot);
	return set_free(slot); // in a span that was filled just now it is found by the next sweep
}

// --- marking and walking -------------------------------------------------------------------------

// M2. Bits beyond the last slot count as marked.
static void
span_premark(Mspan *s)
{
	const PageInfo *pi = info_of(s);
	size_t at = span_page(s) * PAGE_WORDS;
	uint32_t words = span_words(pi), tail = pi->nelems % 64;
	bool pinned = pi->kind == KIND_PINNED;
	for (uint32_t i = 0; i < words; i++) {
		uint64_t m = load_rlx(&heap.frees[at + i]); // order: STW
		if (i + 1 == words && tail != 0)
			m |= ~(uint64_t)0 << tail;
		store_rlx(&heap.marks[at + i], pinned ? ~(uint64_t)0 : m); // order: STW
	}
}

static void
premark_one(void *unused, Mspan *s)
{
	(void)unused;
	span_premark(s);
}

void
heap_premark(size_t chunk)
{
	chunk_each_span(chunk, premark_one, NULL);
}

static void
list_each(const SpanList *l, Kind kind, uint32_t class, SpanPlace place, ListedFn *fn)
{
	const Mspan *before = NULL;
	for (const Mspan *s = l->first; s != NULL; before = s, s = s->next)
		fn(s, before, kind, class, place);
	check(l->last == before, "list_each: the end of a list of spans");
}

void
centrals_each(ListedFn *fn)
{
	for (int k = 0; k < KIND_COUNT; k++) {
		for (uint32_t c = 0; c < SIZE_CLASSES; c++) {
			const Mcentral *ce = &centrals[k][c];
			list_each(&ce->partial, (Kind)k, c, PLACE_PARTIAL, fn);
			list_each(&ce->full, (Kind)k, c, PLACE_FULL, fn);
			list_each(&ce->unswept, (Kind)k, c, PLACE_NONE, fn);
		}
	}
}
