// SPDX-License-Identifier: BSD-3-Clause
// The queue of finalizers and cleanups that shall run, and the goroutine that runs them.
//
// Calls are queued in blocks, outside of the heap. Sweepers fill a block under the lock; the runner
// takes all blocks there are and works through them, from the last entry of each to the first,
// outside of the runtime. A block that is through is reused, never unmapped. For the marker all
// that is in a block is a root, whatever the runner does meanwhile: it may have been stopped
// between any two instructions.
//
//            final_reserve         final_queue           run_block
//   (none) ---------------> spare -------------> queue ------------> running --> spare
//                                    lock                runner
//
// Invariants:
//   F1  Entries at or above a block's count are zero.
//   F2  An entry below the count holds an object and an argument that must live, until its call has
//       returned. Its fn becomes 0 when the call begins: should the call never return, as it ended
//       the goroutine, the runner begins again and passes the entry over.
//   F3  Blocks have room for all calls that are reserved or queued, and for one block more: so much
//       may be lost in the runner's one block that is not full. Queueing needs no memory.
//   F4  There is a runner before anything can be queued, and for ever. Either it will look at what
//       is queued, or bell is set.
//   F5  calls is odd while a call is running.
// Locks:  special_lock.
// Order:  O1  An entry is complete, then counted (release); the marker reads the count (acquire),
//             then entries. An entry is cleared, then the count falls (release): who fills the
//             block next has the lock, so what the marker reads below a count is never from an
//             earlier filling.
//         O2  p and arg carry their object to a marker that reads an entry through an older count:
//             release, acquire.
// Tests:  tests/explore/x_special.c, tests/model/finalizer.pml.
#include "gc/special.h"

#include "arch/arch.h"
#include "base/line.h"
#include "gc/service.h"
#include "sched/sched.h"

typedef struct Entry {
	ATOMIC(uintptr_t) fn;  // 0: the call has begun
	ATOMIC(uintptr_t) p;   // 0: a cleanup
	ATOMIC(uintptr_t) arg;
} Entry;

#ifdef UNDERGO_STRESS
enum { BLOCK_ENTRIES = 3 };
#else
enum { BLOCK_ENTRIES = (4096 - 24) / sizeof(Entry) }; // a block is a page
#endif

typedef struct Block {
	struct Block *all_next; // set before publication
	struct Block *next;     // owner of the list it is in
	ATOMIC_U32 count;       // entries; who fills, or the runner; O1
	uint32_t filled;        // the runner: how many there were when it took the block
	Entry entries[BLOCK_ENTRIES];
} Block;
static_assert(sizeof(Block) <= 4096, "a block is a page at most");

static struct {
	ATOMIC(Block *) all; // special_lock writes
	Block *spare;        // special_lock: empty ones
	Block *queue;        // special_lock: all are full but the first
	Block *running;      // the runner: taken out of the queue
	char *slab;          // special_lock: memory for blocks
	size_t slab_left;    // special_lock: bytes of it
	uint64_t room;       // special_lock: entries of all blocks
	uint64_t promised;   // special_lock: calls reserved, queued, and in blocks of the runner
	ATOMIC_BOOL bell;    // special_lock writes: calls are queued and nobody was told
	ATOMIC_U64 calls;    // the runner writes: begun and ended; F5
	uint64_t seen;       // who holds gc.busy: calls when it last changed, as far as he knows
	int64_t seen_at;     // the same: since when
	bool said;           // the same: that this call takes long
} final;

static void run_queued(void);
static bool queue_is_empty(void);
static Service runner = {
	.name = "finalizers",
	.why = WAIT_finalizer_wait,
	.work = run_queued,
	.idle = queue_is_empty,
	.lock = &special_lock,
};

static const int64_t LONG_NS = 10 * GO_SEC;

// --- blocks --------------------------------------------------------------------------------------

enum { SLAB_BYTES = 64 * sizeof(Block) };

// Locks: special_lock held.
static bool
block_add(void)
{
	if (final.slab_left == 0) {
		final.slab = gc_map(SLAB_BYTES);
		if (final.slab == NULL)
			return false;
		final.slab_left = SLAB_BYTES;
	}
	Block *b = (Block *)(void *)final.slab; // zeroed: F1
	final.slab += sizeof(Block);
	final.slab_left -= sizeof(Block);
	final.room += BLOCK_ENTRIES;
	b->next = final.spare;
	final.spare = b;
	b->all_next = load_rlx(&final.all); // order: own, under the lock
	store_rel(&final.all, b);           // order: publish -> final_mark
	return true;
}

bool
final_reserve(void)
{
	assert_held(&special_lock);
	while (final.room < final.promised + 1 + BLOCK_ENTRIES) // F3
		if (!block_add())
			return false;
	final.promised++;
	return true;
}

void
final_unreserve(void)
{
	assert_held(&special_lock);
	final.promised--;
}

// The block to be filled.
static Block *
block_to_fill(void)
{
	Block *b = final.queue;
	if (b != NULL && load_rlx(&b->count) < BLOCK_ENTRIES) // order: own, under the lock
		return b;
	b = final.spare;
	check(b != NULL, "finalizers: no room for what was reserved"); // F3
	final.spare = b->next;
	b->next = final.queue;
	final.queue = b;
	return b;
}

void
final_queue(uintptr_t fn, uintptr_t p, uintptr_t arg)
{
	assert_held(&special_lock);
	Block *b = block_to_fill();
	uint32_t n = load_rlx(&b->count); // order: own, under the lock
	Entry *e = &b->entries[n];
	store_rlx(&e->fn, fn);            // order: the runner takes the block under the lock
	store_rel(&e->p, p);              // order: publish -> final_mark, O2
	store_rel(&e->arg, arg);          // order: publish -> final_mark, O2
	store_rel(&b->count, n + 1);      // order: publish -> final_mark, O1
	if (runner.parked != NULL)
		store_rlx(&final.bell, true); // order: hint, F4
}

void
final_mark(Marker *m)
{
	Block *b = load_acq(&final.all); // order: observe <- block_add
	for (; b != NULL; b = b->all_next) {
		uint32_t n = load_acq(&b->count); // order: observe <- final_queue, run_entry; O1
		for (uint32_t i = 0; i < n; i++) {
			mark_word(m, load_acq(&b->entries[i].p));   // order: observe, O2
			mark_word(m, load_acq(&b->entries[i].arg)); // order: observe, O2
		}
	}
}

void
final_visit(void (*word)(uintptr_t w))
{
	Block *b = load_acq(&final.all); // order: observe <- block_add
	for (; b != NULL; b = b->all_next) {
		for (uint32_t i = 0; i < load_acq(&b->count); i++) { // order: observe, O1
			word(load_acq(&b->entries[i].p));            // order: observe, O2
			word(load_acq(&b->entries[i].arg));          // order: observe, O2
		}
	}
}

// --- the runner ----------------------------------------------------------------------------------

// Runs the last of the n entries of b and takes it away.  Runs on: the runner, in user code.
NOINLINE static void
run_entry(Block *b, uint32_t n)
{
	Entry *e = &b->entries[n - 1];
	uintptr_t fn = load_rlx(&e->fn);   // order: own
	uintptr_t p = load_rlx(&e->p);     // order: own
	uintptr_t arg = load_rlx(&e->arg); // order: own
	store_rlx(&e->fn, 0);              // order: own, F2
	own_add(&final.calls, 1);          // F5
	if (fn != 0 && p != 0)
		((FinalizerFn *)fn)((void *)p, (void *)arg);
	else if (fn != 0)
		((CleanupFn *)fn)((void *)arg);
	own_add(&final.calls, 1);
	store_rlx(&e->p, 0);               // order: published with the count, O1
	store_rlx(&e->arg, 0);             // order: published with the count, O1
	store_rel(&b->count, n - 1);       // order: publish -> final_mark, O1
}

// What the calls have left on the stack below, where our frames will lie while we wait. It would
// keep the last object, and all that it points to, until the next call.
NOINLINE static void
forget_stack(void)
{
	volatile uintptr_t below[256];
	for (size_t i = 0; i < countof(below); i++)
		below[i] = 0;
}

static void
run_block(Block *b)
{
	uint32_t n = load_rlx(&b->count); // order: own
	for (; n != 0; n--)
		run_entry(b, n);
	arch_forget();
	forget_stack();
}

// Locks: special_lock held.
static void
block_done(Block *b)
{
	final.promised -= b->filled;
	b->next = final.spare;
	final.spare = b;
}

// A block to run, or NULL; `done`, unless NULL, is through.
static Block *
next_block(Block *done)
{
	mutex_lock(&special_lock);
	if (done != NULL) {
		final.running = done->next;
		block_done(done);
	}
	if (final.running == NULL) {
		final.running = final.queue;
		final.queue = NULL;
		for (Block *b = final.running; b != NULL; b = b->next)
			b->filled = load_rlx(&b->count); // order: own, under the lock
	}
	mutex_unlock(&special_lock);
	return final.running;
}

static bool
queue_is_empty(void)
{
	return final.queue == NULL;
}

static void
run_queued(void)
{
	if (load_rlx(&final.calls) % 2 != 0) // order: own. A call has ended the goroutine; F5
		own_add(&final.calls, 1);
	for (Block *b = next_block(NULL); b != NULL; b = next_block(b)) {
		sched_leave();
		run_block(b);
		sched_enter();
	}
}

// --- calls that take long ------------------------------------------------------------------------

// Calls that are queued and not begun.
static uint64_t
waiting(void)
{
	uint64_t n = 0;
	mutex_lock(&special_lock);
	for (const Block *b = final.queue; b != NULL; b = b->next)
		n += load_rlx(&b->count); // order: own, under the lock
	for (const Block *b = final.running; b != NULL; b = b->next)
		n += load_rlx(&b->count); // order: count
	mutex_unlock(&special_lock);
	return n > 0 ? n - 1 : 0; // the one that runs is counted until it ends
}

COLD static void
say_long(int64_t ns)
{
	Line l = {.n = 0};
	line_str(&l, "runtime: a finalizer or cleanup has been running for ");
	line_u64(&l, (uint64_t)(ns / GO_SEC));
	line_str(&l, " seconds, in goroutine ");
	line_u64(&l, load_acq(&runner.g)->id); // order: observe <- service_start
	line_str(&l, "; ");
	line_u64(&l, waiting());
	line_str(&l, " wait for its end");
	line_end(&l);
}

void
final_watch(int64_t now)
{
	uint64_t calls = load_rlx(&final.calls); // order: count
	if (calls != final.seen || calls % 2 == 0) {
		final.seen = calls;
		final.seen_at = now;
		final.said = false;
	} else if (!final.said && now - final.seen_at >= LONG_NS) {
		final.said = true;
		say_long(now - final.seen_at);
	}
}

// --- starting and waking the runner --------------------------------------------------------------

bool
final_start(void)
{
	return service_start(&runner);
}

void
specials_wake(void)
{
	if (likely(!load_rlx(&final.bell))) // order: hint, F4
		return;
	mutex_lock(&special_lock);
	store_rlx(&final.bell, false); // order: hint, under the lock
	service_unlock_wake(&runner);
}
