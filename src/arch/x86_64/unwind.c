// SPDX-License-Identifier: BSD-3-Clause
// x86-64: where a walk of another stack begins.
#include <string.h>
#include <ucontext.h>

#include "arch/arch.h"
#include "arch/unwind.h"

// known to: switch.S. Saved registers lie above the floating-point control words, pc last.
enum { SAVED_OFFSET = 8, SAVED_PC_OFFSET = 56 };

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

void
arch_unwind_caller(const void *ucontext, uintptr_t *pc, void (*fn)(void *), void *arg)
{
	const greg_t *r = ((const ucontext_t *)ucontext)->uc_mcontext.gregs;
	const greg_t *sp = (const greg_t *)r[REG_RSP];
	greg_t saved[] = {
		r[REG_R15], r[REG_R14], r[REG_R13], r[REG_R12], r[REG_RBX], r[REG_RBP], *sp,
	};
	*pc = (uintptr_t)*sp;
	arch_unwind_at(saved, sp + 1, fn, arg);
}
