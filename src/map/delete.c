// SPDX-License-Identifier: BSD-3-Clause
// Deleting one entry.
//
// A slot becomes empty when its group has another empty one: no search went past the group. Else it
// stays as deleted, or keys behind it would be lost (I2).
#include "map/find.h"
#include "map/misuse.h"

enum {
#ifdef UNDERGO_STRESS
	LOOK_EVERY = 1,
#else
	LOOK_EVERY = 16, // deletes of which one looks for tables to merge, while entries are few
#endif
};

// Of the map's last entry, when slots that were deleted are about.
static void
tidy_empty(Map *m)
{
	if (m->tables > 1) {
		m->clears++;
		map_forget(m);
	} else if (head_of(m->one[0])->dead != 0) {
		table_wipe(m, m->one[0]);
	}
}

FRONT void
vacate(Map *m, const Place *at)
{
	uint64_t ctrl = ctrl_read(at->ctrl);
	char *slot = slot_at(m, at->table, at->g, at->i);
	if (likely(match_empty(ctrl) != 0)) {
		at->ctrl[at->i] = CTRL_EMPTY;
	} else {
		at->ctrl[at->i] = CTRL_DELETED;
		head_of(at->table)->dead++;
	}
	if (unlikely(at->g != at->home))
		head_of(at->table)->over--;
	memset(slot, 0, m->slot_bytes); // I4
	m->count--;
	if (unlikely(m->count == 0))
		tidy_empty(m);
}

// Of keys that the runtime compares itself.
FRONT bool
drop(const MapType *t, Map *m, go_map_key kind, Key k)
{
	Place at;
	if (unlikely(m == NULL))
		return false;
	if (unlikely(m->count == 0)) {
		reading(m, MISUSE_WRITES);
		return false;
	}
	G *self = writing_begin(m);
	uint64_t hash = key_hash(t, kind, k, m->seed);
	bool found = m->count != 0 && find_place(t, m, kind, k, hash, &at);
	if (found) {
		vacate(m, &at);
		if (unlikely(m->count < m->low) && m->count % LOOK_EVERY == 0 && m->count != 0)
			map_shrink(t, m, hash);
	}
	writing_end(m, self);
	return found;
}

bool
map_delete_32(const MapType *t, Map *m, uint32_t key)
{
	return drop(t, m, GO_MAP_KEY_32, (Key){.word = key});
}

bool
map_delete_64(const MapType *t, Map *m, uint64_t key)
{
	return drop(t, m, GO_MAP_KEY_64, (Key){.word = key});
}

bool
map_delete_string(const MapType *t, Map *m, const char *p, size_t n)
{
	return drop(t, m, GO_MAP_KEY_STRING, (Key){.p = p, .n = n});
}

static NOINLINE bool
delete_bytes(const MapType *t, Map *m, Key k)
{
	return drop(t, m, GO_MAP_KEY_BYTES, k);
}

// Of all others: searched for without the mark, see assign.c.
static NOINLINE bool
delete_call(const MapType *t, Map *m, Key k)
{
	Place at;
	if ((m == NULL || m->count == 0) && (t->flags & GO_MAP_HASH_PANICS) != 0)
		(void)key_hash_call(t, k.p, 0);
	if (m == NULL)
		return false;
	for (;;) {
		reading(m, MISUSE_WRITES);
		if (m->count == 0)
			return false;
		uint64_t hash = key_hash(t, GO_MAP_KEY_CALLS, k, m->seed);
		uint32_t changes = m->changes;
		if (m->count == 0 || !find_place(t, m, GO_MAP_KEY_CALLS, k, hash, &at))
			return false;
		G *self = writing_begin(m);
		bool same = m->changes == changes;
		if (same) {
			vacate(m, &at);
			m->changes++;
		}
		writing_end(m, self);
		if (!same)
			continue;
		if (m->count < m->low && m->count != 0)
			map_shrink(t, m, hash);
		return true;
	}
}

bool
map_delete(const MapType *t, Map *m, const void *key)
{
	Key k = key_at(t->key_kind, key);
	switch (t->key_kind) {
	case GO_MAP_KEY_32:
		return map_delete_32(t, m, (uint32_t)k.word);
	case GO_MAP_KEY_64:
		return map_delete_64(t, m, k.word);
	case GO_MAP_KEY_STRING:
		return map_delete_string(t, m, k.p, k.n);
	case GO_MAP_KEY_BYTES:
		return delete_bytes(t, m, k);
	default:
		return delete_call(t, m, k);
	}
}
