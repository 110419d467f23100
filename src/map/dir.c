// SPDX-License-Identifier: BSD-3-Clause
// The directory: an array of tables by the top bits of hashes.
//
// It becomes twice as long when a table is to be split that has a single entry in it. A long one is
// copied in pieces before that (I2), so that no insert has to copy all of it.
//
// Invariants:
//   I1  `deepest` counts the tables with depth dir_bits; without any the directory can be halved.
//   I2  next_dir, unless NULL: entries 2 i and 2 i + 1 are dir[i], for each i below next_done.
// Order: whoever uses the map while it must not may see a new directory beside the old length, but
// not the reverse while it grows: dir, then shift with release.
#include "map/map_impl.h"

enum {
#ifdef UNDERGO_STRESS
	AHEAD_LEAST = 2,
	PIECE = 1,
#else
	AHEAD_LEAST = 1024, // entries of a directory that is copied ahead
	PIECE = 32,         // entries at a time
#endif
};

static const HeapType pointer_type = {
    .bytes = sizeof(void *), .scan_bytes = sizeof(void *), .mask = 1, .name = "map directory"};

// A group without entries, and what is before and behind it. Its slots are as deleted ones: there
// is nothing to find, and who wants to put an entry there has to look further.
static const struct {
	Head head;
	char ctrl[2 * GROUP_SLOTS];
} empty_table = {.ctrl = {[0 ... GROUP_SLOTS - 1] = CTRL_DELETED}};
#define EMPTY_TABLE ((char *)(uintptr_t)&empty_table)
char *const dir_empty[2] = {EMPTY_TABLE, EMPTY_TABLE};

void
dir_none(Map *m)
{
	m->dir = (char **)(uintptr_t)dir_empty;
	m->groups = 1;
	m->homes = homes_of(1);
	m->slots_at = sizeof(empty_table); // nobody looks for a key beyond
	m->tables = m->deepest = 0;
	m->one[0] = m->one[1] = EMPTY_TABLE; // not NULL: who misuses m may look there
	m->only = EMPTY_TABLE;
	m->next_dir = NULL;
	store_rel(&m->shift, SEED_BITS - 1); // order: publish -> table_of
}

char **
dir_alloc(size_t n)
{
	return map_memory_typed(&pointer_type, n);
}

static void
publish(Map *m, char **dir, uint32_t bits)
{
	m->dir = dir;
	store_rel(&m->shift, (uint8_t)(SEED_BITS - bits)); // order: publish -> table_of
}

bool
dir_make(Map *m, uint32_t bits)
{
	char **dir = bits > 1 ? dir_alloc((size_t)1 << bits) : m->one;
	if (dir == NULL)
		return false;
	m->next_dir = NULL;
	m->deepest = 0;
	publish(m, dir, bits);
	return true;
}

// The directory is as long as it was.
void
dir_one(Map *m, char *table)
{
	m->one[0] = m->one[1] = table;
	m->dir = m->one;
	m->only = table;
}

// Copies so many more entries to the next directory.
static void
copy_ahead(Map *m, size_t n)
{
	size_t all = (size_t)1 << dir_bits(m);
	for (; n > 0 && m->next_done < all; n--, m->next_done++)
		m->next_dir[2 * m->next_done] = m->next_dir[2 * m->next_done + 1] =
		    m->dir[m->next_done];
}

static bool
next_begin(Map *m)
{
	m->next_done = 0;
	m->next_dir = dir_alloc((size_t)2 << dir_bits(m));
	return m->next_dir != NULL;
}

// With so many tables the next directory is begun: well before the first of them is split once too
// often, which of tables with few and large slots is early; but not at once, as there is half a
// table for each entry of a new directory, and a longer one takes long to clear.
static size_t
tables_to_begin(const Map *m, size_t n)
{
	enum { FEW_GROUPS = 64 };
	return m->groups < FEW_GROUPS ? n / 3 : n / 16 * 9;
}

// Called now and then. Without memory it begins later.
void
dir_advance(Map *m)
{
	size_t n = (size_t)1 << dir_bits(m);
	if (n < AHEAD_LEAST)
		return;
	if (m->next_dir == NULL && (m->tables < tables_to_begin(m, n) || !next_begin(m)))
		return;
	copy_ahead(m, PIECE);
}

bool
dir_double(Map *m)
{
	if (m->next_dir == NULL && !next_begin(m))
		return false;
	copy_ahead(m, SIZE_MAX);
	publish(m, m->next_dir, dir_bits(m) + 1);
	m->one[0] = m->one[1] = EMPTY_TABLE; // or it keeps alive what lies there later
	m->next_dir = NULL;
	m->deepest = 0;
	m->only = only_table(m);
	return true;
}

// What a look-up that has not found its key asks: whether one of its two groups has an empty slot,
// and if not whether it may be further on. The first is mispredicted as often as both are full, and
// in one of sixteen homes they are where two of three slots are in use. Soon the second is asked at
// once (I7), which takes another line of a table: in a map of many, whose lines are in no near
// cache, when it is a little fuller.
void
dir_tune(Map *m)
{
	enum { NO_FAR_GROUPS = 2, PARTS = 16, FULL = 9, FULL_OF_MANY = 10, MANY = 512 };
	size_t slots = m->tables * m->groups * GROUP_SLOTS;
	size_t from = slots / PARTS * (m->tables <= MANY ? FULL : FULL_OF_MANY);
	bool tells = m->groups > NO_FAR_GROUPS && m->count >= from;
	uint8_t was = load_rlx(&m->shift); // order: own
	uint8_t shift = (uint8_t)((was & GO_MAP_SHIFT_) | (tells ? GO_MAP_FAR_TELLS_ : 0));
	// Who has lost the map to another writer does not change what is of that one's directory.
	// order: the directory is what it was
	if (shift != was)
		(void)cas_rlx(&m->shift, &was, shift);
}

// All entries that begin with the top bits of a hash.
void
dir_set(Map *m, uint64_t hash, uint32_t depth, char *table)
{
	uint32_t bits = dir_bits(m), wide = bits - depth;
	size_t n = (size_t)1 << wide;
	size_t from = (size_t)(hash >> (SEED_BITS - bits)) >> wide << wide;
	for (size_t i = from; i < from + n; i++) {
		m->dir[i] = table;
		if (m->next_dir != NULL && i < m->next_done)
			m->next_dir[2 * i] = m->next_dir[2 * i + 1] = table;
	}
}

// In place, as long as a new one is not to be had.
void
dir_halve(Map *m)
{
	uint32_t bits = dir_bits(m) - 1;
	size_t n = (size_t)1 << bits;
	char **dir = bits > 1 ? dir_alloc(n) : m->one, **old = m->dir;
	if (dir == NULL)
		dir = old;
	m->next_dir = NULL;
	m->deepest = 0;
	for (size_t i = 0; i < n; i++) {
		char *table = old[2 * i];
		dir[i] = table;
		m->deepest += head_of(table)->depth == bits;
	}
	publish(m, dir, bits);
	m->only = only_table(m);
}
