// SPDX-License-Identifier: BSD-3-Clause
// Rival: GHashTable of GLib, for the rows about maps. Numbers are kept as pointers, keys and values
// both; it has no way to ask for room, so rows that do leave it out.

#include <glib.h>

#include "../bench.h"

typedef GHashTable *nums;
typedef GHashTable *texts;

static uint64_t found; // a lookup gives a value, not where it is

static inline nums
nums_new(size_t room)
{
	(void)room;
	return g_hash_table_new(g_direct_hash, g_direct_equal);
}

static inline void
nums_free(nums m)
{
	g_hash_table_destroy(m);
}

static inline void
nums_put(nums m, uint64_t key, uint64_t value)
{
	g_hash_table_insert(m, (void *)key, (void *)value);
}

static inline uint64_t *
nums_get(nums m, uint64_t key)
{
	void *value;
	if (!g_hash_table_lookup_extended(m, (void *)key, NULL, &value))
		return NULL;
	found = (uint64_t)value;
	return &found;
}

static inline void
nums_del(nums m, uint64_t key)
{
	g_hash_table_remove(m, (void *)key);
}

static inline uint64_t
nums_sum(nums m)
{
	GHashTableIter it;
	void *value;
	uint64_t sum = 0;
	g_hash_table_iter_init(&it, m);
	while (g_hash_table_iter_next(&it, NULL, &value))
		sum += (uint64_t)value;
	return sum;
}

static inline texts
texts_new(size_t room)
{
	(void)room;
	return g_hash_table_new(g_str_hash, g_str_equal);
}

static inline void
texts_put(texts m, const char *p, size_t n, uint64_t value)
{
	(void)n;
	g_hash_table_insert(m, (void *)(uintptr_t)p, (void *)value);
}

static inline uint64_t *
texts_get(texts m, const char *p, size_t n)
{
	(void)n;
	return nums_get(m, (uint64_t)(uintptr_t)p);
}

#include "../map_rows.h"

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, map_rows, MAP_ROW_COUNT);
}
