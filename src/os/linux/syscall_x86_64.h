// SPDX-License-Identifier: BSD-3-Clause
// System calls without libc, so without errno, and the registers a signal interrupted: x86-64.
#ifndef UNDERGO_OS_SYSCALL_X86_64_H
#define UNDERGO_OS_SYSCALL_X86_64_H

#include <asm/prctl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
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
thread_pointer(void)
{
	uintptr_t tp;
	__asm__ volatile("movq %%fs:0, %0" : "=r"(tp));
	return tp;
}

// The same, of a thread that may have none of libc's memory there.
UNINSTRUMENTED static inline uintptr_t
thread_pointer_of_any(void)
{
	uintptr_t tp = 0;
	syscall6(SYS_arch_prctl, ARCH_GET_FS, (long)&tp, 0, 0, 0, 0);
	return tp;
}

// Where libc keeps a thread's table of blocks of thread-locals.
static inline uintptr_t
thread_dtv_slot(uintptr_t tp)
{
	return tp + 8;
}

// Thread-locals lie below the thread pointer, libc's record of the thread from it on.
enum { TLS_GROWS_DOWN = 1, THREAD_RECORD_BELOW = 0, THREAD_RECORD_ABOVE = 2048 };

// Below the stack pointer a function may keep data without moving it.
enum { RED_ZONE = 128 };

// Where a handler returns to, as libc's; debuggers know it by these very bytes.
__attribute__((naked, unused)) static void
signal_return(void)
{
	__asm__("movq $15, %rax\n\tsyscall");
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

static inline const char *
ucontext_reg(const ucontext_t *uc, int i, uint64_t *value)
{
	static const struct {
		const char *name;
		int reg;
	} regs[] = {
		{"rax", REG_RAX}, {"rbx", REG_RBX}, {"rcx", REG_RCX}, {"rdx", REG_RDX},
		{"rdi", REG_RDI}, {"rsi", REG_RSI}, {"rbp", REG_RBP}, {"rsp", REG_RSP},
		{"r8", REG_R8},   {"r9", REG_R9},   {"r10", REG_R10}, {"r11", REG_R11},
		{"r12", REG_R12}, {"r13", REG_R13}, {"r14", REG_R14}, {"r15", REG_R15},
		{"rip", REG_RIP}, {"rflags", REG_EFL},
	};
	if ((size_t)i >= sizeof(regs) / sizeof(regs[0]))
		return NULL;
	*value = (uint64_t)uc->uc_mcontext.gregs[regs[i].reg];
	return regs[i].name;
}

#endif
