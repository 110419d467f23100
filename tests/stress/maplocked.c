// SPDX-License-Identifier: BSD-3-Clause
// A billion operations on maps by many goroutines, each with the lock that it needs: writers alone,
// readers together, and nobody is ever accused of a misuse. Locks of each kind, in batches, as it
// is the maps that are to be busy; goroutines give way while they have a lock, too.
#include <undergo/map.h>

#include "goroutines.h"

enum { GOROUTINES = 24, BATCH = 500, KEYS = 2048 };

typedef GO_MAP(uint64_t, uint64_t) Words;
typedef GO_MAP(uint32_t, uint32_t) Halves;
typedef GO_MAP(const char *, uint64_t) Texts;

// One of each lock, each with maps of its own.
static go_mutex mutex;
static Words by_mutex;
static go_rwmutex rwmutex;
static Words by_rwmutex;
static Halves halves;
static Texts texts;
static char names[KEYS][8];

static Count done;
static long wanted;

static void
write_words(Words m, uint64_t *r)
{
	for (int i = 0; i < BATCH; i++) {
		uint64_t x = test_rand(r), key = x >> 53;
		if (x % 4 == 0)
			go_map_del(m, key);
		else if (x % 4 == 1)
			*go_map_at(m, key) += 1;
		else
			(void)go_map_get(m, key);
	}
}

static void
read_words(uint64_t *r)
{
	for (int i = 0; i < BATCH; i += 2) {
		uint64_t x = test_rand(r);
		(void)go_map_get(by_rwmutex, x >> 53);
		(void)go_map_get(halves, (uint32_t)(x >> 50));
	}
}

static void
read_others(void)
{
	int n = 0;
	go_map_each (texts, it) {
		expect(*it.elem < KEYS);
		if (++n == BATCH)
			break;
	}
	for (; n < BATCH; n++)
		(void)go_map_has(texts, names[n]);
}

static void
write_others(uint64_t *r)
{
	for (int i = 0; i < BATCH; i += 2) {
		uint64_t x = test_rand(r), key = x >> 53;
		*go_map_at(halves, (uint32_t)key) = 1;
		if (x % 2 == 0)
			go_map_put(texts, names[key], key);
		else
			go_map_del(texts, names[key]);
	}
	if (*r % 256 == 0) {
		go_map_clear(halves);
		go_map_clear(texts);
	}
}

static void
batch(uint64_t *r)
{
	uint64_t what = test_rand(r) >> 60;
	if (what < 8) {
		go_mutex_lock(&mutex);
		write_words(by_mutex, r);
		if (what == 0)
			go_yield();
		go_mutex_unlock(&mutex);
	} else if (what < 10) {
		go_rwmutex_lock(&rwmutex);
		if (what == 8)
			write_words(by_rwmutex, r);
		else
			write_others(r);
		go_rwmutex_unlock(&rwmutex);
	} else {
		go_rwmutex_rlock(&rwmutex);
		if (what < 15)
			read_words(r);
		else
			read_others();
		if (what == 10)
			go_yield();
		go_rwmutex_runlock(&rwmutex);
	}
}

static int
user(void *arg)
{
	uint64_t r = (uintptr_t)arg;
	while (count_of(&done) < wanted) {
		batch(&r);
		atomic_fetch_add_explicit(&done, BATCH, memory_order_relaxed);
	}
	return 0;
}

GO_TEST(map_billion_locked, 4)
{
	const long billion = 1000000000, some = 1000000;
	long divide = some / test_scale(some); // where all is slow
	go_scope s;
	wanted = billion / (divide > 0 ? divide : 1);
	expect_eq(go_map_init(by_mutex, 0), 0);
	expect_eq(go_map_init(by_rwmutex, 0), 0);
	expect_eq(go_map_init(halves, 0), 0);
	expect_eq(go_map_init(texts, 0), 0);
	for (int i = 0; i < KEYS; i++)
		snprintf(names[i], sizeof(names[i]), "%d", i);
	go_scope_open(&s, GO_NEVER);
	uint64_t seed = test_seed();
	for (uintptr_t i = 0; i < GOROUTINES; i++)
		expect_eq(go_scope_spawn(&s, user, (void *)(uintptr_t)(seed + i)), 0);
	expect_eq(go_scope_wait(&s), 0);
	expect(count_of(&done) >= wanted);
	printf("%ld operations\n", count_of(&done));
}
