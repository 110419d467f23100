// SPDX-License-Identifier: BSD-3-Clause
// Questions that sched asks and a higher layer answers; bound at link time.
#ifndef UNDERGO_SCHED_UP_H
#define UNDERGO_SCHED_UP_H

#include "sched/sched.h"

// Make, and take down, timer's part of a P. Down: the world is stopped; pending timers move to
// `heir` (never NULL). Answered by timer.
bool up_timers_make(P *pp); // false without memory
void up_timers_move(P *pp, P *heir);

// Runs the timers of pp that are due, at most so many that others get their turn; the caller
// need not own pp. Returns the time of the earliest one left, INT64_MAX for none. Fired timers may
// ready Gs (onto the caller's P). Answered by timer.
int64_t up_timers_run(P *pp, int64_t now);

// sched_claim_and_ready(gp, CLAIM_DEADLINE) once `when` has come. Answered by timer.
void up_deadline_arm(Deadline *d, G *gp, int64_t when);
// After it returns d is not touched again.
void up_deadline_disarm(Deadline *d);

// What has become ready of all that goroutines wait for: at most max, 0 at the deadline (GO_POLL:
// do not wait, INT64_MAX: for ever), and when the bell rings: then *rung is true. Only who waits
// hushes it. Stack: g0.  Blocks: M.  Locks: none held.  Answered by net.
int up_poll_wait(OsReady *ready, int max, int64_t deadline, bool *rung);
// The goroutines that this lets go on, for sched_ready_list. Locks: none held.  Answered by net.
void up_poll_take(const OsReady *ready, int n, GList *l);
// Ends the wait of who is in up_poll_wait, or the next one. Stack: any.  Answered by net.
void up_poll_ring(void);

// A G ends, on its own stack, still able to park: destroy its goroutine-local values, see that it
// leaves no scope open, and tell its scope. Answered by scope.
void up_g_ends(G *gp);
// Whether the scope gp runs in has been cancelled. Only asked when gp->scope is not NULL.
bool up_scope_canceled(G *gp);

// A thread has come under the runtime (before it runs any G), and is about to leave it: its
// alternate signal stack. starts returns what ends gets. Answered by panic.
void *up_thread_starts(void);
void up_thread_ends(void *signal_stack);

// The monitor looks around. What is due at `now` shall be done, in a millisecond at most; returns
// when to be called next, INT64_MAX for never. May be called earlier, and often.  Locks: none held.
// Runs on: the monitor. Answered by gc.
int64_t up_monitor_looks(int64_t now);

// The runtime starts: how many Ps. Answered by rt.
int up_default_procs(void);
// The runtime starts, once, before any thread of its own runs goroutines: signal handlers.
// Answered by panic.
void up_runtime_starts(void);

#endif
