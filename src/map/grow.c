// SPDX-License-Identifier: BSD-3-Clause
// Making room: the first table, larger ones, and two out of one.
//
// All memory that a step needs is had before anything changes. No step copies more than one table,
// but for keys of hashes that are all alike. A key's hash function may do anything, even to this
// map: when it did, the step is forgotten.
#include "map/find.h"

// --- moving entries into new tables --------------------------------------------------------------

typedef struct Move {
	const MapType *t;
	const Map *m;
	char *to[2];     // by the next bit of the hash; both the same where nothing is split
	uint32_t groups; // of these
	uint32_t shift;  // of that bit
} Move;

// A key that is not equal to itself may well get another hash now; no matter, nobody finds it.
static uint64_t
slot_hash(const MapType *t, const Map *m, const char *slot)
{
	return key_hash(t, t->key_kind, key_at(t->key_kind, slot_key(m, t->key_kind, slot)),
			m->seed);
}

static inline __attribute__((always_inline)) void
copy_slot(char *to, const char *from, size_t n)
{
	enum { USUAL = 16, SMALL = 8 };
	if (likely(n == USUAL))
		memcpy(to, from, USUAL);
	else if (n == SMALL)
		memcpy(to, from, SMALL);
	else
		memcpy(to, from, n);
}

static void
move_slot(void *ctx, char *slot)
{
	Move *mv = ctx;
	uint64_t hash = slot_hash(mv->t, mv->m, slot);
	char *table = mv->to[(hash >> mv->shift) & 1];
	copy_slot(table_put(mv->m, table, mv->groups, hash), slot, mv->m->slot_bytes);
}

// Keys far away come from memory several at a time, when each group's are asked for first.
static void
move_all(Move *mv, char *from)
{
	const Map *m = mv->m;
	bool far = mv->t->key_kind == GO_MAP_KEY_STRING || (m->flags & MAP_KEY_APART) != 0;
	for (uint32_t g = 0; g < m->groups; g++) {
		char *group = group_at(m, from, g);
		Match full = match_full(group_ctrl(group));
		if (far) {
			uint32_t ahead = g + 2 < m->groups ? g + 2 : g;
			char *next = group_at(m, from, ahead);
			Match its = match_full(group_ctrl(next));
			for (; its != 0; its &= its - 1)
				__builtin_prefetch(
				    *(char **)(void *)slot_at(m, next, match_first(its)));
		}
		for (; full != 0; full &= full - 1)
			move_slot(mv, slot_at(m, group, match_first(full)));
	}
}

// A table that has been replaced.
static void
give_back(const MapType *t, const Map *m, char *table)
{
	if (t->key_kind != GO_MAP_KEY_CALLS && (m->flags & MAP_ITERATED) == 0)
		map_memory_back(table);
}

// --- steps ---------------------------------------------------------------------------------------

// A table that takes the place of the one where the hash leads, with the same entries. The map has
// one table, or groups are what they were.
bool
map_replace(const MapType *t, Map *m, uint64_t hash, uint32_t groups)
{
	char *old = table_of(m, hash);
	uint32_t depth = tail_of(m, old)->depth, changes = m->changes;
	char *table = table_new(m, groups, depth);
	if (table == NULL)
		return false;
	Move mv = {t, m, {table, table}, groups, 0};
	move_all(&mv, old);
	if (m->changes != changes)
		return true;
	m->groups = groups;
	dir_set(m, hash, depth, table);
	map_changed(m);
	give_back(t, m, old);
	return true;
}

// The table where the hash leads becomes two.
static bool
split(const MapType *t, Map *m, uint64_t hash)
{
	char *old = table_of(m, hash);
	uint32_t depth = tail_of(m, old)->depth + 1;
	char *low = table_new(m, m->groups, depth), *high = table_new(m, m->groups, depth);
	if (low == NULL || high == NULL)
		return false;
	if (depth > dir_bits(m) && !dir_double(m))
		return false;
	uint64_t bit = (uint64_t)1 << (SEED_BITS - depth);
	uint32_t changes = m->changes;
	Move mv = {t, m, {low, high}, m->groups, SEED_BITS - depth};
	move_all(&mv, old);
	if (m->changes != changes)
		return true;
	dir_set(m, hash & ~bit, depth, low);
	dir_set(m, hash | bit, depth, high);
	m->tables++;
	m->deepest += depth == dir_bits(m) ? 2 : 0;
	map_changed(m);
	give_back(t, m, old);
	dir_advance(m);
	return true;
}

// The table where the hash leads, and the one it was split from, become one again.
bool
map_merge(const MapType *t, Map *m, uint64_t hash)
{
	char *a = table_of(m, hash);
	uint32_t depth = tail_of(m, a)->depth, changes = m->changes;
	char *b = table_of(m, hash ^ (uint64_t)1 << (SEED_BITS - depth));
	char *table = table_new(m, m->groups, depth - 1);
	if (table == NULL)
		return false;
	Move mv = {t, m, {table, table}, m->groups, 0};
	move_all(&mv, a);
	move_all(&mv, b);
	if (m->changes != changes)
		return true;
	m->deepest -= depth == dir_bits(m) ? 2 : 0;
	m->tables--;
	dir_set(m, hash, depth - 1, table);
	map_changed(m);
	give_back(t, m, a);
	give_back(t, m, b);
	return true;
}

// Whether splitting has not helped: tables are nearly empty, but for those whose hashes are alike.
static bool
split_is_vain(const Map *m, uint32_t depth)
{
	enum { USUAL = 6, EMPTY_PART = 32 };
	return depth >= USUAL &&
	       (depth >= SEED_BITS / 2 ||
		m->count / ((size_t)1 << depth) < m->groups * GROUP_SLOTS / EMPTY_PART);
}

// Every table becomes twice as large, as the hashes of too many keys are alike.
static bool
double_all(const MapType *t, Map *m)
{
	uint32_t bits = dir_bits(m), groups = m->groups * 2;
	size_t n = (size_t)1 << bits;
	char **made = dir_alloc(n);
	if (made == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && m->dir[i] == m->dir[i - 1]) {
			made[i] = made[i - 1];
			continue;
		}
		made[i] = table_new(m, groups, tail_of(m, m->dir[i])->depth);
		if (made[i] == NULL)
			return false;
		Move mv = {t, m, {made[i], made[i]}, groups, 0};
		move_all(&mv, m->dir[i]);
	}
	memcpy(m->dir, made, n * sizeof(char *));
	m->next_dir = NULL;
	m->groups = groups;
	map_changed(m);
	return true;
}

// The next size of the only table.
static uint32_t
groups_after(const Map *m)
{
	uint32_t most = layout_groups_most(m);
	uint32_t next = layout_groups(m, (size_t)m->groups * 2 * m->stride + sizeof(Tail));
	return next < most ? next : most;
}

Grown
map_grow(const MapType *t, Map *m, uint64_t hash)
{
	const Tail *tail = tail_of(m, table_of(m, hash));
	uint32_t slots = m->groups * GROUP_SLOTS, live = table_live(m, table_of(m, hash));
	bool ok;
	if (tail->dead > 0 && live < slots / 8 * 6)
		ok = map_replace(t, m, hash, m->groups); // deleted slots were in the way
	else if (m->tables == 1 && m->groups < layout_groups_most(m))
		ok = map_replace(t, m, hash, groups_after(m));
	else if (!split_is_vain(m, tail->depth + 1))
		ok = split(t, m, hash);
	else if (live < slots)
		return GROW_NOT;
	else
		ok = double_all(t, m);
	return ok ? GROW_DONE : GROW_FAILED;
}

// --- beginning and ending ------------------------------------------------------------------------

void
map_forget(Map *m)
{
	dir_none(m);
	m->epoch++;
}

bool
map_begin(const MapType *t, Map *m)
{
	map_lay_out(t, m);
	uint32_t bits = m->hint_bits, depth = bits > 1 ? bits : 0;
	m->groups = m->hint_groups != 0 ? m->hint_groups
					: layout_groups(m, m->stride + sizeof(Tail));
	if (!dir_make(m, bits > 1 ? bits : 1))
		goto fail;
	size_t n = (size_t)1 << depth;
	for (size_t i = 0; i < n; i++) {
		char *table = table_new(m, m->groups, depth);
		if (table == NULL)
			goto fail;
		dir_set(m, depth != 0 ? (uint64_t)i << (SEED_BITS - depth) : 0, depth, table);
	}
	m->tables = n;
	m->deepest = depth != 0 ? n : 0;
	map_changed(m);
	return true;
fail:
	map_forget(m);
	return false;
}
