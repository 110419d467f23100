// SPDX-License-Identifier: BSD-3-Clause
// A map of constant size whose keys come and go: what was deleted does not make searches long.
#include "goroutines.h"
#include "map/map_impl.h"

typedef GO_MAP(uint64_t, uint64_t) Words;

static const MapType type = {.key_kind = GO_MAP_KEY_64,
			     .key_bytes = 8,
			     .key_align = 8,
			     .elem_bytes = 8,
			     .elem_align = 8};

enum { KEYS = 3000, TURNOVERS = 60, LONGEST = 40 };

GO_TEST(map_churn, 1)
{
	Words words;
	expect_eq(go_map_init(words, 0), 0);
	for (uint64_t i = 0; i < KEYS; i++)
		go_map_put(words, i, i);
	uint64_t last = KEYS + (uint64_t)KEYS * (uint64_t)test_scale(TURNOVERS);
	uint32_t longest = 0;
	for (uint64_t i = KEYS; i < last; i++) {
		expect(go_map_del(words, i - KEYS));
		go_map_put(words, i, i);
		uint32_t reach = head_of(table_of(words.map, i << (SEED_BITS - 6)))->reach;
		longest = reach > longest ? reach : longest;
	}
	expect_eq(go_map_len(words), KEYS);
	expect(longest < LONGEST);
	for (uint64_t i = last - KEYS; i < last; i++)
		expect_eq(go_map_get(words, i), i);
}

// In tables that are half full there are not as many deleted slots as would close most groups.
GO_TEST(map_churn_wears_no_table, 1)
{
	enum { FEW = 300, ROOM = 400, MANY = 1 << 17, FEW_GROUPS = 32 };
	Words words;
	expect_eq(go_map_init(words, ROOM), 0);
	const Map *m = (const Map *)(void *)words.map;
	uint32_t most = 0;
	for (uint64_t i = 0; i < MANY; i++) {
		go_map_put(words, i, i);
		if (i >= FEW)
			expect(go_map_del(words, i - FEW));
		for (uint64_t j = 0; j < m->tables; j++) {
			uint32_t dead = head_of(table_of(m, j << (SEED_BITS - 4)))->dead;
			most = dead > most ? dead : most;
		}
	}
	bool few = m->groups < FEW_GROUPS; // in the stress build chance alone fills a table
	expect(most > 0 && (few || most < m->groups * 7 / 2));
	map_verify(&type, m);
}

// What came far from home and is gone makes no search go on for ever: tables are made anew in time.
GO_TEST(map_far_is_forgotten, 1)
{
	enum { FEW = 2700, TABLES = 8, LONGER = 20 };
	Words words;
	expect_eq(go_map_init(words, 0), 0);
	const Map *m = (const Map *)(void *)words.map;
	uint32_t most = 0, before[TABLES] = {0};
	size_t anew = 0;
	for (uint64_t k = 0; k < FEW; k++)
		go_map_put(words, k, k);
	uint64_t last = FEW + (uint64_t)FEW * (uint64_t)test_scale(TURNOVERS);
	uint64_t i = FEW;
	for (; i < last || (anew == 0 && i < LONGER * last); i++) { // by when is chance
		expect(go_map_del(words, i - FEW));
		go_map_put(words, i, i);
		for (uint64_t j = 0; j < TABLES; j++) {
			uint32_t far = head_of(table_of(m, j << (SEED_BITS - 3)))->far;
			anew += far < before[j];
			before[j] = far;
			most = far > most ? far : most;
		}
	}
	expect(anew > 0);
	expect(most <= far_most(m->groups));
	map_verify(&type, m);
	for (uint64_t k = i - FEW; k < i; k++) {
		expect(!go_map_has(words, k - FEW));
		expect_eq(go_map_get(words, k), k);
	}
}

// The next number from *k on that belongs into this group of a map of one table.
static uint64_t
next_of_home(const Map *m, uint32_t home, uint64_t *k)
{
	while (group_of(hash_word(*k, m->seed, m->factor), m->homes) != home)
		++*k;
	return (*k)++;
}

// Of one group's keys two are beyond the one behind it, of which one goes before another comes:
// never none, and no slot is left as deleted. All that counts these bits is Head.far.
GO_TEST(map_far_is_counted, 1)
{
	enum { ROOM = 24, HOME = 2, NEAR = 2 * GROUP_SLOTS, TURNS = 500 };
	Words words;
	expect_eq(go_map_init(words, ROOM), 0);
	const Map *m = (const Map *)(void *)words.map;
	uint64_t k = 0, far[2], anew = 0;
	const char *table = m->dir[0];
	uint32_t groups = m->groups;
	expect(m->tables == 1 && groups > HOME + 3);
	for (int i = 0; i < NEAR; i++)
		go_map_put(words, next_of_home(m, HOME, &k), 0);
	for (int i = 0; i < 2; i++)
		go_map_put(words, far[i] = next_of_home(m, HOME, &k), 0);
	expect_eq(head_of(m->dir[0])->over, 2);
	for (int i = 0; i < TURNS; i++) {
		expect(go_map_del(words, far[i % 2]));
		expect(!go_map_has(words, far[i % 2]));
		expect(go_map_has(words, far[1 - i % 2]));
		go_map_put(words, far[i % 2] = next_of_home(m, HOME, &k), 0);
		expect(head_of(m->dir[0])->far <= far_most(groups));
		anew += m->dir[0] != table;
		table = m->dir[0];
	}
	expect(anew >= TURNS / far_most(groups) && m->groups == groups);
	expect_eq(head_of(m->dir[0])->over, 2);
	map_verify(&type, m);
	head_of(m->dir[0])->far = UINT32_MAX;
	far_add(m->dir[0], m->slots_at, HOME, 0, 2);
	expect_eq(head_of(m->dir[0])->far, UINT32_MAX);
}

// Without its bit a key beyond both of its groups is not looked for, out of line either.
GO_TEST(map_far_bits_are_asked, 1)
{
	enum { ROOM = 24, HOME = 1, KEYS_OF_HOME = 2 * GROUP_SLOTS + 1 };
	typedef struct Three {
		uint32_t a, b, c;
	} Three;
	static const MapType threes = {.key_kind = GO_MAP_KEY_BYTES,
				       .key_bytes = sizeof(Three),
				       .key_align = 4,
				       .elem_bytes = 4,
				       .elem_align = 4};
	Map *m = map_new(&threes, ROOM);
	Three k = {0, 1, 2};
	for (int n = 0; n < KEYS_OF_HOME; k.a++) {
		uint64_t hash = hash_bytes((const char *)&k, sizeof(k), m->seed, m->factor);
		if (group_of(hash, m->homes) != HOME)
			continue;
		expect(map_assign(&threes, m, &k) != NULL);
		n++;
	}
	k.a--;
	expect_eq(head_of(m->dir[0])->over, 1);
	expect(map_get(&threes, m, &k) != NULL);
	expect_eq(head_of(m->dir[0])->reach, 2);
	head_of(m->dir[0])->reach = 1; // nor further than any has come
	expect(map_get(&threes, m, &k) == NULL);
	head_of(m->dir[0])->reach = REACH_MOST;
	expect(map_get(&threes, m, &k) != NULL);
	uint32_t n = far_bytes((uint32_t)m->homes);
	memset(m->dir[0] + m->slots_at - n, 0, n);
	expect(map_get(&threes, m, &k) == NULL);
	expect(!map_delete(&threes, m, &k));
}

// Entries of a table are counted 255 groups at a time.
GO_TEST(map_of_many_groups, 1)
{
	enum { MANY = 255, N = 30000, SOME = 300 };
	static const MapType halves = {
	    .key_kind = GO_MAP_KEY_BYTES, .key_bytes = 2, .key_align = 2, .elem_align = 1};
	Map *m = map_new(&halves, 0);
	for (uint16_t k = 0; k < N; k++)
		expect(map_assign(&halves, m, &k) != NULL);
#ifndef UNDERGO_STRESS
	expect(m->groups > MANY);
#endif
	map_verify(&halves, m);
	for (uint16_t k = 0; k < N; k++)
		expect(k % SOME == 0 || map_delete(&halves, m, &k));
	map_verify(&halves, m);
	expect_eq(map_len(m), N / SOME);
}

// A directory of which each table has few slots, so that some are split again while others have not
// been at all, is copied ahead as well: an insert copies a piece of it at most.
GO_TEST(map_directory_is_copied_ahead, 1)
{
	enum { LONG = 1024, PIECE = 32, DIRECTORIES = 2 };
	typedef GO_MAP(uint64_t, struct { uint64_t w[15]; }) Wide;
	Wide wide;
#ifdef UNDERGO_STRESS
	skip("directories are long in other builds");
#endif
	expect_eq(go_map_init(wide, 0), 0);
	const Map *m = (const Map *)(void *)wide.map;
	int doubled = 0;
	for (uint64_t i = 0; doubled < DIRECTORIES; i++) {
		uint32_t bits = dir_bits(m);
		size_t done = m->next_dir != NULL ? m->next_done : 0, n = (size_t)1 << bits;
		memset(go_map_at(wide, i), 1, sizeof(*wide.elem_type_));
		if (n < LONG || dir_bits(m) == bits)
			continue;
		expect(done + PIECE >= n);
		doubled++;
	}
}
