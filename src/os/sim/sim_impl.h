// SPDX-License-Identifier: BSD-3-Clause
// The simulation: one thread of the system plays all threads, and a seed decides every switch.
//
// Each simulated thread is a fiber with a stack of its own. It runs until it comes to a switch
// point (every call of os.h, os_sim_point, in stress builds every atomic operation), where the
// strategy that the seed has chosen lets it go on or lets another one go on instead. Time is
// virtual: it passes a little at each point, and leaps to the earliest deadline when all sleep.
//
// Equal seeds give equal runs, decision by decision, of a program that is itself a function of
// what it reads through os.h. Therefore no address, process id, clock or file of the real system
// may take part in a decision here, and a digest of all decisions is kept so that tests can
// compare runs.
//
// Strategies, drawn from the seed:
//   dice      at each point a switch with probability 1/2, 1/8 or 1/32, to any runnable thread
//   ranks     the runnable thread of the highest priority goes on; now and then the running one
//             falls to the lowest. Few switches, in unlikely places: finds what needs a long delay
//             somewhere
// and, with either, in half of all runs stalls: time leaps ahead though somebody could run.
//
// Invariants:
//   I1  sim.inside is true while code of this file runs that touches sim; a switch point that
//       comes then (an atomic in here, a signal handler) does nothing.
//   I2  sim.current is the fiber whose stack, or whose goroutine's stack, we are on.
//   I3  A fiber that is not RUNNABLE has word, poller or deadline set, or is DEAD and will be
//       buried by the next one that runs.
//   I4  Nothing switches on the signal stack, while the process dies, or while up_sim_stuck runs.
//
// What threads of the system have for themselves and fibers share is swapped at each switch: the
// runtime's words (up_thread_state_swap), errno, the print descriptor, registered objects.
//
// The program has to keep to one thread of its own: a second one that calls in ends the process.
#ifndef UNDERGO_OS_SIM_IMPL_H
#define UNDERGO_OS_SIM_IMPL_H

#include "arch/arch.h"
#include "os/os_impl.h"

enum {
	FIBERS_MAX = 4096,
	STACK_BYTES = 1 << 20, // committed by touch
	SIGNAL_STACK_BYTES = 128 << 10,
	LOCALS_MAX = 4,
	LOCAL_BYTES = 1024, // of all locals of a fiber
	SIGNAL_WAKES = 16,
	START_NS = 1000000000,
	STEP_NS = 400,      // most that passes at a point
	STALL_NS = 2000000, // most that passes in a stall
	STALL_ONE_IN = 1024,
	LOOK_OUTSIDE_EVERY = 32, // points, while somebody sleeps in a poller
	OUTSIDE_NS = 1000000,    // real time before virtual time leaps past such a sleeper
	LONGEST_RUN = 20000, // points, in ranks, before a thread falls though others wait for it
	DEFAULT_CPUS = 4,
};

typedef enum FiberState { FIBER_RUNNABLE, FIBER_SLEEPING, FIBER_DEAD } FiberState;

typedef struct Fiber {
	int id; // from 1, never used again
	FiberState state;
	bool woken;        // by a futex wake, not by its deadline
	bool excepted;     // goes on during a halt
	OsHalted at;       // during a halt; tid 0: not asked for
	ATOMIC_U32 *word;  // while sleeping: on what, NULL for a plain sleep
	int poller;        // while sleeping: its descriptor, when it waits in one; 0 none
	int64_t deadline;  // while sleeping: until when, INT64_MAX for ever
	uint64_t priority; // ranks: higher goes first
	void *sp;          // while it does not run
	char *stack;       // NULL for the main thread
	void (*fn)(void *arg);
	void *arg;
	// What it would have of its own as a thread of the system.
	void *runtime;
	void *exit_value;
	int errno_saved;
	int print_fd;
	uint64_t signals; // sent to it while it did not run, a bit each
	char locals[LOCAL_BYTES];
	// The sanitizer's idea of where it was.
	void *san_fiber, *san_own;
	const void *san_bottom;
	size_t san_bytes;
	unsigned valgrind_id;
} Fiber;

typedef struct Local {
	char *object;
	size_t bytes;
	size_t offset; // in Fiber.locals
} Local;

extern struct Sim {
	bool inside; // I1
	bool stuck;  // up_sim_stuck runs
	uint64_t seed;
	uint64_t rand;
	uint64_t digest;
	uint64_t points;
	int64_t now;
	int64_t due; // no sleeper's deadline is earlier
	// The strategy.
	uint32_t one_in; // dice: a switch; ranks: a fall
	bool ranks;
	bool stalls;
	uint64_t lowest;    // ranks: the next priority to fall to
	uint64_t run_start; // the point at which the current fiber went on
	bool halted;        // none but the excepted may go on
	// Fibers.
	Fiber *current;
	Fiber *dead; // to be buried, NULL none
	Fiber *live[FIBERS_MAX];
	int live_count;
	int polling; // how many of them sleep in a poller
	int last_id;
	Fiber main;
	// The rest.
	void (*exit_fn)(void *value);
	Local locals[LOCALS_MAX];
	int local_count;
	size_t local_bytes;
	char *signal_stack; // NULL: none yet
	ATOMIC(ATOMIC_U32 *) signal_wakes[SIGNAL_WAKES]; // from handlers; NULL: free
	ATOMIC_BOOL signal_waked;                        // after a slot was filled
	int trace_fd; // -1: none
	int cpus;
} sim;

COLD NORETURN void sim_dies(const char *why);

// --- chance and the digest -----------------------------------------------------------------------

static inline uint32_t
sim_draw(uint32_t n)
{
	return base_rand_below(&sim.rand, n);
}

static inline bool
sim_chance(uint32_t one_in)
{
	return sim_draw(one_in) == 0;
}

static inline void
sim_digest(uint64_t decision)
{
	sim.digest = base_mix(sim.digest ^ base_mix(decision + sim.points));
}

// --- turns.c -------------------------------------------------------------------------------------

void sim_make_runnable(Fiber *f, bool woken);
// Makes those runnable whose deadline has come, and finds the next one.
void sim_wake_due(void);
// Makes those runnable whose pollers have something to tell. Waits for that so long, in real time.
void sim_look_outside(int64_t timeout_ns);
// What happens at each point, whether or not somebody else goes on there.
void sim_time_passes(void);
// A runnable fiber other than `except`; NULL when there is none.
Fiber *sim_any_runnable(const Fiber *except);
// The runnable fiber with the highest priority; NULL when there is none.
Fiber *sim_first_runnable(void);
uint64_t sim_first_priority(void);
void sim_fall(Fiber *f);
// Who goes on when the current fiber cannot.
Fiber *sim_successor(void);
// Who goes on at a point where the current fiber could: itself, mostly.
Fiber *sim_after_point(void);
void sim_draw_strategy(void);

// --- switch.c ------------------------------------------------------------------------------------

// This is the one thread of the system that plays all.
void sim_claim_thread(void);
// True when this is a place where threads may be switched; then sim_leave comes later. I1, I4
bool sim_enter(void);
void sim_leave(void);
// Another fiber may go on here. The caller is inside.
void sim_point(void);
bool sim_on_signal_stack(void);
void sim_wake_from_signal(ATOMIC_U32 *word);
void sim_switch_to(Fiber *to);
// The first thing a fiber does when it goes on: the one before it may have ended.
void sim_arrive(void);
// The current fiber cannot go on: others do, until it can.
void sim_wait_for_turn(void);
// What the sanitizer has to know of a new fiber.
void sim_sanitizer_start(Fiber *f);

// --- threads.c, calls.c --------------------------------------------------------------------------

void sim_add_fiber(Fiber *f);
Fiber *sim_find_fiber(int id);
void sim_wake_sleepers(ATOMIC_U32 *word, int n);

#endif
