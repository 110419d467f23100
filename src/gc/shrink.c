// SPDX-License-Identifier: BSD-3-Clause
// Giving back what parked goroutines' stacks do not use.
//
// A stack is committed by touch, so a goroutine that was deep once keeps all it ever touched. After
// a mark, while the program runs, one of the collector's threads walks the goroutines and gives
// back the pages below the stack pointers of those that have been waiting for long. Stacks do not
// move and nobody points below a parked stack pointer: a peer that copies into a frame, a timer or
// the poller that wakes the goroutine, a deadline that ends its wait, all go on meanwhile. Only
// running it has to wait until its scan bit is given up.
//
// A goroutine is trimmed once for each time it parks. When it parked is not noted by itself, which
// would cost each park a look at the clock, but by who looks first (G.wait_since).
//
//                        sched_park       a pass, the monitor           a later pass
//   wait_since, trimmed  ----------> 0, - ------------------> when, - --------------> when, when
//
// Invariants:
//   K1  One thread makes a pass. Who plans holds gc.busy, and no pass runs or is planned then.
//   K2  While it holds scan bits it takes no lock and waits for nobody: the system calls it makes
//       end by themselves, whatever threads of ours wait for.
//   K3  It waits for no state of a goroutine: one that is found in another state than was hoped for
//       is passed over. Its new state may last for ever.
//   K4  Only memory below sp is touched, by a page at least, and sp is read with the bit held.
// Order:  the walk's reads without a bit are hints.
// Not done: trimming in the pause, where no bit were needed; asking for a whole arena at once which
//         pages are there, twice as fast, as goroutines' records have to be visited all the same.
// Tests:  tests/explore/x_shrink.c, tests/model/shrink.pml, tests/race/shrink.c.
#include "gc/shrink.h"


#include "base/godebug.h"
#include "mem/stack.h"
#include "sched/sched.h"

enum {
	BATCH = 8,               // bits held at a time: some ten microseconds, a hundred at worst
	KEEP_BYTES = 4096,       // below sp: what a goroutine needs to do a little and park again
	PIECE_BYTES = 1 << 20,   // given back at a time
	PERIOD_NS = 1000 * 1000 * 1000,
	BUDGET_NS = 10 * 1000 * 1000, // one processor's hundredth
	LOOK_EVERY = 256,        // goroutines between two looks at the clock
};
static_assert((int)BATCH <= (int)SCAN_MAX, "a batch is begun at once");

// Reads fields of goroutines that may be starting and ending; ThreadSanitizer shall not mind.
#define HINTS_ONLY __attribute__((no_sanitize("thread")))

// Who may be trimmed in a pass.
typedef enum Thorough {
	RESTED,  // parked since before the last pass
	WAITING, // all that wait
} Thorough;

static struct {
	ATOMIC_U32 planned; // 1: a pass is wanted; K1
	ATOMIC_U32 hurry;   // 1: it shall end
	// Who plans, then who makes the pass.
	Thorough thorough;
	int64_t budget_ns;
	int64_t begun;      // the last pass
	int64_t ended;      // the same: who has waited since then has rested
	G *at;              // where the next pass goes on; NULL: at the beginning
	ATOMIC_U64 stacks;  // that gave something back
	ATOMIC_U64 bytes;   // given back
} shrink;

// --- one stack -----------------------------------------------------------------------------------

// Piece number i below the stack pointer of gp, whose bit is held; bytes given back.
static size_t
trim_piece(const G *gp, size_t i)
{
	assert(load_rlx(&gp->scan) != 0); // order: own, K4
	const char *sp = gp->sp;
	if (sp == NULL || (size_t)(sp - gp->stack.lo) <= i * PIECE_BYTES)
		return 0;
	Stack piece = gp->stack;
	sp -= i * PIECE_BYTES;
	if ((size_t)(sp - piece.lo) > PIECE_BYTES)
		piece.lo = (char *)(uintptr_t)sp - PIECE_BYTES;
	return stack_decommit_below(piece, sp, i == 0 ? KEEP_BYTES : 0); // K4
}

static size_t
pieces(const G *gp)
{
	if (gp->sp == NULL)
		return 0;
	return ((size_t)((char *)gp->sp - gp->stack.lo) + PIECE_BYTES - 1) / PIECE_BYTES;
}

static void
count_trimmed(size_t bytes)
{
	if (bytes == 0)
		return;
	own_add(&shrink.stacks, 1);
	own_add(&shrink.bytes, bytes);
}

// The first piece of gp, whose bit is given up; all of it, mostly. Returns how many pieces it has.
static size_t
trim_first(G *gp, size_t *bytes)
{
	size_t n = pieces(gp);
	*bytes = trim_piece(gp, 0);
	store_rlx(&gp->trimmed, load_rlx(&gp->wait_since)); // order: hint, under the bit
	sched_scan_end(gp);
	return n;
}

static bool
hurried(void)
{
	return load_rlx(&shrink.hurry) != 0; // order: hint
}

// The others, the bit given up in between. It is over when gp has gone on, K3. What a cycle cuts
// short the next pass does again.
static size_t
trim_rest(G *gp, size_t n)
{
	size_t bytes = 0;
	bool stop = false;
	for (size_t i = 1; i < n && !stop && sched_scan_begin(gp); i++) {
		bytes += trim_piece(gp, i);
		stop = hurried();
		if (stop)
			store_rlx(&gp->trimmed, 0); // order: hint, under the bit
		sched_scan_end(gp);
	}
	return bytes;
}

static void
trim_batch(G *const *gs, uint32_t n)
{
	size_t left[BATCH] = {0}, bytes[BATCH] = {0};
	uint32_t held = sched_scan_begin_all(gs, n);
	for (uint32_t i = 0; i < n; i++)
		if ((held >> i & 1) != 0)
			left[i] = trim_first(gs[i], &bytes[i]);
	for (uint32_t i = 0; i < n; i++)
		count_trimmed(bytes[i] + trim_rest(gs[i], left[i]));
}

// --- a pass --------------------------------------------------------------------------------------

// Whether gp is to be trimmed, as far as can be told without its bit. Notes since when it waits. A
// thread that is taken for a goroutine is found to have no stack pointer.
static HINTS_ONLY bool
wanted(G *gp, int64_t now)
{
	if (gp->thread || load_rlx(&gp->status) != Gwaiting) // order: hint
		return false;
	int64_t since = load_rlx(&gp->wait_since); // order: hint
	if (since == 0 && cas_rlx(&gp->wait_since, &since, now)) // order: hint
		since = now;
	if (since == load_rlx(&gp->trimmed)) // order: hint
		return false;
	return shrink.thorough == WAITING || since <= shrink.ended;
}

// The next batch, from `at` on; NULL instead of the goroutine to go on with: that were all.
static G *
gather(G *at, int64_t now, G **gs, uint32_t *n)
{
	*n = 0;
	for (int i = 0; at != NULL && i < LOOK_EVERY && *n < BATCH; i++, at = at->all_next)
		if (wanted(at, now))
			gs[(*n)++] = at;
	return at;
}

static void
pass(void)
{
	G *at = shrink.at != NULL ? shrink.at : sched_all_first(), *gs[BATCH];
	int64_t now = shrink.begun;
	while (at != NULL && now - shrink.begun < shrink.budget_ns && !hurried()) {
		uint32_t n;
		at = gather(at, now, gs, &n);
		if (n != 0)
			trim_batch(gs, n);
		now = os_nanotime();
	}
	shrink.at = at;
	shrink.ended = now;
}

// --- the face ------------------------------------------------------------------------------------

void
shrink_plan(GcWhy why)
{
	int64_t now = os_nanotime();
	if (godebug.gcshrinkstackoff != 0 || (why == GC_GOAL && now - shrink.begun < PERIOD_NS))
		return;
	shrink.thorough = why == GC_FORCED || why == GC_LIMIT ? WAITING : RESTED;
	shrink.budget_ns = why == GC_FORCED ? INT64_MAX : BUDGET_NS;
	if (why == GC_FORCED)
		shrink.at = NULL;
	shrink.begun = now;
	store_rlx(&shrink.hurry, 0);   // order: published by planned
	store_rel(&shrink.planned, 1); // order: publish -> shrink_run
}

void
shrink_run(void)
{
	uint32_t one = 1;
	if (cas_acq(&shrink.planned, &one, 0)) // order: claim, observe <- shrink_plan
		pass();
}

void
shrink_hurry(void)
{
	store_rlx(&shrink.hurry, 1); // order: hint
}

void
shrink_stats(struct go_heap_stats *st)
{
	st->stacks_shrunk = load_rlx(&shrink.stacks);       // order: count
	st->stack_released_bytes = load_rlx(&shrink.bytes); // order: count
}
