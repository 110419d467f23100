// SPDX-License-Identifier: BSD-3-Clause
// Answers to the scheduler's questions that only the assembled core has.
#include "panic/panic.h"
#include "rt/cpus.h"
#include "sched/sched_up.h"

int
up_default_procs(void)
{
	return rt_default_procs();
}

void
up_runtime_starts(void)
{
	panic_init();
}
