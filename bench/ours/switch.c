// SPDX-License-Identifier: BSD-3-Clause
// Row switch: arch_switch alone, between the stack of main and one other, without a scheduler.
//
// bench/run compiles src/arch's switch.S once more for this file, since the library keeps its
// symbols to itself. The instructions timed are the library's.

#include "arch/arch.h"
#include "ours.h"

enum { STACK_BYTES = 64 * 1024 };

static void *here, *there;
static int64_t turns;

// All switches of the library are made by one function, which the processor's prediction of returns
// relies on (switch.S); so are those timed here.
static __attribute__((noinline)) void
turn(void **save, void *load)
{
	arch_switch(save, load, NULL);
	__asm__ volatile(""); // a call, not a jump
}

static void
other_side(void *arg)
{
	(void)arg;
	for (;;) {
		turns++;
		turn(&there, here);
	}
}

// Two switches for each n, there and back.
static void
switch_body(int64_t n)
{
	turns = 0;
	for (int64_t i = 0; i < n; i++)
		turn(&here, there);
	bench_check(turns == n, "switch: lost a turn");
}

void
row_switch(void)
{
	char *stack = aligned_alloc(4096, STACK_BYTES);

	bench_check(stack != NULL, "no memory for a stack");
	there = arch_context_init(stack + STACK_BYTES, other_side);
	bench_row("switch", switch_body, 2);
}
