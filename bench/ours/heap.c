// SPDX-License-Identifier: BSD-3-Clause
// Rows about the heap: heap_rows.h with our allocator under it, and gc_parked.
//
// Nodes of trees and graphs have a type that says where their pointers are, as Go's have; objects
// of churn_mixed are made without one, each word may be a pointer; text and numbers are data.

#include "ours.h"

#include "../heap.h"

#define HEAP_COLLECTS 1

static const go_type pair_type = GO_TYPE(struct heap_pair, left, right);
static const go_type link_type = GO_TYPE(struct heap_link, next);
static const go_type node_type = GO_TYPE(struct heap_node, left, right);
static const go_type pointer_type = {
	.bytes = sizeof(void *),
	.scan_bytes = sizeof(void *),
	.mask = 1,
	.name = "pointer",
};

static inline struct heap_pair *
heap_pair(void)
{
	return go_new_typed(struct heap_pair, &pair_type);
}

static inline struct heap_link *
heap_link(void)
{
	return go_new_typed(struct heap_link, &link_type);
}

static inline struct heap_node *
heap_node(void)
{
	return go_new_typed(struct heap_node, &node_type);
}

static inline void *
heap_scan(size_t n)
{
	return go_alloc(n);
}

static inline void *
heap_data(size_t n)
{
	return go_alloc_data(n);
}

static inline void **
heap_pointers(size_t n)
{
	return go_alloc_typed(&pointer_type, n);
}

static inline void
heap_free(void *p)
{
	(void)p;
}

struct part {
	void (*fn)(void *);
	void *arg;
	go_waitgroup *wg;
};

static void
part_run(void *arg)
{
	struct part *p = arg;

	p->fn(p->arg);
	go_wg_done(p->wg);
}

// One goroutine is the caller itself.
static void
heap_parallel(int n, void (*fn)(void *), void *args, size_t each)
{
	struct part parts[8];
	go_waitgroup wg = {0};

	bench_check(n >= 1 && n <= 8, "too many goroutines");
	if (n == 1) {
		fn(args);
		return;
	}
	go_wg_add(&wg, n);
	for (int i = 0; i < n; i++) {
		parts[i] = (struct part){fn, (char *)args + (size_t)i * each, &wg};
		spawn(part_run, &parts[i]);
	}
	go_wg_wait(&wg, GO_NEVER);
}

static void
heap_sleep(int64_t ns)
{
	go_sleep(ns);
}

static void
heap_collect(void)
{
	go_gc();
}

static int64_t
heap_stop_ns(void)
{
	go_heap_stats st;

	go_heap_stats_read(&st);
	return (int64_t)st.pause_max_ns;
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
	return go_set_finalizer(p, finalizer, (void *)count);
}

// A goroutine of the library runs them.
static void
heap_finalize(void)
{
	go_yield();
}

#include "../heap_rows.h"

// --- gc_parked ----------------------------------------------------------------------------------

static go_chan *gate;      // closed to let all of them go
static int64_t waiting;    // atomic: goroutines that are about to wait, or wait, at the gate
static go_waitgroup alive; // goroutines that have not ended

static void
park(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&waiting, 1, __ATOMIC_RELAXED); // order: count
	go_chan_recv(gate, NULL, GO_NEVER);
	go_wg_done(&alive);
}

static int64_t
collect_once(void)
{
	go_heap_stats st;

	go_gc();
	go_heap_stats_read(&st);
	return (int64_t)st.pause_last_ns;
}

static void
row_gc_parked(void)
{
	int64_t pauses[HEAP_COLLECTIONS];
	char extra[200];

	gate = go_chan_new(1, 0);
	bench_check(gate != NULL, "no memory for a channel");
	go_wg_add(&alive, HEAP_PARKED);
	for (int i = 0; i < HEAP_PARKED; i++)
		spawn(park, NULL);
	while (__atomic_load_n(&waiting, __ATOMIC_RELAXED) < HEAP_PARKED) // order: count
		go_yield();
	collect_once();
	int64_t cpu = bench_cpu(), wall = bench_wall();
	for (int i = 0; i < HEAP_COLLECTIONS; i++)
		pauses[i] = collect_once();
	cpu = bench_cpu() - cpu;
	wall = bench_wall() - wall;
	qsort(pauses, HEAP_COLLECTIONS, sizeof pauses[0], bench_compare_i64);
	go_chan_close(gate);
	go_wg_wait(&alive, GO_NEVER);
	snprintf(extra, sizeof extra, "pause_us=%.1f most_us=%.1f gc_us=%.1f",
	    (double)pauses[HEAP_COLLECTIONS / 2] / 1e3,
	    (double)pauses[HEAP_COLLECTIONS - 1] / 1e3, (double)cpu / 1e3 / HEAP_COLLECTIONS);
	bench_print("gc_parked", cpu, wall, HEAP_COLLECTIONS, extra);
}

// --- the list -----------------------------------------------------------------------------------

static const struct bench_entry entries[] = {
    HEAP_ROWS_ALL,
    HEAP_ROWS_COLLECTOR,
    {"gc_parked", row_gc_parked},
};

const struct bench_entry *const heap_rows = entries;
const int heap_row_count = sizeof entries / sizeof entries[0];
