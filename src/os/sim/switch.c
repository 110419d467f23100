// SPDX-License-Identifier: BSD-3-Clause
// From fiber to fiber, and in and out of the simulation: sim_impl.h has the invariants.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "os/os_up.h"
#include "os/sim/sim_impl.h"

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

struct Sim sim;

static __thread bool is_sim_thread;

NOINLINE void
sim_claim_thread(void)
{
	is_sim_thread = true;
}

static NOINLINE bool
on_sim_thread(void)
{
	return is_sim_thread;
}

COLD NORETURN void
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

void
sim_sanitizer_start(Fiber *f)
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

void
sim_sanitizer_start(Fiber *f)
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

void
sim_sanitizer_start(Fiber *f)
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

void
sim_arrive(void)
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

void
sim_switch_to(Fiber *to)
{
	Fiber *from = sim.current;
	sim_digest((uint64_t)to->id);
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
	sim_arrive();
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
	if (sim_successor() == NULL)
		sim_dies("every thread sleeps");
}

void
sim_wait_for_turn(void)
{
	Fiber *to;
	while ((to = sim_successor()) == NULL) {
		if (sim.polling != 0) {
			sim_look_outside(sim.due == INT64_MAX ? INT64_MAX : OUTSIDE_NS);
			if (sim.due == INT64_MAX || sim_successor() != NULL)
				continue;
		}
		if (sim.due == INT64_MAX) {
			all_asleep();
			continue;
		}
		sim.now = sim.now > sim.due ? sim.now : sim.due;
		sim_wake_due();
	}
	sim_switch_to(to);
}

// --- entering from the other side of os.h -------------------------------------------------------

bool
sim_on_signal_stack(void)
{
	char *sp = arch_sp();
	return sim.signal_stack != NULL && sp >= sim.signal_stack
	       && sp < sim.signal_stack + SIGNAL_STACK_BYTES;
}

bool
sim_enter(void)
{
	if (sim.inside || sim.stuck)
		return false;
	if (unlikely(!on_sim_thread()))
		sim_dies("a second thread of the system called the runtime");
	sim.inside = true;
	if (likely(!sim_on_signal_stack() && load_rlx(&base_dying) == 0)) // order: own, one thread
		return true;
	sim.inside = false;
	return false;
}

// A signal handler may interrupt anything, so what it wakes is left for the next leave.
void
sim_wake_from_signal(ATOMIC_U32 *word)
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
			sim_wake_sleepers(word, 1);
	}
}

// Does what signal handlers and other fibers have left for the current one to do.
void
sim_leave(void)
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

void
sim_point(void)
{
	sim_time_passes();
	sim_switch_to(sim_after_point());
}

// Stack: any; on a signal stack it does nothing.
void
os_sim_point_slow(void)
{
	if (!sim_enter())
		return;
	sim_point();
	sim_leave();
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
