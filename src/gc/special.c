// SPDX-License-Identifier: BSD-3-Clause
// Finalizers, cleanups and weak pointers: what is attached to which object, and what becomes of it
// when the object is found dead.
//
// A span with such objects has a list of records, by rising slot. It is looked at when somebody
// attaches something, by the mark, and when the span is swept, which is where dead objects are
// found. Records lie outside of the heap, in memory that is no root: what they point to lives only
// as far as specials_mark_roots says.
//
// A dead object with finalizers is revived: its mark bit is set before the span is swept. Then, or
// else, these become of its records:
//                 revived          freed
//   finalizer     queued           (none)
//   cleanup       stays            queued
//   weak          cleared          cleared
//   sample        stays            counted
//
// Invariants:
//   S1  A record in a list belongs to an allocated slot of the list's span. In a swept span, to a
//       live one; in an unswept span the object lives if it is marked.
//   S2  What the object of a finalizer points to is marked by each mark, with the finalizer's
//       argument and that of each cleanup. So a revived object has nothing dead below it.
//   S3  A weak pointer is in its object's list until it is cleared, and never afterwards. It may be
//       read until its count is 0.
//   S4  A span with records is in `all`; a span whose last record goes leaves it.
// Locks:  special_lock, rank special. The mark takes none: with the world stopped, foreign_lock
//         held and all swept nobody is about to change what it reads. A thread that stands still
//         may have the lock all the same: one of the program's that looks in specials_wake whom to
//         tell. So nothing between threads_stop and threads_resume takes it. Sweeping takes it for
//         a span at a time, while nothing of the heap is held; but a record of the runtime may be
//         allocated, and a span be swept for that, under any lock that is taken before `central`.
//         So nothing else is taken below it, and nobody woken.
// Not done: a lock for each span. Attaching costs some 30 ns under the lock; sweepers hold it for
//         some microseconds.
#include "gc/special.h"

#include "gc/collect.h"
#include "gc/pace.h"
#include "gc/profile.h"
#include "mem/mem_up.h"
#include "mem/walk.h"
#include "sched/sched.h"

typedef enum RecordKind {
	RECORD_FINALIZER,
	RECORD_CLEANUP,
	RECORD_WEAK,
	RECORD_SAMPLE, // of the heap profile
} RecordKind;

// Fields: special_lock, and STW.
typedef struct Record {
	struct Record *next; // in the span's list
	uint32_t index;      // slot
	uint8_t kind;        // RecordKind; constant
	bool cleared;        // weak: S3
	uintptr_t what;      // constant. Finalizer, weak: the pointer; cleanup: its number;
			     // sample: its site
	uintptr_t fn;        // constant
	union {
		uintptr_t arg;  // finalizer, cleanup: constant
		uint64_t count; // weak: how many have it
	};
} Record;
static_assert(sizeof(Record) <= RECORD_BYTES, "records come from one slab");

// The handle of a program is the record itself, which then outlives the object.
struct go_weak {
	Record record;
};

// What a span has. Fields: special_lock, and STW.
typedef struct Special Special;
struct Special {
	Mspan *span;         // constant
	Record *first;
	Record *finger;      // the record before where the last search ended, or NULL
	Special *all_next;
	Special *all_prev;
};
static_assert(sizeof(Special) <= RECORD_BYTES, "records come from one slab");

Mutex special_lock = MUTEX_INIT(special);

static Special all;            // S4; not one of a span, but the beginning of the list
static uint64_t last_cleanup;       // special_lock
static ATOMIC(Special *) mark_at = ATOMIC_INIT(&all); // STW: the last one a marker has taken
static ATOMIC_BOOL queue_taken;     // STW: a marker looks after the queue

// --- records -------------------------------------------------------------------------------------

enum { SLAB_BYTES = 256 << 10 };

typedef struct FreeRecord {
	struct FreeRecord *next;
} FreeRecord;

static struct {
	FreeRecord *free; // special_lock
	char *slab;       // special_lock
	size_t slab_left; // special_lock: records
} records;

void *
record_new(void)
{
	assert_held(&special_lock);
	FreeRecord *r = records.free;
	if (r != NULL) {
		records.free = r->next;
		return r;
	}
	if (records.slab_left == 0) {
		records.slab = gc_map(SLAB_BYTES);
		if (records.slab == NULL)
			return NULL;
		records.slab_left = SLAB_BYTES / RECORD_BYTES;
	}
	void *fresh = records.slab;
	records.slab += RECORD_BYTES;
	records.slab_left--;
	return fresh;
}

void
record_free(void *record)
{
	assert_held(&special_lock);
	FreeRecord *r = record;
	r->next = records.free;
	records.free = r;
}

// --- lists ---------------------------------------------------------------------------------------

static Special *
specials_of(Slot s)
{
	return load_rlx(&heap.spans[s.page].specials); // order: own, or under the lock
}

// Enters a span. NULL without memory.
static Special *
specials_make(Slot s)
{
	Special *ss = record_new();
	if (ss == NULL)
		return NULL;
	*ss = (Special){.span = &heap.spans[s.page], .all_next = all.all_next, .all_prev = &all};
	if (all.all_next != NULL)
		all.all_next->all_prev = ss;
	all.all_next = ss;
	store_rlx(&ss->span->specials, ss); // order: own, under the lock
	return ss;
}

// S4.
static void
specials_drop_empty(Special *ss)
{
	if (ss->first != NULL)
		return;
	ss->all_prev->all_next = ss->all_next;
	if (ss->all_next != NULL)
		ss->all_next->all_prev = ss->all_prev;
	store_rel(&ss->span->specials, NULL); // order: publish -> span_sweep
	record_free(ss);
}

// The link to the first record of the slot, or to where it would be. Slots in rising order, which
// is how they are allocated, are found at once.
static Record **
list_find(Special *ss, uint32_t index)
{
	Record *before = ss->finger;
	if (before == NULL || before->index >= index)
		before = NULL;
	Record **at = before != NULL ? &before->next : &ss->first;
	while (*at != NULL && (*at)->index < index) {
		before = *at;
		at = &before->next;
	}
	ss->finger = before;
	return at;
}

// The link to the slot's record of that kind and `what`; NULL: there is none.
static Record **
list_look(Special *ss, uint32_t index, RecordKind kind, uintptr_t what)
{
	Record **at = list_find(ss, index);
	for (; *at != NULL && (*at)->index == index; at = &(*at)->next)
		if ((*at)->kind == kind && (*at)->what == what)
			return at;
	return NULL;
}

// Takes the record at a link out of the list.
static Record *
list_take(Special *ss, Record **at)
{
	Record *r = *at;
	*at = r->next;
	if (ss->finger == r)
		ss->finger = NULL;
	return r;
}

// Attaches a record to the slot. NULL without memory.
static Record *
attach(Slot s, const Record *proto)
{
	Special *ss = specials_of(s);
	if (ss == NULL && (ss = specials_make(s)) == NULL)
		return NULL;
	Record *r = record_new();
	if (r == NULL) {
		specials_drop_empty(ss);
		return NULL;
	}
	Record **at = list_find(ss, s.index);
	*r = *proto;
	r->index = s.index;
	r->next = *at;
	*at = r;
	return r;
}

static Record **
look(Slot s, RecordKind kind, uintptr_t what)
{
	Special *ss = specials_of(s);
	return ss != NULL ? list_look(ss, s.index, kind, what) : NULL;
}

// Takes the record at a link that look found off its object.
static Record *
detach(Slot s, Record **at)
{
	Special *ss = specials_of(s);
	Record *r = list_take(ss, at);
	specials_drop_empty(ss);
	return r;
}

// --- for programs --------------------------------------------------------------------------------

static void
enter(void)
{
	if (sched_m()->p == NULL)
		foreign_lock();
	mutex_lock(&special_lock);
}

static void
leave(void)
{
	mutex_unlock(&special_lock);
	if (sched_m()->p == NULL)
		foreign_unlock();
}

// The object that p points to or into; info is NULL when there is none.
static Slot
object_of(void *p)
{
	Slot s = heap_slot((uintptr_t)p);
	if (s.info != NULL &&
	    (load_rlx(slot_free_word(s)) >> (s.index % 64) & 1) != 0) // order: the caller's object
		s.info = NULL;
	return s;
}

// Attaches a call that will be made when the object has died. 0 or GO_ENOMEM.
static int
attach_call(Slot s, const Record *proto)
{
	if (!final_reserve())
		return GO_ENOMEM;
	if (attach(s, proto) != NULL)
		return 0;
	final_unreserve();
	return GO_ENOMEM;
}

static void
detach_call(Slot s, Record **at)
{
	record_free(detach(s, at));
	final_unreserve();
}

static void
remove_finalizer(Slot s, void *p)
{
	enter();
	Record **at = look(s, RECORD_FINALIZER, (uintptr_t)p);
	if (at != NULL)
		detach_call(s, at);
	leave();
}

int
special_set_finalizer(void *p, PointsTo to, FinalizerFn *fn, void *arg)
{
	Slot s = object_of(p);
	if (s.info == NULL)
		fatal("runtime.SetFinalizer: pointer not in heap");
	if (slot_addr(s) != p && to == POINTS_TO_BEGINNING)
		fatal("runtime.SetFinalizer: pointer not at beginning of allocated block");
	if (fn == NULL) {
		remove_finalizer(s, p);
		return 0;
	}
	if (!final_start())
		return GO_ENOMEM;
	Record proto = {.kind = RECORD_FINALIZER, .what = (uintptr_t)p, .fn = (uintptr_t)fn};
	proto.arg = (uintptr_t)arg;
	enter();
	bool fresh = look(s, RECORD_FINALIZER, (uintptr_t)p) == NULL;
	int err = fresh ? attach_call(s, &proto) : 0;
	leave();
	if (!fresh)
		fatal("runtime.SetFinalizer: finalizer already set");
	return err;
}

uint64_t
special_add_cleanup(void *p, CleanupFn *fn, void *arg)
{
	Slot s = object_of(p);
	if (s.info == NULL)
		fatal("runtime.AddCleanup: ptr not in allocated block");
	if (!final_start())
		return 0;
	Record proto = {.kind = RECORD_CLEANUP, .fn = (uintptr_t)fn};
	proto.arg = (uintptr_t)arg;
	enter();
	uint64_t id = ++last_cleanup;
	proto.what = id;
	int err = attach_call(s, &proto);
	leave();
	return err == 0 ? id : 0;
}

bool
special_add_sample(Slot s, uintptr_t site)
{
	Record proto = {.kind = RECORD_SAMPLE, .what = site};
	enter();
	bool ok = attach(s, &proto) != NULL;
	leave();
	return ok;
}

bool
special_stop_cleanup(void *p, uint64_t id)
{
	Slot s = heap_slot((uintptr_t)p);
	if (s.info == NULL)
		return false;
	enter();
	Record **at = look(s, RECORD_CLEANUP, id);
	if (at != NULL)
		detach_call(s, at);
	leave();
	return at != NULL;
}

// --- weak pointers -------------------------------------------------------------------------------

struct go_weak *
special_weak_new(void *p)
{
	Slot s = heap_slot((uintptr_t)p);
	if (s.info == NULL)
		return NULL;
	Record proto = {.kind = RECORD_WEAK, .what = (uintptr_t)p};
	enter();
	Record **at = look(s, RECORD_WEAK, (uintptr_t)p);
	Record *r = at != NULL ? *at : attach(s, &proto);
	if (r != NULL)
		r->count++;
	leave();
	return r != NULL ? container_of(r, struct go_weak, record) : NULL;
}

// Whether the object of a record in a list lives; S1.
static bool
lives(Slot s)
{
	return span_swept(&heap.spans[s.page]) || slot_marked(s);
}

// What was given back is known for as long as nothing else has its record.
static bool
is_weak(const Record *r)
{
	return r->kind == RECORD_WEAK && r->count != 0;
}

void *
special_weak_get(struct go_weak *w)
{
	Record *r = &w->record;
	void *p = NULL;
	enter();
	bool weak = is_weak(r);
	if (likely(weak) && !r->cleared && lives(heap_slot(r->what)))
		p = (void *)r->what; // here: after leave a thread may be halted, and r is no root
	leave();
	if (unlikely(!weak))
		fatal("go_weak_get: the weak pointer was freed");
	return p;
}

static void
weak_detach(const Record *r)
{
	Slot s = heap_slot(r->what);
	(void)detach(s, look(s, RECORD_WEAK, r->what));
}

void
special_weak_free(struct go_weak *w)
{
	Record *r = &w->record;
	enter();
	bool weak = is_weak(r);
	if (likely(weak) && --r->count == 0) {
		if (!r->cleared)
			weak_detach(r); // else the page may be somebody else's by now
		record_free(r);
	}
	leave();
	if (unlikely(!weak))
		fatal("go_weak_free: the weak pointer was freed already");
}

// --- the end of objects --------------------------------------------------------------------------

// What becomes of a record that has left its list.
static void
let_go(Record *r, bool call)
{
	if (r->kind == RECORD_WEAK) {
		r->cleared = true;
		return;
	}
	if (r->kind == RECORD_SAMPLE)
		profile_freed(r->what);
	else if (call)
		final_queue(r->fn, r->kind == RECORD_FINALIZER ? r->what : 0, r->arg);
	else
		final_unreserve();
	record_free(r);
}

static bool
outlives_revival(const Record *r)
{
	return r->kind == RECORD_CLEANUP || r->kind == RECORD_SAMPLE;
}

static bool
keeps_something(const Record *r)
{
	return r->kind == RECORD_FINALIZER || r->kind == RECORD_CLEANUP;
}

// Queues all calls of the slot whose first record is at the link, or those of finalizers only; weak
// pointers are cleared. Returns how many records that were.
static uint32_t
take_slot(Special *ss, Record **at, bool cleanups, bool call)
{
	uint32_t n = 0;
	uint32_t index = *at != NULL ? (*at)->index : 0;
	while (*at != NULL && (*at)->index == index) {
		if (outlives_revival(*at) && !cleanups) {
			at = &(*at)->next;
			continue;
		}
		let_go(list_take(ss, at), call);
		n++;
	}
	return n;
}

static bool
has_finalizer(const Record *r)
{
	for (uint32_t index = r->index; r != NULL && r->index == index; r = r->next)
		if (r->kind == RECORD_FINALIZER)
			return true;
	return false;
}

// The object whose first record is at the link is dead, unless a finalizer revives it.
static void
object_died(Special *ss, Record **at, Slot s)
{
	bool revived = has_finalizer(*at);
	take_slot(ss, at, !revived, true);
	if (!revived)
		return;
	ATOMIC_U64 *word = slot_mark_word(s);
	store_rlx(word, load_rlx(word) | (uint64_t)1 << (s.index % 64)); // order: own, the sweeper
	pace_revived((int64_t)slot_bytes(s));
}

static void
sweep_list(Special *ss)
{
	Slot s = {.page = span_page(ss->span), .info = &heap.info[span_page(ss->span)]};
	Record **at = &ss->first;
	while (*at != NULL) {
		s.index = (*at)->index;
		if (!slot_marked(s))
			object_died(ss, at, s);
		// Past what stays of this slot.
		while (*at != NULL && (*at)->index == s.index)
			at = &(*at)->next;
	}
}

void
up_sweep_specials(Mspan *span)
{
	mutex_lock(&special_lock);
	Special *ss = load_rlx(&span->specials); // order: own, under the lock
	if (ss != NULL) {
		sweep_list(ss);
		specials_drop_empty(ss);
	}
	mutex_unlock(&special_lock);
}

void
specials_drop(Slot s)
{
	if (likely(specials_of(s) == NULL)) // what was attached to the caller's object it has seen
		return;
	enter();
	Special *ss = specials_of(s);
	if (ss != NULL) {
		Record **at = list_find(ss, s.index);
		if (*at != NULL && (*at)->index == s.index)
			take_slot(ss, at, true, false);
		specials_drop_empty(ss);
	}
	leave();
}

// --- the mark ------------------------------------------------------------------------------------

// S2.
static void
mark_record(Marker *m, Slot s, const Record *r)
{
	if (!keeps_something(r))
		return;
	mark_word(m, r->arg);
	s.index = r->index;
	if (r->kind == RECORD_FINALIZER)
		mark_contents(m, s);
}

static void
mark_span(Marker *m, const Special *ss)
{
	Slot s = {.page = span_page(ss->span), .info = &heap.info[span_page(ss->span)]};
	for (const Record *r = ss->first; r != NULL; r = r->next)
		mark_record(m, s, r);
}

// The next span that no marker has taken. The list does not change meanwhile.
static Special *
next_span(void)
{
	Special *at = load_rlx(&mark_at); // order: claim, nothing rides on it
	while (at->all_next != NULL)
		if (cas_rlx(&mark_at, &at, at->all_next)) // order: claim, nothing rides on it
			return at->all_next;
	return NULL;
}

void
specials_mark_roots(Marker *m)
{
	if (!xchg_rlx(&queue_taken, true)) // order: claim, nothing rides on it
		final_mark(m);
	for (Special *ss; (ss = next_span()) != NULL;)
		mark_span(m, ss);
}

// An object whose contents are marked is not marked itself, so only its record leads there.
void
specials_mark_again(Marker *m)
{
	final_mark(m);
	for (Special *ss = all.all_next; ss != NULL; ss = ss->all_next) {
		Slot s = {.page = span_page(ss->span), .info = &heap.info[span_page(ss->span)]};
		for (const Record *r = ss->first; r != NULL; r = r->next) {
			mark_record(m, s, r);
			mark_settle(m);
		}
	}
}

void
specials_visit(void (*word)(uintptr_t w), void (*contents)(Slot s))
{
	final_visit(word);
	for (Special *ss = all.all_next; ss != NULL; ss = ss->all_next) {
		Slot s = {.page = span_page(ss->span), .info = &heap.info[span_page(ss->span)]};
		for (const Record *r = ss->first; r != NULL; r = r->next) {
			if (!keeps_something(r))
				continue;
			word(r->arg);
			s.index = r->index;
			if (r->kind == RECORD_FINALIZER)
				contents(s);
		}
	}
}

void
specials_each_finalizer(void (*tell)(void *ctx, Slot s, void *p, FinalizerFn *fn, void *arg),
			void *ctx)
{
	for (Special *ss = all.all_next; ss != NULL; ss = ss->all_next) {
		Slot s = {.page = span_page(ss->span), .info = &heap.info[span_page(ss->span)]};
		for (const Record *r = ss->first; r != NULL; r = r->next) {
			s.index = r->index;
			if (r->kind == RECORD_FINALIZER)
				tell(ctx, s, (void *)r->what, (FinalizerFn *)r->fn, (void *)r->arg);
		}
	}
}

// S1, as long as nothing waits to be swept.
static void
verify_records(const Special *ss)
{
	Slot s = {.page = span_page(ss->span), .info = &heap.info[span_page(ss->span)]};
	uintptr_t at = (uintptr_t)heap_page_addr(s.page);
	uint32_t before = 0;
	heap_walk_same("a list of records without one", at, ss->first == NULL, 0);
	for (const Record *r = ss->first; r != NULL; before = r->index, r = r->next) {
		s.index = r->index;
		if (s.index < before || s.index >= s.info->nelems) {
			heap_walk_wrong("the slot of a record", at, s.index, before);
			return;
		}
		uint64_t free = load_rlx(slot_free_word(s)); // order: STW
		heap_walk_same("a record of a free slot", (uintptr_t)slot_addr(s),
			       free >> (s.index % 64) & 1, 0);
	}
}

void
specials_verify(void)
{
	const Special *before = &all;
	for (const Special *ss = all.all_next; ss != NULL; before = ss, ss = ss->all_next) {
		uintptr_t at = (uintptr_t)heap_page_addr(span_page(ss->span));
		heap_walk_same("the list of spans with records", at, ss->all_prev == before, 1);
		const Special *its = load_rlx(&ss->span->specials); // order: STW
		heap_walk_same("a span's records", at, its == ss, 1);      // S4
		verify_records(ss);
	}
}

// Nothing is left to mark: what is dead is found by sweeping. The next mark begins anew.
void
specials_after_mark(void)
{
	store_rlx(&mark_at, &all);       // order: STW
	store_rlx(&queue_taken, false);  // order: STW
}
