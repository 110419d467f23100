// SPDX-License-Identifier: BSD-3-Clause
// The heap runs out of memory, is misused, and does as the environment says.
#include "goroutines.h"

#include <sys/resource.h>
#include <undergo/heap.h>

static void *kept;

// --- no memory -----------------------------------------------------------------------------------

// A list of objects that only grows.
static int
grow_for_ever(void *bytes)
{
	do {
		void **p = go_alloc(*(size_t *)bytes);
		*p = kept;
		kept = p;
	} while (kept != NULL);
	return 0;
}

static void
limit_memory(void)
{
	struct rlimit r = {(rlim_t)1 << 30, (rlim_t)1 << 30};
	expect_eq(setrlimit(RLIMIT_AS, &r), 0);
}

DEATH(heap_grows_small)
{
	static size_t bytes = 4000;
	go_run(grow_for_ever, &bytes);
}

DEATH(heap_grows_large)
{
	static size_t bytes = 100 << 20;
	limit_memory();
	go_run(grow_for_ever, &bytes);
}

DEATH(heap_grows_at_once)
{
	static size_t bytes = (size_t)1 << 50;
	go_run(grow_for_ever, &bytes);
}

DEATH(heap_too_large)
{
	static size_t bytes = SIZE_MAX;
	go_run(grow_for_ever, &bytes);
}

// Memory that was refused once comes back when objects have died; a wish that cannot be met changes
// nothing.
static int
try_and_go_on(void *unused)
{
	(void)unused;
	enum { BYTES = 1 << 20 };
	for (int round = 0; round < 3; round++) {
		long n = 0;
		for (void **p; (p = go_try_alloc(BYTES, 0, GO_ALLOC_SCAN)) != NULL; n++) {
			*p = kept;
			kept = p;
		}
		expect(n > 50);
		kept = NULL;
		go_gc();
		expect(go_try_alloc(BYTES, 0, GO_ALLOC_SCAN) != NULL);
	}
	printf("went on\n");
	return 0;
}

DEATH(heap_try_alloc)
{
	limit_memory();
	go_run(try_and_go_on, NULL);
}

static int
try_small(void *unused)
{
	(void)unused;
	for (void **p; (p = go_try_alloc(1000, 0, GO_ALLOC_SCAN)) != NULL; kept = p)
		*p = kept;
	printf("went on\n");
	return 0;
}

// With a word of GODEBUG no cache keeps slots, nor a span when there is none to be had.
DEATH(heap_try_watched)
{
	go_set_memory_max(4 << 20);
	go_run(try_small, NULL);
}

void
test_fatal_out_of_memory(void)
{
	static const char *const text = "fatal error: out of memory\n";
	expect_death(heap_grows_small, .status = 2, .err_has = {text},
		     .env = "UNDERGO_FAULT=commit:17+:ENOMEM", .limit_ms = 20000);
	expect_death(heap_grows_large, .status = 2, .err_has = {text}, .limit_ms = 20000);
	expect_death(heap_grows_at_once, .status = 2, .err_has = {text});
	expect_death(heap_too_large, .status = 2, .err_has = {text});
	expect_death(heap_grows_small, .status = 2, .err_has = {text},
		     .env = "UNDERGO_FAULT=reserve:*:ENOMEM");
	expect_death(heap_grows_small, .status = 2, .err_has = {text}, .limit_ms = 20000,
		     .env = "GODEBUG=gcevery=1000000 UNDERGO_FAULT=commit:17+:ENOMEM");
	expect_death(heap_try_alloc, .status = 0, .out = "went on\n", .limit_ms = 20000);
	expect_death(heap_try_watched, .status = 0, .out = "went on\n",
		     .env = "GODEBUG=clobberfree=1", .limit_ms = 20000);
}

// --- misuse --------------------------------------------------------------------------------------

static int
free_inside(void *unused)
{
	(void)unused;
	go_free((char *)go_alloc(100) + 1);
	return 0;
}

static int
free_global(void *unused)
{
	(void)unused;
	go_free(&kept);
	return 0;
}

static int
free_twice(void *unused)
{
	(void)unused;
	void *p = go_alloc(100);
	go_free(p);
	go_free(p);
	return 0;
}

static int
array_unaligned(void *unused)
{
	static const go_type odd = {.bytes = 12, .scan_bytes = 8, .mask = 1, .name = "odd"};
	(void)unused;
	expect(go_alloc_typed(&odd, 1) != NULL);
	return go_alloc_typed(&odd, 2) == NULL;
}

DEATH(heap_array_unaligned)
{
	go_run(array_unaligned, NULL);
}

static int
array_overflow(void *unused)
{
	static const go_type pair = {.bytes = 16, .scan_bytes = 16, .mask = 3, .name = "pair"};
	(void)unused;
	return go_alloc_typed(&pair, SIZE_MAX / 16 + 2) == NULL;
}

DEATH(heap_array_overflow)
{
	go_run(array_overflow, NULL);
}

DEATH(heap_free_inside)
{
	go_run(free_inside, NULL);
}

DEATH(heap_free_global)
{
	go_run(free_global, NULL);
}

DEATH(heap_free_twice)
{
	go_run(free_twice, NULL);
}

void
test_fatal_free(void)
{
	static const char *const inside = "fatal error: go_free: not the beginning of an object\n";
	expect_death(heap_free_inside, .status = 2, .err = inside);
	expect_death(heap_free_global, .status = 2, .err = inside);
	expect_death(heap_array_unaligned, .status = 2,
		     .err_has = {"go_alloc_typed: pointers of an array would not be aligned"});
	expect_death(heap_array_overflow, .status = 2,
		     .err_has = {"cannot allocate 18446744073709551615-byte block",
				 "fatal error: out of memory\n"});
	expect_death(heap_free_twice, .status = 2,
		     .err = "fatal error: go_free: object is free already\n");
}

// --- the environment -----------------------------------------------------------------------------

static int
count_collections(void *unused)
{
	(void)unused;
	for (int i = 0; i < 300000; i++)
		go_alloc_data(1000);
	go_heap_stats st;
	go_heap_stats_read(&st);
	printf("%d %s\n", go_set_gc_percent(100),
	       st.collections == 0 ? "none" : "some");
	return 0;
}

DEATH(heap_percent)
{
	go_run(count_collections, NULL);
}

void
test_fatal_gogc(void)
{
	expect_death(heap_percent, .status = 0, .out = "-1 none\n", .env = "GOGC=off");
	expect_death(heap_percent, .status = 0, .out = "20 some\n", .env = "GOGC=20");
	expect_death(heap_percent, .status = 0, .out = "100 some\n", .env = "GOGC");
	expect_death(heap_percent, .status = 0, .out = "100 some\n", .env = "GOGC=nonsense");
	expect_death(heap_percent, .status = 0, .out = "500 some\n", .env = "GOGC=500");
}
