// SPDX-License-Identifier: BSD-3-Clause
// Maps without memory: at each of the allocations of an operation there is none, and the map is as
// it was. Hashes that are all alike, and hints that are too large.
#include "map/map_impl.h"
#include "map_kinds.h"

// --- none at some point --------------------------------------------------------------------------

static void
expect_ids(const KeyKind *kind, const Map *m, uint32_t n)
{
	AnyKey k;
	map_verify(&kind->type, m);
	expect_eq(map_len(m), n);
	for (uint32_t id = 0; id < n; id += n / 50 + 1) {
		kind->make(&k, id);
		uint32_t *elem = map_get(&kind->type, m, &k);
		expect(elem != NULL);
		expect_eq(*elem, id);
	}
	kind->make(&k, n);
	expect(map_get(&kind->type, m, &k) == NULL);
}

// Assigns the n-th, while the first, second, third... allocation fails, until it does not.
static uint32_t
assign_failing(const KeyKind *kind, Map *m, uint32_t n)
{
	AnyKey k;
	uint32_t failed = 0;
	kind->make(&k, n);
	for (uint32_t at = 1;; at++) {
		store_rlx(&map_memory_ends, at);
		uint32_t *elem = map_assign(&kind->type, m, &k);
		store_rlx(&map_memory_ends, 0);
		if (elem != NULL) {
			*elem = n;
			return failed;
		}
		failed++;
		expect_ids(kind, m, n);
	}
}

GO_TEST(map_no_memory, 1)
{
	for (int i = 0; i < KEY_KINDS; i++) {
		const KeyKind *kind = &key_kinds[i];
		uint32_t failed = 0, most = 0, ids = (uint32_t)test_scale(4000);
		Map *m = map_new(&kind->type, 0);
		for (uint32_t n = 0; n < ids; n++) {
			uint32_t f = assign_failing(kind, m, n);
			failed += f;
			most = f > most ? f : most;
		}
		expect_ids(kind, m, ids);
		bool many = ids >= 4000; // fewer where tests are slow
		expect(failed > (many ? 5 : 2) && most >= (many ? 2 : 1));
		for (uint32_t n = ids - 1; n > 0; n--) { // shrinking waits for memory
			AnyKey k;
			kind->make(&k, n);
			store_rlx(&map_memory_ends, n % 4);
			expect(map_delete(&kind->type, m, &k));
			bool refused = n % 4 != 0 && load_rlx(&map_memory_ends) == 0;
			store_rlx(&map_memory_ends, 0);
			if (n % 256 == 0 || (refused && n % 8 < 4))
				expect_ids(kind, m, n);
		}
	}
}

// A map as it is made, and a copy: there is none, or all of it, and what is copied stays as it is.
static void
make_failing(const KeyKind *kind, const Map *m, uint32_t ids)
{
	Map *made = NULL;
	uint32_t at = 1, step = 1;
	for (; made == NULL; at += step) {
		store_rlx(&map_memory_ends, at);
		made = m != NULL ? map_clone(&kind->type, m) : map_new(&kind->type, ids);
		uint32_t left = load_rlx(&map_memory_ends);
		store_rlx(&map_memory_ends, 0);
		expect((made == NULL) == (left == 0));
		if (m != NULL)
			expect_ids(kind, m, ids);
		step = 1 + at / 16; // each of the first, then some
	}
	expect(at > 2);
	expect_ids(kind, made, m != NULL ? ids : 0);
}

GO_TEST(map_no_memory_to_make, 1)
{
	for (int i = 0; i < KEY_KINDS; i++) {
		static const uint32_t ids[] = {1, 20, 300, 3000};
		for (size_t j = 0; j < sizeof(ids) / sizeof(ids[0]); j++) {
			AnyKey k;
			Map *m = map_new(&key_kinds[i].type, 0);
			for (uint32_t n = 0; n < ids[j]; n++) {
				key_kinds[i].make(&k, n);
				memcpy(map_assign(&key_kinds[i].type, m, &k), &n, sizeof(n));
			}
			make_failing(&key_kinds[i], m, ids[j]);
			make_failing(&key_kinds[i], NULL, ids[j]);
		}
	}
}

// What looks, and what clears, asks for none.
GO_TEST(map_no_memory_needed, 1)
{
	for (int i = 0; i < KEY_KINDS; i++) {
		const KeyKind *kind = &key_kinds[i];
		AnyKey k;
		MapIter it;
		uint32_t met = 0;
		Map *m = map_new(&kind->type, 0);
		for (uint32_t n = 0; n < 2000; n++) {
			kind->make(&k, n);
			memcpy(map_assign(&kind->type, m, &k), &n, sizeof(n));
		}
		store_rlx(&map_memory_ends, 1);
		for (map_iter_begin(&kind->type, m, &it); it.key != NULL; map_iter_next(&it))
			met++;
		expect_ids(kind, m, 2000);
		map_clear(&kind->type, m);
		expect_eq(load_rlx(&map_memory_ends), 1);
		store_rlx(&map_memory_ends, 0);
		expect_eq(met, 2000);
		expect_ids(kind, m, 0);
	}
}

// --- poor hashes ---------------------------------------------------------------------------------

static uint64_t
same_hash(const void *key, uint64_t seed, const MapType *t)
{
	(void)key;
	(void)seed;
	(void)t;
	return 7;
}

static bool
same_equal(const void *a, const void *b, const MapType *t)
{
	(void)t;
	return memcmp(a, b, sizeof(uint32_t)) == 0;
}

static const MapType alike = {
    .key_bytes = 4,
    .key_align = 4,
    .elem_bytes = 4,
    .elem_align = 4,
    .key_kind = GO_MAP_KEY_CALLS,
    .hash = same_hash,
    .equal = same_equal,
};

// Slow, but right, and no larger than need be.
GO_TEST(map_nothing_alike, 1)
{
	const MapType t = alike;
	Map *m = map_new(&t, 0);
	enum { KEYS = 3000 };
	for (uint32_t i = 0; i < KEYS; i++)
		*(uint32_t *)map_assign(&t, m, &i) = i;
	map_verify(&t, m);
	expect((size_t)m->groups * m->tables * GROUP_SLOTS < 64 * KEYS);
	for (uint32_t i = 0; i < KEYS; i++)
		expect_eq(*(uint32_t *)map_get(&t, m, &i), i);
	for (uint32_t i = 0; i < KEYS; i++)
		expect(map_delete(&t, m, &i));
	expect_eq(map_len(m), 0);
}

// All tables at once become larger: none of them does when there is not memory for each.
GO_TEST(map_no_memory_for_all, 1)
{
	Map *m = map_new(&alike, 0);
	uint32_t refused = 0;
	for (uint32_t i = 0; i < 700; i++) {
		uint32_t *elem = NULL;
		for (uint32_t at = 1; elem == NULL; at++) {
			store_rlx(&map_memory_ends, at);
			elem = map_assign(&alike, m, &i);
			store_rlx(&map_memory_ends, 0);
			if (elem != NULL)
				break;
			refused++;
			map_verify(&alike, m);
			expect_eq(map_len(m), i);
			for (uint32_t j = i / 2; j < i; j += 97)
				expect_eq(*(uint32_t *)map_get(&alike, m, &j), j);
		}
		*elem = i;
	}
	map_verify(&alike, m);
	expect(refused > 10);
}

GO_TEST(map_huge_hint, 1)
{
	static const size_t hints[] = {9, 100, 800, 900, 1000, 5000, 100000, 1000000};
	const MapType *t = &key_kinds[1].type;
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		Map *m = map_new(t, hints[i]);
		size_t slots = m->tables * m->groups * GROUP_SLOTS;
		expect(slots >= hints[i] && slots <= hints[i] * 3 + 64);
		map_verify(t, m);
	}
}

// So many entries come without tables being replaced, but for a few: hashes are by chance.
GO_TEST(map_hint_holds, 1)
{
	enum { MAPS = 120, PART = 8 };
	static const size_t hints[] = {9, 50, 200, 700, 2000, 5000, 50000};
	const MapType *t = &key_kinds[1].type;
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		size_t more = 0, tables = 1, larger = 0;
		for (int j = 0; j < MAPS; j++) {
			Map *m = map_new(t, hints[i]);
			map_assign_64(t, m, 0);
			tables = m->tables;
			uint32_t groups = m->groups;
			for (uint64_t n = 1; n < hints[i]; n++)
				map_assign_64(t, m, n);
			more += m->tables - tables;
			larger += m->groups != groups;
		}
		expect(more <= MAPS * (1 + tables / PART));
		expect(larger <= MAPS / PART);
	}
}

// The largest tables of slots of any size have their own size class, or one that is little smaller,
// and all of it.
GO_TEST(map_tables_fit, 1)
{
	enum { LEAST = 14336 };
#ifdef UNDERGO_STRESS
	skip("tables are small in the stress build");
#endif
	for (uint32_t bytes = 8; bytes <= APART_BYTES; bytes += 8) {
		MapType t = {SIZES(8, 8, bytes, 8), .key_kind = GO_MAP_KEY_64};
		const Map *m = map_new(&t, 10000);
		uint32_t groups = layout_groups_most(m);
		size_t class = class_size[size_class(layout_bytes(m, groups))];
		expect(class >= LEAST && class <= CLASS_TABLE_BYTES);
		expect(layout_bytes(m, groups + 1) > class);
		expect(m->groups <= groups);
	}
}

// More than there are addresses is no hint, as in Go.
GO_TEST(map_absurd_hint, 1)
{
	static const size_t hints[] = {SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX / 64, (size_t)1 << 47};
	for (int i = 0; i < KEY_KINDS; i++) {
		for (size_t j = 0; j < sizeof(hints) / sizeof(hints[0]); j++) {
			AnyKey k;
			Map *m = map_new(&key_kinds[i].type, hints[j]);
			expect(m != NULL && m->tables <= 1);
			key_kinds[i].make(&k, 1);
			expect(map_assign(&key_kinds[i].type, m, &k) != NULL);
			map_verify(&key_kinds[i].type, m);
		}
	}
}

static int64_t
heap_bytes(void)
{
	go_heap_stats st;
	go_heap_stats_read(&st);
	return (int64_t)st.memory_bytes;
}

// Fewer addresses, but more than the machine has, or the program allows: none of it is taken.
GO_TEST(map_hint_beyond_memory, 1)
{
	const MapType *t = &key_kinds[1].type;
	int64_t most = 16 << 20, before;
	expect(map_new(t, 1000) != NULL);
	before = heap_bytes();
	for (int bits = 41; bits < 43; bits++)
		expect(map_new(t, (size_t)1 << bits) == NULL);
	expect(heap_bytes() < before + most);
	int64_t max = go_set_memory_max(before + 4 * most);
	expect(map_new(t, (size_t)32 << 20) == NULL);
	expect(heap_bytes() < before + most);
	(void)go_set_memory_max(max);
	expect(map_new(t, 100000) != NULL);
}

// A map that is emptied does not make all the room of its hint again.
GO_TEST(map_hint_is_had_once, 1)
{
	AnyKey k;
	const KeyKind *kind = &key_kinds[1];
	for (int cleared = 0; cleared < 2; cleared++) {
		Map *m = map_new(&kind->type, 100000);
		for (uint32_t i = 0; i < 2; i++) {
			kind->make(&k, i);
			expect(map_assign(&kind->type, m, &k) != NULL);
			expect(i == 0 ? m->tables > 1 : m->tables == 1);
			if (cleared)
				map_clear(&kind->type, m);
			else
				expect(map_delete(&kind->type, m, &k));
		}
	}
}

// The first two tables are not kept alive when they are the map's no more.
GO_TEST(map_first_tables_go, 1)
{
	AnyKey k;
	const KeyKind *kind = &key_kinds[1];
	Map *m = map_new(&kind->type, 0);
	for (uint32_t i = 0; m->dir == m->one || m->tables == 0; i++) {
		kind->make(&k, i);
		expect(map_assign(&kind->type, m, &k) != NULL);
	}
	expect(m->one[0] == dir_empty[0] && m->one[1] == dir_empty[0]);
}
