// SPDX-License-Identifier: BSD-3-Clause
// Rival: khash of htslib, for the rows about maps. Its usual hash of a number is that number's own
// bits; texts end with a zero byte, which the rows' do.

#include <htslib/khash.h>

#include "../bench.h"

KHASH_MAP_INIT_INT64(nums, uint64_t)
KHASH_MAP_INIT_STR(texts, uint64_t)

typedef khash_t(nums) * nums;
typedef khash_t(texts) * texts;

static inline nums
nums_new(size_t room)
{
	nums m = kh_init(nums);
	if (room > 0)
		kh_resize(nums, m, room * 4 / 3 + 1);
	return m;
}

static inline void
nums_free(nums m)
{
	kh_destroy(nums, m);
}

static inline void
nums_put(nums m, uint64_t key, uint64_t value)
{
	int what;
	khint_t at = kh_put(nums, m, key, &what);
	kh_value(m, at) = value;
}

static inline uint64_t *
nums_get(nums m, uint64_t key)
{
	khint_t at = kh_get(nums, m, key);
	return at != kh_end(m) ? &kh_value(m, at) : NULL;
}

static inline void
nums_del(nums m, uint64_t key)
{
	khint_t at = kh_get(nums, m, key);
	if (at != kh_end(m))
		kh_del(nums, m, at);
}

static inline uint64_t
nums_sum(nums m)
{
	uint64_t sum = 0;
	for (khint_t at = kh_begin(m); at != kh_end(m); at++)
		if (kh_exist(m, at))
			sum += kh_value(m, at);
	return sum;
}

static inline texts
texts_new(size_t room)
{
	(void)room;
	return kh_init(texts);
}

static inline void
texts_put(texts m, const char *p, size_t n, uint64_t value)
{
	int what;
	(void)n;
	khint_t at = kh_put(texts, m, p, &what);
	kh_value(m, at) = value;
}

static inline uint64_t *
texts_get(texts m, const char *p, size_t n)
{
	(void)n;
	khint_t at = kh_get(texts, m, p);
	return at != kh_end(m) ? &kh_value(m, at) : NULL;
}

#include "../map_rows.h"

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, map_rows, MAP_ROW_COUNT);
}
