// SPDX-License-Identifier: BSD-3-Clause
// x86-64: what of arch.h is inline. The switch itself: switch.S.
#ifndef UNDERGO_ARCH_X86_64_CONTEXT_H
#define UNDERGO_ARCH_X86_64_CONTEXT_H

#include <stdint.h>

// mxcsr and the x87 control word, r15 r14 r13 r12 rbx rbp, the return address.
enum { ARCH_CONTEXT_BYTES = 64 };

static inline void
arch_pause(void)
{
	__asm__ volatile("pause");
}

static inline void *
arch_sp(void)
{
	void *sp;
	__asm__ volatile("movq %%rsp, %0" : "=r"(sp));
	return sp;
}

// The offset comes from the linker; volatile keeps the compiler from reusing an earlier answer,
// which after a switch would be another thread's.
static inline void *
arch_tls_m(void)
{
	void *m;
	__asm__ volatile("movq arch_tls_word@gottpoff(%%rip), %0\n\t"
			 "movq %%fs:(%0), %0"
			 : "=r"(m));
	return m;
}

static inline void
arch_tls_set_m(void *m)
{
	uint64_t offset;
	__asm__ volatile("movq arch_tls_word@gottpoff(%%rip), %0\n\t"
			 "movq %1, %%fs:(%0)"
			 : "=&r"(offset)
			 : "r"(m)
			 : "memory");
}

static inline _Noreturn void
arch_resume(void *load)
{
	__asm__ volatile("jmp arch_resume_" : : "S"(load) : "memory");
	__builtin_unreachable();
}

static inline _Noreturn void
arch_enter(void *stack_hi, void (*entry)(void *))
{
	__asm__ volatile("jmp arch_enter_" : : "S"(stack_hi), "d"(entry) : "memory");
	__builtin_unreachable();
}

#endif
