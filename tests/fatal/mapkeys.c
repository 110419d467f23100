// SPDX-License-Identifier: BSD-3-Clause
// Keys with functions that break what a map asks of them: one that changes the map while the map
// calls it is a write beside another use, and dies as such; one without a hash panics. And
// goroutines beside threads that the runtime has not seen.
#include <pthread.h>

#include "child.h"
#include "goroutines.h"

static const char READS[] = "fatal error: concurrent map read and map write\n";
static const char WRITES[] = "fatal error: concurrent map writes\n";
static const char ITERATES[] = "fatal error: concurrent map iteration and map write\n";

// --- functions that change the map ---------------------------------------------------------------

enum { KEYS = 200, OTHER = 100000 };

static go_map *map;
static const go_map_type key_type;
static long armed; // calls until one changes the map, or an occasion; 0: none does
enum {
	MOVING = -1,  // the hash of a key that nobody gave
	LOOKING = -2, // a key and itself
};
static const uint32_t *given; // the key of the operation at hand
static long calls;
static const char *change;
static bool change_made;

static void
put(uint32_t key)
{
	given = &key;
	*(uint32_t *)go_map_raw_assign(&key_type, map, &key) = key;
}

static void
del(uint32_t key)
{
	given = &key;
	go_map_raw_delete(&key_type, map, &key);
}

static void
change_now(void)
{
	uint32_t key = 3;
	given = NULL;
	change_made = true;
	if (strcmp(change, "put") == 0)
		put(OTHER);
	else if (strcmp(change, "again") == 0)
		put(key);
	else if (strcmp(change, "del") == 0)
		go_map_raw_delete(&key_type, map, &key);
	else if (strcmp(change, "clear") == 0)
		go_map_raw_clear(&key_type, map);
	else
		for (uint32_t i = 0; i < 10 * KEYS; i++)
			put(OTHER + i);
}

static void
called(long occasion)
{
	calls++;
	if (armed < 0 && armed == occasion)
		armed = 1;
	if (armed > 0 && --armed == 0)
		change_now();
}

static uint64_t
key_hash(const void *key, uint64_t seed, const go_map_type *t)
{
	(void)seed;
	(void)t;
	called(key != given ? MOVING : 0);
	return *(const uint32_t *)key / 4; // some are alike, so that keys are compared
}

static bool
key_equal(const void *a, const void *b, const go_map_type *t)
{
	(void)t;
	called(a == b ? LOOKING : 0);
	return *(const uint32_t *)a == *(const uint32_t *)b;
}

static const go_map_type key_type = {
    .key_bytes = 4,
    .key_align = 4,
    .elem_bytes = 4,
    .elem_align = 4,
    .key_kind = GO_MAP_KEY_CALLS,
    .flags = GO_MAP_KEY_UNEQUAL,
    .hash = key_hash,
    .equal = key_equal,
};

static void
use_get(void)
{
	for (uint32_t i = 0; i < KEYS; i++)
		(void)go_map_raw_get(&key_type, map, &i);
}

static void
use_put(void)
{
	for (uint32_t i = 0; i < 4 * KEYS; i++) // most are new, and the map grows
		put(i);
}

static void
use_del(void)
{
	for (uint32_t i = KEYS; i > 4; i--) // the map shrinks
		del(i);
}

// The same of many tables, two of which become one.
static void
use_del_many(void)
{
	long shot = armed;
	armed = 0;
	for (uint32_t i = KEYS; i < 40 * KEYS; i++)
		put(i);
	armed = shot;
	for (uint32_t i = 40 * KEYS; i-- > 0;)
		del(i);
}

// In the middle the map grows, so that the rest is asked for key by key.
static void
use_each(void)
{
	long shot = armed;
	int n = 0;
	go_map_iter it;
	armed = 0;
	for (go_map_raw_begin(&key_type, map, &it); it.key != NULL; go_map_raw_next(&it)) {
		if (++n != 5)
			continue;
		for (uint32_t i = 0; i < 10 * KEYS; i++)
			put(2 * OTHER + i);
		armed = shot;
	}
}

// In the middle tables become one, so that of each key in it the hash is asked for.
static void
each_merged(long shot)
{
	enum { MANY = 40 * KEYS, LEFT = 2 * KEYS, LATE = LEFT * 3 / 4 };
	int n = 0;
	go_map_iter it;
	armed = 0;
	for (uint32_t i = 0; i < MANY; i++)
		put(i);
	for (go_map_raw_begin(&key_type, map, &it); it.key != NULL; go_map_raw_next(&it)) {
		if (++n == 1)
			for (uint32_t i = LEFT; i < MANY; i++)
				del(i);
		if (n == LATE)
			armed = shot;
	}
}

// Where small tables are left, all of an iteration's last entries may lie in tables that it has to
// itself: chance decides where it begins.
static void
use_each_merged(void)
{
	enum { TRIES = 1000 };
	long shot = armed;
	for (int i = 0; i < TRIES && !change_made; i++) {
		map = go_map_raw_new(&key_type, 0);
		each_merged(shot);
	}
}

static const struct {
	const char *name;
	void (*use)(void);
	const char *text;
} uses[] = {
    {"get", use_get, READS},
    {"put", use_put, WRITES},
    {"del", use_del, WRITES},
    {"each", use_each, ITERATES},
    {"each_merged", use_each_merged, ITERATES},
    {"del_many", use_del_many, WRITES},
};
enum { USES = sizeof(uses) / sizeof(uses[0]), SIMPLE_USES = 4 };

static int
use_main(void *unused)
{
	(void)unused;
	map = go_map_raw_new(&key_type, 0);
	for (uint32_t i = 0; i < KEYS; i++)
		put(i);
	change = getenv("MAP_CHANGE");
	armed = strtol(getenv("MAP_CALL"), NULL, 10);
	for (size_t i = 0; i < USES; i++)
		if (strcmp(uses[i].name, getenv("MAP_USE")) == 0)
			uses[i].use();
	return 0;
}

DEATH(map_key_changes)
{
	_exit(go_run(use_main, NULL));
}

static void
expect_change_dies(const char *use, const char *kind, long call, const char *want)
{
	static ChildEnd end;
	char a[32], b[32], c[32];
	char *env[] = {a, b, c, NULL};
	snprintf(a, sizeof(a), "MAP_USE=%s", use);
	snprintf(b, sizeof(b), "MAP_CHANGE=%s", kind);
	snprintf(c, sizeof(c), "MAP_CALL=%ld", call);
	child_run(&end, "map_key_changes", env, 20000);
	bool found = end.status == 2 && strncmp(end.text, want, strlen(want)) == 0;
	if (want == ITERATES) // what asks for a key is a read
		found |= end.status == 2 && strncmp(end.text, READS, strlen(READS)) == 0;
	if (!found) {
		printf("%s %s %s: status %d\n%s\n", a, b, c, end.status, end.text);
		fflush(stdout);
		harness_fail(__FILE__, __LINE__, "a change by a key's function was not found");
	}
}

// At calls of each function, and in each part of an operation: searching, growing, shrinking.
void
test_fatal_map_key_changes(void)
{
	static const char *const changes[] = {"put", "again", "del", "clear", "grow"};
	for (size_t i = 0; i < SIMPLE_USES; i++)
		for (size_t j = 0; j < sizeof(changes) / sizeof(changes[0]); j++)
			expect_change_dies(uses[i].name, changes[j], 1 + (long)(i + j) % 3,
					   uses[i].text);
	expect_change_dies("each_merged", "clear", 1, ITERATES);
	expect_change_dies("each_merged", "grow", 2, ITERATES);
	expect_change_dies("put", "clear", MOVING, WRITES);
	expect_change_dies("put", "grow", MOVING, WRITES);
	expect_change_dies("put", "put", MOVING, WRITES);
	expect_change_dies("del", "clear", MOVING, WRITES);
	expect_change_dies("del_many", "clear", MOVING, WRITES);
	expect_change_dies("del_many", "grow", LOOKING, WRITES);
}

// Without a change nobody dies, though the functions look into the map.
void
test_fatal_map_key_no_change(void)
{
	static ChildEnd end;
	char *env[] = {(char *)(uintptr_t)"MAP_USE=put", (char *)(uintptr_t)"MAP_CALL=0", NULL};
	child_run(&end, "map_key_changes", env, 20000);
	expect_eq(end.status, 0);
}

// --- keys without a hash -------------------------------------------------------------------------

// As Go's interface: which type, and the value.
typedef struct Any {
	const go_type *type;
	uint64_t value;
} Any;

static const go_type int_type = {.bytes = 8, .name = "int"};
static const go_type slice_type = {.bytes = 24, .name = "[]int"};

static uint64_t
any_hash(const void *key, uint64_t seed, const go_map_type *t)
{
	const Any *a = key;
	(void)t;
	if (a->type != &int_type)
		go_map_unhashable(a->type);
	return a->value ^ seed;
}

static bool
any_equal(const void *a, const void *b, const go_map_type *t)
{
	(void)t;
	return ((const Any *)a)->type == ((const Any *)b)->type &&
	       ((const Any *)a)->value == ((const Any *)b)->value;
}

static const go_map_type any_type = {
    .key_bytes = sizeof(Any),
    .key_align = 8,
    .elem_bytes = 8,
    .elem_align = 8,
    .key_mask = 3,
    .key_kind = GO_MAP_KEY_CALLS,
    .flags = GO_MAP_HASH_PANICS,
    .hash = any_hash,
    .equal = any_equal,
};
static const Any an_int = {&int_type, 5}, a_slice = {&slice_type, 5}, nameless = {NULL, 5};

static int
any_get_empty(void *unused)
{
	(void)unused;
	(void)go_map_raw_get(&any_type, go_map_raw_new(&any_type, 0), &a_slice);
	return 0;
}

static int
any_get_nil(void *unused)
{
	(void)unused;
	expect(go_map_raw_get(&any_type, NULL, &an_int) == NULL);
	(void)go_map_raw_get(&any_type, NULL, &a_slice);
	return 0;
}

static int
any_del_nil(void *unused)
{
	(void)unused;
	expect(!go_map_raw_delete(&any_type, NULL, &an_int));
	(void)go_map_raw_delete(&any_type, NULL, &nameless);
	return 0;
}

static int
any_del(void *unused)
{
	(void)unused;
	go_map *m = go_map_raw_new(&any_type, 0);
	(void)go_map_raw_assign(&any_type, m, &an_int);
	(void)go_map_raw_delete(&any_type, m, &a_slice);
	return 0;
}

static int
any_put(void *unused)
{
	(void)unused;
	(void)go_map_raw_assign(&any_type, go_map_raw_new(&any_type, 0), &a_slice);
	return 0;
}

static int
any_put_nil(void *unused)
{
	(void)unused;
	(void)go_map_raw_assign(&any_type, NULL, &a_slice);
	return 0;
}

DEATH(map_any_get_empty)
{
	go_run(any_get_empty, NULL);
}

DEATH(map_any_get_nil)
{
	go_run(any_get_nil, NULL);
}

DEATH(map_any_del_nil)
{
	go_run(any_del_nil, NULL);
}

DEATH(map_any_del)
{
	go_run(any_del, NULL);
}

DEATH(map_any_put)
{
	go_run(any_put, NULL);
}

DEATH(map_any_put_nil)
{
	go_run(any_put_nil, NULL);
}

#define UNHASHABLE "panic: runtime error: hash of unhashable type "

void
test_fatal_map_unhashable(void)
{
	expect_death(map_any_get_empty, .status = 2, .err = UNHASHABLE "[]int\n");
	expect_death(map_any_get_nil, .status = 2, .err = UNHASHABLE "[]int\n");
	expect_death(map_any_del, .status = 2, .err = UNHASHABLE "[]int\n");
	expect_death(map_any_del_nil, .status = 2, .err = UNHASHABLE "without a name\n");
	expect_death(map_any_put, .status = 2, .err = UNHASHABLE "[]int\n");
	expect_death(map_any_put_nil, .status = 2,
		     .err = "panic: assignment to entry in nil map\n");
}

// --- threads that the runtime has not seen -------------------------------------------------------

typedef GO_MAP(int, int) Numbers;

static Numbers numbers;

static void *
bare_reader(void *unused)
{
	(void)unused;
	while (test_now_ns() != 0)
		for (int i = 0; i < 100; i++)
			(void)go_map_has(numbers, i);
	return NULL;
}

static void *
bare_writer(void *unused)
{
	(void)unused;
	while (test_now_ns() != 0)
		for (int i = 0; i < 100; i++)
			go_map_put(numbers, i, i);
	return NULL;
}

static int
write_for_ever(void *thread)
{
	pthread_t p;
	expect_eq(pthread_create(&p, NULL, (void *(*)(void *))(uintptr_t)thread, NULL), 0);
	for (int i = 0; test_now_ns() != 0; i++) {
		go_map_put(numbers, i % 100, i);
		if (i % 1000 == 0)
			go_yield();
	}
	return 0;
}

DEATH(map_bare_reader)
{
	expect_eq(go_map_init(numbers, 100), 0);
	go_run(write_for_ever, (void *)(uintptr_t)bare_reader);
}

DEATH(map_bare_writer)
{
	expect_eq(go_map_init(numbers, 100), 0);
	go_run(write_for_ever, (void *)(uintptr_t)bare_writer);
}

void
test_fatal_map_bare_thread(void)
{
	static ChildEnd end;
	char *env[] = {(char *)(uintptr_t)"GODEBUG=mapcheck=1", NULL};
	child_run(&end, "map_bare_reader", env, 20000);
	expect_eq(end.status, 2);
	expect(strncmp(end.text, READS, strlen(READS)) == 0);
	child_run(&end, "map_bare_writer", env, 20000);
	expect_eq(end.status, 2);
	expect(strncmp(end.text, WRITES, strlen(WRITES)) == 0);
}
