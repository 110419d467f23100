// SPDX-License-Identifier: BSD-3-Clause
// GODEBUG=gcwalk=1 finds what is wrong with what is known about the heap: each child breaks one
// thing from outside and collects.
#include "gc/pace.h"
#include "harness.h"
#include "mem/heap_impl.h"
#include "undergo.h"
#include "undergo/heap.h"

static char *object; // one of a few, small; others of its span are free
static char *large;

static PageInfo *
info_of(const void *p)
{
	return &heap.info[heap_page((uintptr_t)p)];
}

static Mspan *
span_of(const void *p)
{
	return &heap.spans[heap_slot((uintptr_t)p).page];
}

static Chunk *
chunk_of(const void *p)
{
	return &heap_chunk_table[heap_page((uintptr_t)p) / CHUNK_PAGES];
}

static void
break_size(void)
{
	info_of(large + HEAP_PAGE)->size = 16;
}

static void
break_back(void)
{
	info_of(large + 3 * HEAP_PAGE)->back = 1;
}

static void
break_tail(void)
{
	Slot s = heap_slot((uintptr_t)object);
	s.index = s.info->nelems;
	or_ar(slot_free_word(s), UINT64_C(1) << (s.index % 64)); // order: nobody else is here
}

static void
break_summary(void)
{
	chunk_of(object)->longest++;
}

static void
break_released(void)
{
	size_t page = heap_page((uintptr_t)object) % CHUNK_PAGES;
	chunk_of(object)->released[page / 64] |= UINT64_C(1) << (page % 64);
}

static void
break_fresh(void)
{
	size_t page = heap_page((uintptr_t)object) % CHUNK_PAGES;
	chunk_of(object)->fresh[page / 64] |= UINT64_C(1) << (page % 64);
}

static void
break_used(void)
{
	size_t page = heap_page((uintptr_t)object) % CHUNK_PAGES;
	chunk_of(object)->used[page / 64] &= ~(UINT64_C(1) << (page % 64));
}

static void
break_place(void)
{
	store_rlx(&span_of(large)->place, PLACE_PARTIAL); // order: nobody else is here
}

static void
break_class(void)
{
	span_of(object)->class++;
}

// A large object that has gone out of its list. Which of the three is in the middle of the list
// depends on who has swept them.
static void
break_list(void)
{
	Mspan *s = span_of(large);
	if (s->next == NULL || s->prev == NULL)
		s = s->next == NULL ? s->prev : s->next;
	check(s->next != NULL && s->prev != NULL, "there are three large objects");
	s->prev->next = s->next;
	s->next->prev = s->prev;
}

static void
break_bytes(void)
{
	pace_allocated(8, 0);
}

static void
on_end(void *p, void *arg)
{
	(void)p;
	(void)arg;
}

static void
break_specials(void)
{
	Slot s = heap_slot((uintptr_t)object);
	go_set_finalizer(object, on_end, NULL);
	or_ar(slot_free_word(s), UINT64_C(1) << (s.index % 64)); // order: nobody else is here
	pace_freed((int64_t)slot_bytes(s));
}

typedef void BreakFn(void);

static int
break_it(void *v)
{
	static char *others[2];
	BreakFn **fn = v;
	object = go_alloc(700);
	others[0] = go_alloc(100000);
	large = go_alloc(100000);
	others[1] = go_alloc(100000);
	go_gc();
	(*fn)();
	go_gc();
	go_keep_alive(others);
	return 0;
}

static void
run(BreakFn *fn)
{
	go_run(break_it, &fn);
}

#define BREAKS(name)             \
	DEATH(walk_##name)       \
	{                        \
		run(name);       \
	}
BREAKS(break_size)
BREAKS(break_back)
BREAKS(break_tail)
BREAKS(break_summary)
BREAKS(break_released)
BREAKS(break_fresh)
BREAKS(break_used)
BREAKS(break_place)
BREAKS(break_class)
BREAKS(break_list)
BREAKS(break_bytes)
BREAKS(break_specials)

#define FINDS(name, ...)                                                                        \
	expect_death(walk_##name, .status = 2, .env = "GODEBUG=gcwalk=1",                       \
		     .err_has = {"runtime: heap walk: ", __VA_ARGS__,                           \
				 "fatal error: heap walk: the heap is not what it says\n", \
				 "mem/walk.c:" /* the runtime's own frames */})

void
test_walk_finds_pages(void)
{
	FINDS(break_size, "a page's slot size");
	FINDS(break_back, "a page's way back");
	FINDS(break_summary, "longest run of free pages");
	FINDS(break_released, "released pages in use");
	FINDS(break_fresh, "a fresh page is in use");
	FINDS(break_used, "a page is of a span, but not in use");
}

void
test_walk_finds_spans(void)
{
	FINDS(break_tail, "free bits beyond the last slot");
	FINDS(break_place, "the place of a listed span");
	FINDS(break_class, "a page's slot size");
	FINDS(break_list, "spans in lists");
}

void
test_walk_finds_numbers(void)
{
	FINDS(break_bytes, "bytes of live objects");
	FINDS(break_specials, "a record of a free slot");
}
