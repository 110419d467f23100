// SPDX-License-Identifier: BSD-3-Clause
// Whether all holds that must hold in a map: the numbers of map_impl.h and dir.c.
#include "map/find.h"

static size_t
verify_table(const MapType *t, const Map *m, char *table, uint64_t prefix)
{
	const Head *head = head_of(table);
	uint32_t over = 0, dead = 0, live = 0;
	for (uint32_t g = 0; g < m->groups; g++) {
		for (uint32_t i = 0; i < GROUP_SLOTS; i++) {
			uint8_t c = (uint8_t)ctrl_of(table, g)[i];
			char *slot = slot_at(m, table, g, i);
			check(c == CTRL_EMPTY || c == CTRL_DELETED || c >= CTRL_FULL,
			      "map: control byte");
			dead += c == CTRL_DELETED;
			if (c < CTRL_FULL) {
				for (uint32_t b = 0; b < m->slot_bytes; b++)
					check(slot[b] == 0, "map: a free slot is not zero");
				continue;
			}
			live++;
			Key k = key_at(t->key_kind, slot_key(m, t->key_kind, slot));
			if (!key_equal(t, t->key_kind, k, slot_key(m, t->key_kind, slot)))
				continue;
			uint64_t hash = key_hash(t, m, t->key_kind, k);
			check(tag_of(hash) == c, "map: tag");
			if (head->depth != 0)
				check(((hash ^ prefix) >> (SEED_BITS - head->depth)) == 0,
				      "map: prefix");
			uint32_t home = group_of(hash, m->homes);
			bool far = is_far(g, home);
			over += far;
			check(!far || go_map_far_has_(table, m->slots_at, home, hash),
			      "map: a key far from home has no bit");
			uint32_t way = way_from(home, g, m->groups);
			check(!far || is_in_reach(table, way), "map: a key is out of reach");
			check(find(t, m, t->key_kind, k, hash) == slot, "map: a key is not found");
		}
	}
	check(live == table_live(m, table), "map: entries of a table");
	check(dead == head->dead, "map: deleted slots");
	if (!key_may_be_unequal(t))
		check(over == head->over, "map: entries far from home");
	check(head->far >= head->over, "map: entries that came far from home");
	return live;
}

void
map_verify(const MapType *t, const Map *m)
{
	size_t n = 0, live = 0, tables = 0, deepest = 0;
	if (m == NULL || m->tables == 0) {
		check(map_len(m) == 0, "map: entries without tables");
		check(m == NULL || m->only == dir_empty[0], "map: the only table");
		return;
	}
	uint32_t bits = dir_bits(m);
	for (size_t i = 0; i < (size_t)1 << bits; i += n) {
		char *table = m->dir[i];
		uint32_t depth = head_of(table)->depth;
		check(depth <= bits, "map: depth");
		n = (size_t)1 << (bits - depth);
		check(i % n == 0, "map: where a table begins");
		for (size_t j = 0; j < n; j++)
			check(m->dir[i + j] == table, "map: directory");
		for (size_t j = i; m->next_dir != NULL && j < i + n && j < m->next_done; j++)
			check(m->next_dir[2 * j] == table && m->next_dir[2 * j + 1] == table,
			      "map: next directory");
		live += verify_table(t, m, table, (uint64_t)i << (SEED_BITS - bits));
		tables++;
		deepest += depth == bits;
	}
	check(live == m->count, "map: count");
	check(m->only == only_table(m), "map: the only table");
	check(m->tables > 1 || m->groups > 1 || m->low == 0, "map: low");
	check(tables == m->tables, "map: number of tables");
	check(deepest == m->deepest, "map: deepest tables");
}
