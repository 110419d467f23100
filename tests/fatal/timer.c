// SPDX-License-Identifier: BSD-3-Clause
// Programs that misuse timers, and one that waits for a time that never comes.
#include <signal.h>

#include "harness.h"
#include "undergo.h"

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
sleep_for_ages(void *arg)
{
	(void)arg;
	return go_sleep(INT64_MAX);
}

static int
sleep_for_ages_in_scope(void *arg)
{
	go_scope s;
	go_scope_open(&s, GO_NEVER);
	(void)go_scope_spawn(&s, sleep_for_ages, arg);
	return go_scope_wait(&s);
}

static int
timer_due_in_ages(void *arg)
{
	(void)arg;
	go_timer *t = go_timer_new(INT64_MAX);
	return go_chan_recv(go_timer_chan(t), NULL, GO_NEVER);
}

static int
timer_set_again_to_ages(void *arg)
{
	(void)arg;
	go_timer *t = go_timer_new(GO_MSEC);
	go_timer_reset(t, INT64_MAX);
	return go_chan_recv(go_timer_chan(t), NULL, GO_NEVER);
}

DEATH(main_sleeps_for_ages)
{
	go_run(sleep_for_ages, NULL);
}

DEATH(thread_sleeps_for_ages)
{
	go_sleep(INT64_MAX);
}

DEATH(child_sleeps_for_ages)
{
	go_run(sleep_for_ages_in_scope, NULL);
}

DEATH(timer_is_due_in_ages)
{
	go_run(timer_due_in_ages, NULL);
}

DEATH(timer_is_reset_to_ages)
{
	go_run(timer_set_again_to_ages, NULL);
}

void
test_fatal_ticker_period(void)
{
	expect_death(ticker_without_period, .status = 2,
		     .err = "panic: non-positive interval for NewTicker\n");
	expect_death(ticker_reset_without_period, .status = 2,
		     .err = "panic: non-positive interval for Ticker.Reset\n");
}

// GO_NEVER is no time to wait for.
void
test_fatal_sleep_for_ever(void)
{
	expect_death(all_sleep_for_ever, .status = 2,
		     .err = "fatal error: all goroutines are asleep - deadlock!\n");
}

#define STILL_WAITS .signal = SIGKILL, .send = SIGKILL, .send_after_ms = 300, \
		    .err_lacks = {"deadlock"}

// A delay of INT64_MAX is one, however long: nobody waits in vain, as in Go.
void
test_no_deadlock_longest_delay(void)
{
	expect_death(main_sleeps_for_ages, STILL_WAITS);
	expect_death(thread_sleeps_for_ages, STILL_WAITS);
	expect_death(child_sleeps_for_ages, STILL_WAITS);
	expect_death(timer_is_due_in_ages, STILL_WAITS);
	expect_death(timer_is_reset_to_ages, STILL_WAITS);
}

static int
free_twice(void *arg)
{
	(void)arg;
	go_timer *t = go_ticker_new(GO_MSEC);
	go_timer_free(t);
	go_timer_free(t);
	return 0;
}

DEATH(timer_free_twice)
{
	go_run(free_twice, NULL);
}

void
test_fatal_timer_free_twice(void)
{
	expect_death(timer_free_twice, .status = 2,
		     .err = "fatal error: timer: free of a freed timer\n");
}
