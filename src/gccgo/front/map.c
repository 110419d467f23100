// SPDX-License-Identifier: BSD-3-Clause
// Maps with keys that are words or short texts: looking up, assigning to an entry that there is or
// that finds room in its group, and the next entry of a group. The way is that of
// undergo/map_front.h, which C programs have in line.
//
// Where a map is not as its type makes one expect, is being changed, or the key is not where most
// are, the rest is called, which begins anew.
#include "gccgo/front/front.h"

#include "map/map.h"

extern const char zeroes[] __asm__(GOREST_PREFIX "runtime.map_zeroes");

typedef enum Look {
	LOOK_ASK, // the rest
	LOOK_NOWHERE,
	LOOK_FOUND,
} Look;

enum { TEXT_MOST = 16 };

typedef struct go_map_front_ Front;
typedef ATOMIC(const void *) Mark; // of who changes the map

#define PART static inline __attribute__((always_inline))

PART Front *
front_of(const Map *m)
{
	return (Front *)(uintptr_t)m;
}

PART Mark *
mark_of(Map *m)
{
	return (Mark *)(void *)&front_of(m)->writer;
}

// --- where things are ----------------------------------------------------------------------------

// In a slot, from the descriptor; constants.
PART size_t
elem_at(const MapGoType *t)
{
	return go_map_up_(t->key->size, t->elem->align);
}

PART size_t
front_slot_bytes(const MapGoType *t)
{
	size_t align = t->key->align > t->elem->align ? t->key->align : t->elem->align;
	if ((t->key->ptrdata | t->elem->ptrdata) != 0 && align < sizeof(void *))
		align = sizeof(void *);
	return go_map_up_(elem_at(t) + t->elem->size, align);
}

// Whether the compiler knows all of it.
#define KNOWN_MAP(t) (KNOWN((t)->flags) && KNOWN((t)->key->size) && KNOWN((t)->elem->size))

// A map with entries of that size, which nobody changes.
PART bool
as_usual(const Front *f, const MapGoType *t)
{
	return go_map_quiet_(f) && likely(f->slot_bytes == front_slot_bytes(t));
}

// --- searching -----------------------------------------------------------------------------------

PART Look
look_word(const MapGoType *t, const Front *f, uint64_t key, size_t bytes, void **elem)
{
	if (unlikely(!go_map_find_word_(f, key, bytes, front_slot_bytes(t), elem_at(t), elem)))
		return LOOK_ASK;
	return *elem != NULL ? LOOK_FOUND : LOOK_NOWHERE;
}

// Of a text of up to TEXT_MOST bytes.
PART Look
look_text(const MapGoType *t, const Front *f, String key, void **elem)
{
	if (unlikely(!go_map_find_short_(f, key.p, (size_t)key.n, front_slot_bytes(t), elem_at(t),
					 elem)))
		return LOOK_ASK;
	return *elem != NULL ? LOOK_FOUND : LOOK_NOWHERE;
}

PART Look
or_zero(Look l, void **elem)
{
	if (l == LOOK_NOWHERE)
		*elem = (char *)(uintptr_t)zeroes;
	return l;
}

PART Look
get_word(const MapGoType *t, const Map *m, uint64_t key, size_t bytes, void **elem)
{
	if (unlikely(m == NULL) || !as_usual(front_of(m), t))
		return LOOK_ASK;
	return or_zero(look_word(t, front_of(m), key, bytes, elem), elem);
}

PART Look
get_text(const MapGoType *t, const Map *m, String key, void **elem)
{
	if (unlikely(m == NULL) || unlikely(key.n > TEXT_MOST) || !as_usual(front_of(m), t))
		return LOOK_ASK;
	return or_zero(look_text(t, front_of(m), key, elem), elem);
}

// Both forms of a look-up: with one result, and with two.
#define GETS(suffix, name, KeyType, get)                                                          \
	FRONT_REST("runtime.mapaccess1__fast" suffix, void *, rest_access1_##name,                \
		   (const MapGoType *, Map *, KeyType));                                          \
	FRONT("runtime.mapaccess1__fast" suffix, void *, rt_access1_##name,                       \
	      (const MapGoType *t, Map *m, KeyType key))                                          \
	{                                                                                         \
		void *elem;                                                                       \
		if (KNOWN_MAP(t) && likely(get != LOOK_ASK))                                      \
			return elem;                                                              \
		return rest_access1_##name(t, m, key);                                            \
	}                                                                                         \
	FRONT_REST("runtime.mapaccess2__fast" suffix, Found, rest_access2_##name,                 \
		   (const MapGoType *, Map *, KeyType));                                          \
	FRONT("runtime.mapaccess2__fast" suffix, Found, rt_access2_##name,                        \
	      (const MapGoType *t, Map *m, KeyType key))                                          \
	{                                                                                         \
		void *elem;                                                                       \
		Look l;                                                                           \
		if (KNOWN_MAP(t) && likely((l = get) != LOOK_ASK))                                \
			return (Found){elem, l == LOOK_FOUND};                                    \
		return rest_access2_##name(t, m, key);                                            \
	}
GETS("32", 32, uint32_t, get_word(t, m, key, sizeof(key), &elem))
GETS("64", 64, uint64_t, get_word(t, m, key, sizeof(key), &elem))
GETS("str", str, String, get_text(t, m, key, &elem))

// --- assigning -----------------------------------------------------------------------------------

// Who writes leaves its mark, as in map/misuse.h, although it may change nothing. Who meets that of
// another one asks, and the rest dies of it.

FRONT_REST("runtime.map_mark_lost", NORETURN void, rest_mark_lost, (Map *));

PART bool
writable(const Front *f, const MapGoType *t)
{
	return f != NULL && as_usual(f, t) && likely(f->flags == MAP_FLAGS_USUAL);
}

// Dies when another one's mark is there instead, or none.
PART void
unmark(Map *m, const void *self)
{
	if (unlikely(load_rlx(mark_of(m)) != self)) // order: hint
		rest_mark_lost(m);
	store_rlx(mark_of(m), NULL); // order: hint
}

PART void *
assign_word(const MapGoType *t, Map *m, uint64_t key, size_t bytes)
{
	Front *f = front_of(m);
	if (!writable(f, t))
		return NULL;
	const void *self = sched_g();
	store_rlx(mark_of(m), self); // order: hint
	uint64_t hash = go_map_hash_word_(key, f->seed, f->factor);
	struct go_map_group_ g = go_map_group_of_(f, hash);
	char *slots = go_map_slots_(f, g, front_slot_bytes(t));
	go_map_ctrls_ ctrls = go_map_ctrls_to_write_(go_map_ctrl_(g));
	go_map_match_bits_ match = go_map_match_(ctrls, go_map_tag_of_(hash));
	char *slot = go_map_slot_of_word_(slots, match, key, bytes, front_slot_bytes(t));
	if (slot == NULL) {
		slot = go_map_take_(f, g, slots, ctrls, go_map_tag_of_(hash),
				    front_slot_bytes(t));
		if (likely(slot != NULL))
			memcpy(slot, &key, bytes);
	}
	unmark(m, self);
	return likely(slot != NULL) ? slot + elem_at(t) : NULL;
}

PART void *
assign_text(const MapGoType *t, Map *m, String key)
{
	Front *f = front_of(m);
	if (unlikely(key.n > TEXT_MOST) || !writable(f, t))
		return NULL;
	const void *self = sched_g();
	store_rlx(mark_of(m), self); // order: hint
	size_t n = (size_t)key.n;
	struct go_map_words_ w = go_map_words_of_(key.p, n);
	uint64_t hash = go_map_hash_two_(w.a, w.b, n, f->seed, f->factor);
	struct go_map_group_ g = go_map_group_of_(f, hash);
	char *slots = go_map_slots_(f, g, front_slot_bytes(t));
	go_map_ctrls_ ctrls = go_map_ctrls_to_write_(go_map_ctrl_(g));
	go_map_match_bits_ match = go_map_match_(ctrls, go_map_tag_of_(hash));
	char *slot = go_map_slot_of_short_(slots, match, w, key.p, n, front_slot_bytes(t));
	bool found = slot != NULL;
	if (!found)
		slot = go_map_take_(f, g, slots, ctrls, go_map_tag_of_(hash),
				    front_slot_bytes(t));
	if (likely(slot != NULL) && (!found || (t->flags & MAPTYPE_KEY_RENEWED) != 0))
		memcpy(slot, &key, sizeof(key));
	unmark(m, self);
	return likely(slot != NULL) ? slot + elem_at(t) : NULL;
}

#define ASSIGN(suffix, name, KeyType, assign)                                                     \
	FRONT_REST("runtime.mapassign__fast" suffix, void *, rest_assign_##name,                  \
		   (const MapGoType *, Map *, KeyType));                                          \
	FRONT("runtime.mapassign__fast" suffix, void *, rt_assign_##name,                         \
	      (const MapGoType *t, Map *m, KeyType key))                                          \
	{                                                                                         \
		void *elem;                                                                       \
		if (KNOWN_MAP(t) && likely((elem = assign) != NULL))                              \
			return elem;                                                              \
		return rest_assign_##name(t, m, key);                                             \
	}
ASSIGN("32", 32, uint32_t, assign_word(t, m, key, sizeof(key)))
ASSIGN("64", 64, uint64_t, assign_word(t, m, key, sizeof(key)))
ASSIGN("64ptr", ptr, void *, assign_word(t, m, (uintptr_t)key, sizeof(key)))
ASSIGN("str", str, String, assign_text(t, m, key))

// --- iterating -----------------------------------------------------------------------------------

// An entry at hand lies in the groups where the iterator is, whose map is what it was. As
// go_map_front_next_, which knows the type.
FRONT_REST("runtime.mapiternext", void, rest_iternext, (MapIter *));
FRONT("runtime.mapiternext", void, rt_iternext, (MapIter *iter))
{
	struct go_map_iter_front_ *it = (struct go_map_iter_front_ *)(void *)iter;
	const Front *f = it->m;
	if (likely(it->slots != 0) && likely(it->groups_and_flags >> 30 == 0) &&
	    likely(it->epoch == f->epoch) && go_map_quiet_(f) &&
	    likely(f->flags == MAP_FLAGS_USUAL)) {
		size_t n = it->base + (size_t)__builtin_ctzll(it->slots);
		it->slots &= it->slots - 1;
		if (likely((uint8_t)it->table[GO_MAP_HEAD_BYTES_ + n] >= GO_MAP_FULL_)) {
			char *slot = it->table + it->slots_at + n * f->slot_bytes;
			it->key = slot;
			it->elem = slot + f->elem_at;
			return;
		}
	}
	rest_iternext(iter);
}
