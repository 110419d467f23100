// SPDX-License-Identifier: BSD-3-Clause
// Stacks of goroutines: arenas, classes, free slots, guards, giving memory back.
//
// A class carves slots of one size from arenas, each a single reserved mapping. Arenas start small
// and double, so a million stacks need some hundred mappings. An arena the system refuses is asked
// for in halves, down to a single slot. Slots are never unmapped; a stack above the largest class
// is a mapping of its own and is.
//
//     base                 lo                                hi       base + class bytes
//     | guard | rest       | usable                          | colour |
//
// A goroutine mostly uses a few lines at the top of its stack. If all tops lay at the same place of
// their page, these lines would compete for the same few sets of the caches; so stacks are
// staggered by the colour, which depends on the slot's number (7.0 instead of 9.7 ns for a switch
// among 1000 goroutines). rest + colour is COLOUR_BYTES, so all stacks of a class have one size.
// Everything about a slot follows from its Stack: hi - lo is closer to its class than to any other,
// hi rounded up is the slot's end, and where there is no guard lo is NO_GUARD_MARK higher.
//
// Free slots are kept in two depots: warm ones, whose pages may be there, last freed first out; and
// cold ones, whose pages were given back. The scavenger takes from the bottom of the warm depot.
//
// Invariants, under Class.lock:
//   S1  A carved slot is handed out, in warm, in cold, or one of `away` in the scavenger's hands.
//   S2  chunks suffice for every carved slot to lie in a depot, so giving back needs no memory.
//   S3  Between next and end no slot was ever touched.
// Locks:  Class.lock, rank stackarena, one at a time. Guards are set and pages given back outside
// it. Not done: caches per thread. The scheduler keeps dead goroutines with their stacks per P;
// what comes
//         here beyond that costs one uncontended lock, bench/stack.
#include <errno.h>
#include <string.h>

#include "mem/stack.h"
#include "os/os.h"
#include "sync/sync.h"

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define STACK_VALGRIND 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#define STACK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STACK_ASAN 1
#endif
#endif
#ifdef STACK_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif

enum {
	CHUNK_SLOTS = 126, // a class has five chunks at least, mostly with little in them
	GUARD_BUDGET = 8000, // PROT_NONE guards split mappings, of which a process has 65530
	PEAKS = 3,           // periods a peak is remembered for
	SCAVENGE_BATCH = 32,
	WORTH_BYTES = 1 << 20,
	COLOUR_STEP = CACHE_LINE,
	COLOURS = 16,
	COLOUR_BYTES = COLOUR_STEP * COLOURS,
	NO_GUARD_MARK = 16, // divides every usable size
	LARGE_TOP_BYTES = 64,
	ROOTS_MAX = 256,
};
#define SCAVENGE_PERIOD_NS INT64_C(900000000) // the monitor calls once per second
#define ARENA_FIRST_BYTES ((size_t)64 << 20)
#define ARENA_MAX_BYTES ((size_t)1 << 30)
#define GUARD_MAX_BYTES ((size_t)64 << 10)
#define CLASS_BYTES(k) ((size_t)STACK_CLASS_MIN_BYTES << (k))

// Free slots are remembered in chunks, outside the slots, since touching a cold slot would bring
// back a page. Bit 0 of an entry says that the slot has no guard.
typedef struct Chunk {
	struct Chunk *above;
	struct Chunk *below;
	uintptr_t slot[CHUNK_SLOTS];
} Chunk;

// A double-ended list; entries [first, CHUNK_SLOTS) of the bottom chunk and [0, last) of the top
// one are used. While n > 0 both chunks are there, mostly the same one; else neither.
typedef struct Depot {
	Chunk *top;
	Chunk *bottom;
	uint32_t last;
	uint32_t first;
	size_t n;
} Depot;

typedef struct Class {
	Mutex lock CACHE_ALIGNED;
	// lock
	Depot warm;
	Depot cold;
	uint64_t in_use;      // slots handed out
	uint64_t peak;        // highest in_use of this period
	uint64_t unguarded;   // of in_use
	uint32_t away;        // S1
	Chunk *spare;         // linked by above
	size_t chunks;        // all there are, S2
	size_t carved;
	char *next;           // S3
	char *end;
	size_t arena_bytes;   // of the last arena
	uint64_t reserved;    // bytes of all arenas
	// the scavenger
	uint64_t peaks[PEAKS];
} Class;

// What is known about MADV_GUARD_INSTALL.
typedef enum Markers { MARKERS_UNKNOWN, MARKERS_HOLD, MARKERS_REFUSED } Markers;

// At the end of a large stack, above hi.
typedef struct LargeTop {
	char *base;
	size_t bytes;
	bool guarded;
	unsigned valgrind_id;
} LargeTop;
static_assert(sizeof(LargeTop) <= LARGE_TOP_BYTES, "fits");

static Class classes[STACK_CLASSES] = {
	[0 ... STACK_CLASSES - 1] = {.lock = MUTEX_INIT(stackarena)},
};

static ATOMIC_U64 large_reserved;  // bytes, and all of them in use
static ATOMIC_U64 large_unguarded; // stacks
static ATOMIC_U32 markers;          // Markers
static ATOMIC_U32 guards_split;    // PROT_NONE guards made, up to the budget
static ATOMIC_BOOL shortage_told;
static ATOMIC_BOOL scavenging;
static int64_t scavenged_when; // who holds scavenging

// --- sizes --------------------------------------------------------------------------------------

static size_t
round_up(size_t n, size_t unit)
{
	return (n + unit - 1) & ~(unit - 1);
}

// What slot bases and ends are aligned to: more than any colour, and no slot is smaller.
static size_t
unit_bytes(void)
{
	size_t four = 4 * os_page_bytes();
	return four > STACK_CLASS_MIN_BYTES ? four : STACK_CLASS_MIN_BYTES;
}

// A sixteenth, so that a function with a big frame does not step over it unseen.
static size_t
guard_bytes(size_t slot_bytes)
{
	size_t g = round_up(slot_bytes / 16, os_page_bytes());
	return g < GUARD_MAX_BYTES ? g : round_up(GUARD_MAX_BYTES, os_page_bytes());
}

// Of a slot of class k, wherever its colour puts it.
static size_t
usable_bytes(unsigned k)
{
	return CLASS_BYTES(k) - guard_bytes(CLASS_BYTES(k)) - COLOUR_BYTES;
}

// The class for `bytes` usable ones; STACK_CLASSES or more when there is none.
static unsigned
class_of(size_t bytes)
{
	unsigned k = 0;
	if (bytes == 0)
		bytes = STACK_DEFAULT_BYTES / 2;
	while (k < STACK_CLASSES && (CLASS_BYTES(k) < unit_bytes() || usable_bytes(k) < bytes))
		k++;
	return k;
}

static size_t
large_bytes(size_t bytes)
{
	// At least so much that hi - lo is beyond every class.
	size_t least = CLASS_BYTES(STACK_CLASSES - 1) + LARGE_TOP_BYTES + 1;
	return round_up((bytes > least ? bytes : least) + LARGE_TOP_BYTES + GUARD_MAX_BYTES +
				os_page_bytes(),
			unit_bytes());
}

size_t
stack_round(size_t bytes)
{
	unsigned k = class_of(bytes);
	if (k < STACK_CLASSES)
		return usable_bytes(k);
	return large_bytes(bytes) - guard_bytes(CLASS_BYTES(STACK_CLASSES)) - LARGE_TOP_BYTES;
}

// --- depots -------------------------------------------------------------------------------------

static void
depot_push(Class *c, Depot *d, uintptr_t slot)
{
	if (d->n == 0 || d->last == CHUNK_SLOTS) {
		Chunk *ch = c->spare;
		check(ch != NULL, "stack: no chunk for a free slot"); // S2
		c->spare = ch->above;
		ch->above = NULL;
		ch->below = d->n == 0 ? NULL : d->top;
		if (d->n == 0) {
			d->bottom = ch;
			d->first = 0;
		} else {
			d->top->above = ch;
		}
		d->top = ch;
		d->last = 0;
	}
	d->top->slot[d->last++] = slot;
	d->n++;
}

static void
chunk_spare(Class *c, Chunk *ch)
{
	ch->above = c->spare;
	c->spare = ch;
}

// The youngest entry; 0 when there is none.
static uintptr_t
depot_pop(Class *c, Depot *d)
{
	if (d->n == 0)
		return 0;
	uintptr_t slot = d->top->slot[--d->last];
	if (--d->n == 0) {
		chunk_spare(c, d->top);
	} else if (d->last == 0) {
		Chunk *ch = d->top;
		d->top = ch->below;
		d->top->above = NULL;
		d->last = CHUNK_SLOTS;
		chunk_spare(c, ch);
	}
	return slot;
}

// The oldest entry; there is one.
static uintptr_t
depot_shift(Class *c, Depot *d)
{
	uintptr_t slot = d->bottom->slot[d->first++];
	if (--d->n == 0) {
		chunk_spare(c, d->bottom);
	} else if (d->first == CHUNK_SLOTS) {
		Chunk *ch = d->bottom;
		d->bottom = ch->above;
		d->bottom->below = NULL;
		d->first = 0;
		chunk_spare(c, ch);
	}
	return slot;
}

// Makes room for one more carved slot, S2: two depots, with a partial chunk at each end.
// Locks: c's held.  Allocates: a chunk now and then.
static bool
chunks_suffice(Class *c)
{
	while (c->chunks < (c->carved + 1) / CHUNK_SLOTS + 5) {
		Chunk *ch = os_alloc(sizeof(*ch));
		if (ch == NULL)
			return false;
		chunk_spare(c, ch);
		c->chunks++;
	}
	return true;
}

// --- guards -------------------------------------------------------------------------------------

static void
tell_shortage(void)
{
	if (xchg_rlx(&shortage_told, true)) // order: claim, no data rides on it
		return;
	print_str("undergo: goroutine stacks beyond the first ");
	print_u64(GUARD_BUDGET);
	print_str(" have no guard page (kernel without MADV_GUARD_INSTALL, map budget used up)\n");
}

// Whether the system lets nobody write at p. Emulators of the kernel accept any advice and forget
// it.
static bool
guard_holds(void *p)
{
	return os_read_file_at("/proc/self/comm", 0, p, 1) <= 0;
}

static bool
guard_with_marker(void *p, size_t bytes)
{
	uint32_t known = load_rlx(&markers); // order: hint
	if (known == MARKERS_REFUSED)
		return false;
	int err = os_guard(p, bytes);
	if (err == 0 && known == MARKERS_UNKNOWN) {
		if (!guard_holds(p))
			err = -EINVAL;
		else
			store_rlx(&markers, MARKERS_HOLD); // order: hint
	}
	if (err == -EINVAL)
		store_rlx(&markers, MARKERS_REFUSED); // order: hint
	return err == 0;
}

// Guards [p, p + bytes); false, and told once, when that cannot be done.
static bool
guard(void *p, size_t bytes)
{
	if (guard_with_marker(p, bytes))
		return true;
	if (add_rlx(&guards_split, 1) < GUARD_BUDGET) { // order: count
		if (os_protect_none(p, bytes) == 0)
			return true;
	} else {
		sub_rlx(&guards_split, 1); // order: count
	}
	tell_shortage();
	return false;
}

// --- slots --------------------------------------------------------------------------------------

// Locks: c's held.
static bool
arena_add(Class *c, size_t slot_bytes)
{
	size_t first = 4 * slot_bytes > ARENA_FIRST_BYTES ? 4 * slot_bytes : ARENA_FIRST_BYTES;
	size_t bytes = c->arena_bytes == 0 ? first : 2 * c->arena_bytes;
	if (bytes > ARENA_MAX_BYTES)
		bytes = ARENA_MAX_BYTES;

	char *p;
	while ((p = os_map(bytes, unit_bytes())) == NULL && bytes > slot_bytes)
		bytes /= 2;
	if (p == NULL)
		return false;
	os_no_huge_pages(p, bytes); // a kernel without huge pages refuses, which is as good
	c->arena_bytes = bytes;
	c->reserved += bytes;
	c->next = p;
	c->end = p + bytes;
	return true;
}

// A slot nobody ever had, without a guard yet; 0 without memory.
// Locks: c's held.
static uintptr_t
carve(Class *c, size_t slot_bytes)
{
	if (!chunks_suffice(c) || (c->next == c->end && !arena_add(c, slot_bytes)))
		return 0;
	char *slot = c->next;
	c->next += slot_bytes;
	c->carved++;
	return (uintptr_t)slot;
}

static size_t
colour(uintptr_t base, size_t slot_bytes)
{
	return base / slot_bytes % COLOURS * COLOUR_STEP;
}

static Stack
slot_stack(uintptr_t slot, size_t slot_bytes)
{
	uintptr_t base = slot & ~(uintptr_t)1;
	char *hi = (char *)base + slot_bytes - colour(base, slot_bytes);
	char *lo = hi - (slot_bytes - guard_bytes(slot_bytes) - COLOUR_BYTES);
	return (Stack){.lo = lo + (slot & 1) * NO_GUARD_MARK, .hi = hi};
}

// What slot_stack made s of; 0 for a stack with a mapping of its own.
static uintptr_t
stack_slot(Stack s, unsigned *k)
{
	size_t bytes = (size_t)(s.hi - s.lo);
	*k = 0;
	while (*k < STACK_CLASSES && CLASS_BYTES(*k) < bytes)
		++*k;
	if (*k == STACK_CLASSES)
		return 0;
	uintptr_t base = round_up((uintptr_t)s.hi, unit_bytes()) - CLASS_BYTES(*k);
	return base | (bytes % (2 * NO_GUARD_MARK) != 0);
}

// What the checkers must forget about an earlier life of this memory, or learn about a new one.
static void
tell_checkers(Stack s, bool is_new)
{
	(void)s;
	(void)is_new;
#ifdef STACK_ASAN
	// What a parked goroutine holds is not leaked. The leak checker looks each region up in the
	// list of mappings, so it gets to know the first ones only, which small programs use again
	// and again.
	static ATOMIC_U32 roots;
	if (is_new && add_rlx(&roots, 1) < ROOTS_MAX) // order: count
		__lsan_register_root_region(s.lo, (size_t)(s.hi - s.lo));
#endif
#ifdef STACK_VALGRIND
	if (is_new)
		(void)VALGRIND_STACK_REGISTER(s.lo, s.hi - 1);
	else
		(void)VALGRIND_MAKE_MEM_UNDEFINED(s.hi - 1024, 1024);
#endif
}

static void
forget_poison(Stack s)
{
	(void)s;
#ifdef STACK_ASAN
	__asan_unpoison_memory_region(s.lo, (size_t)(s.hi - s.lo));
#endif
}

// --- stacks above the classes -------------------------------------------------------------------

static LargeTop *
large_top(Stack s)
{
	return (LargeTop *)(void *)s.hi;
}

static Stack
large_alloc(size_t bytes)
{
	size_t all = large_bytes(bytes);
	char *base = os_map(all, unit_bytes());
	if (base == NULL)
		return (Stack){NULL, NULL};
	os_no_huge_pages(base, all);

	size_t g = guard_bytes(CLASS_BYTES(STACK_CLASSES));
	LargeTop top = {.base = base, .bytes = all, .guarded = guard(base, g)};
	Stack s = {.lo = base + (top.guarded ? g : 0), .hi = base + all - LARGE_TOP_BYTES};
#ifdef STACK_VALGRIND
	top.valgrind_id = VALGRIND_STACK_REGISTER(s.lo, s.hi - 1);
#endif
	*large_top(s) = top;
	add_rlx(&large_reserved, all); // order: count
	if (!top.guarded)
		add_rlx(&large_unguarded, 1); // order: count
	return s;
}

static void
large_free(Stack s)
{
	LargeTop top = *large_top(s);
	forget_poison(s);
#ifdef STACK_VALGRIND
	VALGRIND_STACK_DEREGISTER(top.valgrind_id);
#endif
	sub_rlx(&large_reserved, top.bytes); // order: count
	if (!top.guarded)
		sub_rlx(&large_unguarded, 1); // order: count
	os_unmap(top.base, top.bytes);
}

// --- the face -----------------------------------------------------------------------------------

// Takes a free slot or carves one. *is_new: it was carved and is unguarded. 0 without memory.
static uintptr_t
slot_take(Class *c, size_t slot_bytes, bool *is_new)
{
	for (;;) {
		mutex_lock(&c->lock);
		*is_new = false;
		uintptr_t slot = depot_pop(c, &c->warm);
		if (slot == 0)
			slot = depot_pop(c, &c->cold);
		if (slot == 0) {
			slot = carve(c, slot_bytes);
			*is_new = true;
		}
		if (slot != 0) {
			c->unguarded += slot & 1;
			if (++c->in_use > c->peak)
				c->peak = c->in_use;
		}
		bool come_back = slot == 0 && c->away != 0;
		mutex_unlock(&c->lock);
		if (likely(!come_back))
			return slot;
		os_yield(); // the scavenger brings them back within microseconds
	}
}

Stack
stack_alloc(size_t bytes)
{
	if (bytes > STACK_MAX_BYTES)
		return (Stack){NULL, NULL};
	unsigned k = class_of(bytes);
	if (k >= STACK_CLASSES)
		return large_alloc(bytes);

	Class *c = &classes[k];
	bool is_new;
	uintptr_t slot = slot_take(c, CLASS_BYTES(k), &is_new);
	if (slot == 0)
		return (Stack){NULL, NULL};
	if (is_new && !guard((void *)slot, guard_bytes(CLASS_BYTES(k)))) {
		slot |= 1;
		mutex_lock(&c->lock);
		c->unguarded++;
		mutex_unlock(&c->lock);
	}
	Stack s = slot_stack(slot, CLASS_BYTES(k));
	tell_checkers(s, is_new);
	return s;
}

void
stack_free(Stack s)
{
	unsigned k;
	uintptr_t slot = stack_slot(s, &k);
	if (slot == 0) {
		large_free(s);
		return;
	}
	forget_poison(s);
	Class *c = &classes[k];
	mutex_lock(&c->lock);
	check(c->in_use > 0, "stack_free: more stacks come back than went out");
	c->in_use--;
	c->unguarded -= slot & 1;
	depot_push(c, &c->warm, slot);
	mutex_unlock(&c->lock);
}

// What has no memory is looked for first: that costs the same always, while giving back interrupts
// whatever processor runs a thread of ours.
size_t
stack_decommit_below(Stack s, const char *sp, size_t keep)
{
	assert(sp >= s.lo && sp <= s.hi);
	if ((size_t)(sp - s.lo) <= keep)
		return 0;
	size_t page = os_page_bytes();
	uintptr_t lo = (uintptr_t)s.lo & ~(page - 1);
	uintptr_t hi = (uintptr_t)(sp - keep) & ~(page - 1);
	size_t bytes = hi > lo ? os_resident((void *)lo, hi - lo) : 0;
	return bytes != 0 && os_decommit((void *)lo, hi - lo) == 0 ? bytes : 0;
}

bool
stack_guard_hit(Stack s, const char *addr)
{
	if (s.lo == NULL)
		return false;
	unsigned k;
	uintptr_t slot = stack_slot(s, &k);
	const char *base = slot != 0 ? (const char *)(slot & ~(uintptr_t)1) : large_top(s)->base;
	bool guarded = slot != 0 ? (slot & 1) == 0 : large_top(s)->guarded;
	return guarded && addr >= base && addr < base + guard_bytes(CLASS_BYTES(k));
}

// --- giving memory back -------------------------------------------------------------------------

// How many free warm slots to keep: so many that the peak of the last periods needs no page faults.
// Locks: c's held.
static uint64_t
warm_wanted(const Class *c)
{
	uint64_t demand = 0;
	for (unsigned i = 0; i < PEAKS; i++)
		if (c->peaks[i] > demand)
			demand = c->peaks[i];
	return demand > c->in_use ? demand - c->in_use : 0;
}

// Moves up to a batch of warm slots beyond what is wanted to cold. Slots moved.
static unsigned
scavenge_batch(Class *c, size_t slot_bytes)
{
	uintptr_t slot[SCAVENGE_BATCH];
	unsigned n = 0;

	mutex_lock(&c->lock);
	uint64_t wanted = warm_wanted(c);
	while (n < SCAVENGE_BATCH && c->warm.n > wanted)
		slot[n++] = depot_shift(c, &c->warm);
	c->away += n; // S1
	mutex_unlock(&c->lock);

	for (unsigned i = 0; i < n; i++) {
		size_t g = (slot[i] & 1) == 0 ? guard_bytes(slot_bytes) : 0;
		os_decommit((char *)(slot[i] & ~(uintptr_t)1) + g, slot_bytes - g);
	}

	mutex_lock(&c->lock);
	for (unsigned i = 0; i < n; i++)
		depot_push(c, &c->cold, slot[i]);
	c->away -= n;
	mutex_unlock(&c->lock);
	return n;
}

// Ends a period: what was needed at most moves into peaks, the oldest peak is forgotten.
static void
period_end(Class *c)
{
	mutex_lock(&c->lock);
	memmove(&c->peaks[1], &c->peaks[0], sizeof(c->peaks) - sizeof(c->peaks[0]));
	c->peaks[0] = c->peak;
	c->peak = c->in_use;
	mutex_unlock(&c->lock);
}

// May be called as often as one likes; acts once per period.
size_t
stack_scavenge(void)
{
	size_t bytes = 0;
	if (xchg_acq(&scavenging, true)) // order: claim
		return 0;
	int64_t now = os_nanotime();
	if (now - scavenged_when >= SCAVENGE_PERIOD_NS) {
		scavenged_when = now;
		for (unsigned k = 0; k < STACK_CLASSES; k++) {
			unsigned n;
			period_end(&classes[k]);
			do {
				n = scavenge_batch(&classes[k], CLASS_BYTES(k));
				bytes += n * CLASS_BYTES(k);
			} while (n == SCAVENGE_BATCH);
		}
	}
	store_rel(&scavenging, false); // order: release
	return bytes;
}

bool
stack_worth_scavenging(void)
{
	size_t bytes = 0;
	for (unsigned k = 0; k < STACK_CLASSES; k++) {
		mutex_lock(&classes[k].lock);
		bytes += classes[k].warm.n * os_page_bytes(); // at least a page of each
		mutex_unlock(&classes[k].lock);
	}
	return bytes >= WORTH_BYTES;
}

void
stack_stats(StackStats *st)
{
	uint64_t large = load_rlx(&large_reserved); // order: count
	*st = (StackStats){
		.reserved_bytes = large,
		.in_use_bytes = large,
		.unguarded = load_rlx(&large_unguarded), // order: count
	};
	for (unsigned k = 0; k < STACK_CLASSES; k++) {
		Class *c = &classes[k];
		mutex_lock(&c->lock);
		st->reserved_bytes += c->reserved;
		st->in_use_bytes += c->in_use * CLASS_BYTES(k);
		st->unguarded += c->unguarded;
		mutex_unlock(&c->lock);
	}
}
