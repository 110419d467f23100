// SPDX-License-Identifier: BSD-3-Clause
// Stacks of what runs, taken by SIGPROF's handler on the thread itself.
//
// For a CPU profile the kernel sends the signal to a thread that computes. The handler walks what
// it has interrupted, into a slot of a table that the reader empties every now and then. Names are
// for the reader. And somebody may ask for the stack of a goroutine that runs elsewhere; then the
// signal is sent to its thread.
//
// The handler takes no lock and no memory. The unwinder finds its tables by _dl_find_object,
// without the loader's lock; where there is no such function a sample is the interrupted address
// alone. A walk may come to code that is switching stacks, or has no tables: then it ends early, or
// faults, which costs the rest of this sample.
//
// Invariants:
//   S1  A slot is FREE: whoever makes it TAKEN writes it; or FULL: the reader reads it, and frees
//       it.
//   S2  The question is one at a time (ask_turn). WAITS: who asks may take it back, the thread it
//       is for may answer; whoever moves it away from there. ANSWERED: it is who asks's again. Each
//       has another number in its state: a handler that comes late answers no later one.
// Order:  a slot's contents ride on its state, and the question's on its.
// The table is read by the collector, since tags are managed memory.
#include "panic/sample.h"

#include <dlfcn.h>
#include <errno.h>

#include "panic/panic_impl.h"
#include "undergo/base.h"
#include "undergo/heap.h"

#ifdef DLFO_EH_SEGMENT_TYPE
enum { CAN_WALK = true };
#else
enum { CAN_WALK = false };
#endif

enum { SLOTS = 512 };
enum { SLOT_FREE, SLOT_TAKEN, SLOT_FULL };
enum { ASK_IDLE, ASK_WAITS, ASK_TAKEN, ASK_ANSWERED, ASK_STATES };
#define ASK_LOOK_NS 20000   // between looks for the answer
enum {
	ASK_LOOKS = 500,
	ASK_ROUNDS = 200, // of so many looks; a few seconds
	VAIN_MAX = 100, // questions of the dying: a second or so
};

typedef struct Slot {
	ATOMIC_U32 state;
	Sample s; // S1
} Slot;

typedef struct Ask {
	ATOMIC_U32 state; // number * ASK_STATES + ASK_...
	uint32_t number;  // ask_turn; ASK_STATES times it
	ATOMIC(const G *) gp; // S2; whose stack, and
	ATOMIC(const M *) m;  // whose thread is asked
	Sample s;     // S2
} Ask;

static void *tags[SLOTS];   // S1; here the collector sees them
static Slot *slots;         // set by the first start; NULL: none yet
static ATOMIC_BOOL on;
static ATOMIC_U32 next;     // where to look for a slot first
static ATOMIC_U64 lost;
static void *(*tag_of)(void); // set before `on`
static Ask ask;
static Turn ask_turn;

// --- the handler --------------------------------------------------------------------------------

static void
walk(Sample *s, const void *context)
{
	uintptr_t pc, sp;
	os_signal_regs(context, &pc, &sp);
	s->n = CAN_WALK ? trace_interrupted(pc, s->pcs, SAMPLE_FRAMES) : 0;
	if (s->n == 0)
		s->pcs[s->n++] = pc + 1;
}

// Any that is free: the reader does not mind the order.
static Slot *
claim_slot(void)
{
	enum { TRIES = 4 };
	for (int i = 0; i < TRIES; i++) {
		Slot *slot = &slots[add_rlx(&next, 1) % SLOTS]; // order: hint
		uint32_t is = SLOT_FREE;
		if (cas_acq(&slot->state, &is, SLOT_TAKEN)) // order: claim, S1
			return slot;
	}
	return NULL;
}

static void
take_sample(const void *context)
{
	Slot *slot = claim_slot();
	if (slot == NULL) {
		add_rlx(&lost, 1); // order: count
		return;
	}
	walk(&slot->s, context);
	tags[slot - slots] = tag_of();
	store_rel(&slot->state, SLOT_FULL); // order: publish -> sample_take
}

static void
answer(const void *context)
{
	const M *mp = sched_m();
	uint32_t is = load_acq(&ask.state); // order: observe <- sample_of
	uint32_t number = is - is % ASK_STATES;
	if (mp == NULL || is != number + ASK_WAITS)
		return;
	if (load_rlx(&ask.m) != mp) // order: with state
		return;
	const G *wanted = load_rlx(&ask.gp); // order: with state
	if (!cas_acq(&ask.state, &is, number + ASK_TAKEN)) // order: claim, S2
		return;
	ask.s.n = 0;
	if (mp->curg == wanted)
		walk(&ask.s, context);
	store_rel(&ask.state, number + ASK_ANSWERED); // order: publish -> sample_of
}

static void
on_signal(int sig, siginfo_t *info, void *context)
{
	int saved = *os_errno_addr();
	(void)sig;
	if (info->si_code == SI_TKILL)
		answer(context);
	else if (load_acq(&on)) // order: observe <- sample_start
		take_sample(context);
	*os_errno_addr() = saved;
}

// The first call matters; one that comes at the same time does the same. The unwinder sets itself
// up at its first use, under a lock, so this comes before the first signal.
static int
listen(void)
{
	static ATOMIC_BOOL listening;
	uintptr_t unused;
	if (load_rlx(&listening)) // order: hint
		return 0;
	(void)trace_interrupted(0, &unused, 1);
	int err = os_profile_handle(on_signal);
	store_rlx(&listening, err == 0); // order: hint
	return err;
}

// --- profiles -----------------------------------------------------------------------------------

int
sample_start(int hz, void *(*tag)(void))
{
	if (hz <= 0 || hz > 1000000)
		return GO_EINVAL;
	if (slots == NULL)
		slots = os_map(SLOTS * sizeof(Slot), os_page_bytes());
	if (slots == NULL)
		return GO_ENOMEM;
	tag_of = tag;
	if (listen() != 0)
		return GO_ENOSYS;
	store_rel(&on, true); // order: publish -> on_signal
	int err = os_profile_every(GO_SEC / hz);
	if (err != 0)
		store_rlx(&on, false); // order: hint
	return err == 0 ? 0 : GO_ENOSYS;
}

void
sample_stop(void)
{
	os_profile_every(0);
	store_rlx(&on, false); // order: hint; a sample that is being taken is taken
}

bool
sample_take(Sample *s)
{
	for (size_t i = 0; slots != NULL && i < SLOTS; i++) {
		Slot *slot = &slots[i];
		if (load_acq(&slot->state) != SLOT_FULL) // order: observe <- take_sample
			continue;
		*s = slot->s;
		s->tag = tags[i];
		tags[i] = NULL;
		store_rel(&slot->state, SLOT_FREE); // order: release, S1
		return true;
	}
	return false;
}

uint64_t
sample_lost(void)
{
	return xchg_rlx(&lost, 0); // order: count
}

// --- asking -------------------------------------------------------------------------------------

static bool
answer_comes(void)
{
	for (int i = 0; i < ASK_LOOKS; i++) {
		if (load_acq(&ask.state) == ask.number + ASK_ANSWERED) // order: observe <- answer
			return true;
		os_sleep(ASK_LOOK_NS); // the other is in a signal's handler, which wakes nobody
	}
	return false;
}

// A thread that has nothing against the signal gets it as soon as it gets a processor.
static bool
may_answer(int tid)
{
	return os_thread_runnable(tid) && !os_signal_blocked(tid, SIGPROF);
}

// ASK_ANSWERED: it is in ask.s, of no length when the goroutine has left. ASK_IDLE: there will be
// none. ASK_TAKEN: it may still come.
static uint32_t
await_answer(int tid)
{
	uint32_t is = ask.number + ASK_WAITS;
	for (int i = 0; i < ASK_ROUNDS && (i == 0 || may_answer(tid)); i++)
		if (answer_comes())
			return ASK_ANSWERED;
	if (cas_acq(&ask.state, &is, ask.number + ASK_IDLE)) // order: claim, S2
		return ASK_IDLE;
	return ASK_TAKEN;
}

// The caller has the turn.
static uint32_t
ask_for(const G *gp)
{
	M *mp = load_rlx(&gp->m); // order: hint; Ms are never freed
	int tid = mp != NULL ? load_rlx(&mp->tid) : 0; // order: hint
	if (tid == 0 || listen() != 0)
		return ASK_IDLE;
	ask.number += ASK_STATES;
	store_rlx(&ask.gp, gp); // order: with state
	store_rlx(&ask.m, mp);  // order: with state
	store_rel(&ask.state, ask.number + ASK_WAITS); // order: publish -> answer
	if (os_signal_thread(tid, SIGPROF) == 0)
		return await_answer(tid);
	store_rlx(&ask.state, ask.number + ASK_IDLE); // order: own, S2; nobody was told of it
	return ASK_IDLE;
}

static size_t
copy_answer(uint32_t is, uintptr_t *pcs, size_t max)
{
	size_t n = 0;
	for (; is == ASK_ANSWERED && n < ask.s.n && n < max; n++)
		pcs[n] = ask.s.pcs[n];
	store_rlx(&ask.state, ask.number + ASK_IDLE); // order: own, S2
	return n;
}

size_t
sample_of(const G *gp, uintptr_t *pcs, size_t max)
{
	turn_take(&ask_turn);
	uint32_t is = ask_for(gp);
	while (is == ASK_TAKEN)
		is = answer_comes() ? ASK_ANSWERED : ASK_TAKEN;
	size_t n = copy_answer(is, pcs, max);
	turn_give(&ask_turn);
	return n;
}

// The turn is kept where an answer has begun and does not end: it is still written to.
size_t
sample_of_dying(const G *gp, uintptr_t *pcs, size_t max)
{
	static int in_vain; // the one that dies
	if (in_vain == VAIN_MAX || !turn_try(&ask_turn)) {
		in_vain = VAIN_MAX;
		return 0;
	}
	uint32_t is = ask_for(gp);
	if (is == ASK_TAKEN && answer_comes())
		is = ASK_ANSWERED;
	if (is == ASK_TAKEN)
		return 0;
	in_vain += is == ASK_IDLE;
	size_t n = copy_answer(is, pcs, max);
	turn_give(&ask_turn);
	return n;
}
