// SPDX-License-Identifier: BSD-3-Clause
// Rival: swapcontext of the C library: each switch saves the signal mask with a system call.
//
// Rows: switch. There is no scheduler, so there is nothing else to compare.

#include <ucontext.h>

#include "../bench.h"

enum { STACK_BYTES = 64 * 1024 };

static ucontext_t here, there;
static int64_t turns;

static void
other_side(void)
{
	for (;;) {
		turns++;
		swapcontext(&there, &here);
	}
}

// Two switches for each n, there and back.
static void
switch_body(int64_t n)
{
	turns = 0;
	for (int64_t i = 0; i < n; i++)
		swapcontext(&here, &there);
	bench_check(turns == n, "switch: lost a turn");
}

static void
row_switch(void)
{
	getcontext(&there);
	there.uc_stack.ss_sp = malloc(STACK_BYTES);
	there.uc_stack.ss_size = STACK_BYTES;
	there.uc_link = NULL;
	makecontext(&there, other_side, 0);
	bench_row("switch", switch_body, 2);
}

int
main(int argc, char **argv)
{
	static const struct bench_entry rows[] = {{"switch", row_switch}};

	return bench_main(argc, argv, rows, 1);
}
