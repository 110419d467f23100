/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/signal.h - signals of the system, into channels and contexts.
 *
 * As Go's os/signal. A signal that no call of this header has named keeps the effect that the
 * program, or who started it, gave it: SIGTERM ends the process, and SIGHUP that nohup ignores
 * stays ignored. A program's own handler for a named signal rests until go_signal_reset or the last
 * go_signal_stop; one for faults (SIGSEGV and its like) goes on getting faults, only sent signals
 * go to the channel.
 * A signal may come on any thread, known to the runtime or not. It is received even when every
 * thread of the program blocks it. Several of one kind that come at once may count as one.
 * SIGKILL, SIGSTOP, SIGPROF, which profiles and dumps use, and the two that the C library keeps
 * (32, 33) can be neither received nor ignored. From the first go_signal_notify on the program is
 * never taken for dead ("all goroutines are asleep"), since a signal may come.
 * The runtime itself uses no signal that a program can name but those of fatal errors, and its own
 * writes never raise SIGPIPE.
 */
#ifndef UNDERGO_SIGNAL_H
#define UNDERGO_SIGNAL_H

#include "base.h"
#include "chan.h"
#include "context.h"

/* go_signal_notify - send a signal's number, an int, into c whenever it comes.
 *
 * sig 0: every signal. Nobody waits for room: a channel without some gets nothing, so c should
 * have room for as many as may come. Calls for the same channel add up; several channels may
 * get the same signal. c must not be closed or freed before go_signal_stop(c).
 * Errors:    GO_EINVAL no such signal, or c's elements are no ints; GO_ENOMEM; GO_ENOSYS in the
 *            deterministic mode. Nothing has changed then.
 * Panics:    "os/signal: Notify using nil channel".
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_signal_notify(go_chan *c, int sig);

/* go_signal_stop - nothing more goes into c.
 *
 * When it returns, everything that came before is in c, as far as there was room. A signal that
 * no other channel gets has the effect again that it had at first.
 * Blocks:    the thread, some microseconds.
 * Call from: a goroutine or a thread.
 */
GO_API void go_signal_stop(go_chan *c);

/* go_signal_ignore - a signal shall have no effect, and no channel gets it any more. sig 0: all.
 *
 * A fault has its effect all the same.
 * Errors:    GO_EINVAL no such signal; GO_ENOSYS in the deterministic mode.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_signal_ignore(int sig);

/* go_signal_ignored - whether a signal has no effect, by go_signal_ignore or from the start.
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API bool go_signal_ignored(int sig);

/* go_signal_reset - a signal has the effect again that it had at first, and no channel gets it any
 * more. sig 0: all.
 *
 * Errors:    GO_EINVAL no such signal; GO_ENOSYS in the deterministic mode.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_signal_reset(int sig);

/* go_signal_context - a context below parent that is cancelled when one of n signals comes.
 *
 * n 0: every signal. NULL when there is no memory, a signal does not exist, or in the deterministic
 * mode.
 * Owns:      the caller has one reference, and ends with go_signal_context_stop and go_ctx_unref.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_ctx *go_signal_context(go_ctx *parent, const int *sigs, int n);

/* go_signal_context_stop - cancel ctx, and let go of its signals.
 *
 * They have the effect again that they had at first, so that a second SIGINT, say, ends the
 * process. Nothing more happens when it is called again.
 * Blocks:    the thread, some microseconds.
 * Call from: a goroutine or a thread.
 */
GO_API void go_signal_context_stop(go_ctx *ctx);

#endif
