// SPDX-License-Identifier: BSD-3-Clause
// The rows about the heap, written once for all contenders in C.
//
// The program that includes this file has defined before:
//
//	HEAP_COLLECTS                       1: it has a collector; 0: heap_free does it
//	struct heap_pair *heap_pair(void);  the objects of heap.h, zeroed
//	struct heap_link *heap_link(void);
//	struct heap_node *heap_node(void);
//	void *heap_scan(size_t n);          n zero bytes, each word may be a pointer
//	void *heap_data(size_t n);          n zero bytes without pointers
//	void **heap_pointers(size_t n);     an array of n pointers
//	void heap_free(void *p);            does nothing if HEAP_COLLECTS
//	void heap_parallel(int n, void (*fn)(void *), void *args, size_t each);
//	                                    fn on n threads at once, with args + i * each
//	void heap_sleep(int64_t ns);
//	void heap_collect(void);            if HEAP_COLLECTS: a full collection
//	int64_t heap_stop_ns(void);         its longest stop so far; 0 if it does not say
//	int heap_finalizer(void *p, void (*count)(void));  count is called when p is found dead
//	void heap_finalize(void);           run what can be run now
//
// Invariant:
//   I1  What lives is reachable from a variable of this file or from a stack in use: no collector
//       has to be told of it.
#ifndef UNDERGO_BENCH_HEAP_ROWS_H
#define UNDERGO_BENCH_HEAP_ROWS_H

#include "heap.h"

static void *volatile heap_sink; // the object allocated last, rows alloc*

// --- alloc*: garbage at once --------------------------------------------------------------------

#define HEAP_ALLOC_BODY(name, make)                    \
	static void name##_body(int64_t n)             \
	{                                              \
		for (int64_t i = 0; i < n; i++) {      \
			void *p = (make);              \
			heap_sink = p;                 \
			heap_free(p);                  \
		}                                      \
	}                                              \
	static void heap_row_##name(void)              \
	{                                              \
		bench_row(#name, name##_body, 1);      \
	}

HEAP_ALLOC_BODY(alloc16, heap_data(16))
HEAP_ALLOC_BODY(alloc32p, heap_link())
HEAP_ALLOC_BODY(alloc1k, heap_data(1024))
HEAP_ALLOC_BODY(alloc64k, heap_data(65536))

// --- churn*: a ring whose slots are replaced at random ------------------------------------------

struct heap_churner {
	int64_t n;
	int mixed;
	uint64_t seed;
	int64_t made;
	void **ring;
};

static struct heap_churner heap_churners[2];

static inline void *
churn_object(struct heap_churner *c)
{
	if (c->mixed)
		return heap_scan(16 + 8 * heap_below(&c->seed, 63));
	struct heap_link *p = heap_link();
	p->words[0] = c->made;
	return p;
}

static void
churn_run(void *arg)
{
	struct heap_churner *c = arg;

	if (c->ring == NULL) {
		c->ring = heap_pointers(HEAP_RING);
		for (int64_t i = 0; i < HEAP_RING; i++)
			c->ring[i] = churn_object(c);
	}
	for (int64_t i = 0; i < c->n; i++) {
		uint64_t at = heap_below(&c->seed, HEAP_RING);
		heap_free(c->ring[at]);
		c->ring[at] = churn_object(c);
		c->made++;
	}
}

static void
heap_churn(const char *row, int threads, int mixed)
{
	int64_t n = mixed ? HEAP_CHURN_MIXED : HEAP_CHURN32;

	for (int i = 0; i < threads; i++)
		heap_churners[i] = (struct heap_churner){.n = HEAP_CHURN_WARM, .mixed = mixed,
		    .seed = 88172645463325252ull + (uint64_t)i};
	heap_parallel(threads, churn_run, heap_churners, sizeof heap_churners[0]);
	for (int i = 0; i < threads; i++)
		heap_churners[i].n = n;
	int64_t cpu = bench_cpu(), wall = bench_wall();
	heap_parallel(threads, churn_run, heap_churners, sizeof heap_churners[0]);
	cpu = bench_cpu() - cpu;
	wall = bench_wall() - wall;
	for (int i = 0; i < threads; i++)
		bench_check(heap_churners[i].made == n + HEAP_CHURN_WARM, "churn: lost a turn");
	bench_print(row, cpu, wall, threads * n, "");
}

static void
heap_row_churn32(void)
{
	heap_churn("churn32", 1, 0);
}

static void
heap_row_churn32_2(void)
{
	heap_churn("churn32_2", 2, 0);
}

static void
heap_row_churn_mixed(void)
{
	heap_churn("churn_mixed", 1, 1);
}

static void
heap_row_churn_mixed_2(void)
{
	heap_churn("churn_mixed_2", 2, 1);
}

// --- binary_trees_20*: trees of all sizes beside a large one that stays -------------------------

struct heap_forester {
	int64_t share; // of all trees this thread makes one in so many
	int64_t nodes; // counted
};

static struct heap_pair *heap_long_lived;

static struct heap_pair *
tree_make(int depth)
{
	struct heap_pair *p = heap_pair();

	if (depth > 0) {
		p->left = tree_make(depth - 1);
		p->right = tree_make(depth - 1);
	}
	return p;
}

static int64_t
tree_count(const struct heap_pair *p)
{
	return p->left == NULL ? 1 : 1 + tree_count(p->left) + tree_count(p->right);
}

static void
tree_free(struct heap_pair *p)
{
	if (HEAP_COLLECTS)
		return;
	if (p->left != NULL) {
		tree_free(p->left);
		tree_free(p->right);
	}
	heap_free(p);
}

// Not inlined, so that no pointer to a tree that is done with is left in the caller's frame.
static __attribute__((noinline)) int64_t
tree_use(int depth)
{
	struct heap_pair *p = tree_make(depth);
	int64_t nodes = tree_count(p);

	tree_free(p);
	return nodes;
}

static int64_t
trees_of_depth(int depth)
{
	return (int64_t)1 << (HEAP_TREE_MAX + HEAP_TREE_MIN - depth);
}

static void
forest_run(void *arg)
{
	struct heap_forester *f = arg;

	for (int depth = HEAP_TREE_MIN; depth <= HEAP_TREE_MAX; depth += 2)
		for (int64_t i = trees_of_depth(depth) / f->share; i > 0; i--)
			f->nodes += tree_use(depth);
}

static void
heap_trees(const char *row, int threads)
{
	struct heap_forester foresters[2] = {{threads, 0}, {threads, 0}};
	int64_t nodes = 0, expected = 0;
	char extra[100];

	int64_t cpu = bench_cpu(), wall = bench_wall();
	bench_check(tree_use(HEAP_TREE_MAX + 1) == (4 << HEAP_TREE_MAX) - 1, "trees: stretch");
	heap_long_lived = tree_make(HEAP_TREE_MAX);
	heap_parallel(threads, forest_run, foresters, sizeof foresters[0]);
	for (int i = 0; i < threads; i++)
		nodes += foresters[i].nodes;
	for (int depth = HEAP_TREE_MIN; depth <= HEAP_TREE_MAX; depth += 2)
		expected += trees_of_depth(depth) * (((int64_t)2 << depth) - 1);
	bench_check(nodes == expected, "trees: lost nodes");
	bench_check(tree_count(heap_long_lived) == (2 << HEAP_TREE_MAX) - 1, "trees: the old one");
	tree_free(heap_long_lived);
	cpu = bench_cpu() - cpu;
	wall = bench_wall() - wall;
	snprintf(extra, sizeof extra, "cpu_s=%.3f wall_s=%.3f peak_mib=%.1f", (double)cpu / 1e9,
	    (double)wall / 1e9, (double)bench_status_bytes("VmHWM:") / (1 << 20));
	bench_print(row, cpu, wall, 1, extra);
}

static void
heap_row_trees(void)
{
	heap_trees("binary_trees_20", 1);
}

static void
heap_row_trees_2(void)
{
	heap_trees("binary_trees_20_2", 2);
}

// --- a large live graph -------------------------------------------------------------------------

static struct heap_node **heap_all; // all nodes of the graph
static int64_t heap_nodes;

static void
shuffle(void **p, int64_t n, uint64_t *seed)
{
	for (int64_t i = n - 1; i > 0; i--) {
		int64_t k = (int64_t)heap_below(seed, (uint64_t)i + 1);
		void *t = p[i];
		p[i] = p[k];
		p[k] = t;
	}
}

// Each node points to a random earlier one and to the one before it; earlier as allocated, or in
// an order that has nothing to do with that.
static void
graph_make(int shuffled)
{
	uint64_t seed = 88172645463325252ull;

	heap_nodes = heap_mib(HEAP_LIVE_MIB) * (1 << 20) / (int64_t)sizeof(struct heap_node);
	heap_all = (struct heap_node **)heap_pointers((size_t)heap_nodes);
	for (int64_t i = 0; i < heap_nodes; i++)
		heap_all[i] = heap_node();
	if (shuffled)
		shuffle((void **)heap_all, heap_nodes, &seed);
	for (int64_t i = 0; i < heap_nodes; i++) {
		heap_all[i]->value = i;
		if (i > 0) {
			heap_all[i]->left = heap_all[heap_below(&seed, (uint64_t)i)];
			heap_all[i]->right = heap_all[i - 1];
		}
	}
}

// Whether all nodes are there, by way of their second pointers.
static void
graph_check(void)
{
	int64_t i = heap_nodes;

	for (const struct heap_node *p = heap_all[heap_nodes - 1]; p != NULL; p = p->right)
		bench_check(p->value == --i, "a node has changed");
	bench_check(i == 0, "nodes are missing");
}

static int
compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

// A batch: each new object points to a live one and stays among the recent ones for a while, and
// one pointer between live ones is changed.
static void
latency_batch(void **recent, uint64_t *seed)
{
	for (int i = 0; i < HEAP_BATCH; i++) {
		struct heap_node *p = heap_node();
		uint64_t at = heap_below(seed, HEAP_RECENT);

		p->left = heap_all[heap_below(seed, (uint64_t)heap_nodes)];
		heap_free(recent[at]);
		recent[at] = p;
		heap_all[heap_below(seed, (uint64_t)heap_nodes)]->left = p->left;
	}
}

// Times are taken from the end of one batch to the end of the next, so that no stop falls between.
static void
heap_row_live_latency(void)
{
	char extra[200];
	uint64_t seed = 88172645463325252ull;
	int64_t n = 0, longest = 0;

	graph_make(1);
	void **recent = heap_pointers(HEAP_RECENT);
	uint32_t *took = mmap(NULL, HEAP_SAMPLES * sizeof(uint32_t), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	bench_check(took != MAP_FAILED, "no memory for samples");
	for (int i = 0; i < 1000; i++)
		latency_batch(recent, &seed);
	int64_t cpu = bench_cpu(), start = bench_wall(), last = start;
	while (n < HEAP_SAMPLES && last - start < HEAP_LATENCY_S * bench_second_ns) {
		latency_batch(recent, &seed);
		int64_t now = bench_wall();
		int64_t ns = now - last;
		longest = ns > longest ? ns : longest;
		took[n++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
		last = now;
	}
	cpu = bench_cpu() - cpu;
	qsort(took, (size_t)n, sizeof took[0], compare_u32);
	snprintf(extra, sizeof extra,
	    "max_ms=%.3f p50_us=%.2f p999_us=%.1f stop_us=%.1f per_s=%.0f",
	    (double)longest / 1e6, (double)took[n / 2] / 1e3, (double)took[n * 999 / 1000] / 1e3,
	    (double)heap_stop_ns() / 1e3, (double)n * 1e9 / (double)(last - start));
	bench_print("live_latency", cpu, last - start, n, extra);
	heap_keep(recent);
	graph_check();
}

// --- rss_*: what is given back ------------------------------------------------------------------

// Of ten objects, or groups of them, one is to stay.
static int
rss_stays(uint64_t *seed)
{
	return heap_below(seed, 10) == 0;
}

static void
rss_drop(void **group, int64_t at)
{
	heap_free(group[at]);
	group[at] = NULL;
}

// Frees nine of ten groups, with all that is in them, or nine of ten objects in each group.
// Returns the bytes that stay.
static int64_t
rss_free(void ***groups, int64_t n, int scattered, const uint16_t *sizes)
{
	uint64_t seed = 2463534242ull;
	int64_t live = 0;

	for (int64_t i = 0; i < n; i++) {
		int stays = scattered || rss_stays(&seed);
		for (int64_t k = 0; k < HEAP_GROUP; k++) {
			if (stays && (!scattered || rss_stays(&seed)))
				live += sizes[i * HEAP_GROUP + k];
			else
				rss_drop(groups[i], k);
		}
		if (stays) {
			live += HEAP_GROUP * (int64_t)sizeof(void *);
		} else {
			heap_free(groups[i]);
			groups[i] = NULL;
		}
	}
	return live;
}

// Fills n groups with objects of 64 to 1024 bytes until there are about so many bytes.
static int64_t
rss_grow(void ***groups, int64_t n, uint16_t *sizes)
{
	static char filled[1024];
	uint64_t seed = 88172645463325252ull;
	int64_t bytes = 0;

	memset(filled, 1, sizeof filled);
	for (int64_t i = 0; i < n; i++) {
		groups[i] = heap_pointers(HEAP_GROUP);
		for (int64_t k = 0; k < HEAP_GROUP; k++) {
			size_t size = 64 + 16 * heap_below(&seed, 61);
			sizes[i * HEAP_GROUP + k] = (uint16_t)size;
			groups[i][k] = heap_data(size);
			memcpy(groups[i][k], filled, size);
			bytes += (int64_t)size;
		}
	}
	return bytes;
}

// A second in the life of a program that goes on, a little: most allocators do what they do about
// unused memory while they are called, or after a collection.
static void
rss_go_on(void)
{
	uint64_t seed = 88172645463325252ull;

	for (int i = 0; i < HEAP_GOES_ON; i++) {
		void *p = heap_data(64 + 16 * heap_below(&seed, 61));
		heap_sink = p;
		heap_free(p);
	}
#if HEAP_COLLECTS
	heap_collect();
#endif
	heap_sleep(bench_second_ns);
}

static void ***heap_groups;

static void
heap_rss(const char *row, int scattered)
{
	char extra[200];
	int64_t n = heap_mib(HEAP_GROWN_MIB) * (1 << 20) / (HEAP_GROUP * 552);
	size_t size_bytes = (size_t)n * HEAP_GROUP * sizeof(uint16_t);
	uint16_t *sizes = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	bench_check(sizes != MAP_FAILED, "no memory for sizes");
	heap_groups = (void ***)heap_pointers((size_t)n);
	int64_t cpu = bench_cpu(), wall = bench_wall();
	int64_t grown = rss_grow(heap_groups, n, sizes);
	int64_t full = bench_rss() - (int64_t)size_bytes;
	int64_t live = rss_free(heap_groups, n, scattered, sizes);
	munmap(sizes, size_bytes);
	for (int i = 0; i < HEAP_REST_S; i++)
		rss_go_on();
	int64_t rss = bench_rss();
	snprintf(extra, sizeof extra, "ratio=%.3f rss_mib=%.1f live_mib=%.1f full_mib=%.1f n=%lld",
	    (double)rss / (double)live, (double)rss / (1 << 20), (double)live / (1 << 20),
	    (double)full / (1 << 20), (long long)(grown >> 20));
	bench_print(row, bench_cpu() - cpu, bench_wall() - wall, 1, extra);
}

static void
heap_row_rss_return(void)
{
	heap_rss("rss_return", 0);
}

static void
heap_row_rss_scattered(void)
{
	heap_rss("rss_scattered", 1);
}

// --- what only collectors do --------------------------------------------------------------------

#if HEAP_COLLECTS

static void
heap_mark(const char *row, int shuffled)
{
	char extra[100];

	graph_make(shuffled);
	heap_collect();
	int64_t cpu = bench_cpu(), wall = bench_wall();
	for (int i = 0; i < HEAP_MARKS; i++)
		heap_collect();
	cpu = bench_cpu() - cpu;
	wall = bench_wall() - wall;
	snprintf(extra, sizeof extra, "wall_ms=%.1f stop_us=%.1f", (double)wall / 1e6 / HEAP_MARKS,
	    (double)heap_stop_ns() / 1e3);
	graph_check();
	bench_print(row, cpu, wall, heap_nodes * HEAP_MARKS, extra);
}

static void
heap_row_mark_shuffled(void)
{
	heap_mark("mark_shuffled", 1);
}

static void
heap_row_mark_ordered(void)
{
	heap_mark("mark_ordered", 0);
}

static int64_t finalized; // atomic

static void
count_finalized(void)
{
	__atomic_fetch_add(&finalized, 1, __ATOMIC_RELAXED); // order: count
}

static void **heap_doomed;

// In a function of its own, so that no pointer to an object is left in the caller's frame.
static __attribute__((noinline)) void
finalizers_set(void)
{
	for (int64_t i = 0; i < HEAP_FINALIZERS; i++)
		bench_check(heap_finalizer(heap_doomed[i], count_finalized) == 0, "no finalizer");
	memset(heap_doomed, 0, HEAP_FINALIZERS * sizeof heap_doomed[0]);
}

// Conservative stacks may keep a few alive: all but one in a thousand have to be found.
static void
finalizers_run(void)
{
	int64_t before = 0;

	for (int idle = 1000; before < HEAP_FINALIZERS - HEAP_FINALIZERS / 1000;) {
		if (idle >= 1000) {
			heap_collect();
			idle = 0;
		}
		heap_finalize();
		int64_t now = __atomic_load_n(&finalized, __ATOMIC_RELAXED); // order: count
		idle = now == before ? idle + 1 : 0;
		before = now;
		if (idle > 0)
			heap_sleep(1000 * 1000);
	}
}

static void
heap_row_finalizers(void)
{
	char extra[100];

	heap_doomed = heap_pointers(HEAP_FINALIZERS);
	for (int64_t i = 0; i < HEAP_FINALIZERS; i++)
		heap_doomed[i] = heap_link();
	heap_collect();
	int64_t start = bench_cpu(), wall = bench_wall();
	finalizers_set();
	int64_t set = bench_cpu();
	finalizers_run();
	int64_t end = bench_cpu();
	snprintf(extra, sizeof extra, "set=%.1f run=%.1f", (double)(set - start) / HEAP_FINALIZERS,
	    (double)(end - set) / HEAP_FINALIZERS);
	bench_print("finalizers", end - start, bench_wall() - wall, HEAP_FINALIZERS, extra);
}

#endif

// --- the list -----------------------------------------------------------------------------------

#define HEAP_ROWS_ALL                                  \
	{"alloc16", heap_row_alloc16},                 \
	{"alloc32p", heap_row_alloc32p},               \
	{"alloc1k", heap_row_alloc1k},                 \
	{"alloc64k", heap_row_alloc64k},               \
	{"churn32", heap_row_churn32},                 \
	{"churn32_2", heap_row_churn32_2},             \
	{"churn_mixed", heap_row_churn_mixed},         \
	{"churn_mixed_2", heap_row_churn_mixed_2},     \
	{"binary_trees_20", heap_row_trees},           \
	{"binary_trees_20_2", heap_row_trees_2},       \
	{"live_latency", heap_row_live_latency},       \
	{"rss_return", heap_row_rss_return},           \
	{"rss_scattered", heap_row_rss_scattered}

#define HEAP_ROWS_COLLECTOR                            \
	{"mark_shuffled", heap_row_mark_shuffled},     \
	{"mark_ordered", heap_row_mark_ordered},       \
	{"finalizers", heap_row_finalizers}

#endif
