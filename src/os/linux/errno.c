// SPDX-License-Identifier: BSD-3-Clause
// Where this thread's errno is. Alone in its file: libc declares the address constant per function,
// and no analysis may look inside: a remembered answer would be another thread's.
#include <errno.h>

#include "os/os.h"

__attribute__((noipa)) int *
os_errno_addr(void)
{
	return &errno;
}
