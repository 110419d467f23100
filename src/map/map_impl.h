// SPDX-License-Identifier: BSD-3-Clause
// What a map is made of.
//
// Entries lie in slots, a key and its element side by side; eight slots make a group, which has
// eight control bytes, one for each slot: empty, deleted, or a tag, which is made of 8 bits of the
// key's hash.
// Groups make a table, of a few KiB at most, with all control bytes in front, so that these stay in
// the caches when the slots do not; and a directory of tables makes the map:
//
//	hash   63 ............ 40 39 ... 32 31 .......... 0
//	       directory (top)    tag       group (top)
//
//	dir[hash >> shift] -> table   Head
//	                              control bytes   group 0   c0 c1 ... c7
//	                                              group 1   c0 ...
//	                              bits of keys beyond, I7
//	                              slots           group 0   slot 0 | slot 1 | ... | slot 7
//	                                              group 1   slot 0 | ...
//
// A key belongs into the group its hash names, its home, or into the one behind, whichever has more
// room once GO_MAP_OWN_ slots of the home are in use. When both are full others make room there
// (room.c), or it comes into the next one that is not. A search looks at the two in one step, and
// ends there when one of them has an empty slot, or the key no bit (I7). So nothing is counted when
// an entry comes into its home or the group behind. The others are counted in the table's head,
// each sets a bit for the searches of its home that are to go on, and when they are too many the
// table is replaced: by a larger one, as long as it is the only one, then by two, of which each
// takes the hashes with one value of the next bit. An insert does no more than that.
//
// Several entries of the directory lead to the same table while that has not been split as often
// as others. A table of depth d holds the hashes whose top d bits are those of any of its entries.
//
// Invariants:
//   I1  A table that the directory no longer leads to is never written again, and given back only
//       when no iterator may be in it, nor a search that a key's function interrupts. All tables
//       of a map have the same number of groups.
//   I2  A key is in the group its hash names or in one behind it (the first follows the last), and
//       no group before that one has an empty slot, but for the home of a key in the group behind.
//       The last group is named by none, unless it is the only one; then eight bytes that are 0
//       follow its control bytes. So the 16 bytes from those of a home on can always be read, and
//       an empty slot among them ends the search. (Where GO_MAP_GROUPS_SEEN_ is 1, a home of which
//       a key is in the group behind has no empty slot either.)
//   I3  Head.over is the number of entries that are neither in their home nor in the group behind
//       it, Head.dead that of deleted slots.
//   I4  An empty or deleted slot of a map with pointers, and the element part of one of any map,
//       is zero.
//   I5  Two tables become one only when each of their keys equals itself: see iter.c.
//   I6  Until the first entry comes dir leads to a group of deleted slots, not counted, that all
//       maps share, and tables is 0. With one table dir is `one`, both of it. In both cases `only`
//       is that table, else what only_table says.
//   I7  Each entry that is neither in its home nor in the group behind has its bit:
//       go_map_far_has_; tables of one or two groups have no such entry. Bits of entries that are
//       gone stay, so Head.far counts those that have come: at far_most of them the table is made
//       anew.
//   I8  Such an entry is Head.reach groups behind its home at most; REACH_MOST: anywhere. So
//       deleted slots, which end no search, make none long.
// The first line of a map, heads, groups and the way to a hash are known to compiled programs:
// undergo/map_front.h, which static_asserts below hold to this.
// Who may touch a map: whoever the program lets. The mark finds out about some who should not:
// misuse.h.
#ifndef UNDERGO_MAP_MAP_IMPL_H
#define UNDERGO_MAP_MAP_IMPL_H

#include "arch/match.h"
#include "map/hash.h"
#include "map/map.h"
#include "mem/heap.h"
#include "panic/chain.h"
#include "sched/sched.h"

enum {
	GROUP_SLOTS = MATCH_BYTES,
	APART_BYTES = 128, // longer keys and elements lie apart, in objects of their own
	CTRL_EMPTY = 0,    // fresh memory is a table without entries
	CTRL_DELETED = 1,
	CTRL_FULL = 2, // and above: a tag
	SEED_BITS = 64,
#ifdef UNDERGO_STRESS
	TABLE_BYTES = 1024,
	TABLE_BYTES_MAX = 2048,
#else
	TABLE_BYTES = CLASS_TABLE_BYTES, // of the largest tables,
	TABLE_BYTES_MAX = 32768, // unless slots are large
#endif
	TABLE_GROUPS_LEAST = 4, // of the largest tables, however large slots are
};

struct go_map {
	// What a search needs.
	size_t count;       // known to: gccgo
	ATOMIC(G *) writer; // who changes the map now; see misuse.h
	char *only;         // what only_table says: for look-ups
	char **dir;         // a table for each value of the top bits of a hash
	uint64_t seed;
	uint64_t factor;
	uint64_t homes;    // of each table: homes_of(groups)
	uint32_t slots_at; // in each table
	uint16_t slot_bytes;
	uint8_t flags;         // MAP_ bits
	ATOMIC(uint8_t) shift; // 64 minus the directory's bits, of which there is at least one;
			       // and GO_MAP_FAR_TELLS_: dir_tune
	// The rest.
	uint32_t epoch;  // rises when a table is replaced
	uint32_t clears; // rises when all entries go at once
	uint32_t groups; // of each table
	uint16_t elem_at;  // in a slot
	uint8_t align;     // of slots, at least that of a word
	uint8_t hint_bits; // directory bits to begin with
	size_t low; // with no more entries tables are merged
	char *one[2];
	uint32_t mask;        // bit i: word i of a slot is a pointer
	uint32_t hint_groups; // of the first tables; 0: one
	char **next_dir;      // NULL, or what will be the directory: twice as long
	size_t next_done;     // so many entries of dir are in it
	size_t deepest;       // tables that have as many bits as the directory
	size_t tables;
	uint32_t changes; // rises with each change by the slow path, for keys with functions
	// The last: what copies a map does not touch them.
	ATOMIC(uint8_t) iterated; // 1: an iterator may be in a table that was replaced; readers
				  // write it beside each other
	uint64_t changer; // with GODEBUG=mapcheck: the number of who changed it last, 0 nobody
};
static_assert(offsetof(Map, count) == 0, "compiled Go code reads len here");
static_assert(sizeof(Map) <= 160, "one more word is the next size class");

// The part that is compiled into programs (undergo/map_front.h).
typedef struct go_map_front_ Front;
#define FRONT_HAS(field) \
	static_assert(offsetof(Map, field) == offsetof(Front, field) && \
			      sizeof(((Map *)0)->field) == sizeof(((Front *)0)->field), \
		      "programs have it elsewhere")
FRONT_HAS(writer);
FRONT_HAS(only);
FRONT_HAS(dir);
FRONT_HAS(seed);
FRONT_HAS(factor);
FRONT_HAS(homes);
FRONT_HAS(slots_at);
FRONT_HAS(shift);
FRONT_HAS(epoch);
FRONT_HAS(elem_at);
static_assert(offsetof(Map, epoch) == CACHE_LINE, "a search touches one line of the map");
static_assert((int)GROUP_SLOTS == GO_MAP_SLOTS_ && (int)CTRL_FULL == GO_MAP_FULL_ &&
		      (int)APART_BYTES == GO_MAP_NEAR_BYTES_,
	      "programs take them to be so");

static inline const Front *
front_of(const Map *m)
{
	return (const Front *)(const void *)m;
}

enum {
	MAP_KEY_APART = 1,
	MAP_ELEM_APART = 2,
	MAP_LAID_OUT = 4, // the fields of the layout are set
	MAP_CHECKED = 8,  // GODEBUG=mapcheck
	MAP_SHOWN = 16,   // map_shown has somebody to show to: deletes go where it is called
};

static_assert((int)MAP_LAID_OUT == (int)MAP_FLAGS_USUAL, "the face says it");

// A table begins with it.
typedef struct Head {
	uint32_t over;  // I3
	uint32_t dead;  // I3
	uint16_t depth; // top bits of the hashes here that are all the same
	uint16_t reach; // I8
	uint32_t far;   // I7
} Head;

static_assert(sizeof(Head) == GO_MAP_HEAD_BYTES_, "programs take it to be so");
#ifdef __x86_64__
static_assert((int)GO_MAP_GROUPS_SEEN_ == 2, "programs search as the library places");
#endif

static inline Head *
head_of(char *table)
{
	return (Head *)(void *)table;
}

static inline uint32_t
dir_bits(const Map *m)
{
	return SEED_BITS - (load_rlx(&m->shift) & GO_MAP_SHIFT_); // order: own
}

extern char *const dir_empty[2]; // I6

// Entries of a table that may be far from home: about so many are with nine of ten slots in use,
// where others make room (room.c), and else with four of five. Each of them is a search that finds
// and goes on, which nothing can foretell.
static inline uint32_t
over_most(uint32_t groups)
{
	return groups / 11 + 2;
}

// So many may have come there, I7.
static inline uint32_t
far_most(uint32_t groups)
{
	return over_most(groups) * 4;
}

// The table, when there is one. Else it is to be chosen.
static inline char *
only_table(const Map *m)
{
	return m->tables == 1 ? m->dir[0] : NULL;
}

// --- groups --------------------------------------------------------------------------------------

// The control bytes of a group.
static inline char *
ctrl_of(char *table, uint32_t g)
{
	return table + sizeof(Head) + (size_t)g * GROUP_SLOTS;
}

static inline uint64_t
ctrl_read(const char *ctrl)
{
	return hash_read8(ctrl);
}

// Slot i of the group is now empty, deleted, or of an entry with that tag.
static inline void
ctrl_set(char *ctrl, uint32_t i, uint8_t to)
{
	uint64_t mask = (uint64_t)0xff << i * 8;
	uint64_t w = (hash_read8(ctrl) & ~mask) | (GO_MAP_ONES_ * to & mask);
	memcpy(ctrl, &w, sizeof(w)); // all of them, see map_front.h
}

static inline uint8_t
tag_of(uint64_t hash)
{
	return (uint8_t)*go_map_tag_of_(hash);
}

static inline Match
match_tag(uint64_t ctrl, uint64_t hash)
{
	return match_bytes(ctrl, go_map_load8_(go_map_tag_of_(hash)));
}

static inline Match
match_empty(uint64_t ctrl)
{
	return match_byte(ctrl, CTRL_EMPTY);
}

static inline Match
match_full(uint64_t ctrl)
{
	return match_above_1(ctrl);
}

// Empty or deleted.
static inline Match
match_free(uint64_t ctrl)
{
	return match_above_1(ctrl) ^ MATCH_ALL;
}

// The last group is the home of none, unless it is the only one: there is one behind each home.
static inline uint32_t
homes_of(uint32_t groups)
{
	return groups - (groups > 1);
}

// The group that a hash names, of so many homes.
static inline uint32_t
group_of(uint64_t hash, uint64_t homes)
{
	return (uint32_t)(((hash & UINT32_MAX) * homes) >> 32);
}

// Whether an entry in group g is neither in its home nor in the group behind it.
static inline bool
is_far(uint32_t g, uint32_t home)
{
	return g - home > 1;
}

// How many groups behind its home an entry is that is in group g.
static inline uint32_t
way_from(uint32_t home, uint32_t g, uint32_t groups)
{
	return g >= home ? g - home : g + groups - home;
}

// Whether a search that has looked at so many groups may find its key in the next one.
enum { REACH_MOST = UINT16_MAX };
static inline bool
is_in_reach(char *table, uint32_t seen)
{
	uint32_t reach = head_of(table)->reach;
	return seen <= reach || reach == REACH_MOST;
}

// The bits of entries that are beyond the group behind their home: of so many homes.
static inline uint32_t
far_bytes(uint32_t homes)
{
	return homes - 1 + (uint32_t)sizeof(uint16_t);
}

// An entry has come so many groups behind its home. Who has lost the map to another writer may have
// its layout but not its table.
static inline void
far_add(char *table, uint32_t slots_at, uint32_t home, uint64_t hash, uint32_t way)
{
	if (unlikely(slots_at < sizeof(Head) + far_bytes(home + 1)))
		return;
	char *at = table + slots_at - far_bytes(home + 1);
	uint16_t bits = (uint16_t)(go_map_load2_(at) | UINT32_C(1) << hash % GO_MAP_FAR_BITS_);
	memcpy(at, &bits, sizeof(bits));
	Head *head = head_of(table);
	if (head->far < UINT32_MAX) // they go on coming where another table is no help
		head->far++;
	if (way > head->reach)
		head->reach = (uint16_t)(way < REACH_MOST ? way : REACH_MOST);
}

static inline void
far_forget(const Map *m, char *table)
{
	uint32_t n = far_bytes((uint32_t)m->homes);
	if (unlikely(m->slots_at < sizeof(Head) + n)) // as in far_add
		return;
	memset(table + m->slots_at - n, 0, n);
	head_of(table)->far = head_of(table)->reach = 0;
}

// The free slots of a home and the group behind it. Who looks at one group in a step only, and
// whose map has one only, takes those of the home.
static inline Match
free_near(char *table, uint32_t groups, uint32_t home)
{
	Match free = match_free(ctrl_read(ctrl_of(table, home)));
	if ((int)GO_MAP_GROUPS_SEEN_ == 2 && likely(groups > 1))
		free |= match_free(ctrl_read(ctrl_of(table, home + 1))) << GROUP_SLOTS;
	return free;
}

// Slot i of a group. slots_at: Map.slots_at, or of a table with another number of groups.
static inline char *
slot_in(const Map *m, char *table, uint32_t slots_at, uint32_t g, uint32_t i)
{
	return table + slots_at + ((size_t)g * GROUP_SLOTS + i) * m->slot_bytes;
}

static inline char *
slot_at(const Map *m, char *table, uint32_t g, uint32_t i)
{
	return slot_in(m, table, m->slots_at, g, i);
}

static inline char *
table_of(const Map *m, uint64_t hash)
{
	// order: observe <- dir_set: a directory at least as long
	uint8_t shift = load_acq(&m->shift);
	return m->dir[hash >> (shift & GO_MAP_SHIFT_)];
}

// Whether a key's hash is the same each time, and calls no function.
static inline bool
hash_is_sure(const MapType *t)
{
	return t->key_kind < GO_MAP_KEY_FLOAT;
}

// Whether entries may change their place in a table, and make room for others so.
static inline bool
entries_move(const MapType *t)
{
	return hash_is_sure(t) && (t->flags & GO_MAP_ELEMS_HELD) == 0;
}

// --- keys ----------------------------------------------------------------------------------------

// Whether a key may be unequal to itself.
static inline bool
key_may_be_unequal(const MapType *t)
{
	return (t->flags & GO_MAP_KEY_UNEQUAL) != 0 || t->key_kind == GO_MAP_KEY_FLOAT ||
	       t->key_kind == GO_MAP_KEY_DOUBLE || t->key_kind == GO_MAP_KEY_LONG_DOUBLE;
}

// A key on its way, in two registers: a word, or where it lies.
typedef struct Key {
	union {
		uint64_t word; // GO_MAP_KEY_32, GO_MAP_KEY_64
		const char *p; // the bytes of a string; the key itself, of all others
	};
	size_t n; // of a string
} Key;

// Where an entry's key is, given its slot.
static inline const char *
slot_key(const Map *m, go_map_key kind, const char *slot)
{
	bool may_be_apart = kind == GO_MAP_KEY_BYTES || kind == GO_MAP_KEY_CALLS;
	return may_be_apart && unlikely((m->flags & MAP_KEY_APART) != 0)
		   ? *(char *const *)(const void *)slot
		   : slot;
}

static inline char *
slot_elem(const Map *m, char *slot)
{
	char *elem = slot + m->elem_at;
	return unlikely((m->flags & MAP_ELEM_APART) != 0) ? *(char **)(void *)elem : elem;
}

static inline Key
key_at(go_map_key kind, const void *p)
{
	Key k = {.p = p};
	if (kind == GO_MAP_KEY_32) {
		k.word = hash_read4(p);
	} else if (kind == GO_MAP_KEY_64) {
		k.word = hash_read8(p);
	} else if (kind == GO_MAP_KEY_STRING) {
		const go_bytes *s = p;
		k.p = s->p;
		k.n = s->n;
	}
	return k;
}

// Of floats and keys with functions: calls.c.
uint64_t key_hash_call(const MapType *t, const Map *m, const char *key);
void key_hash_try(const MapType *t, const char *key); // for its panic
bool key_equal_call(const MapType *t, const char *a, const char *b);

// kind is constant in the fast paths. May leave the runtime for ever, where the type has functions.
static inline uint64_t
key_hash(const MapType *t, const Map *m, go_map_key kind, Key k)
{
	switch (kind) {
	case GO_MAP_KEY_32:
	case GO_MAP_KEY_64:
		return hash_word(k.word, m->seed, m->factor);
	case GO_MAP_KEY_STRING:
		return hash_bytes(k.p, k.n, m->seed, m->factor);
	case GO_MAP_KEY_BYTES:
		return hash_bytes(k.p, t->key_bytes, m->seed, m->factor);
	default:
		return key_hash_call(t, m, k.p);
	}
}

static inline bool
bytes_equal(const char *a, const char *b, size_t n)
{
	enum { WORD = 8 };
	if (n > 2 * WORD)
		return memcmp(a, b, n) == 0;
	if (n >= WORD)
		return ((hash_read8(a) ^ hash_read8(b)) |
			(hash_read8(a + n - WORD) ^ hash_read8(b + n - WORD))) == 0;
	if (n >= WORD / 2)
		return ((hash_read4(a) ^ hash_read4(b)) |
			(hash_read4(a + n - WORD / 2) ^ hash_read4(b + n - WORD / 2))) == 0;
	return n == 0 || go_map_load_few_(a, n) == go_map_load_few_(b, n);
}

// at: the key in a slot.
static inline bool
key_equal(const MapType *t, go_map_key kind, Key k, const char *at)
{
	switch (kind) {
	case GO_MAP_KEY_32:
		return hash_read4(at) == k.word;
	case GO_MAP_KEY_64:
		return hash_read8(at) == k.word;
	case GO_MAP_KEY_STRING: {
		const go_bytes *s = (const void *)at;
		return s->n == k.n && (s->p == k.p || bytes_equal(s->p, k.p, k.n));
	}
	case GO_MAP_KEY_BYTES:
		return bytes_equal(at, k.p, t->key_bytes);
	default:
		return key_equal_call(t, at, k.p);
	}
}

// --- sanitizers ----------------------------------------------------------------------------------

// In a program under clang's MemorySanitizer, which does not see what is written here. NULL in
// others.
extern void __msan_unpoison(const volatile void *p, size_t bytes) __attribute__((weak));

static inline void
map_shown(void *p, size_t bytes)
{
	if (unlikely(__msan_unpoison != NULL))
		__msan_unpoison(p, bytes);
}

// --- what one file has and others use ------------------------------------------------------------

// memory.c. NULL without memory.
void *map_memory(size_t bytes, uint32_t mask); // mask 0: no pointers inside
void *map_memory_typed(const HeapType *t, size_t elems);
void *map_memory_apart(size_t bytes, const HeapType *t, uint32_t mask); // t may be NULL
void map_memory_back(void *p);

// layout.c
void map_lay_out(const MapType *t, Map *m);                 // sets the fields of the layout, once
uint32_t layout_slots_at(const Map *m, uint32_t groups);
size_t layout_bytes(const Map *m, uint32_t groups);         // of a table
uint32_t layout_groups(const Map *m, size_t bytes);         // in a table of about so many bytes
uint32_t layout_groups_most(const Map *m);                  // before tables are split instead
const HeapType *layout_type(const Map *m, uint32_t groups); // of a table; NULL without memory

// table.c
char *table_new(const Map *m, uint32_t groups, uint32_t depth); // NULL without memory
uint32_t table_live(const Map *m, char *table);
void table_each(const Map *m, char *table, void (*fn)(void *ctx, char *slot), void *ctx);
void table_wipe(const Map *m, char *table);

// grow.c. Makes the first tables, or more room where the hash leads. Without memory nothing has
// changed.
typedef enum Grown {
	GROW_FAILED, // no memory
	GROW_DONE,
	GROW_NOT, // it would not help: more entries have to be in other groups than their own.
		  // Nothing has changed
} Grown;
bool map_begin(const MapType *t, Map *m); // false: no memory
Grown map_grow(const MapType *t, Map *m, uint64_t hash);
// Another table with the same entries, of so many groups; or one of two. False: no memory.
bool map_replace(const MapType *t, Map *m, uint64_t hash, uint32_t groups);
bool map_merge(const MapType *t, Map *m, uint64_t hash);
void map_set_groups(Map *m, uint32_t groups);
void map_forget(Map *m); // all tables, and the hint

// room.c. Entries of a table change places: where they may (entries_move), and no iterator is.
typedef struct Room {
	const MapType *t;
	const Map *m;
	char *table;
	uint32_t groups;   // of it
	uint32_t slots_at; // in it
	uint32_t g, i;     // where the room is: group, slot
} Room;
// For an entry with that home, near which no slot is free. True: one has become as deleted, and is
// counted so.
bool room_make(Room *r, uint32_t home);

// dir.c
char **dir_alloc(size_t n);           // NULL without memory
void dir_none(Map *m);                // the one without tables
bool dir_make(Map *m, uint32_t bits); // all entries NULL
bool dir_double(Map *m);
void dir_advance(Map *m); // a part of the next doubling
void dir_one(Map *m, char *table);    // the one of a single table, after dir_none
void dir_set(Map *m, uint64_t hash, uint32_t depth, char *table);
void dir_halve(Map *m);
void dir_tune(Map *m); // for look-ups that find nothing; when the map may be fuller than it was

// shrink.c. After a delete at this hash that has left the map with few entries.
void map_shrink(const MapType *t, Map *m, uint64_t hash);
void map_changed(Map *m); // after tables have been replaced

#endif
