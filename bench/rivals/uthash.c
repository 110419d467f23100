// SPDX-License-Identifier: BSD-3-Clause
// Rival: uthash, for the rows about maps. An entry is a structure of its own, of malloc; there is
// no way to ask for room.

#include <uthash.h>

#include "../bench.h"

typedef struct num {
	uint64_t key;
	uint64_t value;
	UT_hash_handle hh;
} num;

typedef struct text {
	const char *key;
	uint64_t value;
	UT_hash_handle hh;
} text;

typedef struct {
	num *first;
} *nums;

typedef struct {
	text *first;
} *texts;

static inline void *
entry_new(size_t bytes)
{
	void *p = malloc(bytes);
	bench_check(p != NULL, "no memory");
	return p;
}

static inline nums
nums_new(size_t room)
{
	nums m = entry_new(sizeof(*m));
	(void)room;
	m->first = NULL;
	return m;
}

static inline void
nums_free(nums m)
{
	num *e, *next;
	HASH_ITER (hh, m->first, e, next) {
		HASH_DEL(m->first, e);
		free(e);
	}
	free(m);
}

static inline num *
nums_find(nums m, uint64_t key)
{
	num *e;
	HASH_FIND(hh, m->first, &key, sizeof(key), e);
	return e;
}

static inline void
nums_put(nums m, uint64_t key, uint64_t value)
{
	num *e = nums_find(m, key);
	if (e == NULL) {
		e = entry_new(sizeof(*e));
		e->key = key;
		HASH_ADD(hh, m->first, key, sizeof(e->key), e);
	}
	e->value = value;
}

static inline uint64_t *
nums_get(nums m, uint64_t key)
{
	num *e = nums_find(m, key);
	return e != NULL ? &e->value : NULL;
}

static inline void
nums_del(nums m, uint64_t key)
{
	num *e = nums_find(m, key);
	if (e == NULL)
		return;
	HASH_DEL(m->first, e);
	free(e);
}

static inline uint64_t
nums_sum(nums m)
{
	uint64_t sum = 0;
	for (num *e = m->first; e != NULL; e = e->hh.next)
		sum += e->value;
	return sum;
}

static inline texts
texts_new(size_t room)
{
	texts m = entry_new(sizeof(*m));
	(void)room;
	m->first = NULL;
	return m;
}

static inline void
texts_put(texts m, const char *p, size_t n, uint64_t value)
{
	text *e;
	HASH_FIND(hh, m->first, p, n, e);
	if (e == NULL) {
		e = entry_new(sizeof(*e));
		e->key = p;
		HASH_ADD_KEYPTR(hh, m->first, p, n, e);
	}
	e->value = value;
}

static inline uint64_t *
texts_get(texts m, const char *p, size_t n)
{
	text *e;
	HASH_FIND(hh, m->first, p, n, e);
	return e != NULL ? &e->value : NULL;
}

#include "../map_rows.h"

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, map_rows, MAP_ROW_COUNT);
}
