// SPDX-License-Identifier: BSD-3-Clause
// Tables fill to nine of ten slots: entries make room for others, and few are far from home. What
// that costs in bytes, and that nobody is lost or met twice.
#include "goroutines.h"
#include "map/map_impl.h"

typedef GO_MAP(uint64_t, uint64_t) Words;

static const MapType type = {.key_kind = GO_MAP_KEY_64,
			     .key_bytes = 8,
			     .key_align = 8,
			     .elem_bytes = 8,
			     .elem_align = 8};

enum { ROOM = 24, STRESS_TABLES = TABLE_BYTES < 4096 };

static const Map *
words_new(Words *words, size_t room)
{
	expect_eq(go_map_init(*words, room), 0);
	return (const Map *)(void *)words->map;
}

static Head *
head_at(const Map *m)
{
	return head_of(m->dir[0]);
}

// Puts one more key of a home: the next number from *k on.
static void
put_of_home(Words words, uint32_t home, uint64_t *k)
{
	const Map *m = (const Map *)(void *)words.map;
	while (group_of(hash_word(*k, m->seed, m->factor), m->homes) != home)
		++*k;
	go_map_put(words, *k, ~*k);
	++*k;
}

static bool
is_full(const Map *m, uint32_t g)
{
	return match_free(ctrl_read(ctrl_of(m->dir[0], g))) == 0;
}

static void
expect_all(Words words, uint64_t end)
{
	uint64_t n = 0;
	for (uint64_t k = 0; k < end; k++) {
		const uint64_t *elem = go_map_find(words, k);
		n += elem != NULL;
		expect(elem == NULL || *elem == ~k);
	}
	expect_eq(n, go_map_len(words));
	map_verify(&type, (const Map *)(void *)words.map);
}

// To the right: those who are at home in the group behind go one further.
GO_TEST(map_room_to_the_right, 1)
{
	Words words;
	const Map *m = words_new(&words, ROOM);
	uint64_t k = 0;
	expect(m->groups > 4 && m->tables == 1);
	while (!is_full(m, 0) || !is_full(m, 1)) {
		put_of_home(words, 0, &k);
		put_of_home(words, 1, &k);
	}
	expect(!is_full(m, 2));
	expect_eq(head_at(m)->over, 0);
	put_of_home(words, 0, &k);
	expect_eq(head_at(m)->over, 0);
	expect_eq(head_at(m)->dead, 0);
	expect_all(words, k);
}

// To the left: of the last home and the group behind those go home who were in the first of them.
GO_TEST(map_room_to_the_left, 1)
{
	Words words;
	const Map *m = words_new(&words, ROOM);
	uint64_t k = 0;
	uint32_t last = (uint32_t)m->homes - 1;
	for (int i = 0; i <= GROUP_SLOTS; i++)
		put_of_home(words, last - 1, &k);
	expect(go_map_del(words, hash_read8(slot_at(m, m->dir[0], last - 1, 0))));
	while (!is_full(m, last) || !is_full(m, last + 1))
		put_of_home(words, last, &k);
	expect(!is_full(m, last - 1));
	expect_eq(head_at(m)->over, 0);
	put_of_home(words, last, &k);
	expect_eq(head_at(m)->over, 0);
	expect_all(words, k);
}

// A slot that was deleted is as good, and is counted no more.
GO_TEST(map_room_that_was_deleted, 1)
{
	Words words;
	const Map *m = words_new(&words, ROOM);
	uint64_t k = 0, of_last = 0;
	while (!is_full(m, 0) || !is_full(m, 1) || !is_full(m, 2)) {
		for (uint32_t home = 0; home < 3; home++)
			if (!is_full(m, home))
				put_of_home(words, home, &k);
	}
	while (head_at(m)->dead == 0) { // in the third group
		const char *slot = slot_at(m, m->dir[0], 2, (uint32_t)of_last++);
		expect(go_map_del(words, hash_read8(slot)));
	}
	expect_eq(head_at(m)->over, 0);
	put_of_home(words, 0, &k);
	expect_eq(head_at(m)->over, 0);
	expect_eq(head_at(m)->dead, 0);
	expect_all(words, k);
}

// How often room was made for an entry that there was no memory for.
static uint32_t
rooms_for_nobody(const MapType *t, size_t bytes, uint64_t most)
{
	Map *m = map_new(t, most / 2);
	uint32_t freed = 0;
	const char *table = m->dir[0];
	for (uint64_t k = 0; m->dir[0] == table && k < most; k++) {
		uint32_t dead = head_at(m)->dead;
		store_rlx(&map_memory_ends, 1);
		void *elem = map_assign(t, m, &k); // or it was the next directory's
		store_rlx(&map_memory_ends, 0);
		freed += elem == NULL && head_at(m)->dead > dead;
		map_verify(t, m);
		expect_eq(map_len(m), k + (elem != NULL));
		elem = map_assign(t, m, &k);
		expect(elem != NULL);
		memset(elem, 1, bytes);
		expect(map_get(t, m, &k) == elem);
	}
	return freed;
}

// No memory for what lies apart of an entry that room was made for: there is a deleted slot.
GO_TEST(map_room_for_nobody, 1)
{
	enum { LARGE = APART_BYTES + 8, MOST = 400, MAPS = 100 };
	static const MapType large = {.key_kind = GO_MAP_KEY_64,
				      .key_bytes = 8,
				      .key_align = 8,
				      .elem_bytes = LARGE,
				      .elem_align = 8};
	int i = 0;
	while (rooms_for_nobody(&large, LARGE, MOST) == 0) // that is chance
		expect(++i < MAPS);
}

// The key that is given lies in an entry near its home, which may move for it.
GO_TEST(map_room_for_a_key_in_the_map, 1)
{
	enum { N = 4000, BYTES = 12 };
	typedef struct Three {
		uint32_t a, b, c;
	} Three;
	static const MapType threes = {.key_kind = GO_MAP_KEY_BYTES,
				       .key_bytes = BYTES,
				       .key_align = 4,
				       .elem_bytes = BYTES,
				       .elem_align = 4};
	Map *m = map_new(&threes, 100);
	for (uint32_t i = 0; i < N; i++) {
		Three k = {i, ~i, i * 3};
		uint64_t hash = hash_bytes((const char *)&k, BYTES, m->seed, m->factor);
		uint32_t g = group_of(hash, m->homes) + i % 2;
		char *table = table_of(m, hash), *key = (char *)&k;
		uint32_t slot = i / 2 % GROUP_SLOTS;
		if ((uint8_t)ctrl_of(table, g)[slot] >= CTRL_FULL) {
			key = slot_at(m, table, g, slot) + m->elem_at;
			memcpy(key, &k, BYTES);
		}
		expect(map_assign(&threes, m, key) != NULL);
	}
	expect_eq(map_len(m), N);
	for (uint32_t i = 0; i < N; i++)
		expect(map_get(&threes, m, &(Three){i, ~i, i * 3}) != NULL);
}

// An iterator is in the only table while it fills up, and others begin.
GO_TEST(map_room_beside_an_iterator, 1)
{
	enum { MAPS = 60, FIRST = 560, MEET = 200, MORE = 400 };
	for (int i = 0; i < test_scale(MAPS); i++) {
		Words words;
		uint8_t met[FIRST + MORE] = {0};
		uint64_t n = 0;
		words_new(&words, 0);
		for (uint64_t k = 0; k < FIRST; k++)
			go_map_put(words, k, ~k);
		go_map_each (words, it) {
			expect_eq(*it.elem, ~*it.key);
			expect_eq(met[*it.key]++, 0);
			if (++n >= MEET && go_map_len(words) < FIRST + MORE)
				go_map_put(words, go_map_len(words), ~go_map_len(words));
		}
		for (uint64_t k = 0; k < FIRST; k++)
			expect_eq(met[k], 1);
		expect_all(words, FIRST + MORE);
	}
}

// Chosen keys crowd one table of an empty map, where splitting is vain, beside an iterator. What
// would be made anew is as crowded; no key may be lost to the table that was there.
GO_TEST(map_room_where_splitting_is_vain, 1)
{
	enum { MANY = 100000, HERE = 3 * GROUP_SLOTS + 8, TOP = 8 };
	Words words;
	const Map *m = words_new(&words, MANY);
	go_map_put(words, UINT64_MAX, 0);
	go_map_each (words, it)
		expect_eq(*it.key, UINT64_MAX);
	for (uint64_t k = 0, n = 0; n < HERE; k++) {
		uint64_t hash = hash_word(k, m->seed, m->factor);
		if (hash >> (SEED_BITS - TOP) != 0 || group_of(hash, m->homes) != 0)
			continue;
		go_map_put(words, k, ~k);
		n++;
		expect(go_map_find(words, k) != NULL && go_map_get(words, k) == ~k);
		expect_eq(go_map_len(words), n + 1);
	}
	map_verify(&type, m);
}

// Bytes an entry, of tables and directory, in the mean over a doubling of sizes.
static double
mean_bytes(uint64_t from, bool iterated)
{
	enum { STEPS = 40 };
	Words words;
	const Map *m = words_new(&words, 0);
	uint64_t k = 0;
	double sum = 0, n = (double)from;
	for (int i = 0; i < STEPS; i++, n *= 1.0174796921026863) { // the 40th root of 2
		for (; k < (uint64_t)n; k++) {
			go_map_put(words, k, ~k);
			if (iterated && k == 0)
				go_map_each (words, it)
					expect_eq(*it.key, 0);
		}
		size_t each = class_size[size_class(layout_bytes(m, m->groups))];
		size_t bytes = m->tables * each + (sizeof(char *) << dir_bits(m)) + sizeof(Map);
		bytes += m->next_dir != NULL ? sizeof(char *) << dir_bits(m) << 1 : 0;
		sum += (double)bytes / n;
	}
	expect_all(words, k);
	return sum / STEPS;
}

// abseil's flat_hash_map doubles at 7/8 of its slots of 17 bytes, which is 28.0.
GO_TEST(map_bytes_of_a_doubling, 1)
{
	static const uint64_t from[] = {40000, 100000}; // of fewer each is by chance
	if (STRESS_TABLES)
		skip("tables are small in the stress build");
	for (size_t i = 0; i < countof(from); i++) {
		double bytes = mean_bytes(from[i], false), iterated = mean_bytes(from[i], true);
		printf("%.2f bytes, %.2f where iterators were\n", bytes, iterated);
		expect(bytes < 28.0);
		expect(iterated < 29.8);
	}
}

// A table that is the only one becomes larger before it takes long to make room in it.
GO_TEST(map_only_table_grows, 1)
{
	enum { MAPS = 30, GROUPS_LEAST = 16 };
	double sum = 0, n = 0;
	if (STRESS_TABLES)
		skip("tables are small in the stress build");
	for (int i = 0; i < MAPS; i++) {
		Words words;
		const Map *m = words_new(&words, 0);
		uint32_t groups = m->groups;
		for (uint64_t k = 0; m->tables <= 1; k++) {
			go_map_put(words, k, ~k);
			if (m->groups == groups && m->tables <= 1)
				continue;
			sum += groups < GROUPS_LEAST ? 0 : (double)k / (groups * GROUP_SLOTS);
			n += groups < GROUPS_LEAST ? 0 : 1;
			groups = m->groups;
		}
	}
	expect(n > MAPS);
	expect(sum / n > 0.86 && sum / n < 0.935);
}

// Look-ups that find nothing ask the bits of entries that are far from home, where both of their
// groups are full so often that it cannot be foretold.
GO_TEST(map_far_tells_in_full_tables, 1)
{
	Words words;
	const Map *m = words_new(&words, 0);
	uint32_t with = 0, without = 0;
	expect_eq(load_rlx(&m->shift) & GO_MAP_FAR_TELLS_, 0);
	for (uint64_t k = 0; k < 20000; k++) {
		go_map_put(words, k, ~k);
		bool tells = (load_rlx(&m->shift) & GO_MAP_FAR_TELLS_) != 0;
		size_t slots = m->tables * m->groups * GROUP_SLOTS;
		expect(m->groups > 2 || !tells);
		expect(!tells || m->count * 2 > slots);
		if (m->groups > 2 && m->count * 4 > slots * 3)
			(tells ? &with : &without)[0]++;
		expect(!go_map_has(words, ~k));
	}
	expect(with > 10 * without);
	expect_all(words, 20000);
	Words copy = {map_clone(&type, m)};
	go_map_clear(words);
	expect_eq(load_rlx(&m->shift) & GO_MAP_FAR_TELLS_, 0);
	expect_all(copy, 20000);
}

// A text that changes while it is a key is found no more, but is an entry.
GO_TEST(map_split_of_changed_texts, 1)
{
	enum { FIRST = 700, ALL = 3000, BYTES = 8 };
	static char texts[ALL][BYTES];
	static const MapType of_texts = {.key_kind = GO_MAP_KEY_STRING,
					 .key_bytes = sizeof(go_bytes),
					 .key_align = 8,
					 .key_mask = 1,
					 .elem_bytes = 8,
					 .elem_align = 8};
	Map *m = map_new(&of_texts, 0);
	size_t n = 0;
	for (uint32_t i = 0; i < ALL; i++) {
		memcpy(texts[i], &i, sizeof(i));
		*(uint64_t *)map_assign_string(&of_texts, m, texts[i], BYTES) = i;
		for (uint32_t j = 0; i == FIRST && j < FIRST; j++)
			memset(texts[j] + 4, 1, 4);
	}
	expect_eq(map_len(m), ALL);
	MapIter it;
	for (map_iter_begin(&of_texts, m, &it); *(void **)(void *)&it != NULL; map_iter_next(&it))
		n++;
	expect_eq(n, ALL);
	for (uint64_t i = FIRST; i < ALL; i++)
		expect_eq(*(uint64_t *)map_get_string(m, texts[i], BYTES), i);
}
