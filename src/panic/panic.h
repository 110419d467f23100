// SPDX-License-Identifier: BSD-3-Clause
// How the process dies visibly: tracebacks, dumps, fatal signals.
#ifndef UNDERGO_PANIC_PANIC_H
#define UNDERGO_PANIC_PANIC_H

#include "sched/sched.h"

// Once, at the start of the runtime, before the first goroutine: reads GOTRACEBACK, readies the
// unwinder and the symboliser, installs the handlers of fatal signals.
void panic_init(void);

// go_dump: every goroutine to fd, the calling one first, while the others go on. The caller has
// left the runtime, as before any call that blocks.  Blocks: M.
void panic_dump(int fd);

// go_heap_report, go_heap_profile. The same holds. 0 or GO_ENOMEM.  Blocks: M, G.
int panic_heap_report(int fd);
int panic_heap_profile(int fd);

// The answers of panic to questions from below: up_print_goroutines (base_up.h), up_thread_starts
// and up_thread_ends (sched_up.h).

#endif
