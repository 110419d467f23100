// SPDX-License-Identifier: BSD-3-Clause
// Whole maps: making, clearing, copying.
#include "base/godebug.h"
#include "gc/gc.h"
#include "map/misuse.h"

#define MAP_WORD(f) ((uint64_t)1 << (offsetof(Map, f) / sizeof(void *)))

static const HeapType map_object = {
    .bytes = sizeof(Map),
    .scan_bytes = sizeof(Map),
    .mask = MAP_WORD(dir) | MAP_WORD(one[0]) | MAP_WORD(one[1]) | MAP_WORD(next_dir),
    .name = "map",
};

static Map *
map_alloc(void)
{
	hash_init();
	return map_memory_typed(&map_object, 1);
}

// --- making --------------------------------------------------------------------------------------

// So many entries fill two of three slots, so that hardly a table has to grow for them. Of several
// tables each is as large as the largest or a little less. A hint of more than there are addresses
// is none, as in Go.
static void
take_hint(Map *m, size_t hint)
{
	enum { TABLES_BITS_MOST = 40, ADDRESS_BITS = 47 };
	if (hint > ((size_t)1 << ADDRESS_BITS) / (m->slot_bytes + 1U))
		return;
	size_t groups = hint / 2 * 3 / GROUP_SLOTS + 2, most = layout_groups_most(m);
	if (groups <= most) {
		m->hint_groups = layout_groups(m, layout_bytes(m, (uint32_t)groups));
		return;
	}
	uint8_t bits = 2;
	while (groups >> bits >= most && bits < TABLES_BITS_MOST)
		bits++;
	m->hint_bits = bits;
	m->hint_groups = (uint32_t)(groups >> bits) + 1;
	uint32_t all = layout_groups(m, layout_bytes(m, m->hint_groups));
	if (all <= most) // what the size class has room for
		m->hint_groups = all;
}

// Whether there can be memory for the tables of the hint. They are taken one by one, and the system
// may well promise each of them more than it has.
static bool
hint_can_be(const Map *m)
{
	const size_t large = (size_t)64 << 20;
	size_t each = layout_bytes(m, m->hint_groups) + sizeof(char *);
	size_t bytes = each << m->hint_bits;
	return bytes < large || gc_could_have(bytes);
}

Map *
map_new(const MapType *t, size_t hint)
{
	Map *m = map_alloc();
	if (m == NULL)
		return NULL;
	m->seed = base_rand(&sched_m()->rand) | 1;
	m->factor = base_rand(&sched_m()->rand) | 1;
	m->flags = (godebug.mapcheck != 0 ? MAP_CHECKED : 0) |
		   (__msan_unpoison != NULL ? MAP_SHOWN : 0);
	dir_none(m);
	if (t != NULL)
		map_lay_out(t, m);
	if (hint <= GROUP_SLOTS)
		return m;
	take_hint(m, hint);
	return hint_can_be(m) && map_begin(t, m) ? m : NULL;
}

// --- clearing ------------------------------------------------------------------------------------

static void
wipe_all(Map *m)
{
	size_t n = (size_t)1 << dir_bits(m);
	char *last = NULL;
	for (size_t i = 0; i < n; i++) {
		char *table = m->dir[i];
		still_own(m, table, MISUSE_WRITES);
		if (table != last)
			table_wipe(m, table);
		last = table;
	}
}

// Time in proportion to the entries there are: when they are few the tables are given up.
void
map_clear(const MapType *t, Map *m)
{
	(void)t;
	if (m == NULL)
		return;
	G *self = writing_begin(m);
	m->clears++;
	m->epoch++;
	m->changes++;
	if (m->tables != 0) {
		if (m->count >= m->tables * m->groups)
			wipe_all(m);
		else
			map_forget(m);
	}
	m->count = 0;
	dir_tune(m);
	writing_end(m, self);
}

// --- copying -------------------------------------------------------------------------------------

typedef struct Copy {
	const MapType *t;
	Map *m;
	const Map *from;
	bool ok;
} Copy;

// A copy of what a word of a slot points to. False: no memory.
static bool
copy_apart(const Copy *c, const HeapType *type, size_t bytes, uint32_t mask, char *slot_word)
{
	char **word = (char **)(void *)slot_word;
	char *copy = map_memory_apart(bytes, type, mask);
	if (copy == NULL)
		return false;
	still_own(c->from, *word, MISUSE_CLONE);
	memcpy(copy, *word, bytes);
	*word = copy;
	return true;
}

static void
copy_slot(void *ctx, char *slot)
{
	Copy *c = ctx;
	const MapType *t = c->t;
	if ((c->m->flags & MAP_KEY_APART) != 0)
		c->ok = c->ok && copy_apart(c, t->key_type, t->key_bytes, t->key_mask, slot);
	if ((c->m->flags & MAP_ELEM_APART) != 0)
		c->ok = c->ok && copy_apart(c, t->elem_type, t->elem_bytes, t->elem_mask,
					    slot + c->m->elem_at);
}

static char *
copy_table(const MapType *t, Map *m, const Map *other, char *from)
{
	char *table = table_new(m, m->groups, 0);
	Copy c = {t, m, other, table != NULL};
	if (table == NULL)
		return NULL;
	memcpy(table, from, layout_bytes(m, m->groups));
	if ((m->flags & (MAP_KEY_APART | MAP_ELEM_APART)) != 0)
		table_each(m, table, copy_slot, &c);
	return c.ok ? table : NULL;
}

static bool
copy_tables(const MapType *t, Map *m, const Map *other)
{
	char *const *from = other->dir;
	size_t n = (size_t)1 << dir_bits(m);
	uint32_t epoch = m->epoch; // the other's, when it was copied
	char *last = NULL;
	for (size_t i = 0; i < n; i++) {
		char *table = GO_MAP_READ_(from[i]);
		still_own(other, table, MISUSE_CLONE);
		if (unlikely(GO_MAP_READ_(other->epoch) != epoch)) // from may be no directory now
			misuse_fatal(other, MISUSE_CLONE, load_rlx(&other->writer)); // order: hint
		if (table == last)
			m->dir[i] = m->dir[i - 1];
		else if ((m->dir[i] = copy_table(t, m, other, table)) == NULL)
			return false;
		last = table;
	}
	return true;
}

Map *
map_clone(const MapType *t, const Map *from)
{
	if (from == NULL)
		return NULL;
	reading(from, MISUSE_CLONE);
	Map *m = map_alloc();
	if (m == NULL)
		return NULL;
	memcpy((void *)m, from, offsetof(Map, iterated));
	init_plain(&m->writer, NULL);
	dir_none(m);
	if (from->tables == 0)
		return m;
	map_set_groups(m, from->groups);
	if (!dir_make(m, dir_bits(from)) || !copy_tables(t, m, from))
		return NULL;
	m->tables = from->tables;
	m->only = only_table(m);
	m->deepest = from->deepest;
	dir_tune(m);
	reading(from, MISUSE_CLONE);
	return m;
}
