// SPDX-License-Identifier: BSD-3-Clause
// What the runtime's sources call below them, answered by the explorer: base's deaths fail the
// schedule, os's futexes and yields are the engine's.
#include "explore.h"

#include "base/base.h"
#include "explore_arch.h"
#include "os/os.h"

#include <errno.h>

// The drivers explore one processor count: waiting sleeps at once instead of spinning first.
int
os_cpu_count(void)
{
	return 1;
}

struct ExploreWords explore_words;
bool os_simulated;
uint64_t base_seed = 1;
ATOMIC_U32 base_dying;

void throw(const char *why)
{
	explore_fail("throw: %s", why);
}

void
fatal(const char *why)
{
	explore_fail("fatal: %s", why);
}

_Noreturn void panic(const char *why);
void
panic(const char *why)
{
	explore_fail("panic: %s", why);
}

// Chaos points are one more choice of the schedule.
bool base_chaos(const char *id, uint32_t one_in);
bool
base_chaos(const char *id, uint32_t one_in)
{
	(void)id;
	return explore_random(one_in) == 0;
}

void
os_sim_point_slow(void)
{
}

void
os_yield(void)
{
	explore_yield();
}

int
os_futex_wait(ATOMIC_U32 *word, uint32_t seen, int64_t deadline)
{
	switch (explore_futex_wait(word, seen, deadline != INT64_MAX)) {
	case EXPLORE_DIFFERS:
		return -EAGAIN;
	case EXPLORE_TIMED_OUT:
		return -ETIMEDOUT;
	default:
		return 0;
	}
}

void
os_futex_wake(ATOMIC_U32 *word, int n)
{
	explore_futex_wake(word, n);
}

// Time stands still; deadlines come when the schedule says so.
int64_t
os_nanotime(void)
{
	return 1;
}
