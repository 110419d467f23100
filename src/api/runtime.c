// SPDX-License-Identifier: BSD-3-Clause
// The C face of the runtime as a whole: include/undergo/runtime.h and base.h.
#include "undergo/runtime.h"

#include "os/os.h"
#include "panic/chain.h"
#include "panic/panic.h"
#include "sched/sched.h"
#include "timer/timer.h"

int
go_gomaxprocs(int n)
{
	sched_enter();
	int before = sched_gomaxprocs(n);
	sched_leave();
	return before;
}

int
go_num_cpu(void)
{
	sched_enter();
	int n = os_cpu_count();
	sched_leave();
	return n;
}

void
go_stats_read(go_stats *st)
{
	sched_enter();
	sched_stats(st);
	st->timers_fired = timer_fired();
	sched_leave();
}

void
go_dump(int fd)
{
	sched_enter();
	sched_block_begin();
	panic_dump(fd);
	sched_enter();
	sched_leave();
}

int
go_cpu_profile_start(int hz)
{
	sched_enter(); // the runtime has begun
	sched_leave();
	return panic_cpu_profile_start(hz);
}

int
go_cpu_profile_stop(int fd)
{
	return panic_cpu_profile_stop(fd);
}

int64_t
go_now(void)
{
	return os_nanotime();
}

int64_t
go_in(int64_t delay_ns)
{
	return base_deadline(os_nanotime(), delay_ns);
}

const char *
go_strerror(int code)
{
	return value_error_text(code);
}
