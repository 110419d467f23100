// SPDX-License-Identifier: BSD-3-Clause
// The allocating entry: which cache, which class, when to collect first.
//
// A goroutine allocates from the cache of its P and needs no lock: it is inside the runtime, so the
// P is its own and no cycle can stop the world under it. A thread without a P takes the gate and
// uses the one cache that all such threads share.
//
// With heap.watched, which GODEBUG decides, each allocation takes the slow path and is looked at
// there.
//
// Locks:  gate, rank heapgate. Who has it needs no P and waits for none of the locks below which it
//         may be taken, so a P may wait for it, while somebody starts the heap.
#include <stdlib.h>
#include <string.h>

#include "base/godebug.h"
#include "base/line.h"
#include "gc/chores.h"
#include "gc/collect.h"
#include "gc/fast.h"
#include "gc/gc_up.h"
#include "gc/limit.h"
#include "gc/pace.h"
#include "gc/profile.h"
#include "mem/efence.h"
#include "mem/gcprog.h"
#include "mem/watch.h"
#include "sched/sched.h"

enum {
	COUNT_BYTES = 64 << 10, // a cache tells the pacer each time it has taken so much in hand
};

static Mutex gate = MUTEX_INIT(heapgate);
static ATOMIC(Mcache *) shared_cache; // gate writes; made when first wanted
static ATOMIC_BOOL configured; // gate writes
static ATOMIC_BOOL started;    // gate writes

void
foreign_lock(void)
{
	mutex_lock(&gate);
}

void
foreign_unlock(void)
{
	mutex_unlock(&gate);
}

Mcache *
foreign_cache(void)
{
	return load_acq(&shared_cache); // order: observe <- shared_get
}

// --- the caller's cache --------------------------------------------------------------------------

// What GODEBUG wants to be told.
static void
sites_start(void)
{
	objsites_start();
	if (godebug.memprofilerate > 0)
		(void)profile_set_rate(godebug.memprofilerate);
	if (godebug.leaks != 0)
		(void)atexit(up_report_leaks);
}

// Locks: gate held.
static void
configure(void)
{
	if (load_rlx(&configured)) // order: own, under the lock
		return;
	pace_init();
	store_rel(&configured, true); // order: publish -> gc_configure
}

void
gc_configure(void)
{
	if (load_acq(&configured)) // order: observe <- configure
		return;
	mutex_lock(&gate);
	configure();
	mutex_unlock(&gate);
}

// False: no memory. Tried anew by the next caller.
COLD static bool
start(void)
{
	mutex_lock(&gate);
	configure();
	bool ok = load_rlx(&started); // order: own, under the lock
	if (!ok) {
		ok = heap_ready() || heap_reserve() == 0;
		if (ok) {
			os_halt_files();
			sites_start();
			store_rel(&started, true); // order: publish -> cache_get
		}
	}
	mutex_unlock(&gate);
	return ok;
}

bool
gc_started(void)
{
	return load_acq(&started); // order: observe <- start
}

// The cache for those without a P, and the gate. NULL without memory; then not the gate either.
static Mcache *
shared_get(void)
{
	mutex_lock(&gate);
	Mcache *c = load_rlx(&shared_cache); // order: own, under the lock
	if (unlikely(c == NULL)) {
		c = mcache_new();
		if (c == NULL)
			mutex_unlock(&gate);
		else
			store_rel(&shared_cache, c); // order: publish -> foreign_cache
	}
	return c;
}

// The cache to allocate from until cache_put; NULL without memory.
static inline Mcache *
cache_get(M *mp)
{
	P *pp = mp->p;
	if (likely(pp != NULL) && likely(pp->mcache != NULL))
		return pp->mcache;
	if (!gc_started() && !start())
		return NULL;
	if (pp != NULL) {
		pp->mcache = mcache_new();
		return pp->mcache;
	}
	return shared_get();
}

static inline void
cache_put(const M *mp)
{
	if (unlikely(mp->p == NULL))
		foreign_unlock();
}

// --- small objects -------------------------------------------------------------------------------

// Takes new slots in hand. False: no memory.
static bool
refill(Mcache *c, Kind kind, uint32_t class)
{
	bool sampled = false;
	if (!mcache_refill(c, kind, class, &sampled))
		return false;
	sched_m()->sampled = sampled;
	if (c->allocated >= COUNT_BYTES)
		pace_count(c);
	return true;
}

// --- what happens before and after ---------------------------------------------------------------

// What is to be allocated.
typedef struct Want {
	size_t bytes;
	size_t align;      // at least SLOT_MIN; counts for objects with pages of their own
	Kind kind;
	const HeapType *t; // of typed kinds
	size_t elems;
	bool tiny;         // may share a block
} Want;

static char *
alloc_large(Mcache *c, const Want *w)
{
	if (w->bytes > PTRDIFF_MAX - SMALL_MAX)
		return NULL;
	size_t bytes = (w->bytes + 7) & ~(size_t)7;
	bool zeroed = true;
	char *p = heap_alloc_large(bytes, w->align, w->kind, w->t, w->elems, &zeroed);
	if (p != NULL) {
		pace_allocated((int64_t)bytes, 1);
		sched_m()->sampled = mcache_sample_large(c, bytes);
		sched_m()->unzeroed = zeroed ? 0 : bytes;
	}
	return p;
}

// In a slot, or in a part of one. Who watches wants a slot for each.
static char *
alloc_small(Mcache *c, const Want *w)
{
	bool tiny = w->tiny && !heap.watched;
	char *p = tiny ? tiny_take(c, w->bytes) : NULL;
	if (p != NULL)
		return p;
	uint32_t class = tiny ? CLASS_TINY : size_class(w->bytes);
	CacheSlots *cs = &c->slots[w->kind][class];
	if (cs->free == 0 && !refill(c, w->kind, class))
		return NULL;
	p = gc_take(cs);
	if (tiny)
		tiny_begin(c, p, w->bytes);
	if (w->t != NULL)
		slots_type(cs, p, w->t, w->elems);
	if (unlikely(heap.watched))
		slots_return(c, w->kind, class); // so the next allocation gets here too
	return p;
}

// Between taking a slot and setting its type no mark may begin, so both happen with the cache.
static char *
alloc_once(const Want *w)
{
	M *mp = sched_m();
	Mcache *c = cache_get(mp);
	if (unlikely(c == NULL))
		return NULL;
	char *p = w->bytes > SMALL_MAX ? alloc_large(c, w) : alloc_small(c, w);
	cache_put(mp);
	return p;
}

// GODEBUG=efence=1. What is no multiple of 16 bytes needs less alignment when a type describes it;
// else it may be anything that is a little longer.
static char *
alloc_fenced(const Want *w)
{
	M *mp = sched_m();
	Mcache *c = cache_get(mp);
	if (c == NULL)
		return NULL;
	Want own = *w;
	own.bytes += w->bytes == 0;
	if (w->t != NULL && w->bytes % SLOT_MIN != 0 && w->align == SLOT_MIN)
		own.align = sizeof(void *);
	char *p = alloc_large(c, &own);
	cache_put(mp);
	return p;
}

// Starts the heap when it must.
static char *
alloc_any(const Want *w)
{
	if (unlikely(!gc_started()) && !start())
		return NULL;
	return fenced() ? alloc_fenced(w) : alloc_once(w);
}

// What is larger than all of the heap is no reason to collect; and before there is a heap, nothing
// is. Somebody else may be starting it just now.
static inline bool
could_fit(const Want *w)
{
	return likely(gc_started()) && w->bytes < heap.limit;
}

// Pages that an object is about to take for itself.
static inline size_t
own_pages(const Want *w)
{
	return w->bytes > SMALL_MAX && could_fit(w) ? w->bytes : 0;
}

// While no cycle can stop the world.
static void
trim(size_t more)
{
	bool foreign = sched_m()->p == NULL;
	if (foreign)
		foreign_lock();
	limit_trim(more);
	if (foreign)
		foreign_unlock();
}

// Collects if it is time to, and keeps to the memory limit.
static void
prepare(size_t more, const void *kept)
{
	if (unlikely(gc_due(more)))
		gc_collect_if_due(more, kept);
	else if (pace_may_collect() && CHAOS("collect", 64))
		gc_collect_from(GC_CHAOS, kept);
	if (unlikely(limit_room() != INT64_MAX))
		trim(more);
}

// GODEBUG=gcevery=n.
COLD static void
collect_every(const void *kept)
{
	static ATOMIC_U64 count;
	uint64_t n = add_rlx(&count, 1) + 1; // order: count
	if (n % (uint64_t)godebug.gcevery == 0)
		gc_collect_from(GC_FORCED, kept);
}

// For the heap profile, and GODEBUG=allocsites. The stack is that of the program here.
COLD static void
note_site(void *p, const HeapType *t)
{
	M *mp = sched_m();
	if (mp->sampled)
		profile_note(p, t);
	mp->sampled = false;
	if (objsites_on())
		objsites_note(p, t);
}

// Zeroes what has so many bytes, outside of the runtime: inside, nobody could take over what waits
// for our P, or stop the world, for as long as it takes. A mark that passes meanwhile finds words
// of an earlier object in it, and asks what they point to as of any others.
static char *
zero_outside(char *p, size_t bytes)
{
	sched_leave();
	memset(p, 0, bytes);
	sched_enter();
	return p;
}

// May collect first, may sweep.
static char *
alloc_slow(const Want *w, const void *kept)
{
	if (unlikely(godebug.gcevery > 0))
		collect_every(kept);
	chores_begin();
	prepare(own_pages(w), kept);
	char *p = alloc_any(w);
	if (unlikely(p == NULL) && could_fit(w)) {
		gc_collect_from(GC_LIMIT, kept); // memory has run out: one more try
		p = alloc_any(w);
	}
	M *mp = sched_m();
	size_t unzeroed = mp->unzeroed;
	mp->unzeroed = 0;
	if (p != NULL && unlikely(mp->sampled || heap.watched))
		note_site(p, w->t);
	specials_wake();
	return likely(unzeroed == 0) ? p : zero_outside(p, unzeroed);
}

// The slow path begins with a call that tells where the caller's part of the stack ends. What we
// have below holds words of earlier calls wherever the compiler leaves a gap: a mark from here
// would see the program's dead pointers there, the same ones each time until something else is
// called.
static void *
slow_sized(size_t bytes, size_t kind, const void *t, size_t elems, const void *kept)
{
	return alloc_slow(&(Want){bytes, SLOT_MIN, (Kind)kind, t, elems, false}, kept);
}

static void *
slow_tiny(size_t bytes, size_t align, const void *t, size_t elems, const void *kept)
{
	return alloc_slow(&(Want){bytes, align, KIND_NOSCAN, t, elems, true}, kept);
}

static void *
slow_aligned(size_t bytes, size_t kind, const void *t, size_t align, const void *kept)
{
	return alloc_slow(&(Want){bytes, align, (Kind)kind, t, 0, false}, kept);
}

NOINLINE static char *
alloc_slow_plain(size_t bytes, Kind kind)
{
	return arch_call_kept(bytes, kind, NULL, 0, slow_sized);
}

NOINLINE static char *
alloc_slow_tiny(size_t bytes)
{
	return arch_call_kept(bytes, sizeof(void *), NULL, 0, slow_tiny);
}

void *
gc_alloc_tiny(size_t bytes)
{
	assert(bytes != 0 && bytes < SLOT_MIN);
	char *p = gc_tiny(sched_m(), bytes);
	return likely(p != NULL) ? p : alloc_slow_tiny(bytes);
}

void *
gc_alloc(size_t bytes, Kind kind)
{
	char *p = gc_plain(sched_m(), bytes, kind);
	return likely(p != NULL) ? p : alloc_slow_plain(bytes, kind);
}

void *
gc_alloc_bytes_from(size_t bytes, const void *kept)
{
	if (bytes < SLOT_MIN)
		return slow_tiny(bytes, sizeof(void *), NULL, 0, kept);
	return slow_sized(bytes, KIND_NOSCAN, NULL, 0, kept);
}

// Slots of a power of two lie aligned to their size; larger objects to what is asked for.
void *
gc_alloc_aligned(size_t bytes, size_t align, Kind kind)
{
	if (align > SLOT_MIN && align <= HEAP_PAGE && bytes <= HEAP_PAGE) {
		size_t power = align;
		while (power < bytes)
			power *= 2;
		return gc_alloc(power, kind);
	}
	if (align > SLOT_MIN && bytes <= SMALL_MAX)
		bytes = SMALL_MAX + 1;
	if (align <= SLOT_MIN)
		return gc_alloc(bytes, kind);
	return arch_call_kept(bytes, kind, NULL, align, slow_aligned);
}

// The type that its objects have, which are to have pointers; NULL: no memory.
static inline const HeapType *
typed_as(const HeapType *t, size_t elems)
{
	if (unlikely(t->bytes % sizeof(void *) != 0) && elems > 1)
		fatal("go_alloc_typed: pointers of an array would not be aligned");
	return likely(t->program == NULL) ? t : gcprog_type(t);
}

static inline char *
take_typed(const HeapType *t, size_t elems, Kind kind)
{
	CacheSlots *cs = gc_slots(sched_m(), t->bytes * elems, kind);
	if (unlikely(cs == NULL))
		return NULL;
	char *p = gc_take(cs);
	if (elems != 1 || !gc_typed_already(cs, t))
		slots_type(cs, p, t, elems);
	return p;
}

void *
gc_alloc_typed(const HeapType *t, size_t elems, Kind kind)
{
	size_t bytes;
	if (unlikely(__builtin_mul_overflow(t->bytes, elems, &bytes)))
		return NULL;
	if (t->scan_bytes == 0)
		return gc_alloc(bytes, KIND_NOSCAN);
	if (unlikely((t = typed_as(t, elems)) == NULL))
		return NULL;
	char *p = take_typed(t, elems, kind);
	return likely(p != NULL) ? p : arch_call_kept(bytes, kind, t, elems, slow_sized);
}

void *
gc_try_typed(const HeapType *t, size_t elems, Kind kind)
{
	t = typed_as(t, elems);
	return likely(t != NULL) ? take_typed(t, elems, kind) : NULL;
}

void *
gc_alloc_typed_from(const HeapType *t, size_t elems, Kind kind, const void *kept)
{
	t = typed_as(t, elems);
	return likely(t != NULL) ? slow_sized(t->bytes * elems, kind, t, elems, kept) : NULL;
}

// What could not be had: bytes, or memory for something.
typedef struct Missing {
	size_t bytes;
	const char *what; // NULL: bytes
} Missing;

COLD static void
tell_memory(const void *missing)
{
	const Missing *w = missing;
	HeapCounts c;
	heap_counts(&c);
	int64_t max = limit_stats().max;
	Line l = {.n = 0};
	line_str(&l, "runtime: out of memory: cannot allocate ");
	if (w->what != NULL) {
		line_str(&l, "memory for ");
		line_str(&l, w->what);
	} else {
		line_u64(&l, w->bytes);
		line_str(&l, "-byte block");
	}
	line_str(&l, " (");
	line_u64(&l, c.in_use);
	line_str(&l, " in use");
	if (max != INT64_MAX) {
		line_str(&l, ", of at most ");
		line_u64(&l, (uint64_t)max);
	}
	line_str(&l, ")");
	line_end(&l);
}

COLD NORETURN void
gc_out_of_memory(size_t bytes)
{
	Missing w = {.bytes = bytes};
	fatal_after(tell_memory, &w, "out of memory");
}

COLD NORETURN void
gc_no_memory_for(const char *what)
{
	Missing w = {.what = what};
	fatal_after(tell_memory, &w, "out of memory");
}

// --- freeing -------------------------------------------------------------------------------------

// The cache of who frees counts it, if there is one.
static void
count_freed(Mcache *c, int64_t bytes)
{
	if (unlikely(c == NULL)) {
		pace_freed(bytes);
		return;
	}
	c->freed += bytes;
	c->freed_objects++;
	if (c->freed >= COUNT_BYTES)
		pace_count(c);
}

// False: it was free before.
static bool
free_slot(Slot s)
{
	const P *pp = sched_m()->p;
	int64_t bytes = (int64_t)slot_bytes(s);
	if (unlikely(pp == NULL))
		foreign_lock();
	bool was_used = heap_free(s);
	if (was_used)
		count_freed(likely(pp != NULL) ? pp->mcache : foreign_cache(), bytes);
	if (unlikely(pp == NULL))
		foreign_unlock();
	return was_used;
}

static void
free_object(void *p)
{
	Slot s = heap_slot((uintptr_t)p);
	if (s.info != NULL && unlikely(slot_is_tiny(s)))
		return; // others may lie beside it
	if (s.info == NULL || slot_addr(s) != p)
		fatal("go_free: not the beginning of an object");
	if (load_rlx(&heap.spans[s.page].specials) != NULL) // order: own, the caller's object
		specials_drop(s);
	if (!free_slot(s))
		fatal("go_free: object is free already");
}

void
gc_free(void *p)
{
	free_object(p);
	chores_freed();
}

static void *
alloc_now(const Want *w)
{
	void *p = alloc_any(w);
	M *mp = sched_m();
	mp->sampled = false; // somebody may hold locks
	if (unlikely(mp->unzeroed != 0))
		memset(p, 0, mp->unzeroed);
	mp->unzeroed = 0;
	return p;
}

void *
gc_alloc_pinned(size_t bytes)
{
	return alloc_now(&(Want){.bytes = bytes, .align = SLOT_MIN, .kind = KIND_PINNED});
}

void *
gc_alloc_now(size_t bytes, const HeapType *t, size_t elems, Kind kind)
{
	if (t != NULL && t->program != NULL && (t = gcprog_type(t)) == NULL)
		return NULL;
	return alloc_now(&(Want){bytes, SLOT_MIN, kind, t, elems, false});
}

void
gc_free_pinned(void *p)
{
	if (p != NULL)
		free_object(p);
}
