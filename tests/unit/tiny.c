// SPDX-License-Identifier: BSD-3-Clause
// gc_alloc_tiny: small objects without pointers share blocks, and a block lives as long as one of
// its objects. What is counted, what a collection does to a block that is being filled, what is
// attached to such objects, and the modes that want a slot for each.
#include "goroutines.h"

#include <pthread.h>

#include "gc/gc.h"
#include "gc/special.h"
#include "sched/sched.h"

static char *
tiny(size_t bytes)
{
	sched_enter();
	char *p = gc_alloc_tiny(bytes);
	sched_leave();
	expect(p != NULL);
	return p;
}

static char *
block_of(const void *p)
{
	return go_object(p);
}

static go_heap_stats
stats(void)
{
	go_heap_stats st;
	go_heap_stats_read(&st);
	return st;
}

// --- blocks --------------------------------------------------------------------------------------

GO_TEST(tiny_shares_a_block, 1)
{
	tiny(1);
	go_gc(); // drops the block there is
	char *first = tiny(1);
	expect(block_of(first) == first);
	expect_eq(go_object_size(first), SLOT_MIN);
	for (int i = 1; i < SLOT_MIN; i++)
		expect(tiny(1) == first + i);
	expect(block_of(first + SLOT_MIN - 1) == first);
	expect(block_of(tiny(1)) != first);
}

// What does not fit begins a block, and the one with more room is filled on.
GO_TEST(tiny_fills_the_emptier_block, 1)
{
	tiny(1);
	go_gc();
	char *first = tiny(4);
	char *long_one = tiny(13);
	expect(block_of(long_one) == long_one && long_one != first);
	expect(tiny(8) == first + 8); // 12 were left in the first, 3 in the other
	expect(tiny(2) != first + 4);
	go_gc();
	first = tiny(12);
	char *second = tiny(6);
	expect(block_of(second) == second && second != first);
	expect(tiny(4) == second + 8);
	expect(tiny(2) == second + 12);
}

static bool
is_zero(const char *p, size_t n)
{
	while (n != 0 && *p == 0)
		p++, n--;
	return n == 0;
}

static size_t
some_size(uint64_t *rand)
{
	return 1 + test_rand(rand) % (SLOT_MIN - 1);
}

// Of any size: zeroed, aligned by its size, within a block, apart from others.
GO_TEST(tiny_alignment, 1)
{
	enum { N = 4096 };
	static struct {
		char *p;
		size_t n;
	} all[N];
	uint64_t rand = test_seed();
	for (int i = 0; i < N; i++) {
		size_t n = some_size(&rand);
		char *p = tiny(n);
		size_t align = n % 8 == 0 ? 8 : n % 4 == 0 ? 4 : n % 2 == 0 ? 2 : 1;
		expect_eq((uintptr_t)p % align, 0);
		expect(is_zero(p, n));
		expect(block_of(p) == block_of(p + n - 1));
		memset(p, i % 255 + 1, n);
		all[i].p = p;
		all[i].n = n;
	}
	for (int i = 0; i < N; i++)
		for (size_t k = 0; k < all[i].n; k++)
			expect_eq((unsigned char)all[i].p[k], i % 255 + 1);
}

// A block that is being filled is dropped by a collection, whether it lives or not: there might be
// nothing that points to it.
GO_TEST(tiny_collection_drops_the_block, 1)
{
	static char *kept;
	for (int i = 0; i < 10; i++) {
		kept = tiny(1);
		*kept = 'k';
		go_gc();
		char *next = tiny(1);
		expect(block_of(next) == next && next != kept);
		*next = 'n';
		expect_eq(*kept, 'k');
	}
}

// --- alive ---------------------------------------------------------------------------------------

enum { BLOCKS = 200 };

static char *seconds[BLOCKS];
static Count died;

static void
count_died(void *arg)
{
	(void)arg;
	count_add(&died);
}

static void
make_blocks(void *unused)
{
	(void)unused;
	for (int i = 0; i < BLOCKS; i++) {
		char *first = tiny(8), *second = tiny(5);
		for (; block_of(first) != block_of(second); second = tiny(5))
			first = tiny(8);
		memset(second, i, 5);
		sched_enter();
		expect(special_add_cleanup(second, count_died, NULL) != 0);
		sched_leave();
		seconds[i] = i % 2 == 0 ? second : NULL;
	}
}

static void
collect_until(long n)
{
	for (int i = 0; i < 50 && count_of(&died) < n; i++) {
		go_gc();
		go_sleep(GO_MSEC);
	}
}

// What a pointer to the second object of a block keeps.
GO_TEST(tiny_lives_by_its_second, 1)
{
	run_aside(make_blocks, NULL);
	collect_until(BLOCKS / 2);
	expect(count_of(&died) >= BLOCKS / 2 - 5 && count_of(&died) <= BLOCKS / 2);
	for (int i = 0; i < BLOCKS; i += 2)
		for (int k = 0; k < 5; k++)
			expect_eq((unsigned char)seconds[i][k], i);
	memset(seconds, 0, sizeof(seconds));
	collect_until(BLOCKS);
	expect(count_of(&died) >= BLOCKS - 5);
}

// --- numbers -------------------------------------------------------------------------------------

// Each is an allocation, of which those that were put beside another are freed as well; a block is
// an object.
GO_TEST(tiny_stats, 1)
{
	enum { N = 1000, WHOLE = (N + SLOT_MIN - 1) / SLOT_MIN };
	static char *all[N];
	char *first = tiny(1); // lives all the time, or it might die between two counts
	go_gc();
	go_heap_stats before = stats();
	for (int i = 0; i < N; i++)
		all[i] = tiny(1);
	go_gc();
	go_heap_stats st = stats();
	expect_eq(st.allocs - before.allocs, N);
	expect_eq(st.objects - before.objects, WHOLE);
	expect_eq(st.live_bytes - before.live_bytes, WHOLE * SLOT_MIN);
	expect_eq(st.alloc_bytes - before.alloc_bytes, WHOLE * SLOT_MIN);
	expect_eq(st.frees - before.frees, N - WHOLE);
	memset(all, 0, sizeof(all));
	go_gc();
	expect(stats().frees - before.frees >= N - 5);
	go_keep_alive(first);
}

// go_free cannot know whose block it is.
GO_TEST(tiny_free_does_nothing, 1)
{
	char *first = tiny(1); // as above
	go_gc();
	char *a = tiny(8), *b = tiny(4);
	memset(b, 'b', 4);
	go_gc();
	go_heap_stats before = stats();
	go_free(b);
	go_free(a);
	go_free(a);
	go_free(b + 1);
	go_gc();
	expect_eq(stats().objects, before.objects);
	for (int i = 0; i < 1000; i++)
		expect(block_of(tiny(15)) != block_of(a));
	expect(is_zero(a, 8) && memcmp(b, "bbbb", 4) == 0);
	go_keep_alive(first);
}

// --- what is attached ----------------------------------------------------------------------------

static char *finalized[2];
static atomic_int n_finalized;

static void
note_finalized(void *p, void *arg)
{
	finalized[(uintptr_t)arg] = p;
	atomic_fetch_add(&n_finalized, 1);
}

static int
set_finalizer(char *p, FinalizerFn *fn, uintptr_t arg)
{
	sched_enter();
	int err = special_set_finalizer(p, POINTS_TO_ANYTHING, fn, (void *)arg);
	sched_leave();
	return err;
}

static uintptr_t hidden[2]; // complements
static struct go_weak *weak;

// Three objects in a block; the second one's finalizer is taken away again.
static void
make_finalized(void *unused)
{
	(void)unused;
	char *p[3] = {tiny(4), tiny(4), tiny(4)};
	while (block_of(p[0]) != block_of(p[2])) {
		p[0] = p[1];
		p[1] = p[2];
		p[2] = tiny(4);
	}
	for (uintptr_t i = 0; i < 3; i++) {
		*p[i] = (char)i;
		expect_eq(set_finalizer(p[i], note_finalized, i / 2), 0);
	}
	expect_eq(set_finalizer(p[1], NULL, 0), 0);
	hidden[0] = ~(uintptr_t)p[0];
	hidden[1] = ~(uintptr_t)p[2];
	sched_enter();
	weak = special_weak_new(p[1]);
	expect(special_weak_get(weak) == p[1]);
	sched_leave();
}

// Stacks of goroutines that are gone keep nothing.
static void
spoil_stack(void *unused)
{
	(void)unused;
	volatile char spoil[2000];
	memset((char *)spoil, 0, sizeof(spoil));
}

// Each object has a finalizer of its own; they are all called when the block is dead.
GO_TEST(tiny_finalizers, 1)
{
	run_aside(make_finalized, NULL);
	run_aside(spoil_stack, NULL);
	for (int i = 0; i < 50 && atomic_load(&n_finalized) < 2; i++) {
		go_gc();
		go_sleep(GO_MSEC);
	}
	expect_eq(atomic_load(&n_finalized), 2);
	expect(finalized[0] == (char *)~hidden[0] && finalized[1] == (char *)~hidden[1]);
	expect_eq(*finalized[0], 0);
	expect_eq(*finalized[1], 2);
	sched_enter();
	expect(special_weak_get(weak) == NULL);
	special_weak_free(weak);
	sched_leave();
}

static void
finalizer(void *p, void *arg)
{
	(void)p;
	(void)arg;
}

static int
finalizer_twice(void *unused)
{
	(void)unused;
	tiny(1);
	char *p = tiny(1);
	set_finalizer(p, finalizer, 0);
	return set_finalizer(p, finalizer, 0);
}

static int
finalizer_of_c(void *unused)
{
	(void)unused;
	tiny(4);
	return go_set_finalizer(tiny(4), finalizer, NULL);
}

static int
finalizer_in_data(void *unused)
{
	(void)unused;
	return go_set_finalizer((char *)go_alloc_data(15) + 8, finalizer, NULL);
}

DEATH(tiny_finalizer_twice)
{
	go_run(finalizer_twice, NULL);
}

DEATH(tiny_finalizer_of_c)
{
	go_gomaxprocs(1);
	go_run(finalizer_of_c, NULL);
}

DEATH(tiny_finalizer_in_data)
{
	go_run(finalizer_in_data, NULL);
}

// C's own calls want the beginning, as ever.
void
test_tiny_finalizers_misused(void)
{
	static const char *const inside =
		"fatal error: runtime.SetFinalizer: pointer not at beginning of allocated block\n";
	expect_death(tiny_finalizer_twice, .status = 2,
		     .err = "fatal error: runtime.SetFinalizer: finalizer already set\n");
	expect_death(tiny_finalizer_of_c, .status = 2, .err = inside);
	expect_death(tiny_finalizer_in_data, .status = 2, .err = inside);
}

// --- many ----------------------------------------------------------------------------------------

enum { KEPT = 48, MAKERS = 8, THREADS = 2 };

typedef struct Kept {
	unsigned char *p;
	size_t n;
	unsigned char with;
} Kept;

static void
replace(Kept *k, uint64_t *rand)
{
	for (size_t i = 0; k->p != NULL && i < k->n; i++)
		expect_eq(k->p[i], k->with);
	k->n = some_size(rand);
	k->with = (unsigned char)(test_rand(rand) | 1);
	k->p = (unsigned char *)tiny(k->n);
	expect(is_zero((char *)k->p, k->n));
	expect_eq((uintptr_t)k->p % (k->n & -k->n), 0);
	if (heap.watched)
		expect(block_of(k->p) == (char *)k->p);
	memset(k->p, k->with, k->n);
}

static uint64_t first_seed;

// Its objects are known to its stack alone.
static void
churn(uint64_t seed, long rounds)
{
	Kept kept[KEPT] = {{0}};
	for (long i = 0; i < rounds; i++) {
		replace(&kept[test_rand(&seed) % KEPT], &seed);
		if (i % 512 == 0)
			go_yield();
		if (i % 4096 == 4095)
			go_gc();
	}
}

static Count makers;

static void
maker(void *done)
{
	churn(first_seed + (uint64_t)atomic_fetch_add(&makers, 1), test_scale(20000));
	go_wg_done(done);
}

static void *
maker_thread(void *unused)
{
	(void)unused;
	churn(first_seed + (uint64_t)atomic_fetch_add(&makers, 1), test_scale(10000));
	return NULL;
}

static int
make_many(void *unused)
{
	(void)unused;
	pthread_t threads[THREADS];
	go_waitgroup wg = {0};
	go_wg_add(&wg, MAKERS);
	for (int i = 0; i < THREADS; i++)
		expect_eq(pthread_create(&threads[i], NULL, maker_thread, NULL), 0);
	for (int i = 0; i < MAKERS; i++)
		expect_eq(go_spawn(maker, &wg), 0);
	expect_eq(go_wg_wait(&wg, GO_NEVER), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

void
test_tiny_from_many(void)
{
	first_seed = test_seed();
	go_gomaxprocs(4);
	expect_eq(go_run(make_many, NULL), 0);
}

DEATH(tiny_many)
{
	first_seed = test_seed();
	go_gomaxprocs(2);
	go_run(make_many, NULL);
}

#define QUIET(mode)                                                                      \
	expect_death(tiny_many, .status = 0, .env = "GODEBUG=" mode, .limit_ms = 60000,  \
		     .err_lacks = {"runtime:", "fatal"})

void
test_tiny_watched_clobber(void)
{
	QUIET("clobberfree=1");
}

void
test_tiny_watched_every(void)
{
	QUIET("gcevery=500");
}

void
test_tiny_watched_efence(void)
{
	QUIET("efence=1");
}

void
test_tiny_verified(void)
{
	QUIET("gccheckmark=1,gcwalk=1");
}

void
test_tiny_sampled(void)
{
	QUIET("memprofilerate=64");
}
