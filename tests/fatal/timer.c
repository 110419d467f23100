// SPDX-License-Identifier: BSD-3-Clause
// Programs that misuse timers, and one that waits for a time that never comes.
#include "undergo/timer.h"
#include "harness.h"
#include "undergo/goroutine.h"

DEATH(ticker_without_period)
{
	go_ticker_new(0);
}

DEATH(ticker_reset_without_period)
{
	go_timer_reset(go_ticker_new(GO_SEC), -1);
}

static int
sleep_for_ever(void *arg)
{
	(void)arg;
	return go_sleep_until(GO_NEVER);
}

DEATH(all_sleep_for_ever)
{
	go_run(sleep_for_ever, NULL);
}

static int
timer_never_due(void *arg)
{
	(void)arg;
	go_timer *t = go_timer_new(INT64_MAX);
	return go_chan_recv(go_timer_chan(t), NULL, GO_NEVER);
}

DEATH(timer_is_never_due)
{
	go_run(timer_never_due, NULL);
}

void
test_fatal_ticker_period(void)
{
	expect_death(ticker_without_period, .status = 2,
		     .err = "panic: non-positive interval for NewTicker\n");
	expect_death(ticker_reset_without_period, .status = 2,
		     .err = "panic: non-positive interval for Ticker.Reset\n");
}

// A timer that is never due does not keep a deadlock from being seen.
void
test_fatal_sleep_for_ever(void)
{
	expect_death(all_sleep_for_ever, .status = 2,
		     .err = "fatal error: all goroutines are asleep - deadlock!\n");
	expect_death(timer_is_never_due, .status = 2,
		     .err = "fatal error: all goroutines are asleep - deadlock!\n");
}
