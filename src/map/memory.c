// SPDX-License-Identifier: BSD-3-Clause
// Where maps have their memory from: the collector. The caller is not inside the runtime, or is;
// here it is for as long as allocating takes.
#include "gc/gc.h"
#include "map/map_impl.h"

ATOMIC_U32 map_memory_ends;
void (*map_memory_then)(void);

// Most of this memory was zeroed by libc's memset, which MemorySanitizer sees. It does not see that
// pages come back from the system zeroed, which a short test does not get to.
static void *
shown(void *p, size_t bytes)
{
	if (p != NULL)
		map_shown(p, bytes);
	return p;
}

// Whether this allocation is to fail, in a test.
static bool
ends(void)
{
	uint32_t n = load_rlx(&map_memory_ends); // order: hint, set by tests alone
	if (likely(n == 0))
		return false;
	store_rlx(&map_memory_ends, n - 1); // order: hint
	if (n != 1 || map_memory_then == NULL)
		return n == 1;
	map_memory_then();
	return false;
}

void *
map_memory(size_t bytes, uint32_t mask)
{
	if (ends())
		return NULL;
	sched_enter();
	void *p = gc_alloc(bytes, mask != 0 ? KIND_SCAN : KIND_NOSCAN);
	sched_leave();
	return shown(p, bytes);
}

void *
map_memory_typed(const HeapType *t, size_t elems)
{
	if (ends())
		return NULL;
	sched_enter();
	void *p = gc_alloc_typed(t, elems, KIND_TYPED);
	sched_leave();
	return shown(p, t->bytes * elems);
}

void
map_memory_back(void *p)
{
	sched_enter();
	gc_free(p);
	sched_leave();
}

void *
map_memory_apart(size_t bytes, const HeapType *t, uint32_t mask)
{
	return t != NULL ? map_memory_typed(t, 1) : map_memory(bytes, mask);
}
