// SPDX-License-Identifier: BSD-3-Clause
// What the heap programs in C share: the objects they make, random numbers, sizes.
//
// Each contender that allocates in C (ours, bdwgc, the malloc family) includes this file, defines
// the functions that heap_rows.h lists, and includes that: the rows are written once. rivals/go
// says the same in Go; a change here is a change there.
//
// Invariant:
//   I1  Sizes, counts and random sequences are the same for all contenders.
#ifndef UNDERGO_BENCH_HEAP_H
#define UNDERGO_BENCH_HEAP_H

#include <sys/mman.h>

#include "bench.h"

enum {
	HEAP_RING = 100000,         // slots of a ring of rows churn*, for each thread
	HEAP_CHURN_WARM = 500000,   // replacements before the clock starts, for each thread
	HEAP_CHURN32 = 4000000,     // replacements timed, for each thread
	HEAP_CHURN_MIXED = 1500000, // the same for objects of 16 to 512 bytes
	HEAP_TREE_MIN = 4,          // rows binary_trees_20*: depth of the smallest trees
	HEAP_TREE_MAX = 20,         // and of the largest
	HEAP_MARKS = 2,             // collections timed by rows mark_*
	HEAP_LIVE_MIB = 512,        // live in rows mark_* and live_latency
	HEAP_GROWN_MIB = 2048,      // what rows rss_* grow to
	HEAP_GROUP = 2000,          // objects of one group of rows rss_*
	HEAP_REST_S = 10,           // from freeing to looking, rows rss_*
	HEAP_GOES_ON = 10000,       // objects made and dropped in each of these seconds
	HEAP_FINALIZERS = 1000000,  // row finalizers
	HEAP_BATCH = 100,           // allocations of one batch of row live_latency
	HEAP_RECENT = 1000,         // of its new objects so many stay alive
	HEAP_LATENCY_S = 8,         // its length
	HEAP_SAMPLES = 8 << 20,     // and how many batches it can note
	HEAP_PARKED = 100000,       // goroutines of row gc_parked
	HEAP_COLLECTIONS = 9,       // collections timed by row gc_parked
};

// A node of a binary tree: 16 bytes, all pointers.
struct heap_pair {
	struct heap_pair *left, *right;
};

// 32 bytes, the first word a pointer.
struct heap_link {
	struct heap_link *next;
	int64_t words[3];
};

// 64 bytes, the first two words pointers.
struct heap_node {
	struct heap_node *left, *right;
	int64_t value;
	int64_t rest[5];
};

_Static_assert(sizeof(struct heap_pair) == 16, "rows say 16");
_Static_assert(sizeof(struct heap_link) == 32, "rows say 32");
_Static_assert(sizeof(struct heap_node) == 64, "rows say 64");

// Marsaglia's xorshift; rivals/go has the same. The state is never 0.
static inline uint64_t
heap_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

// A random number below n, which is less than 2^32.
static inline uint64_t
heap_below(uint64_t *state, uint64_t n)
{
	return (heap_random(state) >> 32) * n >> 32;
}

// Size of the heap in the rows that have a large one: BENCH_MIB in the environment, or usual.
BENCH_UNUSED static int64_t
heap_mib(int64_t usual)
{
	const char *text = getenv("BENCH_MIB");

	return text != NULL && atoll(text) > 0 ? atoll(text) : usual;
}

// So that the compiler keeps an allocation nobody uses.
static inline void
heap_keep(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

#endif
