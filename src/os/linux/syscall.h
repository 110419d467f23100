// SPDX-License-Identifier: BSD-3-Clause
// System calls without libc: syscallN(number, N arguments) returns what the kernel does.
#ifndef UNDERGO_OS_LINUX_SYSCALL_H
#define UNDERGO_OS_LINUX_SYSCALL_H

#include <sys/syscall.h>

// For handlers, which run where the sanitizers' own code may have been interrupted.
#if defined(__clang__)
#define UNINSTRUMENTED __attribute__((disable_sanitizer_instrumentation))
#else
#define UNINSTRUMENTED __attribute__((no_sanitize("thread", "address", "undefined")))
#endif

#if defined(__x86_64__)
#include "os/linux/syscall_x86_64.h"
#elif defined(__aarch64__)
#include "os/linux/syscall_aarch64.h"
#else
#error "a new processor needs a header like syscall_x86_64.h"
#endif

#define syscall0(nr) syscall6(nr, 0, 0, 0, 0, 0, 0)
#define syscall1(nr, a) syscall6(nr, (long)(a), 0, 0, 0, 0, 0)
#define syscall2(nr, a, b) syscall6(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define syscall3(nr, a, b, c) syscall6(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define syscall4(nr, a, b, c, d) \
	syscall6(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define syscall5(nr, a, b, c, d, e) \
	syscall6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

#endif
