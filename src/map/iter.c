// SPDX-License-Identifier: BSD-3-Clause
// Iterating: each entry at most once, whatever happens to the map meanwhile.
//
// An iterator goes round the circle of all hashes, from where a hash by chance leads, table by
// table; in a table it begins at a slot by chance. It keeps the table it is in. When the map no
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

// Iter.groups: how many the table has; and on top of that
static const uint32_t ITER_GROUPS = (UINT32_C(1) << 30) - 1;
static const uint32_t ITER_STALE = UINT32_C(1) << 30;  // the map has replaced the table
static const uint32_t ITER_FILTER = UINT32_C(1) << 31; // some hashes of the table do not count

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
	uint64_t slots;  // still to look at: bit i: slot base + i, which was full
	uint32_t base;   // a group's first slot
	uint32_t slots_at; // in the table
	uint32_t epoch;    // of the map when it was last compared
	uint32_t clears;   // of the map when it began
	uint32_t left;     // slots of the table to come after those, full or not
	uint32_t groups;   // of the table, and flags: one word, since a load waits for a store to
			   // a part of what it loads
} Iter;
static_assert(sizeof(Iter) <= sizeof(MapIter), "what compiled Go code leaves room for");
static_assert(offsetof(Iter, groups) == offsetof(struct go_map_iter_front_, groups_and_flags),
	      "programs have it elsewhere");

#define FRONT_STEPS_BY(field) \
	static_assert(offsetof(Iter, field) == offsetof(struct go_map_iter_front_, field), \
		      "programs have it elsewhere")
FRONT_STEPS_BY(key);
FRONT_STEPS_BY(elem);
FRONT_STEPS_BY(m);
FRONT_STEPS_BY(table);
FRONT_STEPS_BY(slots_at);
FRONT_STEPS_BY(base);
FRONT_STEPS_BY(epoch);
FRONT_STEPS_BY(slots);

static void
finish(Iter *it)
{
	it->key = NULL;
	it->elem = NULL;
	it->m = NULL;
	it->table = NULL;
	it->slots = 0; // the front looks at nothing else then
}

// --- some groups ---------------------------------------------------------------------------------

enum { SLOTS = 64 }; // that are looked at together

static inline uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

// The full slots of a group as bits next to each other.
static inline uint64_t
full_bits(uint64_t ctrl)
{
	Match full = match_full(ctrl);
	if (MATCH_STEP == 1)
		return full;
	uint64_t bits = 0;
	for (; full != 0; full &= full - 1)
		bits |= (uint64_t)1 << match_first(full);
	return bits;
}

// What comes next is asked for, as it lies behind but for a wrap.
static inline void
ask_ahead(const Iter *it, uint32_t from)
{
	enum { LINES = 16 };
	char *ahead = slot_in(it->m, it->table, it->slots_at, 0, from);
	for (int i = 0; i < LINES; i++)
		__builtin_prefetch(ahead + i * CACHE_LINE);
}

static inline uint32_t
slots_of(const Iter *it)
{
	return (it->groups & ITER_GROUPS) * GROUP_SLOTS;
}

// The next slots, from this one on.
static inline void
take_slots(Iter *it, uint32_t from)
{
	uint32_t base = from / GROUP_SLOTS * GROUP_SLOTS;
	uint32_t end = least(base + SLOTS, least(slots_of(it), from + it->left));
	uint64_t bits = 0;
	for (uint32_t i = base; i < end; i += GROUP_SLOTS)
		bits |= full_bits(ctrl_read(ctrl_of(it->table, i / GROUP_SLOTS))) << (i - base);
	bits = bits >> (from - base) << (from - base);
	if (end - base < SLOTS)
		bits &= ((uint64_t)1 << (end - base)) - 1;
	it->slots = bits;
	it->base = base;
	it->left -= end - from;
	if (it->left != 0)
		ask_ahead(it, end);
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
	bool filter = from != at || (in != 0 && in - 1 < wide - 1);
	it->end = from + wide - it->start;
	if (it->end <= it->seen)
		it->end = 0;
	it->table = table;
	it->groups = (m->groups & ITER_GROUPS) | (filter ? ITER_FILTER : 0);
	it->left = m->groups * GROUP_SLOTS;
	it->slots_at = m->slots_at;
	it->epoch = m->epoch;
	take_slots(it, (uint32_t)(((chance >> 32) * it->left) >> 32));
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
next_slots(Iter *it)
{
	if (it->left == 0)
		return next_table(it);
	uint32_t all = slots_of(it), from = least(it->base + SLOTS, all);
	take_slots(it, from == all ? 0 : from);
	return true;
}

// --- an entry ------------------------------------------------------------------------------------

static bool
key_counts(const Iter *it, const char *key)
{
	const MapType *t = it->t;
	Key k = key_at(t->key_kind, key);
	if (key_may_be_unequal(t) && !key_equal(t, t->key_kind, k, key))
		return false;
	uint64_t way = key_hash(t, it->m, t->key_kind, k) - it->start;
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
	if (!key_may_be_unequal(t))
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
	if (likely((it->groups & ~ITER_GROUPS) == 0))
		return true;
	uint32_t changes = m->changes;
	bool counts = ((it->groups & ITER_FILTER) == 0 ||
		       key_counts(it, key)) &&
		      ((it->groups & ITER_STALE) == 0 || meet_again(it, key));
	unchanged(m, changes, MISUSE_ITERATION);
	return counts;
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
		it->groups |= ITER_STALE;
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
			if (unlikely(!next_slots(it))) {
				finish(it);
				return;
			}
		}
		uint32_t i = it->base + (uint32_t)__builtin_ctzll(it->slots);
		it->slots &= it->slots - 1;
		if (unlikely((uint8_t)ctrl_of(it->table, 0)[i] < CTRL_FULL))
			continue;
		if (likely(meet(it, slot_in(it->m, it->table, it->slots_at, 0, i))))
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
	if (load_rlx(&m->iterated) == 0)   // order: own, or hint of another reader
		store_rlx(&m->iterated, 1); // order: the same
	it->m = m;
	it->clears = m->clears;
	it->start = depth != 0 ? chance >> (SEED_BITS - depth) << (SEED_BITS - depth) : 0;
	enter_table(it, table, base_rand(&sched_m()->rand));
	map_iter_next(iter);
}
