// SPDX-License-Identifier: BSD-3-Clause
// The modes of GODEBUG that verify the heap are silent on a program that does nothing wrong.
//
// The program does all that programs do with the heap: objects of every kind and many sizes, linked
// to each other, freed by hand, left to the collector, with finalizers and weak pointers; from
// goroutines that park meanwhile, and from a thread. Each object knows what must be in it.
#include "goroutines.h"
#include "stress/mutators.h"

#include <pthread.h>
#include <undergo/heap.h>

enum { WORKERS = 3, KEPT = 40, MAGIC = 0x600d };

typedef struct Item {
	struct Item *next;
	unsigned char *data; // no pointers inside
	size_t bytes;        // of data
	struct Item *deep;
	struct Item **far;  // FAR of them
	struct Item *array; // ARRAY of them
	long magic;
	uint64_t seed; // decides about data
} Item;

enum { FAR = 40000, ARRAY = 4000 }; // marked in pieces

typedef struct Wide {
	Item *of[100]; // too many for a mask
	long magic;
} Wide;

static const go_type item_type = GO_TYPE(Item, next, data, deep, far, array);
static const uint64_t wide_map[2] = {~UINT64_C(0), (UINT64_C(1) << 36) - 1};
static const go_type wide_type = {sizeof(Wide), 800, 0, wide_map, "Wide", NULL, 0};

static Count finalized, wrong;
static go_chan *tokens;

static size_t
some_bytes(uint64_t *rand)
{
	switch (test_rand(rand) % 16) {
	case 0:
		return test_rand(rand) % 200000;
	case 1:
	case 2:
		return test_rand(rand) % 40000;
	default:
		return test_rand(rand) % 500;
	}
}

static void
fill(Item *it, size_t bytes, uint64_t seed)
{
	it->magic = MAGIC;
	it->seed = seed;
	it->bytes = bytes;
	it->data = go_alloc_data(bytes);
	for (size_t i = 0; i < bytes; i++)
		if (it->data[i] != 0)
			count_add(&wrong);
	for (size_t i = 0; i < bytes; i += 1 + bytes / 16)
		it->data[i] = (unsigned char)(seed + i);
}

static void
check_item(const Item *it)
{
	if (it->magic != MAGIC)
		count_add(&wrong);
	for (size_t i = 0; i < it->bytes; i += 1 + it->bytes / 16)
		if (it->data[i] != (unsigned char)(it->seed + i))
			count_add(&wrong);
}

static void
on_finalize(void *p, void *arg)
{
	check_item(p);
	check_item(arg);
	count_add(&finalized);
}

static Item *
item_new(uint64_t *rand)
{
	Item *it = NULL;
	switch (test_rand(rand) % 4) {
	case 0:
		it = go_new(Item);
		break;
	case 1:
		it = go_try_alloc(sizeof(Item), 64, GO_ALLOC_SCAN);
		break;
	default:
		it = go_new_typed(Item, &item_type);
	}
	if (it->next != NULL || it->data != NULL || it->deep != NULL || it->magic != 0)
		count_add(&wrong);
	fill(it, some_bytes(rand), test_rand(rand));
	return it;
}

// Something that only another object refers to.
static Item *
chain_new(uint64_t *rand)
{
	Item *it = item_new(rand);
	it->next = item_new(rand);
	Wide *w = go_new_typed(Wide, &wide_type);
	w->of[test_rand(rand) % 100] = item_new(rand);
	w->magic = MAGIC;
	it->deep = (Item *)(void *)w;
	if (test_rand(rand) % 32 == 0) {
		it->far = go_alloc(FAR * sizeof(Item *));
		it->far[test_rand(rand) % FAR] = it->far[FAR - 1] = item_new(rand);
		it->array = go_alloc_typed(&item_type, ARRAY);
		it->array[ARRAY - 1].next = item_new(rand);
	}
	if (test_rand(rand) % 4 == 0)
		go_set_finalizer(it->next, on_finalize, it);
	return it;
}

static void
check_chain(Item *it)
{
	check_item(it);
	if (it->next != NULL)
		check_item(it->next);
	if (it->far != NULL) {
		check_item(it->far[FAR - 1]);
		check_item(it->array[ARRAY - 1].next);
	}
	const Wide *w = (const void *)it->deep;
	if (w == NULL)
		return;
	if (w->magic != MAGIC)
		count_add(&wrong);
	for (int i = 0; i < 100; i++)
		if (w->of[i] != NULL)
			check_item(w->of[i]);
}

static void
free_chain(Item *it)
{
	it->next->next = NULL;
	go_free(it->deep);
	go_free(it->data);
	it->data = NULL;
	it->bytes = 0;
}

static void
step(Item **kept, uint64_t *rand)
{
	Item **at = &kept[test_rand(rand) % KEPT];
	if (*at != NULL) {
		check_chain(*at);
		if (test_rand(rand) % 4 == 0) {
			free_chain(*at);
			(*at)->deep = NULL;
		}
	}
	*at = chain_new(rand);
	go_weak *weak = go_weak_new(*at);
	void **pinned = go_try_alloc(64, 0, GO_ALLOC_PINNED);
	pinned[1] = *at;
	if (go_weak_get(weak) != *at)
		count_add(&wrong);
	go_weak_free(weak);
	go_free(pinned);
}

static void
work(uint64_t seed, long steps, bool goroutine)
{
	Item *kept[KEPT] = {NULL};
	for (long i = 0; i < steps; i++) {
		long token;
		step(kept, &seed);
		if (goroutine && i % 16 == 0) {
			go_chan_recv(tokens, &token, GO_NEVER);
			go_chan_send(tokens, &token, GO_NEVER);
		}
		if (i % 64 == 63)
			go_gc();
	}
	for (int i = 0; i < KEPT; i++)
		if (kept[i] != NULL)
			check_chain(kept[i]);
}

typedef struct Worker {
	uint64_t seed;
	go_waitgroup *wg;
} Worker;

static long
steps(void)
{
	return test_scale(400);
}

static void
worker(void *v)
{
	Worker *w = v;
	work(w->seed, steps(), true);
	go_wg_done(w->wg);
}

static void *
on_thread(void *v)
{
	work(*(uint64_t *)v, steps(), false);
	return NULL;
}

static int
program(void *v)
{
	uint64_t seed = *(uint64_t *)v;
	Worker workers[WORKERS];
	go_waitgroup wg = {0};
	long token = 1;
	pthread_t t;
	tokens = go_chan_new(sizeof(long), 1);
	go_chan_send(tokens, &token, GO_NEVER);
	expect_eq(pthread_create(&t, NULL, on_thread, v), 0);
	for (int i = 0; i < WORKERS; i++) {
		workers[i] = (Worker){seed + (uint64_t)i + 1, &wg};
		go_wg_add(&wg, 1);
		go_spawn(worker, &workers[i]);
	}
	go_wg_wait(&wg, GO_NEVER);
	go_block_begin();
	pthread_join(t, NULL);
	go_block_end();
	expect_eq(count_of(&wrong), 0);
	return 0;
}

DEATH(verify_program)
{
	uint64_t seed = test_seed();
	go_gomaxprocs(2);
	expect_eq(go_run(program, &seed), 0);
	printf("right\n");
}

#define SILENT(name, words)                                                       \
	void test_verify_silent_##name(void)                                      \
	{                                                                         \
		expect_death(verify_program, .status = 0, .limit_ms = 30000,      \
			     .env = "GODEBUG=" words, .err_lacks = {"runtime:"}); \
	}

SILENT(checkmark, "gccheckmark=1")
SILENT(clobber, "clobberfree=1")
SILENT(every, "gcevery=50")
SILENT(walk, "gcwalk=1")
SILENT(poison, "stackpoison=1")
SILENT(efence, "efence=1,gccheckmark=1,gcwalk=1")
SILENT(profile, "memprofilerate=1,gcwalk=1")
SILENT(sites, "allocsites=3,leaks=1,gcwalk=1")
SILENT(all, "gccheckmark=1,clobberfree=1,gcwalk=1,stackpoison=1,gcevery=100")

// Collections go on while the monitor, which nothing stops, gives memory back.
static int
collect_while_memory_goes_back(void *unused)
{
	enum { BLOCKS = 200, BLOCK_BYTES = 1 << 20 };
	static void *blocks[BLOCKS];
	go_heap_stats st;
	(void)unused;
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = memset(go_alloc_data(BLOCK_BYTES), 1, BLOCK_BYTES);
	memset(blocks, 0, sizeof(blocks));
	do {
		go_gc();
		go_heap_stats_read(&st);
	} while (st.free_bytes > BLOCKS * BLOCK_BYTES / 2);
	printf("right\n");
	return 0;
}

DEATH(verify_scavenging)
{
	expect_eq(go_run(collect_while_memory_goes_back, NULL), 0);
}

void
test_verify_silent_walk_while_memory_goes_back(void)
{
	expect_death(verify_scavenging, .status = 0, .limit_ms = 60000, .out = "right\n",
		     .env = "GODEBUG=gcwalk=1", .err_lacks = {"runtime:"});
}

// Words that nobody knows, and numbers that are none, are passed over.
void
test_verify_unknown_words(void)
{
	expect_death(verify_program, .status = 0, .limit_ms = 30000,
		     .env = "GODEBUG=nosuchword=1,,gcevery,gcevery=x,=3,clobberfree=1x,gcwalk=",
		     .err_lacks = {"runtime:"});
}

// The mutator against its model of the heap, with everything on at once.
void
test_heap_mutators_verified(void)
{
	mutator_rounds = 200;
	setenv("GODEBUG", "gccheckmark=1,gcwalk=1,clobberfree=1,stackpoison=1,memprofilerate=65536",
	       1);
	test_heap_mutators();
}

// An object's address and what is known about it are never used again, and each collection walks
// all that ever were: so there must not be too many.
void
test_heap_mutators_fenced(void)
{
	mutator_rounds = 6;
	mutator_parcels = 300;
	setenv("GODEBUG", "efence=1,gcwalk=1,gccheckmark=1", 1);
	test_heap_mutators();
}

// Collections at moments that nothing else decides.
void
test_heap_mutators_every(void)
{
	mutator_rounds = 60; // each collection walks the heap three times
	setenv("GODEBUG", "gcevery=997,gccheckmark=1,gcwalk=1,clobberfree=1,stackpoison=1", 1);
	test_heap_mutators();
}
