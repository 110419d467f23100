// SPDX-License-Identifier: BSD-3-Clause
// Making room: the first table, larger ones, and two out of one.
//
// All memory that a step needs is had before anything changes. No step copies more than one table,
// but for keys of hashes that are all alike. A key's hash function may do anything, even to this
// map: then the process dies before the step goes on (misuse.h).
#include "map/find.h"

// --- moving entries into new tables --------------------------------------------------------------

typedef struct Move {
	const MapType *t;
	const Map *m;
	char *to[2];       // by the next bit of the hash; both the same where nothing is split
	uint32_t groups;   // of these
	uint32_t slots_at; // in these
	uint32_t shift;    // of that bit
	uint32_t changes;  // of the map when the step began
	bool new;          // these had no entries, and have several groups
} Move;

static Move
move_to(const MapType *t, const Map *m, char *table, uint32_t groups, uint32_t changes)
{
	uint32_t slots_at = layout_slots_at(m, groups);
	return (Move){t, m, {table, table}, groups, slots_at, 0, changes, groups > 1};
}

// So far from a table's beginning is a slot, in bytes.
FRONT size_t
slot_from(const Move *mv, uint32_t g, uint32_t i, size_t each)
{
	return mv->slots_at + ((size_t)g * GROUP_SLOTS + i) * each;
}

// A slot is taken now.
static inline void
put_at(char *table, uint32_t g, uint32_t i, uint64_t hash)
{
	char *ctrl = ctrl_of(table, g);
	if (unlikely(ctrl[i] == CTRL_DELETED))
		head_of(table)->dead--;
	ctrl_set(ctrl, i, tag_of(hash));
}

// Of a key for which there is no room in its home and in the group behind.
static NOINLINE size_t
put_far(const Move *mv, char *table, uint32_t home, uint64_t hash)
{
	Room r = {mv->t, mv->m, table, mv->groups, mv->slots_at, 0, 0};
	if (entries_move(mv->t) && room_make(&r, home)) {
		put_at(table, r.g, r.i, hash);
		return slot_from(mv, r.g, r.i, mv->m->slot_bytes);
	}
	for (uint32_t g = home, left = mv->groups; left > 0; left--) {
		Match free = match_free(ctrl_read(ctrl_of(table, g)));
		if (free != 0) {
			if (is_far(g, home)) {
				head_of(table)->over++;
				far_add(table, mv->slots_at, home, hash,
					way_from(home, g, mv->groups));
			}
			put_at(table, g, match_first(free), hash);
			return slot_from(mv, g, match_first(free), mv->m->slot_bytes);
		}
		g = g + 1 == mv->groups ? 0 : g + 1;
	}
	// More entries than there were: somebody else has put them, or changed their keys.
	misuse_fatal(mv->m, MISUSE_WRITES, load_rlx(&mv->m->writer)); // order: hint
}

// A key that the table does not have gets a slot; there is one. Where it is in the table.
FRONT size_t
put(const Move *mv, char *table, uint64_t hash, size_t each)
{
	uint32_t home = group_of(hash, homes_of(mv->groups));
	Match free = free_near(table, mv->groups, home);
	if (unlikely(free == 0))
		return put_far(mv, table, home, hash);
	uint32_t i = (uint32_t)go_map_choose_(free);
	put_at(table, home + i / GROUP_SLOTS, i % GROUP_SLOTS, hash);
	return slot_from(mv, home, i, each);
}

// How many slots of a group are in use, of which none was deleted.
static inline uint32_t
used(uint64_t ctrl)
{
	enum { BITS = 64, LEAST_TAG_BITS = 2 };
	uint32_t bits = BITS - (uint32_t)__builtin_clzll(ctrl | 1);
	return (bits + 8 - LEAST_TAG_BITS) / 8;
}

// The same in a new table of several groups, as go_map_choose_ has it. One entry after the other
// comes into a group, and waits for what the one before has written there: so that is read once,
// and looked at without vector registers.
FRONT size_t
put_new(const Move *mv, char *table, uint64_t hash, size_t each)
{
	uint32_t g = group_of(hash, homes_of(mv->groups));
	uint64_t home = ctrl_read(ctrl_of(table, g)), next = ctrl_read(ctrl_of(table, g + 1));
	uint32_t in_home = used(home), in_next = used(next);
	uint32_t most = (int)GO_MAP_GROUPS_SEEN_ == 2 ? (int)GO_MAP_OWN_
							: (int)GROUP_SLOTS;
	bool behind = (in_home >= most) & (in_next < in_home);
	uint64_t choice = 0 - (uint64_t)behind; // a branch could not be foretold
	uint32_t i = in_home ^ ((in_home ^ in_next) & (uint32_t)choice);
	if (unlikely(i == GROUP_SLOTS))
		return put_far(mv, table, g, hash);
	uint64_t ctrl = (home ^ ((home ^ next) & choice)) | (uint64_t)tag_of(hash) << i * 8;
	g += behind;
	memcpy(ctrl_of(table, g), &ctrl, sizeof(ctrl));
	return slot_from(mv, g, i, each);
}

// A key that is not equal to itself may well get another hash now; no matter, nobody finds it.
FRONT void
move_slot(const Move *mv, go_map_key kind, size_t each, const char *slot)
{
	const char *key = slot_key(mv->m, kind, slot);
	uint64_t hash = key_hash(mv->t, mv->m, kind, key_at(kind, key));
	char *table = mv->to[(hash >> mv->shift) & 1];
	size_t at = likely(mv->new) ? put_new(mv, table, hash, each) : put(mv, table, hash, each);
	memcpy(table + at, slot, each);
}

// Asks for the keys of a group, which lie somewhere else.
static void
ask_ahead(const Map *m, char *from, uint32_t g)
{
	if (g >= m->groups)
		return;
	Match full = match_full(ctrl_read(ctrl_of(from, g)));
	for (; full != 0; full &= full - 1)
		__builtin_prefetch(*(char **)(void *)slot_at(m, from, g, match_first(full)));
}

// Slots of so many bytes.
FRONT void
move_slots(const Move *mv, char *from, go_map_key kind, size_t each)
{
	enum { AHEAD = 2 };
	const Map *m = mv->m;
	bool far = kind == GO_MAP_KEY_STRING || (m->flags & MAP_KEY_APART) != 0;
	for (uint32_t g = 0; g < m->groups; g++) {
		Match full = match_full(ctrl_read(ctrl_of(from, g)));
		if (far)
			ask_ahead(m, from, g + AHEAD);
		for (; full != 0; full &= full - 1) {
			move_slot(mv, kind, each, nth_slot(m, from, g, match_first(full), each));
			if (kind == GO_MAP_KEY_CALLS)
				unchanged(m, mv->changes, MISUSE_WRITES);
		}
	}
}

static void
move_all(const Move *mv, char *from)
{
	go_map_key kind = mv->t->key_kind;
	size_t each = mv->m->slot_bytes;
	if (kind == GO_MAP_KEY_64 && each == usual_shape(GO_MAP_KEY_64).each)
		move_slots(mv, from, GO_MAP_KEY_64, usual_shape(GO_MAP_KEY_64).each);
	else
		move_slots(mv, from, kind, each);
}

// --- two out of one ------------------------------------------------------------------------------

// Homes are the same in a table and in the two that it becomes. So an entry stays in its group, or
// comes home from the one behind, and nothing that is written is read meanwhile.
typedef struct Halves {
	uint32_t g;    // the group whose entries are moved
	uint64_t used; // slots: of the group before in both halves, of this one in both
	uint32_t n;
	uint32_t far[32]; // entries that are further from home, by slot
} Halves;

enum { USED_BITS = 8, USED_THIS = 2 * USED_BITS };

FRONT uint64_t
hash_at(const Move *mv, go_map_key kind, const char *slot)
{
	return key_hash(mv->t, mv->m, kind, key_at(kind, slot_key(mv->m, kind, slot)));
}

// Of a home and the group behind it. False: the entry is in neither.
FRONT bool
move_to_half(const Move *mv, Halves *h, go_map_key kind, size_t each, const char *slot, uint8_t tag)
{
	uint64_t hash = hash_at(mv, kind, slot);
	uint32_t way = h->g - group_of(hash, homes_of(mv->groups));
	uint32_t half = (uint32_t)(hash >> mv->shift) & 1;
	if (unlikely(way > 1))
		return false;
	uint32_t at = half * USED_BITS + (1 - way) * USED_THIS;
	if (unlikely((uint8_t)(h->used >> at) == GROUP_SLOTS)) { // its home, of others from behind
		at += USED_THIS;
		way = 0;
	}
	uint32_t i = (uint8_t)(h->used >> at);
	h->used += UINT64_C(1) << at;
	ctrl_of(mv->to[half], h->g - way)[i] = (char)tag;
	memcpy(mv->to[half] + slot_from(mv, h->g - way, i, each), slot, each);
	return true;
}

// The entries far from home, when the others have come. What was not noted is looked for: there are
// so many only where keys have been written to, or their hashes are alike.
FRONT void
move_far(const Move *mv, const Halves *h, char *from, go_map_key kind, size_t each)
{
	uint32_t slots = mv->groups * GROUP_SLOTS, homes = homes_of(mv->groups);
	for (uint32_t i = 0; i < h->n && i < countof(h->far); i++)
		move_slot(mv, kind, each, nth_slot(mv->m, from, 0, h->far[i], each));
	if (likely(h->n <= countof(h->far)))
		return;
	for (uint32_t i = h->far[countof(h->far) - 1] + 1; i < slots; i++) {
		const char *slot = nth_slot(mv->m, from, 0, i, each);
		if ((uint8_t)ctrl_of(from, 0)[i] >= CTRL_FULL &&
		    i / GROUP_SLOTS - group_of(hash_at(mv, kind, slot), homes) > 1)
			move_slot(mv, kind, each, slot);
	}
}

FRONT void
halve(const Move *mv, char *from, go_map_key kind, size_t each)
{
	enum { AHEAD = 2 };
	bool ask = kind == GO_MAP_KEY_STRING || (mv->m->flags & MAP_KEY_APART) != 0;
	Halves h = {.used = 0};
	for (; h.g < mv->groups; h.g++, h.used >>= USED_THIS) {
		uint64_t ctrl = ctrl_read(ctrl_of(from, h.g));
		if (ask)
			ask_ahead(mv->m, from, h.g + AHEAD);
		for (Match full = match_full(ctrl); full != 0; full &= full - 1) {
			uint32_t i = match_first(full), n = h.g * GROUP_SLOTS + i;
			const char *slot = nth_slot(mv->m, from, 0, n, each);
			uint8_t tag = (uint8_t)(ctrl >> i * 8);
			if (likely(move_to_half(mv, &h, kind, each, slot, tag)))
				continue;
			if (h.n < countof(h.far))
				h.far[h.n] = n;
			h.n++;
		}
	}
	move_far(mv, &h, from, kind, each);
}

static void
move_halves(const Move *mv, char *from)
{
	go_map_key kind = mv->t->key_kind;
	size_t each = mv->m->slot_bytes, usual = usual_shape(GO_MAP_KEY_64).each;
	if (!hash_is_sure(mv->t))
		move_all(mv, from);
	else if (kind == GO_MAP_KEY_64 && each == usual)
		halve(mv, from, GO_MAP_KEY_64, usual);
	else
		halve(mv, from, kind, each);
}

// Whether nobody can be in a table of the map now, but for whom this is done.
static bool
nobody_inside(const MapType *t, const Map *m)
{
	return t->key_kind != GO_MAP_KEY_CALLS && load_rlx(&m->iterated) == 0; // order: own
}

// A table that has been replaced, unless somebody may read an element in it. Another one that does
// the same at the same time, as none should, would give it back as well. changes: Map.changes
// before.
static void
give_back(const MapType *t, const Map *m, char *table, uint32_t changes)
{
	unchanged(m, changes + 1, MISUSE_WRITES);
	if (nobody_inside(t, m) && (t->flags & GO_MAP_ELEMS_HELD) == 0)
		map_memory_back(table);
}

void
map_set_groups(Map *m, uint32_t groups)
{
	m->groups = groups;
	m->homes = homes_of(groups);
	m->slots_at = layout_slots_at(m, groups);
}

// --- steps ---------------------------------------------------------------------------------------

// A table that takes the place of the one where the hash leads, with the same entries. The map has
// one table, or groups are what they were.
bool
map_replace(const MapType *t, Map *m, uint64_t hash, uint32_t groups)
{
	char *old = table_of(m, hash);
	uint32_t depth = head_of(old)->depth, changes = m->changes;
	char *table = table_new(m, groups, depth);
	if (table == NULL)
		return false;
	unchanged(m, changes, MISUSE_WRITES);
	Move mv = move_to(t, m, table, groups, changes);
	move_all(&mv, old);
	map_set_groups(m, groups);
	dir_set(m, hash, depth, table);
	map_changed(m);
	give_back(t, m, old, changes);
	return true;
}

// The table where the hash leads becomes two.
static bool
split(const MapType *t, Map *m, uint64_t hash)
{
	char *old = table_of(m, hash);
	uint32_t depth = head_of(old)->depth + 1;
	uint32_t changes = m->changes;
	char *low = table_new(m, m->groups, depth), *high = table_new(m, m->groups, depth);
	if (low == NULL || high == NULL)
		return false;
	if (depth > dir_bits(m) && !dir_double(m))
		return false;
	unchanged(m, changes, MISUSE_WRITES);
	uint64_t bit = (uint64_t)1 << (SEED_BITS - depth);
	Move mv = move_to(t, m, low, m->groups, changes);
	mv.to[1] = high;
	mv.shift = SEED_BITS - depth;
	move_halves(&mv, old);
	dir_set(m, hash & ~bit, depth, low);
	dir_set(m, hash | bit, depth, high);
	m->tables++;
	m->deepest += depth == dir_bits(m) ? 2 : 0;
	map_changed(m);
	give_back(t, m, old, changes);
	if (m->next_dir != NULL) // else another insert begins it: both together take long
		dir_advance(m);
	return true;
}

// Whether hashing the keys of a table reads other memory than the table's, which may not be there.
static bool
keys_lead_elsewhere(const MapType *t, const Map *m)
{
	return t->key_kind == GO_MAP_KEY_STRING || t->key_kind == GO_MAP_KEY_CALLS ||
	       (m->flags & MAP_KEY_APART) != 0;
}

// The table where the hash leads, and the one it was split from, become one again: the first, with
// the entries of the second, or a new one, if somebody may be in the first, or the second may turn
// out to be unreadable half way.
bool
map_merge(const MapType *t, Map *m, uint64_t hash)
{
	char *a = table_of(m, hash);
	uint32_t depth = head_of(a)->depth, changes = m->changes;
	char *b = table_of(m, hash ^ (uint64_t)1 << (SEED_BITS - depth));
	bool stays = nobody_inside(t, m) && !keys_lead_elsewhere(t, m);
	char *table = stays ? a : table_new(m, m->groups, depth - 1);
	if (table == NULL)
		return false;
	unchanged(m, changes, MISUSE_WRITES);
	Move mv = move_to(t, m, table, m->groups, changes);
	mv.new = mv.new && !stays;
	if (!stays)
		move_all(&mv, a);
	move_all(&mv, b);
	head_of(table)->depth = (uint16_t)(depth - 1);
	m->deepest -= depth == dir_bits(m) ? 2 : 0;
	m->tables--;
	dir_set(m, hash, depth - 1, table);
	map_changed(m);
	if (!stays)
		give_back(t, m, a, changes);
	give_back(t, m, b, changes);
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
	uint32_t bits = dir_bits(m), groups = m->groups * 2, changes = m->changes;
	size_t n = (size_t)1 << bits;
	char **made = dir_alloc(n);
	if (made == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && m->dir[i] == m->dir[i - 1]) {
			made[i] = made[i - 1];
			continue;
		}
		made[i] = table_new(m, groups, head_of(m->dir[i])->depth);
		if (made[i] == NULL)
			return false;
		unchanged(m, changes, MISUSE_WRITES);
		Move mv = move_to(t, m, made[i], groups, changes);
		move_all(&mv, m->dir[i]);
	}
	memcpy(m->dir, made, n * sizeof(char *));
	m->next_dir = NULL;
	map_set_groups(m, groups);
	map_changed(m);
	return true;
}

// The next size of the only table.
static uint32_t
groups_after(const Map *m)
{
	uint32_t most = layout_groups_most(m);
	uint32_t next = layout_groups(m, layout_bytes(m, m->groups * 2));
	return next < most ? next : most;
}

// Whether a table that does not take one more entry can be replaced: by a larger one, or by two.
static bool
has_better(const Map *m, uint32_t depth)
{
	bool larger = m->tables == 1 && m->groups < layout_groups_most(m);
	return larger || !split_is_vain(m, depth + 1);
}

// Room has not been made in a table where an iterator may be (room.c). It is in a new one, if so
// few of its entries are far from home then that it serves for a while. GROW_NOT: it does not, and
// the table may be another one.
static Grown
make_room_anew(const MapType *t, Map *m, uint64_t hash, uint32_t live)
{
	enum { PARTS = 16, FULL = 14 };
	bool may = load_rlx(&m->iterated) != 0 && entries_move(t); // order: own
	if (!may || live > m->groups * GROUP_SLOTS / PARTS * FULL)
		return GROW_NOT;
	if (!map_replace(t, m, hash, m->groups))
		return GROW_FAILED;
	bool few = head_of(table_of(m, hash))->over <= over_most(m->groups) / 2;
	return few ? GROW_DONE : GROW_NOT;
}

// A larger table, two, or all twice as large.
static Grown
grow(const MapType *t, Map *m, uint64_t hash, uint32_t live)
{
	uint32_t depth = head_of(table_of(m, hash))->depth;
	bool ok;
	if (m->tables == 1 && m->groups < layout_groups_most(m))
		ok = map_replace(t, m, hash, groups_after(m));
	else if (!split_is_vain(m, depth + 1))
		ok = split(t, m, hash);
	else if (live < m->groups * GROUP_SLOTS)
		return GROW_NOT;
	else
		ok = double_all(t, m);
	return ok ? GROW_DONE : GROW_FAILED;
}

Grown
map_grow(const MapType *t, Map *m, uint64_t hash)
{
	const Head *head = head_of(table_of(m, hash));
	uint32_t slots = m->groups * GROUP_SLOTS, live = table_live(m, table_of(m, hash));
	bool crowded = head->over >= over_most(m->groups);
	bool stale = head->far >= far_most(m->groups) && !crowded;
	if (stale || (head->dead > 0 && live < slots / 8 * 6)) // what was deleted is in the way
		return map_replace(t, m, hash, m->groups) ? GROW_DONE : GROW_FAILED;
	// What is GROW_NOT in the end has changed nothing: somebody knows a place in the old table.
	bool may = crowded && has_better(m, head->depth);
	Grown anew = may ? make_room_anew(t, m, hash, live) : GROW_NOT;
	return anew != GROW_NOT ? anew : grow(t, m, hash, live);
}

// --- beginning and ending ------------------------------------------------------------------------

// The room that the map was made with is had once: who puts an entry and takes it away, over and
// over, does not get all of it each time.
void
map_forget(Map *m)
{
	dir_none(m);
	m->hint_bits = 0;
	m->hint_groups = 0;
	m->epoch++;
}

// Of one group, as most maps begin: what map_set_groups, dir_set and map_changed come to then. The
// rest is as dir_none has left it.
static bool
begin_small(Map *m)
{
	char *table = table_new(m, 1, 0);
	if (table == NULL)
		return false;
	m->slots_at = layout_slots_at(m, 1);
	dir_one(m, table);
	m->tables = 1;
	m->low = 0;
	m->epoch++;
	m->changes++;
	return true;
}

// m has no table.
bool
map_begin(const MapType *t, Map *m)
{
	map_lay_out(t, m);
	if (m->hint_groups == 0)
		return begin_small(m);
	uint32_t bits = m->hint_bits, depth = bits > 1 ? bits : 0;
	map_set_groups(m, m->hint_groups);
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
	dir_none(m);
	return false;
}
