// SPDX-License-Identifier: BSD-3-Clause
// undergo/signal.h: signals into channels and contexts.
#include "undergo/signal.h"

#include "signal/signal.h"

// The signals meant, a bit each; 0: there is no such signal.
static uint64_t
set_of(int sig)
{
	uint64_t all = 0;
	if (sig != 0)
		return signal_can_have(sig) ? UINT64_C(1) << (sig - 1) : 0;
	for (int i = 1; i <= SIGNAL_LAST; i++)
		if (signal_can_have(i))
			all |= UINT64_C(1) << (i - 1);
	return all;
}

// 0, or the error of a call that changes what a signal does.
static int
begin(uint64_t set)
{
	if (set == 0)
		return GO_EINVAL;
	if (!sched_attached())
		return GO_ENOMEM;
	return os_simulated ? GO_ENOSYS : 0;
}

int
go_signal_notify(go_chan *c, int sig)
{
	uint64_t set = set_of(sig);
	if (c == NULL)
		panic("os/signal: Notify using nil channel");
	int err = chan_elem_bytes(c) == sizeof(int) ? begin(set) : GO_EINVAL;
	if (err != 0)
		return err;
	sched_enter();
	err = notify_start();
	if (err == 0)
		err = notify_chan(c, set);
	sched_leave();
	return err;
}

static void
stop(go_chan *c, go_ctx *ctx)
{
	sched_enter();
	NotifyReg *r = notify_stop_begin(c, ctx);
	sched_leave();
	if (r == NULL)
		return;
	signal_wait_until_idle();
	sched_enter();
	notify_stop_end(r);
	sched_leave();
}

void
go_signal_stop(go_chan *c)
{
	if (c != NULL)
		stop(c, NULL);
}

int
go_signal_ignore(int sig)
{
	uint64_t set = set_of(sig);
	int err = begin(set);
	if (err != 0)
		return err;
	sched_enter();
	err = notify_ignore(set);
	sched_leave();
	return err;
}

bool
go_signal_ignored(int sig)
{
	return signal_can_have(sig) && signal_ignored(sig);
}

int
go_signal_reset(int sig)
{
	uint64_t set = set_of(sig);
	int err = begin(set);
	if (err != 0)
		return err;
	sched_enter();
	notify_reset(set);
	sched_leave();
	return 0;
}

// 0: one of them does not exist.
static uint64_t
set_of_all(const int *sigs, int n)
{
	uint64_t all = 0;
	for (int i = 0; i < n; i++) {
		if (!signal_can_have(sigs[i]))
			return 0;
		all |= set_of(sigs[i]);
	}
	return n == 0 ? set_of(0) : all;
}

go_ctx *
go_signal_context(go_ctx *parent, const int *sigs, int n)
{
	uint64_t set = set_of_all(sigs, n);
	if (begin(set) != 0)
		return NULL;
	sched_enter();
	go_ctx *ctx = notify_start() == 0 ? ctx_new(parent, GO_NEVER) : NULL;
	if (ctx != NULL && notify_ctx(ctx, set) != 0) {
		ctx_unref(ctx);
		ctx = NULL;
	}
	sched_leave();
	return ctx;
}

void
go_signal_context_stop(go_ctx *ctx)
{
	if (ctx == NULL)
		return;
	sched_enter();
	ctx_cancel(ctx);
	sched_leave();
	stop(NULL, ctx);
}
