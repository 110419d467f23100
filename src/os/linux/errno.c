// SPDX-License-Identifier: BSD-3-Clause
// Where this thread's errno is. Alone in its file: libc declares the address constant per function,
// and no analysis may look inside: a remembered answer would be another thread's.
#include <errno.h>

#include "os/os.h"

// clang does not look into functions that may not be inlined, and does not know the word for it.
#if defined(__clang__)
__attribute__((noinline)) int *
#else
__attribute__((noipa)) int *
#endif
os_errno_addr(void)
{
	return &errno;
}
