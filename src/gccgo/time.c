// SPDX-License-Identifier: BSD-3-Clause
// What package time asks for: the clocks, Sleep, timers.
//
// The program's timer is an object of Go, of which the collector knows nothing special. While it is
// set a record of ours stands for it: a timer of the core's, pinned memory that keeps the program's
// object alive. When it fires a goroutine of the runtime's own, the runner, calls its function,
// which is Go code that does not wait.
//
// Invariants:
//   T1  Obj.record is the record that is set, or fired lately, for the object, and names it; NULL
//       when there is none. Under the lock that belongs to the object's address. In the copy of a
//       timer it is a record that names the other one, or did, and counts as none.
//   T2  A record is given back when it is neither set nor has fired and not been queued yet.
//   T3  What the runner is to call is copied from the object when the timer fires and is queued.
//   T4  A record whose timer is in a heap is its object's while that heap is locked: it is given
//       back when it has been taken out, under that lock. To set anew what is set needs no other.
//   T5  One that is given back may wait beside the lock for the next object that has this lock. It
//       is of no object then, and keeps none alive.
// Locks:  bucket_of(obj)->lock, rank gotimer; runner_lock, rank leaf, never both.
#include <time.h>

#include "base/godebug.h"
#include "gccgo/gccgo.h"
#include "gc/service.h"
#include "timer/timer.h"

// --- clocks --------------------------------------------------------------------------------------

typedef struct Now {
	int64_t sec;
	int32_t nsec;
	int64_t mono;
} Now;

GOFUNC("time.now", Now, rt_now, (void))
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (Now){ts.tv_sec, (int32_t)ts.tv_nsec, os_nanotime()};
}

GOFUNC("runtime.nanotime", int64_t, rt_nanotime, (void))
{
	return os_nanotime();
}
GOALIAS("sync.runtime__nanotime", "runtime.nanotime");

// Of the clock that profiles of blocking count with.
GOFUNC("runtime.tickspersecond", int64_t, rt_tickspersecond, (void))
{
	return GO_SEC;
}
GOALIAS("runtime_1pprof.runtime__cyclesPerSecond", "runtime.tickspersecond");

GOFUNC("time.Sleep", void, rt_sleep, (int64_t ns))
{
	if (ns <= 0)
		return;
	sched_enter();
	timer_sleep(ns);
	sched_leave();
}

// --- timers --------------------------------------------------------------------------------------

typedef struct Record Record;

// Known to: package time. A part of time.Timer and time.Ticker.
typedef struct Obj {
	ATOMIC(Record *) record; // ours, T1
	int64_t when;
	int64_t period;
	const FuncVal *f;
	Eface arg;
	uintptr_t seq;
	int64_t unused;
	uint32_t status;
} Obj;
static_assert(sizeof(Obj) == 72, "a timer of package time");

struct Record {
	Timer timer;
	Obj *obj;
	ATOMIC_U32 fired; // how often it has fired and was not queued yet
};

// What the runner is to call.
typedef struct Call {
	struct Call *next;
	const FuncVal *f;
	Eface arg;
	uintptr_t seq;
} Call;

// What objects whose addresses come to the same have together.
typedef struct Bucket {
	Mutex lock;
	ATOMIC(Record *) spare; // under the lock; T5
} Bucket;

enum { BUCKET_BITS = 6 };
static Bucket buckets[1 << BUCKET_BITS] = {
    [0 ...(1 << BUCKET_BITS) - 1] = {.lock = MUTEX_INIT(gotimer)},
};

// By the golden ratio.
static inline Bucket *
bucket_of(const Obj *obj)
{
	return &buckets[(uintptr_t)obj * UINT64_C(0x9e3779b97f4a7c15) >> (64 - BUCKET_BITS)];
}

// --- the runner ----------------------------------------------------------------------------------

static Mutex runner_lock = MUTEX_INIT(leaf);
static Call *first, *last; // runner_lock

static bool
nothing_to_call(void)
{
	return first == NULL;
}

static Call *
next_call(void)
{
	mutex_lock(&runner_lock);
	Call *c = first;
	if (c != NULL) {
		first = c->next;
		if (first == NULL)
			last = NULL;
	}
	mutex_unlock(&runner_lock);
	return c;
}

static void
call_all(void)
{
	for (Call *c; (c = next_call()) != NULL;) {
		Call now = *c;
		gc_free_pinned(c);
		sched_leave();
		goface_adopt();
		GO_CALL(void (*)(Eface, uintptr_t), now.f, now.arg, now.seq);
		sched_enter();
	}
}

static Service runner = {
    .name = "timers",
    .why = WAIT_sleep,
    .work = call_all,
    .idle = nothing_to_call,
    .lock = &runner_lock,
};

// --- firing --------------------------------------------------------------------------------------

// The record of obj; NULL: it has none. What a copy leads to may have been freed, and is memory all
// the same (but with GODEBUG=efence=1).  Locks: held.
static Record *
record_of(const Obj *obj)
{
	Record *r = load_rlx(&obj->record); // order: own, T1
	return r != NULL && likely(r->obj == obj) ? r : NULL;
}

// Lets go of r if it has nothing left to do. Returns it when it is the caller's to free, after the
// lock; else NULL.  Locks: held.
static Record *
let_go(Bucket *b, Record *r)
{
	if (load_acq(&r->timer.ts) != NULL || load_acq(&r->fired) != 0) // order: observe <- fire
		return NULL;
	if (load_rlx(&r->obj->record) == r)       // order: own, under the lock
		store_rlx(&r->obj->record, NULL); // order: own, under the lock
	if (load_rlx(&b->spare) != NULL || godebug.efence != 0) // order: own, under the lock
		return r;
	r->obj = NULL;
	store_rlx(&b->spare, r); // order: own, under the lock
	return NULL;
}

// Posted by fire: the heap's lock has been given up.
static void
queue(void *v)
{
	Record *r = v;
	Call *c = gc_alloc_pinned(sizeof(*c));
	if (c == NULL)
		gc_out_of_memory(sizeof(*c));
	Bucket *b = bucket_of(r->obj);
	mutex_lock(&b->lock);
	*c = (Call){NULL, r->obj->f, r->obj->arg, r->obj->seq};
	sub_ar(&r->fired, 1); // order: release
	Record *over = let_go(b, r);
	mutex_unlock(&b->lock);
	gc_free_pinned(over);
	mutex_lock(&runner_lock);
	if (last != NULL)
		last->next = c;
	else
		first = c;
	last = c;
	service_unlock_wake(&runner);
}

static int64_t
fire(Timer *t, Firing *f)
{
	Record *r = container_of(t, Record, timer);
	int64_t period = r->obj->period;
	add_ar(&r->fired, 1); // order: publish -> let_go, before the timer is let go
	timer_post(f, queue, r);
	if (period <= 0)
		return TIMER_DONE;
	int64_t missed = (f->now - f->when) / period;
	return base_deadline(f->when, period * (missed + 1));
}

// --- what package time calls ---------------------------------------------------------------------

static Record *
record_new(void)
{
	Record *r = gc_alloc_pinned(sizeof(*r));
	if (r == NULL)
		gc_out_of_memory(sizeof(*r));
	timer_init(&r->timer, fire);
	return r;
}

// What a setting changes besides the time; under the heap's lock.
typedef struct Change {
	int64_t period;
	const FuncVal *f;
	Eface arg;
	uintptr_t seq;
} Change;

static void
change(Timer *t, int64_t v)
{
	Obj *obj = container_of(t, Record, timer)->obj;
	const Change *ch = (const Change *)(uintptr_t)v;
	obj->period = ch->period;
	obj->f = ch->f;
	obj->arg = ch->arg;
	obj->seq = ch->seq;
}

// Gives obj the spare record, or *fresh, which is NULL then.  Locks: held.
static void
take_record(Obj *obj, Bucket *b, Record **fresh)
{
	Record *r = load_rlx(&b->spare); // order: own, under the lock
	if (r != NULL) {
		store_rlx(&b->spare, NULL); // order: own, under the lock
	} else {
		r = *fresh;
		*fresh = NULL;
	}
	if (r == NULL)
		return;
	r->obj = obj;
	store_rlx(&obj->record, r); // order: own, T1
}

// The record of obj, whose lock is taken; there is one then. A new one that is not needed after all
// is left in *fresh: under the lock there is neither allocating nor freeing.
static Record *
lock_record(Obj *obj, Bucket *b, Record **fresh)
{
	*fresh = NULL;
	for (bool again = false;; again = true) {
		// order: hint, of both
		bool none = load_rlx(&obj->record) == NULL && load_rlx(&b->spare) == NULL;
		if (*fresh == NULL && (none || again))
			*fresh = record_new();
		mutex_lock(&b->lock);
		if (record_of(obj) == NULL)
			take_record(obj, b, fresh);
		Record *r = record_of(obj);
		if (likely(r != NULL))
			return r;
		mutex_unlock(&b->lock); // it, or the lock, had one a moment ago
	}
}

// Sets the timer; whether it was set before. ch NULL: all else stays as it is.
static bool
set(Obj *obj, int64_t when, const Change *ch)
{
	sched_enter();
	if (!service_start(&runner))
		gc_out_of_memory(sizeof(runner));
	Record *fresh;
	Bucket *b = bucket_of(obj);
	Record *r = lock_record(obj, b, &fresh);
	bool was = timer_set(&r->timer, when < 0 ? 0 : when, ch != NULL ? change : NULL,
			     (int64_t)(uintptr_t)ch);
	mutex_unlock(&b->lock);
	gc_free_pinned(fresh);
	sched_leave();
	return was;
}

GOFUNC("time.startTimer", void, rt_starttimer, (Obj *obj))
{
	set(obj, obj->when, NULL);
}

// Whether the timer is that of a record for obj.
static bool
is_of(const Timer *t, const void *obj)
{
	return t->fire == fire && container_of(t, const Record, timer)->obj == obj;
}

// What is set already, T4; else as for any other.
GOFUNC("time.resetTimer", bool, rt_resettimer, (Obj *obj, int64_t when))
{
	Record *r = load_rlx(&obj->record); // order: hint, timer_move_here looks itself
	if (likely(r != NULL) && likely(godebug.efence == 0)) { // or what is freed cannot be read
		sched_enter();
		bool moved = timer_move_here(&r->timer, when < 0 ? 0 : when, is_of, obj);
		sched_leave();
		if (likely(moved))
			return true;
	}
	return set(obj, when, NULL);
}

GOFUNC("time.modTimer", void, rt_modtimer,
       (Obj *obj, int64_t when, int64_t period, const FuncVal *f, Eface arg, uintptr_t seq))
{
	Change ch = {period, f, arg, seq};
	set(obj, when, &ch);
}

GOFUNC("time.stopTimer", bool, rt_stoptimer, (Obj *obj))
{
	bool was = false;
	Record *over = NULL;
	sched_enter();
	Bucket *b = bucket_of(obj);
	mutex_lock(&b->lock);
	Record *r = record_of(obj);
	if (r != NULL) {
		was = timer_stop(&r->timer);
		over = let_go(b, r);
	}
	mutex_unlock(&b->lock);
	gc_free_pinned(over);
	sched_leave();
	return was;
}
