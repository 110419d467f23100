// SPDX-License-Identifier: BSD-3-Clause
// Sleeping on a word, and the fence that every running thread executes.
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <time.h>

#include "os/linux/syscall.h"
#include "os/os_impl.h"

static_assert(sizeof(ATOMIC_U32) == 4, "the kernel's futex word");

// FUTEX_WAIT_BITSET rather than FUTEX_WAIT: its deadline is a point in time, so a sleep that has
// to be taken up again does not grow.
int
sys_futex_wait(ATOMIC_U32 *word, uint32_t seen, int64_t deadline)
{
	struct timespec ts, *end = NULL;
	if (deadline != INT64_MAX) {
		int64_t at = deadline > 0 ? deadline : 0;
		ts = (struct timespec){.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
		end = &ts;
	}
	long err = syscall6(SYS_futex, (long)word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, seen,
			    (long)end, 0, (long)FUTEX_BITSET_MATCH_ANY);
	if (err == -EAGAIN || err == -ETIMEDOUT)
		return (int)err;
	check(err == 0 || err == -EINTR, "os: futex wait failed");
	return 0;
}

// The word need not exist any more: whoever was woken may have freed it.
void
sys_futex_wake(ATOMIC_U32 *word, int n)
{
	syscall3(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n);
}

bool
sys_fence_register(void)
{
	if (fault(FAULT_membarrier) != 0)
		return false;
	return syscall2(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0;
}

// Registered, the call can only fail for want of a few bytes, which the kernel then finds in time.
void
sys_fence_all_threads(void)
{
	for (int tries = 0; tries < 1000; tries++) {
		if (syscall2(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == 0)
			return;
		sys_yield();
	}
	throw("os: membarrier failed");
}
