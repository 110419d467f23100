// SPDX-License-Identifier: BSD-3-Clause
// System calls without libc, so without errno, and the registers a signal interrupted: x86-64.
#ifndef UNDERGO_OS_SYSCALL_X86_64_H
#define UNDERGO_OS_SYSCALL_X86_64_H

#include <stdint.h>
#include <ucontext.h>

// The kernel's result: negative errno values are errors.
static inline long
syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static inline uintptr_t
ucontext_pc(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
}

static inline uintptr_t
ucontext_sp(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
}

#endif
