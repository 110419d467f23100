// SPDX-License-Identifier: BSD-3-Clause
// Making room in a home and the group behind it when both are full: an entry of one of them goes to
// the other group that it may be in, one from there to the next, until one finds a free slot. So
// tables fill to nine of ten slots before many entries are far from home.
//
// Nobody may be in the table meanwhile: who has found an element there (GO_MAP_ELEMS_HELD), or
// iterates, would find another one in its place. That is for callers to see to.
//
// To the left go entries that are in the group behind their home, to the right those that are in
// it. The shorter way is tried first. All that is needed of keys is read before anything changes.
#include "map/find.h"

enum { STEPS_MOST = 6 };

// An entry of a full group that has this home. NO_SLOT: there is none.
FRONT uint32_t
slot_of_home(const Room *r, go_map_key kind, size_t each, uint32_t g, uint32_t home)
{
	const char *slot = r->table + r->slots_at + (size_t)g * GROUP_SLOTS * each;
	for (uint32_t i = 0; i < GROUP_SLOTS; i++, slot += each) {
		Key k = key_at(kind, slot_key(r->m, kind, slot));
		if (group_of(key_hash(r->t, r->m, kind, k), homes_of(r->groups)) == home)
			return i;
	}
	return NO_SLOT;
}

static inline Match
free_of(const Room *r, uint32_t g)
{
	return match_free(ctrl_read(ctrl_of(r->table, g)));
}

// From slot i of group g to where r says, which is free; then r says what has become free.
FRONT void
move_entry(Room *r, size_t each, uint32_t g, uint32_t i)
{
	char *from = slot_in(r->m, r->table, r->slots_at, g, i);
	memcpy(slot_in(r->m, r->table, r->slots_at, r->g, r->i), from, each);
	ctrl_set(ctrl_of(r->table, r->g), r->i, (uint8_t)ctrl_of(r->table, g)[i]);
	r->g = g;
	r->i = i;
}

// Frees a slot of a full group. step: 1, to the right, or its negative.
FRONT bool
free_slot(Room *r, go_map_key kind, size_t each, uint32_t g, uint32_t step)
{
	uint32_t slots[STEPS_MOST], n = 0;
	for (Match free; (free = free_of(r, g)) == 0; g += step) {
		uint32_t home = step == 1 ? g : g - 1;
		if (n == STEPS_MOST || g + step >= r->groups)
			return false;
		slots[n] = slot_of_home(r, kind, each, g, home);
		if (slots[n++] == NO_SLOT)
			return false;
	}
	r->g = g;
	r->i = match_first(free_of(r, g));
	if (ctrl_of(r->table, g)[r->i] == CTRL_DELETED)
		head_of(r->table)->dead--;
	while (n > 0)
		move_entry(r, each, r->g - step, slots[--n]);
	memset(slot_in(r->m, r->table, r->slots_at, r->g, r->i), 0, each); // I4
	ctrl_set(ctrl_of(r->table, r->g), r->i, CTRL_DELETED);
	head_of(r->table)->dead++;
	return true;
}

FRONT bool
make(Room *r, go_map_key kind, size_t each, uint32_t home)
{
	const uint32_t left = UINT32_MAX, right = 1;
	return free_slot(r, kind, each, home + 1, right) || free_slot(r, kind, each, home, left);
}

bool
room_make(Room *r, uint32_t home)
{
	go_map_key kind = r->t->key_kind;
	size_t each = r->m->slot_bytes, usual = usual_shape(GO_MAP_KEY_64).each;
	if (r->groups <= 2)
		return false;
	if (kind == GO_MAP_KEY_64 && each == usual)
		return make(r, GO_MAP_KEY_64, usual, home);
	return make(r, kind, each, home);
}
