/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/timer.h - sleeping, timers and tickers.
 *
 * A timer fires no earlier than its time, and on an idle machine tens of microseconds after it.
 */
#ifndef UNDERGO_TIMER_H
#define UNDERGO_TIMER_H

#include "base.h"
#include "chan.h"

/* go_sleep - wait for ns nanoseconds.
 *
 * Zero or less returns at once.
 * Blocks:    this goroutine only.
 * Errors:    GO_ECANCELED when the goroutine's scope is cancelled first.
 * Call from: a goroutine or a thread.
 */
GO_API int go_sleep(int64_t ns);

/* go_sleep_until - wait until the deadline has come.
 *
 * Blocks:    this goroutine only; for ever with GO_NEVER.
 * Errors:    GO_ECANCELED when the goroutine's scope is cancelled first.
 * Call from: a goroutine or a thread.
 */
GO_API int go_sleep_until(int64_t deadline);

typedef struct go_timer go_timer;

/* go_after_func - make a timer that runs fn(arg) on a goroutine of its own after delay_ns.
 *
 * Returns NULL when fn is NULL or there is no memory. To fire it again use go_timer_reset.
 * Owns:      the caller; go_timer_free gives it back, also before it fires.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_timer *go_after_func(int64_t delay_ns, void (*fn)(void *arg), void *arg);

/* go_timer_new - make a timer that sends the time, an int64_t of go_now's clock, on its channel.
 *
 * The channel has room for one value; go_timer_chan tells it. Returns NULL without memory.
 * Owns:      the caller; go_timer_free gives it and its channel back.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_timer *go_timer_new(int64_t delay_ns);

/* go_ticker_new - make a timer that sends the time on its channel every period_ns.
 *
 * A tick that finds the last one still unread is dropped. Returns NULL without memory.
 * Panics:    "non-positive interval for NewTicker".
 * Owns:      the caller; go_timer_free gives it and its channel back.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_timer *go_ticker_new(int64_t period_ns);

/* go_timer_chan - the channel of a timer or ticker; NULL for go_after_func's timers.
 *
 * Owns:      the timer.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_chan *go_timer_chan(go_timer *t);

/* go_timer_stop - keep a timer from firing.
 *
 * Returns true when this call stopped it, false when it had fired or was stopped before. After
 * it returns no further value appears on the channel, and one that nobody received is gone.
 * A function of go_after_func that has already been started may still be running.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API bool go_timer_stop(go_timer *t);

/* go_timer_reset - let the timer fire delay_ns from now, whatever it did before.
 *
 * A ticker gets delay_ns as its period. Returns true when the timer was still going to fire.
 * A value of the earlier setting that nobody received is gone.
 * Panics:    "non-positive interval for Ticker.Reset", for a ticker.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API bool go_timer_reset(go_timer *t, int64_t delay_ns);

/* go_timer_free - stop the timer and give its memory back. NULL is allowed.
 *
 * Fatal:     "timer: free of a freed timer", while its memory still tells.
 * Blocks:    no.
 * Call from: a goroutine or a thread, when no one else uses the timer or its channel again.
 */
GO_API void go_timer_free(go_timer *t);

#endif
