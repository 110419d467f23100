// SPDX-License-Identifier: BSD-3-Clause
// The scheduler's face: G, M, P, and the calls by which goroutines start, wait and wake.
//
// G is a goroutine, M a thread of the kernel, P the right to run goroutines (GOMAXPROCS of them).
// Reading order and the protocols that span files: src/sched/README.
#ifndef UNDERGO_SCHED_SCHED_H
#define UNDERGO_SCHED_SCHED_H

#include "arch/arch.h"
#include "base/base.h"
#include "mem/stack.h"
#include "os/os.h"
#include "sched/lease.h"
#include "sched/runq.h"
#include "sched/waitq.h"
#include "sync/sync.h"

typedef struct M M;
typedef struct P P;

// --- G ----------------------------------------------------------------------------------------

// Who owns a G and its stack, by status. A status is stored by the owner alone, after what it
// says has become true (with release where others act on it without a queue between); no locked
// instruction is spent on it.
//
//   Gidle      the creator, no stack yet
//   Grunnable  the queue it is in; whoever takes it out
//   Grunning   the M in G.m
//   Gwaiting   whoever it waits on: one party becomes the waker (a lock, or sched_claim)
//   Gdead      the free list
//
// The scan bit, in G.scan, is a lock on the stack of a G that does not run: its holder may read and
// trim the stack, whatever the status does meanwhile, except that nobody may let it run
// (sched_scan_begin). Beside it stands whether somebody wants to know when the G runs, so that one
// look tells both.
typedef enum GStatus {
	Gidle,
	Grunnable,
	Grunning,
	Gwaiting,
	Gdead,
} GStatus;

// Why a G waits; the texts of Go's tracebacks. wait_reason.def: WAIT(name, "text").
typedef enum WaitReason {
#define WAIT(name, text) WAIT_##name,
#include "sched/wait_reason.def"
#undef WAIT
	WAIT_COUNT
} WaitReason;
static_assert(WAIT_COUNT <= UINT8_MAX, "G.wait holds one");
const char *sched_wait_text(WaitReason r);

// Who ended a wait that several parties may end; see sched_claim.
typedef enum Claim {
	CLAIM_CLOSED,   // no such wait
	CLAIM_PREPARED, // the G has announced the wait and is not off its stack yet
	CLAIM_OPEN,     // the first to claim it wins
	CLAIM_PEER,     // won by who brought what it waits for
	CLAIM_DEADLINE, // won by the deadline
	CLAIM_CANCEL,   // won by a cancellation
} Claim;

enum { G_NAME_BYTES = 24 };

// Bits of G.scan.
enum { SCAN_HELD = 1, SCAN_OBSERVED = 2 };

struct G {
	void *sp;            // owner of the stack: suspended context; NULL: it has never run
	ATOMIC_U32 status;   // GStatus, owner; see above
	ATOMIC_U32 scan;     // SCAN_...
	G *link;             // owner of the list it is in
	ATOMIC(M *) m;       // owner: the M that runs it; dumps read it as a hint
	ATOMIC_U32 claim;    // Claim
	int errno_saved;     // owner: errno while it does not run
	Stack stack;         // set before publication; replaced while Gdead. Threads: gccgo's
	void (*fn)(void *);  // set before publication
	void *arg;           // set before publication
	uint64_t id;         // set before publication
	uint64_t parent_id;  // set before publication: who started it
	uintptr_t spawn_pc;  // set before publication: and where; 0: not known
	ATOMIC(uint8_t) wait; // WaitReason, while Gwaiting; count for dumps
	bool keeps_stack : 1; // owner: its stack is of the default size and stays with it
	bool split : 1;      // owner: its code asks for more stack: see STACK_RESERVE_BYTES
	bool pinned : 1;     // owner: Go code that runs inside the runtime, and stays there
	bool chained : 1;    // owner: stack continues another one; see StackBelow
	bool panics_on_fault; // owner: a bad pointer is a panic
	ATOMIC_BOOL faulted; // owner sets, others read as a hint: a fault may have led it out of
			     // what it was in the middle of. Never cleared, as that may stay
	uint8_t open_scopes; // owner: which it opened and has not waited for, modulo 2^8
	union {
		struct {
			bool thread;       // set before publication: a foreign thread; it
					   // parks on note and has no P
			bool locked;       // owner: it runs on the M in G.m alone; locked.c
			bool begins_again; // set before publication: after its end fn(arg) is
					   // called anew
			uint8_t observed;  // OBSERVE_..., see observe.h
		};
		uint32_t odd;              // not 0: any of these. One test where all are rare
	};
	ATOMIC_I64 wait_since; // about when it parked: own of threads, else who looked; 0 not yet
	ATOMIC_I64 trimmed;  // scan bit: the wait_since of the wait in which its stack was trimmed
	struct Scope *scope; // owner: the scope it runs in, NULL none
	struct Locals *locals; // owner: goroutine-local values
	char *name;          // owner; G_NAME_BYTES, allocated on demand
	G *scope_next;       // scope's lock
	G *scope_prev;       // scope's lock
	struct Defer *defers; // owner: deferred calls, newest first; see panic/chain.h
	struct Panic *panics; // owner: panics under way, newest first
	union {
		struct {                    // thread Gs
			Note note;          // what they sleep on
			ATOMIC_U32 counted; // 1 while counted in n_foreign_parked
		};
		int (*scope_fn)(void *); // scope's children: set before publication: the body
	};
#if SANITIZE_THREAD
	void *fiber;         // owner: what ThreadSanitizer calls this context
#endif
#if SANITIZE_ADDRESS
	void *fake_stack;    // owner: AddressSanitizer's, while it does not run
#endif
	void *face;          // owner: gccgo's
	G *all_next;         // allg lock; set once
	uint32_t told;       // owner, or who readies it: what a trace has; events.c
	uint32_t ready_at;   // the same: when it became runnable, if it is a sample; observe.c
#ifndef NDEBUG
	bool queued;         // owner: it is in a run queue, just one; checked at each put and take
#endif
};

// G lists, first in first out.
static inline void
glist_push(GList *l, G *gp)
{
	gp->link = NULL;
	if (l->last != NULL)
		l->last->link = gp;
	else
		l->first = gp;
	l->last = gp;
	l->n++;
}

static inline G *
glist_pop(GList *l)
{
	G *gp = l->first;
	if (gp == NULL)
		return NULL;
	l->first = gp->link;
	if (l->first == NULL)
		l->last = NULL;
	l->n--;
	return gp;
}

// The oracle that each runnable G is in exactly one queue: told when gp enters one, and when it
// runs.
static inline void
sched_note_queued(G *gp, bool queued)
{
#ifndef NDEBUG
	check(gp->queued != queued, queued ? "goroutine queued twice" : "goroutine runs unqueued");
	gp->queued = queued;
#else
	(void)gp;
	(void)queued;
#endif
}

// --- M ----------------------------------------------------------------------------------------

typedef int StartFn(void (*fn)(void *), void *arg);

// A thread that somebody else makes.
typedef struct Birth {
	void (*fn)(void *);
	void *arg;
	StartFn *start;
	int err;            // of start
	Note *done;         // woken when err is there; NULL: arg is an M, and nobody waits
	struct Birth *next; // sched.lock
} Birth;

// Whether a thread of the program runs goroutines, between its call of sched_run_here and the
// return of the function that this has called.
typedef enum Lent { LENT_NOT, LENT, LENT_OVER } Lent;

// Why a G is locked to its M: the program says so, or the runtime. Each is counted for itself.
typedef enum ThreadLock { LOCK_EXTERNAL, LOCK_INTERNAL, THREAD_LOCKS } ThreadLock;

struct M {
	// What every entry and every switch touches.
	Lease lease;         // lease.h
	G *curg;             // own; the G that runs, NULL in the scheduler
	P *p;                // own; see L2 in lease.h
	void *g0_sp;         // own: the scheduler's context while a G runs
	G *prev;             // own: who just left the processor; see finish_switch
	void (*after)(void *); // own: runs once prev is off its stack
	void *after_arg;     // own
	int *errno_addr;     // own: this thread's errno
	uint32_t prev_status; // own: GStatus that prev gets
	// The rest.
	bool spinning;       // own
	int64_t busy_since;  // own: when it found work; 0: it has gone idle since
	int64_t worth_ns;    // own: how long the last find kept it busy; F5 in find.c
	bool foreign;        // set before publication: a thread of the program
	ATOMIC(int) tid;     // own: set last when it begins, cleared first when it ends; 0: none
	uintptr_t tp;        // own: os_thread_pointer
	uint64_t id;         // set before publication
	uint64_t rand;       // own
	uintptr_t spawn_pc;  // own: for sched_spawn_held, which takes it
	ATOMIC_U32 resting;  // own: it sleeps, and asks before it does more; see sched_rest_hold
	void *rest_sp;       // own: while resting, above it lies all it has on its stack
	bool idle;           // sched.lock: it is in the idle list
	bool polls;          // sched.lock: it sleeps in the poller; see poll.c
	Note park;           // what it sleeps on in thread.c
	P *next_p;           // set by who wakes it, before the wake; NULL: look for yourself
	G *locked_g;         // own: the G that is locked to it; the last one, when it ends
	uint64_t locks[THREAD_LOCKS]; // own: by kind; not all 0: no thread is made from here
	bool locked_ready;   // own: locked_g is to run, and in no queue
	bool locked_idle;    // sched.lock: asleep until locked_g is to run; see locked.c
	bool told;           // sched.lock, own when awake: woken to mind timers; see locked.c
	ATOMIC_U32 lent;     // Lent, see lent.c; sched.lock: LENT_OVER, own the others
	bool lent_spoilt;    // sched.lock: asleep until it is LENT_OVER
	bool ends;           // own: its locked G has ended, and so shall the thread
	Birth birth;         // how it is made, when another thread does it
	M *link;             // sched.lock: idle list, or sched.locked_sleepers
	M *link_back;        // sched.lock: the latter
	M *all_next;         // set before publication
	ATOMIC_I64 cpu_seen; // sysmon: CPU time at its last look
	int64_t cpu_awake;   // sysmon: at this CPU time it waited for a processor
	ATOMIC_U64 cgo_calls; // own: gccgo's: calls of C functions
	void *signal_stack;  // own
	void *fiber;         // own: what the sanitizers call the scheduler's context
	void *fake_stack;    // own: AddressSanitizer's
	void *fake_coming;   // own: the fake stack of the context being switched to
	void *stack_lo;      // own: bounds of the thread's stack
	void *stack_hi;      // own
	bool sampled;        // own: gc's: what was allocated just now is a sample
	size_t unzeroed;     // own: gc's: and so much of it is not zero yet
	uintptr_t stands_at; // gc's, while threads are stopped: its stack pointer; 0: nowhere
	bool held_resting;   // gc's, the same: it rested when it was looked at, and goes nowhere
};

// --- P ----------------------------------------------------------------------------------------

enum { HAND_SIZE = 8 };
typedef void SafePointFn(P *pp);
typedef enum PStatus { Pidle, Prunning, Pstopped, Pdead } PStatus;

struct P {
	// Owner's line: written at every switch.
	ATOMIC(G *) next CACHE_ALIGNED; // runs before all others; owner, or who froze the lease
	ATOMIC_U32 hand_head;  // hand: slots [hand_head, hand_tail); owner, or who froze the lease
	ATOMIC_U32 hand_tail;  // owner, or who froze the lease
	ATOMIC_U32 attention;  // not 0: slow path at the next switch. Anyone sets, owner clears
	ATOMIC(G *) hand[HAND_SIZE]; // Gs older than the ring's; owner, or who froze the lease
	uint32_t next_streak;  // owner: how often in a row `next` was taken
	ATOMIC_U64 tick;       // own: switches
	uint32_t timer_look;   // owner: switches since the clock was looked at
	ATOMIC_I64 timer_when; // earliest timer, INT64_MAX none; timers lock writes, all read
	GList gfree;           // owner: dead Gs with default stacks
	uint64_t id_next;      // owner: goroutine ids in hand
	uint64_t id_end;       // owner
	ATOMIC_U64 spawned;    // own
	ATOMIC_U64 ended;      // own
	ATOMIC_U64 steals;     // own
	int64_t batch_since;   // owner: when the poller told of the last batch; 0: none is run
	uint32_t batch_n;      // owner: how many that were
	uint32_t event_ns;     // owner: what each has taken, lately; poll.c
	ATOMIC_I64 alone_until; // owner writes: while it needs nobody's help; 0: it does not say
	struct Timers *timers; // set before publication
	struct Mcache *mcache; // owner, made by gc; STW
	// Shared with thieves and sysmon.
	RunQ runq CACHE_ALIGNED;
	ATOMIC(M *) m;         // who holds it
	ATOMIC_U32 status;     // PStatus; sched.lock, or its owner
	uint32_t id;           // set before publication
	P *link;               // sched.lock: idle list
	ATOMIC(SafePointFn *) safe_point; // claimed by xchg; see sched_for_each_p
	struct EventBuf *events; // owner: of a trace; events.c
	bool events_begun;       // owner: the trace has that it is run
	// sysmon's own.
	uint64_t seen_tick;
	int64_t seen_when;
	int64_t seen_alone;
};

// The processors as they were at one moment: safe to walk without a P, however GOMAXPROCS changes
// meanwhile. Ps and arrays are never freed; see procs.c.
typedef struct ProcSnapshot {
	uint32_t n;
	P *const *p;
} ProcSnapshot;
ProcSnapshot sched_procs(void);
ProcSnapshot procs_all(void); // the same of all there ever were

// --- entering and leaving ---------------------------------------------------------------------

static inline M *sched_m(void) { return arch_tls_m(); }
// The running G. The thread has to be known to the runtime.
static inline G *sched_g(void) { return ((M *)arch_tls_m())->curg; }

G *sched_enter_slow(void);
// Every call of the C face begins here: the caller gets its P for sure (a thread of the program has
// none and needs none). Starts the runtime and attaches the thread when needed.
// Returns the running G.  Blocks: G, when the lease was lost.
static inline G *
sched_enter(void)
{
	M *mp = sched_m();
	if (unlikely(mp == NULL) || unlikely(!lease_enter(&mp->lease)))
		return sched_enter_slow();
	return mp->curg;
}

void sched_block_begin(void);

// And ends here. Runs on whatever M the G is on by then.
static inline void
sched_leave(void)
{
	if (CHAOS("lose_lease", 32)) {
		sched_block_begin();
		return;
	}
	lease_leave(&sched_m()->lease);
	os_sim_point();
}

// --- starting, waiting, waking: all inside the runtime ------------------------------------------

// Starts a goroutine. NULL without memory. stack_bytes 0 is the default.
G *sched_spawn(void (*fn)(void *), void *arg, size_t stack_bytes, const char *name);
// The same, not yet runnable: the caller may still set fields, then calls sched_ready. If it is to
// begin again when it has ended, arg is not managed memory: nobody marks it then.
G *sched_spawn_held(void (*fn)(void *), void *arg, size_t stack_bytes, const char *name);

// The next goroutine that this M starts was asked for by a call that returns there.
static inline void
sched_spawning(const void *return_pc)
{
	sched_m()->spawn_pc = (uintptr_t)return_pc;
}

// Names gp, which is the caller's own or not yet runnable; NULL takes the name away.
void sched_set_name(G *gp, const char *name);

// Parks the running G. after(arg), unless NULL, runs when it is off its stack and Gwaiting: it
// usually unlocks what the waker must lock. Returns when somebody has called sched_ready.
// Locks: only such as `after` gives up.  Blocks: G.
void sched_park(WaitReason why, void (*after)(void *), void *arg);
// Whether the running G counts as one. Before a wait of one of the runtime's own it does not: it
// keeps nobody from seeing a deadlock, and is none itself.  Inside the runtime, with a P.
void sched_count_self(bool counts);
// The same of one that has been spawned and not been made ready yet.  Inside the runtime.
void sched_count_held(bool counts);
// The same with the commonest `after`: mutex_unlock(m).
void sched_park_unlock(WaitReason why, Mutex *m);
void sched_unlock_after(void *mutex); // that `after`, for sched_wait_park

// Makes a parked G runnable; it runs next on this P. Exactly one party may call it per park.
// Stack: any, with or without a P, also on threads that are no M's (sysmon).
void sched_ready(G *gp);
// The same, of a G whose waker goes on: where a P is idle, and has nothing else to get here, it is
// put where that one finds it.
void sched_ready_aside(G *gp);
// Makes all of them runnable, last in the queue.
void sched_ready_list(GList *l);
void sched_put_list(GList *l); // the same, but the caller wakes who shall help to run them

// Whether who waits for a lock of the program's may look again for a moment before it parks: its
// holder may be running on another P, and nobody waits for this one.
// Stack: any, inside the runtime.
bool sched_spin_helps(void);

void sched_gosched(void);
NORETURN void sched_exit(void);

// The running G stays on its thread, and nothing else runs there, until it has unlocked as often as
// locked; if it ends before that the thread ends too. On a thread of the program only counted.
void sched_lock_thread(ThreadLock kind);
// The same from outside, and enters: on this thread, whether the P was lost or not.
void sched_enter_locked(ThreadLock kind);
void sched_unlock_thread(ThreadLock kind); // more often than locked: nothing

// --- waits that several parties may end ---------------------------------------------------------
//
//   int err = sched_wait_begin(&w, deadline);   // 0, or the wait is over before it began
//   lock; try; if done: unlock, sched_wait_end(&w), return
//   queue a Sudog with .claimed = w.claimable
//   Claim by = sched_wait_park(&w, why, after, arg)
//   CLAIM_PEER: done. Otherwise lock, unlink the Sudog, unlock: deadline or cancellation
//
// A waker that finds a Sudog with .claimed set calls sched_claim(gp, CLAIM_PEER) under the queue's
// lock and passes it over when that fails.

typedef struct Deadline {
	uint64_t opaque[8]; // timer's own; see timer/deadline.c
} Deadline;

typedef struct Wait {
	G *gp;
	int64_t deadline;
	bool claimable; // more than one party may end it
	bool armed;
	Deadline timer;
} Wait;

// 0, GO_EAGAIN (GO_POLL), GO_ETIMEDOUT, GO_ECANCELED.
// With GO_POLL or a deadline in the past the caller has tried already: so try first, then begin.
int sched_wait_begin(Wait *w, int64_t deadline);
// Several peers may end it: the G is about to queue in more than one place (select).
void sched_wait_share(Wait *w);
Claim sched_wait_park(Wait *w, WaitReason why, void (*after)(void *), void *arg);
// Instead of parking: what was waited for is there.
void sched_wait_end(Wait *w);
// The error code of a wait that `by` ended; 0 for CLAIM_PEER.
int sched_claim_error(Claim by);

// Tries to be the one that ends gp's wait. True: the caller won. For CLAIM_PEER the caller then
// hands over and calls sched_ready; it holds the lock that the park gives up, so the G is off its
// stack.
bool sched_claim_peer(G *gp);
// The same for who may come at any moment, before gp is off its stack, too. CLAIMED: the caller
// won and calls sched_ready. CLAIMED_AWAKE: it won, and need not.
typedef enum Claimed { CLAIM_LOST, CLAIMED, CLAIMED_AWAKE } Claimed;
Claimed sched_claim(G *gp, Claim by);
// For a deadline or a cancellation: wins and readies gp, or does nothing.
void sched_claim_and_ready(G *gp, Claim by);

// --- goroutines that wait for descriptors; poll.c ------------------------------------------------

// The running G is about to park until the poller tells it something, and has gone on. In between
// somebody polls.
void sched_poll_waits(void);
void sched_poll_waited(void);

// --- blocking calls, the world, numbers ---------------------------------------------------------

// The running G, inside the runtime, is about to block in user code; leaves the runtime.
// sched_enter is its end.
void sched_block_begin(void);

int sched_gomaxprocs(int n);
// Stops every P, the caller's included in the sense that it goes on alone; and lets them go again.
void sched_stop_world(void);
void sched_start_world(void);
// Runs fn once for every P, at its next safe point, or on its behalf while its M is in user code.
// Returns when all are done.
void sched_for_each_p(SafePointFn *fn);

// The scan bit: true when the caller holds gp's stack, false when gp runs (now or by then).
// While it holds the bit the caller takes no lock and waits for nobody: who is about to run gp
// waits for it, perhaps before the lock of the G that gp replaces has been given up.
bool sched_scan_begin(G *gp);
// The same for up to SCAN_MAX at the price of one: bit i of the answer stands for gs[i].
enum { SCAN_MAX = 32 };
uint32_t sched_scan_begin_all(G *const *gs, uint32_t n);
void sched_scan_end(G *gp);

// Ms that sleep, and attached threads that are parked, go nowhere between these two: who wakes
// waits for the second. M.resting then tells which they are.  World stopped.
void sched_rest_hold(void);
void sched_rest_release(void);
// Every M ever made, by M.all_next. Records are never freed.
M *sched_ms(void);
// The monitor's thread; 0: there is none yet. It holds no pointers of the program.
int sched_monitor_tid(void);

// Starts a thread of the runtime's that inherits nothing from a thread which the program may have
// changed. 0, -EAGAIN, -ENOMEM.  Blocks: M.
int sched_thread_start(void (*fn)(void *arg), void *arg);

// Sets how many threads there may be of our own, and returns how many there might. The process dies
// of one more, or at once if there are more.
uint32_t sched_set_max_threads(uint32_t n);

// One more thread that works for the layers above and never calls in of itself, so that nobody
// waits for it. While they are busy they may make something runnable, and nobody is dead for sure.
// Who says that they are busy is awake; who says that they are idle may be one of them.  Locks:
// takes sched.
void sched_helper_made(void);
void sched_helpers_busy(void);
void sched_helpers_idle(void);

// up_monitor_looks shall be asked anew when next to be called.  Locks: takes sched.
void sched_monitor_look(void);
// It shall be called now, whoever runs or not.  Locks: any.  Stack: any.
void sched_monitor_come(void);
// When the runtime started, by os_nanotime.
int64_t sched_started_at(void);

// Starts the runtime if nothing has yet. 0 or a negative error code.
int sched_start(void);
// The same, and makes the calling thread known, so that a call which can report an error does not
// die in sched_enter. 0 or GO_ENOMEM.
int sched_attach(void);
static inline bool
sched_attached(void)
{
	return likely(sched_m() != NULL) || sched_attach() == 0;
}
// Walks all goroutines ever made, dead ones too, without a lock: records are never freed.
G *sched_all_first(void);

struct go_stats;
void sched_stats(struct go_stats *st);
int sched_run_main(int (*fn)(void *), void *arg);
// The same on the calling thread: fn begins locked to it, by one lock of that kind.
int sched_run_here(int (*fn)(void *), void *arg, ThreadLock kind);

// Some P's earliest timer is due at `when`: wakes the sleeper if it would sleep longer. Called by
// timer after it has published P.timer_when.
void sched_timer_moved(int64_t when);

#endif
