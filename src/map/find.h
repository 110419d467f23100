// SPDX-License-Identifier: BSD-3-Clause
// Searching: the front of every operation, compiled once for each kind of key.
//
// Cost of a search that finds: the map's first line, the directory's, the group's and the slot's,
// which is often the same. No store, no lock.
#ifndef UNDERGO_MAP_FIND_H
#define UNDERGO_MAP_FIND_H

#include "map/map_impl.h"

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

// Asks for a group's slots before the control bytes have come, which say whether they are needed:
// in a large map both are far away.
FRONT void
ask_for_slots(const char *slots)
{
	__builtin_prefetch(slots);
	__builtin_prefetch(slots + CACHE_LINE);
}

// The slot of a key; NULL: it has none.
FRONT char *
find(const MapType *t, const Map *m, go_map_key kind, Key k, uint64_t hash)
{
	char *table = table_of(m, hash);
	uint32_t groups = m->groups, g = group_of(hash, groups);
	ask_for_slots(slot_at(m, table, g, 0));
	for (uint32_t left = groups;;) {
		char *at_ctrl = ctrl_of(table, g);
		uint64_t ctrl = ctrl_read(at_ctrl);
		for (Match hit = match_tag(ctrl, hash); hit != 0; hit &= hit - 1) {
			char *slot = slot_at(m, table, g, match_first(hit));
			if (likely(key_equal(t, kind, k, slot_key(m, kind, slot))))
				return slot;
		}
		if (likely(match_empty(ctrl) != 0) || unlikely(--left == 0))
			return NULL;
		g = g + 1 == groups ? 0 : g + 1;
	}
}

// The same, and where. When there is none, at is where it may come: i is NO_SLOT when nowhere.
FRONT bool
find_place(const MapType *t, const Map *m, go_map_key kind, Key k, uint64_t hash, Place *at)
{
	char *table = table_of(m, hash);
	uint32_t groups = m->groups, g = group_of(hash, groups);
	*at = (Place){table, NULL, g, g, NO_SLOT};
	ask_for_slots(slot_at(m, table, g, 0));
	for (uint32_t left = groups;;) {
		char *at_ctrl = ctrl_of(table, g);
		uint64_t ctrl = ctrl_read(at_ctrl);
		for (Match hit = match_tag(ctrl, hash); hit != 0; hit &= hit - 1) {
			char *slot = slot_at(m, table, g, match_first(hit));
			if (likely(key_equal(t, kind, k, slot_key(m, kind, slot)))) {
				*at = (Place){table, at_ctrl, g, at->home, match_first(hit)};
				return true;
			}
		}
		Match empty = match_empty(ctrl);
		if (at->i == NO_SLOT && (empty | match_free(ctrl)) != 0)
			*at = (Place){table, at_ctrl, g, at->home, match_first(match_free(ctrl))};
		if (likely(empty != 0) || unlikely(--left == 0))
			return false;
		g = g + 1 == groups ? 0 : g + 1;
	}
}

#endif
