// SPDX-License-Identifier: BSD-3-Clause
// What package os/signal asks for. The core has it all: signal/signal.h. The package's goroutine is
// the receiver; it blocks a thread while it waits.
#include "panic/panic.h"
#include "signal/signal.h"

#include <signal.h>
#include <unistd.h>

#include "gccgo/gccgo.h"

GOFUNC("os_1signal.signal__enable", void, rt_signal_enable, (uint32_t sig))
{
	if (signal_can_have((int)sig))
		(void)signal_enable((int)sig);
}

GOFUNC("os_1signal.signal__disable", void, rt_signal_disable, (uint32_t sig))
{
	if (signal_can_have((int)sig))
		signal_disable((int)sig);
}

GOFUNC("os_1signal.signal__ignore", void, rt_signal_ignore, (uint32_t sig))
{
	if (signal_can_have((int)sig))
		(void)signal_ignore((int)sig);
}

GOFUNC("os_1signal.signal__ignored", bool, rt_signal_ignored, (uint32_t sig))
{
	return signal_can_have((int)sig) && signal_ignored((int)sig);
}

GOFUNC("os_1signal.signal__recv", uint32_t, rt_signal_recv, (void))
{
	sched_enter();
	sched_block_begin();
	int sig;
	do {
		os_signal_block_but(signal_wanted()); // who started us may have blocked them
		sig = signal_recv();
	} while (sig == 0);
	os_signal_mask_as_started();
	sched_enter();
	sched_leave();
	return (uint32_t)sig;
}

GOFUNC("os_1signal.signalWaitUntilIdle", void, rt_signal_idle, (void))
{
	signal_wait_until_idle();
}

// --- signals nobody has asked for ----------------------------------------------------------------

static void
take_no_notice(int sig)
{
	(void)sig;
}

static void
survive(int sig)
{
	struct sigaction sa;
	if (sigaction(sig, NULL, &sa) != 0 || sa.sa_handler != SIG_DFL)
		return;
	sa.sa_handler = take_no_notice;
	sa.sa_flags = SA_RESTART | SA_ONSTACK;
	sigaction(sig, &sa, NULL);
}

// Where C programs die of them, Go programs go on: writes to a broken pipe fail. Programs that this
// one starts begin as usual.
void
goface_signals(void)
{
	static const int survived[] = {SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGXCPU,
				       SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO, SIGPWR};
	panic_unnoticed = take_no_notice;
	for (size_t i = 0; i < countof(survived); i++)
		survive(survived[i]);
	for (int sig = SIGRTMIN + 1; sig <= SIGRTMAX; sig++)
		survive(sig);
}

// What a parent ignores C programs ignore too. Go programs do so with SIGHUP and SIGINT, for nohup,
// and with what stops a job: whoever ignores SIGCHLD could not wait for children. Before the
// runtime starts, which looks at what there is.
void
goface_ignores(void)
{
	static const uint64_t kept = 1 << SIGHUP | 1 << SIGINT | 1 << SIGCONT | 1 << SIGTSTP |
				     1 << SIGTTIN | 1 << SIGTTOU;
	for (int sig = 1; sig <= SIGRTMAX; sig++) {
		struct sigaction sa;
		if ((sig < SIGRTMIN && (kept >> sig & 1) != 0) || sig == SIGRTMIN ||
		    sigaction(sig, NULL, &sa) != 0 || sa.sa_handler != SIG_IGN)
			continue;
		sa = (struct sigaction){.sa_handler = SIG_DFL};
		sigaction(sig, &sa, NULL);
	}
}

// But standard output and standard error do kill, as they do C programs.
GOFUNC("os.sigpipe", void, rt_sigpipe, (void))
{
	if ((signal_wanted() >> (SIGPIPE - 1) & 1) != 0 || signal_ignored(SIGPIPE))
		return;
	struct sigaction sa = {.sa_handler = SIG_DFL};
	sigset_t set;
	sigaction(SIGPIPE, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(SIGPIPE);
}
