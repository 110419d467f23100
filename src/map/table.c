// SPDX-License-Identifier: BSD-3-Clause
// One table: making it, putting entries into a new one, looking at all of them.
#include "map/find.h"

static char *
table_alloc(const Map *m, uint32_t groups)
{
	if (m->mask == 0)
		return map_memory(layout_bytes(m, groups), 0);
	const HeapType *type = layout_type(m, groups);
	return type != NULL ? map_memory_typed(type, 1) : NULL;
}

char *
table_new(const Map *m, uint32_t groups, uint32_t depth)
{
	char *table = table_alloc(m, groups);
	if (table != NULL)
		head_of(table)->depth = (uint16_t)depth;
	return table;
}

// Eight counts at a time, one in each byte, for as many groups as a byte can count.
uint32_t
table_live(const Map *m, char *table)
{
	enum { MOST = 255 };
	const uint64_t even = 0x00ff00ff00ff00ff, ones = 0x0001000100010001;
	uint32_t n = 0;
	for (uint32_t g = 0; g < m->groups;) {
		uint64_t counts = 0;
		uint32_t end = m->groups - g > MOST ? g + MOST : m->groups;
		for (; g < end; g++)
			counts += match_ones_above_1(ctrl_read(ctrl_of(table, g)));
		n += (uint32_t)(((counts & even) + (counts >> 8 & even)) * ones >> 48);
	}
	return n;
}

void
table_each(const Map *m, char *table, void (*fn)(void *ctx, char *slot), void *ctx)
{
	for (uint32_t g = 0; g < m->groups; g++) {
		Match full = match_full(ctrl_read(ctrl_of(table, g)));
		for (; full != 0; full &= full - 1)
			fn(ctx, slot_at(m, table, g, match_first(full)));
	}
}

// Of no entries, with the same depth.
void
table_wipe(const Map *m, char *table)
{
	Head *head = head_of(table);
	head->over = head->dead = head->far = head->reach = 0;
	memset(ctrl_of(table, 0), 0, layout_bytes(m, m->groups) - sizeof(Head));
}
