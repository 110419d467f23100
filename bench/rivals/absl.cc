// SPDX-License-Identifier: BSD-3-Clause
// Rival: flat_hash_map of abseil, for the rows about maps. Texts are looked up by string_view.

#include <absl/container/flat_hash_map.h>
#include <absl/strings/string_view.h>

#include "../bench.h"

typedef absl::flat_hash_map<uint64_t, uint64_t> *nums;
typedef absl::flat_hash_map<absl::string_view, uint64_t> *texts;

static inline nums
nums_new(size_t room)
{
	nums m = new absl::flat_hash_map<uint64_t, uint64_t>;
	if (room > 0)
		m->reserve(room);
	return m;
}

static inline void
nums_free(nums m)
{
	delete m;
}

static inline void
nums_put(nums m, uint64_t key, uint64_t value)
{
	(*m)[key] = value;
}

static inline uint64_t *
nums_get(nums m, uint64_t key)
{
	auto it = m->find(key);
	return it != m->end() ? &it->second : nullptr;
}

static inline void
nums_del(nums m, uint64_t key)
{
	m->erase(key);
}

static inline uint64_t
nums_sum(nums m)
{
	uint64_t sum = 0;
	for (auto &e : *m)
		sum += e.second;
	return sum;
}

static inline texts
texts_new(size_t)
{
	return new absl::flat_hash_map<absl::string_view, uint64_t>;
}

static inline void
texts_put(texts m, const char *p, size_t n, uint64_t value)
{
	(*m)[absl::string_view(p, n)] = value;
}

static inline uint64_t *
texts_get(texts m, const char *p, size_t n)
{
	auto it = m->find(absl::string_view(p, n));
	return it != m->end() ? &it->second : nullptr;
}

#include "../map_rows.h"

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, map_rows, MAP_ROW_COUNT);
}
