// SPDX-License-Identifier: BSD-3-Clause
// The events of a trace. What they are made of, byte by byte, is below; who tells of what is in
// switch.c and idle.c, by observe.c.
//
// Each P has a buffer of its own, into which its owner writes: who runs on it, who has frozen the
// lease of that M, who has stopped the world. What is told without a P goes into one more, that of
// nobody. Full ones are taken away by a reader, who puts them back when he has copied them. The
// memory of all is reserved when the trace begins, and committed by touch; nothing is allocated
// where the scheduler tells.
//
// An event of a goroutine has its place among those of the same goroutine in other buffers by a
// number, which counts how often it became runnable or began to run. So G.told has that number,
// and above all what the trace believes of the G. Whoever tells of a G looks there first:
//
//   NOTHING --create--> RUNNABLE --start--> RUNNING --block--> WAITING --unblock--> RUNNABLE
//                          ^                 |   |
//                          \------yield------/   \--its P is lost--> CALL --exit--> RUNNABLE
//
// Invariants:
//   E1  A trace begins and ends with the world stopped, and for those without a P, who may go on
//       meanwhile, under events_lock: from before events_recorded is set until all Gs are told of.
//   E2  G.told belongs to whom the G does: who runs it, or is about to; who readies it; who has
//       frozen the lease of its M; who begins the trace.
//   E3  Whatever is told, the trace is consistent: what leads from what it believes of the G to
//       that, and was not told, is told first. Who has no P may have readied a G before the
//       beginning that is found in its state of before.
//   E4  Times do not fall within a buffer, and an event is told before anyone can act upon it and
//       after what it follows from. So whoever cuts all events after some moment off leaves a
//       consistent trace: that is what happens when there is no room. That moment is later than
//       all that a reader may have taken, and earlier than whatever follows from an event that was
//       left out: it is read under events_lock, before `cut` is set.
// Locks:  events_lock, rank leaf: the lists of buffers, the buffer of nobody, notes that are added.
// Order:  O1  publish a note by its chain's head -> intern.
#include "sched/events.h"

#include <string.h>

#include "sched/sched_impl.h"

// --- the format ----------------------------------------------------------------------------------
//
// An event is a byte, whose low six bits tell what it is and the others how many numbers follow
// beyond the first; the first is the time since the last event of the buffer. When there are four
// or more numbers the count is 3, and the number of bytes that they take comes before them. Numbers
// have seven bits a byte, the low ones first, and the eighth says that more come. A buffer begins
// with an event that has the P and the time instead.

enum {
	EVENT_BATCH = 1,
	EVENT_PROCS = 4,
	EVENT_P_BEGINS = 5,
	EVENT_P_ENDS = 6,
	EVENT_CREATE = 13,
	EVENT_START = 14,
	EVENT_END = 15,
	EVENT_YIELD = 17,
	EVENT_SLEEP = 19,
	EVENT_BLOCK = 20,
	EVENT_UNBLOCK = 21,
	EVENT_BLOCK_SEND = 22,
	EVENT_BLOCK_RECV = 23,
	EVENT_BLOCK_SELECT = 24,
	EVENT_BLOCK_SYNC = 25,
	EVENT_BLOCK_COND = 26,
	EVENT_BLOCK_NET = 27,
	EVENT_CALL = 28,
	EVENT_CALL_EXITS = 29,
	EVENT_CALL_BLOCKS = 30,
	EVENT_WAITS = 31,
	EVENT_IN_CALL = 32,
	EVENT_BLOCK_GC = 42,
	EVENT_TASK = 45,
	EVENT_TASK_ENDS = 46,
	EVENT_REGION = 47,
	EVENT_LOG = 48,
	EVENT_COUNT_SHIFT = 6,
	EVENT_COUNT_LONG = 3,
};

enum {
	NUMBERS_MAX = 6, // of an event, the time among them
	NUMBER_BYTES = 10,
	EVENT_BYTES = 2 + NUMBERS_MAX * NUMBER_BYTES,
	TEXT_BYTES = 4 << 10, // longer ones are cut off
	CHAINS = 4096,
};
#define NOBODY UINT64_MAX // as a P

// What the trace believes of a G: G.told has it in its low bits.
enum { TOLD_NOTHING, TOLD_RUNNABLE, TOLD_RUNNING, TOLD_WAITING, TOLD_CALL, TOLD_BITS = 3 };

typedef struct EventBuf {
	struct EventBuf *next;
	size_t n;
	int64_t last; // time of the last event
	uint8_t bytes[];
} EventBuf;
enum { BUF_BYTES = EVENTS_TAKEN, BUF_ROOM = BUF_BYTES - sizeof(EventBuf) };
static_assert(BUF_ROOM > TEXT_BYTES + 2 * EVENT_BYTES, "an event fits into a buffer");

typedef struct Chained {
	struct Chained *next; // set before publication, like all else
	uint64_t hash;
	EventNote note;
} Chained;

typedef ATOMIC(Chained *) Chain; // O1; events_lock writes

typedef struct Notes {
	Chain chains[CHAINS];
	const EventNote *newest; // events_lock
	uint64_t n;              // events_lock: the last number
} Notes;

// Memory of which pieces are taken, from the beginning on.
typedef struct Area {
	char *at; // NULL: there is none
	size_t bytes, used;
} Area;

typedef struct Log {
	const EventSource *source; // world stopped
	Area bufs;                 // events_lock
	Area notes;                // events_lock
	EventBuf *unused;          // events_lock
	EventBuf *full, *last;     // events_lock: to be taken, the oldest first
	EventBuf *nobody;          // events_lock
	ATOMIC_BOOL cut;           // events_lock writes: there was no room
	bool nameless;             // events_lock: there was none for a stack or a text
	int64_t cut_at;            // events_lock: when; E4
	Notes *stacks, *texts;     // set by the first start
} Log;

static Mutex events_lock = MUTEX_INIT(leaf);
static Log elog;
ATOMIC_BOOL events_recorded; // E1

// --- memory --------------------------------------------------------------------------------------

// As much as the system reserves, at most and at least.
static bool
area_make(Area *a, size_t most, size_t least)
{
	for (size_t n = most; a->at == NULL && n >= least; n /= 2) {
		a->at = os_map(n, os_page_bytes());
		a->bytes = n;
	}
	a->used = 0;
	return a->at != NULL;
}

static void *
area_take(Area *a, size_t bytes)
{
	bytes = (bytes + 15) & ~(size_t)15;
	if (a->bytes - a->used < bytes)
		return NULL;
	void *p = a->at + a->used;
	a->used += bytes;
	return p;
}

// Pages that could not be given back, as they are locked, still have those of the last trace.
static Notes *
notes_make(void)
{
	Notes *all = area_take(&elog.notes, sizeof(*all));
	memset(all, 0, sizeof(*all));
	return all;
}

// Kept from trace to trace, as address space: its pages go back.  Nobody reads or tells.
static bool
log_make(void)
{
	enum { BUFS_MOST = 256 << 20, NOTES_MOST = 64 << 20, LEAST = 1 << 20 };
	if (!area_make(&elog.bufs, BUFS_MOST, LEAST) || !area_make(&elog.notes, NOTES_MOST, LEAST))
		return false;
	elog.stacks = notes_make();
	elog.texts = notes_make();
	elog.unused = elog.full = elog.last = elog.nobody = NULL;
	elog.nameless = false;
	store_rlx(&elog.cut, false); // order: own, no trace
	return true;
}

// --- buffers -------------------------------------------------------------------------------------

// Who tells, and where.
typedef struct Teller {
	EventBuf **at;
	P *pp;       // whose owner it is; NULL: nobody
	uint64_t proc;
	bool locked; // events_lock is held: it is nobody, or begins the trace
} Teller;

static void
add_number(EventBuf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		b->bytes[b->n++] = (uint8_t)(v | 0x80);
	b->bytes[b->n++] = (uint8_t)v;
}

// Into the list of those to be taken.  Locks: events_lock held.
static void
buf_full(EventBuf *b)
{
	if (b == NULL)
		return;
	b->next = NULL;
	*(elog.full != NULL ? &elog.last->next : &elog.full) = b;
	elog.last = b;
}

// From now on events are left out.  E4  Locks: events_lock held.
static void
cut_here(void)
{
	if (load_rlx(&elog.cut)) // order: own, under the lock
		return;
	elog.cut_at = os_nanotime();
	while (os_nanotime() == elog.cut_at) {
		// a clock that is coarse: what follows is later
	}
	store_rlx(&elog.cut, true); // order: hint, E4
}

// Locks: events_lock held.
static EventBuf *
buf_next(EventBuf *old, uint64_t proc, int64_t now)
{
	buf_full(old);
	EventBuf *b = elog.unused;
	if (b != NULL)
		elog.unused = b->next;
	else
		b = area_take(&elog.bufs, BUF_BYTES);
	if (b == NULL) {
		cut_here();
		return NULL;
	}
	b->n = 0;
	b->last = now;
	b->bytes[b->n++] = EVENT_BATCH | 1 << EVENT_COUNT_SHIFT;
	add_number(b, proc);
	add_number(b, (uint64_t)now);
	return b;
}

// A buffer with room for so much more than an event, or NULL.
static EventBuf *
buf_for(const Teller *t, size_t more, int64_t now)
{
	EventBuf *b = *t->at;
	if (unlikely(load_rlx(&elog.cut))) // order: hint, E4
		return NULL;
	if (likely(b != NULL && BUF_ROOM - b->n >= EVENT_BYTES + more))
		return b;
	if (!t->locked)
		mutex_lock(&events_lock);
	b = *t->at = buf_next(b, t->proc, now);
	if (!t->locked)
		mutex_unlock(&events_lock);
	return b;
}

// An event with n numbers behind the time, and room for so much behind it; its buffer, or NULL.
static EventBuf *
tell_with(const Teller *t, uint8_t type, const uint64_t *v, uint32_t n, size_t more)
{
	int64_t now = os_nanotime();
	EventBuf *b = buf_for(t, more, now);
	if (b == NULL)
		return NULL;
	uint64_t since = now > b->last ? (uint64_t)(now - b->last) : 0; // E4
	b->last += (int64_t)since;
	bool is_long = n >= EVENT_COUNT_LONG;
	uint32_t count = is_long ? EVENT_COUNT_LONG : n;
	b->bytes[b->n++] = (uint8_t)(type | count << EVENT_COUNT_SHIFT);
	size_t bytes_at = b->n;
	b->n += is_long;
	add_number(b, since);
	for (uint32_t i = 0; i < n; i++)
		add_number(b, v[i]);
	if (is_long)
		b->bytes[bytes_at] = (uint8_t)(b->n - bytes_at - 1);
	return b;
}

#define TELL(t, type, ...)                                                      \
	((void)tell_with((t), (type), (const uint64_t[]){0, ##__VA_ARGS__} + 1, \
			 sizeof((const uint64_t[]){0, ##__VA_ARGS__}) / sizeof(uint64_t) - 1, 0))

// --- notes ---------------------------------------------------------------------------------------

static uint64_t
hash_of(const void *data, size_t bytes)
{
	const uint8_t *p = data;
	uint64_t h = bytes;
	for (size_t i = 0; i < bytes; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return base_mix(h);
}

static const Chained *
find_note(const Chained *c, uint64_t hash, const void *data, size_t bytes)
{
	for (; c != NULL; c = c->next)
		if (c->hash == hash && c->note.bytes == bytes &&
		    memcmp(c->note.data, data, bytes) == 0)
			return c;
	return NULL;
}

// Locks: events_lock held.
static const Chained *
add_note(Notes *all, uint64_t hash, const void *data, size_t bytes)
{
	Chain *chain = &all->chains[hash % CHAINS];
	Chained *first = load_rlx(chain); // order: own, under the lock
	const Chained *had = find_note(first, hash, data, bytes);
	if (had != NULL)
		return had;
	Chained *c = area_take(&elog.notes, sizeof(*c) + bytes);
	if (c == NULL) {
		elog.nameless = true;
		return NULL;
	}
	c->next = first;
	c->hash = hash;
	c->note.older = all->newest;
	c->note.id = ++all->n;
	c->note.bytes = bytes;
	memcpy(c->note.data, data, bytes);
	all->newest = &c->note;
	store_rel(chain, c); // order: publish -> intern, O1
	return c;
}

// The number by which events name it; 0: there is no room for more, or nothing to name.
static uint64_t
intern(const Teller *t, Notes *all, const void *data, size_t bytes)
{
	if (bytes == 0)
		return 0;
	uint64_t hash = hash_of(data, bytes);
	const Chained *first = load_acq(&all->chains[hash % CHAINS]); // order: observe <- add_note
	const Chained *c = find_note(first, hash, data, bytes);
	if (c == NULL && !t->locked)
		mutex_lock(&events_lock);
	if (c == NULL) {
		c = add_note(all, hash, data, bytes);
		if (!t->locked)
			mutex_unlock(&events_lock);
	}
	return c != NULL ? c->note.id : 0;
}

static uint64_t
text(const Teller *t, const char *s, size_t n)
{
	return intern(t, elog.texts, s, n < TEXT_BYTES ? n : TEXT_BYTES);
}

// The stack of the G that runs here; 0: none does.
static uint64_t
stack_here(const Teller *t)
{
	uintptr_t pcs[EVENT_FRAMES];
	const M *mp = sched_m();
	if (t->locked || mp == NULL || mp->curg == NULL)
		return 0;
	size_t n = elog.source->callers(pcs, EVENT_FRAMES);
	return intern(t, elog.stacks, pcs, n * sizeof(pcs[0]));
}

// What gp will run, as a stack.
static uint64_t
stack_of_entry(const Teller *t, const G *gp)
{
	uintptr_t pc = elog.source->entry(gp);
	return pc != 0 ? intern(t, elog.stacks, &pc, sizeof(pc)) : 0;
}

// --- who tells -----------------------------------------------------------------------------------

// Who owns pp.
static Teller
teller_of(P *pp)
{
	return (Teller){&pp->events, pp, pp->id, false};
}

// Who calls. False: there is no trace; else teller_done follows.
static bool
teller_here(Teller *t)
{
	const M *mp = sched_m();
	if (mp != NULL && mp->p != NULL) {
		*t = teller_of(mp->p);
		return events_on();
	}
	mutex_lock(&events_lock);
	*t = (Teller){&elog.nobody, NULL, NOBODY, true};
	if (events_on()) // E1
		return true;
	mutex_unlock(&events_lock);
	return false;
}

static void
teller_done(const Teller *t)
{
	if (t->locked)
		mutex_unlock(&events_lock);
}

// --- goroutines ----------------------------------------------------------------------------------

static uint32_t
told(const G *gp)
{
	return gp->told & ((1 << TOLD_BITS) - 1);
}

static void
set_told(G *gp, uint32_t what)
{
	gp->told = (gp->told >> TOLD_BITS << TOLD_BITS) | what;
}

// The number of its next event that has one.
static uint64_t
next_number(G *gp)
{
	uint32_t n = gp->told >> TOLD_BITS;
	gp->told += 1 << TOLD_BITS;
	return n;
}

static void
tell_create(const Teller *t, G *gp, uint64_t stack)
{
	gp->told = 1 << TOLD_BITS | TOLD_RUNNABLE;
	TELL(t, EVENT_CREATE, gp->id, stack_of_entry(t, gp), stack);
}

// stack: of who makes it runnable.  E3
static void
tell_runnable(const Teller *t, G *gp, uint64_t stack)
{
	switch (told(gp)) {
	case TOLD_NOTHING:
		tell_create(t, gp, stack);
		break;
	case TOLD_WAITING:
		TELL(t, EVENT_UNBLOCK, gp->id, next_number(gp), stack);
		set_told(gp, TOLD_RUNNABLE);
		break;
	case TOLD_CALL:
		TELL(t, EVENT_CALL_EXITS, gp->id, next_number(gp), 0); // at that moment
		set_told(gp, TOLD_RUNNABLE);
		break;
	default:
		break;
	}
}

// A processor is begun when a goroutine runs on it: one that only looks for work comes and goes
// too often to be of interest.
static void
tell_p_begins(P *pp)
{
	Teller t = teller_of(pp);
	if (pp->events_begun)
		return;
	pp->events_begun = true;
	TELL(&t, EVENT_P_BEGINS, (uint64_t)load_rlx(&load_rlx(&pp->m)->tid)); // order: own
}

static void
tell_run(const Teller *t, G *gp)
{
	if (told(gp) == TOLD_RUNNING)
		return;
	tell_runnable(t, gp, 0);
	if (t->pp != NULL)
		tell_p_begins(t->pp);
	TELL(t, EVENT_START, gp->id, next_number(gp));
	set_told(gp, TOLD_RUNNING);
}

// The running G leaves; type has a stack.
static void
tell_leave(G *gp, uint8_t type, uint32_t becomes)
{
	Teller t;
	if (!teller_here(&t))
		return;
	tell_run(&t, gp);
	TELL(&t, type, stack_here(&t));
	set_told(gp, becomes);
	teller_done(&t);
}

void
events_ready(G *gp)
{
	Teller t;
	if (gp->thread || !teller_here(&t))
		return;
	tell_runnable(&t, gp, stack_here(&t));
	teller_done(&t);
}

static uint8_t
type_of(WaitReason why)
{
	static const uint8_t of[WAIT_COUNT] = {
		[WAIT_chan_recv] = EVENT_BLOCK_RECV,
		[WAIT_chan_send] = EVENT_BLOCK_SEND,
		[WAIT_select] = EVENT_BLOCK_SELECT,
		[WAIT_sleep] = EVENT_SLEEP,
		[WAIT_io] = EVENT_BLOCK_NET,
		[WAIT_semacquire] = EVENT_BLOCK_SYNC,
		[WAIT_mutex_lock] = EVENT_BLOCK_SYNC,
		[WAIT_rwmutex_rlock] = EVENT_BLOCK_SYNC,
		[WAIT_rwmutex_lock] = EVENT_BLOCK_SYNC,
		[WAIT_waitgroup_wait] = EVENT_BLOCK_SYNC,
		[WAIT_cond_wait] = EVENT_BLOCK_COND,
		[WAIT_gc_cycle] = EVENT_BLOCK_GC,
	};
	return of[why] != 0 ? of[why] : EVENT_BLOCK;
}

void
events_parks(G *gp, WaitReason why)
{
	tell_leave(gp, type_of(why), TOLD_WAITING);
}

void
events_yields(G *gp)
{
	tell_leave(gp, EVENT_YIELD, TOLD_RUNNABLE);
}

void
events_ends(G *gp)
{
	Teller t;
	if (!teller_here(&t))
		return;
	tell_run(&t, gp);
	TELL(&t, EVENT_END);
	set_told(gp, TOLD_NOTHING);
	teller_done(&t);
}

void
events_runs(G *gp)
{
	Teller t;
	if (!teller_here(&t))
		return;
	tell_run(&t, gp);
	teller_done(&t);
}

// --- processors ----------------------------------------------------------------------------------

void
events_p_begins(M *mp, P *pp)
{
	Teller t = teller_of(pp);
	if (events_on() && mp->curg != NULL) // it has lost one before, and goes on at once
		tell_run(&t, mp->curg);
}

void
events_p_ends(M *mp, P *pp)
{
	Teller t = teller_of(pp);
	if (!events_on())
		return;
	if (mp->curg != NULL) {
		tell_run(&t, mp->curg);
		TELL(&t, EVENT_CALL_BLOCKS);
		set_told(mp->curg, TOLD_CALL);
	}
	if (pp->events_begun)
		TELL(&t, EVENT_P_ENDS);
	pp->events_begun = false;
}

// By the stopper, who may have another P now.
void
events_procs(uint32_t n)
{
	Teller t;
	if (!teller_here(&t))
		return;
	TELL(&t, EVENT_PROCS, n, stack_here(&t));
	teller_done(&t);
}

// --- beginning and ending ------------------------------------------------------------------------

// All Gs as they are, but the running one.  World stopped.  Locks: events_lock held; gfree_lock
// too: so no thread's G stops being one, and one that is seen to run is known for a thread's.
static void
tell_all(const Teller *t)
{
	const G *self = sched_g();
	TELL(t, EVENT_PROCS, sched_procs().n, 0);
	for (G *gp = sched_all_first(); gp != NULL; gp = gp->all_next) {
		uint32_t s = load_acq(&gp->status); // order: observe <- who parked or woke
		gp->told = 0;
		if (gp->thread || gp == self || s == Gdead || s == Gidle)
			continue;
		tell_create(t, gp, 0);
		if (s == Gwaiting)
			TELL(t, EVENT_WAITS, gp->id);
		else if (s == Grunning)
			TELL(t, EVENT_IN_CALL, gp->id);
		if (s != Grunnable)
			(void)next_number(gp);
		set_told(gp, s == Gwaiting   ? TOLD_WAITING
			     : s == Grunning ? TOLD_CALL
					     : TOLD_RUNNABLE);
	}
}

// Of each P.  World stopped.  Locks: events_lock held.
static void
leave_buffers(bool full)
{
	ProcSnapshot all = procs_all();
	for (uint32_t i = 0; i < all.n; i++) {
		P *pp = all.p[i];
		if (full)
			buf_full(pp->events);
		pp->events = NULL;
		pp->events_begun = false;
	}
}

// World stopped. Who readies a G without a P meanwhile does it before all of this, or after it.  E1
static void
recording_begins(P *pp)
{
	Teller t = pp != NULL ? teller_of(pp) : (Teller){&elog.nobody, NULL, NOBODY, true};
	t.locked = true;
	mutex_lock(&sched.gfree_lock);
	mutex_lock(&events_lock);
	leave_buffers(false);
	store_rlx(&events_recorded, true); // order: world stopped, and the lock
	tell_all(&t);
	mutex_unlock(&events_lock);
	mutex_unlock(&sched.gfree_lock);
}

static void
recording_ends(void)
{
	mutex_lock(&events_lock);
	leave_buffers(true);
	buf_full(elog.nobody);
	elog.nobody = NULL;
	store_rlx(&events_recorded, false); // order: world stopped, and the lock
	mutex_unlock(&events_lock);
}

int
events_start(const EventSource *source)
{
	if (!log_make())
		return GO_ENOMEM;
	elog.source = source;
	sched_stop_world();
	M *mp = sched_m();
	observe_begin(OBSERVE_TRACE);
	recording_begins(mp->p);
	if (mp->p != NULL)
		events_p_begins(mp, mp->p);
	sched_start_world();
	return 0;
}

void
events_stop(void)
{
	sched_stop_world();
	observe_end(OBSERVE_TRACE);
	recording_ends();
	sched_start_world();
}

// --- taking --------------------------------------------------------------------------------------

// Reads a number at *at, and goes on behind it.
static uint64_t
read_number(const EventBuf *b, size_t *at)
{
	uint64_t v = 0;
	for (unsigned shift = 0;; shift += 7) {
		uint8_t byte = b->bytes[(*at)++];
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return v;
	}
}

// Behind the event at `at`; *now is its time.
static size_t
skip_event(const EventBuf *b, size_t at, int64_t *now)
{
	uint8_t type = b->bytes[at] & ((1 << EVENT_COUNT_SHIFT) - 1);
	uint32_t count = b->bytes[at++] >> EVENT_COUNT_SHIFT;
	size_t end = count == EVENT_COUNT_LONG ? at + 1 + b->bytes[at] : 0;
	at += count == EVENT_COUNT_LONG;
	uint64_t first = read_number(b, &at);
	if (type == EVENT_BATCH) {
		*now = (int64_t)read_number(b, &at);
		return at;
	}
	*now += (int64_t)first;
	for (uint32_t i = 0; i < count && end == 0; i++)
		(void)read_number(b, &at);
	at = end != 0 ? end : at;
	if (type == EVENT_LOG)
		at += read_number(b, &at);
	return at;
}

// Without the events after the cut.  E4
static size_t
bytes_before_cut(const EventBuf *b)
{
	size_t at = 0;
	int64_t now = 0;
	while (at < b->n) {
		size_t next = skip_event(b, at, &now);
		if (now > elog.cut_at)
			break;
		at = next;
	}
	return at;
}

size_t
events_take(uint8_t *to)
{
	size_t n = 0;
	mutex_lock(&events_lock);
	while (n == 0 && elog.full != NULL) {
		EventBuf *b = elog.full;
		elog.full = b->next;
		n = load_rlx(&elog.cut) ? bytes_before_cut(b) : b->n; // order: own, under the lock
		memcpy(to, b->bytes, n);
		b->next = elog.unused;
		elog.unused = b;
	}
	mutex_unlock(&events_lock);
	return n;
}

bool
events_were_cut(void)
{
	return load_rlx(&elog.cut); // order: own, no trace
}

bool
events_lack_notes(void)
{
	return elog.nameless;
}

const EventNote *
events_stacks(void)
{
	return elog.stacks->newest;
}

const EventNote *
events_texts(void)
{
	return elog.texts->newest;
}

void
events_forget(void)
{
	(void)os_decommit(elog.bufs.at, elog.bufs.bytes);
	(void)os_decommit(elog.notes.at, elog.notes.bytes);
}

// --- what the program tells of itself ------------------------------------------------------------

// False: there is no trace; else teller_done follows.
static bool
teller_of_program(Teller *t)
{
	if (!teller_here(t))
		return false;
	if (!t->locked)
		tell_run(t, sched_g());
	return true;
}

void
events_task(uint64_t id, uint64_t parent, const char *type, size_t n)
{
	Teller t;
	if (!teller_of_program(&t))
		return;
	TELL(&t, EVENT_TASK, id, parent, text(&t, type, n), stack_here(&t));
	teller_done(&t);
}

void
events_task_end(uint64_t id)
{
	Teller t;
	if (!teller_of_program(&t))
		return;
	TELL(&t, EVENT_TASK_ENDS, id, stack_here(&t));
	teller_done(&t);
}

void
events_region(uint64_t task, bool ends, const char *type, size_t n)
{
	Teller t;
	if (!teller_of_program(&t))
		return;
	if (!t.locked)
		TELL(&t, EVENT_REGION, task, ends, text(&t, type, n), stack_here(&t));
	teller_done(&t);
}

void
events_log(uint64_t task, const char *key, size_t n, const char *what, size_t what_n)
{
	Teller t;
	if (!teller_of_program(&t))
		return;
	size_t bytes = what_n < TEXT_BYTES ? what_n : TEXT_BYTES;
	uint64_t v[] = {task, text(&t, key, n), stack_here(&t)};
	EventBuf *b = tell_with(&t, EVENT_LOG, v, countof(v), bytes + NUMBER_BYTES);
	if (b != NULL) {
		add_number(b, bytes);
		memcpy(&b->bytes[b->n], what, bytes);
		b->n += bytes;
	}
	teller_done(&t);
}

void
events_syscall(void)
{
	Teller t;
	if (!teller_of_program(&t))
		return;
	if (!t.locked)
		TELL(&t, EVENT_CALL, stack_here(&t));
	teller_done(&t);
}
