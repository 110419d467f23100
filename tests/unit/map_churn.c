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

enum { KEYS = 3000, TURNOVERS = 60, LOOKS = 64, LONGEST = 40 };

// Of a table: the groups beside each other that have no empty slot.
static uint32_t
longest_closed(const Map *m, const char *table)
{
	uint32_t longest = 0, closed = 0;
	for (uint32_t g = 0; g < m->groups; g++) {
		const char *ctrl = table + sizeof(Head) + (size_t)g * GROUP_SLOTS;
		closed = memchr(ctrl, CTRL_EMPTY, GROUP_SLOTS) == NULL ? closed + 1 : 0;
		longest = closed > longest ? closed : longest;
	}
	return longest;
}

GO_TEST(map_churn, 1)
{
	Words words;
	expect_eq(go_map_init(words, 0), 0);
	for (uint64_t i = 0; i < KEYS; i++)
		go_map_put(words, i, i);
	uint64_t last = KEYS + (uint64_t)KEYS * (uint64_t)test_scale(TURNOVERS);
	for (uint64_t i = KEYS; i < last; i++) {
		expect(go_map_del(words, i - KEYS));
		go_map_put(words, i, i);
	}
	expect_eq(go_map_len(words), KEYS);
	for (uint64_t i = 0; i < LOOKS; i++)
		expect(longest_closed(words.map, table_of(words.map, i << 58)) < LONGEST);
	for (uint64_t i = last - KEYS; i < last; i++)
		expect_eq(go_map_get(words, i), i);
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

// Of one group's keys three at most are beyond the one behind it, one of which goes as another
// comes: never none, and no slot is left as deleted. All that counts these bits is Head.far.
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
