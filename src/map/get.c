// SPDX-License-Identifier: BSD-3-Clause
// Looking up.
#include "map/find.h"

// The slot of a key, NULL when there is none.
FRONT char *
get(const MapType *t, const Map *m, go_map_key kind, Key k)
{
	if (unlikely(m == NULL))
		return NULL;
	reading(m, MISUSE_READ);
	if (m->count == 0)
		return NULL;
	return find(t, m, kind, k, hash_of(t, m, kind, k, MISUSE_READ));
}

static inline void *
elem_of(const Map *m, char *slot)
{
	return slot != NULL ? slot_elem(m, slot) : NULL;
}

// --- words and strings ---------------------------------------------------------------------------

// Elements do not lie apart, see map.h.
typedef void *GetRest(const Map *m, Key k);

FRONT void *
get_near(const Map *m, go_map_key kind, Shape sh, Key k, GetRest *rest)
{
	uint64_t i, hash = key_hash(NULL, m, kind, k);
	Home home = home_of(m, hash);
	Ctrls ctrls = go_map_ctrls_of_(go_map_ctrl_(home));
	go_map_match_bits_ match = go_map_match_(ctrls, go_map_tag_of_(hash));
	if (GO_MAP_EVEN_(match != 0)) {
		char *slots = near_slots(m, home, sh.each);
		if (likely(find_near(NULL, kind, sh.each, k, slots, match, &i)))
			return slots + i * sh.each + sh.elem_at;
	}
	return go_map_nowhere_(front_of(m), home, ctrls, hash) ? NULL : rest(m, k);
}

// What is out of line: searches that go on, and maps with slots of another size.
#define GET_RESTS(suffix, kind)                                          \
	static NOINLINE void *rest_##suffix(const Map *m, Key k)         \
	{                                                                \
		return elem_of(m, get(NULL, m, kind, k));                \
	}                                                                \
	static NOINLINE void *unusual_##suffix(const Map *m, Key k)      \
	{                                                                \
		return get_near(m, kind, shape_of(m), k, rest_##suffix); \
	}
GET_RESTS(32, GO_MAP_KEY_32)
GET_RESTS(64, GO_MAP_KEY_64)
GET_RESTS(string, GO_MAP_KEY_STRING)

FRONT void *
get_fast(const Map *m, go_map_key kind, Key k, GetRest *rest, GetRest *unusual)
{
	if (unlikely(m == NULL))
		return NULL;
	if (unlikely(is_marked(m, MISUSE_READ)))
		return rest(m, k); // which looks again; what may return would cost a frame here
	if (unlikely(m->slot_bytes != usual_shape(kind).each))
		return unusual(m, k);
	return get_near(m, kind, usual_shape(kind), k, rest);
}

void *
map_get_32(const Map *m, uint32_t key)
{
	return get_fast(m, GO_MAP_KEY_32, (Key){.word = key}, rest_32, unusual_32);
}

void *
map_get_64(const Map *m, uint64_t key)
{
	return get_fast(m, GO_MAP_KEY_64, (Key){.word = key}, rest_64, unusual_64);
}

void *
map_get_string(const Map *m, const char *p, size_t n)
{
	return get_fast(m, GO_MAP_KEY_STRING, (Key){.p = p, .n = n}, rest_string, unusual_string);
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
		key_hash_try(t, k.p);
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
