/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/map.h - Go's maps: from keys of one type to elements of another.
 *
 *   typedef GO_MAP(const char *, int) ages;
 *
 *   ages a;
 *   go_map_init(a, 0);
 *   go_map_put(a, "Ada", 36);
 *   *go_map_at(a, "Bob") += 1;               // there from now on, it was 0
 *   int n = go_map_get(a, "Eve");            // 0: no such key
 *   go_map_each (a, it)
 *           printf("%s: %d\n", *it.key, *it.elem);
 *
 * A map is a pointer to managed memory (heap.h): it is copied by assignment, then both are the same
 * map, and freed when nothing points to it any more. So are its entries, and what these point to.
 *
 * Keys may be of any type. `const char *` and `char *` are compared as texts, go_bytes as what they
 * point to, floating point as numbers, all others by their bytes: structures must have no
 * padding. What a text or a go_bytes points to stays the program's; it must not change while the
 * map has the key, and when it is managed memory the map keeps it alive. Keys that are compared by
 * functions of the program need a go_map_type, see below.
 *
 * An int 5 and a long 5 are the same key only if the map says so: keys are converted to the map's
 * key type first, as if assigned.
 *
 * A map may be read by any number of goroutines and threads at a time, or changed by one, and
 * nothing else at the same time. Programs that break this rule often die of it:
 * Fatal:     "concurrent map writes", "concurrent map read and map write", "concurrent map
 *            iteration and map write", "concurrent map clone and map write". With
 *            GODEBUG=mapcheck=1 they do for certain.
 * A pointer to an element is good until the map is changed by anything but that pointer.
 */
#ifndef UNDERGO_MAP_H
#define UNDERGO_MAP_H

#include <string.h>

#include "heap.h"

typedef struct go_map go_map;
typedef struct go_map_type go_map_type;

/* Bytes somewhere, as a key by their contents. */
typedef struct go_bytes {
	const void *p;
	size_t n;
} go_bytes;

/* Where an iteration is; on no entry, and over, when key is NULL. */
typedef struct go_map_iter {
	const void *key;
	void *elem;
	uint64_t opaque[10];
} go_map_iter;

/* --- maps of two types ----------------------------------------------------------------------- */

/* GO_MAP - the type of maps from K to V. Two uses make two types, so give it a name. For C; in C++
 * use what is below. All zero it is a map that is always empty, as Go's nil map. */
#define GO_MAP(K, V)                            \
	union {                                 \
		go_map *map;                    \
		const __typeof__(K) *key_type_; \
		__typeof__(V) *elem_type_;      \
	}

/* go_map_init - make m a new map with room for n entries. 0, or GO_ENOMEM: m is nil. */
#define go_map_init(m, n) \
	(((m).map = go_map_raw_new(GO_MAP_TYPE_OF(m), (n))) != NULL ? 0 : GO_ENOMEM)

/* go_map_find - a pointer to the element of a key; NULL when the map has no such key. */
#define go_map_find(m, k) ((__typeof__((m).elem_type_))GO_MAP_CALL_(go_map_find_, m, k))

/* go_map_has - whether the map has the key. */
#define go_map_has(m, k) (go_map_find(m, k) != NULL)

/* go_map_get - the element of a key; all zero when the map has no such key. */
#define go_map_get(m, k)                                             \
	__extension__({                                              \
		__typeof__(*(m).elem_type_) go_elem_, *go_at_;       \
		memset(&go_elem_, 0, sizeof(go_elem_));              \
		go_at_ = go_map_find(m, k);                          \
		if (go_at_ != NULL)                                  \
			memcpy(&go_elem_, go_at_, sizeof(go_elem_)); \
		go_elem_;                                            \
	})

/* go_map_at - a pointer to the element of a key, which is made, all zero, when there is none.
 *
 * A text or go_bytes that is there already stays the map's, not the one given.
 * Panics:    "assignment to entry in nil map". Without memory as go_alloc. */
#define go_map_at(m, k) ((__typeof__((m).elem_type_))GO_MAP_CALL_(go_map_at_, m, k))

/* go_map_try_at - the same; NULL without memory, and nothing has changed. */
#define go_map_try_at(m, k) ((__typeof__((m).elem_type_))GO_MAP_CALL_(go_map_try_at_, m, k))

/* go_map_put - let v be the element of a key. As go_map_at. What v does to the map comes first. */
#define go_map_put(m, k, v)                                             \
	__extension__({                                                 \
		__typeof__(*(m).key_type_) go_put_key_ = (k);           \
		__typeof__(*(m).elem_type_) go_put_elem_ = (v);         \
		(void)(*go_map_at(m, go_put_key_) = go_put_elem_);      \
	})

/* go_map_del - remove a key. Whether it was there. */
#define go_map_del(m, k) GO_MAP_CALL_(go_map_del_, m, k)

/* go_map_len - how many entries there are. */
#define go_map_len(m) go_map_raw_len((m).map)

/* go_map_clear - remove all. Time in proportion to what there is. */
#define go_map_clear(m) go_map_raw_clear(GO_MAP_TYPE_OF(m), (m).map)

/* go_map_copy - make m a new map with the entries of another of its type. 0, or GO_ENOMEM: m is
 * nil, as it is when the other is. */
#define go_map_copy(m, other)                                                    \
	(((m).map = go_map_raw_clone(GO_MAP_TYPE_OF(m), (other).map)) != NULL || \
		 (other).map == NULL                                             \
	     ? 0                                                                 \
	     : GO_ENOMEM)

/* go_map_each - do what follows for each entry, *it.key and *it.elem. Entries come in a random
 * order, no entry twice. The map may be changed meanwhile: what is deleted before it was met is not
 * met; what is added may be or not. When the entry at hand was deleted both pointers are good until
 * the next one, but what they point to is not. */
#define go_map_each(m, it)                                       \
	for (union {                                             \
		     go_map_iter raw;                            \
		     struct {                                    \
			     __typeof__((m).key_type_) key;      \
			     __typeof__((m).elem_type_) elem;    \
		     };                                          \
	     } it = {go_map_begin_(GO_MAP_TYPE_OF(m), (m).map)}; \
	     it.raw.key != NULL; go_map_front_next_(GO_MAP_TYPE_OF(m), &it.raw))

/* --- types of maps --------------------------------------------------------------------------- */

/* How keys are compared and hashed. */
typedef enum go_map_key {
	GO_MAP_KEY_BYTES,  /* by all their bytes */
	GO_MAP_KEY_32,     /* the same, of 4 bytes */
	GO_MAP_KEY_64,     /* the same, of 8 bytes */
	GO_MAP_KEY_STRING, /* a go_bytes, by what it points to */
	GO_MAP_KEY_FLOAT,  /* a float: 0 and -0 are equal, a NaN equals nothing, not even itself */
	GO_MAP_KEY_DOUBLE, /* a double, the same */
	GO_MAP_KEY_LONG_DOUBLE, /* a long double, the same */
	GO_MAP_KEY_CALLS   /* by the functions hash and equal */
} go_map_key;

/* Flags of a type. */
enum {
	GO_MAP_KEY_RENEWED =
	    1, /* what is assigned to an entry that is there replaces its key, too */
	GO_MAP_KEY_UNEQUAL = 2, /* a key may be unequal to itself */
	GO_MAP_HASH_PANICS = 4, /* hash is called even where the map is empty, as it may panic */
	GO_MAP_ELEMS_HELD =
	    8 /* who has found an element may read it until the entry goes, whatever comes */
};

/* What a map is told of its keys and elements, with each call, and the same each time. Constant
 * while maps of it live. hash and equal may block, and may leave by go_exit or a panic: then the
 * map is as it was. Equal keys have equal hashes; how good they are besides is of little matter
 * but speed. They may use the map, too, if they do not change it: a change is fatal, as one by
 * another goroutine.
 *
 *   static const go_map_type point_to_name = {
 *           .key_bytes = sizeof(struct point), .key_align = _Alignof(struct point),
 *           .elem_bytes = sizeof(char *), .elem_align = _Alignof(char *), .elem_mask = 1,
 *           .key_kind = GO_MAP_KEY_CALLS, .hash = point_hash, .equal = point_equal,
 *   };
 */
struct go_map_type {
	uint32_t key_bytes;
	uint32_t elem_bytes;
	uint8_t key_align; /* at most 16, as that of elements */
	uint8_t elem_align;
	uint8_t key_kind;   /* a go_map_key */
	uint8_t flags;      /* GO_MAP_KEY_RENEWED and so on */
	uint16_t key_mask;  /* bit i: word i of a key may be a pointer; when it has more than 128 */
	uint16_t elem_mask; /* bytes: 0: there are none. The same of elements */
	const go_type *key_type;  /* of keys of more than 128 bytes that have pointers; NULL: */
	const go_type *elem_type; /* each word may be one. The same of elements */
	uint64_t (*hash)(const void *key, uint64_t seed, const go_map_type *t);
	bool (*equal)(const void *a, const void *b, const go_map_type *t);
};

/* GO_MAP_TYPE_OF - a pointer to the go_map_type of a map made with GO_MAP. */
#define GO_MAP_TYPE_OF(m)                                           \
	__extension__({                                             \
		_Static_assert(__alignof__(*(m).key_type_) <= 16 &&         \
				   __alignof__(*(m).elem_type_) <= 16,      \
			       "keys and elements of maps are aligned to 16 at most"); \
		_Static_assert(GO_MAP_KEY_FITS_(*(m).key_type_),            \
			       "complex keys of maps need a go_map_type with functions"); \
		static const go_map_type go_map_type_ = {           \
		    .key_bytes = GO_MAP_KEY_BYTES_(*(m).key_type_), \
		    .elem_bytes = sizeof(*(m).elem_type_),          \
		    .key_align = __alignof__(*(m).key_type_),       \
		    .elem_align = __alignof__(*(m).elem_type_),     \
		    .key_kind = GO_MAP_KIND_(*(m).key_type_),       \
		    .flags = GO_MAP_FLAGS_(*(m).key_type_),         \
		    .key_mask = GO_MAP_KEY_MASK_(*(m).key_type_),   \
		    .elem_mask = GO_MAP_MASK_(*(m).elem_type_),     \
		};                                                  \
		&go_map_type_;                                      \
	})

/* --- maps of any type ------------------------------------------------------------------------ */

/* go_map_raw_new - an empty map with room for n entries; NULL without memory.
 *
 * Blocks:    this goroutine, while a collection runs.
 * Call from: a goroutine or a thread.
 */
GO_API go_map *go_map_raw_new(const go_map_type *t, size_t n);

/* go_map_raw_len - how many entries there are; 0 when m is NULL.
 *
 * Blocks:    no.
 * Call from: anywhere.
 */
GO_API size_t go_map_raw_len(const go_map *m);

/* go_map_raw_get, go_map_raw_get_32, go_map_raw_get_64, go_map_raw_get_string - the element of a
 * key; NULL when there is none, or m is NULL.
 *
 * go_map_raw_get_32 and _64 are for keys of GO_MAP_KEY_32 and GO_MAP_KEY_64, and _string for
 * GO_MAP_KEY_STRING; all three, here and below, for elements of at most 128 bytes.
 * Fatal:     see above.
 * Blocks:    no, but for what hash and equal do.
 * Call from: a goroutine or a thread.
 */
GO_API void *go_map_raw_get(const go_map_type *t, const go_map *m, const void *key);
GO_API void *go_map_raw_get_32(const go_map *m, uint32_t key) __attribute__((pure));
GO_API void *go_map_raw_get_64(const go_map *m, uint64_t key) __attribute__((pure));
GO_API void *go_map_raw_get_string(const go_map *m, const void *p, size_t n)
    __attribute__((pure));

/* go_map_raw_assign, go_map_raw_assign_32, go_map_raw_assign_64, go_map_raw_assign_string - the
 * element of a key, which is made, all zero, when there is none.
 *
 * NULL without memory, and nothing has changed.
 * Panics:    "assignment to entry in nil map": m is NULL.
 * Fatal:     see above.
 * Blocks:    this goroutine, while a collection runs; what hash and equal do.
 * Call from: a goroutine or a thread.
 */
GO_API void *go_map_raw_assign(const go_map_type *t, go_map *m, const void *key);
GO_API void *go_map_raw_assign_32(const go_map_type *t, go_map *m, uint32_t key);
GO_API void *go_map_raw_assign_64(const go_map_type *t, go_map *m, uint64_t key);
GO_API void *go_map_raw_assign_string(const go_map_type *t, go_map *m, const void *p, size_t n);

/* go_map_raw_delete, go_map_raw_delete_32, go_map_raw_delete_64, go_map_raw_delete_string - remove
 * a key. Whether it was there; m may be NULL.
 *
 * Fatal:     see above.
 * Blocks:    this goroutine, while a collection runs; what hash and equal do.
 * Call from: a goroutine or a thread.
 */
GO_API bool go_map_raw_delete(const go_map_type *t, go_map *m, const void *key);
GO_API bool go_map_raw_delete_32(const go_map_type *t, go_map *m, uint32_t key);
GO_API bool go_map_raw_delete_64(const go_map_type *t, go_map *m, uint64_t key);
GO_API bool go_map_raw_delete_string(const go_map_type *t, go_map *m, const void *p, size_t n);

/* go_map_raw_clear - remove all. m may be NULL. An iteration that goes on ends.
 *
 * Fatal:     see above.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_map_raw_clear(const go_map_type *t, go_map *m);

/* go_map_raw_clone - a new map with the same entries; NULL without memory, and when m is NULL.
 *
 * Fatal:     see above.
 * Blocks:    this goroutine, while a collection runs.
 * Call from: a goroutine or a thread.
 */
GO_API go_map *go_map_raw_clone(const go_map_type *t, const go_map *m);

/* go_map_raw_begin - put an iterator on the first entry, in a random order. m may be NULL.
 *
 * *it need not be initialised. It lies where the collector looks: on a stack, in managed memory.
 * Fatal:     see above.
 * Blocks:    no, but for what hash and equal do.
 * Call from: a goroutine or a thread.
 */
GO_API void go_map_raw_begin(const go_map_type *t, go_map *m, go_map_iter *it);

/* go_map_raw_next - put an iterator on the next entry; its key is NULL when there is none.
 *
 * Fatal:     see above.
 * Blocks:    no, but for what hash and equal do.
 * Call from: a goroutine or a thread.
 */
GO_API void go_map_raw_next(go_map_iter *it);

/* go_map_unhashable - what a hash function calls for a key that has none.
 *
 * Go's interfaces are such keys: a map takes those whose value is of a type that can be compared.
 * In C it is a structure that says which type the value has; the hash function looks, and calls
 * this for types that are no keys. With GO_MAP_HASH_PANICS in its flags the map asks for the hash
 * where it need not, too, so that looking up and deleting such a key panics in an empty map, and
 * in a nil one. The map is as it was. type may be NULL.
 * Panics:    "runtime error: hash of unhashable type " and the type's name. In assigning to a nil
 *            map that panic comes first.
 * Call from: a hash function.
 */
GO_API void go_map_unhashable(const go_type *type) __attribute__((noreturn));

/* go_map_no_memory - die as go_alloc does. What go_map_at calls.
 *
 * Fatal:     "out of memory".
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_map_no_memory(void) __attribute__((noreturn));

/* go_map_misused - die of a map that is looked into while it is changed. What look-ups call that
 * find it so. 0: it is not changed any more, as a fault that became a panic has ended that.
 *
 * writer: who was found to change it.
 *
 * Fatal:     "concurrent map read and map write".
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_map_misused(const go_map *m, const void *writer) __attribute__((cold, pure));

#include "map_msan.h"

/* --- what the macros above are made of ------------------------------------------------------- */

#define GO_MAP_KIND_(k) \
	_Generic((k), char *: GO_MAP_KEY_STRING, const char *: GO_MAP_KEY_STRING, \
		 go_bytes: GO_MAP_KEY_STRING, float: GO_MAP_KEY_FLOAT,            \
		 double: GO_MAP_KEY_DOUBLE,                                       \
		 long double: GO_MAP_KEY_LONG_DOUBLE,                             \
		 default: sizeof(k) == 4 ? GO_MAP_KEY_32                          \
			  : sizeof(k) == 8 ? GO_MAP_KEY_64                        \
					   : GO_MAP_KEY_BYTES)
/* 0 and -0 are one key, and the one that came last is kept, as in Go. */
#define GO_MAP_FLAGS_(k) \
	_Generic((k), float: GO_MAP_KEY_UNEQUAL | GO_MAP_KEY_RENEWED,       \
		 double: GO_MAP_KEY_UNEQUAL | GO_MAP_KEY_RENEWED,           \
		 long double: GO_MAP_KEY_UNEQUAL | GO_MAP_KEY_RENEWED,      \
		 default: 0)
#define GO_MAP_KEY_FITS_(k) \
	_Generic((k), float _Complex: 0, double _Complex: 0, long double _Complex: 0, default: 1)
/* A text is kept as a go_bytes, whose first word it is. */
#define GO_MAP_KEY_BYTES_(k) \
	_Generic((k), char *: sizeof(go_bytes), const char *: sizeof(go_bytes), \
		 default: sizeof(k))
#define GO_MAP_KEY_MASK_(k) \
	_Generic((k), char * : 1, const char * : 1, go_bytes : 1, default : GO_MAP_MASK_(k))
#define GO_MAP_WORDS_(x)                           \
	(sizeof(x) / sizeof(void *) >= 16 ? 0xffff \
					  : (uint16_t)((1 << sizeof(x) / sizeof(void *)) - 1))
#define GO_MAP_MASK_(x)                                                                         \
	_Generic((x), bool : 0, char : 0, signed char : 0, unsigned char : 0, short : 0,        \
		 unsigned short : 0, int : 0, unsigned : 0, long : 0, unsigned long : 0,        \
		 long long : 0, unsigned long long : 0, float : 0, double : 0, long double : 0, \
		 default                                                                        \
		 : GO_MAP_WORDS_(x))

/* Calls f with the map's type, the map, and a pointer to the key as the map wants it. */
#define GO_MAP_CALL_(f, m, k)                                                             \
	__extension__({                                                                   \
		__typeof__(*(m).key_type_) go_key_ = (k);                                 \
		go_bytes go_text_;                                                        \
		f(GO_MAP_TYPE_OF(m), (m).map,                                           \
		  _Generic(go_key_, char *: go_map_text_, const char *: go_map_text_, \
			   default: go_map_same_)(&go_key_, &go_text_)); \
	})

static inline const void *
go_map_text_(const void *key, go_bytes *text)
{
	text->p = *(const char *const *)key;
	text->n = strlen((const char *)text->p);
	return text;
}

static inline const void *
go_map_same_(const void *key, go_bytes *unused)
{
	(void)unused;
	return GO_MAP_SEEN_(key);
}

static inline uint32_t
go_map_word32_(const void *key)
{
	uint32_t w;
	memcpy(&w, key, sizeof(w));
	return w;
}

static inline uint64_t
go_map_word64_(const void *key)
{
	uint64_t w;
	memcpy(&w, key, sizeof(w));
	return w;
}

/* 128 bytes of elements at most: the fast ways. t is constant where these are inlined. */
static inline bool
go_map_fast_(const go_map_type *t, go_map_key kind)
{
	return t->key_kind == kind && t->elem_bytes <= 128;
}

#include "map_front.h"

static inline void *
go_map_library_find_(const go_map_type *t, const go_map *m, const void *key)
{
	const go_bytes *s = (const go_bytes *)key;
	if (go_map_fast_(t, GO_MAP_KEY_64))
		return go_map_raw_get_64(m, go_map_word64_(key));
	if (go_map_fast_(t, GO_MAP_KEY_32))
		return go_map_raw_get_32(m, go_map_word32_(key));
	if (go_map_fast_(t, GO_MAP_KEY_STRING))
		return go_map_raw_get_string(m, s->p, s->n);
	return go_map_raw_get(t, m, key);
}

GO_MAP_INLINE_ void *
go_map_find_(const go_map_type *t, const go_map *m, const void *key)
{
	const go_bytes *s = (const go_bytes *)key;
	if (GO_MAP_NO_FRONT_)
		return go_map_library_find_(t, m, key);
	if (go_map_fast_(t, GO_MAP_KEY_64))
		return go_map_front_get_64_(t, m, go_map_word64_(key));
	if (go_map_fast_(t, GO_MAP_KEY_32))
		return go_map_front_get_32_(t, m, go_map_word32_(key));
	if (go_map_fast_(t, GO_MAP_KEY_STRING))
		return go_map_front_get_string_(t, m, (const char *)s->p, s->n);
	return go_map_raw_get(t, m, key);
}

static inline void *
go_map_try_at_(const go_map_type *t, go_map *m, const void *key)
{
	const go_bytes *s = (const go_bytes *)key;
	if (go_map_fast_(t, GO_MAP_KEY_64))
		return go_map_raw_assign_64(t, m, go_map_word64_(key));
	if (go_map_fast_(t, GO_MAP_KEY_32))
		return go_map_raw_assign_32(t, m, go_map_word32_(key));
	if (go_map_fast_(t, GO_MAP_KEY_STRING))
		return go_map_raw_assign_string(t, m, s->p, s->n);
	return go_map_raw_assign(t, m, key);
}

static inline void *
go_map_at_(const go_map_type *t, go_map *m, const void *key)
{
	void *elem = go_map_try_at_(t, m, key);
	if (__builtin_expect(elem == NULL, 0))
		go_map_no_memory();
	return elem;
}

static inline bool
go_map_del_(const go_map_type *t, go_map *m, const void *key)
{
	const go_bytes *s = (const go_bytes *)key;
	if (go_map_fast_(t, GO_MAP_KEY_64))
		return go_map_raw_delete_64(t, m, go_map_word64_(key));
	if (go_map_fast_(t, GO_MAP_KEY_32))
		return go_map_raw_delete_32(t, m, go_map_word32_(key));
	if (go_map_fast_(t, GO_MAP_KEY_STRING))
		return go_map_raw_delete_string(t, m, s->p, s->n);
	return go_map_raw_delete(t, m, key);
}

static inline go_map_iter
go_map_begin_(const go_map_type *t, go_map *m)
{
	go_map_iter it;
	go_map_raw_begin(t, m, &it);
	return it;
}

#endif
