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
	return find(t, m, kind, k, hash_of(t, m, kind, k, MISUSE_READ));
}

static inline void *
elem_of(const Map *m, char *slot)
{
	return slot != NULL ? slot_elem(m, slot) : NULL;
}

// --- words and strings ---------------------------------------------------------------------------

// The commonest search ends at the first slot with the right tag in its first group, or there is
// none and an empty one: undergo/map_front.h, which programs have in line. The rest is out of line
// and called last, so that this needs few registers and no frame. Elements do not lie apart, see
// map.h.
typedef struct Shape {
	size_t slot_bytes;
	size_t elem_at;
} Shape;

static const Shape usual_32 = {USUAL_32, 4}, usual_64 = {USUAL_64, 8},
		   usual_string = {USUAL_STRING, 16};

FRONT Shape
shape_of(const Map *m)
{
	return (Shape){m->slot_bytes, m->elem_at};
}

static NOINLINE void *
rest_32(const Map *m, uint32_t key)
{
	return elem_of(m, get(NULL, m, GO_MAP_KEY_32, (Key){.word = key}));
}

FRONT void *
get_32(const Map *m, Shape sh, uint32_t key)
{
	void *elem;
	bool known = go_map_find_word_(front_of(m), key, sizeof(key), sh.slot_bytes, sh.elem_at,
				       &elem);
	return likely(known) ? elem : rest_32(m, key);
}

static NOINLINE void *
unusual_32(const Map *m, uint32_t key)
{
	return get_32(m, shape_of(m), key);
}

void *
map_get_32(const Map *m, uint32_t key)
{
	if (unlikely(m == NULL))
		return NULL;
	reading_front(m, MISUSE_READ);
	if (unlikely(m->slot_bytes != usual_32.slot_bytes))
		return unusual_32(m, key);
	return get_32(m, usual_32, key);
}

static NOINLINE void *
rest_64(const Map *m, uint64_t key)
{
	return elem_of(m, get(NULL, m, GO_MAP_KEY_64, (Key){.word = key}));
}

FRONT void *
get_64(const Map *m, Shape sh, uint64_t key)
{
	void *elem;
	bool known = go_map_find_word_(front_of(m), key, sizeof(key), sh.slot_bytes, sh.elem_at,
				       &elem);
	return likely(known) ? elem : rest_64(m, key);
}

static NOINLINE void *
unusual_64(const Map *m, uint64_t key)
{
	return get_64(m, shape_of(m), key);
}

void *
map_get_64(const Map *m, uint64_t key)
{
	if (unlikely(m == NULL))
		return NULL;
	reading_front(m, MISUSE_READ);
	if (unlikely(m->slot_bytes != usual_64.slot_bytes))
		return unusual_64(m, key);
	return get_64(m, usual_64, key);
}

static NOINLINE void *
rest_string(const Map *m, const char *p, size_t n)
{
	return elem_of(m, get(NULL, m, GO_MAP_KEY_STRING, (Key){.p = p, .n = n}));
}

FRONT void *
get_string(const Map *m, Shape sh, const char *p, size_t n)
{
	uint64_t hash = hash_bytes(p, n, m->seed, m->factor);
	struct go_map_group_ g = go_map_group_of_(front_of(m), hash, sh.slot_bytes);
	const char *ctrl = go_map_ctrl_(g);
	go_map_match_bits_ match = go_map_match_(ctrl, go_map_tag_of_(hash));
	for (; likely(match != 0); match &= match - 1) {
		char *slot = go_map_slot_(front_of(m), g, match, sh.slot_bytes);
		if (likely(key_equal(NULL, GO_MAP_KEY_STRING, (Key){.p = p, .n = n}, slot)))
			return slot + sh.elem_at;
	}
	return likely(go_map_open_end_(ctrl)) ? NULL : rest_string(m, p, n);
}

static NOINLINE void *
unusual_string(const Map *m, const char *p, size_t n)
{
	return get_string(m, shape_of(m), p, n);
}

void *
map_get_string(const Map *m, const char *p, size_t n)
{
	if (unlikely(m == NULL))
		return NULL;
	reading_front(m, MISUSE_READ);
	if (unlikely(m->slot_bytes != usual_string.slot_bytes))
		return unusual_string(m, p, n);
	return get_string(m, usual_string, p, n);
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
