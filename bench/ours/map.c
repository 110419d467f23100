// SPDX-License-Identifier: BSD-3-Clause
// Rows about maps: map_rows.h with ours.

#include "ours.h"

typedef GO_MAP(uint64_t, uint64_t) nums;
typedef GO_MAP(go_bytes, uint64_t) texts;

static inline nums
nums_new(size_t room)
{
	nums m;
	bench_check(go_map_init(m, room) == 0, "no memory");
	return m;
}

static inline void
nums_free(nums m)
{
	(void)m;
}

static inline void
nums_put(nums m, uint64_t key, uint64_t value)
{
	go_map_put(m, key, value);
}

// A macro, as programs have it: gcc takes it for too much to put a function around it in line.
#define nums_get(m, key) go_map_find(m, key)

static inline void
nums_del(nums m, uint64_t key)
{
	go_map_del(m, key);
}

static inline uint64_t
nums_sum(nums m)
{
	uint64_t sum = 0;
	go_map_each (m, it)
		sum += *it.elem;
	return sum;
}

static inline texts
texts_new(size_t room)
{
	texts m;
	bench_check(go_map_init(m, room) == 0, "no memory");
	return m;
}

static inline void
texts_put(texts m, const char *p, size_t n, uint64_t value)
{
	go_map_put(m, ((go_bytes){p, n}), value);
}

#define texts_get(m, p, n) go_map_find(m, ((go_bytes){p, n}))

#define NUMS_COLLECT_NOT() go_set_gc_percent(-1)
#define NUMS_COLLECT() go_gc()

// A map has random numbers of its own; it has no entry yet.
static inline void
nums_same(nums m)
{
	struct go_map_front_ *f = (struct go_map_front_ *)(void *)m.map;
	f->seed = UINT64_C(0x9e3779b97f4a7c15);
	f->factor = UINT64_C(0xd1342543de82ef95);
}
#define NUMS_SAME(m) nums_same(m)

#include "../map_rows.h"

const struct bench_entry *const our_map_rows = map_rows;
const int our_map_row_count = MAP_ROW_COUNT;
