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

// The registers that a function must leave as it found them.
enum { ARCH_KEPT_WORDS = 6 };
static inline __attribute__((always_inline)) void
arch_kept(uint64_t words[ARCH_KEPT_WORDS])
{
	__asm__ volatile("movq %%rbx, (%0)\n\t"
			 "movq %%rbp, 8(%0)\n\t"
			 "movq %%r12, 16(%0)\n\t"
			 "movq %%r13, 24(%0)\n\t"
			 "movq %%r14, 32(%0)\n\t"
			 "movq %%r15, 40(%0)"
			 :
			 : "r"(words)
			 : "memory");
}

static inline __attribute__((always_inline)) void
arch_forget(void)
{
	__asm__ volatile("xorl %%ebx, %%ebx\n\t"
			 "xorl %%r12d, %%r12d\n\t"
			 "xorl %%r13d, %%r13d\n\t"
			 "xorl %%r14d, %%r14d\n\t"
			 "xorl %%r15d, %%r15d"
			 :
			 :
			 : "rbx", "r12", "r13", "r14", "r15", "cc");
}

// Where this code is, as a return address would say it; the stack pointer and the frame pointer
// register there.
enum { ARCH_DWARF_FP = 6, ARCH_DWARF_SP = 7, ARCH_DWARF_COLUMNS = 17 };
static inline __attribute__((always_inline)) void
arch_here(uintptr_t *pc, uintptr_t *sp, uintptr_t *fp)
{
	__asm__ volatile("leaq 1f(%%rip), %0\n"
			 "1:\tmovq %%rsp, %1\n\t"
			 "movq %%rbp, %2"
			 : "=&r"(*pc), "=&r"(*sp), "=&r"(*fp));
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

// The word that split-stack code compares its stack pointer with.
enum { ARCH_LIMIT_WORD = 0x70 };
static inline void
arch_set_stack_limit(uintptr_t limit)
{
	__asm__ volatile("movq %0, %%fs:0x70" : : "r"(limit) : "memory");
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
