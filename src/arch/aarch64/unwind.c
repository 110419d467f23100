// SPDX-License-Identifier: BSD-3-Clause
// AArch64: where a walk of another stack begins.
#include <string.h>
#include <ucontext.h>

#include "arch/arch.h"
#include "arch/unwind.h"

// known to: switch.S. Saved registers lie above the floating-point control word.
enum { SAVED_OFFSET = 16, SAVED_PC_OFFSET = 104, SAVED_WORDS = 20, SAVED_X_WORDS = 12 };

void
arch_unwind_parked(const void *sp, void (*fn)(void *), void *arg)
{
	const char *p = sp;
	arch_unwind_at(p + SAVED_OFFSET, p + ARCH_CONTEXT_BYTES, fn, arg);
}

uintptr_t
arch_parked_pc(const void *sp)
{
	uintptr_t pc;
	memcpy(&pc, (const char *)sp + SAVED_PC_OFFSET, sizeof(pc));
	return pc;
}

// No unwind rule computes an address from d8 to d15, so they may be anything.
void
arch_unwind_caller(const void *ucontext, uintptr_t *pc, void (*fn)(void *), void *arg)
{
	const mcontext_t *m = &((const ucontext_t *)ucontext)->uc_mcontext;
	uint64_t saved[SAVED_WORDS] = {0};
	for (int i = 0; i < SAVED_X_WORDS; i++)
		saved[i] = m->regs[19 + i];
	*pc = m->regs[30];
	arch_unwind_at(saved, (const void *)m->sp, fn, arg);
}
