// SPDX-License-Identifier: BSD-3-Clause
// AArch64: what of arch.h is inline. The switch itself: switch.S.
#ifndef UNDERGO_ARCH_AARCH64_CONTEXT_H
#define UNDERGO_ARCH_AARCH64_CONTEXT_H

#include <stdint.h>

// fpcr and a word unused, x19 to x30, d8 to d15.
enum { ARCH_CONTEXT_BYTES = 176 };

// isb holds the core for some ten cycles; yield does nothing on most.
static inline void
arch_pause(void)
{
	__asm__ volatile("isb" ::: "memory");
}

// The registers that a function must leave as it found them.
enum { ARCH_KEPT_WORDS = 20 };
static inline __attribute__((always_inline)) void
arch_kept(uint64_t words[ARCH_KEPT_WORDS])
{
	__asm__ volatile("stp x19, x20, [%0]\n\t"
			 "stp x21, x22, [%0, #16]\n\t"
			 "stp x23, x24, [%0, #32]\n\t"
			 "stp x25, x26, [%0, #48]\n\t"
			 "stp x27, x28, [%0, #64]\n\t"
			 "stp x29, x30, [%0, #80]\n\t"
			 "stp d8, d9, [%0, #96]\n\t"
			 "stp d10, d11, [%0, #112]\n\t"
			 "stp d12, d13, [%0, #128]\n\t"
			 "stp d14, d15, [%0, #144]"
			 :
			 : "r"(words)
			 : "memory");
}

// Where this code is, as a return address would say it; the stack pointer and the frame pointer
// register there.
enum { ARCH_DWARF_FP = 29, ARCH_DWARF_SP = 31, ARCH_DWARF_COLUMNS = 32 };
static inline __attribute__((always_inline)) void
arch_here(uintptr_t *pc, uintptr_t *sp, uintptr_t *fp)
{
	__asm__ volatile("adr %0, 1f\n"
			 "1:\tmov %1, sp\n\t"
			 "mov %2, x29"
			 : "=&r"(*pc), "=&r"(*sp), "=&r"(*fp));
}

static inline __attribute__((always_inline)) void
arch_forget(void)
{
	__asm__ volatile("mov x20, #0\n\t"
			 "mov x21, #0\n\t"
			 "mov x22, #0\n\t"
			 "mov x23, #0\n\t"
			 "mov x24, #0\n\t"
			 "mov x25, #0\n\t"
			 "mov x26, #0\n\t"
			 "mov x27, #0\n\t"
			 "mov x28, #0"
			 :
			 :
			 : "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28");
}

static inline void *
arch_sp(void)
{
	void *sp;
	__asm__ volatile("mov %0, sp" : "=r"(sp));
	return sp;
}

// The offset comes from the linker; volatile keeps the compiler from reusing an earlier answer,
// which after a switch would be another thread's.
static inline void *
arch_tls_m(void)
{
	void *m;
	uint64_t offset;
	__asm__ volatile("adrp %1, :gottprel:arch_tls_word\n\t"
			 "ldr %1, [%1, #:gottprel_lo12:arch_tls_word]\n\t"
			 "mrs %0, tpidr_el0\n\t"
			 "ldr %0, [%0, %1]"
			 : "=&r"(m), "=&r"(offset));
	return m;
}

static inline void
arch_tls_set_m(void *m)
{
	uint64_t offset, base;
	__asm__ volatile("adrp %0, :gottprel:arch_tls_word\n\t"
			 "ldr %0, [%0, #:gottprel_lo12:arch_tls_word]\n\t"
			 "mrs %1, tpidr_el0\n\t"
			 "str %2, [%1, %0]"
			 : "=&r"(offset), "=&r"(base)
			 : "r"(m)
			 : "memory");
}

// No code here asks for more stack.
static inline void
arch_set_stack_limit(uintptr_t limit)
{
	(void)limit;
}

static inline _Noreturn void
arch_resume(void *load)
{
	register void *x1 __asm__("x1") = load;
	__asm__ volatile("b arch_resume_" : : "r"(x1) : "memory");
	__builtin_unreachable();
}

static inline _Noreturn void
arch_enter(void *stack_hi, void (*entry)(void *))
{
	register void *x1 __asm__("x1") = stack_hi;
	register void (*x2)(void *) __asm__("x2") = entry;
	__asm__ volatile("b arch_enter_" : : "r"(x1), "r"(x2) : "memory");
	__builtin_unreachable();
}

#endif
