// SPDX-License-Identifier: BSD-3-Clause
// Each place where a map finds out that somebody else changes it: with the mark set by hand before,
// or by a key's function, or in an allocation; with the mark taken away; with the tables gone; with
// the map changed while it asks for memory. A place that does not look lets the program end with
// another status. And who is named with GODEBUG=mapcheck=1.
#include "goroutines.h"
#include "map/map_impl.h"

typedef struct Pair {
	int32_t a, b, c;
} Pair;
typedef GO_MAP(uint32_t, uint32_t) Halves;
typedef GO_MAP(uint64_t, Pair) Unusual;
typedef GO_MAP(uint64_t, uint64_t) Words;
typedef GO_MAP(go_bytes, uint64_t) Texts;
typedef GO_MAP(Pair, int) Pairs;

#define WRITES "fatal error: concurrent map writes\n"
#define ITERATION_WRITE "fatal error: concurrent map iteration and map write\n"
#define CLONE_WRITE "fatal error: concurrent map clone and map write\n"
#define SOME ((go_bytes){"key", 3})
#define SECOND ((go_bytes){"another", 7})

enum { STATUS_CALLED = 3 };

static Map *map;

static void
mark(void)
{
	store_rlx(&map->writer, sched_g()); // order: own
}

static bool
is_marked(void)
{
	return map != NULL && load_rlx(&map->writer) != NULL; // order: own
}

// --- keys with functions -------------------------------------------------------------------------

static bool marks;   // the hash function does
static bool changed; // the map, in an allocation

static uint64_t
call_hash(const void *key, uint64_t seed, const MapType *t)
{
	(void)seed;
	(void)t;
	if (is_marked() || changed)
		_exit(STATUS_CALLED); // somebody should have looked before
	if (marks)
		mark();
	return *(const uint32_t *)key;
}

static uint64_t
same_hash(const void *key, uint64_t seed, const MapType *t)
{
	(void)key;
	(void)seed;
	(void)t;
	if (changed)
		_exit(STATUS_CALLED);
	return 7;
}

static bool
call_equal(const void *a, const void *b, const MapType *t)
{
	(void)t;
	return *(const uint32_t *)a == *(const uint32_t *)b;
}

#define CALLS(hash_function)                                                  \
	{                                                                     \
		.key_bytes = 4, .key_align = 4, .elem_bytes = 4, .elem_align = 4, \
		.key_kind = GO_MAP_KEY_CALLS, .hash = hash_function, .equal = call_equal, \
	}
static const MapType calls = CALLS(call_hash), alike = CALLS(same_hash);

static void
put_call(const MapType *t, uint32_t key)
{
	(void)map_assign(t, map, &key);
}

static void
del_call(const MapType *t, uint32_t key)
{
	(void)map_delete(t, map, &key);
}

static void
new_call(const MapType *t, uint32_t n)
{
	Map *m = map_new(NULL, 0);
	for (uint32_t i = 0; i < n; i++)
		(void)map_assign(t, m, &i);
	map = m;
}

// --- a mark that is there ------------------------------------------------------------------------

#define ADD(m, key) (void)go_map_at(m, key)
#define NEW(m, key)             \
	(void)go_map_init(m, 0); \
	ADD(m, key);            \
	map = (m).map
#define EMPTY(m)                \
	(void)go_map_init(m, 0); \
	map = (m).map

// A program that makes a map, has it marked, and uses it.
#define MARKED(name, type, make, use)   \
	static int name##_body(void *unused) \
	{                               \
		type m;                 \
		(void)unused;           \
		make;                   \
		mark();                 \
		use;                    \
		return 0;               \
	}                               \
	DEATH(name)                     \
	{                               \
		(void)go_run(name##_body, NULL); \
	}

static const Pair pair = {1, 2, 3};

MARKED(marked_put_32, Halves, NEW(m, 1), (void)go_map_at(m, 1))
MARKED(marked_put_64, Words, NEW(m, 1), (void)go_map_at(m, 2))
MARKED(marked_put_unusual, Unusual, NEW(m, 1), (void)go_map_at(m, 2))
MARKED(marked_put_first, Unusual, m.map = map = map_new(NULL, 0), (void)go_map_at(m, 2))
MARKED(marked_put_text, Texts, NEW(m, SOME), (void)go_map_at(m, SOME))
MARKED(marked_put_bytes, Pairs, NEW(m, pair), (void)go_map_at(m, pair))
MARKED(marked_del_32, Halves, NEW(m, 1); ADD(m, 2), go_map_del(m, 1))
MARKED(marked_del_64, Words, NEW(m, 1); ADD(m, 2), go_map_del(m, 2))
MARKED(marked_del_unusual, Unusual, NEW(m, 1), go_map_del(m, 1))
MARKED(marked_del_text, Texts, NEW(m, SOME); ADD(m, SECOND), go_map_del(m, SOME))
MARKED(marked_del_last, Words, NEW(m, 1), go_map_del(m, 1))
MARKED(marked_del_bytes, Pairs, NEW(m, pair), go_map_del(m, pair))
MARKED(marked_del_empty, Words, EMPTY(m), go_map_del(m, 1))
MARKED(marked_clear, Words, NEW(m, 1), go_map_clear(m))
MARKED(marked_copy, Words, NEW(m, 1), Words other; (void)go_map_copy(other, m))
MARKED(marked_begin, Words, NEW(m, 1), go_map_each(m, it) return 1)
MARKED(marked_put_call, void *, new_call(&calls, 5); m = NULL, (void)m; put_call(&calls, 3))
MARKED(marked_put_call_first, void *, new_call(&calls, 0); m = NULL, (void)m; put_call(&calls, 3))
MARKED(marked_del_call, void *, new_call(&calls, 5); m = NULL, (void)m; del_call(&calls, 3))
MARKED(marked_del_call_empty, void *, new_call(&calls, 0); m = NULL, (void)m; del_call(&calls, 3))

void
test_map_misuse_mark(void)
{
	expect_death(marked_put_32, .status = 2, .err = WRITES);
	expect_death(marked_put_64, .status = 2, .err = WRITES);
	expect_death(marked_put_unusual, .status = 2, .err = WRITES);
	expect_death(marked_put_first, .status = 2, .err = WRITES);
	expect_death(marked_put_text, .status = 2, .err = WRITES);
	expect_death(marked_put_bytes, .status = 2, .err = WRITES);
	expect_death(marked_del_32, .status = 2, .err = WRITES);
	expect_death(marked_del_64, .status = 2, .err = WRITES);
	expect_death(marked_del_unusual, .status = 2, .err = WRITES);
	expect_death(marked_del_text, .status = 2, .err = WRITES);
	expect_death(marked_del_bytes, .status = 2, .err = WRITES);
	expect_death(marked_del_last, .status = 2, .err = WRITES);
	expect_death(marked_del_empty, .status = 2, .err = WRITES);
	expect_death(marked_clear, .status = 2, .err = WRITES);
	expect_death(marked_copy, .status = 2, .err = CLONE_WRITE);
	expect_death(marked_begin, .status = 2, .err = ITERATION_WRITE);
	expect_death(marked_put_call, .status = 2, .err = WRITES);
	expect_death(marked_put_call_first, .status = 2, .err = WRITES);
	expect_death(marked_del_call, .status = 2, .err = WRITES);
	expect_death(marked_del_call_empty, .status = 2, .err = WRITES);
}

// --- a mark that comes while a key's hash is asked for -------------------------------------------

static int
meet_a_mark(uint32_t entries, void (*use)(const MapType *t, uint32_t key))
{
	new_call(&calls, entries);
	marks = true;
	use(&calls, 3);
	return 0;
}

static int
put_by_hash(void *unused)
{
	(void)unused;
	return meet_a_mark(5, put_call);
}

static int
put_first_by_hash(void *unused)
{
	(void)unused;
	return meet_a_mark(0, put_call);
}

static int
del_by_hash(void *unused)
{
	(void)unused;
	return meet_a_mark(5, del_call);
}

DEATH(marked_by_hash_put)
{
	(void)go_run(put_by_hash, NULL);
}

DEATH(marked_by_hash_put_first)
{
	(void)go_run(put_first_by_hash, NULL);
}

DEATH(marked_by_hash_del)
{
	(void)go_run(del_by_hash, NULL);
}

void
test_map_misuse_mark_meanwhile(void)
{
	expect_death(marked_by_hash_put, .status = 2, .err = WRITES);
	expect_death(marked_by_hash_put_first, .status = 2, .err = WRITES);
	expect_death(marked_by_hash_del, .status = 2, .err = WRITES);
}

// --- a count that is too high ------------------------------------------------------------------

// As while another one clears the map: what is put stays within the table all the same.
GO_TEST(map_misuse_stays_inside, 1)
{
	Words m;
	(void)go_map_init(m, 0);
	for (uint64_t i = 0; i < GROUP_SLOTS; i++)
		go_map_put(m, i, i);
	char *table = m.map->one[0];
	memset(ctrl_of(table, 0), CTRL_EMPTY, GROUP_SLOTS);
	char *elem = (char *)go_map_at(m, GROUP_SLOTS);
	expect(elem > table && elem < table + layout_bytes(m.map, 1));
}

// --- a mark that is another one in the end -------------------------------------------------------

// There is one P, yet writer and taker may run at the same time: who is outside of the runtime can
// lose the P and goes on without it. So the mark is taken inside, by who has the P for certain, and
// from a writer that waits for it: that one stands between setting its mark and looking for it.

static uint8_t spared; // maps with such a flag
static G *writer;
static bool taken;

static bool
writer_stands_marked(void)
{
	return load_acq(&writer->status) == Grunnable && // order: observe <- finish_switch
	       is_marked() && (map->flags & spared) == 0;
}

static void
take_mark(void *unused)
{
	(void)unused;
	while (!taken) {
		go_yield();
		sched_enter();
		if (writer_stands_marked()) {
			mark();
			taken = true;
		}
		sched_leave();
	}
}

static void
check_map(Map *m)
{
	m->flags |= MAP_CHECKED;
	map = m;
}

// Each lets others run now and then.
static void
try_put(void)
{
	static Words m;
	if (m.map == NULL)
		(void)go_map_init(m, 0);
	check_map(m.map);
	(void)go_map_at(m, 1);
}

static void
try_put_first(void)
{
	Unusual m = {map_new(NULL, 0)};
	check_map(m.map);
	spared = MAP_LAID_OUT;
	(void)go_map_at(m, 1);
}

static void
try_del(void)
{
	static Words m;
	if (m.map == NULL) {
		NEW(m, 1);
	}
	check_map(m.map);
	go_map_del(m, 2);
}

static void
try_clear(void)
{
	static Words m;
	if (m.map == NULL) {
		NEW(m, 1);
	}
	check_map(m.map);
	go_map_clear(m);
}

static void
try_put_call(void)
{
	if (map == NULL)
		new_call(&calls, 5);
	check_map(map);
	put_call(&calls, 3);
}

static void
try_put_call_first(void)
{
	new_call(&calls, 0);
	check_map(map);
	spared = MAP_LAID_OUT;
	put_call(&calls, 3);
}

static void
try_del_call(void)
{
	new_call(&calls, 5);
	check_map(map);
	del_call(&calls, 3);
}

// The use whose mark is taken dies; to return from it is to survive.
static int
lose_mark(void *use)
{
	writer = sched_g();
	(void)go_spawn(take_mark, NULL);
	while (!taken)
		((void (*)(void))(uintptr_t)use)();
	store_rlx(&map->writer, NULL); // order: own
	return 0;
}

#define MARK_LOST(name)                                               \
	DEATH(mark_lost_in_##name)                                    \
	{                                                             \
		setenv("GOMAXPROCS", "1", 1);                         \
		(void)go_run(lose_mark, (void *)(uintptr_t)try_##name); \
	}

MARK_LOST(put)
MARK_LOST(put_first)
MARK_LOST(del)
MARK_LOST(clear)
MARK_LOST(put_call)
MARK_LOST(put_call_first)
MARK_LOST(del_call)

void
test_map_misuse_mark_lost(void)
{
	expect_death(mark_lost_in_put, .status = 2, .err = WRITES);
	expect_death(mark_lost_in_put_first, .status = 2, .err = WRITES);
	expect_death(mark_lost_in_del, .status = 2, .err = WRITES);
	expect_death(mark_lost_in_clear, .status = 2, .err = WRITES);
	expect_death(mark_lost_in_put_call, .status = 2, .err = WRITES);
	expect_death(mark_lost_in_put_call_first, .status = 2, .err = WRITES);
	expect_death(mark_lost_in_del_call, .status = 2, .err = WRITES);
}

static void
in_next_allocation(void (*then)(void))
{
	map_memory_then = then;
	store_rlx(&map_memory_ends, 1);
}

// Without mapcheck: gone while the first table is made.
static void
lose_it(void)
{
	store_rlx(&map->writer, NULL); // order: own
}

#define LOST_FIRST(name, Type, key)                                \
	static int lose_##name(void *unused)                       \
	{                                                          \
		Type m;                                            \
		(void)unused;                                      \
		(void)go_map_init(m, 0);                           \
		map = m.map;                                       \
		in_next_allocation(lose_it);                       \
		(void)go_map_at(m, key);                           \
		return 0;                                          \
	}                                                          \
	DEATH(mark_lost_first_##name)                              \
	{                                                          \
		(void)go_run(lose_##name, NULL);                   \
	}
LOST_FIRST(32, Halves, 1)
LOST_FIRST(64, Words, 1)
LOST_FIRST(text, Texts, SOME)

void
test_map_misuse_mark_lost_first(void)
{
	expect_death(mark_lost_first_32, .status = 2, .err = WRITES);
	expect_death(mark_lost_first_64, .status = 2, .err = WRITES);
	expect_death(mark_lost_first_text, .status = 2, .err = WRITES);
}

// --- tables that another one has taken away ------------------------------------------------------

// As who has looked whether there are tables finds the map that is cleared right after.
static void
lose_tables(void)
{
	map->dir = (char **)(uintptr_t)dir_empty;
	map->only = map->one[0] = map->one[1] = dir_empty[0];
}

#define CLEARED(name, type, make, use)       \
	static int name##_body(void *unused) \
	{                                    \
		type m;                      \
		(void)unused;                \
		make;                        \
		lose_tables();               \
		use;                         \
		return 0;                    \
	}                                    \
	DEATH(name)                          \
	{                                    \
		(void)go_run(name##_body, NULL); \
	}

typedef struct Wide {
	uint64_t word[APART_BYTES / 4];
} Wide;
typedef GO_MAP(uint64_t, Wide) Wides;

CLEARED(cleared_put_32, Halves, NEW(m, 1), (void)go_map_at(m, 1))
CLEARED(cleared_put_64, Words, NEW(m, 1), (void)go_map_at(m, 2))
CLEARED(cleared_put_text, Texts, NEW(m, SOME), (void)go_map_at(m, SOME))
CLEARED(cleared_put_unusual, Unusual, NEW(m, 1), (void)go_map_at(m, 2))
CLEARED(cleared_put_wide, Wides, NEW(m, 1), (void)go_map_at(m, 2))
CLEARED(cleared_put_bytes, Pairs, NEW(m, pair), (void)go_map_at(m, pair))
CLEARED(cleared_put_call, void *, new_call(&calls, 5); m = NULL, (void)m; put_call(&calls, 3))
CLEARED(cleared_clear, Words, NEW(m, 1), go_map_clear(m))

// An entry whose element, which lies apart, is being wiped.
static int
wiped_copy_body(void *unused)
{
	Wides m, other;
	(void)unused;
	NEW(m, 1);
	char *slot = slot_at(map, map->one[0], 0, 0);
	*(char **)(void *)(slot + map->elem_at) = NULL;
	(void)go_map_copy(other, m);
	return 0;
}

DEATH(wiped_copy)
{
	(void)go_run(wiped_copy_body, NULL);
}

enum { MANY = 10000 };
static Words copied;

// Puts keys until the directory is another one. Who copies has the old one at hand.
static void
grow_directory(void)
{
	uint32_t epoch = map->epoch;
	for (uint64_t i = MANY; map->epoch == epoch; i++)
		go_map_put(copied, i, i);
}

static int
grown_copy_body(void *unused)
{
	enum { SECOND_TABLE = 4 }; // the map, its directory, and the first are allocations before
	Words other;
	(void)unused;
	EMPTY(copied);
	for (uint64_t i = 0; i < MANY; i++)
		go_map_put(copied, i, i);
	in_next_allocation(grow_directory);
	store_rlx(&map_memory_ends, SECOND_TABLE);
	(void)go_map_copy(other, copied);
	return 0;
}

DEATH(grown_copy)
{
	(void)go_run(grown_copy_body, NULL);
}

// The last entry is found before.
static int
cleared_del_body(void *unused)
{
	Words m;
	(void)unused;
	NEW(m, 1);
	char *table = map->only;
	lose_tables();
	map->only = table;
	go_map_del(m, 1);
	return 0;
}

// A copy looks at the map again after its first allocation.
static int
cleared_copy_body(void *unused)
{
	Words m, other;
	(void)unused;
	NEW(m, 1);
	in_next_allocation(lose_tables);
	(void)go_map_copy(other, m);
	return 0;
}

DEATH(cleared_copy)
{
	(void)go_run(cleared_copy_body, NULL);
}

DEATH(cleared_del)
{
	(void)go_run(cleared_del_body, NULL);
}

void
test_map_misuse_cleared(void)
{
	expect_death(cleared_put_32, .status = 2, .err = WRITES);
	expect_death(cleared_put_64, .status = 2, .err = WRITES);
	expect_death(cleared_put_text, .status = 2, .err = WRITES);
	expect_death(cleared_put_unusual, .status = 2, .err = WRITES);
	expect_death(cleared_put_wide, .status = 2, .err = WRITES);
	expect_death(cleared_put_bytes, .status = 2, .err = WRITES);
	expect_death(cleared_put_call, .status = 2, .err = WRITES);
	expect_death(cleared_clear, .status = 2, .err = WRITES);
	expect_death(cleared_del, .status = 2, .err = WRITES);
	expect_death(cleared_copy, .status = 2, .err = CLONE_WRITE);
	expect_death(wiped_copy, .status = 2, .err = CLONE_WRITE);
	expect_death(grown_copy, .status = 2, .err = CLONE_WRITE);
}

// --- a change while the map asks for memory ------------------------------------------------------

static void
change(void)
{
	map->changes++;
	changed = true;
}

// Puts keys until the map has other tables, with the change in the first allocation for them. from:
// keys that are there before.
static int
grow_changed(const MapType *t, uint32_t from)
{
	new_call(t, from);
	size_t tables = map->tables, groups = map->groups;
	in_next_allocation(change);
	for (uint32_t i = from; map->tables == tables && map->groups == groups; i++)
		put_call(t, i);
	return 0;
}

static int
replace_changed(void *unused)
{
	(void)unused;
	return grow_changed(&calls, 5);
}

static int
split_changed(void *unused)
{
	(void)unused;
	return grow_changed(&calls, 10000);
}

// Keys with one hash: all tables become larger.
static int
all_changed(void *unused)
{
	uint32_t n = 1;
	(void)unused;
	new_call(&alike, n);
	for (;; n++) {
		size_t tables = map->tables, groups = map->groups;
		put_call(&alike, n);
		if (tables > 1 && map->tables == tables && map->groups > groups)
			return grow_changed(&alike, n);
	}
}

static int
merge_changed(void *unused)
{
	enum { KEYS = 10000 };
	(void)unused;
	new_call(&calls, KEYS);
	in_next_allocation(change);
	for (uint32_t i = 0; i < KEYS; i++)
		del_call(&calls, i);
	return 0;
}

// The element of a new entry, which lies elsewhere.
static int
apart_changed(void *unused)
{
	MapType t = calls;
	(void)unused;
	t.elem_bytes = 2 * APART_BYTES;
	new_call(&t, 5);
	in_next_allocation(change);
	put_call(&t, 5);
	return 0;
}

static int
copy_marked(void *unused)
{
	Words m, other;
	(void)unused;
	NEW(m, 1);
	in_next_allocation(mark);
	(void)go_map_copy(other, m);
	return 0;
}

DEATH(changed_in_replace)
{
	(void)go_run(replace_changed, NULL);
}

DEATH(changed_in_split)
{
	(void)go_run(split_changed, NULL);
}

DEATH(changed_in_all)
{
	(void)go_run(all_changed, NULL);
}

DEATH(changed_in_apart)
{
	(void)go_run(apart_changed, NULL);
}

DEATH(changed_in_merge)
{
	(void)go_run(merge_changed, NULL);
}

DEATH(marked_in_copy)
{
	(void)go_run(copy_marked, NULL);
}

void
test_map_misuse_in_allocation(void)
{
	expect_death(changed_in_replace, .status = 2, .err = WRITES);
	expect_death(changed_in_split, .status = 2, .err = WRITES);
	expect_death(changed_in_all, .status = 2, .err = WRITES);
	expect_death(changed_in_apart, .status = 2, .err = WRITES);
	expect_death(changed_in_merge, .status = 2, .err = WRITES);
	expect_death(marked_in_copy, .status = 2, .err = CLONE_WRITE);
}

// --- who is named, when maps are checked ---------------------------------------------------------

enum { OTHER = 4711 }; // the number of nobody who is still there

static void
change_as_other(void)
{
	change();
	map->changer = OTHER;
}

static int
put_checked(void (*meanwhile)(void))
{
	MapType t = calls;
	t.elem_bytes = 2 * APART_BYTES;
	new_call(&t, 5);
	check_map(map);
	in_next_allocation(meanwhile);
	put_call(&t, 5);
	return 0;
}

static int
put_beside_other(void *unused)
{
	(void)unused;
	return put_checked(change_as_other);
}

static int
put_beside_unknown(void *unused)
{
	(void)unused;
	return put_checked(change);
}

DEATH(changed_by_other)
{
	(void)go_run(put_beside_other, NULL);
}

DEATH(changed_by_unknown)
{
	(void)go_run(put_beside_unknown, NULL);
}

// Who finds the change has left his own number in the map by then; he is not who is meant.
void
test_map_misuse_names_the_other(void)
{
	expect_death(changed_by_other, .status = 2, .err = WRITES,
		     .err_has = {"runtime: the map was being changed by goroutine 4711\n"});
	expect_death(changed_by_unknown, .status = 2, .err = WRITES,
		     .err_lacks = {"the map was being changed by"});
}
