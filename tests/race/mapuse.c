// SPDX-License-Identifier: BSD-3-Clause
// What ThreadSanitizer sees of maps: each operation is one access to the map, whatever parts of it
// are touched. Two threads use a map one after the other, each another key; where no order is kept
// that is a data race, though the runtime itself finds nothing, and where it is kept there is none.
// In other builds the second half alone is tested.
#include <pthread.h>
#include <stdatomic.h>

#include "child.h"
#include "goroutines.h"

typedef GO_MAP(uint64_t, uint64_t) Words;

static Words words;
static atomic_int turn;
static memory_order give = memory_order_release, take = memory_order_acquire;

static void
change(void)
{
	*go_map_at(words, 1) = 5; // it is there
}

static void
remove_none(void)
{
	go_map_del(words, 12345);
}

static void
clear(void)
{
	go_map_clear(words);
}

// What it finds is wanted: else the compiler need not look.
static void
look(void)
{
	bool found = go_map_has(words, 2);
	__asm__ volatile("" : : "r"(found));
}

static void
iterate(void)
{
	go_map_iter it;
	go_map_raw_begin(GO_MAP_TYPE_OF(words), words.map, &it);
}

static void
copy(void)
{
	Words other;
	(void)go_map_copy(other, words);
}

typedef void Use(void);
static Use *const pairs[][2] = {
    {change, look},    {look, change}, {change, iterate}, {copy, change},
    {remove_none, look}, {clear, copy},  {iterate, clear},  {change, remove_none},
};
enum { PAIRS = sizeof(pairs) / sizeof(pairs[0]) };

static void
wait_turn(int n)
{
	while (atomic_load_explicit(&turn, take) != n)
		sched_yield();
}

static void *
second(void *pair)
{
	Words own; // makes the thread known before it matters
	expect_eq(go_map_init(own, 0), 0);
	atomic_store_explicit(&turn, 1, give);
	wait_turn(2);
	((Use *const *)pair)[1]();
	return NULL;
}

static void
use_in_turn(Use *const pair[2])
{
	pthread_t t;
	expect_eq(go_map_init(words, 0), 0);
	for (uint64_t i = 0; i < 100; i++)
		go_map_put(words, i, i);
	atomic_store(&turn, 0);
	expect_eq(pthread_create(&t, NULL, second, (void *)(uintptr_t)pair), 0);
	wait_turn(1);
	pair[0]();
	atomic_store_explicit(&turn, 2, give);
	pthread_join(t, NULL);
}

DEATH(map_unordered)
{
	give = take = memory_order_relaxed;
	use_in_turn(pairs[strtol(getenv("MAP_PAIR"), NULL, 10)]);
	_exit(0);
}

void
test_map_races_are_reported(void)
{
#if defined(UNDERGO_SANITIZE_THREAD)
	static ChildEnd end;
	for (int i = 0; i < PAIRS; i++) {
		char pair[32];
		char *env[] = {pair, NULL};
		snprintf(pair, sizeof(pair), "MAP_PAIR=%d", i);
		child_run(&end, "map_unordered", env, 20000);
		if (strstr(end.text, "WARNING: ThreadSanitizer: data race") == NULL) {
			printf("%s: status %d\n%s\n", pair, end.status, end.text);
			harness_fail(__FILE__, __LINE__, "a race was not reported");
		}
	}
#endif
}

void
test_map_in_turn(void)
{
	for (int i = 0; i < PAIRS; i++)
		use_in_turn(pairs[i]);
}

// Readers beside each other, of all kinds, of a map that nobody has iterated over.
static void *
reader(void *m)
{
	Words mine = *(Words *)m, other;
	long n = 0;
	go_map_each(mine, it) n += *it.key == *it.elem;
	expect_eq(n, 5000);
	expect_eq(go_map_copy(other, mine), 0);
	for (uint64_t i = 0; i < 5000; i++)
		expect(go_map_get(mine, i) == i && go_map_get(other, i) == i);
	return NULL;
}

void
test_map_readers_together(void)
{
	enum { READERS = 4 };
	pthread_t t[READERS];
	for (int round = 0; round < 5; round++) {
		Words m;
		expect_eq(go_map_init(m, 0), 0);
		for (uint64_t i = 0; i < 5000; i++)
			go_map_put(m, i, i);
		for (int i = 0; i < READERS; i++)
			expect_eq(pthread_create(&t[i], NULL, reader, &m), 0);
		for (int i = 0; i < READERS; i++)
			pthread_join(t[i], NULL);
	}
}
