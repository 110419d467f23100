// SPDX-License-Identifier: BSD-3-Clause
// Maps: what the faces call. What a map is made of: map_impl.h.
//
// A map's type is given with each call and is the same each time; a map may be made before it is
// known. NULL is the map that is always empty.
#ifndef UNDERGO_MAP_MAP_H
#define UNDERGO_MAP_MAP_H

#include "base/base.h"
#include "undergo/map.h"

typedef struct go_map Map;
typedef struct go_map_type MapType;

// An empty map with room for so many entries; NULL without memory.  Allocates.
// Runs on: an attached thread. The caller may be inside the runtime or not, here and below.
Map *map_new(const MapType *t, size_t hint);

static inline size_t
map_len(const Map *m)
{
	return m != NULL ? *(const size_t *)(const void *)m : 0;
}

// The element of a key, NULL when there is none. Those with _32, _64 and _string are for keys of
// these kinds and elements of at most 128 bytes, as are the ones below.
void *map_get(const MapType *t, const Map *m, const void *key);
void *map_get_32(const Map *m, uint32_t key);
void *map_get_64(const Map *m, uint64_t key);
void *map_get_string(const Map *m, const char *p, size_t n);
// The same, and where the key lies.
void *map_get_key(const MapType *t, const Map *m, const void *key, const void **its_key);

// The element of a key, zeroed when it is new; NULL without memory, and nothing has changed.
// m == NULL panics.  Allocates.  Runs on: an attached thread.
void *map_assign(const MapType *t, Map *m, const void *key);
void *map_assign_32(const MapType *t, Map *m, uint32_t key);
void *map_assign_64(const MapType *t, Map *m, uint64_t key);
void *map_assign_string(const MapType *t, Map *m, const char *p, size_t n);

// True when there was an entry.  Runs on: an attached thread.
bool map_delete(const MapType *t, Map *m, const void *key);
bool map_delete_32(const MapType *t, Map *m, uint32_t key);
bool map_delete_64(const MapType *t, Map *m, uint64_t key);
bool map_delete_string(const MapType *t, Map *m, const char *p, size_t n);

// The same of a map, which is not NULL, by who would have to look its type up. False: nothing was
// done, and it is for the last one, which takes keys without functions.
// Runs on: an attached thread.
bool map_delete_usual_32(Map *m, uint32_t key);
bool map_delete_usual_64(Map *m, uint64_t key);
bool map_delete_usual_string(Map *m, const char *p, size_t n);
bool map_delete_unusual(const MapType *t, Map *m, const void *key);

// Dies, of a map that the writer's goroutine changes while it is looked into; unless it does not.
void map_misused(const Map *m, const void *writer);
// What the hash of a key without one calls: panics as Go does, with the name of the key's type.
COLD NORETURN void map_unhashable(const char *type);

void map_clear(const MapType *t, Map *m);
// A map of its own with the same entries; NULL without memory.  Allocates.
Map *map_clone(const MapType *t, const Map *m);

// An iterator stands on an entry while its key is not NULL. It may lie in memory that was never
// written. What begins it stands on the first entry.
typedef struct go_map_iter MapIter;
void map_iter_begin(const MapType *t, Map *m, MapIter *it);
void map_iter_next(MapIter *it);

// Of a map whose entries lie in its tables: what go_map_front_.flags is, for who has a look-up in
// line.
enum { MAP_FLAGS_USUAL = 4 };

// For tests: so many allocations of maps from now on one fails; 0: none does.
extern ATOMIC_U32 map_memory_ends;
// Unless NULL this is called then, and the allocation does not fail.
extern void (*map_memory_then)(void);

// Throws unless all that must hold in a map does. Calls hash and equal.
void map_verify(const MapType *t, const Map *m);

#endif
