// SPDX-License-Identifier: BSD-3-Clause
// Rows of timers: afterfunc, timer_reset, sleep50us.

#include "ours.h"

static void
fired(void *arg)
{
	(void)arg;
	bench_check(0, "a timer of an hour fired");
}

static go_timer *
an_hour(void)
{
	go_timer *t = go_after_func(3600 * GO_SEC, fired, NULL);

	bench_check(t != NULL, "no memory for a timer");
	return t;
}

// Freeing is part of it: Go's collector does that for Go.
static void
afterfunc_body(int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		go_timer *t = an_hour();
		bench_check(go_timer_stop(t), "afterfunc: was not active");
		go_timer_free(t);
	}
}

void
row_afterfunc(void)
{
	one_p();
	bench_row("afterfunc", afterfunc_body, 1);
}

static go_timer *timer;

static void
timer_reset_body(int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		bench_check(go_timer_reset(timer, 3600 * GO_SEC), "timer_reset: was not active");
}

// Resets one started timer again and again.
void
row_timer_reset(void)
{
	one_p();
	timer = an_hour();
	bench_row("timer_reset", timer_reset_body, 1);
	go_timer_free(timer);
}

static void
nap(void)
{
	go_sleep(BENCH_SLEEP_NS);
}

void
row_sleep50us(void)
{
	one_p();
	bench_sleeps("sleep50us", nap);
}
