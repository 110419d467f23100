// SPDX-License-Identifier: BSD-3-Clause
// What of maps is compiled into programs agrees with the library: what one of them wrote the other
// finds, at the same place; both find nothing where there is nothing; both iterate alike. In maps
// of all sizes from none, full groups, one table, and many; with deleted slots; of all layouts.
#include <undergo/map.h>

#include "goroutines.h"

struct wide {
	char text[100];
};

struct apart {
	char text[200];
};

typedef GO_MAP(uint32_t, uint32_t) Map3232;
typedef GO_MAP(int, char) Map32c;
typedef GO_MAP(unsigned, struct wide) Map32w;
typedef GO_MAP(float *, char) MapPc;
typedef GO_MAP(uint64_t, uint64_t) Map6464;
typedef GO_MAP(long, struct wide) Map64w;
typedef GO_MAP(long, struct apart) Map64a;
typedef GO_MAP(uint32_t, void *) Map32p;
typedef GO_MAP(go_bytes, char) MapBc;
typedef GO_MAP(go_bytes, struct wide) MapBw;

enum { FRONT_KEYS = 6000, FRONT_TEXT = 48 };

// Of all lengths up to 39, the end is the number.
static go_bytes
text_key(int id)
{
	static char texts[FRONT_KEYS][FRONT_TEXT];
	char *p = texts[id];
	size_t n = (size_t)id % 35 + 5;
	memset(p, 'k', n);
	for (int left = id; left > 0; left /= 10)
		p[--n] = (char)('0' + left % 10);
	return (go_bytes){p, (size_t)id % 35 + 5};
}

// Whether front and library agree about a key, which is there or not.
#define AGREE(m, key, there)                                                             \
	do {                                                                             \
		__typeof__(*(m).key_type_) key_ = (key);                              \
		void *front_ = go_map_find(m, key_);                                     \
		expect(front_ == go_map_raw_get(GO_MAP_TYPE_OF(m), (m).map, &key_));     \
		expect((front_ != NULL) == (there));                                     \
	} while (0)

#define COUNT_BOTH(m, want)                                                              \
	do {                                                                             \
		int by_front_ = 0, raw_ = 0;                                                \
		go_map_iter it_;                                                         \
		go_map_each (m, at) {                                                    \
			AGREE(m, *at.key, true);                                         \
			expect((void *)go_map_find(m, *at.key) == (void *)at.elem);      \
			by_front_++;                                                     \
		}                                                                        \
		go_map_raw_begin(GO_MAP_TYPE_OF(m), (m).map, &it_);                      \
		for (; it_.key != NULL; go_map_raw_next(&it_))                           \
			raw_++;                                                          \
		expect_eq(by_front_, want);                                               \
		expect_eq(raw_, want);                                                   \
	} while (0)

// make(i): the key of a number. Every third is deleted again, odd ones never come.
#define ALIKE(Type, make)                                                                \
	do {                                                                             \
		Type m_ = {0};                                                           \
		AGREE(m_, make(1), false);                                               \
		expect_eq(go_map_init(m_, 0), 0);                                        \
		for (int i_ = 0; i_ < FRONT_KEYS; i_ += 2) {                             \
			AGREE(m_, make(i_), false);                                      \
			(void)go_map_at(m_, make(i_));                                   \
			AGREE(m_, make(i_), true);                                       \
			AGREE(m_, make(i_ / 4 * 2), true);                               \
			AGREE(m_, make(i_ + 1), false);                                  \
			if (i_ < 100)                                                    \
				COUNT_BOTH(m_, i_ / 2 + 1);                              \
		}                                                                        \
		for (int i_ = 0; i_ < FRONT_KEYS; i_ += 6)                               \
			expect(go_map_del(m_, make(i_)));                                \
		for (int i_ = 0; i_ < FRONT_KEYS; i_++)                                  \
			AGREE(m_, make(i_), i_ % 2 == 0 && i_ % 6 != 0);                 \
		COUNT_BOTH(m_, FRONT_KEYS / 3);                                          \
		go_map_clear(m_);                                                        \
		AGREE(m_, make(2), false);                                               \
		COUNT_BOTH(m_, 0);                                                       \
	} while (0)

#define AS_INT(i) ((i) * 7)
#define AS_32(i) ((uint32_t)AS_INT(i))
#define AS_LONG(i) ((long)(i) << 20)
#define AS_64(i) ((uint64_t)AS_LONG(i))
#define AS_POINTER(i) ((float *)((uintptr_t)(i) * 64))

GO_TEST(map_front_agrees, 1)
{
	ALIKE(Map3232, AS_32);
	ALIKE(Map32c, AS_INT);
	ALIKE(Map32w, AS_32);
	ALIKE(Map32p, AS_32);
	ALIKE(Map6464, AS_64);
	ALIKE(Map64w, AS_LONG);
	ALIKE(Map64a, AS_LONG);
	ALIKE(MapPc, AS_POINTER);
	ALIKE(MapBc, text_key);
	ALIKE(MapBw, text_key);
}

// The map changes at every step of an iteration: no entry twice, none that is gone.
GO_TEST(map_front_next_of_a_changing_map, 1)
{
	for (int round = 0; round < 20; round++) {
		static char met[FRONT_KEYS];
		Map6464 m;
		expect_eq(go_map_init(m, 0), 0);
		for (int i = 0; i < FRONT_KEYS / 4; i++)
			go_map_put(m, AS_64(i), (uint64_t)i);
		memset(met, 0, sizeof(met));
		int steps = 0;
		go_map_each (m, it) {
			uint64_t id = *it.elem;
			expect(*it.key == AS_64(id) && met[id]++ == 0);
			uint64_t other = (id * 31 + (uint64_t)round) % (FRONT_KEYS / 4);
			if (round % 2 == 0 && !met[other] && go_map_del(m, AS_64(other)))
				met[other] = 1; // or it would be met
			int fresh = FRONT_KEYS / 4 + steps++;
			if (round % 3 == 0 && fresh < FRONT_KEYS)
				go_map_put(m, AS_64(fresh), (uint64_t)fresh);
		}
		for (int i = 0; i < FRONT_KEYS / 4; i++)
			expect(met[i] == 1);
	}
}
