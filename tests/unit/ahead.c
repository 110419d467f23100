// SPDX-License-Identifier: BSD-3-Clause
// mem/pages.c: the heap of a program that grows has memory behind the pages that come next.
#include "goroutines.h"

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

static void
wait_for_memory(const char *p, size_t bytes)
{
	while (os_resident(p, bytes) < bytes)
		go_sleep(GO_MSEC); // until the monitor has come to it
}

GO_TEST(heap_grows_into_memory, 2)
{
	go_set_gc_percent(-1);
	char *first = grow(MIB / 2);
	char *next = huge_page_behind(grow_to(first, 6 * MIB));
	wait_for_memory(next, HUGE_PAGE);
	next = huge_page_behind(grow_to(first, 40 * MIB));
	wait_for_memory(next, 2 * (size_t)HUGE_PAGE);
	expect_eq(os_resident(next + 2 * HUGE_PAGE, HUGE_PAGE), 0);
}

GO_TEST(heap_ahead_is_zero_and_free, 2)
{
	go_set_gc_percent(-1);
	char *first = grow(MIB / 2);
	char *next = huge_page_behind(grow_to(first, 6 * MIB));
	wait_for_memory(next, HUGE_PAGE);
	HeapCounts before, after;
	heap_counts(&before);
	expect(before.free >= HUGE_PAGE);
	char *end = grow_to(next, HUGE_PAGE);
	for (const char *p = next; p < end; p += sizeof(uint64_t))
		expect_eq(*(const uint64_t *)(const void *)p, 0);
	heap_counts(&after);
	expect_eq(after.in_use + after.free + after.released, after.reserved);
}

GO_TEST(heap_ahead_goes_back, 2)
{
	go_set_gc_percent(-1);
	char *first = grow(MIB / 2);
	char *next = huge_page_behind(grow_to(first, 6 * MIB));
	wait_for_memory(next, HUGE_PAGE);
	while (os_resident(next, HUGE_PAGE) != 0)
		(void)heap_scavenge(SIZE_MAX); // the monitor may just be about to count it
	char *end = grow_to(next, HUGE_PAGE);
	for (const char *p = next; p < end; p += sizeof(uint64_t))
		expect_eq(*(const uint64_t *)(const void *)p, 0);
}

GO_TEST(heap_ahead_of_a_limit, 2)
{
	go_set_gc_percent(-1);
	char *first = grow(MIB / 2);
	char *end = grow_to(first, 5 * MIB);
	go_set_memory_limit(MIB); // there is no room at all
	end = grow_to(first, 5 * MIB + HUGE_PAGE);
	go_sleep(50 * GO_MSEC); // as long as that, nothing comes
	expect_eq(os_resident(huge_page_behind(end), HUGE_PAGE), 0);
}
