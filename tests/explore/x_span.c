// SPDX-License-Identifier: BSD-3-Clause
// Spans recycled while a program runs, src/mem/span.c and cache.c: swept by whoever needs slots and
// by the collector's threads, filled again, freed into by others, given back as pages and taken
// anew.
//
// Each slot has an owner, or is free, or is garbage that the mark has not found. Who owns one
// writes there, plainly; who is handed a slot finds zeroes, unless it is told that there may be
// none. So a slot handed out twice, or before the one who freed it was through with it, is a race.
#include "explore_arch.h"

#include "explore_lock.h"

#include "mem/span.c"

#include "mem/cache.c"

enum {
	SLOTS = 4, // of a span
	PAGES = 4,
	SLOT_BYTES = HEAP_PAGE / SLOTS,
	CLASS = SIZE_CLASSES - 1, // the last of all lists, where the search for unswept ones begins
	CACHES = 3,
};
#define KIND ((Kind)(KIND_COUNT - 1))

Heap heap;
Godebug godebug;
uint8_t class_pages[SIZE_CLASSES] = {[CLASS] = 1};
const uint16_t class_size[SIZE_CLASSES] = {[CLASS] = SLOT_BYTES};
static _Alignas(HEAP_PAGE) char pages[PAGES * HEAP_PAGE];
static PageInfo infos[PAGES];
static Mspan spans[PAGES];
static ATOMIC_U64 mark_bits[PAGES * PAGE_WORDS], free_bits[PAGES * PAGE_WORDS];
static Mcache caches[CACHES];
static Mutex page_lock;
static bool page_used[PAGES];
static bool page_touched[PAGES];
static int content[PAGES * SLOTS]; // owner of the slot
static bool live[PAGES * SLOTS];   // the truth: somebody has it
static uint32_t n_pages;

// --- what lies around the code under test ----------------------------------------------------

// Writing what is known about a page is plain: here in its place.
PageRun
pages_alloc(size_t npages, size_t align, Region region)
{
	(void)align;
	(void)region;
	PageRun run = {.ok = false};
	EXPLORE_CHECK(npages == 1, "one page at a time");
	mutex_lock(&page_lock);
	for (size_t i = 0; i < n_pages && !run.ok; i++)
		if (!page_used[i]) {
			page_used[i] = true;
			run = (PageRun){.page = i, .ok = true, .zeroed = !page_touched[i]};
			page_touched[i] = true;
		}
	mutex_unlock(&page_lock);
	if (run.ok)
		explore_plain_write(&infos[run.page]);
	return run;
}

void
pages_free(size_t page, size_t npages)
{
	EXPLORE_CHECK(npages == 1, "one page at a time");
	for (uint32_t i = 0; i < SLOTS; i++)
		EXPLORE_CHECK(!live[page * SLOTS + i], "a page with a live object is given back");
	mutex_lock(&page_lock);
	EXPLORE_CHECK(page_used[page], "a page is given back twice");
	page_used[page] = false;
	mutex_unlock(&page_lock);
}

void
chunk_each_span(size_t chunk, void (*fn)(void *ctx, Mspan *s), void *ctx)
{
	(void)chunk;
	for (size_t i = 0; i < n_pages; i++)
		if (page_used[i])
			fn(ctx, &spans[i]);
}

void
up_sweep_specials(Mspan *s)
{
	(void)s;
}

void *
os_alloc(size_t bytes)
{
	(void)bytes;
	return NULL;
}

// --- slots
// ------------------------------------------------------------------------------------------

static Slot
slot(int i)
{
	return heap_slot((uintptr_t)pages + (size_t)i * SLOT_BYTES);
}

static uint64_t
bit(int i)
{
	return (uint64_t)1 << (i % SLOTS);
}

static ATOMIC_U64 *
free_word(int i)
{
	return &free_bits[(size_t)(i / SLOTS) * PAGE_WORDS];
}

static ATOMIC_U64 *
mark_word_of(int i)
{
	return &mark_bits[(size_t)(i / SLOTS) * PAGE_WORDS];
}

// A slot for the caller, who writes there; -1 without memory.
static int
take(Mcache *c)
{
	CacheSlots *cs = &c->slots[KIND][CLASS];
	bool sampled; // nobody takes samples
	if (cs->free == 0 && !mcache_refill(c, KIND, CLASS, &sampled))
		return -1;
	char *p = slots_take(cs);
	EXPLORE_CHECK((p - pages) % SLOT_BYTES == 0, "not a slot");
	int i = (int)((p - pages) / SLOT_BYTES);
	EXPLORE_CHECK(!live[i], "a slot is handed out that somebody has");
	live[i] = true;
	if (!cs->needzero)
		EXPLORE_CHECK(PLAIN_READ(content[i]) == 0, "what is handed out is not zero");
	PLAIN_WRITE(content[i], i + 1);
	return i;
}

// Frees slot i, which is the caller's; he looks at what is known about its page while it is.
static void
give(int i)
{
	EXPLORE_CHECK(PLAIN_READ(content[i]) == i + 1, "somebody has written to an object");
	explore_plain_read(&infos[i / SLOTS]);
	live[i] = false;
	EXPLORE_CHECK(heap_free(slot(i)), "an object was free already");
}

static void
sweep_all(void)
{
	while (heap_sweep_one()) {
	}
}

// --- set-up
// -----------------------------------------------------------------------------------------

static void
begin(uint32_t with_pages)
{
	Mcentral *ce = &centrals[KIND][CLASS];
	memset(ce, 0, sizeof(*ce));
	memset(&heap_gen, 0, sizeof(heap_gen));
	memset(&sweep_next, 0, sizeof(sweep_next));
	memset(infos, 0, sizeof(infos));
	memset(spans, 0, sizeof(spans));
	memset(mark_bits, 0, sizeof(mark_bits));
	memset(free_bits, 0, sizeof(free_bits));
	memset(page_used, 0, sizeof(page_used));
	memset(page_touched, 0, sizeof(page_touched));
	memset(content, 0, sizeof(content));
	memset(live, 0, sizeof(live));
	for (int i = 0; i < CACHES; i++) { // a schedule that failed may have left something in hand
		memset(&caches[i].slots[KIND][CLASS], 0, sizeof(CacheSlots));
		caches[i].spans[KIND][CLASS] = NULL;
		caches[i].later[KIND][CLASS] = 0;
	}
	n_pages = with_pages;
	heap = (Heap){
		.base = (uintptr_t)pages,
		.limit = sizeof(pages),
		.info = infos,
		.spans = spans,
		.marks = mark_bits,
		.frees = free_bits,
	};
}

// The next page is a span: a digit of `slots` for each slot. 0: free, and never used; 1: garbage;
// 2: live.
static void
span_of(const char *slots)
{
	Mspan *s = span_new(KIND, CLASS);
	int first = (int)span_page(s) * SLOTS;
	store_rlx(free_word(first), 0);
	store_rlx(mark_word_of(first), ~(uint64_t)0 << SLOTS);
	for (int i = first; slots[i - first] != '\0'; i++) {
		content[i] = slots[i - first] == '0' ? 0 : i + 1;
		if (slots[i - first] == '0')
			store_rlx(free_word(i), load_rlx(free_word(i)) | bit(i));
		if (slots[i - first] != '1')
			store_rlx(mark_word_of(i), load_rlx(mark_word_of(i)) | bit(i));
		live[i] = slots[i - first] == '2';
	}
	file_span(&centrals[KIND][CLASS], s);
}

// The mark is over.
static void
marked(void)
{
	heap_start_sweep();
	store_rlx(&sweep_next, CENTRALS - 1);
}

// --- what has to hold in the end
// ------------------------------------------------------------------

static uint32_t
times_in(const SpanList *l, const Mspan *s)
{
	uint32_t n = 0;
	const Mspan *last = NULL;
	for (const Mspan *at = l->first; at != NULL; last = at, at = at->next) {
		n += at == s;
		EXPLORE_CHECK(at->prev == last, "a list that is broken");
		EXPLORE_CHECK(page_used[span_page(at)], "a span without pages is listed");
	}
	EXPLORE_CHECK(l->last == last, "a list's end");
	return n;
}

// C1, C2, and that what is neither live nor garbage is free.
static void
verify(bool all_swept)
{
	Mcentral *ce = &centrals[KIND][CLASS];
	for (int i = 0; i < CACHES; i++)
		mcache_flush(&caches[i]);
	for (uint32_t p = 0; p < n_pages; p++) {
		if (!page_used[p])
			continue;
		Mspan *s = &spans[p];
		uint32_t unswept = times_in(&ce->unswept, s), full = times_in(&ce->full, s);
		uint32_t partial = times_in(&ce->partial, s);
		EXPLORE_CHECK(unswept + full + partial == 1, "a span in no list, or in several");
		EXPLORE_CHECK((unswept == 0) == span_swept(s), "swept, or listed as such");
		EXPLORE_CHECK(unswept == 0 || !all_swept, "a span nobody has swept");
		uint64_t free = EXPLORE_RAW(free_word((int)p * SLOTS));
		for (uint32_t i = p * SLOTS; i < (p + 1) * SLOTS; i++) {
			bool is_free = (free & bit((int)i)) != 0;
			EXPLORE_CHECK(!live[i] || !is_free, "a live object is free");
			EXPLORE_CHECK(live[i] || is_free || unswept != 0, "a slot is lost");
		}
		EXPLORE_CHECK(partial == 0 || free != 0, "a full span is listed as having slots");
	}
}

static void
all_swept(void)
{
	verify(true);
	explore_outcome(0);
}

static void
some_swept(void)
{
	verify(false);
	explore_outcome(0);
}

// --- the tests
// --------------------------------------------------------------------------------------

// Two who need slots, and a sweeper.
static void
init_garbage(void)
{
	begin(3);
	span_of("1210");
	span_of("1111");
	marked();
}

static void
sweep_and_fill(int id)
{
	if (id == 0) {
		sweep_all();
		return;
	}
	for (int i = 0; i < 3; i++)
		(void)take(&caches[id]);
	if (id == 1)
		mcache_flush(&caches[1]);
}

// Owners free by hand while their span is being swept, and somebody takes what is free.
static void
init_mixed(void)
{
	begin(2);
	span_of("2122");
	marked();
}

static void
free_and_sweep(int id)
{
	if (id == 0) {
		sweep_all();
	} else if (id == 1) {
		give(0);
		give(2);
	} else {
		(void)take(&caches[id]);
		(void)take(&caches[id]);
	}
}

// Owners free by hand all that the mark has found, while their spans are being swept; so the pages
// are given back and somebody makes spans of them anew. In one of them is garbage, too.
static void
init_last(void)
{
	begin(2);
	span_of("2020");
	span_of("2120");
	marked();
}

static void
free_the_last(int id)
{
	if (id == 1) {
		give(0);
		give(4);
		give(2);
		give(6);
	} else {
		free_and_sweep(id);
	}
}

// Spans that were full are freed into, by two at once, while others fill them.
static void
init_full(void)
{
	begin(2);
	span_of("2222");
}

static void
free_and_fill(int id)
{
	if (id == 0) {
		give(0);
	} else if (id == 1) {
		give(1);
		give(2);
	} else {
		(void)take(&caches[id]);
		int i = take(&caches[id]);
		if (i >= 0)
			give(i);
	}
}

// One allocates, hands its objects to another, and that one frees them into a span that is still
// being allocated from.
static ATOMIC(int) handed;

static void
init_foreign(void)
{
	begin(1);
	memset(&handed, 0, sizeof(handed));
	store_rlx(&handed, -1);
}

static void
free_foreign(int id)
{
	if (id == 0) {
		store_rel(&handed, take(&caches[0]));
		for (uint32_t i = explore_random(SLOTS + 2); i > 0; i--)
			(void)take(&caches[0]);
		mcache_flush(&caches[0]);
	} else {
		int i;
		while ((i = load_acq(&handed)) < 0)
			explore_yield();
		give(i);
	}
}

// A span is made where there was none, and somebody asks what lies there. (Nobody asks about where
// a span goes: who has no object there has no business there, and marks stop the world.)
static void
init_empty(void)
{
	begin(1);
}

static void
make_and_look(int id)
{
	if (id != 1) {
		(void)take(&caches[id]);
		return;
	}
	for (int n = 0; n < 2; n++) {
		Slot s = slot(1);
		if (s.info == NULL)
			continue;
		explore_plain_read(&infos[0]);
		EXPLORE_CHECK(s.info->size == SLOT_BYTES && s.index == 1, "its description");
	}
}

// A large object: swept, and freed by hand, by its only owner.
static void
init_large(void)
{
	begin(2);
	for (int i = 0; i < 2; i++) {
		Mspan *s = span_new_large(HEAP_PAGE, HEAP_PAGE, KIND);
		s->class = CLASS; // the list that is looked into
		live[i * SLOTS] = i == 0;
		content[i * SLOTS] = i * SLOTS + 1;
		store_rlx(mark_word_of(i * SLOTS), i == 0 ? ~(uint64_t)0 : ~(uint64_t)1);
		file_span(&centrals[KIND][CLASS], s);
	}
	marked();
}

static void
free_large(int id)
{
	if (id == 0)
		sweep_all();
	else if (id == 1)
		give(0);
	else
		sweep_all();
}

static void
large_gone(void)
{
	EXPLORE_CHECK(!page_used[1], "a dead large object is still there");
	explore_outcome(page_used[0]);
}

static const struct ExploreTest tests[] = {
    {.name = "sweep and fill",
     .threads = 3,
     .init = init_garbage,
     .thread = sweep_and_fill,
     .final = all_swept,
     .must = 1},
    {.name = "free and sweep",
     .threads = 3,
     .init = init_mixed,
     .thread = free_and_sweep,
     .final = all_swept,
     .must = 1},
    {.name = "free the last",
     .threads = 3,
     .init = init_last,
     .thread = free_the_last,
     .final = all_swept,
     .must = 1},
    {.name = "free and fill",
     .threads = 3,
     .init = init_full,
     .thread = free_and_fill,
     .final = some_swept,
     .must = 1},
    {.name = "free foreign",
     .threads = 2,
     .init = init_foreign,
     .thread = free_foreign,
     .final = some_swept,
     .must = 1},
    {.name = "make and look",
     .threads = 3,
     .init = init_empty,
     .thread = make_and_look,
     .final = some_swept,
     .must = 1},
    {.name = "large",
     .threads = 3,
     .init = init_large,
     .thread = free_large,
     .final = large_gone,
     .must = 3},
    {0},
};

static const char *const sources[] = {"mem/span.c", "mem/cache.c", "mem/heap.h", NULL};

static const struct ExploreAllowed allowed[] = {
    {"set_free", "or_ar(slot_free_word(slot))", "acquire",
     "it gives and takes nothing; there is no such operation with a release alone"},
    {"free_unmarked", "or_ar(&heap.frees[at + i])", "release",
     "who sweeps has the span to itself; its list's lock hands it over"},
    {"slots_return", "or_ar(f)", "acquire", "as in set_free"},
    {"slots_return", "or_ar(f)", "release", "the list's lock hands the span over"},
    {"span_sweep", "load_acq(&s->specials)", "acquire",
     "nothing is attached to objects here; x_special notices"},
    {"span_free", "store_rel(&heap.info[page + i].state)", "release",
     "the pages' lock hands them over; who sees that there is no span reads nothing else"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "span",
    .tests = tests,
    .allowed = allowed,
    .sources = sources,
};
