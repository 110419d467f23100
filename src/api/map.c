// SPDX-License-Identifier: BSD-3-Clause
// The C face of maps. Looking up a word or a string needs nothing of the runtime; whatever may
// allocate, draw by chance or leave a mark needs the thread to be known.
#include "map/map.h"
#include "gc/gc.h"
#include "sched/sched.h"

static inline void
attach(void)
{
	if (unlikely(!sched_attached()))
		gc_no_memory_for("a thread");
}

go_map *
go_map_raw_new(const go_map_type *t, size_t n)
{
	return sched_attached() ? map_new(t, n) : NULL;
}

size_t
go_map_raw_len(const go_map *m)
{
	return map_len(m);
}

void *
go_map_raw_get(const go_map_type *t, const go_map *m, const void *key)
{
	attach();
	return map_get(t, m, key);
}

void *
go_map_raw_get_32(const go_map *m, uint32_t key)
{
	return map_get_32(m, key);
}

void *
go_map_raw_get_64(const go_map *m, uint64_t key)
{
	return map_get_64(m, key);
}

void *
go_map_raw_get_string(const go_map *m, const void *p, size_t n)
{
	return map_get_string(m, p, n);
}

void *
go_map_raw_assign(const go_map_type *t, go_map *m, const void *key)
{
	attach();
	return map_assign(t, m, key);
}

void *
go_map_raw_assign_32(const go_map_type *t, go_map *m, uint32_t key)
{
	attach();
	return map_assign_32(t, m, key);
}

void *
go_map_raw_assign_64(const go_map_type *t, go_map *m, uint64_t key)
{
	attach();
	return map_assign_64(t, m, key);
}

void *
go_map_raw_assign_string(const go_map_type *t, go_map *m, const void *p, size_t n)
{
	attach();
	return map_assign_string(t, m, p, n);
}

bool
go_map_raw_delete(const go_map_type *t, go_map *m, const void *key)
{
	attach();
	return map_delete(t, m, key);
}

bool
go_map_raw_delete_32(const go_map_type *t, go_map *m, uint32_t key)
{
	attach();
	return map_delete_32(t, m, key);
}

bool
go_map_raw_delete_64(const go_map_type *t, go_map *m, uint64_t key)
{
	attach();
	return map_delete_64(t, m, key);
}

bool
go_map_raw_delete_string(const go_map_type *t, go_map *m, const void *p, size_t n)
{
	attach();
	return map_delete_string(t, m, p, n);
}

void
go_map_raw_clear(const go_map_type *t, go_map *m)
{
	attach();
	map_clear(t, m);
}

go_map *
go_map_raw_clone(const go_map_type *t, const go_map *m)
{
	return sched_attached() ? map_clone(t, m) : NULL;
}

void
go_map_raw_begin(const go_map_type *t, go_map *m, go_map_iter *it)
{
	attach();
	map_iter_begin(t, m, it);
}

void
go_map_raw_next(go_map_iter *it)
{
	attach();
	map_iter_next(it);
}

int
go_map_misused(const go_map *m, const void *writer)
{
	map_misused(m, writer);
	return 0;
}

void
go_map_unhashable(const go_type *type)
{
	attach();
	map_unhashable(type != NULL && type->name != NULL ? type->name : "without a name");
}

void
go_map_no_memory(void)
{
	gc_no_memory_for("a map");
}
