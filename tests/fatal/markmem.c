// SPDX-License-Identifier: BSD-3-Clause
// A mark that is refused memory for its chunks loses no object: children of ours have the first
// calls, or all from some call on, fail. What was dropped is found again, with or without memory.
#include "goroutines.h"

#include <undergo/heap.h>

#define GOOD UINT64_C(0x1122334455667788)

enum { LIMIT_MS = 60000, LEAF_WORDS = 4 };

static uint64_t *
leaf(void)
{
	uint64_t *p = go_alloc_object(LEAF_WORDS * sizeof(*p));
	for (int i = 0; i < LEAF_WORDS; i++)
		p[i] = GOOD;
	return p;
}

static bool
is_good(const uint64_t *p)
{
	for (int i = 0; i < LEAF_WORDS; i++)
		if (p[i] != GOOD)
			return false;
	return true;
}

// Takes the place of what was freed.
static void
allocate_much(int n)
{
	for (int i = 0; i < n; i++)
		memset(go_alloc_object(LEAF_WORDS * sizeof(uint64_t)), 0x55, LEAF_WORDS * 8);
}

static void **
pinned(size_t n)
{
	void **p = go_try_alloc(n * sizeof(*p), 0, GO_ALLOC_PINNED);
	expect(p != NULL);
	return p;
}

// --- a wide tree ---------------------------------------------------------------------------------

// The root has more children than a marker's stack has room for. What lies deeper was allocated
// before: a walk by address is past it when it comes to who refers to it.
enum { WIDE = 2600, MIDDLE = 150, LEAVES = 2 };

static void ***tree;

// n objects, each of `per` of those in `below`, which is given back.
static void **
parents(void **below, size_t n, size_t per)
{
	void **level = pinned(n);
	for (size_t i = 0; i < n; i++) {
		void **p = go_alloc_object(per * sizeof(*p));
		memcpy(p, below + i * per, per * sizeof(*p));
		level[i] = p;
	}
	go_free(below);
	return level;
}

static void
make_tree(void)
{
	size_t n = (size_t)WIDE * MIDDLE * LEAVES;
	void **level = pinned(n);
	for (size_t i = 0; i < n; i++)
		level[i] = leaf();
	level = parents(level, (size_t)WIDE * MIDDLE, LEAVES);
	level = parents(level, WIDE, MIDDLE);
	level = parents(level, 1, WIDE);
	tree = level[0];
	go_free(level);
}

static long
lost_leaves(void)
{
	long lost = 0;
	for (int i = 0; i < WIDE; i++)
		for (int k = 0; k < MIDDLE; k++)
			for (int j = 0; j < LEAVES; j++)
				lost += !is_good(((uint64_t **)tree[i][k])[j]);
	return lost;
}

static int
keep_tree(void *unused)
{
	(void)unused;
	go_set_gc_percent(-1);
	make_tree();
	go_gc();
	allocate_much(400000);
	expect_eq(lost_leaves(), 0);
	printf("all there\n");
	return 0;
}

DEATH(mark_of_a_tree)
{
	go_gomaxprocs(1); // or another marker may have the chunk that is given away in vain
	go_run(keep_tree, NULL);
}

// --- many finalizers -----------------------------------------------------------------------------

enum { MANY = 5000 };

static atomic_long lost, ran;

static void
look_below(void *p, void *unused)
{
	(void)unused;
	atomic_fetch_add(&lost, !is_good(*(uint64_t **)p));
	atomic_fetch_add(&ran, 1);
}

static __attribute__((noinline)) long
make_finalizers(void)
{
	long n = 0;
	for (int i = 0; i < MANY; i++) {
		uint64_t **p = go_alloc_object(sizeof(*p));
		*p = leaf();
		n += go_set_finalizer(p, look_below, NULL) == 0;
	}
	return n;
}

static int
run_finalizers(void *unused)
{
	(void)unused;
	go_set_gc_percent(-1);
	long n = make_finalizers();
	for (int i = 0; i < 3 && atomic_load(&ran) < n / 2; i++) {
		go_gc();
		allocate_much(20000);
		go_sleep(20 * GO_MSEC);
	}
	expect_eq(atomic_load(&lost), 0);
	printf("all there\n");
	return 0;
}

DEATH(mark_of_finalizers)
{
	go_run(run_finalizers, NULL);
}

// Which call is which depends on the build; where the heap itself gets no memory nothing is proved.
void
test_fatal_mark_without_memory(void)
{
	for (int nth = 3; nth < 9; nth++) {
		static char fails[64];
		snprintf(fails, sizeof(fails), "UNDERGO_FAULT=reserve:%d:ENOMEM", nth);
		expect_death(mark_of_a_tree, .status = 0, .out = "all there\n", .env = fails,
			     .limit_ms = LIMIT_MS);
		snprintf(fails, sizeof(fails), "UNDERGO_FAULT=reserve:%d+:ENOMEM", nth);
		expect_death(mark_of_finalizers, .status = 0, .out = "all there\n", .env = fails,
			     .limit_ms = LIMIT_MS);
	}
}
