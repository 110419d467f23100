// SPDX-License-Identifier: BSD-3-Clause
// A map of constant size whose keys come and go: what was deleted does not make searches long.
#include "goroutines.h"
#include "map/map_impl.h"

typedef GO_MAP(uint64_t, uint64_t) Words;

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
	static const MapType type = {.key_kind = GO_MAP_KEY_64,
				     .key_bytes = 8,
				     .key_align = 8,
				     .elem_bytes = 8,
				     .elem_align = 8};
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
