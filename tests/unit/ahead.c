// SPDX-License-Identifier: BSD-3-Clause
// mem/pages.c: the heap of a program that grows has memory behind the pages that come next.
#include "goroutines.h"

#include <string.h>

#include "base/godebug.h"
#include "mem/heap.h"
#include "os/os.h"

enum { MIB = 1 << 20, HUGE_PAGE = 2 * MIB };

static void *list; // of all that was allocated

// Bytes without pointers behind a pointer to the object before. Of them nothing is written.
static char *
grow(size_t bytes)
{
	void **link = go_alloc(2 * sizeof(void *));
	char *p = go_alloc_data(bytes);
	expect(link != NULL && p != NULL);
	link[0] = list;
	link[1] = p;
	list = link;
	return p;
}

// Objects until the newest ends so many bytes after the first began, or further.
static char *
grow_to(const char *first, size_t bytes)
{
	char *p;
	do
		p = grow(MIB / 2);
	while (p + MIB / 2 < first + bytes);
	return p + MIB / 2;
}

// The first huge page that nobody has touched when pages up to `end` are in use.
static char *
huge_page_behind(const char *end)
{
	size_t at = ((uintptr_t)end - heap.base + HUGE_PAGE - 1) / HUGE_PAGE;
	return (char *)heap.base + at * HUGE_PAGE;
}

// Whether the kernel can; asked of a page that is in use.
static void
need_populate(char *p)
{
	char *page = (char *)heap.base + ((uintptr_t)p - heap.base) / HEAP_PAGE * HEAP_PAGE;
	if (os_populate(page, HEAP_PAGE) != 0)
		skip("the kernel makes no memory present");
}

// Until the monitor has put memory behind so much more than was there, and has counted it.
static void
wait_for_memory(const char *p, size_t bytes)
{
	while (os_resident(p, bytes) < bytes || heap_fresh_bytes() < bytes)
		go_sleep(GO_MSEC); // until the monitor has come to it
}

// The first of two huge pages that were made present behind so many bytes.
static char *
grow_ahead(size_t bytes)
{
	go_set_gc_percent(-1);
	char *first = grow(MIB / 2);
	need_populate(first);
	char *next = huge_page_behind(grow_to(first, bytes));
	wait_for_memory(next, 2 * (size_t)HUGE_PAGE);
	return next;
}

static void
expect_zero(const char *p, const char *end)
{
	for (; p < end; p += sizeof(uint64_t))
		expect_eq(*(const uint64_t *)(const void *)p, 0);
}

// Dies if the heap is not what it says.
static void
expect_sound(void)
{
	godebug.gcwalk = 1;
	go_gc();
}

GO_TEST(heap_grows_into_memory, 2)
{
	(void)grow_ahead(70 * MIB);
	char *next = grow_ahead(100 * MIB);
	expect_eq(os_resident(next + 2 * HUGE_PAGE, HUGE_PAGE), 0);
	expect_sound();
}

GO_TEST(heap_grows_beyond_what_is_committed, 2)
{
	(void)grow_ahead(127 * MIB); // all of 128 MiB is committed
}

// The monitor sleeps, as no P runs, and comes nevertheless: more often than it is awake by itself.
void
test_heap_ahead_of_a_plain_thread(void)
{
	enum { ROUNDS = 40 };
	char *next = grow_ahead(70 * MIB);
	for (int i = 0; i < ROUNDS; i++) {
		next = huge_page_behind(grow_to(next, HUGE_PAGE));
		wait_for_memory(next, 2 * (size_t)HUGE_PAGE);
	}
}

GO_TEST(heap_ahead_is_zero_and_free, 2)
{
	char *next = grow_ahead(70 * MIB);
	HeapCounts before;
	heap_counts(&before);
	expect(before.free >= HUGE_PAGE);
	char *end = grow_to(next, HUGE_PAGE);
	expect_zero(next, end);
	expect_sound();
}

static void
give_all_back(void)
{
	while (heap_scavenge(SIZE_MAX, true) != 0 || heap_fresh_bytes() != 0)
		go_sleep(GO_MSEC); // the monitor may just be about to count more
}

GO_TEST(heap_ahead_goes_back, 2)
{
	char *next = grow_ahead(70 * MIB);
	give_all_back();
	expect_eq(os_resident(next, HUGE_PAGE), 0);
	expect_sound();
	char *end = grow_to(next, HUGE_PAGE);
	expect_zero(next, end);
}

static void
make_dirty(size_t bytes)
{
	char *first = grow(MIB / 2), *end = grow_to(first, bytes);
	memset(first, 1, (size_t)(end - first));
}

// What was dirty, and has gone back, comes ahead of use once more. Of the dirty objects the stack
// may still know the first and the last, so memory is looked for in between.
GO_TEST(heap_ahead_again, 2)
{
	go_set_gc_percent(-1);
	make_dirty(100 * MIB);
	list = NULL;
	go_gc();
	go_gc();
	give_all_back();
	char *next = grow_ahead(70 * MIB);
	expect_sound();
	char *end = grow_to(next, HUGE_PAGE);
	expect_zero(next, end);
}

// Where memory is asked for ahead, so are chunks, and a fence in one of them would be opened.
static int
grow_fenced(void *unused)
{
	(void)unused;
	go_set_gc_percent(-1);
	char *first = grow(MIB / 2);
	for (char *p = first; p < first + 150 * MIB; p = grow(MIB / 2))
		expect(!heap_pages_wanted());
	expect_eq(heap_fresh_bytes(), 0);
	return 0;
}

void
test_heap_ahead_never_with_fences(void)
{
	setenv("GODEBUG", "efence=1", 1);
	expect_eq(go_run(grow_fenced, NULL), 0);
}

GO_TEST(heap_ahead_of_a_limit, 2)
{
	char *next = grow_ahead(70 * MIB);
	go_set_memory_limit(MIB); // there is no room at all
	next = huge_page_behind(grow_to(next, HUGE_PAGE));
	go_sleep(50 * GO_MSEC); // as long as that, nothing comes
	expect_eq(os_resident(next, HUGE_PAGE), 0);
}
