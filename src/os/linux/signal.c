// SPDX-License-Identifier: BSD-3-Clause
// Signals, and the end of the process.
//
// Handlers are installed through libc, which knows the trampoline they return through and which the
// sanitizers watch.
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "os/linux/syscall.h"
#include "os/os_impl.h"

enum { WRITE_PATIENCE_S = 1 };

// Touches each page first: a handler that runs out of memory on its stack cannot say so.
int
sys_signal_stack(void *base, size_t bytes)
{
	stack_t st = {.ss_flags = SS_DISABLE};
	if (base != NULL) {
		st = (stack_t){.ss_sp = base, .ss_size = bytes};
		volatile char *p = base;
		for (size_t at = 0; at < bytes; at += os_page_bytes())
			p[at] = p[at];
	}
	return (int)syscall2(SYS_sigaltstack, &st, NULL);
}

int
sys_signal_handle(int sig, OsHandler *fn, struct sigaction *before)
{
	int saved = errno;
	struct sigaction sa = {
		.sa_sigaction = fn,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
	};
	sigfillset(&sa.sa_mask);
	int err = sigaction(sig, &sa, before) == 0 ? 0 : -errno;
	errno = saved;
	return err;
}

int
sys_signal_restore(int sig, const struct sigaction *before)
{
	int saved = errno;
	int err = sigaction(sig, before, NULL) == 0 ? 0 : -errno;
	errno = saved;
	return err;
}

void
sys_signal_unblock_all(void)
{
	sigset_t none;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static sigset_t mask_at_start; // written once, before another thread of ours exists

void
sys_signal_mask_note(void)
{
	pthread_sigmask(SIG_SETMASK, NULL, &mask_at_start);
}

void
sys_signal_mask_as_started(void)
{
	pthread_sigmask(SIG_SETMASK, &mask_at_start, NULL);
}

int
sys_signal_thread(int tid, int sig)
{
	return (int)syscall3(SYS_tgkill, syscall0(SYS_getpid), tid, sig);
}

void
os_signal_regs(const void *ucontext, uintptr_t *pc, uintptr_t *sp)
{
	*pc = ucontext_pc(ucontext);
	*sp = ucontext_sp(ucontext);
}

// The descriptor is in non-blocking mode and full: gives its reader what is left of the patience.
// False when nothing changed.
static bool
wait_writable(int fd, struct timespec *left)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	long n = syscall5(SYS_ppoll, &p, 1, left, NULL, 0); // the kernel says what is left
	return n > 0 || n == -EINTR;
}

int64_t
sys_write(int fd, const void *buf, size_t n, bool patient)
{
	const struct timespec all = {.tv_sec = WRITE_PATIENCE_S};
	struct timespec left = all;
	size_t done = 0;
	while (done < n) {
		long put = syscall3(SYS_write, fd, (const char *)buf + done, n - done);
		if (put == -EINTR || (put == -EAGAIN && patient && wait_writable(fd, &left)))
			continue;
		if (put <= 0)
			return put < 0 ? put : (int64_t)done;
		done += (size_t)put;
		left = all;
	}
	return (int64_t)done;
}

void
sys_exit(int status)
{
	for (;;)
		syscall1(SYS_exit_group, status);
}

// If the signal does not end us, because somebody traces or ignores it, the status says what it
// was.
void
os_abort(int sig)
{
	struct sigaction sa = {.sa_handler = SIG_DFL};
	sigset_t just;
	sigemptyset(&just);
	sigaddset(&just, sig);
	sigaction(sig, &sa, NULL);
	pthread_sigmask(SIG_UNBLOCK, &just, NULL);
	sys_signal_thread((int)syscall0(SYS_gettid), sig);
	sys_exit(128 + sig);
}
