// SPDX-License-Identifier: BSD-3-Clause
// System calls without libc, so without errno, and the registers a signal interrupted: 64-bit Arm.
#ifndef UNDERGO_OS_SYSCALL_AARCH64_H
#define UNDERGO_OS_SYSCALL_AARCH64_H

#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

// The kernel's result: negative errno values are errors.
static inline long
syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}

static inline uintptr_t
thread_pointer(void)
{
	uintptr_t tp;
	__asm__ volatile("mrs %0, tpidr_el0" : "=r"(tp));
	return tp;
}

UNINSTRUMENTED static inline uintptr_t
thread_pointer_of_any(void)
{
	return thread_pointer();
}

// Where libc keeps a thread's table of blocks of thread-locals.
static inline uintptr_t
thread_dtv_slot(uintptr_t tp)
{
	return tp;
}

// Thread-locals lie above the thread pointer, libc's record of the thread below it.
enum { TLS_GROWS_DOWN = 0, THREAD_RECORD_BELOW = 1536, THREAD_RECORD_ABOVE = 16 };

// Below the stack pointer a function may keep data without moving it: not here.
enum { RED_ZONE = 0 };

// Where a handler returns to: the kernel has its own place for that.
#define signal_return NULL

static inline uintptr_t
ucontext_pc(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.pc;
}

static inline uintptr_t
ucontext_sp(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.sp;
}

static inline const char *
ucontext_reg(const ucontext_t *uc, int i, uint64_t *value)
{
	static const char *const names[] = {
		"r0",  "r1",  "r2",  "r3",  "r4",  "r5",  "r6",  "r7",  "r8",  "r9",  "r10",
		"r11", "r12", "r13", "r14", "r15", "r16", "r17", "r18", "r19", "r20", "r21",
		"r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29", "lr",  "sp",  "pc",
	};
	enum { SP = 31, PC = 32 };
	if ((size_t)i >= sizeof(names) / sizeof(names[0]))
		return NULL;
	*value = i == SP   ? uc->uc_mcontext.sp
		 : i == PC ? uc->uc_mcontext.pc
			   : uc->uc_mcontext.regs[i];
	return names[i];
}

#endif
