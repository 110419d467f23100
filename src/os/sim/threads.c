// SPDX-License-Identifier: BSD-3-Clause
// Threads that are fibers: their beginning and end, halts, signals.
#include <errno.h>

#include "os/sim/sim_impl.h"

// --- threads ------------------------------------------------------------------------------------

Fiber *
sim_find_fiber(int id)
{
	for (int i = 0; i < sim.live_count; i++)
		if (sim.live[i]->id == id)
			return sim.live[i];
	return NULL;
}

void
sim_add_fiber(Fiber *f)
{
	f->id = ++sim.last_id;
	f->print_fd = 2;
	f->priority = sim_first_priority();
	sim_make_runnable(f, false);
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
	sim_arrive();
	Fiber *self = sim.current;
	sim_leave();
	self->fn(self->arg);
	if (self->exit_value != NULL)
		sim.exit_fn(self->exit_value);

	sim.inside = true;
	self->state = FIBER_DEAD;
	remove_fiber(self);
	sim.dead = self;
	sim_wait_for_turn();
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
	sim_sanitizer_start(f);
	return f;
}

int
sim_thread_start(void (*fn)(void *arg), void *arg)
{
	bool may_switch = sim_enter();
	if (sim.live_count == FIBERS_MAX) {
		if (may_switch)
			sim_leave();
		return -EAGAIN;
	}
	Fiber *f = make_fiber(fn, arg);
	if (f != NULL) {
		sim_add_fiber(f);
		sim_digest((uint64_t)f->id << 32);
	}
	if (may_switch) {
		sim_point();
		sim_leave();
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
	return sim_find_fiber(tid) != NULL ? 0 : -1;
}

void
sim_yield(void)
{
	if (!sim_enter())
		return;
	sim_time_passes();
	sim_fall(sim.current);
	Fiber *other = sim.ranks ? sim_first_runnable() : sim_any_runnable(sim.current);
	if (other != NULL)
		sim_switch_to(other);
	sim_leave();
}

// --- halts --------------------------------------------------------------------------------------

// In order of age, which does not differ from run to run. The callback may not come to a point.
int
sim_threads_each(void (*fn)(void *ctx, int tid), void *ctx)
{
	for (int i = 0; fn != NULL && i < sim.live_count; i++)
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
	sim_find_fiber(tid)->excepted = true;
	return 0;
}

bool
sim_halt_knows(int tid)
{
	Fiber *f = sim_find_fiber(tid);
	return f != NULL && f->excepted;
}

int
sim_halt_ask(int tid)
{
	return sim_find_fiber(tid) != NULL ? 0 : -ESRCH;
}

OsHalted *
sim_halted_tid(int tid)
{
	Fiber *f = sim_find_fiber(tid);
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
	Fiber *f = sim_find_fiber(tid);
	if (f == NULL)
		return -ESRCH;
	if (f == sim.current)
		return sys_signal_thread(sys_thread_id(), sig);
	if (sig > 0 && sig < 64)
		f->signals |= UINT64_C(1) << sig;
	if (f->state == FIBER_SLEEPING && f->word != NULL)
		sim_make_runnable(f, true);
	return 0;
}
