// SPDX-License-Identifier: BSD-3-Clause
// Stacks of what runs, taken by SIGPROF's handler on the thread itself.
//
// For a CPU profile the kernel sends the signal to a thread that computes. The handler walks what
// it has interrupted, into a slot of a table that the reader empties every now and then. Names are
// for the reader. And somebody may ask for the stack of a goroutine that runs elsewhere; then the
// signal is sent to its thread, which walks the stack as dumps do.
//
// The handler takes no lock and no memory. The unwinder finds its tables by _dl_find_object,
// without the loader's lock; where there is no such function a sample is the interrupted address
// alone. A walk may come to code that is switching stacks, or has no tables: then it ends early, or
// faults, which costs the rest of this sample.
//
// The handler is the program's to replace, at any time. A question looks first who has it: while
// the process lives only a signal that nobody wants is taken, for good; who dies takes it anyway.
//
// Invariants:
//   S1  A slot is FREE: whoever makes it TAKEN writes it; or FULL: the reader reads it, and frees
//       it.
//   S2  The question is one at a time: it and ask.number are the asker's. WAITS: the asker may take
//       it back, the thread it is for may answer; whoever moves it away from there. TAKEN: who
//       answers writes ask.walk. ANSWERED: that is the asker's. Each has another number in its
//       state: a handler that comes late answers no later one.
//   S3  Who does not wait for the end of an answer leaves it TAKEN, and the next one to ask waits.
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
#define ASK_LOOK_NS 20000      // between looks for the answer
#define HEAR_LOOK_NS 10000000  // between looks whether there can be one
#define DEAF_LOOK_NS 500000    // between looks whether a signal is blocked for long
#define TURN_LOOK_NS 200000    // between looks whether another has asked

typedef struct Slot {
	ATOMIC_U32 state;
	Sample s; // S1
} Slot;

static struct {
	ATOMIC_U32 state;     // number * ASK_STATES + ASK_...
	uint32_t number;      // S2; ASK_STATES times it
	ATOMIC(const G *) gp; // S2; whose stack,
	ATOMIC_U64 id;        // whose number it has, and
	ATOMIC(const M *) m;  // whose thread is asked
	Walk walk;            // S2
} ask;
static ATOMIC(int) asker;   // this thread's question; 0: nobody's

static void *tags[SLOTS];   // S1; here the collector sees them
static Slot *slots;         // set by the first start; NULL: none yet
static ATOMIC_BOOL on;
static ATOMIC_U32 next;     // where to look for a slot first
static ATOMIC_U64 lost;
static void *(*tag_of)(void); // set before `on`

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

// Between two goroutines one is on the other's stack, or on the scheduler's, which is the thread's.
static bool
on_its_stack(const M *mp, const G *gp, const void *context)
{
	uintptr_t pc, sp;
	os_signal_regs(context, &pc, &sp);
	bool on_threads = sp >= (uintptr_t)mp->stack_lo && sp < (uintptr_t)mp->stack_hi;
	return mp->prev == NULL && (gp->thread || !on_threads);
}

static void
answer(const void *context)
{
	const M *mp = sched_m();
	uint32_t is = load_acq(&ask.state); // order: observe <- pose
	uint32_t number = is - is % ASK_STATES;
	if (mp == NULL || is != number + ASK_WAITS)
		return;
	if (load_rlx(&ask.m) != mp) // order: with state
		return;
	const G *wanted = load_rlx(&ask.gp); // order: with state
	uint64_t id = load_rlx(&ask.id);     // order: with state
	if (!cas_acq(&ask.state, &is, number + ASK_TAKEN)) // order: claim, S2
		return;
	ask.walk.n = 0;
	if (mp->curg == wanted && wanted->id == id && on_its_stack(mp, wanted, context))
		trace_told(&ask.walk, context);
	store_rel(&ask.state, number + ASK_ANSWERED); // order: publish -> await_answer, may_pose
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

static bool
is_ours(const struct sigaction *now)
{
	return (now->sa_flags & SA_SIGINFO) != 0 && now->sa_sigaction == on_signal;
}

// The unwinder sets itself up at its first use, under a lock, so this comes before the first signal
// that has it walk.
static int
listen(void)
{
	static ATOMIC_BOOL ready;
	struct sigaction now;
	int err = os_signal_now(SIGPROF, &now);
	if (err == 0 && !is_ours(&now))
		err = os_profile_handle(on_signal);
	if (err == 0 && !load_rlx(&ready)) { // order: hint; twice does no harm
		trace_ready();
		store_rlx(&ready, true); // order: hint
	}
	return err;
}

void (*panic_unnoticed)(int sig);

// Whether the program does nothing with the signal that we would take from it.
static bool
is_unused(void)
{
	struct sigaction now;
	if (os_signal_now(SIGPROF, &now) != 0)
		return false;
	bool plain = (now.sa_flags & SA_SIGINFO) == 0;
	return is_ours(&now) ||
	       (plain && (now.sa_handler == SIG_DFL || now.sa_handler == panic_unnoticed));
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

// While somebody dies nobody else asks.
static bool
is_over(const Question *q)
{
	bool others_death = !q->dying && load_rlx(&base_dying) != 0; // order: hint
	return others_death || os_nanotime() >= q->until;
}

// Who dies in the middle of a question of his own has his turn.
static bool
turn_begins(const Question *q)
{
	int self = os_thread_id(), its = 0;
	while (!cas_acq(&asker, &its, self) && its != self) { // order: claim, S2
		if (is_over(q))
			return false;
		os_sleep(TURN_LOOK_NS); // a question takes microseconds, or very long
		its = 0;
	}
	return true;
}

static void
turn_ends(void)
{
	store_rel(&asker, 0); // order: release, S2
}

static bool
take_back(void)
{
	uint32_t is = ask.number + ASK_WAITS;
	return cas_acq(&ask.state, &is, ask.number + ASK_IDLE); // order: claim, S2
}

// S3. False: there is still somebody who answers.
static bool
may_pose(const Question *q)
{
	(void)take_back(); // what the thread asked that dies now
	while (load_acq(&ask.state) == ask.number + ASK_TAKEN) { // order: observe <- answer
		if (is_over(q))
			return false;
		os_sleep(ASK_LOOK_NS); // as in await_answer
	}
	return true;
}

// Whether it blocks the signal for longer than a handler takes.
static bool
is_deaf(int tid)
{
	enum { LOOKS = 4 };
	for (int i = 1; os_signal_blocked(tid, SIGPROF); i++) {
		if (i == LOOKS)
			return true;
		os_sleep(DEAF_LOOK_NS); // the handler is another thread's, and wakes nobody
	}
	return false;
}

// A thread that has nothing against the signal gets it as soon as it gets a processor.
static bool
may_answer(const M *mp, int tid)
{
	return load_rlx(&mp->tid) == tid && os_thread_runnable(tid) && !is_deaf(tid); // order: hint
}

static void
pose(const Question *q, const M *mp)
{
	ask.number += ASK_STATES;
	store_rlx(&ask.gp, q->gp); // order: with state
	store_rlx(&ask.id, q->id); // order: with state
	store_rlx(&ask.m, mp);     // order: with state
	store_rel(&ask.state, ask.number + ASK_WAITS); // order: publish -> answer
}

// Who answers blocks the signal, and may be kept from a processor: he is waited for.
static bool
await_answer(const Question *q, const M *mp, int tid)
{
	int64_t look = os_nanotime() + HEAR_LOOK_NS;
	while (!is_over(q)) {
		uint32_t is = load_acq(&ask.state); // order: observe <- answer
		if (is == ask.number + ASK_ANSWERED)
			return true;
		if (is == ask.number + ASK_WAITS && os_nanotime() >= look) {
			if (!may_answer(mp, tid) && take_back())
				return false;
			if (q->dying || is_unused()) // one that was sent may be lost
				(void)os_signal_thread(tid, SIGPROF);
			look = os_nanotime() + HEAR_LOOK_NS;
		}
		os_sleep(ASK_LOOK_NS); // the other is in a signal's handler, which wakes nobody
	}
	return !take_back() &&
	       load_acq(&ask.state) == ask.number + ASK_ANSWERED; // order: observe <- answer
}

// Who runs gp, as it says without any order; of one in the list all is seen that made it. NULL:
// none, or one so new that it is not in the list that we see.
static const M *
runner_of(const G *gp)
{
	const M *says = load_rlx(&gp->m); // order: hint; Ms are never freed
	const M *mp = sched_ms();
	while (mp != NULL && mp != says)
		mp = mp->all_next;
	return mp;
}

// The caller has the turn.
static Answer
ask_now(const Question *q, Walk *w)
{
	const M *mp = runner_of(q->gp);
	int tid = mp != NULL ? load_rlx(&mp->tid) : 0; // order: hint
	if (tid == 0 || is_deaf(tid) || !may_pose(q))
		return ANSWER_NONE;
	if ((!q->dying && !is_unused()) || listen() != 0)
		return ANSWER_NONE;
	pose(q, mp);
	if (os_signal_thread(tid, SIGPROF) != 0 && take_back())
		return ANSWER_NONE;
	if (!await_answer(q, mp, tid))
		return ANSWER_NONE;
	*w = ask.walk;
	return w->n != 0 ? ANSWER_STACK : ANSWER_LEFT;
}

Answer
sample_ask(const Question *q, Walk *w)
{
	if (!turn_begins(q))
		return ANSWER_NONE;
	Answer a = ask_now(q, w);
	turn_ends();
	return a;
}
