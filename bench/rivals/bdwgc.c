// SPDX-License-Identifier: BSD-3-Clause
// Rival: bdwgc, the conservative collector of Boehm, Demers and Weiser. With -DINCREMENTAL its
// incremental mode, for row live_latency alone.
//
// Rows: all of heap_rows.h. Everything with pointers is GC_malloc's, each word of it may be one, as
// is usual with this library; what has none is GC_malloc_atomic's, and cleared here since that does
// not. Threads are registered by the library's own pthread_create. The number of its marking
// threads is its default, one for each processor.

#define GC_THREADS 1
#include <gc/gc.h>
#include <pthread.h>

#include "../heap.h"
#include "../heap_threads.h"

#define HEAP_COLLECTS 1

static inline void *
some(void *p)
{
	if (__builtin_expect(p == NULL, 0))
		bench_check(0, "no memory");
	return p;
}

static inline void *
heap_scan(size_t n)
{
	return some(GC_MALLOC(n));
}

static inline void *
heap_data(size_t n)
{
	return memset(some(GC_MALLOC_ATOMIC(n)), 0, n);
}

static inline struct heap_pair *
heap_pair(void)
{
	return heap_scan(sizeof(struct heap_pair));
}

static inline struct heap_link *
heap_link(void)
{
	return heap_scan(sizeof(struct heap_link));
}

static inline struct heap_node *
heap_node(void)
{
	return heap_scan(sizeof(struct heap_node));
}

// The library asks for this variant for what is large.
static void **
heap_pointers(size_t n)
{
	return some(GC_MALLOC_IGNORE_OFF_PAGE(n * sizeof(void *)));
}

static inline void
heap_free(void *p)
{
	(void)p;
}

static int64_t
heap_stop_ns(void)
{
	return 0;
}

static void
heap_collect(void)
{
	GC_gcollect();
}

static void
finalizer(void *p, void *count)
{
	(void)p;
	((void (*)(void))count)();
}

static int
heap_finalizer(void *p, void (*count)(void))
{
	GC_REGISTER_FINALIZER(p, finalizer, (void *)count, NULL, NULL);
	return 0;
}

static void
heap_finalize(void)
{
	GC_invoke_finalizers();
}

#include "../heap_rows.h"

int
main(int argc, char **argv)
{
#ifdef INCREMENTAL
	static const struct bench_entry rows[] = {{"live_latency", heap_row_live_latency}};
#else
	static const struct bench_entry rows[] = {HEAP_ROWS_ALL, HEAP_ROWS_COLLECTOR};
#endif

	GC_INIT();
#ifdef INCREMENTAL
	GC_enable_incremental();
#endif
	return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
