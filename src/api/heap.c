// SPDX-License-Identifier: BSD-3-Clause
// undergo/heap.h, but for the end of objects.
#include "undergo/heap.h"

#include "gc/chores.h"
#include "gc/collect.h"
#include "gc/fast.h"
#include "gc/gc_up.h"
#include "gc/limit.h"
#include "gc/profile.h"
#include "panic/panic.h"
#include "sched/sched.h"

enum {
	ALIGN = 16,           // of what C programs allocate
	ODD_BYTES = 24,       // the one slot size that is not aligned so
	ALIGN_MAX = 1 << 30,
};

// The one byte more makes a pointer to the end one into the object. What is absurd stays so.
static inline size_t
with_end(size_t n)
{
	size_t bytes = n + (n != SIZE_MAX);
	return bytes > ODD_BYTES || bytes <= ALIGN ? bytes : ODD_BYTES + 1;
}

// Enters, for an object of so many bytes. A thread that comes for the first time needs memory.
static void
enter_or_die(size_t bytes)
{
	if (unlikely(!sched_attached()))
		gc_out_of_memory(bytes);
	sched_enter();
}

// Everything but the usual case. Who calls it leaves; to enter twice is to enter.
static NOINLINE void *
alloc_or_die(size_t bytes, Kind kind)
{
	enter_or_die(bytes);
	void *p = gc_alloc(bytes, kind);
	if (unlikely(p == NULL))
		gc_out_of_memory(bytes);
	return p;
}

static NOINLINE void *
alloc_typed_or_die(const go_type *t, size_t n)
{
	size_t bytes;
	if (unlikely(__builtin_mul_overflow(t->bytes, n, &bytes)))
		bytes = SIZE_MAX;
	enter_or_die(bytes);
	void *p = gc_alloc_typed(t, n, KIND_TYPED);
	if (unlikely(p == NULL))
		gc_out_of_memory(bytes);
	return p;
}

// Whether the caller is inside the runtime now, on an attached thread.
static inline bool
enter_fast(M *mp)
{
	return likely(mp != NULL) && likely(lease_enter(&mp->lease));
}

// Part of its callers, and something follows the slow way, so that these are on the stack there: a
// heap profile goes on from them.
static inline __attribute__((always_inline)) void *
alloc(size_t bytes, Kind kind)
{
	M *mp = sched_m();
	CacheSlots *cs = enter_fast(mp) ? gc_slots(mp, bytes, kind) : NULL;
	void *p = likely(cs != NULL) ? gc_take(cs) : alloc_or_die(bytes, kind);
	sched_leave();
	return p;
}

void *
go_alloc(size_t n)
{
	return alloc(with_end(n), KIND_SCAN);
}

void *
go_alloc_data(size_t n)
{
	return alloc(with_end(n), KIND_NOSCAN);
}

void *
go_alloc_object(size_t n)
{
	return alloc(n, KIND_SCAN);
}

void *
go_alloc_typed(const go_type *t, size_t n)
{
	M *mp = sched_m();
	bool usual = enter_fast(mp) && likely(n == 1);
	CacheSlots *cs = usual ? gc_slots(mp, t->bytes, KIND_TYPED) : NULL;
	bool typed = likely(cs != NULL) && likely(gc_typed_already(cs, t));
	void *p = typed ? gc_take(cs) : alloc_typed_or_die(t, n);
	sched_leave();
	return p;
}

void *
go_try_alloc(size_t n, size_t align, go_alloc_kind kind)
{
	static const uint8_t kinds[] = {KIND_SCAN, KIND_NOSCAN, KIND_PINNED};
	if ((align & (align - 1)) != 0 || align > ALIGN_MAX || n > PTRDIFF_MAX)
		return NULL;
	if ((unsigned)kind > GO_ALLOC_PINNED || unlikely(!sched_attached()))
		return NULL;
	sched_enter();
	void *p = gc_alloc_aligned(with_end(n), align > ALIGN ? align : ALIGN, kinds[kind]);
	sched_leave();
	return p;
}

void
go_free(void *p)
{
	if (p == NULL)
		return;
	sched_enter();
	gc_free(p); // a thread may have to wait in it, with nothing but numbers in hand
	go_keep_alive(p);
	sched_leave();
}

const void *const up_alloc_entries[] = {
	(const void *)go_alloc,       (const void *)go_alloc_data, (const void *)go_alloc_object,
	(const void *)go_alloc_typed, (const void *)go_try_alloc,  NULL,
};

// --- questions -----------------------------------------------------------------------------------

// Where the object begins that p points to or into, and its bytes; NULL: there is none. Large ones
// do not fill their pages. Where nobody holds an object the span may change under our eyes, so that
// what was read does not fit together: each is read once, and it is compared what is returned.
// Somebody else may be starting the heap just now.
static char *
object_around(const void *p, size_t *bytes)
{
	Slot s = gc_started() ? heap_slot((uintptr_t)p) : (Slot){0, 0, NULL};
	if (s.info == NULL)
		return NULL;
	char *object = slot_addr(s);
	*bytes = slot_bytes(s);
	return (uintptr_t)p - (uintptr_t)object < *bytes ? object : NULL;
}

void *
go_object(const void *p)
{
	size_t bytes;
	void *object = object_around(p, &bytes);
	go_keep_alive(p);
	return object;
}

size_t
go_object_size(const void *p)
{
	size_t bytes;
	bool object = object_around(p, &bytes) != NULL;
	go_keep_alive(p);
	return object ? bytes : 0;
}

// --- roots ---------------------------------------------------------------------------------------

int
go_root_add(const void *p, size_t n)
{
	if (p == NULL || n == 0)
		return GO_EINVAL;
	if (!sched_attached())
		return GO_ENOMEM;
	sched_enter();
	int err = root_add(p, n);
	sched_leave();
	return err;
}

int
go_root_remove(const void *p)
{
	sched_enter();
	int err = root_remove(p);
	sched_leave();
	return err;
}

// --- collecting ----------------------------------------------------------------------------------

void
go_gc(void)
{
	if (!sched_attached())
		return; // there is no memory for collecting
	sched_enter();
	gc_collect(GC_FORCED);
	sched_gosched(); // the monitor takes no P from who is always inside
	sched_leave();
}

void
go_heap_stats_read(go_heap_stats *st)
{
	sched_enter();
	gc_configure();
	pace_stats(st);
	sched_leave();
}

int
go_heap_report(int fd)
{
	return panic_heap_report(fd);
}

int
go_heap_profile(int fd)
{
	return panic_heap_profile(fd);
}

int64_t
go_heap_profile_rate(int64_t bytes)
{
	sched_enter();
	int64_t before = profile_set_rate(bytes);
	sched_leave();
	return before;
}

int
go_set_gc_percent(int percent)
{
	sched_enter();
	gc_configure();
	int before = pace_set_percent(percent);
	sched_leave();
	return before;
}

static int64_t
set_limit(int64_t (*set)(int64_t n), int64_t n)
{
	sched_enter();
	gc_configure();
	int64_t before = set(n);
	sched_leave();
	return before;
}

int64_t
go_set_memory_limit(int64_t n)
{
	return set_limit(limit_set, n);
}

int64_t
go_set_memory_max(int64_t n)
{
	return set_limit(limit_set_max, n);
}

int
go_pressure_add(go_pressure_fn *fn, void *arg, int percent)
{
	if (!sched_attached())
		return GO_ENOMEM;
	sched_enter();
	int err = pressure_add(fn, arg, percent);
	sched_leave();
	return err;
}

int
go_pressure_remove(go_pressure_fn *fn, void *arg)
{
	sched_enter();
	int err = pressure_remove(fn, arg);
	sched_leave();
	return err;
}
