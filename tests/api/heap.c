// SPDX-License-Identifier: BSD-3-Clause
// undergo/heap.h: allocating, freeing, asking, collecting. What keeps an object alive: alive.c; the
// end of objects: final.c.
#include "goroutines.h"

#include <pthread.h>
#include <sys/wait.h>
#include <undergo/heap.h>

enum { SMALL_MAX = 32768 };

static go_heap_stats
stats(void)
{
	go_heap_stats st;
	go_heap_stats_read(&st);
	return st;
}

static void
expect_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_eq(p[i], 0);
}

// --- sizes ---------------------------------------------------------------------------------------

typedef enum Kind { SCAN, OBJECT, DATA, PINNED, KINDS } Kind;

static void *
allocate(Kind kind, size_t n)
{
	switch (kind) {
	case SCAN:
		return go_alloc(n);
	case OBJECT:
		return go_alloc_object(n);
	case DATA:
		return go_alloc_data(n);
	default:
		return go_try_alloc(n, 0, GO_ALLOC_PINNED);
	}
}

// Small sizes all, larger ones in steps that meet each size class on both sides.
static size_t
next_size(size_t n)
{
	return n < 1100 ? n + 1 : n < SMALL_MAX + 300 ? n + 61 : n * 2 + 1;
}

// One object of each size and kind: zeroed, aligned, as large as asked for, and found from each of
// its bytes.
static void
check_object(char *p, Kind kind, size_t n)
{
	expect(p != NULL);
	expect_eq((uintptr_t)p % (kind == OBJECT ? 8 : 16), 0);
	expect_zero(p, n);
	expect(go_object_size(p) >= n);
	expect(go_object_size(p) <= n + n / 4 + 256 || n > SMALL_MAX);
	memset(p, 0xee, go_object_size(p));
	size_t step = n < 512 ? 1 : n / 512;
	for (size_t i = 0; i < n + (kind != OBJECT); i += step)
		expect(go_object(p + i) == p);
	if (kind != OBJECT)
		expect(go_object(p + n) == p); // one past the end
}

GO_TEST(heap_all_sizes, 2)
{
	for (int k = SCAN; k < KINDS; k++)
		for (size_t n = 0; n < 3000000; n = next_size(n)) {
			char *p = allocate((Kind)k, n);
			check_object(p, (Kind)k, n);
			if (k == PINNED || n % 3 == 0)
				go_free(p);
		}
}

// What is on the same page does not overlap: each holds its own pattern.
GO_TEST(heap_objects_are_apart, 2)
{
	enum { MANY = 2000 };
	static unsigned char *at[MANY];
	static size_t bytes[MANY];
	uint64_t rand = test_seed();
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < MANY; i++) {
			uint64_t draw = test_rand(&rand);
			size_t n = draw % 7 == 0 ? draw / 7 % 40000 : draw / 7 % 300;
			at[i] = allocate((Kind)(draw % PINNED), n);
			bytes[i] = n;
			memset(at[i], i, n);
		}
		go_gc();
		for (int i = 0; i < MANY; i++)
			for (size_t k = 0; k < bytes[i]; k++)
				expect_eq(at[i][k], (unsigned char)i);
	}
}

GO_TEST(heap_alignment, 2)
{
	for (size_t align = 1; align <= (size_t)1 << 22; align *= 2)
		for (size_t n = 1; n <= 200000; n = n * 3 + 5)
			for (int k = GO_ALLOC_SCAN; k <= GO_ALLOC_PINNED; k++) {
				char *p = go_try_alloc(n, align, (go_alloc_kind)k);
				expect(p != NULL);
				expect_eq((uintptr_t)p % align, 0);
				expect_eq((uintptr_t)p % 16, 0);
				expect(go_object(p) == p && go_object(p + n) == p);
				expect_zero(p, n);
				memset(p, 0xee, n);
				go_free(p);
			}
}

GO_TEST(heap_refuses_nonsense, 1)
{
	expect(go_try_alloc(8, 3, GO_ALLOC_SCAN) == NULL);
	expect(go_try_alloc(8, (size_t)1 << 31, GO_ALLOC_SCAN) == NULL);
	expect(go_try_alloc(8, 0, (go_alloc_kind)77) == NULL);
	expect(go_try_alloc(SIZE_MAX, 0, GO_ALLOC_SCAN) == NULL);
	expect(go_try_alloc(SIZE_MAX / 2, 0, GO_ALLOC_DATA) == NULL);
	expect(go_try_alloc((size_t)1 << 60, 0, GO_ALLOC_PINNED) == NULL);
	expect_eq(go_root_add(NULL, 8), GO_EINVAL);
	expect_eq(go_root_add(&(int){0}, 0), GO_EINVAL);
	expect_eq(go_root_remove(&(int){0}), GO_EINVAL);
	go_free(NULL);
}

// --- questions -----------------------------------------------------------------------------------

static int a_global;

GO_TEST(heap_knows_what_is_not_its_own, 1)
{
	char on_stack, *plain = malloc(100), *p = go_alloc(100);
	const void *others[] = {NULL, &a_global, &on_stack, plain, (void *)stats, (void *)-1};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		expect(go_object(others[i]) == NULL);
		expect_eq(go_object_size(others[i]), 0);
	}
	expect(go_object(p + 50) == p);
	char *large = go_alloc_data(40000); // has the rest of its last page to itself
	expect(go_object(large + 40000) == large && go_object(large + 40500) == NULL);
	expect_eq(go_object_size(large + 40500), 0);
	go_keep_alive(large);
	free(plain);
}

// Before there is a heap.
void
test_heap_questions_come_early(void)
{
	expect(go_object(&a_global) == NULL);
	expect_eq(go_object_size(NULL), 0);
	expect_eq(stats().collections, 0);
	go_gc();
	go_free(NULL);
	expect_eq(stats().collections, 0);
}

// --- memory comes back ---------------------------------------------------------------------------

typedef struct Node {
	struct Node *next;
	char bytes[56];
} Node;

static __attribute__((noinline)) void
make_garbage(size_t total, size_t n, Kind kind)
{
	for (size_t i = 0; i < total; i += n)
		memset(allocate(kind, n), 1, n);
}

// Far more is allocated than ever in use, of each kind and of all sizes.
GO_TEST(heap_garbage_is_reused, 2)
{
	static const size_t sizes[] = {16, 100, 1000, 9000, 30000, 100000, 3000000};
	for (int k = SCAN; k < PINNED; k++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			make_garbage((size_t)test_scale(60) << 20, sizes[i], (Kind)k);
	expect(stats().collections > 0);
	expect(stats().spans_bytes + stats().free_bytes < (uint64_t)200 << 20);
}

// Objects that were given back are taken again at once, zeroed, without a collection.
GO_TEST(heap_freed_is_reused, 1)
{
	static const size_t sizes[] = {1, 64, 1000, 20000, 50000, 1000000};
	uint64_t before = stats().collections, spans = 0;
	go_set_gc_percent(-1);
	for (int round = 0; round < 300; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			char *p = go_alloc(sizes[i]);
			expect_zero(p, sizes[i]);
			memset(p, 0xcc, sizes[i]);
			go_free(p);
		}
		if (round == 10)
			spans = stats().spans_bytes;
	}
	expect(stats().spans_bytes <= spans + (1 << 20));
	expect_eq(stats().collections, before);
}

// What one frees another gets; some are freed by threads.
static void *
free_all(void *v)
{
	void **p = v;
	for (int i = 0; p[i] != NULL; i++)
		go_free(p[i]);
	return NULL;
}

GO_TEST(heap_freed_by_others, 2)
{
	enum { MANY = 3000 };
	static void *p[MANY + 1];
	for (long round = test_scale(20); round > 0; round--) {
		pthread_t t;
		for (int i = 0; i < MANY; i++)
			p[i] = allocate(i % 2 ? PINNED : DATA, (size_t)(i * 7919 % 3000));
		expect_eq(pthread_create(&t, NULL, free_all, p), 0);
		make_garbage(1 << 20, 1000, DATA);
		pthread_join(t, NULL);
	}
	expect(stats().spans_bytes < (uint64_t)100 << 20);
}

// Objects are freed by hand while their spans are being swept.
enum { OWNED = 4000 };

typedef struct Owner {
	uint64_t rand;
	unsigned char *p[OWNED];
	size_t bytes[OWNED];
} Owner;

static Count owners_done;

static void
replace_one(Owner *o, int i, bool make)
{
	for (size_t k = 0; k < o->bytes[i]; k++)
		expect_eq(o->p[i][k], (unsigned char)i);
	go_free(o->p[i]);
	o->p[i] = NULL;
	o->bytes[i] = 0;
	if (!make)
		return;
	o->bytes[i] = (size_t)16 << test_rand(&o->rand) % 6;
	o->p[i] = allocate(PINNED, o->bytes[i] - 1);
	memset(o->p[i], i, o->bytes[i]);
}

static void
own(void *v)
{
	Owner *o = v;
	for (int i = 0; i < OWNED; i++)
		replace_one(o, i, true);
	for (long i = test_scale(60000); i > 0; i--)
		replace_one(o, (int)(test_rand(&o->rand) % OWNED), true);
	for (int i = 0; i < OWNED; i++)
		replace_one(o, i, false);
	count_add(&owners_done);
}

static void *
own_on_thread(void *v)
{
	own(v);
	return NULL;
}

GO_TEST(heap_freed_while_swept, 2)
{
	enum { OWNERS = 4 };
	static Owner owners[OWNERS];
	pthread_t t;
	uint64_t seed = test_seed();
	go_gc();
	uint64_t spans = stats().spans_bytes;
	for (unsigned i = 0; i < OWNERS; i++) {
		owners[i].rand = seed + i;
		if (i != 0)
			expect_eq(go_spawn(own, &owners[i]), 0);
	}
	expect_eq(pthread_create(&t, NULL, own_on_thread, &owners[0]), 0);
	while (count_of(&owners_done) < OWNERS) {
		go_gc();
		go_sleep(2 * GO_MSEC); // leaves the Ps to the owners
	}
	pthread_join(t, NULL);
	go_gc();
	go_gc();
	expect(stats().spans_bytes < spans + (1 << 20)); // no span was lost
}

// --- types ---------------------------------------------------------------------------------------

typedef struct Wide {
	void *words[100];
} Wide;

// Pointers in words 1, 65 and 99, told by a bitmap.
static const uint64_t wide_bits[2] = {2, (uint64_t)1 << 35 | 2};
static const go_type wide_type = {
	.bytes = sizeof(Wide),
	.scan_bytes = sizeof(Wide),
	.bitmap = wide_bits,
	.name = "Wide",
};

static Count died;

static void
count_died(void *arg)
{
	(void)arg;
	count_add(&died);
}

static void *
doomed(void)
{
	void *p = go_alloc_object(48);
	expect(go_add_cleanup(p, count_died, NULL) != 0);
	return p;
}

static Wide *wides;

static void
make_wides(void *unused)
{
	(void)unused;
	wides = go_alloc_typed(&wide_type, 10);
	for (int i = 0; i < 10; i++)
		for (int k = 0; k < 100; k++)
			wides[i].words[k] = doomed();
}

GO_TEST(heap_types_with_bitmaps, 2)
{
	run_aside(make_wides, NULL);
	for (int i = 0; i < 50 && count_of(&died) < 970; i++) {
		go_gc();
		go_sleep(GO_MSEC); // what the collection queued runs
	}
	expect(count_of(&died) >= 900 && count_of(&died) <= 970); // all but 3 of each 100
	go_keep_alive(wides);
}

// A type without pointers is data.
GO_TEST(heap_types_without_pointers, 1)
{
	static const go_type number_type = {.bytes = 24, .name = "number"};
	char *p = go_alloc_typed(&number_type, 1000);
	expect(go_object_size(p) >= 24000);
	expect_zero(p, 24000);
	expect_eq(go_object_size(go_alloc_typed(&number_type, 0)) > 0, 1);
}

// --- collecting, numbers, settings ---------------------------------------------------------------

GO_TEST(heap_stats_by_hand, 2)
{
	go_heap_stats a = stats();
	char *p = go_alloc(10 << 20);
	go_heap_stats b = stats();
	expect(b.alloc_bytes >= a.alloc_bytes + (10 << 20));
	expect(b.live_bytes >= 10 << 20);
	expect(b.spans_bytes >= 10 << 20);
	go_gc();
	go_heap_stats c = stats();
	expect(c.collections > b.collections && c.forced == b.forced + 1);
	expect(c.live_bytes >= 10 << 20 && c.goal_bytes >= c.live_bytes);
	expect(c.pause_ns > 0 && c.pause_max_ns >= c.pause_last_ns && c.gc_cpu_ns > 0);
	expect(c.pause_ns >= c.pause_max_ns);
	go_free(p);
	go_heap_stats d = stats();
	expect(d.live_bytes + (10 << 20) <= c.live_bytes + (1 << 20));
	expect(d.spans_bytes + (10 << 20) <= c.spans_bytes + (1 << 20));
	expect(d.alloc_bytes + (1 << 20) >= b.alloc_bytes);
}

static uint64_t
collections_of(size_t total)
{
	uint64_t before = stats().collections;
	make_garbage(total, 1000, DATA);
	return stats().collections - before;
}

GO_TEST(heap_percent, 1)
{
	enum { LIVE = 8 << 20 };
	char *live = go_alloc_data(LIVE);
	expect_eq(go_set_gc_percent(100), 100);
	go_gc();
	uint64_t at_100 = collections_of(32 * LIVE);
	expect_eq(go_set_gc_percent(400), 100);
	uint64_t at_400 = collections_of(32 * LIVE);
	expect_eq(go_set_gc_percent(-5), 400);
	uint64_t off = collections_of(8 * LIVE);
	expect(off <= 1); // one may have begun before
	expect(at_100 >= 3); // the globals of this program count as well
	expect(at_400 < at_100 || test_scale(100) < 100); // the stress build collects as it likes
	expect_eq(go_set_gc_percent(100), -1);
	expect(collections_of(32 * LIVE) >= 2);
	go_keep_alive(live);
}

GO_TEST(heap_limit_is_remembered, 1)
{
	int64_t before = go_set_memory_limit(-1); // INT64_MAX, or that of a control group
	expect_eq(go_set_memory_limit(1 << 30), before);
	expect_eq(go_set_memory_limit(-1), 1 << 30);
	expect_eq(go_set_memory_limit(INT64_MAX), 1 << 30);
}

// What is unreachable at the call is free at the return, whoever else collects.
static void
collect_often(void *stop)
{
	while (!atomic_load((atomic_bool *)stop))
		go_gc();
}

GO_TEST(heap_gc_from_many, 2)
{
	static atomic_bool stop;
	for (int i = 0; i < 4; i++)
		expect_eq(go_spawn(collect_often, &stop), 0);
	for (long i = test_scale(30); i > 0; i--) {
		uint64_t before = stats().live_bytes;
		make_garbage(1 << 20, 100, DATA);
		go_gc();
		expect(stats().live_bytes < before + (1 << 20));
	}
	atomic_store(&stop, true);
}

// --- threads -------------------------------------------------------------------------------------

enum { CHAIN = 2000 };

static Node *
make_chain(uint64_t *rand)
{
	Node *first = NULL;
	for (int i = 0; i < CHAIN; i++) {
		Node *n = test_rand(rand) % 2 ? go_new(Node) : go_alloc(sizeof(Node));
		n->next = first;
		memset(n->bytes, i, sizeof(n->bytes));
		first = n;
	}
	return first;
}

static void
check_chain(const Node *n)
{
	for (int i = CHAIN; i-- > 0; n = n->next)
		for (size_t k = 0; k < sizeof(n->bytes); k++)
			expect_eq(n->bytes[k], (char)i);
	expect(n == NULL);
}

static void
chains(void *unused)
{
	uint64_t rand = (uintptr_t)unused + 1;
	Node *older = make_chain(&rand);
	for (long i = test_scale(60); i > 0; i--) {
		Node *n = make_chain(&rand);
		check_chain(older);
		older = n;
	}
	check_chain(older);
	count_add(&died);
}

static void *
chains_on_thread(void *v)
{
	chains(v);
	return NULL;
}

static void
free_at_once(void *unused)
{
	(void)unused;
	while (count_of(&died) == 0)
		go_free(go_alloc(5000));
	count_add(&owners_done);
}

static void *
free_on_thread(void *unused)
{
	free_at_once(unused);
	return NULL;
}

// A thread that frees may wait for a collection when all that it has of the object in hand is where
// it lies: nobody else may get it meanwhile.
GO_TEST(heap_freed_on_threads, 2)
{
	enum { THREADS = 2, GOROUTINES = 4 };
	pthread_t t[THREADS];
	expect(go_alloc(1) != NULL);
	for (int i = 0; i < GOROUTINES; i++)
		expect_eq(go_spawn(free_at_once, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		expect_eq(pthread_create(&t[i], NULL, free_on_thread, NULL), 0);
	for (long i = test_scale(100); i > 0; i--)
		go_gc();
	count_add(&died);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	until(count_of(&owners_done) == THREADS + GOROUTINES);
}

// Threads without a P, before the runtime has been started by anybody else.
void
test_heap_of_threads(void)
{
	pthread_t t[4];
	expect_eq(go_set_gc_percent(10), 100);
	for (uintptr_t i = 0; i < 4; i++)
		expect_eq(pthread_create(&t[i], NULL, chains_on_thread, (void *)i), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	expect_eq(count_of(&died), 4);
	expect(stats().collections > 0);
}

static void *
large_at_once(void *arrived)
{
	go_yield(); // the thread is known
	count_add(arrived);
	while (count_of(arrived) < 4)
		go_yield();
	char *p = go_alloc(100000);
	for (int i = 0; i < 100000; i++)
		expect_eq(p[i], 0);
	return NULL;
}

// The heap begins with large objects, of several at the same time.
void
test_heap_begins_with_large(void)
{
	static Count arrived;
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		expect_eq(pthread_create(&t[i], NULL, large_at_once, &arrived), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

// Goroutines and threads, while the number of Ps changes.
static atomic_bool had_a_turn;

static void
have_a_turn(void *unused)
{
	(void)unused;
	atomic_store(&had_a_turn, true);
}

// Who collects in a loop is always in the runtime, where no P is taken from him.
GO_TEST(heap_collects_and_yields, 1)
{
	for (int i = 0; i < 20; i++) {
		atomic_store(&had_a_turn, false);
		expect_eq(go_spawn(have_a_turn, NULL), 0);
		while (!atomic_load(&had_a_turn))
			go_gc();
	}
}

GO_TEST(heap_of_all, 2)
{
	pthread_t t[3];
	for (uintptr_t i = 0; i < 3; i++)
		expect_eq(pthread_create(&t[i], NULL, chains_on_thread, (void *)i), 0);
	for (uintptr_t i = 0; i < 6; i++)
		expect_eq(go_spawn(chains, (void *)i), 0);
	for (int i = 0; count_of(&died) < 9; i++) {
		go_gomaxprocs(1 + i % 5);
		go_sleep(500 * GO_USEC); // so many Ps for a while
	}
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

// Processes are made while collections stop all threads.
GO_TEST(heap_beside_fork, 2)
{
	for (uintptr_t i = 0; i < 2; i++)
		expect_eq(go_spawn(chains, (void *)i), 0);
	for (int i = 0; i < 20 || count_of(&died) < 2; i++) {
		int status;
		pid_t pid = fork();
		if (pid == 0)
			_exit(7);
		expect(pid > 0);
		while (waitpid(pid, &status, 0) < 0)
			expect_eq(errno, EINTR);
		expect(WIFEXITED(status) && WEXITSTATUS(status) == 7);
		go_gc();
	}
}
