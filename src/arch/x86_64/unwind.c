// SPDX-License-Identifier: BSD-3-Clause
// x86-64: where a walk of another stack begins.
#include <stdbool.h>
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

void
arch_uncall(void *ucontext)
{
	greg_t *r = ((ucontext_t *)ucontext)->uc_mcontext.gregs;
	const greg_t *sp = (const greg_t *)r[REG_RSP];
	r[REG_RIP] = *sp - 1;
	r[REG_RSP] = (greg_t)(sp + 1);
}

void arch_diverted(void); // unwind.S

bool
arch_divert(void *ucontext, uintptr_t lo, size_t room, void (*fn)(void *), const void *info,
	    size_t n)
{
	enum { RED_ZONE = 128, ALIGN = 16 };
	greg_t *r = ((ucontext_t *)ucontext)->uc_mcontext.gregs;
	uintptr_t sp = (uintptr_t)r[REG_RSP];
	if (sp < lo + RED_ZONE + room + n)
		return false;
	uintptr_t copy = (sp - RED_ZONE - n) & ~(uintptr_t)(ALIGN - 1);
	greg_t *frame = (greg_t *)(copy - ALIGN); // known to: unwind.S
	memcpy((void *)copy, info, n);
	frame[0] = r[REG_RIP];
	frame[1] = r[REG_RSP];
	r[REG_RSP] = (greg_t)frame;
	r[REG_RDI] = (greg_t)copy;
	r[REG_RSI] = (greg_t)fn;
	r[REG_RIP] = (greg_t)arch_diverted;
	r[REG_EFL] &= ~(greg_t)0x400; // the direction flag
	return true;
}
