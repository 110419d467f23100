// SPDX-License-Identifier: BSD-3-Clause
// AArch64: where a walk of another stack begins.
#include <stdbool.h>
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

void
arch_uncall(void *ucontext)
{
	enum { INSTRUCTION = 4 };
	mcontext_t *m = &((ucontext_t *)ucontext)->uc_mcontext;
	m->pc = m->regs[30] - INSTRUCTION;
}

void arch_diverted(void); // unwind.S

bool
arch_divert(void *ucontext, uintptr_t lo, size_t room, void (*fn)(void *), const void *info,
	    size_t n)
{
	enum { ALIGN = 16, FRAME_WORDS = 4 };
	mcontext_t *m = &((ucontext_t *)ucontext)->uc_mcontext;
	uintptr_t sp = (uintptr_t)m->sp;
	if (sp < lo + room + n)
		return false;
	uintptr_t copy = (sp - n) & ~(uintptr_t)(ALIGN - 1);
	uint64_t *frame = (uint64_t *)copy - FRAME_WORDS; // known to: unwind.S
	memcpy((void *)copy, info, n);
	frame[0] = m->pc;
	frame[1] = m->sp;
	frame[2] = m->regs[30];
	frame[3] = 0;
	m->sp = (uintptr_t)frame;
	m->regs[0] = copy;
	m->regs[1] = (uintptr_t)fn;
	m->pc = (uintptr_t)arch_diverted;
	return true;
}
