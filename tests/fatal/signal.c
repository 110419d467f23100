// SPDX-License-Identifier: BSD-3-Clause
// undergo/signal.h where the process ends: effects that are left alone, or come back, and mistakes.
#include <pthread.h>
#include <signal.h>

#include "goroutines.h"

static int
sleep_long(void *unused)
{
	(void)unused;
	go_sleep(20 * GO_SEC);
	return 0;
}

DEATH(signal_untouched)
{
	go_run(sleep_long, NULL);
}

// A signal nobody asked for ends the process as it would without us, and without a word.
void
test_signal_kills(void)
{
	const int sigs[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGPIPE};
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		expect_death(signal_untouched, .signal = sigs[i], .send = sigs[i],
			     .send_after_ms = 60, .err = "", .err_lacks = {"goroutine"});
}

static int
stop_and_be_ended(void *unused)
{
	(void)unused;
	go_chan *c = go_chan_new(sizeof(int), 1);
	const int sig = SIGINT;
	go_signal_notify(c, SIGINT);
	go_signal_stop(c);
	go_ctx *ctx = go_signal_context(NULL, &sig, 1);
	raise(SIGINT);
	go_chan_recv(go_ctx_done(ctx), NULL, GO_NEVER);
	go_signal_context_stop(ctx);
	raise(SIGINT);
	return 7;
}

DEATH(signal_back)
{
	_exit(go_run(stop_and_be_ended, NULL));
}

void
test_signal_comes_back(void)
{
	expect_death(signal_back, .signal = SIGINT);
}

static int
wait_notified(void *unused)
{
	int sig = 0;
	(void)unused;
	go_chan *c = go_chan_new(sizeof(int), 1);
	go_signal_notify(c, SIGTERM);
	go_chan_recv(c, &sig, GO_NEVER);
	return sig;
}

DEATH(signal_awaited)
{
	_exit(go_run(wait_notified, NULL));
}

// Who waits for a signal is not dead.
void
test_no_deadlock_signal_awaited(void)
{
	expect_death(signal_awaited, .status = SIGTERM, .send = SIGTERM, .send_after_ms = 700,
		     .err = "", .err_lacks = {"error"});
}

DEATH(signal_nil)
{
	go_signal_notify(NULL, SIGTERM);
}

DEATH(signal_closed)
{
	go_chan *c = go_chan_new(sizeof(int), 1);
	go_signal_notify(c, SIGTERM);
	go_chan_close(c);
	raise(SIGTERM);
	pause();
}

void
test_signal_mistakes(void)
{
	expect_death(signal_nil, .status = 2,
		     .err = "panic: os/signal: Notify using nil channel\n");
	expect_death(signal_closed, .status = 2, .err = "panic: send on closed channel\n");
}

// SIGQUIT and a sent SIGSEGV are a channel's while it has them, and what they were afterwards; a
// fault is never.
static int
take_fatal_ones(void *unused)
{
	int sig = 0;
	(void)unused;
	go_chan *c = go_chan_new(sizeof(int), 4);
	go_signal_notify(c, SIGQUIT);
	go_signal_notify(c, SIGSEGV);
	raise(SIGQUIT);
	go_chan_recv(c, &sig, GO_NEVER);
	raise(SIGSEGV);
	go_chan_recv(c, &sig, GO_NEVER);
	return sig == SIGSEGV ? 0 : 1;
}

static int *volatile bad_pointer = (int *)16;

static int
take_then_fault(void *unused)
{
	if (take_fatal_ones(unused) == 0)
		*bad_pointer = 1;
	return 1;
}

DEATH(signal_then_fault)
{
	_exit(go_run(take_then_fault, NULL));
}

static int
take_then_quit(void *unused)
{
	if (take_fatal_ones(unused) != 0)
		return 1;
	go_signal_reset(0);
	raise(SIGQUIT);
	return 1;
}

DEATH(signal_then_quit)
{
	_exit(go_run(take_then_quit, NULL));
}

void
test_signal_fatal_ones(void)
{
	expect_death(signal_then_fault, .status = 2,
		     .err = "fatal error: unexpected signal\n[signal SIGSEGV",
		     .err_has = {"take_then_fault(...)\n"});
	expect_death(signal_then_quit, .status = 2, .err = "SIGQUIT: quit\n",
		     .err_has = {"take_then_quit(...)\n"});
}

DEATH(signal_simulated)
{
	go_chan *c = go_chan_new(sizeof(int), 1);
	const int sig = SIGTERM;
	bool refused = go_signal_notify(c, SIGTERM) == GO_ENOSYS &&
		       go_signal_ignore(SIGTERM) == GO_ENOSYS &&
		       go_signal_reset(SIGTERM) == GO_ENOSYS &&
		       go_signal_context(NULL, &sig, 1) == NULL;
	_exit(refused ? 7 : 8);
}

void
test_signal_in_the_simulation(void)
{
	expect_death(signal_simulated, .status = 7, .env = "UNDERGO_SEED=1");
}
