// SPDX-License-Identifier: BSD-3-Clause
// Several workers that mark together, src/gc/mark.c: work that is shared, and the end, which is
// when nobody holds anything and there is no chunk.
//
// Objects point to each other in memory of their own; the roots lie with some of the workers. In
// the end what can be reached is marked, was counted once, and nothing else is marked. One who
// leaves too early leaves work to nobody, or to fewer; one who never learns of the end is a
// deadlock.
#include "explore_arch.h"

#include "explore_lock.h"

#include "gc/mark.c"

enum {
	OBJECT_BYTES = 64,
	REACHED = 15, // a tree: i points to 2i + 1 and 2i + 2
	GARBAGE = 3,
	LINKED = REACHED + GARBAGE,
	WORKERS = 3,
};

Heap heap;
static _Alignas(HEAP_PAGE) uintptr_t page[HEAP_PAGE / sizeof(uintptr_t)];
static PageInfo info;
static Mspan span;
static ATOMIC_U64 mark_bits[PAGE_WORDS], free_bits[PAGE_WORDS];
static Marker markers[WORKERS];
static WorkChunk slab[1 + SLAB_BYTES / sizeof(WorkChunk)];
static bool no_memory;

// --- what lies around the code under test ----------------------------------------------------

// Few of them are used, and each is filled before it is read.
void *
gc_map(size_t bytes)
{
	EXPLORE_CHECK(bytes <= sizeof(slab), "more than was thought");
	return no_memory ? NULL : slab;
}

size_t
os_page_bytes(void)
{
	return 4096;
}

size_t
heap_chunks(void)
{
	return 1;
}

void
chunk_each_span(size_t chunk, void (*fn)(void *ctx, Mspan *s), void *ctx)
{
	(void)chunk;
	fn(ctx, &span);
}

// There are no finalizers.
void
specials_mark_again(Marker *m)
{
	(void)m;
}

// --- set-up ----------------------------------------------------------------------------------

static uintptr_t
object(int i)
{
	return (uintptr_t)page + (size_t)i * OBJECT_BYTES;
}

static void
set_field(int i, int field, int to)
{
	if (to < LINKED)
		*(uintptr_t *)(object(i) + (size_t)field * sizeof(uintptr_t)) = object(to);
}

static void
begin(bool without_memory)
{
	no_memory = without_memory;
	memset(page, 0, LINKED * OBJECT_BYTES);
	memset(mark_bits, 0, sizeof(mark_bits));
	memset(free_bits, 0, sizeof(free_bits));
	memset(&work, 0, sizeof(work));
	memset(markers, 0, sizeof(markers));
	memset(&info, 0, sizeof(info));
	info = (PageInfo){
		.magic = ~(uint32_t)0 / OBJECT_BYTES + 1,
		.size = OBJECT_BYTES,
		.nelems = HEAP_PAGE / OBJECT_BYTES,
		.kind = KIND_SCAN,
	};
	store_rlx(&info.state, SPAN_SMALL);
	for (int i = 0; i < REACHED; i++) {
		if (2 * i + 1 < REACHED)
			set_field(i, 0, 2 * i + 1);
		if (2 * i + 2 < REACHED)
			set_field(i, 5, 2 * i + 2);
		set_field(i, 7, i / 3); // and back
	}
	for (int i = REACHED; i < LINKED; i++)
		set_field(i, 0, i - 2);
	heap = (Heap){
		.base = (uintptr_t)page,
		.limit = sizeof(page),
		.info = &info,
		.spans = &span,
		.marks = mark_bits,
		.frees = free_bits,
	};
	mark_begin(WORKERS);
	for (int i = 0; i < WORKERS; i++)
		marker_begin(&markers[i], true);
}

static void
init(void)
{
	begin(false);
}

static void
init_without_memory(void)
{
	begin(true);
}

// --- the tests -------------------------------------------------------------------------------

// All roots are the first worker's.
static void
one_root(int id)
{
	if (id == 0)
		mark_word(&markers[0], object(0));
	mark_drain(&markers[id]);
}

// Each has some, by whatever way.
static void
many_roots(int id)
{
	if (id == 0)
		mark_range(&markers[0], (char *)object(0), (char *)object(1));
	else
		mark_word(&markers[id], object(id) + OBJECT_BYTES / 2);
	if (id == 2)
		mark_word(&markers[2], object(0));
	mark_drain(&markers[id]);
}

static void
all_marked(void)
{
	uint64_t want = ((uint64_t)1 << REACHED) - 1, objects = 0, shared = 0;
	mark_recover(&markers[0]);
	for (int i = 0; i < WORKERS; i++) {
		objects += markers[i].counts.objects;
		shared += markers[i].counts.objects != 0;
		EXPLORE_CHECK(markers[i].n == 0, "a worker left with work");
	}
	EXPLORE_CHECK(work.list == NULL, "a chunk was left");
	EXPLORE_CHECK(EXPLORE_RAW(&mark_bits[0]) == want, "what can be reached is marked, no more");
	EXPLORE_CHECK(objects == REACHED, "an object was counted twice, or not");
	explore_outcome((unsigned)shared);
}

static const struct ExploreTest tests[] = {
    {.name = "one root",
     .threads = WORKERS,
     .init = init,
     .thread = one_root,
     .final = all_marked,
     .must = 6,
     .may = 8},
    {.name = "many roots",
     .threads = WORKERS,
     .init = init,
     .thread = many_roots,
     .final = all_marked,
     .must = 12,
     .may = 2},
    {.name = "no memory for chunks",
     .threads = WORKERS,
     .init = init_without_memory,
     .thread = one_root,
     .final = all_marked,
     .must = 2},
    {0},
};

static const char *const sources[] = {"gc/mark.c", NULL};

static const struct ExploreAllowed allowed[] = {
    {"wait_for_work", "load_acq(&work.changed)", "acquire",
     "what it tells of is read under the lock"},
    {"changed", "add_rel(&work.changed)", "release", "the same"},
    {"resolve", "load_acq(&pi->state)", "acquire",
     "the world is stopped, spans are as they were before"},
    {"set_mark", "or_ar(word)", "acquire", "a claim on which nothing rides"},
    {"set_mark", "or_ar(word)", "release", "the same"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "mark",
    .tests = tests,
    .allowed = allowed,
    .sources = sources,
    .cost = 10,
};
