/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/runtime.h - the runtime as a whole: processors, statistics, dumps. */
#ifndef UNDERGO_RUNTIME_H
#define UNDERGO_RUNTIME_H

#include "base.h"

/* go_gomaxprocs - set how many goroutines run at the same time; returns the number before.
 *
 * n < 1 changes nothing. At the start it is the environment's GOMAXPROCS or else the number
 * of CPUs that the affinity mask and every CPU quota up the control group tree leave.
 * n above 65536 is taken as 65536. The world stops for the change, microseconds mostly.
 * Blocks:    this goroutine, and all others for the change.
 * Call from: a goroutine or a thread.
 */
GO_API int go_gomaxprocs(int n);

/* go_num_cpu - the number of CPUs the process could use when the runtime started.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_num_cpu(void);

/* What the runtime has done and holds. Counters run from the start of the process. */
typedef struct go_stats {
	int gomaxprocs;          /* processors (P) */
	int threads;             /* threads (M) the runtime has now, monitor included */
	int threads_idle;        /* of these, asleep for want of work */
	int threads_foreign;     /* attached threads of the program */
	uint64_t threads_made;   /* ever started */
	uint64_t goroutines;     /* alive now */
	uint64_t spawned;        /* ever started */
	uint64_t switches;       /* times a goroutine gave the processor up or stayed by yielding */
	uint64_t steals;         /* goroutines taken from another processor's queue */
	uint64_t wakeups;        /* sleeping threads woken for work */
	uint64_t retakes;        /* leases taken back from blocked or long-running goroutines */
	uint64_t timers_fired;   /* timers that came due */
	uint64_t stack_reserved; /* bytes of address space held for stacks */
	uint64_t stack_in_use;   /* bytes of it given to live goroutines */
} go_stats;

/* go_stats_read - fill *st. The numbers are read one after the other, without a stop.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API void go_stats_read(go_stats *st);

/* go_dump - write every goroutine's number, name, state, wait and stack to a descriptor.
 *
 * The format is that of Go's SIGQUIT dump. Allocates nothing. A goroutine that computes on another
 * thread is asked for its stack by SIGPROF; if the thread waits in the kernel by then, a call that
 * is not started again after a handler ends with EINTR. The first time the runtime installs a
 * handler for that, which stays. Where the program has its own, or ignores the signal, nobody is
 * asked, and these stacks are missing. A thread that gets no processor is waited for, up to a
 * second; all such threads, up to four.
 * Blocks:    the thread, for as long as writing takes; the processor goes to others meanwhile.
 * Call from: a goroutine or a thread.
 */
GO_API void go_dump(int fd);

/* go_cpu_profile_start - take samples of what the process computes.
 *
 * For each second of CPU time, of all threads together, the stack of who computes is taken hz
 * times; 0 means 100. The kernel takes one for each of its ticks at most, which are 4 ms mostly.
 * SIGPROF gets the runtime's handler, which stays. Some thousand different stacks are kept apart,
 * of at most 64 frames each; what is beyond is counted without a stack. It costs some microseconds
 * for each sample.
 * Errors:    GO_EINVAL: hz is below 0, or above 1000000. GO_EBUSY: a profile is under way.
 *            GO_ENOMEM: no memory, or no thread. GO_ENOSYS: the system has no such timer.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_cpu_profile_start(int hz);

/* go_cpu_profile_stop - take no more samples, and write them to fd in pprof's format, not
 * compressed: for each stack how often it was seen, and how much CPU time that stands for.
 *
 * A negative fd writes nothing. The profile is over, whatever is returned but GO_EINVAL.
 * Errors:    GO_EINVAL: no profile is under way. GO_ENOMEM: nothing was written. GO_EIO: not all of
 *            it could be written.
 * Blocks:    the calling thread: it writes.
 * Call from: a goroutine or a thread.
 */
GO_API int go_cpu_profile_stop(int fd);

#endif
