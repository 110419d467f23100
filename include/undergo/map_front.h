/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/map_front.h - what of maps is compiled into the program: most look-ups, and most steps of
 * iterations. Included by map.h.
 *
 * Nothing here is for programs to use, and all of it belongs to one version of the library: what
 * is compiled with this header wants the library that it came with. A front does what the library
 * would do where that is short, in the library's own structures, and calls the library for all the
 * rest: a map that is being changed (the library dies of it), a key that is not where most keys
 * are, a long text, the next group of an iteration. src/map/map_impl.h says what a map is made of,
 * and holds these structures to the library's own.
 *
 * The mark of who changes the map is read each time, whatever the compiler knows of the other
 * fields.
 */
#include "map.h" /* which includes this where it is wanted: so the guard comes after */

#ifndef UNDERGO_MAP_FRONT_H
#define UNDERGO_MAP_FRONT_H

#define GO_MAP_INLINE_ static inline __attribute__((always_inline, unused))
#define GO_MAP_LIKELY_(c) __builtin_expect(!!(c), 1)
/* As often as not: the code for both cases follows in line. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 9
#define GO_MAP_EVEN_(c) __builtin_expect_with_probability(!!(c), 1, 0.5)
#else
#define GO_MAP_EVEN_(c) (c)
#endif

/* A field that another thread writes now, though it must not: read here and now. On x86-64 a
 * volatile read is as good as an atomic one with acquire, and lets the compiler keep all else that
 * it knows. */
#ifdef __x86_64__
#define GO_MAP_READ_(field) (*(const volatile __typeof__(field) *)&(field))
#else
#define GO_MAP_READ_(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#endif

/* 1: everything is the library's. Sanitizers are to see one access to the map for each operation,
 * and where memory comes from that nobody in the program wrote. */
#if defined(__SANITIZE_THREAD__) || (defined(__x86_64__) && !defined(__SSE2__))
#define GO_MAP_NO_FRONT_ 1 /* without SSE2: it would search as the library does elsewhere */
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define GO_MAP_NO_FRONT_ 1
#endif
#endif
#if !defined(GO_MAP_NO_FRONT_) && defined(__BYTE_ORDER__) && \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && defined(__SIZEOF_INT128__)
#define GO_MAP_NO_FRONT_ 0
#else
#undef GO_MAP_NO_FRONT_
#define GO_MAP_NO_FRONT_ 1
#endif

enum {
	GO_MAP_HEAD_BYTES_ = 16, /* of a table, before its control bytes */
	GO_MAP_SLOTS_ = 8,       /* of a group */
	GO_MAP_OWN_ = 6,         /* so many are of those who belong there, whatever is behind */
	GO_MAP_FULL_ = 2,        /* control bytes from this on: tags of eight bits of a hash */
	GO_MAP_TAG_AT_ = 32,      /* where these bits begin */
	GO_MAP_FAR_BITS_ = 16,    /* for the keys of a home that are far from it */
	GO_MAP_SHIFT_ = 63,       /* of go_map_front_.shift what to shift by */
	GO_MAP_FAR_TELLS_ = 128,  /* in it: see go_map_nowhere_ */
	GO_MAP_NEAR_BYTES_ = 128 /* keys and elements of more lie elsewhere */
};

/* The first line of a map, and a little of the second. */
struct go_map_front_ {
	size_t count;
	const void *writer; /* who changes the map now */
	char *only;         /* its table, when there is one; NULL: choose among */
	char *const *dir;   /* these, by the top bits of the hash */
	uint64_t seed;      /* of hashes, */
	uint64_t factor;    /* both random */
	uint64_t homes;     /* groups of each table that hashes name */
	uint32_t slots_at;  /* in each table */
	uint16_t slot_bytes;
	uint8_t flags;
	uint8_t shift;  /* 64 minus the bits that choose; and GO_MAP_FAR_TELLS_ */
	uint32_t epoch; /* on the second line */
	uint32_t clears;
	uint32_t groups;  /* of each table */
	uint16_t elem_at; /* in a slot */
} __attribute__((may_alias));

/* An iteration. */
struct go_map_iter_front_ {
	const void *key;
	void *elem;
	const go_map_type *type;
	const struct go_map_front_ *m;
	char *table;
	uint64_t way[3];
	uint64_t slots; /* still to look at: bit i: slot base + i */
	uint32_t base;
	uint32_t slots_at;
	uint32_t epoch;
	uint32_t clears;
	uint32_t left;
	uint32_t groups_and_flags; /* with the top bits set something is unusual */
} __attribute__((may_alias));

GO_MAP_INLINE_ uint64_t
go_map_load8_(const void *p)
{
	uint64_t w;
	memcpy(&w, p, sizeof(w));
	return w;
}

GO_MAP_INLINE_ uint64_t
go_map_load4_(const void *p)
{
	uint32_t w;
	memcpy(&w, p, sizeof(w));
	return w;
}

GO_MAP_INLINE_ uint32_t
go_map_load2_(const void *p)
{
	uint16_t w;
	memcpy(&w, p, sizeof(w));
	return w;
}

/* --- hashes ---------------------------------------------------------------------------------- */

__extension__ typedef unsigned __int128 go_map_wide_;

GO_MAP_INLINE_ uint64_t
go_map_fold_(uint64_t a, uint64_t b)
{
	go_map_wide_ p = (go_map_wide_)a * b;
	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/* One product alone leaves bits that a bit of the key changes always, or never. Of the second the
 * low bits are left so, which have little to say: the higher the better. */
GO_MAP_INLINE_ uint64_t
go_map_hash_word_(uint64_t w, uint64_t seed, uint64_t factor)
{
	return go_map_fold_(w ^ seed, factor) * seed;
}

/* Of two words that all of n bytes are in. seed stands for more of them, given first. */
GO_MAP_INLINE_ uint64_t
go_map_hash_two_(uint64_t a, uint64_t b, size_t n, uint64_t seed, uint64_t factor)
{
	return go_map_fold_(go_map_fold_(a ^ factor, b ^ seed) ^ n, factor);
}

/* 1 to 3 bytes, each of them somewhere. */
GO_MAP_INLINE_ uint64_t
go_map_load_few_(const char *p, size_t n)
{
	const uint8_t *b = (const uint8_t *)p;
	return (uint64_t)b[0] << 16 | (uint64_t)b[n >> 1] << 8 | b[n - 1];
}

/* Two words that all of up to 16 bytes are in. */
struct go_map_words_ {
	uint64_t a, b;
};

GO_MAP_INLINE_ struct go_map_words_
go_map_words_of_(const char *p, size_t n)
{
	struct go_map_words_ w = {0, 0};
	if (GO_MAP_LIKELY_(n >= 8)) {
		w.a = go_map_load8_(p);
		w.b = go_map_load8_(p + n - 8);
	} else if (n >= 4) {
		w.a = go_map_load4_(p);
		w.b = go_map_load4_(p + n - 4);
	} else if (n != 0) {
		w.a = go_map_load_few_(p, n);
	}
	return w;
}

/* --- control bytes ---------------------------------------------------------------------------- */

#define GO_MAP_ONES_ UINT64_C(0x0101010101010101)
#define GO_MAP_EIGHT_(n) (GO_MAP_ONES_ * ((n) < GO_MAP_FULL_ ? (n) + GO_MAP_FULL_ : (n)))
#define GO_MAP_TAG_(n) GO_MAP_EIGHT_(n), GO_MAP_EIGHT_(n)
#define GO_MAP_TAGS_4_(n) \
	GO_MAP_TAG_(n), GO_MAP_TAG_((n) + 1), GO_MAP_TAG_((n) + 2), GO_MAP_TAG_((n) + 3)
#define GO_MAP_TAGS_16_(n) \
	GO_MAP_TAGS_4_(n), GO_MAP_TAGS_4_((n) + 4), GO_MAP_TAGS_4_((n) + 8), \
	    GO_MAP_TAGS_4_((n) + 12)
#define GO_MAP_TAGS_64_(n)                                                    \
	GO_MAP_TAGS_16_(n), GO_MAP_TAGS_16_((n) + 16), GO_MAP_TAGS_16_((n) + 32), \
	    GO_MAP_TAGS_16_((n) + 48)

/* Each tag sixteen times: one load, or none, is faster than making so many of one. */
static const uint64_t go_map_tags_[512] __attribute__((unused, aligned(16))) = {
    GO_MAP_TAGS_64_(0), GO_MAP_TAGS_64_(64), GO_MAP_TAGS_64_(128), GO_MAP_TAGS_64_(192)};

GO_MAP_INLINE_ const char *
go_map_tag_of_(uint64_t hash)
{
	enum { BYTES_LOG = 4, LAST = 0xff0 };
	return (const char *)go_map_tags_ + (hash >> (GO_MAP_TAG_AT_ - BYTES_LOG) & LAST);
}

/* Of eight bytes, the highest bit of those that are 0: for certain of the first. */
GO_MAP_INLINE_ uint64_t
go_map_zeros_(uint64_t x)
{
	return (x - GO_MAP_ONES_) & ~x & 0x80 * GO_MAP_ONES_;
}

/* The control bytes of a group and, with SSE2, of the group behind: go_map_ctrls_, of
 * GO_MAP_GROUPS_SEEN_ groups.
 *
 * go_map_match_: the slots that have a tag, a bit for each, GO_MAP_STEP_ apart. There may be full
 * slots among them that have another.
 * go_map_empty_: those that never had an entry, whose control byte is 0; for certain the first of
 * them. Where there is one a search ends (go_map_nowhere_). Behind the control bytes of a lone
 * group there are eight that are 0.
 *
 * Who writes a control byte writes its group's eight together, and who looks before writing loads
 * each group by itself (go_map_ctrls_to_write_): a load waits long for a store that it finds only a
 * part of, and of small maps one entry after the other comes into one group. */
#ifdef __SSE2__
enum { GO_MAP_STEP_ = 1, GO_MAP_GROUPS_SEEN_ = 2 };
#define GO_MAP_OWN_BITS_ 0xffU /* those of the first group */
typedef uint32_t go_map_match_bits_;
typedef char go_map_ctrls_ __attribute__((vector_size(16)));
typedef long long go_map_halves_ __attribute__((vector_size(16)));

GO_MAP_INLINE_ go_map_ctrls_
go_map_ctrls_of_(const char *group)
{
	go_map_ctrls_ v;
	memcpy(&v, group, sizeof(v));
	return v;
}

GO_MAP_INLINE_ go_map_ctrls_
go_map_ctrls_to_write_(const char *group)
{
	go_map_halves_ v = {(long long)go_map_load8_(group), 0};
	__asm__("" : "+x"(v)); /* or a compiler makes one load of both */
	v[1] = (long long)go_map_load8_(group + GO_MAP_SLOTS_);
	return (go_map_ctrls_)v;
}

GO_MAP_INLINE_ go_map_match_bits_
go_map_equal_(go_map_ctrls_ a, go_map_halves_ b)
{
	return (uint32_t)__builtin_ia32_pmovmskb128((go_map_ctrls_)(a == (go_map_ctrls_)b));
}

GO_MAP_INLINE_ go_map_match_bits_
go_map_match_(go_map_ctrls_ ctrls, const char *tag)
{
	go_map_halves_ want;
	memcpy(&want, __builtin_assume_aligned(tag, sizeof(want)), sizeof(want));
	return go_map_equal_(ctrls, want);
}

GO_MAP_INLINE_ go_map_match_bits_
go_map_empty_(go_map_ctrls_ ctrls)
{
	go_map_halves_ none = {0};
	return go_map_equal_(ctrls, none);
}
#else
enum { GO_MAP_STEP_ = 8, GO_MAP_GROUPS_SEEN_ = 1 };
#define GO_MAP_OWN_BITS_ UINT64_MAX
typedef uint64_t go_map_match_bits_;
typedef uint64_t go_map_ctrls_;

GO_MAP_INLINE_ uint64_t
go_map_ctrls_of_(const char *group)
{
	return go_map_load8_(group);
}

GO_MAP_INLINE_ uint64_t
go_map_ctrls_to_write_(const char *group)
{
	return go_map_load8_(group);
}

GO_MAP_INLINE_ uint64_t
go_map_match_(uint64_t ctrls, const char *tag)
{
	return go_map_zeros_(ctrls ^ go_map_load8_(tag));
}

GO_MAP_INLINE_ uint64_t
go_map_empty_(uint64_t ctrls)
{
	return go_map_zeros_(ctrls);
}
#endif

/* --- looking up ------------------------------------------------------------------------------ */

/* Where elements are in slots, and how large these are: from the type, which is constant where
 * this is inlined. Of keys and elements that are near. */
GO_MAP_INLINE_ size_t
go_map_up_(size_t n, size_t align)
{
	return align > 1 ? (n + align - 1) / align * align : n;
}

GO_MAP_INLINE_ size_t
go_map_elem_at_(const go_map_type *t)
{
	return go_map_up_(t->key_bytes, t->elem_align);
}

GO_MAP_INLINE_ size_t
go_map_slot_bytes_(const go_map_type *t)
{
	size_t align = t->key_align > t->elem_align ? t->key_align : t->elem_align;
	if ((t->key_mask | t->elem_mask) != 0 && align < sizeof(void *))
		align = sizeof(void *);
	return go_map_up_(go_map_elem_at_(t) + t->elem_bytes, align);
}

/* Who changes the map: read anew each time, and before the rest. */
GO_MAP_INLINE_ const void *
go_map_writer_(const struct go_map_front_ *m)
{
	return GO_MAP_READ_(m->writer);
}

GO_MAP_INLINE_ bool
go_map_quiet_(const struct go_map_front_ *m)
{
	return GO_MAP_LIKELY_(go_map_writer_(m) == NULL);
}

/* In front of a table's slots are some bytes, those of the first home last, with a bit for each key
 * that is neither in its home nor in the group behind it. Of the hash the lowest bits choose
 * among GO_MAP_FAR_BITS_ from the home's byte on, so some of these are of other homes, too. */
GO_MAP_INLINE_ bool
go_map_far_has_(const char *table, uint64_t slots_at, uint64_t home, uint64_t hash)
{
	const char *at = table + (slots_at - home) - sizeof(uint16_t);
	return (go_map_load2_(at) >> hash % GO_MAP_FAR_BITS_ & 1) != 0;
}

/* A look-up begins. False: a mark was met that somebody had left, and the library shall look. What
 * is called for it is declared pure, too: programs keep what they have in registers. */
GO_MAP_INLINE_ bool
go_map_looking_(const struct go_map_front_ *m)
{
	const void *writer = go_map_writer_(m);
	return GO_MAP_LIKELY_(writer == NULL) ||
	       go_map_misused((const go_map *)(const void *)m, writer) != 0;
}

/* The group that a hash names. */
struct go_map_group_ {
	char *table;
	uint64_t n; /* of those of the table */
};

/* Of a map of several tables. One that grows meanwhile, which it must not, shows its directory
 * before its size. */
GO_MAP_INLINE_ char *
go_map_chosen_(const struct go_map_front_ *m, uint64_t hash)
{
	uint8_t shift = GO_MAP_READ_(m->shift);
	return GO_MAP_READ_(m->dir)[hash >> (shift & GO_MAP_SHIFT_)];
}

GO_MAP_INLINE_ struct go_map_group_
go_map_group_of_(const struct go_map_front_ *m, uint64_t hash)
{
	struct go_map_group_ g = {GO_MAP_READ_(m->only), ((hash & UINT32_MAX) * m->homes) >> 32};
	if (GO_MAP_EVEN_(g.table == NULL))
		g.table = go_map_chosen_(m, hash);
	return g;
}

GO_MAP_INLINE_ char *
go_map_ctrl_(struct go_map_group_ g)
{
	return g.table + GO_MAP_HEAD_BYTES_ + g.n * GO_MAP_SLOTS_;
}

/* Its slots, which are asked for, their first line. The control bytes need not have come for it:
 * where a processor foresees that there is a slot to look at, in a large map both come together,
 * and the rest of a search, where each instruction waits for the one before, is so much shorter.
 * Where it foresees that there is none, as in one search after the other that finds nothing, the
 * slots stay where they are. */
GO_MAP_INLINE_ char *
go_map_slots_(const struct go_map_front_ *m, struct go_map_group_ g, size_t each)
{
	char *slots = g.table + (m->slots_at + g.n * (GO_MAP_SLOTS_ * each));
	__builtin_prefetch(slots);
#ifdef __GNUC__
	__asm__("" : "+r"(slots)); /* or a compiler adds all of it in the end */
#endif
	return slots;
}

/* Whether a key that is not among those looked at is nowhere. So it is where one of these slots
 * never had an entry. Else, with both groups looked at, where there is no bit for it; in a map that
 * is fuller only this is asked, as the branch for the first could not be foretold. */
GO_MAP_INLINE_ bool
go_map_nowhere_(const struct go_map_front_ *m, struct go_map_group_ g, go_map_ctrls_ ctrls,
		uint64_t hash)
{
	if (GO_MAP_GROUPS_SEEN_ == 2 && GO_MAP_EVEN_((m->shift & GO_MAP_FAR_TELLS_) != 0))
		return GO_MAP_LIKELY_(!go_map_far_has_(g.table, m->slots_at, g.n, hash));
	return GO_MAP_LIKELY_(go_map_empty_(ctrls) != 0) ||
	       (GO_MAP_GROUPS_SEEN_ == 2 && !go_map_far_has_(g.table, m->slots_at, g.n, hash));
}

/* The number of the first bit. In C a compiler extends its int by instructions of their own. */
GO_MAP_INLINE_ uint64_t
go_map_first_bit_(go_map_match_bits_ match)
{
#if defined(__x86_64__) && defined(__SSE2__)
	uint64_t i;
	__asm__("rep bsfl %1, %k0" : "=r"(i) : "r"(match) : "cc");
	return i;
#else
	return (unsigned)__builtin_ctzll(match) / GO_MAP_STEP_;
#endif
}

/* Of the free slots of a home and the group behind it the one for a new entry: of the home
 * up to GO_MAP_OWN_, or as many as the other has. So both are seldom full: searches end here.
 * Without a branch, as none could be foretold. */
GO_MAP_INLINE_ uint64_t
go_map_choose_(go_map_match_bits_ free)
{
#ifdef __SSE2__
	enum { MOST = (1 << GO_MAP_OWN_) - 1, HOME = 0xff };
	go_map_match_bits_ home = free & HOME, crowded = (home & MOST) == 0;
	uint64_t i = go_map_first_bit_(home | (free >> GO_MAP_SLOTS_ & -crowded));
	return i + (~free >> i & 1) * GO_MAP_SLOTS_;
#else
	return go_map_first_bit_(free);
#endif
}

/* A slot for a key that the map does not have, in one of its two groups, with its tag. NULL, and
 * nothing has changed: the library shall look, as there is no empty one. In a map of one group of
 * which no entry was deleted the count is its number, which is there before the control bytes are:
 * the entry before has just been written into them. */
GO_MAP_INLINE_ char *
go_map_take_(struct go_map_front_ *m, struct go_map_group_ g, char *slots, go_map_ctrls_ ctrls,
	     const char *tag, size_t each)
{
	char *group = go_map_ctrl_(g);
	uint64_t i = m->count % GO_MAP_SLOTS_, behind = 0, ctrl = go_map_load8_(group);
	if (!GO_MAP_EVEN_(m->groups == 1) || (uint8_t)(ctrl >> i * 8) != 0) {
		go_map_match_bits_ empty = go_map_empty_(ctrls);
		if (GO_MAP_GROUPS_SEEN_ == 2 && m->groups == 1)
			empty &= GO_MAP_OWN_BITS_;
		if (!GO_MAP_LIKELY_(empty != 0))
			return NULL;
		i = go_map_choose_(empty);
		behind = i & GO_MAP_SLOTS_;
		i %= GO_MAP_SLOTS_;
		ctrl = go_map_load8_(group + behind);
	}
	ctrl |= (uint64_t)(uint8_t)*tag << i * 8;
	memcpy(group + behind, &ctrl, sizeof(ctrl));
	m->count++;
	return slots + (i + behind) * each;
}

/* The slot, of those that match, with a key of 4 or 8 bytes; NULL: none. */
GO_MAP_INLINE_ char *
go_map_slot_of_word_(char *slots, go_map_match_bits_ match, uint64_t key, size_t key_bytes,
		     size_t each)
{
	for (; GO_MAP_EVEN_(match != 0); match &= match - 1) {
		char *slot = slots + go_map_first_bit_(match) * each;
		uint64_t there = key_bytes == 4 ? go_map_load4_(slot) : go_map_load8_(slot);
		if (GO_MAP_LIKELY_(there == key))
			return slot;
	}
	return NULL;
}

/* False: it is not known here, the library shall look. */
GO_MAP_INLINE_ bool
go_map_find_word_(const struct go_map_front_ *m, uint64_t key, size_t key_bytes, size_t each,
		  size_t elem_at, void **elem)
{
	uint64_t hash = go_map_hash_word_(key, m->seed, m->factor);
	struct go_map_group_ g = go_map_group_of_(m, hash);
	go_map_ctrls_ ctrls = go_map_ctrls_of_(go_map_ctrl_(g));
	go_map_match_bits_ match = go_map_match_(ctrls, go_map_tag_of_(hash));
	char *slot = NULL;
	if (GO_MAP_EVEN_(match != 0))
		slot = go_map_slot_of_word_(go_map_slots_(m, g, each), match, key, key_bytes, each);
	*elem = slot != NULL ? slot + elem_at : NULL;
	return slot != NULL || go_map_nowhere_(m, g, ctrls, hash);
}

GO_MAP_INLINE_ void *
go_map_front_get_32_(const go_map_type *t, const go_map *map, uint32_t key)
{
	const struct go_map_front_ *m = (const struct go_map_front_ *)(const void *)map;
	void *elem;
	if (!GO_MAP_LIKELY_(m != NULL))
		return NULL;
	if (GO_MAP_LIKELY_(go_map_looking_(m)) &&
	    GO_MAP_LIKELY_(go_map_find_word_(m, key, sizeof(key), go_map_slot_bytes_(t),
					     go_map_elem_at_(t), &elem)))
		return elem;
	return go_map_raw_get_32(map, key);
}

GO_MAP_INLINE_ void *
go_map_front_get_64_(const go_map_type *t, const go_map *map, uint64_t key)
{
	const struct go_map_front_ *m = (const struct go_map_front_ *)(const void *)map;
	void *elem;
	if (!GO_MAP_LIKELY_(m != NULL))
		return NULL;
	if (GO_MAP_LIKELY_(go_map_looking_(m)) &&
	    GO_MAP_LIKELY_(go_map_find_word_(m, key, sizeof(key), go_map_slot_bytes_(t),
					     go_map_elem_at_(t), &elem)))
		return elem;
	return go_map_raw_get_64(map, key);
}

/* Both of n bytes, at most 16; w is of p. */
GO_MAP_INLINE_ bool
go_map_short_equal_(struct go_map_words_ w, const char *p, const char *q, size_t n)
{
	struct go_map_words_ v;
	if (p == q)
		return true;
	v = go_map_words_of_(q, n);
	return ((v.a ^ w.a) | (v.b ^ w.b)) == 0;
}

/* The slot, of those that match, with a text of at most 16 bytes, which are in w; NULL: none. */
GO_MAP_INLINE_ char *
go_map_slot_of_short_(char *slots, go_map_match_bits_ match, struct go_map_words_ w, const char *p,
		      size_t n, size_t each)
{
	for (; GO_MAP_EVEN_(match != 0); match &= match - 1) {
		char *slot = slots + go_map_first_bit_(match) * each;
		go_bytes s;
		memcpy(&s, slot, sizeof(s));
		if (GO_MAP_LIKELY_(s.n == n) &&
		    GO_MAP_LIKELY_(go_map_short_equal_(w, p, (const char *)s.p, n)))
			return slot;
	}
	return NULL;
}

/* False: it is not known here. */
GO_MAP_INLINE_ bool
go_map_find_short_(const struct go_map_front_ *m, const char *p, size_t n, size_t each,
		   size_t elem_at, void **elem)
{
	struct go_map_words_ w = go_map_words_of_(p, n);
	uint64_t hash = go_map_hash_two_(w.a, w.b, n, m->seed, m->factor);
	struct go_map_group_ g = go_map_group_of_(m, hash);
	go_map_ctrls_ ctrls = go_map_ctrls_of_(go_map_ctrl_(g));
	go_map_match_bits_ match = go_map_match_(ctrls, go_map_tag_of_(hash));
	char *slot = NULL;
	if (GO_MAP_EVEN_(match != 0))
		slot = go_map_slot_of_short_(go_map_slots_(m, g, each), match, w, p, n, each);
	*elem = slot != NULL ? slot + elem_at : NULL;
	return slot != NULL || go_map_nowhere_(m, g, ctrls, hash);
}

GO_MAP_INLINE_ void *
go_map_front_get_string_(const go_map_type *t, const go_map *map, const char *p, size_t n)
{
	const struct go_map_front_ *m = (const struct go_map_front_ *)(const void *)map;
	void *elem;
	if (!GO_MAP_LIKELY_(m != NULL))
		return NULL;
	if (GO_MAP_LIKELY_(go_map_looking_(m)) && GO_MAP_LIKELY_(n <= 16) &&
	    GO_MAP_LIKELY_(go_map_find_short_(m, p, n, go_map_slot_bytes_(t), go_map_elem_at_(t),
					      &elem)))
		return elem;
	return go_map_raw_get_string(map, p, n);
}

/* --- iterating ------------------------------------------------------------------------------- */

/* The next entry of the groups at hand, as long as the map is what it was and has that entry. */
GO_MAP_INLINE_ void
go_map_front_next_(const go_map_type *t, go_map_iter *iter)
{
	struct go_map_iter_front_ *it = (struct go_map_iter_front_ *)(void *)iter;
	bool near = t->key_bytes <= GO_MAP_NEAR_BYTES_ && t->elem_bytes <= GO_MAP_NEAR_BYTES_;
	if (!GO_MAP_NO_FRONT_ && near &&
	    GO_MAP_LIKELY_(it->slots != 0) && GO_MAP_LIKELY_(it->groups_and_flags >> 30 == 0) &&
	    GO_MAP_LIKELY_(it->epoch == it->m->epoch) && go_map_quiet_(it->m)) {
		size_t n = it->base + (size_t)__builtin_ctzll(it->slots);
		it->slots &= it->slots - 1;
		if (GO_MAP_LIKELY_((uint8_t)it->table[GO_MAP_HEAD_BYTES_ + n] >= GO_MAP_FULL_)) {
			char *slot = it->table + it->slots_at + n * go_map_slot_bytes_(t);
			it->key = slot;
			it->elem = slot + go_map_elem_at_(t);
			return;
		}
	}
	go_map_raw_next(iter);
}

#endif
