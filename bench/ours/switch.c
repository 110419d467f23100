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

// Both sides run this same loop. The library's switches are made by one call, to which both the
// leaving and the coming context return, and the processor predicts them (switch.S); two loops at
// different places would time a wrong prediction at each turn instead. gcc would clone what is
// merely not inlined.
#ifdef __clang__
static __attribute__((noinline)) void
#else
static __attribute__((noipa)) void
#endif
turn_about(void **mine, void **other, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		turns++;
		arch_switch(mine, *other, NULL);
	}
}

static void
other_side(void *arg)
{
	(void)arg;
	turn_about(&there, &here, INT64_MAX);
}

// Two switches for each n, there and back.
static void
switch_body(int64_t n)
{
	turns = 0;
	turn_about(&here, &there, n);
	bench_check(turns == 2 * n, "switch: lost a turn");
}

void
row_switch(void)
{
	char *stack = aligned_alloc(4096, STACK_BYTES);

	bench_check(stack != NULL, "no memory for a stack");
	there = arch_context_init(stack + STACK_BYTES, other_side);
	bench_row("switch", switch_body, 2);
}
