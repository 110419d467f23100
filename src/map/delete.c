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

// The map's last entry has gone, and slots that were deleted may be about.
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

// The entry in slot n of the table goes.
FRONT void
vacate(Map *m, char *table, uint32_t n, char *slot, size_t each)
{
	char *group = ctrl_of(table, n / GROUP_SLOTS);
	if (likely(match_empty(ctrl_read(group)) != 0)) {
		ctrl_set(group, n % GROUP_SLOTS, CTRL_EMPTY);
	} else {
		ctrl_set(group, n % GROUP_SLOTS, CTRL_DELETED);
		head_of(table)->dead++;
	}
	memset(slot, 0, each); // I4
	m->count--;
}

FRONT void
vacate_place(Map *m, const Place *at)
{
	char *slot = slot_at(m, at->table, at->g, at->i);
	if (is_far(at->g, at->home) && --head_of(at->table)->over == 0)
		far_forget(m, at->table);
	vacate(m, at->table, at->g * GROUP_SLOTS + at->i, slot, m->slot_bytes);
	map_shown(slot, m->slot_bytes);
}

// --- keys that the runtime compares itself -------------------------------------------------------

// After a delete that has left few entries, with the mark set. True, for who calls it last.
static NOINLINE bool
few_left(const MapType *t, Map *m, uint64_t hash, G *self)
{
	if (m->count == 0)
		tidy_empty(m);
	else if (m->count % LOOK_EVERY == 0)
		map_shrink(t, m, hash);
	writing_end(m, self);
	return true;
}

// The end of a delete that may leave few, with the mark set; whether there was something to delete.
FRONT bool
drop_end(const MapType *t, Map *m, uint64_t hash, G *self, bool found)
{
	if (unlikely(m->count <= m->low) && found)
		return few_left(t, m, hash, self);
	writing_end(m, self);
	return found;
}

static bool
find_any(const MapType *t, const Map *m, Key k, uint64_t hash, Place *at)
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

// A key that may be anywhere, with the mark set.
static NOINLINE bool
drop_far(const MapType *t, Map *m, Key k, uint64_t hash, G *self)
{
	Place at;
	bool found = find_any(t, m, k, hash, &at);
	if (found)
		vacate_place(m, &at);
	return drop_end(t, m, hash, self, found);
}

typedef enum Dropped { DROP_DONE, DROP_NOWHERE, DROP_UNKNOWN } Dropped;

// The first step of a search, and the last one of most. A processor looks only so many instructions
// ahead, four or five deletes, so the second line of the home is asked for, too, before it is known
// whether the key is there. t is used for GO_MAP_KEY_BYTES only.
FRONT Dropped
drop_near(const MapType *t, Map *m, go_map_key kind, size_t each, Key k, uint64_t hash)
{
	enum { LINES_MOST = 3 }; // of more, one is too small a part
	uint64_t i;
	Home home = home_of(m, hash);
	char *slots = near_slots(m, home, each);
	if (GROUP_SLOTS * each > CACHE_LINE && GROUP_SLOTS * each <= LINES_MOST * CACHE_LINE)
		__builtin_prefetch(slots + CACHE_LINE);
	Ctrls ctrls = go_map_ctrls_to_write_(go_map_ctrl_(home));
	go_map_match_bits_ match = go_map_match_(ctrls, go_map_tag_of_(hash));
	if (likely(find_near(t, kind, each, k, slots, match, &i))) {
		uint32_t n = (uint32_t)(home.n * GROUP_SLOTS + i);
		vacate(m, home.table, n, slots + i * each, each);
		return DROP_DONE;
	}
	return likely(go_map_nowhere_(front_of(m), home, ctrls, hash)) ? DROP_NOWHERE
								       : DROP_UNKNOWN;
}

FRONT bool
drop_any(const MapType *t, Map *m, go_map_key kind, Key k)
{
	Dropped dropped = DROP_UNKNOWN;
	G *self = writing_begin(m);
	uint64_t hash = key_hash(t, m, kind, k);
	if ((m->flags & (MAP_KEY_APART | MAP_SHOWN)) == 0)
		dropped = drop_near(t, m, kind, m->slot_bytes, k, hash);
	if (unlikely(dropped == DROP_UNKNOWN))
		return drop_far(t, m, k, hash, self);
	return drop_end(t, m, hash, self, dropped == DROP_DONE);
}

// Whatever the map is like.
static NOINLINE bool
drop_unusual(const MapType *t, Map *m, Key k)
{
	if (m->count == 0) {
		reading(m, MISUSE_WRITES);
		return false;
	}
	switch (t->key_kind) {
	case GO_MAP_KEY_32:
		return drop_any(t, m, GO_MAP_KEY_32, k);
	case GO_MAP_KEY_64:
		return drop_any(t, m, GO_MAP_KEY_64, k);
	case GO_MAP_KEY_STRING:
		return drop_any(t, m, GO_MAP_KEY_STRING, k);
	default:
		return drop_any(t, m, GO_MAP_KEY_BYTES, k);
	}
}

// Nearly all deletes, for which no type is needed: more than m->low entries are left, so nothing is
// to be merged. DROP_UNKNOWN: all is as it was, and it is for drop_unusual.
FRONT Dropped
drop_usual(Map *m, go_map_key kind, Key k)
{
	size_t each = usual_shape(kind).each;
	if (unlikely(m->count <= m->low + 1) || unlikely(m->slot_bytes != each) ||
	    unlikely(m->flags != MAP_FLAGS_USUAL) || unlikely(is_marked(m, MISUSE_WRITES)))
		return DROP_UNKNOWN;
	G *self = sched_g();
	store_rlx(&m->writer, self); // order: hint
	Dropped dropped = drop_near(NULL, m, kind, each, k, key_hash(NULL, m, kind, k));
	writing_end(m, self);
	return dropped;
}

// What calls others does so last, so that few registers are to be saved.
FRONT bool
drop(const MapType *t, Map *m, go_map_key kind, Key k)
{
	if (unlikely(m == NULL))
		return false;
	Dropped dropped = drop_usual(m, kind, k);
	return likely(dropped != DROP_UNKNOWN) ? dropped == DROP_DONE : drop_unusual(t, m, k);
}

bool
map_delete_unusual(const MapType *t, Map *m, const void *key)
{
	return drop_unusual(t, m, key_at(t->key_kind, key));
}

bool
map_delete_usual_32(Map *m, uint32_t key)
{
	return drop_usual(m, GO_MAP_KEY_32, (Key){.word = key}) != DROP_UNKNOWN;
}

bool
map_delete_usual_64(Map *m, uint64_t key)
{
	return drop_usual(m, GO_MAP_KEY_64, (Key){.word = key}) != DROP_UNKNOWN;
}

bool
map_delete_usual_string(Map *m, const char *p, size_t n)
{
	return drop_usual(m, GO_MAP_KEY_STRING, (Key){.p = p, .n = n}) != DROP_UNKNOWN;
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
	vacate_place(m, &at);
	if (m->count == 0)
		tidy_empty(m);
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
