// SPDX-License-Identifier: BSD-3-Clause
// One table: making it, putting entries into a new one, looking at all of them.
#include "map/find.h"

#define TAG(n) UINT64_C(0x0101010101010101) * (CTRL_FULL + (n))
#define TAGS_4(n) TAG(n), TAG((n) + 1), TAG((n) + 2), TAG((n) + 3)
#define TAGS_16(n) TAGS_4(n), TAGS_4((n) + 4), TAGS_4((n) + 8), TAGS_4((n) + 12)
#define TAGS_64(n) TAGS_16(n), TAGS_16((n) + 16), TAGS_16((n) + 32), TAGS_16((n) + 48)
const uint64_t tag_words[TAGS] = {TAGS_64(0), TAGS_64(64)};

static Tail *
tail_at(const Map *m, char *table, uint32_t groups)
{
	return (Tail *)(void *)(table + (size_t)groups * m->stride);
}

static char *
table_alloc(const Map *m, uint32_t groups)
{
	if (m->mask == 0)
		return map_memory((size_t)groups * m->stride + sizeof(Tail), 0);
	const HeapType *type = layout_type(m, groups);
	return type != NULL ? map_memory_typed(type, 1) : NULL;
}

char *
table_new(const Map *m, uint32_t groups, uint32_t depth)
{
	char *table = table_alloc(m, groups);
	if (table != NULL)
		tail_at(m, table, groups)->depth = depth;
	return table;
}

char *
table_put(const Map *m, char *table, uint32_t groups, uint64_t hash)
{
	uint32_t home = group_of(hash, groups), g = home;
	for (;;) {
		char *group = group_at(m, table, g);
		Match empty = match_free(group_ctrl(group));
		if (likely(empty != 0)) {
			uint32_t i = match_first(empty);
			group[i] = (char)tag_of(hash);
			if (unlikely(g != home))
				tail_at(m, table, groups)->over++;
			return slot_at(m, group, i);
		}
		g = g + 1 == groups ? 0 : g + 1;
	}
}

uint32_t
table_live(const Map *m, const char *table)
{
	uint32_t n = 0;
	for (uint32_t g = 0; g < m->groups; g++, table += m->stride)
		n += (uint32_t)__builtin_popcountll(match_full(group_ctrl(table)));
	return n;
}

void
table_each(const Map *m, char *table, uint32_t groups, void (*fn)(void *ctx, char *slot), void *ctx)
{
	for (uint32_t g = 0; g < groups; g++) {
		char *group = group_at(m, table, g);
		Match full = match_full(group_ctrl(group));
		for (; full != 0; full &= full - 1)
			fn(ctx, slot_at(m, group, match_first(full)));
	}
}

// Of no entries, with the same depth.
void
table_wipe(const Map *m, char *table)
{
	Tail *tail = tail_of(m, table);
	memset(table, 0, (size_t)m->groups * m->stride);
	tail->over = tail->dead = 0;
}
