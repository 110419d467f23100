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
enum { ASK_LOOKS = 500 };

typedef struct Slot {
	ATOMIC_U32 state;
	Sample s; // S1
} Slot;

typedef struct Ask {
	ATOMIC_U32 state; // number * ASK_STATES + ASK_...
	uint32_t number;  // ask_turn; ASK_STATES times it
	ATOMIC(const G *) gp; // S2
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
	const G *wanted = load_rlx(&ask.gp); // order: with state
	if (mp->curg != wanted || !cas_acq(&ask.state, &is, number + ASK_TAKEN)) // order: claim, S2
		return;
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

// False: it did not answer, and will not.
static bool
await_answer(void)
{
	uint32_t is = ask.number + ASK_WAITS, answered = ask.number + ASK_ANSWERED;
	for (int i = 0; i < ASK_LOOKS; i++) {
		if (load_acq(&ask.state) == answered) // order: observe <- answer
			return true;
		os_sleep(ASK_LOOK_NS);
	}
	if (cas_acq(&ask.state, &is, ask.number + ASK_IDLE)) // order: claim, S2
		return false;
	while (load_acq(&ask.state) != answered) // order: observe <- answer
		os_sleep(ASK_LOOK_NS);
	return true;
}

static size_t
ask_for(const G *gp, uintptr_t *pcs, size_t max)
{
	M *mp = load_rlx(&gp->m); // order: hint; Ms are never freed
	int tid = mp != NULL ? load_rlx(&mp->tid) : 0; // order: hint
	if (tid == 0)
		return 0;
	ask.number += ASK_STATES;
	store_rlx(&ask.gp, gp); // order: with state
	store_rel(&ask.state, ask.number + ASK_WAITS); // order: publish -> answer
	size_t n = 0;
	if (os_signal_thread(tid, SIGPROF) == 0 && await_answer())
		for (; n < ask.s.n && n < max; n++)
			pcs[n] = ask.s.pcs[n];
	store_rlx(&ask.state, ask.number + ASK_IDLE); // order: own, S2
	return n;
}

size_t
sample_of(const G *gp, uintptr_t *pcs, size_t max)
{
	size_t n = 0;
	turn_take(&ask_turn);
	if (listen() == 0)
		n = ask_for(gp, pcs, max);
	turn_give(&ask_turn);
	return n;
}
