// SPDX-License-Identifier: BSD-3-Clause
// Searching: the front of every operation, compiled once for each kind of key.
//
// Cost of a search that finds: the map's first line, the directory's, the group's and the slot's,
// which is often the same. No store, no lock.
#ifndef UNDERGO_MAP_FIND_H
#define UNDERGO_MAP_FIND_H

#include "map/misuse.h"

#define FRONT static inline __attribute__((always_inline))

// Where an entry is, or may come: in group g of the table.
typedef struct Place {
	char *table;
	char *ctrl; // of the group
	uint32_t g;
	uint32_t home; // the group its hash names
	uint32_t i;    // slot of the group
} Place;

enum { NO_SLOT = GROUP_SLOTS };

// How large slots are, and where elements are in them, is known at compile time for maps of the
// usual sizes, one for each kind of key: multiplying is what operations wait for most.
typedef struct Shape {
	size_t each;
	size_t elem_at;
} Shape;

FRONT Shape
usual_shape(go_map_key kind)
{
	return kind == GO_MAP_KEY_32       ? (Shape){8, 4}
	       : kind == GO_MAP_KEY_64     ? (Shape){16, 8}
	       : kind == GO_MAP_KEY_STRING ? (Shape){24, 16}
					   : (Shape){0, 0}; // no size is usual
}

FRONT Shape
shape_of(const Map *m)
{
	return (Shape){m->slot_bytes, m->elem_at};
}

FRONT char *
nth_slot(const Map *m, char *table, uint32_t g, uint32_t i, size_t each)
{
	return table + m->slots_at + ((size_t)g * GROUP_SLOTS + i) * each;
}

// Asks for a group's slots before the control bytes have come, which say whether they are needed:
// in a large map both are far away. The first line alone: where there are two, asking for
// both helps no search that finds, and costs one that does not a quarter.
FRONT void
ask_for_slots(const char *slots)
{
	__builtin_prefetch(slots);
}

// --- the first step ------------------------------------------------------------------------------

// Most searches end in it: in the control bytes of the key's home and of the group behind, looked
// at together (undergo/map_front.h). What goes on begins anew, out of line, so that these need few
// registers and no frame. Of maps whose keys do not lie apart, of kinds without functions.
typedef struct go_map_group_ Home;
typedef go_map_ctrls_ Ctrls; // of both groups

FRONT Home
home_of(const Map *m, uint64_t hash)
{
	return go_map_group_of_(front_of(m), hash);
}

// They are asked for, see there.
FRONT char *
near_slots(const Map *m, Home home, size_t each)
{
	return go_map_slots_(front_of(m), home, each);
}

// The slot of a key, *i of those from the first of its home on. match: the slots that have its tag.
FRONT bool
find_near(const MapType *t, go_map_key kind, size_t each, Key k, char *slots,
	  go_map_match_bits_ match, uint64_t *i)
{
	for (; GO_MAP_EVEN_(match != 0); match &= match - 1) {
		*i = go_map_first_bit_(match);
		if (likely(key_equal(t, kind, k, slots + *i * each)))
			return true;
	}
	return false;
}

// --- all of it -----------------------------------------------------------------------------------

// What shows whether a key's functions changed the map under a search.
FRONT uint32_t
changes_of(const Map *m, go_map_key kind)
{
	return kind == GO_MAP_KEY_CALLS ? m->changes : 0;
}

// The hash of a key, of whose functions nobody knows what they do.
FRONT uint64_t
hash_of(const MapType *t, const Map *m, go_map_key kind, Key k, Misuse what)
{
	uint32_t changes = changes_of(m, kind);
	uint64_t hash = key_hash(t, m, kind, k);
	if (kind == GO_MAP_KEY_CALLS)
		unchanged(m, changes, what);
	return hash;
}

// Whether a key that is not in so many groups is in none. empty: slots there that have been so for
// ever.
FRONT bool
ends_here(const Map *m, char *table, uint32_t home, uint64_t hash, uint32_t seen, Match empty)
{
	enum { NEAR = 2 };
	return seen >= NEAR && (empty != 0 || !go_map_far_has_(table, m->slots_at, home, hash) ||
				!is_in_reach(table, seen));
}

// The slot of a key; NULL: it has none. Both near groups are looked at, whatever the first is like,
// and others when these are full and it may be there (I7).
FRONT char *
find(const MapType *t, const Map *m, go_map_key kind, Key k, uint64_t hash)
{
	char *table = table_of(m, hash);
	uint32_t groups = m->groups, home = group_of(hash, m->homes), g = home;
	uint32_t changes = changes_of(m, kind);
	Match empty = 0;
	ask_for_slots(slot_at(m, table, g, 0));
	for (uint32_t left = groups;;) {
		char *at_ctrl = ctrl_of(table, g);
		uint64_t ctrl = ctrl_read(at_ctrl);
		for (Match hit = match_tag(ctrl, hash); hit != 0; hit &= hit - 1) {
			char *slot = slot_at(m, table, g, match_first(hit));
			bool equal = key_equal(t, kind, k, slot_key(m, kind, slot));
			if (kind == GO_MAP_KEY_CALLS)
				unchanged(m, changes, MISUSE_READ);
			if (likely(equal))
				return slot;
		}
		empty |= match_empty(ctrl);
		if (unlikely(--left == 0) || ends_here(m, table, home, hash, groups - left, empty))
			return NULL;
		g = g + 1 == groups ? 0 : g + 1;
	}
}

// When there is room in one of the near groups, in which of them.
FRONT void
place_near(Place *at, uint32_t groups)
{
	if ((int)GO_MAP_GROUPS_SEEN_ == 1 || at->i == NO_SLOT || is_far(at->g, at->home))
		return;
	uint32_t i = (uint32_t)go_map_choose_(free_near(at->table, groups, at->home));
	at->g = at->home + i / GROUP_SLOTS;
	at->i = i % GROUP_SLOTS;
	at->ctrl = ctrl_of(at->table, at->g);
}

// The same, and where. When there is none, at is where it may come: i is NO_SLOT when in no group
// that was looked at. each: the bytes of a slot.
FRONT bool
find_place(const MapType *t, const Map *m, go_map_key kind, size_t each, Key k, uint64_t hash,
	   Place *at)
{
	char *table = table_of(m, hash);
	uint32_t groups = m->groups, home = group_of(hash, m->homes), g = home;
	uint32_t changes = changes_of(m, kind);
	*at = (Place){table, NULL, g, g, NO_SLOT};
	Match empty = 0;
	ask_for_slots(nth_slot(m, table, g, 0, each));
	for (uint32_t left = groups;;) {
		char *at_ctrl = ctrl_of(table, g);
		uint64_t ctrl = ctrl_read(at_ctrl);
		for (Match hit = match_tag(ctrl, hash); hit != 0; hit &= hit - 1) {
			char *slot = nth_slot(m, table, g, match_first(hit), each);
			bool equal = key_equal(t, kind, k, slot_key(m, kind, slot));
			if (kind == GO_MAP_KEY_CALLS)
				unchanged(m, changes, MISUSE_WRITES);
			if (likely(equal)) {
				*at = (Place){table, at_ctrl, g, at->home, match_first(hit)};
				return true;
			}
		}
		Match free = match_free(ctrl);
		empty |= match_empty(ctrl);
		if (at->i == NO_SLOT && free != 0)
			*at = (Place){table, at_ctrl, g, at->home, match_first(free)};
		uint32_t seen = groups - --left;
		if (unlikely(left == 0) || ends_here(m, table, home, hash, seen, empty)) {
			place_near(at, groups);
			return false;
		}
		g = g + 1 == groups ? 0 : g + 1;
	}
}

#endif
