// SPDX-License-Identifier: BSD-3-Clause
// Signals, and the end of the process.
//
// Handlers are installed through libc, which knows the trampoline they return through and which the
// sanitizers watch.
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "os/linux/syscall.h"
#include "os/os_impl.h"

enum { WRITE_PATIENCE_S = 1 };

// The whole pages, at once.
static bool
populate(char *from, size_t bytes)
{
	size_t page = os_page_bytes();
	char *first = from + (-(uintptr_t)from & (page - 1));
	size_t n = (size_t)(from + bytes - first) & ~(page - 1);
	return sys_populate(first, n) == 0;
}

// Of the pages that handlers use first each is made present now: a handler that runs out of memory
// on its stack cannot say so. Further down is what looking up names needs, with memory of its own.
static void
make_present(char *base, size_t bytes)
{
	enum { HANDLERS_BYTES = 12 << 10 };
	size_t top = getauxval(AT_MINSIGSTKSZ) + HANDLERS_BYTES;
	if (top > bytes)
		top = bytes;
	volatile char *p = base + bytes - top;
	p[0] = p[0];
	p[top - 1] = p[top - 1];
	if (!populate(base + bytes - top, top))
		for (size_t at = 0; at < top; at += os_page_bytes())
			p[at] = p[at];
}

int
sys_signal_stack(void *base, size_t bytes)
{
	stack_t st = {.ss_flags = SS_DISABLE};
	if (base != NULL) {
		st = (stack_t){.ss_sp = base, .ss_size = bytes};
		make_present(base, bytes);
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
sys_signal_now(int sig, struct sigaction *now)
{
	int saved = errno;
	int err = sigaction(sig, NULL, now) == 0 ? 0 : -errno;
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

bool
os_signal_hand_on(const struct sigaction *before, int sig, siginfo_t *info, void *ucontext)
{
	if (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN)
		return false; // whatever sa_flags says
	if ((before->sa_flags & SA_SIGINFO) != 0)
		before->sa_sigaction(sig, info, ucontext);
	else
		before->sa_handler(sig);
	return true;
}

void
sys_signal_unblock_all(void)
{
	sigset_t none;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
}

// What the processor raises. The kernel kills at once when the thread has blocked it, and no
// handler is asked: so it is never blocked where code of the program, or of ours, runs.
static const int of_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};

static void
leave_out_faults(sigset_t *mask)
{
	for (size_t i = 0; i < countof(of_faults); i++)
		sigdelset(mask, of_faults[i]);
}

void
sys_signal_unblock_faults(void)
{
	sigset_t faults;
	sigemptyset(&faults);
	for (size_t i = 0; i < countof(of_faults); i++)
		sigaddset(&faults, of_faults[i]);
	pthread_sigmask(SIG_UNBLOCK, &faults, NULL);
}

void
sys_signal_all_but_faults(sigset_t *mask)
{
	sigfillset(mask);
	leave_out_faults(mask);
}

static sigset_t mask_at_start; // written once, before another thread of ours exists

void
sys_signal_mask_note(void)
{
	pthread_sigmask(SIG_SETMASK, NULL, &mask_at_start);
	leave_out_faults(&mask_at_start);
}

void
sys_signal_mask_as_started(void)
{
	pthread_sigmask(SIG_SETMASK, &mask_at_start, NULL);
}

void
sys_signal_block_but(uint64_t open)
{
	sigset_t mask;
	sys_signal_all_but_faults(&mask);
	for (int sig = 1; sig <= 64; sig++)
		if ((open >> (sig - 1) & 1) != 0)
			sigdelset(&mask, sig);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

int
sys_signal_thread(int tid, int sig)
{
	return (int)syscall3(SYS_tgkill, syscall0(SYS_getpid), tid, sig);
}

int
os_timer_every(int64_t ns, OsHandler *fn)
{
	struct sigaction unused;
	int timer = -1;
	struct sigevent how = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
	how._sigev_un._tid = (int)syscall0(SYS_gettid);
	const struct timespec each = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
	const struct itimerspec when = {.it_value = each, .it_interval = each};
	sys_signal_handle(SIGALRM, fn, &unused);
	if (syscall3(SYS_timer_create, CLOCK_MONOTONIC, &how, &timer) != 0)
		return -1;
	syscall4(SYS_timer_settime, timer, 0, &when, NULL);
	return timer;
}

void
os_timer_end(int timer)
{
	if (timer >= 0)
		syscall1(SYS_timer_delete, timer);
}

int
os_profile_handle(OsHandler *fn)
{
	struct sigaction sa = {
	    .sa_sigaction = fn,
	    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
	};
	sigfillset(&sa.sa_mask);
	sigdelset(&sa.sa_mask, SIGSEGV);
	sigdelset(&sa.sa_mask, SIGBUS);
	return os_simulated ? -ENOSYS : sigaction(SIGPROF, &sa, NULL) == 0 ? 0 : -errno;
}

int
os_profile_every(int64_t ns)
{
	const struct timeval each = {(time_t)(ns / 1000000000),
				     (suseconds_t)(ns % 1000000000 / 1000)};
	const struct itimerval when = {each, each};
	return setitimer(ITIMER_PROF, &when, NULL) == 0 ? 0 : -errno;
}

int64_t
os_self_cpu_ns(void)
{
	struct timespec ts = {0, 0};
	syscall2(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void
os_signal_regs(const void *ucontext, uintptr_t *pc, uintptr_t *sp)
{
	*pc = ucontext_pc(ucontext);
	*sp = ucontext_sp(ucontext);
}

const char *
os_signal_reg(const void *ucontext, int i, uint64_t *value)
{
	return ucontext_reg(ucontext, i, value);
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

// A pipe that nobody reads any more is an error like others: the SIGPIPE that comes with it, to
// this very thread, is taken away unless one was there before.
static long
write_without_sigpipe(int fd, const void *buf, size_t n)
{
	const uint64_t pipe = UINT64_C(1) << (SIGPIPE - 1);
	const struct timespec now = {0, 0};
	uint64_t before = 0, there = 0;
	syscall4(SYS_rt_sigprocmask, SIG_BLOCK, &pipe, &before, sizeof(pipe));
	if ((before & pipe) != 0)
		syscall2(SYS_rt_sigpending, &there, sizeof(there));
	long put = syscall3(SYS_write, fd, buf, n);
	if (put == -EPIPE && (there & pipe) == 0)
		syscall4(SYS_rt_sigtimedwait, &pipe, NULL, &now, sizeof(pipe));
	if ((before & pipe) == 0)
		syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
	return put;
}

int64_t
sys_write(int fd, const void *buf, size_t n, bool patient)
{
	const struct timespec all = {.tv_sec = WRITE_PATIENCE_S};
	struct timespec left = all;
	size_t done = 0;
	while (done < n) {
		long put = write_without_sigpipe(fd, (const char *)buf + done, n - done);
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
