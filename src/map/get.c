// SPDX-License-Identifier: BSD-3-Clause
// Looking up.
#include "map/find.h"
#include "map/misuse.h"

// The slot of a key, NULL when there is none.
FRONT char *
get(const MapType *t, const Map *m, go_map_key kind, Key k)
{
	if (unlikely(m == NULL))
		return NULL;
	reading(m, MISUSE_READ);
	return find(t, m, kind, k, key_hash(t, kind, k, m->seed));
}

static inline void *
elem_of(const Map *m, char *slot)
{
	return slot != NULL ? slot_elem(m, slot) : NULL;
}

// --- words and strings ---------------------------------------------------------------------------

// The commonest search ends at the first slot with the right tag in its first group, or there is
// none and an empty one. The rest is out of line and called last, so that this needs few registers
// and no frame. Elements do not lie apart (map.h).
typedef struct First {
	char *group;
	Match hit;
} First;

FRONT First
first(const Map *m, uint64_t hash)
{
	char *group = group_at(m, table_of(m, hash), group_of(hash, m->groups));
	return (First){group, match_tag(group_ctrl(group), hash)};
}

static NOINLINE void *
rest_32(const Map *m, uint32_t key)
{
	return elem_of(m, get(NULL, m, GO_MAP_KEY_32, (Key){.word = key}));
}

void *
map_get_32(const Map *m, uint32_t key)
{
	if (unlikely(m == NULL))
		return NULL;
	reading_front(m, MISUSE_READ);
	First f = first(m, hash_word(key, m->seed));
	if (likely(f.hit != 0)) {
		char *slot = slot_at(m, f.group, match_first(f.hit));
		return likely(hash_read4(slot) == key) ? slot + m->elem_at : rest_32(m, key);
	}
	return likely(match_empty(group_ctrl(f.group)) != 0) ? NULL : rest_32(m, key);
}

static NOINLINE void *
rest_64(const Map *m, uint64_t key)
{
	return elem_of(m, get(NULL, m, GO_MAP_KEY_64, (Key){.word = key}));
}

void *
map_get_64(const Map *m, uint64_t key)
{
	if (unlikely(m == NULL))
		return NULL;
	reading_front(m, MISUSE_READ);
	First f = first(m, hash_word(key, m->seed));
	if (likely(f.hit != 0)) {
		char *slot = slot_at(m, f.group, match_first(f.hit));
		return likely(hash_read8(slot) == key) ? slot + m->elem_at : rest_64(m, key);
	}
	return likely(match_empty(group_ctrl(f.group)) != 0) ? NULL : rest_64(m, key);
}

static NOINLINE void *
rest_string(const Map *m, const char *p, size_t n)
{
	return elem_of(m, get(NULL, m, GO_MAP_KEY_STRING, (Key){.p = p, .n = n}));
}

void *
map_get_string(const Map *m, const char *p, size_t n)
{
	if (unlikely(m == NULL))
		return NULL;
	reading_front(m, MISUSE_READ);
	First f = first(m, hash_bytes(p, n, m->seed));
	if (likely(f.hit != 0)) {
		char *slot = slot_at(m, f.group, match_first(f.hit));
		bool equal = key_equal(NULL, GO_MAP_KEY_STRING, (Key){.p = p, .n = n}, slot);
		return likely(equal) ? slot + m->elem_at : rest_string(m, p, n);
	}
	return likely(match_empty(group_ctrl(f.group)) != 0) ? NULL : rest_string(m, p, n);
}

// --- any key -------------------------------------------------------------------------------------

static NOINLINE char *
get_bytes(const MapType *t, const Map *m, Key k)
{
	return get(t, m, GO_MAP_KEY_BYTES, k);
}

// Some hash functions panic, and shall do so for an empty map, too.
static NOINLINE char *
get_call(const MapType *t, const Map *m, Key k)
{
	if ((m == NULL || m->count == 0) && (t->flags & GO_MAP_HASH_PANICS) != 0)
		(void)key_hash_call(t, k.p, 0);
	return get(t, m, GO_MAP_KEY_CALLS, k);
}

static char *
get_any(const MapType *t, const Map *m, const void *key)
{
	Key k = key_at(t->key_kind, key);
	switch (t->key_kind) {
	case GO_MAP_KEY_32:
		return get(t, m, GO_MAP_KEY_32, k);
	case GO_MAP_KEY_64:
		return get(t, m, GO_MAP_KEY_64, k);
	case GO_MAP_KEY_STRING:
		return get(t, m, GO_MAP_KEY_STRING, k);
	case GO_MAP_KEY_BYTES:
		return get_bytes(t, m, k);
	default:
		return get_call(t, m, k);
	}
}

void *
map_get(const MapType *t, const Map *m, const void *key)
{
	return elem_of(m, get_any(t, m, key));
}

void *
map_get_key(const MapType *t, const Map *m, const void *key, const void **its_key)
{
	char *slot = get_any(t, m, key);
	if (slot == NULL)
		return NULL;
	*its_key = slot_key(m, t->key_kind, slot);
	return slot_elem(m, slot);
}
