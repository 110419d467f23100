/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/map_msan.h - maps in programs under clang's MemorySanitizer. map.h includes it,
 * before map_front.h, which leaves everything to the library then.
 *
 * The library is not instrumented. What a program gives it as a key is looked at here, and a key
 * with bytes that were never set, as the padding of a structure, is reported where it is given.
 * Keys with functions are left to these. What the library writes into an iterator counts as set.
 */
#include "map.h" /* which includes this where it is wanted: so the guard comes after */

#ifndef UNDERGO_MAP_MSAN_H
#define UNDERGO_MAP_MSAN_H

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>

#define GO_MAP_MSAN_ 1

static inline const void *
go_map_msan_key_(const go_map_type *t, const void *key)
{
	const go_bytes *s = (const go_bytes *)key;
	size_t n = t->key_bytes;
	if (t->key_kind == GO_MAP_KEY_CALLS)
		return key;
	if (t->key_kind == GO_MAP_KEY_LONG_DOUBLE && __LDBL_MANT_DIG__ == 64)
		n = 10;
	__msan_check_mem_is_initialized(key, n);
	if (t->key_kind == GO_MAP_KEY_STRING)
		__msan_check_mem_is_initialized(s->p, s->n);
	return key;
}

static inline void
go_map_msan_begin_(const go_map_type *t, go_map *m, go_map_iter *it)
{
	go_map_raw_begin(t, m, it);
	__msan_unpoison(it, sizeof(*it));
}

static inline void
go_map_msan_next_(go_map_iter *it)
{
	go_map_raw_next(it);
	__msan_unpoison(it, sizeof(*it));
}

static inline uint32_t
go_map_msan_32_(uint32_t key)
{
	__msan_check_mem_is_initialized(&key, sizeof(key));
	return key;
}

static inline uint64_t
go_map_msan_64_(uint64_t key)
{
	__msan_check_mem_is_initialized(&key, sizeof(key));
	return key;
}

static inline const void *
go_map_msan_text_(const void *p, size_t n)
{
	__msan_check_mem_is_initialized(p, n);
	return p;
}

/* Keys are looked at in memory: of what a compiler keeps in registers it forgets padding. */
static inline const void *
go_map_msan_seen_(const void *key)
{
	__asm__ volatile("" : "+r"(key) : : "memory");
	return key;
}

#define GO_MAP_SEEN_(key) go_map_msan_seen_(key)
#define go_map_raw_get(t, m, key) go_map_raw_get(t, m, go_map_msan_key_(t, key))
#define go_map_raw_get_32(m, key) go_map_raw_get_32(m, go_map_msan_32_(key))
#define go_map_raw_get_64(m, key) go_map_raw_get_64(m, go_map_msan_64_(key))
#define go_map_raw_get_string(m, p, n) go_map_raw_get_string(m, go_map_msan_text_(p, n), n)
#define go_map_raw_assign(t, m, key) go_map_raw_assign(t, m, go_map_msan_key_(t, key))
#define go_map_raw_assign_32(t, m, key) go_map_raw_assign_32(t, m, go_map_msan_32_(key))
#define go_map_raw_assign_64(t, m, key) go_map_raw_assign_64(t, m, go_map_msan_64_(key))
#define go_map_raw_assign_string(t, m, p, n) \
	go_map_raw_assign_string(t, m, go_map_msan_text_(p, n), n)
#define go_map_raw_delete(t, m, key) go_map_raw_delete(t, m, go_map_msan_key_(t, key))
#define go_map_raw_delete_32(t, m, key) go_map_raw_delete_32(t, m, go_map_msan_32_(key))
#define go_map_raw_delete_64(t, m, key) go_map_raw_delete_64(t, m, go_map_msan_64_(key))
#define go_map_raw_delete_string(t, m, p, n) \
	go_map_raw_delete_string(t, m, go_map_msan_text_(p, n), n)
#define go_map_raw_begin(t, m, it) go_map_msan_begin_(t, m, it)
#define go_map_raw_next(it) go_map_msan_next_(it)

#endif
#endif
#ifndef GO_MAP_SEEN_
#define GO_MAP_SEEN_(key) (key)
#endif
#endif
