// SPDX-License-Identifier: BSD-3-Clause
// undergo/heap.h, when to collect: GOGC, the memory limit and its cap, the hard maximum, callbacks,
// memory that goes back to the system, numbers; and that a program without objects has no
// collector.
#include "goroutines.h"

#include <sys/resource.h>
#include <undergo/heap.h>

#define MIB ((size_t)1 << 20)

static go_heap_stats
stats(void)
{
	go_heap_stats st;
	go_heap_stats_read(&st);
	return st;
}

static int64_t
rss_bytes(void)
{
	return (int64_t)proc_field("/proc/self/status", "VmRSS") * 1024;
}

// --- a heap of nodes -----------------------------------------------------------------------------

typedef struct Node {
	struct Node *next;
	long fill[7];
} Node;

static Node *volatile kept; // a list

static Node *
node_push(Node *next)
{
	Node *n = go_new(Node);
	n->next = next;
	for (size_t i = 0; i < sizeof(n->fill) / sizeof(n->fill[0]); i++)
		n->fill[i] = -1;
	return n;
}

static void
keep(size_t bytes)
{
	for (size_t at = 0; at < bytes; at += sizeof(Node))
		kept = node_push(kept);
}

// Allocates garbage, some of it large; *most gets the most memory that was in use.
static void
churn(size_t bytes, uint64_t *most)
{
	for (size_t at = 0; at < bytes; at += MIB) {
		Node *volatile lost = NULL;
		for (size_t in = 0; in < MIB; in += sizeof(Node))
			lost = node_push(in % 4096 == 0 ? NULL : lost);
		if (at % (16 * MIB) == 0)
			memset(go_alloc_data(MIB), 1, MIB);
		uint64_t now = stats().memory_bytes;
		if (most != NULL && now > *most)
			*most = now;
	}
}

static size_t
kept_length(void)
{
	size_t n = 0;
	for (Node *at = kept; at != NULL; at = at->next)
		n++;
	return n;
}

// --- GOGC ----------------------------------------------------------------------------------------

// The goal follows the percentage at once; with none there is no collection at all.
GO_TEST(gc_percent, 0)
{
	expect_eq(go_set_gc_percent(-1), 100);
	keep(8 * MIB);
	churn(24 * MIB, NULL);
	expect_eq(stats().collections, 0);
	expect_eq(stats().goal_bytes, go_set_memory_limit(-1) == INT64_MAX ? INT64_MAX
									  : stats().goal_bytes);
	expect_eq(go_set_gc_percent(300), -1);
	go_gc();
	uint64_t live = stats().marked_bytes, wide = stats().goal_bytes;
	expect(live >= 8 * MIB && live < 16 * MIB);
	expect(wide >= 4 * live);
	expect_eq(go_set_gc_percent(50), 300);
	uint64_t narrow = stats().goal_bytes;
	expect(narrow >= live + live / 2 && narrow < wide / 2);
	uint64_t before = stats().collections;
	churn(64 * MIB, NULL);
	expect(stats().collections > before);
	expect_eq(kept_length(), 8 * MIB / sizeof(Node));
}

// Set before anything is allocated, they hold when the heap begins.
GO_TEST(gc_settings_before_the_heap, 0)
{
	expect_eq(go_set_gc_percent(37), 100);
	int64_t was = go_set_memory_limit(123 * MIB);
	expect(was > 0);
	expect_eq(go_set_memory_max(456 * MIB), INT64_MAX);
	keep(4096);
	expect_eq(go_set_gc_percent(37), 37);
	expect_eq(go_set_memory_limit(-1), 123 * MIB);
	expect_eq(go_set_memory_limit(-5), 123 * MIB);
	expect_eq(go_set_memory_max(-1), 456 * MIB);
	expect_eq(stats().gc_percent, 37);
	expect_eq(stats().limit_bytes, 123 * MIB);
	expect_eq(stats().max_bytes, 456 * MIB);
}

// --- the limit -----------------------------------------------------------------------------------

// With GOGC off the limit alone makes collections begin, and memory stays below it.
GO_TEST(limit_is_kept, 0)
{
	uint64_t most = 0;
	go_set_gc_percent(-1);
	go_set_memory_limit(48 * MIB);
	keep(12 * MIB);
	churn((size_t)test_scale(1000) * MIB, &most);
	expect(stats().collections > 0);
	expect_eq(stats().held_back, 0);
	expect(most <= 48 * MIB);
	expect(stats().goal_bytes < 48 * MIB);
	expect_eq(kept_length(), 12 * MIB / sizeof(Node));
}

// Memory that is free but not given back counts: other sizes take what the small ones had.
GO_TEST(limit_counts_free_memory, 0)
{
	uint64_t most = 0;
	go_set_gc_percent(-1);
	go_set_memory_limit(64 * MIB);
	for (int i = 0; i < 20; i++) {
		churn(30 * MIB, &most);
		for (size_t n = 8192; n < 8 * MIB; n *= 2) {
			memset(go_alloc_data(n), 1, n);
			uint64_t now = stats().memory_bytes;
			most = now > most ? now : most;
		}
	}
	expect(most <= 64 * MIB);
}

// An object larger than what is left makes room first. A stale word may keep one that is lost.
GO_TEST(limit_makes_room_for_large, 0)
{
	go_set_gc_percent(-1);
	go_set_memory_limit(100 * MIB);
	for (int i = 0; i < 24; i++) {
		memset(go_alloc_data(30 * MIB), 1, 30 * MIB);
		expect(stats().memory_bytes <= 100 * MIB);
	}
	expect(stats().collections >= 7);
}

static int64_t
cpu_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * GO_SEC + ts.tv_nsec;
}

// What lives does not fit: the program goes on, the collector has no more than half of the CPU but
// for a burst, and the numbers tell.
GO_TEST(limit_cap, 1)
{
	go_set_gc_percent(-1);
	go_set_memory_limit(20 * MIB);
	keep(24 * MIB);
	size_t churned = 0;
	int64_t all;
	for (; (all = cpu_ns()) < 4 * GO_SEC; churned += MIB)
		churn(MIB, NULL);
	go_heap_stats st = stats();
	expect(st.held_back > 0 && st.held_back_at > 0 && st.held_back_at <= go_now());
	int64_t burst = GO_SEC + (int64_t)st.pause_max_ns;
	expect((int64_t)st.gc_cpu_ns <= all / 2 + burst);
	expect((int64_t)st.gc_cpu_ns >= all / 4);
	expect(churned > 16 * MIB);
	expect_eq(kept_length(), 24 * MIB / sizeof(Node));
}

// --- the hard maximum ----------------------------------------------------------------------------

// go_try_alloc says NULL there, everything goes on, and what is collected can be had again.
GO_TEST(max_gives_null, 0)
{
	go_set_memory_max(32 * MIB);
	expect(go_try_alloc(33 * MIB, 0, GO_ALLOC_DATA) == NULL);
	void *volatile half = go_try_alloc(20 * MIB, 0, GO_ALLOC_DATA);
	expect(half != NULL);
	expect(go_try_alloc(20 * MIB, 0, GO_ALLOC_DATA) == NULL);
	go_free(half);
	half = NULL;
	// Lost at once. A word that a call has left on the stack may keep one or two of them.
	for (int i = 0; i < 20; i++)
		expect(go_try_alloc(4 * MIB, 0, GO_ALLOC_DATA) != NULL);
	size_t n = 0;
	for (void *p; (p = go_try_alloc(1000, 0, GO_ALLOC_PINNED)) != NULL;)
		n++;
	expect(n > 20 * MIB / 1024 && n <= 32 * MIB / 1024);
	expect(stats().spans_bytes <= 32 * MIB);
	go_set_memory_max(64 * MIB);
	expect(go_try_alloc(20 * MIB, 0, GO_ALLOC_DATA) != NULL);
}

// --- memory goes back ----------------------------------------------------------------------------

enum { MANY_MIB = 512 };

// Nine tenths of much memory are dropped: ten seconds later the process is small, and is asleep
// from then on.
static void
expect_given_back(void)
{
	int64_t live = (int64_t)stats().live_bytes;
	int64_t end = test_now_ns() + 10 * GO_SEC * test_slowness();
	int64_t bound = live + live * 3 / 10 + 64 * (int64_t)MIB;
	while (test_now_ns() < end &&
	       (rss_bytes() > bound || stats().free_bytes > stats().spans_bytes / 8 + 4 * MIB))
		go_sleep(100 * GO_MSEC); // the monitor gives back by the clock
	expect(rss_bytes() <= bound);
	expect(stats().free_bytes <= stats().spans_bytes / 8 + 4 * MIB);
}

GO_TEST(memory_goes_back_after_a_collection, 0)
{
	static Node *volatile heads[10];
	size_t all = (size_t)(test_slowness() > 1 ? MANY_MIB / 4 : MANY_MIB) * MIB;
	for (size_t at = 0; at < all; at += sizeof(Node))
		heads[at / 65536 % 10] = node_push(heads[at / 65536 % 10]);
	int64_t peak = rss_bytes();
	expect(peak >= (int64_t)all);
	for (int i = 0; i < 9; i++)
		heads[i] = NULL;
	go_gc();
	expect_given_back();
	expect(heads[9] != NULL);
}

GO_TEST(memory_goes_back_after_go_free, 0)
{
	static void *blocks[256];
	go_set_gc_percent(-1);
	for (size_t i = 0; i < 256; i++) {
		blocks[i] = go_alloc_data(MIB);
		memset(blocks[i], 1, MIB);
	}
	expect(rss_bytes() >= (int64_t)(256 * MIB));
	for (size_t i = 0; i < 230; i++)
		go_free(blocks[i]);
	expect_given_back();
	expect_eq(stats().collections, 0);
}

static void
churn_until(int64_t end, uint64_t *least, uint64_t *most)
{
	while (test_now_ns() < end) {
		churn(MIB, NULL);
		uint64_t have = stats().free_bytes + stats().spans_bytes;
		*least = have < *least ? have : *least;
		*most = have > *most ? have : *most;
	}
}

// Until the heap has its size: some collections, and not only time, of which a busy machine may
// give us none.
static void
churn_first(void)
{
	int64_t end = test_now_ns() + 2 * GO_SEC;
	uint64_t enough = stats().collections + 3;
	while (stats().collections < enough || test_now_ns() < end)
		churn(MIB, NULL);
}

// A program that fills and drops the same memory all the time keeps it.
GO_TEST(memory_in_use_is_kept, 0)
{
	uint64_t least = UINT64_MAX, most = 0;
	keep(16 * MIB);
	churn_first();
	churn_until(test_now_ns() + 4 * GO_SEC, &least, &most);
	expect(stats().collections > 1);
	expect(least >= most / 4 * 3);
}

// --- callbacks -----------------------------------------------------------------------------------

static Count calls[3], in_call, bad;

static void
on_pressure(const go_pressure *p, void *arg)
{
	Count *c = *(Count **)arg; // arg is managed, and only the registration keeps it
	if (atomic_fetch_add(&in_call, 1) != 0)
		count_add(&bad);
	if (p->limit_bytes != (int64_t)(64 * MIB) || p->used_bytes <= 0 || p->live_bytes <= 0)
		count_add(&bad);
	go_yield();
	churn(MIB / 4, NULL); // it may allocate
	count_add(c);
	atomic_fetch_sub(&in_call, 1);
	if (c == &calls[2])
		go_exit(); // it may end its goroutine
}

static void
ask_pressure(Count *c, int percent)
{
	Count **arg = go_alloc(sizeof(*arg));
	*arg = c;
	expect_eq(go_pressure_add(on_pressure, arg, percent), 0);
}

GO_TEST(pressure_is_told, 0)
{
	expect_eq(go_pressure_add(NULL, NULL, 50), GO_EINVAL);
	expect_eq(go_pressure_add(on_pressure, NULL, -1), GO_EINVAL);
	expect_eq(go_pressure_remove(on_pressure, NULL), GO_EINVAL);
	ask_pressure(&calls[0], 50);
	ask_pressure(&calls[1], 200);
	ask_pressure(&calls[2], 50);
	go_gc();
	go_set_memory_limit(64 * MIB);
	keep(4 * MIB);
	go_gc();
	go_sleep(20 * GO_MSEC); // time to be called, if somebody is
	expect_eq(count_of(&calls[0]), 0);
	keep(36 * MIB);
	for (int i = 0; i < 3; i++) {
		long before = count_of(&calls[0]), last = count_of(&calls[2]);
		go_gc(); // its calls follow those of collections before it, some of which may go on
		until(count_of(&calls[0]) > before && count_of(&calls[2]) > last);
	}
	expect_eq(count_of(&calls[1]), 0);
	expect_eq(count_of(&bad), 0);
}

static void
count_told(const go_pressure *p, void *c)
{
	(void)p;
	count_add(c);
}

// Adding is no reason to call, nor is what a collection found when there was a limit.
GO_TEST(pressure_waits_for_a_collection, 0)
{
	static Count told;
	go_set_memory_limit(64 * MIB);
	go_gc();
	go_set_memory_limit(INT64_MAX);
	expect_eq(go_pressure_add(count_told, &told, 0), 0);
	go_gc();
	go_sleep(20 * GO_MSEC); // time to be called, if somebody is
	expect_eq(count_of(&told), 0);
	go_set_memory_limit(64 * MIB);
	keep(MIB);
	go_gc();
	until(count_of(&told) > 0);
}

GO_TEST(pressure_is_removed, 0)
{
	static Count told, told_still;
	static Count *arg = &told, *still = &told_still;
	go_set_memory_limit(64 * MIB);
	expect_eq(go_pressure_add(on_pressure, &arg, 0), 0);
	expect_eq(go_pressure_add(on_pressure, &still, 0), 0);
	keep(MIB);
	go_gc();
	until(count_of(&told) > 0);
	expect_eq(go_pressure_remove(on_pressure, &arg), 0);
	expect_eq(go_pressure_remove(on_pressure, &arg), GO_EINVAL);
	long before = 0;
	for (int i = 0; i < 3; i++) { // a call may be going on until the one behind it is told
		long rounds = count_of(&told_still);
		go_gc();
		until(count_of(&told_still) > rounds);
		if (i == 0)
			before = count_of(&told);
	}
	expect_eq(count_of(&told), before);
}

// --- numbers -------------------------------------------------------------------------------------

GO_TEST(pace_stats_add_up, 0)
{
	go_set_gc_percent(-1);
	go_heap_stats a = stats();
	enum { N = 100000 };
	static Node *nodes[N]; // no list, of which one forgotten pointer would hold the rest
	for (int i = 0; i < N; i++)
		nodes[i] = node_push(NULL);
	go_gc();
	go_heap_stats b = stats();
	expect_eq(b.collections - a.collections, 1);
	expect_eq(b.forced - a.forced, 1);
	expect(b.allocs - a.allocs >= N && b.allocs - a.allocs < N + 1000);
	expect(b.alloc_bytes - a.alloc_bytes >= N * sizeof(Node));
	expect(b.objects >= N && b.objects < N + 1000);
	expect(b.live_bytes >= N * sizeof(Node) && b.marked_bytes <= b.live_bytes);
	expect_eq(b.frees, b.allocs - b.objects);
	memset(nodes, 0, sizeof(nodes));
	go_gc();
	go_heap_stats c = stats();
	expect(c.objects < N / 10 && c.frees - b.frees > N * 9 / 10);
	expect(c.alloc_bytes >= b.alloc_bytes && c.allocs >= b.allocs);
	expect(c.pause_last_ns > 0 && c.pause_max_ns >= c.pause_last_ns);
	expect(c.pause_ns >= c.pause_max_ns && c.last_at > b.last_at && c.last_at <= go_now());
	expect(c.gc_cpu_ns > 0);
	expect_eq(c.reserved_bytes, c.spans_bytes + c.free_bytes + c.released_bytes);
	expect(c.memory_bytes >= c.spans_bytes + c.free_bytes + c.meta_bytes);

	// What is freed by hand is gone from what lives, and stays in what was allocated.
	void *p = go_alloc_data(MIB);
	go_heap_stats d = stats();
	go_free(p);
	go_heap_stats e = stats();
	expect(d.live_bytes - e.live_bytes >= MIB && d.objects - e.objects == 1);
	expect_eq(e.alloc_bytes, d.alloc_bytes);
	expect_eq(e.frees - d.frees, 1);
}

// --- without objects -----------------------------------------------------------------------------

static int
collector_threads(void)
{
	int n = 0;
	struct dirent *e;
	DIR *d = opendir("/proc/self/task");
	expect(d != NULL);
	while ((e = readdir(d)) != NULL) {
		char path[300], name[32] = "";
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		FILE *f = fopen(path, "re");
		if (f == NULL)
			continue; // it has ended
		if (fgets(name, sizeof(name), f) != NULL)
			n += strncmp(name, "undergo-gc", 10) == 0;
		fclose(f);
	}
	closedir(d);
	return n;
}

static void
echo(void *c)
{
	int v;
	while (go_chan_recv(c, &v, GO_NEVER) == 0)
		;
}

// Goroutines, timers, locks and channels, which keep their records in pinned memory: no collector,
// no goroutine of its, and nobody wakes up once all wait.
GO_TEST(no_objects_no_collector, 0)
{
	go_stats before, after;
	go_chan *c = go_chan_new(sizeof(int), 4);
	for (int i = 0; i < 100; i++)
		expect_eq(go_spawn(echo, c), 0);
	for (int i = 0; i < 10000; i++)
		expect_eq(go_chan_send(c, &i, GO_NEVER), 0);
	expect_eq(collector_threads(), 0);
	expect_eq(stats().collections, 0);
	go_stats_read(&before);
	expect_eq(before.goroutines, 101);
	go_chan_close(c);
	do {
		go_sleep(GO_MSEC); // they are about to end
		go_stats_read(&after);
	} while (after.goroutines > 1);
	expect_eq(after.spawned, 101);
	kept = node_push(NULL);
	go_stats_read(&after);
	expect_eq(after.spawned, 102); // the goroutine that does chores
	go_gc();
	expect(collector_threads() > 0);
}

static void
nothing(void *unused)
{
	(void)unused;
}

// Not even address space.
GO_TEST(no_objects_no_heap, 0)
{
	for (int i = 0; i < 100; i++)
		expect_eq(go_spawn(nothing, NULL), 0);
	go_sleep(GO_MSEC); // time to do something, if something would
	expect_eq(stats().reserved_bytes, 0);
	expect_eq(stats().collections, 0);
	expect_eq(collector_threads(), 0);
}

static int
work_and_drop(void *unused)
{
	(void)unused;
	keep(32 * MIB);
	churn(64 * MIB, NULL);
	kept = NULL;
	go_gc();
	return 0;
}

// When memory has gone back nobody wakes up any more, for two minutes.
void
test_heap_at_rest_sleeps(void)
{
	int threads = 0;
	expect_eq(go_run(work_and_drop, NULL), 0);
	long before = -1, after = 0;
	for (int i = 0; i < 20 && after != before; i++) {
		before = switches_of_others(&threads);
		block_thread_for(2 * GO_SEC);
		after = switches_of_others(&threads);
	}
	expect_eq(after - before, 0);
	expect(stats().free_bytes <= 8 * MIB);
	expect_eq(go_run(work_and_drop, NULL), 0); // and it wakes up
}

// What lies unused beside an aligned object counts neither against the maximum nor as in use.
GO_TEST(limit_max_and_alignment, 0)
{
	keep(4096);
	go_set_memory_max(64 * MIB);
	uint64_t before = stats().spans_bytes;
	char *p = go_try_alloc(MIB, (size_t)1 << 30, GO_ALLOC_DATA);
	expect(p != NULL && (uintptr_t)p % ((size_t)1 << 30) == 0);
	expect(stats().spans_bytes <= before + 2 * MIB);
	expect(go_try_alloc(65 * MIB, (size_t)1 << 20, GO_ALLOC_DATA) == NULL);
	go_free(p);
}

static uint64_t
address_space(void)
{
	return (uint64_t)proc_field("/proc/self/status", "VmSize") * 1024;
}

// Under ulimit -v the heap takes a quarter at most.
GO_TEST(limit_address_space, 0)
{
	const uint64_t limit = UINT64_C(8) << 30;
	struct rlimit r = {limit, limit};
	uint64_t before = address_space();
	expect_eq(setrlimit(RLIMIT_AS, &r), 0);
	keep(4096);
	expect(address_space() - before <= limit / 4 + 256 * MIB);
	keep(100 * MIB);
}
