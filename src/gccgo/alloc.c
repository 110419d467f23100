// SPDX-License-Identifier: BSD-3-Clause
// Allocation and slices: newobject, makeslice, growslice, and moving typed memory.
//
// The collector stops the world to mark, so there is no write barrier: runtime.writeBarrier is 0
// for ever and compiled code stores plainly.
#include "gccgo/gccgo.h"

#include "gc/fast.h"
#include "gccgo/kept.h"

enum { TYPED_MAX_SHIFT = 47 };
static const size_t bytes_max = (size_t)1 << TYPED_MAX_SHIFT; // what an address can say

typedef struct WriteBarrier {
	uint32_t enabled;
	uint32_t unused[3];
} WriteBarrier;
GODATA("runtime.writeBarrier", WriteBarrier, write_barrier) = {0};
GOREST("runtime.writeBarrier", "runtime.writeBarrier");
uint64_t go_zero_base;

typedef void *MakeBytes(size_t n);
typedef void *MakeTyped(const Type *t, size_t n);
typedef Slice *Grow(Slice *to, const Type *elem, void *old, Int old_len, size_t cap, Int need);

// --- objects -------------------------------------------------------------------------------------

// For a goroutine that is pinned, see sync.c: it stays inside.
static COLD void *
make_now(size_t bytes, const HeapType *h, size_t n, Kind kind)
{
	void *p = gc_alloc_now(bytes, h, n, kind);
	if (p == NULL)
		gc_out_of_memory(bytes);
	return p;
}

static void *
typed_from(const Type *t, size_t n, const Kept *k)
{
	const HeapType *h = type_heap(t);
	sched_enter();
	void *p = gc_alloc_typed_from(h, n, KIND_GO, k);
	if (unlikely(p == NULL))
		gc_out_of_memory(t->size * n);
	sched_leave();
	return p;
}

static void *
rest_typed(const Kept *k)
{
	return typed_from((const Type *)k->arg[0], k->arg[1], k);
}

// NULL: nothing is in hand.
static inline void *
try_typed(const Type *t, size_t n)
{
	const HeapType *h = type_heap(t);
	if (unlikely(sched_enter()->pinned))
		return make_now(t->size * n, h, n, KIND_GO);
	void *p = gc_try_typed(h, n, KIND_GO);
	sched_leave();
	return p;
}

// One small object, whose descriptor says all: it is not looked up. NULL: nothing is in hand.
static inline void *
try_masked(const Type *t)
{
	uint64_t mask = type_mask(t);
	if (unlikely(sched_enter()->pinned))
		return make_now(t->size, type_heap(t), 1, KIND_GO);
	CacheSlots *cs = gc_slots(sched_m(), t->size, KIND_GO);
	char *p = NULL;
	if (likely(cs != NULL)) {
		p = gc_take(cs);
		if (cs->mask != mask)
			slots_mask(cs, p, mask);
	}
	sched_leave();
	return p;
}

static NOINLINE void *
make_typed(const Type *t, size_t n)
{
	void *p = try_typed(t, n);
	return likely(p != NULL) ? p : GO_KEPT(MakeTyped, rest_typed, t, n);
}

void *
go_bytes_from(size_t n, const Kept *k)
{
	sched_enter();
	void *p = gc_alloc_bytes_from(n, k);
	if (unlikely(p == NULL))
		gc_out_of_memory(n);
	sched_leave();
	return p;
}

static void *
rest_bytes(const Kept *k)
{
	return go_bytes_from(k->arg[0], k);
}

void *
go_try_bytes(size_t n)
{
	if (unlikely(n == 0))
		return &go_zero_base;
	if (unlikely(sched_enter()->pinned))
		return make_now(n, NULL, 0, KIND_NOSCAN);
	M *mp = sched_m();
	void *p = n < SLOT_MIN ? gc_tiny(mp, n) : gc_plain(mp, n, KIND_NOSCAN);
	sched_leave();
	return p;
}

void *
go_make_bytes(size_t n)
{
	void *p = go_try_bytes(n);
	return likely(p != NULL) ? p : GO_KEPT(MakeBytes, rest_bytes, n);
}

void *
go_make_array(const Type *elem, size_t n)
{
	if (elem->ptrdata == 0)
		return go_make_bytes(elem->size * n);
	return n == 0 ? &go_zero_base : make_typed(elem, n);
}

void *
go_make(const Type *t)
{
	if (t->ptrdata == 0)
		return go_make_bytes(t->size);
	if (likely(t->size <= TYPE_MASK_MOST) && likely((t->kind & KIND_GC_PROGRAM) == 0)) {
		void *p = try_masked(t);
		if (likely(p != NULL))
			return p;
	}
	return make_typed(t, 1);
}

GOFUNC("runtime.newobject", void *, rt_newobject, (const Type *t))
{
	return go_make(t);
}
GOREST("runtime.newobject", "runtime.newobject");
GOALIAS("reflect.unsafe__New", "runtime.newobject");
GOALIAS("internal_1reflectlite.unsafe__New", "runtime.newobject");

GOFUNC("runtime.mallocgc", void *, rt_mallocgc, (uintptr_t bytes, const Type *t, bool zero))
{
	(void)zero;
	if (t == NULL || t->ptrdata == 0)
		return go_make_bytes(bytes);
	return make_typed(t, bytes / t->size);
}

// --- slices --------------------------------------------------------------------------------------

// Whether n elements are too many.
static bool
too_many(const Type *elem, Int n, size_t *bytes)
{
	return n < 0 || __builtin_mul_overflow(elem->size, (size_t)n, bytes) || *bytes > bytes_max;
}

GOFUNC("runtime.panicmakeslicelen", NORETURN void, rt_panicmakeslicelen, (void))
{
	panic_error("makeslice: len out of range");
}

GOFUNC("runtime.panicmakeslicecap", NORETURN void, rt_panicmakeslicecap, (void))
{
	panic_error("makeslice: cap out of range");
}

GOFUNC("runtime.checkMakeSlice", uintptr_t, rt_checkmakeslice, (const Type *elem, Int len, Int cap))
{
	size_t bytes;
	if (unlikely(too_many(elem, cap, &bytes)) || len < 0 || len > cap) {
		size_t unused;
		if (too_many(elem, len, &unused))
			rt_panicmakeslicelen();
		rt_panicmakeslicecap();
	}
	return bytes;
}

GOFUNC("runtime.makeslice", void *, rt_makeslice, (const Type *elem, Int len, Int cap))
{
	rt_checkmakeslice(elem, len, cap);
	return go_make_array(elem, (size_t)cap);
}
GOREST("runtime.makeslice", "runtime.makeslice");
GOALIAS("runtime.makeslice64", "runtime.makeslice");

GOFUNC("reflect.unsafe__NewArray", void *, rt_newarray, (const Type *elem, Int n))
{
	size_t bytes;
	if (too_many(elem, n, &bytes))
		panic_plain("runtime: allocation size out of range");
	return go_make_array(elem, (size_t)n);
}

// The bytes that an object of so many has in Go.
static size_t
rounded(size_t bytes)
{
	if (bytes <= SMALL_MAX)
		return class_size[size_class_go(bytes)];
	size_t page = HEAP_PAGE;
	return (bytes + page - 1) & ~(page - 1);
}

// Twice as much as long as it is little, then by a quarter and a bit.
static size_t
grown(size_t cap, size_t need)
{
	enum { SLOWER_FROM = 256 };
	if (need > cap * 2)
		return need;
	if (cap < SLOWER_FROM)
		return cap * 2;
	while (cap < need)
		cap += (cap + 3 * SLOWER_FROM) / 4;
	return cap;
}

static Slice *
rest_grow(const Kept *k)
{
	Slice *to = (Slice *)k->arg[0];
	const Type *elem = (const Type *)k->arg[1];
	const void *old = (const void *)k->arg[2];
	size_t old_len = k->arg[3], cap = k->arg[4];
	void *p = elem->ptrdata != 0 ? typed_from(elem, cap, k)
				     : go_bytes_from(cap * elem->size, k);
	memmove(p, old, old_len * elem->size);
	*to = (Slice){p, (Int)k->arg[5], (Int)cap};
	return to;
}

// In Go it returns the Slice.
GOFUNC("runtime.growslice", Slice *, rt_growslice,
       (Slice *to, const Type *elem, void *old, Int old_len, Int old_cap, Int need))
{
	size_t bytes;
	if (need < old_cap)
		panic_error("growslice: cap out of range");
	if (elem->size == 0) {
		*to = (Slice){&go_zero_base, need, need};
		return to;
	}
	size_t cap = grown((size_t)old_cap, (size_t)need);
	if (__builtin_mul_overflow(cap, elem->size, &bytes) || bytes > bytes_max)
		panic_error("growslice: cap out of range");
	cap = rounded(bytes) / elem->size;
	void *p = elem->ptrdata != 0 ? try_typed(elem, cap) : go_try_bytes(cap * elem->size);
	if (unlikely(p == NULL))
		return GO_KEPT(Grow, rest_grow, to, elem, old, old_len, cap, need);
	memmove(p, old, (size_t)old_len * elem->size);
	*to = (Slice){p, need, (Int)cap};
	return to;
}

GOFUNC("runtime.unsafeslice", void, rt_unsafeslice, (const Type *elem, const void *p, Int n))
{
	size_t bytes;
	if (n < 0 || too_many(elem, n, &bytes) || bytes > -(uintptr_t)p)
		panic_error("unsafe.Slice: len out of range");
	if (p == NULL && n > 0)
		panic_error("unsafe.Slice: ptr is nil and len is not zero");
}
GOALIAS("runtime.unsafeslice64", "runtime.unsafeslice");

// --- moving --------------------------------------------------------------------------------------

GOFUNC("runtime.typedmemmove", void, rt_typedmemmove, (const Type *t, void *dst, const void *src))
{
	memmove(dst, src, t->size);
}
GOREST("runtime.typedmemmove", "runtime.typedmemmove");
GOALIAS("reflect.typedmemmove", "runtime.typedmemmove");
GOALIAS("internal_1reflectlite.typedmemmove", "runtime.typedmemmove");

GOFUNC("reflect.typedmemclr", void, rt_typedmemclr, (const Type *t, void *p))
{
	memset(p, 0, t->size);
}

GOFUNC("reflect.memmove", void, rt_memmove, (void *dst, const void *src, uintptr_t n))
{
	memmove(dst, src, n);
}

GOFUNC("runtime.typedslicecopy", Int, rt_typedslicecopy,
       (const Type *elem, void *dst, Int dst_len, const void *src, Int src_len))
{
	Int n = dst_len < src_len ? dst_len : src_len;
	if (n > 0 && dst != src)
		memmove(dst, src, (size_t)n * elem->size);
	return n;
}

GOFUNC("reflect.typedslicecopy", Int, rt_reflect_typedslicecopy,
       (const Type *elem, Slice dst, Slice src))
{
	return rt_typedslicecopy(elem, dst.p, dst.len, src.p, src.len);
}

GOFUNC("runtime.memclrHasPointers", void, rt_memclrhaspointers, (void *p, uintptr_t n))
{
	memset(p, 0, n);
}

// Never called while the flag is 0; and right if it were.
GOFUNC("runtime.gcWriteBarrier", void, rt_gcwritebarrier, (void **dst, void *value))
{
	*dst = value;
}

GOFUNC("reflect.verifyNotInHeapPtr", bool, rt_verifynotinheap, (uintptr_t p))
{
	return !heap_contains(p);
}
