// SPDX-License-Identifier: BSD-3-Clause
// Iterating: each entry at most once, whatever happens to the map meanwhile.
//
// An iterator goes round the circle of all hashes, from where a hash by chance leads, table by
// table; in a table it begins at a group by chance. It keeps the table it is in. When the map no
// longer has that one, since it grew or shrank, the iterator goes on in it, and asks the map for
// each key that it finds: for the element as it is now, or whether the entry is still there.
// Then it goes on where the hashes of that table end.
//
// A table that it comes to later may have grown together with one where it was before. Then only
// those entries count whose hashes are still to come. Keys that are not equal to themselves do not
// count there: none was in either table when they became one (map_impl.h, I5), so they are new, and
// new ones may be passed over.
//
// Clearing ends an iteration: all that was there is gone, and what came since may be passed over.
//
// Invariants:
//   I1  All entries whose hashes h have h - start < seen have been met, or are in no need to be;
//       of those beyond only the ones of the table at hand may have been.
#include "map/find.h"
#include "map/misuse.h"

enum {
	ITER_STALE = 1,  // the map has replaced the table
	ITER_FILTER = 2, // some hashes of the table do not count
};

// What is in a MapIter.
typedef struct Iter {
	const char *key;  // known to: gccgo
	char *elem;       // known to: gccgo
	const MapType *t; // known to: reflect of gccgo: not NULL once it was begun
	Map *m;
	char *table;
	uint64_t start;  // where on the circle it began
	uint64_t seen;   // I1
	uint64_t end;    // hashes up to start + end count in this table; 0: all the circle
	uint32_t groups; // of the table
	uint32_t slots_at; // in it
	uint32_t left;   // groups of it still to look at, this one included
	uint32_t group;  // at which it is
	uint32_t epoch;  // of the map when it was last compared
	uint32_t clears; // of the map when it began
	uint8_t slots;   // slots of the group, turned, that are still to look at
	uint8_t turn;    // the slot that is looked at first
	uint8_t depth;   // of the table
	uint8_t flags;
} Iter;
static_assert(sizeof(Iter) <= sizeof(MapIter), "what compiled Go code leaves room for");

static void
finish(Iter *it)
{
	it->key = NULL;
	it->elem = NULL;
	it->m = NULL;
	it->table = NULL;
}

// --- a group -------------------------------------------------------------------------------------

static uint8_t
turned(uint8_t bits, uint32_t turn)
{
	return (uint8_t)(bits >> turn | bits << (GROUP_SLOTS - turn));
}

// The full slots as bits next to each other.
static inline uint8_t
full_bits(uint64_t ctrl)
{
	Match full = match_full(ctrl);
	if (MATCH_STEP == 1)
		return (uint8_t)full;
	uint8_t bits = 0;
	for (; full != 0; full &= full - 1)
		bits |= (uint8_t)(1 << match_first(full));
	return bits;
}

// Slots some groups ahead are asked for, as they come one after the other but for a wrap.
static inline void
enter_group(Iter *it)
{
	enum { AHEAD = 4, LINES = 2 };
	char *ahead = slot_in(it->m, it->table, it->slots_at, it->group + AHEAD, 0);
	for (int i = 0; i < LINES; i++)
		__builtin_prefetch(ahead + i * CACHE_LINE);
	it->slots = turned(full_bits(ctrl_read(ctrl_of(it->table, it->group))), it->turn);
}

// --- a table -------------------------------------------------------------------------------------

static void
enter_table(Iter *it, char *table, uint64_t chance)
{
	const Map *m = it->m;
	uint64_t at = it->start + it->seen;
	uint32_t depth = head_of(table)->depth;
	uint64_t wide = depth != 0 ? (uint64_t)1 << (SEED_BITS - depth) : 0; // 0: the circle
	uint64_t from = at & (0 - wide);
	uint64_t in = it->start - from; // the beginning, seen from where the table's hashes begin
	it->flags = 0;
	if (from != at || (in != 0 && in - 1 < wide - 1))
		it->flags = ITER_FILTER;
	it->end = from + wide - it->start;
	if (it->end <= it->seen)
		it->end = 0;
	it->table = table;
	it->depth = (uint8_t)depth;
	it->groups = it->left = m->groups;
	it->slots_at = m->slots_at;
	it->group = (uint32_t)(((chance >> 32) * m->groups) >> 32);
	it->turn = chance % GROUP_SLOTS;
	it->epoch = m->epoch;
	enter_group(it);
}

// The next table on the circle. False: that was the last.
static bool
next_table(Iter *it)
{
	it->seen = it->end;
	if (it->seen == 0)
		return false;
	enter_table(it, table_of(it->m, it->start + it->seen), base_rand(&sched_m()->rand));
	return true;
}

static inline bool
next_group(Iter *it)
{
	if (--it->left == 0)
		return next_table(it);
	it->group = it->group + 1 == it->groups ? 0 : it->group + 1;
	enter_group(it);
	return true;
}

// --- an entry ------------------------------------------------------------------------------------

static bool
key_counts(const Iter *it, Key k)
{
	const MapType *t = it->t;
	if ((t->flags & GO_MAP_KEY_UNEQUAL) != 0 && !key_equal(t, t->key_kind, k, k.p))
		return false;
	uint64_t way = key_hash(t, t->key_kind, k, it->m->seed) - it->start;
	return way >= it->seen && (it->end == 0 || way < it->end);
}

// An entry of a table that is the map's no more: as the map has it.
static bool
meet_again(Iter *it, const char *key)
{
	const MapType *t = it->t;
	const void *its_key;
	void *elem = map_get_key(t, it->m, key, &its_key);
	if (elem != NULL) {
		it->key = its_key;
		it->elem = elem;
		return true;
	}
	if ((t->flags & GO_MAP_KEY_UNEQUAL) == 0)
		return false;
	Key k = key_at(t->key_kind, key);
	return !key_equal(t, t->key_kind, k, key); // such a one cannot have been deleted
}

// The entry in a slot of the table, if it counts.
static bool
meet(Iter *it, char *slot)
{
	const Map *m = it->m;
	const char *key = slot_key(m, it->t->key_kind, slot);
	it->key = key;
	it->elem = slot_elem(m, slot);
	if (likely(it->flags == 0))
		return true;
	if ((it->flags & ITER_FILTER) != 0 && !key_counts(it, key_at(it->t->key_kind, key)))
		return false;
	return (it->flags & ITER_STALE) == 0 || meet_again(it, key);
}

// The map has replaced tables since the iterator last looked. False: all is over.
COLD static bool
compare(Iter *it)
{
	const Map *m = it->m;
	if (it->clears != m->clears || m->count == 0)
		return false;
	it->epoch = m->epoch;
	if (table_of(m, it->start + it->seen) != it->table)
		it->flags |= ITER_STALE;
	return true;
}

void
map_iter_next(MapIter *iter)
{
	Iter *it = (Iter *)(void *)iter;
	if (unlikely(it->m == NULL))
		return;
	reading(it->m, MISUSE_ITERATION);
	if (unlikely(it->epoch != it->m->epoch) && !compare(it)) {
		finish(it);
		return;
	}
	for (;;) {
		while (it->slots == 0) {
			if (unlikely(!next_group(it))) {
				finish(it);
				return;
			}
		}
		uint32_t i = ((uint32_t)__builtin_ctz(it->slots) + it->turn) % GROUP_SLOTS;
		it->slots &= (uint8_t)(it->slots - 1);
		if (unlikely(((uint8_t)ctrl_of(it->table, it->group)[i] & CTRL_FULL) == 0))
			continue;
		if (likely(meet(it, slot_in(it->m, it->table, it->slots_at, it->group, i))))
			return;
	}
}

// The table that a hash by chance leads to comes first. Its first hash is where the circle begins.
void
map_iter_begin(const MapType *t, Map *m, MapIter *iter)
{
	Iter *it = (Iter *)(void *)iter;
	memset(it, 0, sizeof(*it));
	it->t = t;
	if (m == NULL)
		return;
	reading(m, MISUSE_ITERATION);
	if (m->count == 0)
		return;
	uint64_t chance = base_rand(&sched_m()->rand);
	char *table = table_of(m, chance);
	uint32_t depth = head_of(table)->depth;
	if ((m->flags & MAP_ITERATED) == 0)
		m->flags |= MAP_ITERATED;
	it->m = m;
	it->clears = m->clears;
	it->start = depth != 0 ? chance >> (SEED_BITS - depth) << (SEED_BITS - depth) : 0;
	enter_table(it, table, base_rand(&sched_m()->rand));
	map_iter_next(iter);
}
