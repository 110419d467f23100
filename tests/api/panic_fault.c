// SPDX-License-Identifier: BSD-3-Clause
// Faults that are panics: a bad pointer, the end of a goroutine's stack.
#include <pthread.h>
#include <signal.h>

#include "api/panic.h"

// --- faults -------------------------------------------------------------------------------------

static int *volatile bad = (int *)24;

static void
dereference(void *unused)
{
	(void)unused;
	GO_DEFER(mark, "f");
	*bad = 1;
}

static void (*volatile no_function)(void);

static void
call_nothing(void *unused)
{
	(void)unused;
	GO_DEFER(mark, "n");
	no_function();
	__asm__ volatile("");
}

GO_TEST(panic_on_fault, 0)
{
	expect(!go_set_panic_on_fault(true));
	for (int i = 0; i < 3; i++) {
		go_value v = go_protect(dereference, NULL);
		value_is(v, "runtime error: invalid memory address or nil pointer dereference");
		expect_eq((uintptr_t)v.p, 24);
	}
	trail_is("fff");
	value_is(go_protect(call_nothing, NULL),
		 "runtime error: invalid memory address or nil pointer dereference");
	trail_is("n");
	value_is(go_protect(NULL, NULL),
		 "runtime error: invalid memory address or nil pointer dereference");
	expect(go_set_panic_on_fault(false));
}

static void *
fault_on_thread(void *unused)
{
	go_set_panic_on_fault(true);
	expect(go_panicked(go_protect(dereference, NULL)));
	return unused;
}

void
test_panic_on_fault_on_a_thread(void)
{
	fault_on_thread(NULL);
	trail_is("f");
}

// A thread that has blocked the signal, as those of many libraries have all.
void
test_panic_on_fault_on_a_thread_that_blocks(void)
{
	pthread_t thread;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	expect_eq(pthread_create(&thread, NULL, fault_on_thread, NULL), 0);
	pthread_join(thread, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	trail_is("f");
}

// --- the end of the stack --------------------------------------------------------------------

static atomic_int gone;
static volatile long bottom; // tells the compiler that there is an end

enum { SMALL_STACK = 32 << 10 };

static __attribute__((noinline)) long
fill(uintptr_t lowest, long *called)
{
	volatile char frame[64];
	GO_DEFER(count, called);
	frame[0] = 1;
	if (bottom != 0)
		return 0;
	if ((uintptr_t)frame < lowest)
		go_panic_text("at the end");
	return fill(lowest, called) + frame[0];
}

static void
fill_stack(void *called)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	// A panic needs little; libgcc's unwinder, which is asked where we cannot see, some KiB.
	(void)fill(here - (SMALL_STACK - (16 << 10)), called);
}

static void
panic_at_the_end(void *unused)
{
	long called = 0;
	(void)unused;
	value_is(go_protect(fill_stack, &called), "at the end");
	expect(called > 20);
	atomic_store(&gone, 1);
}

GO_TEST(panic_on_a_full_stack, 0)
{
	go_attr attr = {.stack_bytes = SMALL_STACK};
	atomic_store(&gone, 0);
	expect_eq(go_spawn_with(&attr, panic_at_the_end, NULL), 0);
	until(atomic_load(&gone) == 1);
}
