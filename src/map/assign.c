// SPDX-License-Identifier: BSD-3-Clause
// Assigning: the element of a key, which is made when there is none.
//
// Keys that are words, strings or bytes are compared by the runtime alone, and the mark of who
// writes is set all the time. Others are searched for without the mark, since their functions may
// not return; that they or others changed the map meanwhile shows in Map.changes, and is misuse.
#include "map/find.h"

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

FRONT bool
is_near(const Place *at)
{
	return at->i != NO_SLOT && !is_far(at->g, at->home);
}

// Whether the only table shall become larger, rather than have room made. Of several tables each is
// split when many of its entries are far from home, which in a small one takes too long.
FRONT bool
is_full(const Map *m)
{
	size_t slots = (size_t)m->groups * GROUP_SLOTS;
	return m->tables == 1 && m->count >= slots / 8 * 7;
}

// Makes room near home. True: it is at.
FRONT bool
room_near(const MapType *t, Map *m, Place *at)
{
	Room r = {t, m, at->table, m->groups, m->slots_at, 0, 0};
	dir_tune(m);
	if (!entries_move(t) || load_rlx(&m->iterated) != 0 || is_full(m) || // order: own
	    !room_make(&r, at->home))
		return false;
	at->g = r.g;
	at->i = r.i;
	at->ctrl = ctrl_of(at->table, r.g);
	if (m->count % GROUP_SLOTS == 0)
		dir_advance(m);
	return true;
}

// Whether deleted slots are in the way: a group that was full once has no empty slot any more, at
// which look-ups would end. A table that is made anew for these costs a few moves for each
// deletion. Where look-ups ask for far entries at once it does not matter (dir_tune).
FRONT bool
is_worn(const Map *m, const Place *at)
{
	bool asked = (int)GO_MAP_GROUPS_SEEN_ == 2 &&
		     (load_rlx(&m->shift) & GO_MAP_FAR_TELLS_) != 0; // order: own
	return head_of(at->table)->dead > m->groups && !asked;
}

// The first free slot, where the search has met none.
FRONT void
place_beyond(const Map *m, Place *at)
{
	uint32_t g = at->home;
	for (uint32_t left = m->groups; at->i == NO_SLOT && left > 0; left--) {
		Match free = match_free(ctrl_read(ctrl_of(at->table, g)));
		if (free != 0) {
			at->g = g;
			at->i = match_first(free);
			at->ctrl = ctrl_of(at->table, g);
		}
		g = g + 1 == m->groups ? 0 : g + 1;
	}
}

// Whether an entry may come there, unless there are too many.
FRONT bool
room_beyond(const Map *m, Place *at)
{
	const Head *head = head_of(at->table);
	if (head->over >= over_most(m->groups) || head->far >= far_most(m->groups))
		return false;
	place_beyond(m, at);
	return at->i != NO_SLOT;
}

FRONT void
occupy(Map *m, const Place *at, uint64_t hash)
{
	if (unlikely(at->ctrl[at->i] == CTRL_DELETED))
		head_of(at->table)->dead--;
	if (unlikely(is_far(at->g, at->home))) {
		head_of(at->table)->over++;
		far_add(at->table, m->slots_at, at->home, hash,
			way_from(at->home, at->g, m->groups));
		if (m->count % GROUP_SLOTS == 0)
			dir_advance(m);
	}
	ctrl_set(at->ctrl, at->i, tag_of(hash));
	m->count++;
}

// The key that is given may lie in the map itself, in the table that goes when the map grows: it
// is taken out of there before. One of more bytes lies in no table.
typedef struct Own {
	char key[APART_BYTES] __attribute__((aligned(16)));
} Own;

FRONT void
own_key(const MapType *t, go_map_key kind, Key *k, Own *own)
{
	bool lies = kind != GO_MAP_KEY_32 && kind != GO_MAP_KEY_64 && kind != GO_MAP_KEY_STRING;
	if (!lies || k->p == own->key || t->key_bytes > sizeof(own->key))
		return;
	memcpy(own->key, k->p, t->key_bytes);
	k->p = own->key;
}

// Finds the key, or a place for it, growing the map until there is one. *at is where.
typedef enum Found { FOUND_OLD, FOUND_ROOM, FOUND_NO_MEMORY } Found;

FRONT Found
search(const MapType *t, Map *m, go_map_key kind, size_t each, Key *k, Own *own, uint64_t hash,
       Place *at)
{
	for (;;) {
		if (find_place(t, m, kind, each, *k, hash, at))
			return FOUND_OLD;
		still_own(m, at->table, MISUSE_WRITES);
		bool worn = is_worn(m, at);
		if (is_near(at) && !worn)
			return FOUND_ROOM;
		own_key(t, kind, k, own);
		if (!worn && (room_near(t, m, at) || room_beyond(m, at)))
			return FOUND_ROOM;
		Grown grown = map_grow(t, m, hash);
		if (unlikely(grown == GROW_FAILED))
			return FOUND_NO_MEMORY;
		if (unlikely(grown == GROW_NOT)) {
			place_beyond(m, at);
			return FOUND_ROOM;
		}
	}
}

// Writes a new entry, or the key of an old one anew. Reading a key may fault, of which the hash
// function has not looked at all: nothing has changed before.
FRONT void *
settle(const MapType *t, Map *m, go_map_key kind, size_t each, Key k, uint64_t hash,
       const Place *at, Found found, const Apart *apart)
{
	char *slot = nth_slot(m, at->table, at->g, at->i, each);
	if (found == FOUND_OLD) {
		if (unlikely((t->flags & GO_MAP_KEY_RENEWED) != 0))
			store_key(t, kind, k, (char *)(uintptr_t)slot_key(m, kind, slot));
		return slot_elem(m, slot);
	}
	if (unlikely((m->flags & (MAP_KEY_APART | MAP_ELEM_APART)) != 0)) {
		if (apart->key != NULL)
			*(char **)(void *)slot = apart->key;
		if (apart->elem != NULL)
			*(char **)(void *)(slot + m->elem_at) = apart->elem;
	}
	store_key(t, kind, k, (char *)(uintptr_t)slot_key(m, kind, slot));
	occupy(m, at, hash);
	return slot_elem(m, slot);
}

COLD static void
assign_nil(void)
{
	panic("assignment to entry in nil map");
}

// The first tables, where the map has none.
FRONT bool
has_tables(const MapType *t, Map *m)
{
	return likely(m->count != 0) || m->tables != 0 || map_begin(t, m);
}

// Of keys that the runtime compares itself, with the mark set. NULL: no memory.
FRONT void *
assign_far(const MapType *t, Map *m, go_map_key kind, Key k, uint64_t hash)
{
	Place at;
	Own own;
	Apart apart = {NULL, NULL};
	size_t each = m->slot_bytes;
	Found found = search(t, m, kind, each, &k, &own, hash, &at);
	if (found == FOUND_NO_MEMORY || (found == FOUND_ROOM && !apart_make(t, m, &apart)))
		return NULL;
	return settle(t, m, kind, each, k, hash, &at, found, &apart);
}

static NOINLINE void *
assign_far_any(const MapType *t, Map *m, Key k, uint64_t hash)
{
	switch (t->key_kind) {
	case GO_MAP_KEY_32:
		return assign_far(t, m, GO_MAP_KEY_32, k, hash);
	case GO_MAP_KEY_64:
		return assign_far(t, m, GO_MAP_KEY_64, k, hash);
	case GO_MAP_KEY_STRING:
		return assign_far(t, m, GO_MAP_KEY_STRING, k, hash);
	default:
		return assign_far(t, m, GO_MAP_KEY_BYTES, k, hash);
	}
}

// The slot of a key that is near its home, or comes there. NULL: it takes more than a step.
FRONT char *
assign_near(const MapType *t, Map *m, go_map_key kind, size_t each, Key k, uint64_t hash)
{
	uint64_t i;
	Home home = home_of(m, hash);
	char *slots = near_slots(m, home, each);
	Ctrls ctrls = go_map_ctrls_to_write_(go_map_ctrl_(home));
	const char *tag = go_map_tag_of_(hash);
	bool found = find_near(t, kind, each, k, slots, go_map_match_(ctrls, tag), &i);
	char *slot = found ? slots + i * each
			   : go_map_take_((Front *)(void *)m, home, slots, ctrls, tag, each);
	if (likely(slot != NULL) && (!found || unlikely((t->flags & GO_MAP_KEY_RENEWED) != 0)))
		store_key(t, kind, k, slot);
	return slot;
}

// All of it, whatever the map is like.
FRONT void *
assign_sized(const MapType *t, Map *m, go_map_key kind, Shape sh, Key k)
{
	void *elem = NULL;
	G *self = writing_begin(m);
	uint64_t hash = key_hash(t, m, kind, k);
	if (likely(has_tables(t, m))) {
		bool apart = (m->flags & (MAP_KEY_APART | MAP_ELEM_APART)) != 0;
		char *slot = likely(!apart) ? assign_near(t, m, kind, sh.each, k, hash) : NULL;
		elem = likely(slot != NULL) ? slot + sh.elem_at : assign_far_any(t, m, k, hash);
	}
	writing_end(m, self);
	return elem;
}

static NOINLINE void *
assign_unusual(const MapType *t, Map *m, Key k)
{
	if ((m->flags & MAP_LAID_OUT) == 0) {
		G *self = writing_begin(m);
		map_lay_out(t, m);
		writing_end(m, self);
	}
	switch (t->key_kind) {
	case GO_MAP_KEY_32:
		return assign_sized(t, m, GO_MAP_KEY_32, shape_of(m), k);
	case GO_MAP_KEY_64:
		return assign_sized(t, m, GO_MAP_KEY_64, shape_of(m), k);
	case GO_MAP_KEY_STRING:
		return assign_sized(t, m, GO_MAP_KEY_STRING, shape_of(m), k);
	default:
		return assign_sized(t, m, GO_MAP_KEY_BYTES, shape_of(m), k);
	}
}

// What takes more than a step, with the mark set. The first entry of a map takes just one, then.
FRONT void *
assign_on(const MapType *t, Map *m, go_map_key kind, Key k, uint64_t hash, G *self)
{
	Shape sh = usual_shape(kind);
	char *slot = NULL;
	if (m->tables == 0 && map_begin(t, m))
		slot = assign_near(t, m, kind, sh.each, k, hash);
	void *elem = slot != NULL	? slot + sh.elem_at
		     : m->tables != 0 ? assign_far_any(t, m, k, hash)
				      : NULL;
	writing_end(m, self);
	return elem;
}

typedef void *AssignRest(const MapType *t, Map *m, Key k, uint64_t hash, G *self);

#define ASSIGN_REST(suffix, kind)                                                  \
	static NOINLINE void *rest_##suffix(const MapType *t, Map *m, Key k,       \
					    uint64_t hash, G *self)                \
	{                                                                          \
		return assign_on(t, m, kind, k, hash, self);                       \
	}
ASSIGN_REST(32, GO_MAP_KEY_32)
ASSIGN_REST(64, GO_MAP_KEY_64)
ASSIGN_REST(string, GO_MAP_KEY_STRING)

// Nearly all assignments. What calls others does so last, so that no register is to be saved.
FRONT void *
assign(const MapType *t, Map *m, go_map_key kind, Key k, AssignRest *rest)
{
	Shape sh = usual_shape(kind);
	if (unlikely(m == NULL))
		assign_nil();
	if (unlikely(m->slot_bytes != sh.each) || unlikely(m->flags != MAP_FLAGS_USUAL) ||
	    unlikely(is_marked(m, MISUSE_WRITES)))
		return assign_unusual(t, m, k);
	G *self = sched_g();
	store_rlx(&m->writer, self); // order: hint
	uint64_t hash = key_hash(t, m, kind, k);
	char *slot = assign_near(t, m, kind, sh.each, k, hash);
	if (unlikely(slot == NULL))
		return rest(t, m, k, hash, self);
	writing_end(m, self);
	return slot + sh.elem_at;
}

void *
map_assign_32(const MapType *t, Map *m, uint32_t key)
{
	return assign(t, m, GO_MAP_KEY_32, (Key){.word = key}, rest_32);
}

void *
map_assign_64(const MapType *t, Map *m, uint64_t key)
{
	return assign(t, m, GO_MAP_KEY_64, (Key){.word = key}, rest_64);
}

void *
map_assign_string(const MapType *t, Map *m, const char *p, size_t n)
{
	return assign(t, m, GO_MAP_KEY_STRING, (Key){.p = p, .n = n}, rest_string);
}

// The first tables need nothing of the key, so the mark is set while they are made.
static bool
begin(const MapType *t, Map *m)
{
	G *self = writing_begin(m);
	bool ok = m->tables != 0 || map_begin(t, m);
	writing_end(m, self);
	return ok;
}

// Of all others. What search changes, it changes without the mark; but growing alone leaves a map
// that anyone may read.
static NOINLINE void *
assign_call(const MapType *t, Map *m, Key k)
{
	Place at;
	Own own;
	Apart apart = {NULL, NULL};
	if (m == NULL)
		assign_nil();
	reading(m, MISUSE_WRITES);
	uint64_t hash = hash_of(t, m, GO_MAP_KEY_CALLS, k, MISUSE_WRITES);
	if (m->tables == 0 && !begin(t, m))
		return NULL;
	Found found = search(t, m, GO_MAP_KEY_CALLS, m->slot_bytes, &k, &own, hash, &at);
	uint32_t changes = m->changes;
	if (found == FOUND_NO_MEMORY || (found == FOUND_ROOM && !apart_make(t, m, &apart)))
		return NULL;
	G *self = writing_begin(m);
	unchanged(m, changes, MISUSE_WRITES);
	void *elem = settle(t, m, GO_MAP_KEY_CALLS, m->slot_bytes, k, hash, &at, found,
			    &apart);
	m->changes++;
	writing_end(m, self);
	return elem;
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
		if (unlikely(m == NULL))
			assign_nil();
		return assign_unusual(t, m, k);
	default:
		return assign_call(t, m, k);
	}
}
