// SPDX-License-Identifier: BSD-3-Clause
// Trimming parked stacks, src/gc/shrink.c, against goroutines that are woken, run, park again,
// yield, end and begin anew, src/sched/switch.c with its queues: the scan bit.
//
// Some threads are Ms with a P. A goroutine is a number of turns: in each it finds its stack as it
// left it, but for what lies below its stack pointer, goes deep, comes back and leaves the
// processor. A switch of stacks is no more than a switch of who has a turn. Cells stand for a
// stack's words; each touch of one is a plain access, so that two who believe that the stack is
// theirs are a race. A peer writes into a waiting goroutine's frame as a sender does.
#include "explore_arch.h"

#include "explore_lock.h"

#define UNDERGO_SCHED_FIBER_H // the switch is ours
#include "sched/sched_impl.h"

static void fiber_switch(M *mp, G *from, G *to, bool ends, void (*entry)(void *));
static inline void
fiber_arrived(void)
{
}

static inline void
fiber_reset(G *gp)
{
	(void)gp;
}

#include "sched/queue.c"
#include "sched/runq.c"
#include "sched/switch.c"

static int64_t fake_nanotime(void);
#define os_nanotime fake_nanotime
#include "gc/shrink.c"
#undef os_nanotime

#include <string.h>

enum {
	GS = 2,
	MS = 2,
	DEPTHS = 3,                 // how deep a goroutine waits: 1 to this
	CELLS = DEPTHS + 2,         // one below that in the first piece, one in the second
	DEPTH_BYTES = 2 * KEEP_BYTES,
	STACK_BYTES = 3 << 19,      // two pieces
	PATTERN = 100,
};

// What a goroutine does at the end of a turn.
typedef enum Leaving { PARKS, YIELDS, ENDS } Leaving;

typedef struct Body {
	int cell[CELLS];  // owner of the stack
	int depth;        // the goroutine: cells in use
	int turns;        // the goroutine: left to take
	Mutex channel;
	G *waiting;       // channel: who waits here
	int received;     // channel: what the peer wrote into its frame; 0: nothing
	bool lives;       // it has begun
} Body;

Sched sched;
Godebug godebug;
ATOMIC_U32 sched_n_procs;
static P ps[MS];
static M ms[MS];
static G gs[GS];
static Body bodies[GS];
static Leaving (*leaving)(int g, int turn);
static int errnos[MS];
static ATOMIC_U32 ended; // goroutines that are through
static ATOMIC_U32 calls; // for the peer: so many have come to wait, or ended
static uint32_t n_gs;
static int64_t fake_now;
static bool was_trimmed, was_awaited, was_woken;

// --- what lies around the code under test ----------------------------------------------------

static int64_t
fake_nanotime(void)
{
	PLAIN_WRITE(fake_now, fake_now + 1);
	return fake_now;
}

static int
number_of(const G *gp)
{
	return (int)(gp - gs);
}

G *
sched_all_first(void)
{
	return &gs[0];
}

static char *
address_of(const G *gp, int cell)
{
	char *hi = gp->stack.hi;
	return cell == CELLS - 1 ? gp->stack.lo + 64 : hi - cell * DEPTH_BYTES - 64;
}

// Below sp and a margin everything is zeroed, however it was used.
size_t
stack_decommit_below(Stack s, const char *sp, size_t keep)
{
	G *gp = s.hi == gs[0].stack.hi ? &gs[0] : &gs[1];
	explore_plain_read(&gp->sp);
	was_trimmed = true;
	uint32_t status = EXPLORE_RAW(&gp->status);
	was_awaited |= status == Grunning;
	was_woken |= status == Grunnable;
	for (int i = 0; i < CELLS; i++) {
		const char *at = address_of(gp, i);
		if (at >= s.lo && at < sp - keep)
			PLAIN_WRITE(bodies[number_of(gp)].cell[i], 0);
	}
	return 1;
}

void
g_retire(void *v)
{
	G *gp = v;
	PLAIN_WRITE(gp->sp, NULL);
	bodies[number_of(gp)].lives = false;
	gp->link = NULL;
	glist_push(&sched_m()->p->gfree, gp);
}

// --- goroutines
// -----------------------------------------------------------------------------------

// Comes back to its stack.
static void
look_at_frames(const G *gp, Body *b)
{
	if (!b->lives)
		return;
	EXPLORE_CHECK(PLAIN_READ(gp->sp) != NULL, "it has run, and has no stack pointer");
	for (int i = 0; i < b->depth; i++) {
		int want = i == 0 && b->received != 0 ? b->received : PATTERN + i;
		EXPLORE_CHECK(PLAIN_READ(b->cell[i]) == want, "a frame in use has changed");
	}
}

static void
go_deep(Body *b)
{
	for (int i = 0; i < CELLS; i++)
		PLAIN_WRITE(b->cell[i], PATTERN + i);
	b->depth = 1 + (int)explore_random(DEPTHS);
	b->received = 0;
	b->lives = true;
}

static void
call_peer(void)
{
	add_rel(&calls, 1);
	explore_futex_wake(&calls, 1);
}

// Off the stack.
static void
unlock_channel(void *v)
{
	mutex_unlock(v);
	call_peer();
}

// The stack goes to somebody whom this test does not know.
static void
retire_for_good(void *v)
{
	G *gp = v;
	PLAIN_WRITE(gp->sp, NULL);
	for (int i = 0; i < CELLS; i++)
		PLAIN_WRITE(bodies[number_of(gp)].cell[i], -1);
}

// The record and the stack go to another goroutine, which is this one's peer here.
static void
end_and_begin(G *gp)
{
	leave_cpu(gp, Gdead, g_retire, gp);
	P *pp = sched_m()->p;
	G *fresh = glist_pop(&pp->gfree);
	if (fresh == NULL)
		return;
	store_rlx(&fresh->status, Gidle);
	sched_ready(fresh);
}

static void
take_turn(G *gp)
{
	Body *b = &bodies[number_of(gp)];
	look_at_frames(gp, b);
	go_deep(b);
	b->turns--;
	if (b->turns == 0) {
		add_rel(&ended, 1);
		call_peer();
		leave_cpu(gp, Gdead, retire_for_good, gp);
		return;
	}
	switch (leaving(number_of(gp), b->turns)) {
	case PARKS:
		mutex_lock(&b->channel);
		b->waiting = gp;
		sched_park(WAIT_chan_recv, unlock_channel, &b->channel);
		return;
	case YIELDS:
		leave_cpu(gp, Grunnable, requeue, gp);
		return;
	case ENDS:
		end_and_begin(gp);
		return;
	}
}

// Whoever arrives has a turn, until that is the scheduler. What follows a switch in the code under
// test, finish_switch, is what the arriving context does first; then its turn begins.
static void
fiber_switch(M *mp, G *from, G *to, bool ends, void (*entry)(void *))
{
	(void)entry;
	(void)to;
	if (from != NULL) {
		if (!ends)
			PLAIN_WRITE(from->sp, from->stack.hi -
						      bodies[number_of(from)].depth * DEPTH_BYTES);
		return;
	}
	while (mp->curg != NULL)
		take_turn(mp->curg);
}

// --- Ms
// -------------------------------------------------------------------------------------------

G *
find_runnable(M *mp)
{
	for (;;) {
		G *gp = p_take(mp->p);
		if (gp == NULL && load_rlx(&sched.globq_n) != 0) {
			mutex_lock(&sched.lock);
			(void)globq_take(mp->p, 1, &gp);
			mutex_unlock(&sched.lock);
		}
		if (gp != NULL || load_acq(&ended) == n_gs)
			return gp;
		explore_yield();
	}
}

static void
be_m(int i)
{
	explore_words.m = &ms[i];
	sched_run(&ms[i]);
}

// --- those around
// -----------------------------------------------------------------------------------

// On a thread without a P.
static void
send(int g, int v)
{
	Body *b = &bodies[g];
	mutex_lock(&b->channel);
	G *gp = b->waiting;
	b->waiting = NULL;
	if (gp != NULL) {
		PLAIN_WRITE(b->cell[0], v);
		b->received = v;
	}
	mutex_unlock(&b->channel);
	if (gp != NULL)
		sched_ready(gp);
}

// Plans the pass; then sends to whoever waits, until all are through.
static void
be_peer(void)
{
	shrink_plan(GC_FORCED);
	for (int v = 1;; v++) {
		uint32_t seen = load_acq(&calls);
		if (load_acq(&ended) == n_gs)
			return;
		for (uint32_t g = 0; g < n_gs; g++)
			send((int)g, v);
		(void)explore_futex_wait(&calls, seen, false);
	}
}

static void
shrink_all(void)
{
	while (load_rlx(&shrink.planned) == 0)
		explore_yield();
	shrink_run();
}

// Reads stacks, as a dump does, of whoever does not run; but not where peers may write.
static void
scan_all(void)
{
	for (uint32_t g = 0; g < n_gs; g++) {
		G *gp = &gs[g];
		if (!sched_scan_begin(gp))
			continue;
		explore_plain_read(&gp->sp);
		if (gp->sp != NULL)
			for (int i = 1; i < CELLS; i++)
				explore_plain_read(&bodies[g].cell[i]);
		sched_scan_end(gp);
	}
}

// --- set-up
// -----------------------------------------------------------------------------------------

static Leaving
parks(int g, int turn)
{
	(void)g;
	(void)turn;
	return PARKS;
}

static Leaving
parks_or_yields(int g, int turn)
{
	return (g + turn) % 2 == 0 ? PARKS : YIELDS;
}

static Leaving
ends_too(int g, int turn)
{
	return (g + turn) % 2 == 0 ? ENDS : PARKS;
}

// Of each second G somebody wants to know when it runs: that is in the same word as the scan bit.
static uint32_t
observed(uint32_t g)
{
	return g % 2 != 0 ? SCAN_OBSERVED : 0;
}

static void
begin_with(uint32_t n, int turns, Leaving (*how)(int, int))
{
	explore_thread_local(&explore_words, sizeof(explore_words));
	memset(&sched, 0, sizeof(sched));
	memset(&sched_n_procs, 0, sizeof(sched_n_procs));
	memset(&shrink, 0, sizeof(shrink));
	memset(&ended, 0, sizeof(ended));
	memset(&calls, 0, sizeof(calls));
	memset(ps, 0, sizeof(ps));
	memset(ms, 0, sizeof(ms));
	memset(gs, 0, sizeof(gs));
	memset(bodies, 0, sizeof(bodies));
	was_trimmed = was_awaited = was_woken = false;
	fake_now = 0;
	n_gs = n;
	leaving = how;
	store_rlx(&sched_n_procs, MS);
	for (int i = 0; i < MS; i++) {
		ms[i].p = &ps[i];
		ms[i].errno_addr = &errnos[i];
		ms[i].rand = 1;
		store_rlx(&ps[i].timer_when, INT64_MAX);
	}
	for (uint32_t g = 0; g < n; g++) {
		gs[g].stack.lo = (char *)(uintptr_t)((g + 1) << 24);
		gs[g].stack.hi = gs[g].stack.lo + STACK_BYTES;
		gs[g].all_next = g + 1 < n ? &gs[g + 1] : NULL;
		store_rlx(&gs[g].scan, observed(g));
		bodies[g].turns = turns;
		store_rlx(&gs[g].status, Grunnable);
		sched_note_queued(&gs[g], true);
		globq_put(&gs[g]);
	}
}

static void
init_one(void)
{
	begin_with(1, 3, parks);
}

static void
init_two(void)
{
	begin_with(2, 3, parks);
}

static void
init_yielding(void)
{
	begin_with(2, 3, parks_or_yields);
}

static void
init_ending(void)
{
	begin_with(2, 3, ends_too);
}

// --- the tests
// ----------------------------------------------------------------------------------------

static void
one_m(int id)
{
	if (id == 0)
		be_m(0);
	else if (id == 1)
		be_peer();
	else
		shrink_all();
}

static void
two_ms(int id)
{
	if (id < 2)
		be_m(id);
	else if (id == 2)
		be_peer();
	else
		shrink_all();
}

static void
scanners(int id)
{
	if (id == 0)
		be_m(0);
	else if (id == 1)
		be_peer();
	else if (id == 2)
		shrink_all();
	else
		scan_all();
}

// 0: nobody waited when the pass came by. 1: trimmed. 2: woken meanwhile. 4: an M waited for the
// bit.
static void
final(void)
{
	for (uint32_t g = 0; g < n_gs; g++)
		EXPLORE_CHECK(EXPLORE_RAW(&gs[g].scan) == observed(g), "a scan bit was forgotten");
	explore_outcome(was_trimmed + 2u * was_woken + 4u * was_awaited);
}

enum { MUST = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 5, MAY = 1 << 7 };

static const struct ExploreTest tests[] = {
    {.name = "park and wake",
     .threads = 3,
     .init = init_one,
     .thread = one_m,
     .final = final,
     .must = MUST,
     .may = MAY},
    {.name = "two Ms",
     .threads = 4,
     .init = init_two,
     .thread = two_ms,
     .final = final,
     .must = MUST,
     .may = MAY},
    {.name = "yield",
     .threads = 4,
     .init = init_yielding,
     .thread = scanners,
     .final = final,
     .must = MUST,
     .may = MAY},
    {.name = "end and begin",
     .threads = 4,
     .init = init_ending,
     .thread = two_ms,
     .final = final,
     .must = MUST,
     .may = MAY},
    {0},
};

static const char *const sources[] = {"sched/switch.c", "gc/shrink.c", NULL};

static const struct ExploreAllowed allowed[] = {
    {"sched_scan_begin_all", "cas_acq(&gs[i]->scan)", "acquire",
     "the heavy fence that follows acquires too; ThreadSanitizer sees no fences"},
    {"sched_scan_end", "and_ar(&gp->scan)", "acquire",
     "to publish would do; there is no such operation of that order alone"},
    {0},
};

const struct ExploreDriver explore_driver = {
    .name = "shrink",
    .tests = tests,
    .allowed = allowed,
    .sources = sources,
};
