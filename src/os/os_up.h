// SPDX-License-Identifier: BSD-3-Clause
// Questions that os asks and a higher layer answers; bound at link time.
#ifndef UNDERGO_OS_UP_H
#define UNDERGO_OS_UP_H

// The simulation is about to let another thread go on in place of the caller: returns what the
// runtime keeps per thread, for when the caller comes back, and puts `load` in its place, which an
// earlier call returned for the coming thread, or NULL when that has just started. Answered by
// sched.
void *up_thread_state_swap(void *load);

// Every simulated thread sleeps without a deadline: nothing can ever happen again.
// Answered by sched; returns when it made something runnable.
void up_sim_stuck(void);

#endif
