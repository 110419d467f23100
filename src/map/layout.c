// SPDX-License-Identifier: BSD-3-Clause
// Where things are in a group, and where the collector finds pointers there.
//
// The collector wants a description of a table's pointers that stays for ever. Tables that look
// alike share one; these descriptions are found in an array of lists to which they are only ever
// added.
#include "map/map_impl.h"

enum {
	WORD = sizeof(void *),
	MASK_WORDS = 64,
	LISTS = 64,
};

typedef struct Layout {
	HeapType type;
	uint64_t key;        // what it follows from
	struct Layout *next; // set before publication
} Layout;

static ATOMIC(Layout *) lists[LISTS];

// align: a power of two.
static uint32_t
round_up(uint32_t n, uint32_t align)
{
	return (n + align - 1) & ~(align - 1);
}

static uint32_t
max(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

// The words of a slot that may be pointers.
static uint32_t
slot_mask(const MapType *t, const Map *m)
{
	uint32_t key = (m->flags & MAP_KEY_APART) != 0 ? 1 : t->key_mask;
	uint32_t elem = (m->flags & MAP_ELEM_APART) != 0 ? 1 : t->elem_mask;
	return key | elem << (m->elem_at / WORD);
}

static void
set_bit(Layout *l, uint64_t *bitmap, size_t i)
{
	if (i < MASK_WORDS)
		l->type.mask |= (uint64_t)1 << i;
	bitmap[i / MASK_WORDS] |= (uint64_t)1 << i % MASK_WORDS;
}

// Of a table with so many groups.
static Layout *
layout_new(const Map *m, uint32_t groups, uint64_t key)
{
	size_t words = layout_bytes(m, groups) / WORD;
	Layout *l = os_alloc(sizeof(Layout) + (words / MASK_WORDS + 1) * sizeof(uint64_t));
	if (l == NULL)
		return NULL;
	uint64_t *bitmap = (uint64_t *)(void *)(l + 1);
	for (size_t i = 0; i < (size_t)groups * GROUP_SLOTS; i++) {
		size_t at = layout_slots_at(m, groups) + i * m->slot_bytes;
		for (uint32_t left = m->mask; left != 0; left &= left - 1)
			set_bit(l, bitmap, at / WORD + (size_t)__builtin_ctz(left));
	}
	l->key = key;
	l->type.bytes = l->type.scan_bytes = words * WORD;
	l->type.bitmap = bitmap;
	l->type.name = "map table";
	return l;
}

// What layouts follow from. A slot has at most 32 words.
static uint64_t
layout_key(const Map *m, uint32_t groups)
{
	return m->mask | (uint64_t)(m->slot_bytes / WORD) << 32 | (uint64_t)(m->align / 16) << 38 |
	       (uint64_t)groups << 40;
}

const HeapType *
layout_type(const Map *m, uint32_t groups)
{
	uint64_t key = layout_key(m, groups);
	ATOMIC(Layout *) *list = (void *)&lists[base_mix(key) % LISTS];
	Layout *made = NULL;
	Layout *head = load_acq(list); // order: observe <- below
	for (;;) {
		for (Layout *l = head; l != NULL; l = l->next) {
			if (l->key == key) {
				os_free(made);
				return &l->type;
			}
		}
		if (made == NULL && (made = layout_new(m, groups, key)) == NULL)
			return NULL;
		made->next = head;
		if (cas_ar(list, &head, made)) // order: publish -> above
			return &made->type;
	}
}

static void
set_places(const MapType *t, Map *m)
{
	uint32_t key = t->key_bytes, elem = t->elem_bytes;
	uint32_t key_align = max(t->key_align, 1), elem_align = max(t->elem_align, 1);
	if (key > APART_BYTES) {
		m->flags |= MAP_KEY_APART;
		key = key_align = WORD;
	}
	if (elem > APART_BYTES) {
		m->flags |= MAP_ELEM_APART;
		elem = elem_align = WORD;
	}
	uint32_t align = max(key_align, elem_align);
	bool words = t->key_mask != 0 || t->elem_mask != 0 ||
		     (m->flags & (MAP_KEY_APART | MAP_ELEM_APART)) != 0;
	m->elem_at = (uint16_t)round_up(key, elem_align);
	m->slot_bytes = (uint16_t)round_up(m->elem_at + elem, words ? max(align, WORD) : align);
	m->align = (uint8_t)max(align, WORD);
}

static bool
is_two_words(const MapType *t)
{
	return t->key_bytes == WORD && t->elem_bytes == WORD && t->key_align == WORD &&
	       t->elem_align == WORD;
}

// Each new map is laid out anew, and of most the key is a word and the element another.
void
map_lay_out(const MapType *t, Map *m)
{
	if ((m->flags & MAP_LAID_OUT) != 0)
		return;
	if (is_two_words(t)) {
		m->elem_at = m->align = WORD;
		m->slot_bytes = 2 * WORD;
	} else {
		set_places(t, m);
	}
	m->mask = slot_mask(t, m);
	m->flags |= MAP_LAID_OUT;
}

// --- sizes ---------------------------------------------------------------------------------------

uint32_t
layout_slots_at(const Map *m, uint32_t groups)
{
	enum { LARGE = 16, LEAST = 2 };
	uint32_t align = groups >= LARGE ? CACHE_LINE : m->align;
	uint32_t far = groups > LEAST ? far_bytes(homes_of(groups)) : 0;
	return round_up((uint32_t)sizeof(Head) + max(groups, LEAST) * GROUP_SLOTS + far, align);
}

size_t
layout_bytes(const Map *m, uint32_t groups)
{
	return layout_slots_at(m, groups) + (size_t)groups * GROUP_SLOTS * m->slot_bytes;
}

// All of the next size class is used.
uint32_t
layout_groups(const Map *m, size_t bytes)
{
	if (bytes <= SMALL_MAX)
		bytes = class_size[size_class(bytes)];
	size_t each = GROUP_SLOTS * (1 + (size_t)m->slot_bytes);
	uint32_t n = (uint32_t)((bytes - sizeof(Head)) / each);
	while (n > 1 && layout_bytes(m, n) > bytes)
		n--;
	return n;
}

uint32_t
layout_groups_most(const Map *m)
{
	uint32_t n = layout_groups(m, TABLE_BYTES);
	if (n < TABLE_GROUPS_LEAST * 2)
		n = layout_groups(m, TABLE_BYTES_MAX);
	return max(n, TABLE_GROUPS_LEAST);
}
