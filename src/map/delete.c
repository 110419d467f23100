// SPDX-License-Identifier: BSD-3-Clause
// Deleting one entry.
//
// A slot becomes empty when its group has another empty one: then no key is beyond both of its
// groups that would have had room here. Else it stays as deleted, or such keys were lost (I2).
#include "map/find.h"

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
	char *table = m->dir[0];
	still_own(m, table, MISUSE_WRITES);
	if (m->tables > 1) {
		m->clears++;
		map_forget(m);
	} else if (head_of(table)->dead != 0) {
		table_wipe(m, table);
	}
}

FRONT void
vacate(Map *m, const Place *at, size_t each)
{
	uint64_t ctrl = ctrl_read(at->ctrl);
	char *slot = nth_slot(m, at->table, at->g, at->i, each);
	if (likely(match_empty(ctrl) != 0)) {
		ctrl_set(at->ctrl, at->i, CTRL_EMPTY);
	} else {
		ctrl_set(at->ctrl, at->i, CTRL_DELETED);
		head_of(at->table)->dead++;
	}
	if (unlikely(is_far(at->g, at->home)) && --head_of(at->table)->over == 0)
		far_forget(m, at->table);
	memset(slot, 0, each); // I4
	map_shown(slot, each);
	m->count--;
	if (unlikely(m->count == 0))
		tidy_empty(m);
}

// Where a key is, that the runtime compares itself.
static NOINLINE bool
place_far(const MapType *t, const Map *m, Key k, uint64_t hash, Place *at)
{
	switch (t->key_kind) {
	case GO_MAP_KEY_32:
		return find_place(t, m, GO_MAP_KEY_32, m->slot_bytes, k, hash, at);
	case GO_MAP_KEY_64:
		return find_place(t, m, GO_MAP_KEY_64, m->slot_bytes, k, hash, at);
	case GO_MAP_KEY_STRING:
		return find_place(t, m, GO_MAP_KEY_STRING, m->slot_bytes, k, hash, at);
	default:
		return find_place(t, m, GO_MAP_KEY_BYTES, m->slot_bytes, k, hash, at);
	}
}

FRONT bool
place_of(const MapType *t, const Map *m, go_map_key kind, size_t each, Key k, uint64_t hash,
	 Place *at)
{
	uint64_t i;
	Home home = home_of(m, hash);
	char *slots = near_slots(m, home, each);
	Ctrls ctrls = go_map_ctrls_to_write_(go_map_ctrl_(home));
	go_map_match_bits_ match = go_map_match_(ctrls, go_map_tag_of_(hash));
	if (unlikely((m->flags & MAP_KEY_APART) != 0))
		return place_far(t, m, k, hash, at);
	if (!find_near(t, kind, each, k, slots, match, &i))
		return !go_map_nowhere_(front_of(m), home, ctrls, hash) &&
		       place_far(t, m, k, hash, at);
	uint32_t g = (uint32_t)(home.n + i / GROUP_SLOTS);
	*at = (Place){home.table, ctrl_of(home.table, g), g, g, (uint32_t)i % GROUP_SLOTS, 0};
	return true;
}

// Of keys that the runtime compares itself, in slots of so many bytes.
FRONT bool
drop_sized(const MapType *t, Map *m, go_map_key kind, size_t each, Key k)
{
	Place at;
	if (unlikely(m->count == 0)) {
		reading(m, MISUSE_WRITES);
		return false;
	}
	G *self = writing_begin(m);
	uint64_t hash = key_hash(t, m, kind, k);
	bool found = m->count != 0 && place_of(t, m, kind, each, k, hash, &at);
	if (likely(found)) {
		vacate(m, &at, each);
		if (unlikely(m->count < m->low) && m->count % LOOK_EVERY == 0 && m->count != 0)
			map_shrink(t, m, hash);
	}
	writing_end(m, self);
	return found;
}

static NOINLINE bool
drop_unusual(const MapType *t, Map *m, Key k)
{
	switch (t->key_kind) {
	case GO_MAP_KEY_32:
		return drop_sized(t, m, GO_MAP_KEY_32, m->slot_bytes, k);
	case GO_MAP_KEY_64:
		return drop_sized(t, m, GO_MAP_KEY_64, m->slot_bytes, k);
	case GO_MAP_KEY_STRING:
		return drop_sized(t, m, GO_MAP_KEY_STRING, m->slot_bytes, k);
	default:
		return drop_sized(t, m, GO_MAP_KEY_BYTES, m->slot_bytes, k);
	}
}

FRONT bool
drop(const MapType *t, Map *m, go_map_key kind, Key k)
{
	if (unlikely(m == NULL))
		return false;
	if (likely(m->slot_bytes == usual_shape(kind).each))
		return drop_sized(t, m, kind, usual_shape(kind).each, k);
	return drop_unusual(t, m, k);
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

// The map becomes smaller before a key with functions is deleted, so that none of them is called
// after. False: the key is elsewhere now.
static bool
shrink_before(const MapType *t, Map *m, uint64_t hash)
{
	uint32_t changes = m->changes;
	if (m->count <= m->low && m->count > 1)
		map_shrink(t, m, hash);
	return m->changes == changes;
}

// Of all others: searched for without the mark, see assign.c.
static NOINLINE bool
delete_call(const MapType *t, Map *m, Key k)
{
	Place at;
	if ((m == NULL || m->count == 0) && (t->flags & GO_MAP_HASH_PANICS) != 0)
		key_hash_try(t, k.p);
	if (m == NULL)
		return false;
	reading(m, MISUSE_WRITES);
	if (m->count == 0)
		return false;
	uint64_t hash = hash_of(t, m, GO_MAP_KEY_CALLS, k, MISUSE_WRITES);
	if (!find_place(t, m, GO_MAP_KEY_CALLS, m->slot_bytes, k, hash, &at))
		return false;
	if (!shrink_before(t, m, hash) &&
	    !find_place(t, m, GO_MAP_KEY_CALLS, m->slot_bytes, k, hash, &at))
		return false;
	G *self = writing_begin(m);
	vacate(m, &at, m->slot_bytes);
	m->changes++;
	writing_end(m, self);
	return true;
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
		return m != NULL && drop_unusual(t, m, k);
	default:
		return delete_call(t, m, k);
	}
}
