// SPDX-License-Identifier: BSD-3-Clause
// Rival: allocators that are told what to free. One program for three of them: glibc, or with
// -DUSE_MIMALLOC and -DUSE_JEMALLOC those.
//
// Rows: alloc*, churn*, binary_trees_20*, live_latency, rss_*. Everything is zeroed, since what a
// collector gives out is. No calls that ask for memory to be given back.

#include <pthread.h>

#include "../heap.h"
#include "../heap_threads.h"

#define HEAP_COLLECTS 0

#if defined USE_MIMALLOC
#include <mimalloc.h>
#define some(n) mi_malloc(n)
#define zeroed(n) mi_zalloc(n)
#define give_back(p) mi_free(p)
#elif defined USE_JEMALLOC
#include <jemalloc/jemalloc.h>
#define some(n) malloc(n)
#define zeroed(n) calloc(1, n)
#define give_back(p) free(p)
#else
#define some(n) malloc(n)
#define zeroed(n) calloc(1, n)
#define give_back(p) free(p)
#endif

static inline void *
checked(void *p)
{
	if (__builtin_expect(p == NULL, 0))
		bench_check(0, "no memory");
	return p;
}

// A few words of known size are cleared here, which is faster than calloc, and what a program in C
// would do. The compiler would make that a calloc again if it saw both together.
static inline void *
heap_data(size_t n)
{
	if (!__builtin_constant_p(n) || n > 64)
		return checked(zeroed(n));
	void *p = checked(some(n));
	heap_keep(p);
	return memset(p, 0, n);
}

static inline void *
heap_scan(size_t n)
{
	return checked(zeroed(n));
}

static inline struct heap_pair *
heap_pair(void)
{
	return heap_data(sizeof(struct heap_pair));
}

static inline struct heap_link *
heap_link(void)
{
	return heap_data(sizeof(struct heap_link));
}

static inline struct heap_node *
heap_node(void)
{
	return heap_data(sizeof(struct heap_node));
}

static inline void **
heap_pointers(size_t n)
{
	return checked(zeroed(n * sizeof(void *)));
}

static inline void
heap_free(void *p)
{
	heap_keep(p);
	give_back(p);
}

static int64_t
heap_stop_ns(void)
{
	return 0;
}

#include "../heap_rows.h"

int
main(int argc, char **argv)
{
	static const struct bench_entry rows[] = {HEAP_ROWS_ALL};

#if defined USE_JEMALLOC
	const char *version;
	size_t size = sizeof version;
	bench_check(mallctl("version", &version, &size, NULL, 0) == 0, "calloc is not jemalloc's");
#endif
	return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
