// SPDX-License-Identifier: BSD-3-Clause
// Where this thread's errno is. Alone in its file: libc declares the address constant per function,
// and nothing here may be inlined into code that switches threads.
#include <errno.h>

#include "os/os.h"

__attribute__((noinline)) int *
os_errno_addr(void)
{
	return &errno;
}
