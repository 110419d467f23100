// SPDX-License-Identifier: BSD-3-Clause
// undergo/timer.h: sleeping, timers and tickers.
#include "undergo/timer.h"

#include "sched/sched.h"
#include "timer/timer.h"

int
go_sleep(int64_t ns)
{
	sched_enter();
	int err = timer_sleep(ns);
	sched_leave();
	return err;
}

int
go_sleep_until(int64_t deadline)
{
	sched_enter();
	int err = timer_sleep_until(deadline);
	sched_leave();
	return err;
}

go_timer *
go_after_func(int64_t delay_ns, void (*fn)(void *arg), void *arg)
{
	if (fn == NULL)
		return NULL;
	if (!sched_attached())
		return NULL;
	sched_enter();
	UserTimer *u = timer_after_func(delay_ns, fn, arg);
	sched_leave();
	return u;
}

go_timer *
go_timer_new(int64_t delay_ns)
{
	if (!sched_attached())
		return NULL;
	sched_enter();
	UserTimer *u = timer_new(delay_ns);
	sched_leave();
	return u;
}

go_timer *
go_ticker_new(int64_t period_ns)
{
	if (!sched_attached())
		return NULL;
	sched_enter();
	UserTimer *u = timer_ticker_new(period_ns);
	sched_leave();
	return u;
}

go_chan *
go_timer_chan(go_timer *t)
{
	return timer_chan(t);
}

bool
go_timer_stop(go_timer *t)
{
	sched_enter();
	bool stopped = timer_user_stop(t);
	sched_leave();
	return stopped;
}

bool
go_timer_reset(go_timer *t, int64_t delay_ns)
{
	sched_enter();
	bool was_set = timer_user_reset(t, delay_ns);
	sched_leave();
	return was_set;
}

void
go_timer_free(go_timer *t)
{
	if (t == NULL)
		return;
	sched_enter();
	timer_user_free(t);
	sched_leave();
}
