// SPDX-License-Identifier: BSD-3-Clause
// Where a mark begins: all memory outside the heap that may hold pointers into it.
//
//   globals        writable segments of what is loaded, without os_modules_leave_out's
//   threads        from the stack pointer to the stack's end, the signal's frame with all
//                  registers, thread-locals
//   goroutines     parked: from the saved stack pointer up; not begun: their argument
//   the caller     its stack from where it says
//   explicit       what root_add named
// The runtime's own records that hold pointers of the program are pinned objects of the heap.
//
// Threads stand still while ranges are gathered, anywhere, perhaps inside libc: so nothing of libc
// is called, no lock is taken, and what is read of libc's is read with care. Arrays are made longer
// by roots_prepare, beforehand; when they prove too short roots_gather says false, and the next
// roots_prepare knows how long they must be.
//
// Which stack a thread is on is seen from its stack pointer:
//   on its own           from there to the end of that
//   on a goroutine's     from there to the end of that; of its own, when the program has lent it to
//                        us, from where it left that
//   on another one       from there to the end of the mapping, and of its own and its goroutine's
//                        everything: where it left those we cannot know
// A thread that has never called us has a stack that we find in the list of mappings, which is read
// when there is such a thread.
//
// Invariants:
//   R1  Explicit roots are a hash table that is consistent at each instruction: a thread may stand
//       still in the middle of root_add. lo is set before bytes, an entry never moves, and a longer
//       table is published when it is complete.
// Locks:  roots_lock, rank leaf.
#include <errno.h>
#include <string.h>

#include "gc/gc_impl.h"
#include "gc/gc.h"
#include "sched/sched.h"
#include "undergo/base.h"

enum {
	RANGES_MIN = 4096,
	SEGMENTS_MIN = 64,
	MAPPINGS_MIN = 1024,
	EXPLICIT_MIN = 64,
	GUESS_MAX = 64 << 20, // no stack is longer, as far as we guess
	PAUSE_NS = 50 * 1000,
	PAUSE_DOUBLINGS_MAX = 7,
};

// Reads what stopped threads have written, of which the sanitizers know no order.
#define READS_ANYTHING __attribute__((no_sanitize("address", "thread")))

// All of who holds gc.busy, but for what is explicit.
static struct {
	RootSet set;      // what is being gathered
	size_t wanted;    // ranges, by the last time
	OsModules mods;
	OsRange *maps;    // readable mappings
	uint32_t maps_cap;
	uint32_t maps_wanted;
	uint32_t n_maps;
	bool maps_read;   // in this cycle
	uintptr_t first_stack; // an address on the first thread's
	uintptr_t keys_at;     // from a thread pointer to the tables of pthread keys; 0: not known
	bool failed;      // some array was too short
	uint32_t retries; // in a row
	uintptr_t caller_sp;
} g;

// --- arrays -------------------------------------------------------------------------------------

// At least n elements; what was there is gone. False: no memory, all is as it was.
static bool
array_grow(void **array, size_t *cap, size_t n, size_t elem_bytes)
{
	size_t want = *cap;
	while (want < n)
		want *= 2;
	if (*array != NULL && want == *cap)
		return true;
	void *fresh = os_map(want * elem_bytes, os_page_bytes());
	if (fresh == NULL)
		return false;
	if (*array != NULL)
		os_unmap(*array, *cap * elem_bytes);
	*array = fresh;
	*cap = want;
	return true;
}

static bool
array_grow32(void **array, uint32_t *cap, size_t n, size_t elem_bytes)
{
	size_t wide = *cap;
	bool ok = array_grow(array, &wide, n, elem_bytes);
	*cap = (uint32_t)wide;
	return ok;
}

// Words of [lo, hi), in pieces that one worker can do while others do others.
READS_ANYTHING static void
add(uintptr_t lo, uintptr_t hi)
{
	lo = (lo + 7) & ~(uintptr_t)7;
	hi &= ~(uintptr_t)7;
	if (lo < hi)
		g.set.bytes += hi - lo;
	while (lo < hi) {
		uintptr_t end = hi - lo > ROOT_RANGE_MAX ? lo + ROOT_RANGE_MAX : hi;
		if (g.set.n < g.set.cap)
			g.set.ranges[g.set.n] = (RootRange){(const char *)lo, (const char *)end};
		g.set.n++;
		lo = end;
	}
}

// The kernel joins mappings that touch each other, and of a strange stack all of the mapping is
// looked at. What the collector knows about objects may not be there: it would keep them alive.
void *
gc_map(size_t bytes)
{
	size_t page = os_page_bytes();
	char *p = os_reserve(bytes + 2 * page, page);
	if (p == NULL)
		return NULL;
	if (os_commit(p + page, bytes) == 0)
		return p + page;
	os_unmap(p, bytes + 2 * page);
	return NULL;
}

// --- mappings -----------------------------------------------------------------------------------

static void
read_mappings(void)
{
	if (g.maps_read)
		return;
	g.maps_read = true;
	int n = os_mappings(g.maps, g.maps_cap);
	g.n_maps = n > 0 ? (uint32_t)n : 0;
	if (g.n_maps > g.maps_cap) {
		g.maps_wanted = g.n_maps;
		g.n_maps = 0;
		g.failed = true;
	}
}

// The readable mapping that addr lies in; hi is 0 when there is none.
static OsRange
mapping_of(uintptr_t addr)
{
	read_mappings();
	uint32_t lo = 0, hi = g.n_maps;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (g.maps[mid].hi <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < g.n_maps && g.maps[lo].lo <= addr)
		return g.maps[lo];
	return (OsRange){0, 0};
}

// --- thread-locals ------------------------------------------------------------------------------

// The blocks beside tp and the thread's record, as far as they can be read: in a program that is
// linked statically those of the first thread begin where the program's break does, and there is
// nothing before them.
static void
beside(uintptr_t tp, uintptr_t *lo, uintptr_t *hi)
{
	*lo = os_readable_down(tp - g.mods.tls_below, tp);
	*hi = os_readable_up(tp, tp + g.mods.tls_above);
}

// What pthread_setspecific keeps. In the record that glibc has of each thread, beside the thread
// pointer, stand the values of the first 32 keys, of two words each, and then pointers to as many
// tables for 32 keys each. The others lie in memory from malloc, but the first one points to those
// before it. So the place is known where a word has the address of what lies 512 bytes before it;
// with another libc there is none.
enum { KEY_TABLES = 32, KEY_TABLE_BYTES = 512 };

READS_ANYTHING static void
find_key_tables(uintptr_t tp)
{
	uintptr_t lo, hi;
	beside(tp, &lo, &hi);
	for (uintptr_t at = lo + KEY_TABLE_BYTES; at + sizeof(uintptr_t[KEY_TABLES]) <= hi;
	     at += sizeof(uintptr_t))
		if (*(const uintptr_t *)at == at - KEY_TABLE_BYTES) {
			g.keys_at = at - tp;
			return;
		}
}

// A thread that ends may have given a table back already.
READS_ANYTHING static void
add_key_tables(uintptr_t tp)
{
	const uintptr_t *tables = (const uintptr_t *)(tp + g.keys_at);
	if (tables[0] != (uintptr_t)tables - KEY_TABLE_BYTES)
		return;
	for (int i = 1; i < KEY_TABLES; i++)
		if (tables[i] != 0)
			add(tables[i], os_readable_up(tables[i], tables[i] + KEY_TABLE_BYTES));
}

// Where blocks beside tp begin: at lo, or at sp when that lies in the spare. A stack of libc's ends
// below the spare's blocks, if it has any; what is below sp is dead, and changes while we mark.
static uintptr_t
above_stack(uintptr_t tp, uintptr_t lo, uintptr_t sp)
{
	return sp > lo && sp < tp - g.mods.tls_below + g.mods.tls_spare ? sp : lo;
}

// The blocks beside tp, those apart, and the values of pthread keys. What is live of the thread's
// own stack begins at sp, or at g0_sp while a goroutine runs; whichever does not lie there does not
// count.
READS_ANYTHING static void
add_thread_locals(uintptr_t tp, uintptr_t sp, uintptr_t g0_sp)
{
	if (tp == 0)
		return;
	uintptr_t lo, hi;
	beside(tp, &lo, &hi);
	lo = above_stack(tp, lo, sp);
	lo = above_stack(tp, lo, g0_sp);
	add(lo, hi);
	for (uint32_t i = 0; i < g.mods.n_tls; i++) {
		uintptr_t at = os_tls_block(tp, &g.mods.tls[i]);
		size_t bytes = g.mods.tls[i].bytes;
		if (at != 0 && (at < lo || at + bytes > hi))
			add(at, at + bytes);
	}
	// A thread that the kernel alone has made has no record of libc's there.
	uintptr_t keys = tp + g.keys_at;
	if (g.keys_at != 0 && lo <= keys && keys + sizeof(uintptr_t[KEY_TABLES]) <= hi)
		add_key_tables(tp);
}

// --- threads ------------------------------------------------------------------------------------

static bool
within(uintptr_t addr, const void *lo, const void *hi)
{
	return addr - (uintptr_t)lo < (uintptr_t)hi - (uintptr_t)lo;
}

// Whether sp lies on gp's stack, or one that this continues.
READS_ANYTHING static bool
on_stack_of(uintptr_t sp, const G *gp)
{
	if (gp == NULL || (gp->thread && !gp->chained) || gp->stack.lo == NULL)
		return false;
	Stack s = gp->stack;
	bool chained = gp->chained;
	while (!within(sp, s.lo, s.hi)) {
		if (!chained)
			return false;
		const StackBelow *b = stack_below(s);
		s = b->stack;
		chained = b->chained;
	}
	return true;
}

// When mappings cannot be told: most stacks end with their thread's record, and the first thread's
// where the kernel has begun it.
static uintptr_t
guess_end(uintptr_t sp, uintptr_t tp)
{
	uintptr_t end = tp > sp && tp - sp < GUESS_MAX ? tp + g.mods.tls_above : g.first_stack;
	return end > sp && end - sp < GUESS_MAX ? end : sp;
}

// From sp up, on a stack of which we know nothing. The upper end of a stack that libc made is the
// thread's record.
static void
add_strange_stack(uintptr_t sp, uintptr_t tp)
{
	OsRange map = mapping_of(sp);
	if (map.hi == 0)
		map.hi = guess_end(sp, tp);
	if (tp > sp && tp < map.hi && tp + g.mods.tls_above < map.hi)
		map.hi = tp + g.mods.tls_above;
	add(sp, os_readable_up(sp, map.hi));
}

// A thread's own stack, wherever on it the thread may be.
static void
add_whole_stack(uintptr_t inside)
{
	OsRange map = mapping_of(inside);
	if (map.hi != 0)
		add(os_readable_down(map.lo, inside), inside);
}

static void add_stacks(const G *gp, uintptr_t sp);

// A handler of the program's runs on the thread's signal stack, which may itself lie in a frame or
// among the thread-locals. How far the stack reaches that it has interrupted is not known. A
// goroutine's comes later.
READS_ANYTHING static void
add_interrupted(const M *mp)
{
	const G *gp = mp->curg;
	bool lent = load_rlx(&mp->lent) != LENT_NOT; // order: own, it stands still; H4 in lent.c
	if (gp != NULL && gp->thread && gp->chained)
		add_stacks(gp, (uintptr_t)gp->stack.lo);
	else if ((mp->foreign || lent) && mp->stack_hi != NULL)
		add_whole_stack((uintptr_t)mp->stack_hi - 1);
}

// Stack and thread-locals of mp's thread, which stands at sp; when that is on its signal stack,
// this ends at alt_hi. Goroutines' stacks come later, but for one of a thread: it has put others
// upon the thread's own.
READS_ANYTHING static void
add_thread(M *mp, uintptr_t sp, uintptr_t alt_hi)
{
	const G *gp = mp->curg;
	mp->stands_at = alt_hi == 0 ? sp : 0;
	add_thread_locals(mp->tp, sp, (uintptr_t)mp->g0_sp);
	if (alt_hi != 0) {
		add(sp, alt_hi);
		add_interrupted(mp);
		return;
	}
	if (gp != NULL && gp->thread && gp->chained) {
		add_stacks(gp, on_stack_of(sp, gp) ? sp : (uintptr_t)gp->stack.lo);
		return;
	}
	if (within(sp, mp->stack_lo, mp->stack_hi)) {
		add(sp, (uintptr_t)mp->stack_hi);
		return;
	}
	if (on_stack_of(sp, mp->curg) || on_stack_of(sp, mp->prev)) {
		if (load_rlx(&mp->lent) != LENT_NOT) // order: own, it stands still; H4 in lent.c
			add((uintptr_t)mp->g0_sp, (uintptr_t)mp->stack_hi);
		return;
	}
	add_strange_stack(sp, mp->tp);
	if (mp->foreign && mp->stack_hi != NULL)
		add_whole_stack((uintptr_t)mp->stack_hi - 1);
}

READS_ANYTHING static void
add_frame(OsHalted *h)
{
	if (h->frame_hi != 0)
		add(h->frame_lo, h->frame_hi);
}

// What is on no thread's stack: of an M that neither stands still nor rests. It is the caller's, or
// it has no thread.
READS_ANYTHING static void
add_ms(void)
{
	for (M *mp = sched_ms(); mp != NULL; mp = mp->all_next) {
		int tid = load_acq(&mp->tid); // order: observe <- settle
		mp->stands_at = 0;
		if (tid == 0)
			continue;
		OsHalted *h = os_halted_tid(tid);
		if (h != NULL) {
			h->note = mp;
			add_frame(h);
			add_thread(mp, h->sp, h->alt_hi);
		} else if (mp->held_resting) {
			add_thread(mp, (uintptr_t)mp->rest_sp, 0);
		} else if (mp == sched_m()) {
			add_thread(mp, g.caller_sp, 0);
		}
	}
}

// One that has no M. Its stack is searched from sp up; when it is on another than it was given, or
// in a handler on its signal stack, all of the one it was given too.
READS_ANYTHING static void
add_stranger(OsHalted *h)
{
	add_frame(h);
	add_thread_locals(h->tp, h->sp, 0);
	if (h->alt_hi != 0)
		add(h->sp, h->alt_hi);
	else
		add_strange_stack(h->sp, h->tp);
	bool first = h->tid == os_process_id();
	uintptr_t own = first ? g.first_stack : h->tp;
	OsRange map = mapping_of(own);
	if (h->alt_hi != 0 || h->sp < map.lo || h->sp >= map.hi) {
		add_whole_stack(own);
		if (first)
			add(own, map.hi);
	}
}

READS_ANYTHING static void
add_strangers(void)
{
	OsHalted *h;
	for (uint32_t i = 0; (h = os_halted(i)) != NULL; i++)
		if (h->tid != 0 && h->note == NULL)
			add_stranger(h);
}

// --- goroutines ---------------------------------------------------------------------------------

// From sp up, and of the stacks that this one continues from where each was left. While a stack is
// being put on top of another, or taken away, sp is still on the other: then from there.
READS_ANYTHING static void
add_stacks(const G *gp, uintptr_t sp)
{
	Stack s = gp->stack;
	bool chained = gp->chained;
	bool met = false;
	for (;;) {
		met = met || within(sp, s.lo, s.hi);
		if (met)
			add(sp, (uintptr_t)s.hi);
		if (!chained)
			return;
		const StackBelow *b = stack_below(s);
		if (met)
			sp = (uintptr_t)b->sp;
		s = b->stack;
		chained = b->chained;
	}
}

// One that runs, with or without a P: where its thread stands, if that is here.
READS_ANYTHING static void
add_running(G *gp)
{
	M *mp = load_rlx(&gp->m); // order: own, it stands still
	uintptr_t lo = (uintptr_t)gp->stack.lo;
	if (mp != NULL && on_stack_of(mp->stands_at, gp))
		lo = mp->stands_at;
	else
		add((uintptr_t)&gp->arg, (uintptr_t)(&gp->arg + 1));
	add_stacks(gp, lo);
}

READS_ANYTHING static void
add_goroutine(G *gp)
{
	switch ((GStatus)load_acq(&gp->status)) { // order: observe <- finish_switch
	case Gdead:
		return;
	case Grunning:
		add_running(gp);
		return;
	case Gidle:
		add((uintptr_t)&gp->arg, (uintptr_t)(&gp->arg + 1));
		return;
	case Grunnable:
	case Gwaiting:
		if (gp->sp == NULL)
			add((uintptr_t)&gp->arg, (uintptr_t)(&gp->arg + 1));
		else
			add_stacks(gp, (uintptr_t)gp->sp);
		return;
	}
}

// Counts what a goroutine's stack has come to, and the pages it is in.
static void
count_stack(size_t bytes)
{
	size_t page = os_page_bytes();
	g.set.stack_bytes += bytes;
	g.set.stack_pages += (bytes + page - 1) & ~(page - 1);
}

READS_ANYTHING static void
add_goroutines(void)
{
	for (G *gp = sched_all_first(); gp != NULL; gp = gp->all_next) {
		size_t before = g.set.bytes;
		if (!gp->thread && gp->stack.lo != NULL)
			add_goroutine(gp);
		count_stack(g.set.bytes - before);
	}
}

// --- explicit roots -----------------------------------------------------------------------------

// bytes 0: taken away; lo 0: never used.
typedef struct Explicit {
	ATOMIC(uintptr_t) lo; // roots_lock writes
	ATOMIC(size_t) bytes; // roots_lock writes
} Explicit;

typedef struct ExplicitTable {
	size_t n; // slots, a power of two
	size_t used;
	Explicit slot[];
} ExplicitTable;

static Mutex roots_lock = MUTEX_INIT(leaf);
static ATOMIC(ExplicitTable *) explicit_roots; // roots_lock writes

static size_t
table_bytes(size_t n)
{
	return sizeof(ExplicitTable) + n * sizeof(Explicit);
}

// Where lo is, or would be. There is always a slot that was never used.
static Explicit *
explicit_slot(ExplicitTable *t, uintptr_t lo)
{
	size_t i = base_mix(lo) & (t->n - 1);
	while (load_rlx(&t->slot[i].lo) != 0 && load_rlx(&t->slot[i].lo) != lo) // order: own
		i = (i + 1) & (t->n - 1);
	return &t->slot[i];
}

static void
explicit_put(ExplicitTable *t, uintptr_t lo, size_t bytes)
{
	Explicit *e = explicit_slot(t, lo);
	t->used += load_rlx(&e->lo) == 0; // order: own
	store_rel(&e->lo, lo);            // order: publish -> add_explicit, R1
	store_rel(&e->bytes, bytes);      // order: publish -> add_explicit, R1
}

static size_t
explicit_count(const ExplicitTable *t)
{
	size_t n = 0;
	for (size_t i = 0; i < t->n; i++)
		n += load_rlx(&t->slot[i].bytes) != 0; // order: own
	return n;
}

// A table with room for one more; NULL without memory.  Locks: roots_lock held.
static ExplicitTable *
explicit_room(void)
{
	ExplicitTable *old = load_rlx(&explicit_roots); // order: own
	if (old != NULL && old->used < old->n / 2)
		return old;
	size_t n = EXPLICIT_MIN, live = old != NULL ? explicit_count(old) : 0;
	while (n / 4 <= live)
		n *= 2;
	ExplicitTable *t = os_map(table_bytes(n), os_page_bytes());
	if (t == NULL)
		return NULL;
	t->n = n;
	for (size_t i = 0; old != NULL && i < old->n; i++) {
		const Explicit *e = &old->slot[i];
		if (load_rlx(&e->bytes) != 0) // order: own
			explicit_put(t, load_rlx(&e->lo), load_rlx(&e->bytes)); // order: own
	}
	store_rel(&explicit_roots, t); // order: publish -> add_explicit, R1
	if (old != NULL)
		os_unmap(old, table_bytes(old->n));
	return t;
}

int
root_add(const void *p, size_t n)
{
	int err = GO_ENOMEM;
	mutex_lock(&roots_lock);
	ExplicitTable *t = explicit_room();
	if (t != NULL) {
		Explicit *e = explicit_slot(t, (uintptr_t)p);
		bool taken = load_rlx(&e->lo) != 0 && load_rlx(&e->bytes) != 0; // order: own
		err = taken ? GO_EINVAL : 0;
		if (err == 0)
			explicit_put(t, (uintptr_t)p, n);
	}
	mutex_unlock(&roots_lock);
	return err;
}

int
root_remove(const void *p)
{
	int err = GO_EINVAL;
	mutex_lock(&roots_lock);
	ExplicitTable *t = load_rlx(&explicit_roots); // order: own
	if (t != NULL && p != NULL) {
		Explicit *e = explicit_slot(t, (uintptr_t)p);
		if (load_rlx(&e->lo) != 0 && load_rlx(&e->bytes) != 0) { // order: own
			store_rel(&e->bytes, 0); // order: publish -> add_explicit, R1
			err = 0;
		}
	}
	mutex_unlock(&roots_lock);
	return err;
}

static void
add_explicit(void)
{
	ExplicitTable *t = load_acq(&explicit_roots); // order: observe <- explicit_room
	for (size_t i = 0; t != NULL && i < t->n; i++) {
		uintptr_t lo = load_acq(&t->slot[i].lo); // order: observe <- explicit_put
		add(lo, lo + load_acq(&t->slot[i].bytes)); // order: observe <- explicit_put
	}
}

// --- the face -----------------------------------------------------------------------------------

// False: no memory.
static bool
list_modules(void)
{
	OsModules *m = &g.mods;
	const M *mp = sched_m();
	if (m->data_cap == 0)
		m->data_cap = m->tls_cap = SEGMENTS_MIN;
	for (;;) {
		if (!array_grow32((void **)&m->data, &m->data_cap, m->n_data, sizeof(*m->data)) ||
		    !array_grow32((void **)&m->tls, &m->tls_cap, m->n_tls, sizeof(*m->tls)))
			return false;
		if (os_modules_list(m))
			break;
	}
	if (g.keys_at == 0)
		find_key_tables(mp->tp);
	return true;
}

// After a failure it leaves the loader, or whoever it was, some time.
bool
roots_prepare(void)
{
	if (g.set.cap == 0) {
		g.first_stack = os_first_stack();
		g.set.cap = RANGES_MIN;
		g.maps_cap = MAPPINGS_MIN;
	}
	if (g.retries != 0)
		os_sleep(PAUSE_NS << (g.retries < PAUSE_DOUBLINGS_MAX ? g.retries
								      : PAUSE_DOUBLINGS_MAX));
	size_t ranges = g.wanted + g.wanted / 2, maps = g.maps_wanted + g.maps_wanted / 2;
	return array_grow((void **)&g.set.ranges, &g.set.cap, ranges, sizeof(RootRange)) &&
	       array_grow32((void **)&g.maps, &g.maps_cap, maps, sizeof(OsRange)) &&
	       list_modules();
}

bool
roots_gather(RootSet *set, const void *sp)
{
	g.caller_sp = (uintptr_t)sp;
	g.set.n = 0;
	g.set.bytes = g.set.stack_bytes = g.set.stack_pages = 0;
	g.failed = g.maps_read = false;
	if (os_modules_same(&g.mods)) {
		for (uint32_t i = 0; i < g.mods.n_data; i++)
			add(g.mods.data[i].lo, g.mods.data[i].hi);
		g.set.threads = g.set.n;
		add_ms();
		add_strangers();
		g.set.goroutines = g.set.n;
		add_goroutines();
		g.set.named = g.set.n;
		add_explicit();
	} else {
		g.failed = true;
	}
	g.wanted = g.set.n;
	if (g.set.n > g.set.cap)
		g.failed = true;
	g.retries = g.failed ? g.retries + 1 : 0;
	*set = g.set;
	return !g.failed;
}
