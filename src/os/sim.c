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
//   I3  A fiber that is not RUNNABLE has word or deadline set, or is DEAD and will be buried by
//       the next one that runs.
//   I4  Nothing switches on the signal stack, while the process dies, or while up_sim_stuck runs.
//
// What threads of the system have for themselves and fibers share is swapped at each switch: the
// runtime's words (up_thread_state_swap), errno, the print descriptor, registered objects.
//
// The program has to keep to one thread of its own: a second one that calls in ends the process.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "os/os_impl.h"
#include "os/os_up.h"

#if defined(OS_TSAN)
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#elif defined(OS_ASAN)
void __sanitizer_start_switch_fiber(void **fake_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake, const void **bottom, size_t *size);
void __asan_unpoison_memory_region(void const volatile *p, size_t bytes);
#elif __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h> // costs a few instructions that do nothing outside valgrind
#define SIM_VALGRIND 1
#endif

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
	LONGEST_RUN = 20000, // points, in ranks, before a thread falls though others wait for it
	DEFAULT_CPUS = 4,
};
static const int64_t FAR_FUTURE = INT64_MAX / 2; // 146 years

typedef enum FiberState { FIBER_RUNNABLE, FIBER_SLEEPING, FIBER_DEAD } FiberState;

typedef struct Fiber {
	int id; // from 1, never used again
	FiberState state;
	bool woken;        // by a futex wake, not by its deadline
	bool excepted;     // goes on during a halt
	OsHalted at;       // during a halt; tid 0: not asked for
	ATOMIC_U32 *word;  // while sleeping: on what, NULL for a plain sleep
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

static struct {
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

static __thread bool is_sim_thread;

static NOINLINE void
claim_thread(void)
{
	is_sim_thread = true;
}

static NOINLINE bool
on_sim_thread(void)
{
	return is_sim_thread;
}

COLD NORETURN static void
sim_dies(const char *why)
{
	sim.inside = true;
	print_to(2);
	print_str("runtime: simulation: ");
	print_str(why);
	print_str("\nruntime: UNDERGO_SEED=");
	print_u64(sim.seed);
	print_str("\n");
	sys_exit(2);
}

// --- chance, time, the digest -------------------------------------------------------------------

static uint32_t
draw(uint32_t n)
{
	return base_rand_below(&sim.rand, n);
}

static bool
chance(uint32_t one_in)
{
	return draw(one_in) == 0;
}

static void
digest(uint64_t decision)
{
	sim.digest = base_mix(sim.digest ^ base_mix(decision + sim.points));
}

static void
make_runnable(Fiber *f, bool woken)
{
	f->state = FIBER_RUNNABLE;
	f->woken = woken;
	f->word = NULL;
	f->deadline = INT64_MAX;
}

// Makes those runnable whose deadline has come, and finds the next one.
static void
wake_due(void)
{
	if (sim.now < sim.due)
		return;
	sim.due = INT64_MAX;
	for (int i = 0; i < sim.live_count; i++) {
		Fiber *f = sim.live[i];
		if (f->state != FIBER_SLEEPING)
			continue;
		if (f->deadline <= sim.now)
			make_runnable(f, false);
		else if (f->deadline < sim.due)
			sim.due = f->deadline;
	}
}

// What happens at each point, whether or not somebody else goes on there.
static void
time_passes(void)
{
	sim.points++;
	sim.now += 1 + draw(STEP_NS);
	if (sim.stalls && chance(STALL_ONE_IN))
		sim.now += draw(STALL_NS);
	wake_due();
}

// --- who goes on --------------------------------------------------------------------------------

static bool
may_run(const Fiber *f)
{
	return f->state == FIBER_RUNNABLE && (!sim.halted || f->excepted);
}

// A runnable fiber other than `except`; NULL when there is none.
static Fiber *
any_runnable(const Fiber *except)
{
	uint32_t n = 0;
	for (int i = 0; i < sim.live_count; i++)
		n += may_run(sim.live[i]) && sim.live[i] != except;
	if (n == 0)
		return NULL;
	uint32_t skip = n > 1 ? draw(n) : 0;
	for (int i = 0;; i++)
		if (may_run(sim.live[i]) && sim.live[i] != except && skip-- == 0)
			return sim.live[i];
}

// The runnable fiber with the highest priority; NULL when there is none.
static Fiber *
first_runnable(void)
{
	Fiber *best = NULL;
	for (int i = 0; i < sim.live_count; i++) {
		Fiber *f = sim.live[i];
		if (may_run(f) && (best == NULL || f->priority > best->priority))
			best = f;
	}
	return best;
}

// Priorities start in the upper half of the numbers, and who falls gets one from the lower half.
static uint64_t
first_priority(void)
{
	return base_rand(&sim.rand) | UINT64_C(1) << 63;
}

static void
fall(Fiber *f)
{
	f->priority = --sim.lowest;
}

// Who goes on when the current fiber cannot.
static Fiber *
successor(void)
{
	return sim.ranks ? first_runnable() : any_runnable(NULL);
}

// Who goes on at a point where the current fiber could: itself, mostly.
static Fiber *
after_point(void)
{
	Fiber *other = NULL;
	if (sim.ranks) {
		if (chance(sim.one_in) || sim.points - sim.run_start > LONGEST_RUN) {
			fall(sim.current);
			sim.run_start = sim.points;
		}
		other = first_runnable();
	} else if (chance(sim.one_in)) {
		other = any_runnable(sim.current);
	}
	return other != NULL ? other : sim.current;
}

static void
draw_strategy(void)
{
	static const uint32_t dice[] = {2, 8, 32};
	static const uint32_t falls[] = {64, 512, 4096};
	sim.ranks = chance(3);
	sim.one_in = sim.ranks ? falls[draw(countof(falls))] : dice[draw(countof(dice))];
	sim.stalls = chance(2);
	sim.lowest = UINT64_C(1) << 63;
}

// --- switching ----------------------------------------------------------------------------------

static void
trace_switch(const Fiber *from, const Fiber *to)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "sim %llu t=%lld %d->%d %016llx\n",
			 (unsigned long long)sim.points, (long long)sim.now, from->id, to->id,
			 (unsigned long long)sim.digest);
	sys_write(sim.trace_fd, line, (size_t)n, true);
}

static void
swap_locals(Fiber *from, Fiber *to)
{
	for (int i = 0; i < sim.local_count; i++) {
		Local *l = &sim.locals[i];
		memcpy(from->locals + l->offset, l->object, l->bytes);
		memcpy(l->object, to->locals + l->offset, l->bytes);
	}
}

#if defined(OS_TSAN)

// Not instrumented, in a function of its own: the shadow call stack changes under it.
__attribute__((noinline, no_sanitize("thread"))) static void
switch_stacks(Fiber *from, Fiber *to)
{
	from->san_fiber = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(to->san_fiber, 0);
	arch_switch(&from->sp, to->sp, NULL);
}

static void
stacks_switched(void)
{
}

static void
san_start(Fiber *f)
{
	f->san_fiber = f->san_own = __tsan_create_fiber(0);
}

static void
san_end(Fiber *f)
{
	__tsan_destroy_fiber(f->san_own);
}

#elif defined(OS_ASAN)

static Fiber *san_from;

static void
switch_stacks(Fiber *from, Fiber *to)
{
	san_from = from;
	__sanitizer_start_switch_fiber(from->state == FIBER_DEAD ? NULL : &from->san_fiber,
				       to->san_bottom, to->san_bytes);
	arch_switch(&from->sp, to->sp, NULL);
}

// Here it is known which stack the other one was on: its own or a goroutine's.
static void
stacks_switched(void)
{
	__sanitizer_finish_switch_fiber(sim.current->san_fiber, &san_from->san_bottom,
					&san_from->san_bytes);
}

static void
san_start(Fiber *f)
{
	f->san_bottom = f->stack;
	f->san_bytes = STACK_BYTES;
}

// A thread may end within any function, whose variables the sanitizer then goes on to guard; who
// maps memory there next would be told off for using it.
static void
san_end(Fiber *f)
{
	__asan_unpoison_memory_region(f->stack, STACK_BYTES);
}

#else

static void
switch_stacks(Fiber *from, Fiber *to)
{
	arch_switch(&from->sp, to->sp, NULL);
}

static void
stacks_switched(void)
{
}

static void
san_start(Fiber *f)
{
#ifdef SIM_VALGRIND
	f->valgrind_id = VALGRIND_STACK_REGISTER(f->stack, f->stack + STACK_BYTES - 1);
#else
	(void)f;
#endif
}

static void
san_end(Fiber *f)
{
#ifdef SIM_VALGRIND
	VALGRIND_STACK_DEREGISTER(f->valgrind_id);
#else
	(void)f;
#endif
}

#endif

// The first thing a fiber does when it goes on: the one before it may have ended.
static void
arrive(void)
{
	stacks_switched();
	sim.run_start = sim.points;
	Fiber *dead = sim.dead;
	sim.dead = NULL;
	if (dead != NULL) {
		san_end(dead);
		sys_unmap(dead->stack, STACK_BYTES);
		os_free(dead);
	}
	errno = sim.current->errno_saved;
}

static void
switch_to(Fiber *to)
{
	Fiber *from = sim.current;
	digest((uint64_t)to->id);
	if (to == from)
		return;
	from->errno_saved = errno;
	if (unlikely(sim.trace_fd >= 0))
		trace_switch(from, to);
	from->print_fd = print_to(to->print_fd);
	from->runtime = up_thread_state_swap(to->runtime);
	swap_locals(from, to);
	sim.current = to;
	switch_stacks(from, to);
	arrive();
}

// All sleep for ever. Gives the runtime a chance to say why, or to change it.
static void
all_asleep(void)
{
	if (sim.stuck)
		sim_dies("every thread sleeps");
	sim.stuck = true;
	sim.inside = false;
	up_sim_stuck();
	sim.inside = true;
	sim.stuck = false;
	if (successor() == NULL)
		sim_dies("every thread sleeps");
}

// The current fiber cannot go on: others do, until it can.
static void
wait_for_turn(void)
{
	Fiber *to;
	while ((to = successor()) == NULL) {
		if (sim.due == INT64_MAX) {
			all_asleep();
			continue;
		}
		sim.now = sim.now > sim.due ? sim.now : sim.due;
		wake_due();
	}
	switch_to(to);
}

// --- entering from the other side of os.h -------------------------------------------------------

static bool
on_signal_stack(void)
{
	char *sp = arch_sp();
	return sim.signal_stack != NULL && sp >= sim.signal_stack
	       && sp < sim.signal_stack + SIGNAL_STACK_BYTES;
}

// True when this is a place where threads may be switched; then leave comes later. I1, I4
static bool
enter(void)
{
	if (sim.inside || sim.stuck)
		return false;
	if (unlikely(!on_sim_thread()))
		sim_dies("a second thread of the system called the runtime");
	sim.inside = true;
	if (likely(!on_signal_stack() && load_rlx(&base_dying) == 0)) // order: own, one thread
		return true;
	sim.inside = false;
	return false;
}

static void wake_sleepers(ATOMIC_U32 *word, int n);

// A signal handler may interrupt anything, so what it wakes is left for the next leave.
static void
wake_from_signal(ATOMIC_U32 *word)
{
	for (int i = 0; i < SIGNAL_WAKES; i++) {
		ATOMIC_U32 *none = NULL;
		if (cas_rlx(&sim.signal_wakes[i], &none, word)) { // order: own, one thread
			store_rlx(&sim.signal_waked, true);       // order: own
			return;
		}
	}
}

static void
take_signal_wakes(void)
{
	store_rlx(&sim.signal_waked, false); // order: own
	for (int i = 0; i < SIGNAL_WAKES; i++) {
		ATOMIC_U32 *word = xchg_rlx(&sim.signal_wakes[i], NULL); // order: own
		if (word != NULL)
			wake_sleepers(word, 1);
	}
}

// Does what signal handlers and other fibers have left for the current one to do.
static void
leave(void)
{
	if (unlikely(load_rlx(&sim.signal_waked))) // order: own
		take_signal_wakes();
	uint64_t signals = sim.current->signals;
	sim.current->signals = 0;
	sim.inside = false;
	for (int sig = 1; unlikely(signals >> sig != 0); sig++)
		if (signals >> sig & 1)
			sys_signal_thread(sys_thread_id(), sig);
}

// Another fiber may go on here. The caller is inside.
static void
point(void)
{
	time_passes();
	switch_to(after_point());
}

// Stack: any; on a signal stack it does nothing.
void
os_sim_point_slow(void)
{
	if (!enter())
		return;
	point();
	leave();
}

#ifdef UNDERGO_STRESS
// Every atomic operation of a stress build comes here, the first ones before os_init, or while
// another thread is in it: not for ThreadSanitizer's eyes. In a simulation there is no other
// thread, and otherwise os_init leaves os_simulated as it was. Threads that are halted come here,
// too, and one may be the sanitizer's own, which must not run what is instrumented.
__attribute__((no_sanitize("thread"))) void
base_switch_point(void)
{
	if (unlikely(os_simulated))
		os_sim_point_slow();
}
#endif

uint64_t
os_sim_hash(void)
{
	return sim.digest;
}

// --- threads ------------------------------------------------------------------------------------

static Fiber *
find_fiber(int id)
{
	for (int i = 0; i < sim.live_count; i++)
		if (sim.live[i]->id == id)
			return sim.live[i];
	return NULL;
}

static void
add_fiber(Fiber *f)
{
	f->id = ++sim.last_id;
	f->print_fd = 2;
	f->priority = first_priority();
	make_runnable(f, false);
	sim.live[sim.live_count++] = f;
}

static void
remove_fiber(Fiber *f)
{
	int i = 0;
	while (sim.live[i] != f)
		i++;
	sim.live_count--;
	for (; i < sim.live_count; i++)
		sim.live[i] = sim.live[i + 1];
}

// A fiber's outermost function.
static void
fiber_main(void *unused)
{
	(void)unused;
	arrive();
	Fiber *self = sim.current;
	leave();
	self->fn(self->arg);
	if (self->exit_value != NULL)
		sim.exit_fn(self->exit_value);

	sim.inside = true;
	self->state = FIBER_DEAD;
	remove_fiber(self);
	sim.dead = self;
	wait_for_turn();
	__builtin_unreachable();
}

// Without a guard below it where the kernel has none to give: it is only the simulation.
static Fiber *
make_fiber(void (*fn)(void *arg), void *arg)
{
	Fiber *f = sys_alloc(sizeof(*f));
	char *stack = sys_map(STACK_BYTES, os_page_bytes());
	if (f == NULL || stack == NULL) {
		if (stack != NULL)
			sys_unmap(stack, STACK_BYTES);
		os_free(f);
		return NULL;
	}
	sys_guard(stack, os_page_bytes());
	f->stack = stack;
	f->fn = fn;
	f->arg = arg;
	f->sp = arch_context_init(stack + STACK_BYTES, fiber_main);
	san_start(f);
	return f;
}

int
sim_thread_start(void (*fn)(void *arg), void *arg)
{
	bool may_switch = enter();
	if (sim.live_count == FIBERS_MAX) {
		if (may_switch)
			leave();
		return -EAGAIN;
	}
	Fiber *f = make_fiber(fn, arg);
	if (f != NULL) {
		add_fiber(f);
		digest((uint64_t)f->id << 32);
	}
	if (may_switch) {
		point();
		leave();
	}
	return f != NULL ? 0 : -EAGAIN;
}

int
sim_thread_id(void)
{
	return sim.current->id;
}

void
sim_thread_stack(void **lo, void **hi)
{
	if (sim.current == &sim.main) {
		sys_thread_stack(lo, hi);
		return;
	}
	*lo = sim.current->stack;
	*hi = sim.current->stack + STACK_BYTES;
}

void
sim_thread_exit_key(void (*fn)(void *value))
{
	sim.exit_fn = fn;
}

void
sim_thread_exit_set(void *value)
{
	sim.current->exit_value = value;
}

int
sim_thread_count(void)
{
	return sim.live_count;
}

// Always the same, so that every thread looks blocked and loses what it holds on a lease.
int64_t
sim_thread_cpu_ns(int tid)
{
	return find_fiber(tid) != NULL ? 0 : -1;
}

void
sim_yield(void)
{
	if (!enter())
		return;
	time_passes();
	fall(sim.current);
	Fiber *other = sim.ranks ? first_runnable() : any_runnable(sim.current);
	if (other != NULL)
		switch_to(other);
	leave();
}

// --- halts --------------------------------------------------------------------------------------

// In order of age, which does not differ from run to run. The callback may not come to a point.
int
sim_threads_each(void (*fn)(void *ctx, int tid), void *ctx)
{
	for (int i = 0; i < sim.live_count; i++)
		fn(ctx, sim.live[i]->id);
	return sim.live_count;
}

// Who does not run stands still as it is: its registers lie on its stack, above its sp.
int
sim_halt_begin(void)
{
	sim.halted = true;
	sim.current->excepted = true;
	return 0;
}

int
sim_halt_except(int tid)
{
	find_fiber(tid)->excepted = true;
	return 0;
}

bool
sim_halt_knows(int tid)
{
	Fiber *f = find_fiber(tid);
	return f != NULL && f->excepted;
}

int
sim_halt_ask(int tid)
{
	return find_fiber(tid) != NULL ? 0 : -ESRCH;
}

OsHalted *
sim_halted_tid(int tid)
{
	Fiber *f = find_fiber(tid);
	if (f == NULL || f->excepted)
		return NULL;
	if (f->at.tid == 0)
		f->at = (OsHalted){.tid = tid, .sp = (uintptr_t)f->sp};
	return &f->at;
}

OsHalted *
sim_halted(uint32_t i)
{
	static OsHalted nowhere;
	if (i >= (uint32_t)sim.live_count)
		return NULL;
	OsHalted *at = sim_halted_tid(sim.live[i]->id);
	return at != NULL ? at : &nowhere;
}

void
sim_halt_end(void)
{
	sim.halted = false;
	for (int i = 0; i < sim.live_count; i++) {
		sim.live[i]->excepted = false;
		sim.live[i]->at.tid = 0;
	}
}

// --- sleeping and waking ------------------------------------------------------------------------

// True when woken, false when the deadline came.
static bool
sleep_until(ATOMIC_U32 *word, int64_t deadline)
{
	Fiber *self = sim.current;
	if (deadline >= FAR_FUTURE)
		deadline = INT64_MAX; // there time would overflow
	self->state = FIBER_SLEEPING;
	self->word = word;
	self->deadline = deadline;
	if (deadline < sim.due)
		sim.due = deadline;
	wait_for_turn();
	return self->woken;
}

// Where no thread can be switched there is nobody who could wake us.
void
sim_sleep(int64_t ns)
{
	if (!enter())
		return;
	time_passes();
	sleep_until(NULL, base_deadline(sim.now, ns > 0 ? ns : 0));
	leave();
}

int
sim_futex_wait(ATOMIC_U32 *word, uint32_t seen, int64_t deadline)
{
	if (!enter())
		sim_dies("a lock is held that a dying or stuck thread needs");
	int err = 0;
	point();
	if (load_rlx(word) != seen) // order: own, one thread
		err = -EAGAIN;
	else if (deadline <= sim.now || !sleep_until(word, deadline))
		err = -ETIMEDOUT;
	leave();
	return err;
}

// In no particular order: the kernel promises none.
static void
wake_sleepers(ATOMIC_U32 *word, int n)
{
	for (; n > 0; n--) {
		uint32_t seen = 0;
		Fiber *chosen = NULL;
		for (int i = 0; i < sim.live_count; i++) {
			Fiber *f = sim.live[i];
			if (f->state == FIBER_SLEEPING && f->word == word && chance(++seen))
				chosen = f;
		}
		if (chosen == NULL)
			return;
		make_runnable(chosen, true);
		digest((uint64_t)chosen->id << 16);
	}
}

void
sim_futex_wake(ATOMIC_U32 *word, int n)
{
	if (sim.stuck) {
		wake_sleepers(word, n);
		return;
	}
	if (!enter()) {
		if (on_signal_stack())
			wake_from_signal(word);
		return;
	}
	point();
	wake_sleepers(word, n);
	point();
	leave();
}

// --- time, chance, processors -------------------------------------------------------------------

int64_t
sim_nanotime(void)
{
	os_sim_point_slow();
	return sim.now;
}

int
sim_cpu_count(void)
{
	return sim.cpus;
}

// --- signals ------------------------------------------------------------------------------------

// There is one thread of the system, so there is one alternate stack, and it stays.
int
sim_signal_stack(void *base, size_t bytes)
{
	(void)bytes;
	if (base == NULL || sim.signal_stack != NULL)
		return 0;
	char *stack = sys_map(SIGNAL_STACK_BYTES, os_page_bytes());
	if (stack == NULL)
		return -ENOMEM;
	int err = sys_signal_stack(stack, SIGNAL_STACK_BYTES);
	if (err != 0)
		sys_unmap(stack, SIGNAL_STACK_BYTES);
	else
		sim.signal_stack = stack;
	return err;
}

// A thread that does not run gets it when it goes on; a signal ends a futex wait.
int
sim_signal_thread(int tid, int sig)
{
	Fiber *f = find_fiber(tid);
	if (f == NULL)
		return -ESRCH;
	if (f == sim.current)
		return sys_signal_thread(sys_thread_id(), sig);
	if (sig > 0 && sig < 64)
		f->signals |= UINT64_C(1) << sig;
	if (f->state == FIBER_SLEEPING && f->word != NULL)
		make_runnable(f, true);
	return 0;
}

// --- start --------------------------------------------------------------------------------------

void
os_sim_thread_local(void *object, size_t bytes)
{
	if (!os_simulated)
		return;
	check(sim.local_count < LOCALS_MAX && bytes <= LOCAL_BYTES - sim.local_bytes,
	      "os_sim_thread_local: too much");
	sim.locals[sim.local_count++] = (Local){object, bytes, sim.local_bytes};
	sim.local_bytes += bytes;
}

static int
environment_int(const char *name, int otherwise)
{
	const char *text = getenv(name);
	int v = text != NULL ? atoi(text) : 0;
	return v > 0 ? v : otherwise;
}

void
sim_init(uint64_t seed)
{
	sim.inside = true;
	claim_thread();
	sim.seed = seed;
	sim.rand = base_mix(seed);
	sim.digest = seed;
	sim.now = START_NS;
	sim.due = INT64_MAX;
	sim.trace_fd = environment_int("UNDERGO_SIM_TRACE", -1);
	sim.cpus = environment_int("UNDERGO_SIM_CPUS", DEFAULT_CPUS);
	draw_strategy();
	sim.current = &sim.main;
	add_fiber(&sim.main);
	sim.inside = false;
}
