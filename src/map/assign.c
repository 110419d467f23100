// SPDX-License-Identifier: BSD-3-Clause
// Assigning: the element of a key, which is made when there is none.
//
// Keys that are words, strings or bytes are compared by the runtime alone, and the mark of who
// writes is set all the time. Others are searched for without the mark, since their functions may
// not return; what they or others did to the map meanwhile shows in Map.changes.
#include "map/find.h"
#include "map/misuse.h"

// --- what lies apart -----------------------------------------------------------------------------

// What an entry needs beside its slot.
typedef struct Apart {
	char *key;
	char *elem;
} Apart;

static bool
apart_make(const MapType *t, const Map *m, Apart *a)
{
	*a = (Apart){NULL, NULL};
	if ((m->flags & MAP_KEY_APART) != 0 &&
	    (a->key = map_memory_apart(t->key_bytes, t->key_type, t->key_mask)) == NULL)
		return false;
	if ((m->flags & MAP_ELEM_APART) != 0 &&
	    (a->elem = map_memory_apart(t->elem_bytes, t->elem_type, t->elem_mask)) == NULL)
		return false;
	return true;
}

// --- the steps -----------------------------------------------------------------------------------

FRONT void
store_key(const MapType *t, go_map_key kind, Key k, char *to)
{
	switch (kind) {
	case GO_MAP_KEY_32: {
		uint32_t w = (uint32_t)k.word;
		memcpy(to, &w, sizeof(w));
		break;
	}
	case GO_MAP_KEY_64:
		memcpy(to, &k.word, sizeof(k.word));
		break;
	case GO_MAP_KEY_STRING:
		memcpy(to, &(go_bytes){k.p, k.n}, sizeof(go_bytes));
		break;
	default:
		memcpy(to, k.p, t->key_bytes);
	}
}

// Whether an entry may come to the place that was found. One in its own group may.
FRONT bool
room_at(const Map *m, const Place *at)
{
	if (likely(at->g == at->home && at->i != NO_SLOT))
		return true;
	return at->i != NO_SLOT && head_of(at->table)->over < over_most(m->groups);
}

FRONT char *
occupy(Map *m, const Place *at, uint64_t hash)
{
	if (unlikely(at->ctrl[at->i] == CTRL_DELETED))
		head_of(at->table)->dead--;
	if (unlikely(at->g != at->home)) {
		head_of(at->table)->over++;
		if (m->count % GROUP_SLOTS == 0)
			dir_advance(m);
	}
	at->ctrl[at->i] = (char)tag_of(hash);
	m->count++;
	return slot_at(m, at->table, at->g, at->i);
}

// Finds the key, or a place for it, growing the map until there is one. *at is where.
typedef enum Found { FOUND_OLD, FOUND_ROOM, FOUND_NO_MEMORY } Found;

FRONT Found
search(const MapType *t, Map *m, go_map_key kind, Key k, uint64_t hash, Place *at)
{
	if (unlikely(m->tables == 0) && !map_begin(t, m))
		return FOUND_NO_MEMORY;
	for (;;) {
		if (find_place(t, m, kind, k, hash, at))
			return FOUND_OLD;
		if (likely(room_at(m, at)))
			return FOUND_ROOM;
		Grown grown = map_grow(t, m, hash);
		if (unlikely(grown == GROW_FAILED))
			return FOUND_NO_MEMORY;
		if (unlikely(grown == GROW_NOT))
			return FOUND_ROOM;
	}
}

// Writes a new entry, or the key of an old one anew.
FRONT void *
settle(const MapType *t, Map *m, go_map_key kind, Key k, uint64_t hash, const Place *at,
       Found found, const Apart *apart)
{
	char *slot;
	if (found == FOUND_OLD) {
		slot = slot_at(m, at->table, at->g, at->i);
		if (unlikely((t->flags & GO_MAP_KEY_RENEWED) != 0))
			store_key(t, kind, k, (char *)(uintptr_t)slot_key(m, kind, slot));
		return slot_elem(m, slot);
	}
	slot = occupy(m, at, hash);
	if (unlikely((m->flags & (MAP_KEY_APART | MAP_ELEM_APART)) != 0)) {
		if (apart->key != NULL)
			*(char **)(void *)slot = apart->key;
		if (apart->elem != NULL)
			*(char **)(void *)(slot + m->elem_at) = apart->elem;
	}
	store_key(t, kind, k, (char *)(uintptr_t)slot_key(m, kind, slot));
	return slot_elem(m, slot);
}

COLD static void
assign_nil(void)
{
	panic("assignment to entry in nil map");
}

// Of keys that the runtime compares itself.
FRONT void *
assign(const MapType *t, Map *m, go_map_key kind, Key k)
{
	Place at;
	Apart apart = {NULL, NULL};
	void *elem = NULL;
	if (unlikely(m == NULL))
		assign_nil();
	G *self = writing_begin(m);
	uint64_t hash = key_hash(t, kind, k, m->seed);
	Found found = search(t, m, kind, k, hash, &at);
	if (unlikely((m->flags & (MAP_KEY_APART | MAP_ELEM_APART)) != 0) && found == FOUND_ROOM &&
	    !apart_make(t, m, &apart))
		found = FOUND_NO_MEMORY;
	if (likely(found != FOUND_NO_MEMORY))
		elem = settle(t, m, kind, k, hash, &at, found, &apart);
	writing_end(m, self);
	return elem;
}

void *
map_assign_32(const MapType *t, Map *m, uint32_t key)
{
	return assign(t, m, GO_MAP_KEY_32, (Key){.word = key});
}

void *
map_assign_64(const MapType *t, Map *m, uint64_t key)
{
	return assign(t, m, GO_MAP_KEY_64, (Key){.word = key});
}

void *
map_assign_string(const MapType *t, Map *m, const char *p, size_t n)
{
	return assign(t, m, GO_MAP_KEY_STRING, (Key){.p = p, .n = n});
}

// Of all others. What search changes, it changes without the mark; but growing alone leaves a map
// that anyone may read.
static NOINLINE void *
assign_call(const MapType *t, Map *m, Key k)
{
	Place at;
	Apart apart;
	Found found;
	G *self;
	if (m == NULL)
		assign_nil();
	for (;;) {
		reading(m, MISUSE_WRITES);
		uint64_t hash = key_hash(t, GO_MAP_KEY_CALLS, k, m->seed);
		uint32_t changes = m->changes;
		found = search(t, m, GO_MAP_KEY_CALLS, k, hash, &at);
		if (found == FOUND_NO_MEMORY || (found == FOUND_ROOM && !apart_make(t, m, &apart)))
			return NULL;
		self = writing_begin(m);
		// A step of growing raises it too: then the place is looked for once more.
		if (m->changes == changes) {
			void *elem = settle(t, m, GO_MAP_KEY_CALLS, k, hash, &at, found, &apart);
			m->changes++;
			writing_end(m, self);
			return elem;
		}
		writing_end(m, self);
	}
}

static NOINLINE void *
assign_bytes(const MapType *t, Map *m, Key k)
{
	return assign(t, m, GO_MAP_KEY_BYTES, k);
}

void *
map_assign(const MapType *t, Map *m, const void *key)
{
	Key k = key_at(t->key_kind, key);
	switch (t->key_kind) {
	case GO_MAP_KEY_32:
		return map_assign_32(t, m, (uint32_t)k.word);
	case GO_MAP_KEY_64:
		return map_assign_64(t, m, k.word);
	case GO_MAP_KEY_STRING:
		return map_assign_string(t, m, k.p, k.n);
	case GO_MAP_KEY_BYTES:
		return assign_bytes(t, m, k);
	default:
		return assign_call(t, m, k);
	}
}
