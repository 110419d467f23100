// SPDX-License-Identifier: BSD-3-Clause
// Maps, as compiled code and package reflect call them. The map itself is the core's: map/map.h.
//
// An element is not NULL for compiled code: where a key is absent it reads zeroes.
#include "map/misuse.h"

#include "gccgo/gccgo.h"

enum { ZERO_BYTES = 1024 }; // larger elements come with zeroes of their own

static const char zeroes[ZERO_BYTES] __attribute__((aligned(16)));
GOREST("runtime.map_zeroes", "zeroes");

static inline void *
or_zero(void *elem)
{
	return elem != NULL ? elem : (void *)(uintptr_t)zeroes;
}

static inline Found
found(void *elem)
{
	return (Found){or_zero(elem), elem != NULL};
}

// A new entry's element; without memory the process dies.
static inline void *
must(void *elem)
{
	if (unlikely(elem == NULL))
		gc_no_memory_for("a map");
	return elem;
}

static inline void
writable(const Map *m)
{
	if (unlikely(m == NULL))
		panic_plain("assignment to entry in nil map");
}

// --- making --------------------------------------------------------------------------------------

GOFUNC("runtime.makemap", Map *, rt_makemap, (const MapGoType *t, Int hint, void *unused))
{
	(void)unused;
	return must(map_new(type_map(t), hint > 0 ? (size_t)hint : 0));
}
GOALIAS("runtime.makemap64", "runtime.makemap");

GOFUNC("reflect.makemap", Map *, rt_reflect_makemap, (const MapGoType *t, Int hint))
{
	return rt_makemap(t, hint, NULL);
}

GOFUNC("runtime.makemap__small", Map *, rt_makemap_small, (void))
{
	return must(map_new(NULL, 0));
}

GOFUNC("__go_construct_map", Map *, rt_construct_map,
       (const MapGoType *t, uintptr_t n, uintptr_t entry_bytes, uintptr_t elem_at,
	const char *entries))
{
	const MapType *mt = type_map(t);
	Map *m = must(map_new(mt, n));
	for (uintptr_t i = 0; i < n; i++, entries += entry_bytes)
		memmove(must(map_assign(mt, m, entries)), entries + elem_at, mt->elem_bytes);
	return m;
}

// --- looking up ----------------------------------------------------------------------------------

GOFUNC("runtime.mapaccess1", void *, rt_mapaccess1, (const MapGoType *t, Map *m, const void *key))
{
	return or_zero(map_get(type_map(t), m, key));
}

GOFUNC("runtime.mapaccess2", Found, rt_mapaccess2, (const MapGoType *t, Map *m, const void *key))
{
	return found(map_get(type_map(t), m, key));
}

GOFUNC("runtime.mapaccess1__fat", void *, rt_mapaccess1_fat,
       (const MapGoType *t, Map *m, const void *key, void *zero))
{
	void *elem = map_get(type_map(t), m, key);
	return elem != NULL ? elem : zero;
}

GOFUNC("runtime.mapaccess2__fat", Found, rt_mapaccess2_fat,
       (const MapGoType *t, Map *m, const void *key, void *zero))
{
	void *elem = map_get(type_map(t), m, key);
	return (Found){elem != NULL ? elem : zero, elem != NULL};
}

GOFUNC("runtime.mapaccess1__fast32", void *, rt_mapaccess1_32,
       (const MapGoType *t, Map *m, uint32_t key))
{
	(void)t;
	return or_zero(map_get_32(m, key));
}
GOREST("runtime.mapaccess1__fast32", "runtime.mapaccess1__fast32");

GOFUNC("runtime.mapaccess2__fast32", Found, rt_mapaccess2_32,
       (const MapGoType *t, Map *m, uint32_t key))
{
	(void)t;
	return found(map_get_32(m, key));
}
GOREST("runtime.mapaccess2__fast32", "runtime.mapaccess2__fast32");

GOFUNC("runtime.mapaccess1__fast64", void *, rt_mapaccess1_64,
       (const MapGoType *t, Map *m, uint64_t key))
{
	(void)t;
	return or_zero(map_get_64(m, key));
}
GOREST("runtime.mapaccess1__fast64", "runtime.mapaccess1__fast64");

GOFUNC("runtime.mapaccess2__fast64", Found, rt_mapaccess2_64,
       (const MapGoType *t, Map *m, uint64_t key))
{
	(void)t;
	return found(map_get_64(m, key));
}
GOREST("runtime.mapaccess2__fast64", "runtime.mapaccess2__fast64");

GOFUNC("runtime.mapaccess1__faststr", void *, rt_mapaccess1_str,
       (const MapGoType *t, Map *m, String key))
{
	(void)t;
	return or_zero(map_get_string(m, key.p, (size_t)key.n));
}
GOREST("runtime.mapaccess1__faststr", "runtime.mapaccess1__faststr");

GOFUNC("runtime.mapaccess2__faststr", Found, rt_mapaccess2_str,
       (const MapGoType *t, Map *m, String key))
{
	(void)t;
	return found(map_get_string(m, key.p, (size_t)key.n));
}
GOREST("runtime.mapaccess2__faststr", "runtime.mapaccess2__faststr");

GOFUNC("reflect.mapaccess", void *, rt_reflect_mapaccess,
       (const MapGoType *t, Map *m, const void *key))
{
	return map_get(type_map(t), m, key);
}

GOFUNC("reflect.mapaccess__faststr", void *, rt_reflect_mapaccess_str,
       (const MapGoType *t, Map *m, String key))
{
	return map_get(type_map(t), m, &key);
}

// --- assigning -----------------------------------------------------------------------------------

GOFUNC("runtime.mapassign", void *, rt_mapassign, (const MapGoType *t, Map *m, const void *key))
{
	writable(m);
	return must(map_assign(type_map(t), m, key));
}

GOFUNC("runtime.mapassign__fast32", void *, rt_mapassign_32,
       (const MapGoType *t, Map *m, uint32_t key))
{
	writable(m);
	return must(map_assign_32(type_map(t), m, key));
}
GOREST("runtime.mapassign__fast32", "runtime.mapassign__fast32");

GOFUNC("runtime.mapassign__fast64", void *, rt_mapassign_64,
       (const MapGoType *t, Map *m, uint64_t key))
{
	writable(m);
	return must(map_assign_64(type_map(t), m, key));
}
GOREST("runtime.mapassign__fast64", "runtime.mapassign__fast64");
GOALIAS("runtime.mapassign__fast64ptr", "runtime.mapassign__fast64");
GOREST("runtime.mapassign__fast64ptr", "runtime.mapassign__fast64");

// Called by an assignment in line that does not find its mark in the end.
GOFUNC(GOREST_PREFIX "runtime.map_mark_lost", NORETURN void, rest_map_mark_lost, (Map *m))
{
	misuse_fatal(m, MISUSE_WRITES, load_rlx(&m->writer)); // order: hint
}

GOFUNC("runtime.mapassign__faststr", void *, rt_mapassign_str,
       (const MapGoType *t, Map *m, String key))
{
	writable(m);
	return must(map_assign_string(type_map(t), m, key.p, (size_t)key.n));
}
GOREST("runtime.mapassign__faststr", "runtime.mapassign__faststr");

GOFUNC("reflect.mapassign", void, rt_reflect_mapassign,
       (const MapGoType *t, Map *m, const void *key, const void *elem))
{
	memmove(rt_mapassign(t, m, key), elem, t->elem->size);
}

GOFUNC("reflect.mapassign__faststr", void, rt_reflect_mapassign_str,
       (const MapGoType *t, Map *m, String key, const void *elem))
{
	memmove(rt_mapassign(t, m, &key), elem, t->elem->size);
}

// --- deleting ------------------------------------------------------------------------------------

GOFUNC("runtime.mapdelete", void, rt_mapdelete, (const MapGoType *t, Map *m, const void *key))
{
	map_delete(type_map(t), m, key);
}
GOALIAS("reflect.mapdelete", "runtime.mapdelete");

GOFUNC("runtime.mapdelete__fast32", void, rt_mapdelete_32,
       (const MapGoType *t, Map *m, uint32_t key))
{
	if (m != NULL && !map_delete_usual_32(m, key))
		map_delete_unusual(type_map(t), m, &key);
}

GOFUNC("runtime.mapdelete__fast64", void, rt_mapdelete_64,
       (const MapGoType *t, Map *m, uint64_t key))
{
	if (m != NULL && !map_delete_usual_64(m, key))
		map_delete_unusual(type_map(t), m, &key);
}

GOFUNC("runtime.mapdelete__faststr", void, rt_mapdelete_str,
       (const MapGoType *t, Map *m, String key))
{
	if (m != NULL && !map_delete_usual_string(m, key.p, (size_t)key.n))
		map_delete_unusual(type_map(t), m, &key);
}

GOFUNC("reflect.mapdelete__faststr", void, rt_reflect_mapdelete_str,
       (const MapGoType *t, Map *m, String key))
{
	map_delete(type_map(t), m, &key);
}

GOFUNC("runtime.mapclear", void, rt_mapclear, (const MapGoType *t, Map *m))
{
	map_clear(type_map(t), m);
}

// --- iterating -----------------------------------------------------------------------------------

static_assert(sizeof(MapIter) <= 96, "what the compiler leaves room for");

GOFUNC("runtime.mapiterinit", void, rt_mapiterinit, (const MapGoType *t, Map *m, MapIter *it))
{
	map_iter_begin(type_map(t), m, it);
}

// reflect takes an iterator for one that was not begun while its third word is NULL.
GOFUNC("reflect.mapiterinit", void, rt_reflect_mapiterinit,
       (const MapGoType *t, Map *m, MapIter *it))
{
	const MapType *mt = type_map(t);
	map_iter_begin(mt, m, it);
	if (it->key == NULL)
		it->opaque[0] = (uintptr_t)mt;
}

GOFUNC("runtime.mapiternext", void, rt_mapiternext, (MapIter *it))
{
	map_iter_next(it);
}
GOREST("runtime.mapiternext", "runtime.mapiternext");

GOFUNC("reflect.mapiternext", void, rt_reflect_mapiternext, (MapIter *it))
{
	map_iter_next(it);
	if (it->key == NULL)
		it->opaque[0] = (uintptr_t)it;
}

GOFUNC("reflect.mapiterkey", const void *, rt_mapiterkey, (const MapIter *it))
{
	return it->key;
}

GOFUNC("reflect.mapiterelem", void *, rt_mapiterelem, (const MapIter *it))
{
	return it->elem;
}

GOFUNC("reflect.maplen", Int, rt_maplen, (const Map *m))
{
	return (Int)map_len(m);
}
GOALIAS("internal_1reflectlite.maplen", "reflect.maplen");
