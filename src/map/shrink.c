// SPDX-License-Identifier: BSD-3-Clause
// Giving memory back after many deletes, a table at a time.
//
// When no more than one slot of eight is in use, some deletes look at the table they were in and at
// its neighbour, the other half of what it was split from. If both together fill no more than half
// a table they become one. While deletes go on every table is looked at several times before they
// are all gone. A map with one table gets a smaller one.
//
// Two tables do not become one while a key in them is not equal to itself: an iterator tells by a
// key's hash on which side it was, and the hash of such a key is by chance (map_impl.h, I5).
#include "map/misuse.h"

void
map_changed(Map *m)
{
	bool smallest = m->tables == 1 && m->groups == 1;
	m->low = smallest ? 0 : m->tables * m->groups * GROUP_SLOTS / 8;
	m->only = only_table(m);
	dir_tune(m);
	m->epoch++;
	m->changes++;
}

typedef struct Look {
	const MapType *t;
	const Map *m;
	uint32_t changes;
	bool unequal; // a key is not equal to itself
} Look;

static void
look_at(void *ctx, char *slot)
{
	Look *l = ctx;
	const char *key = slot_key(l->m, l->t->key_kind, slot);
	l->unequal |= !key_equal(l->t, l->t->key_kind, key_at(l->t->key_kind, key), key);
	unchanged(l->m, l->changes, MISUSE_WRITES);
}

static bool
all_equal(const MapType *t, const Map *m, char *table)
{
	Look l = {t, m, m->changes, false};
	if (key_may_be_unequal(t))
		table_each(m, table, look_at, &l);
	return !l.unequal;
}

// A hash whose table was split from one together with another table as it is: from this one
// on to the neighbour as long as that has been split more often.
static uint64_t
pair_near(const Map *m, uint64_t hash)
{
	for (;;) {
		uint32_t depth = head_of(table_of(m, hash))->depth;
		uint64_t other = hash ^ (uint64_t)1 << (SEED_BITS - depth);
		if (head_of(table_of(m, other))->depth == depth)
			return hash;
		hash = other;
	}
}

static bool
may_merge(const MapType *t, const Map *m, uint64_t hash)
{
	char *a = table_of(m, hash);
	char *b = table_of(m, hash ^ (uint64_t)1 << (SEED_BITS - head_of(a)->depth));
	if (table_live(m, a) + table_live(m, b) > m->groups * GROUP_SLOTS / 2)
		return false;
	return all_equal(t, m, a) && all_equal(t, m, b);
}

void
map_shrink(const MapType *t, Map *m, uint64_t hash)
{
	still_own(m, table_of(m, hash), MISUSE_WRITES);
	if (m->tables > 1) {
		hash = pair_near(m, hash);
		if (!may_merge(t, m, hash) || !map_merge(t, m, hash))
			return;
		while (m->deepest == 0 && dir_bits(m) > 1)
			dir_halve(m);
		return;
	}
	size_t groups = m->count * 2 / GROUP_SLOTS + 1;
	uint32_t fewer = layout_groups(m, layout_bytes(m, (uint32_t)groups));
	if (fewer < m->groups)
		(void)map_replace(t, m, hash, fewer);
}
