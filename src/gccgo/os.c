// SPDX-License-Identifier: BSD-3-Clause
// System calls: what packages os and syscall ask for, and libc's functions of variable arguments,
// which compiled Go code cannot call.
//
// Go code calls libc on the goroutine's stack, outside of the runtime, as C programs of ours do: a
// call that blocks loses its processor, whether it was announced or not. Announcing it costs more
// than most calls last, so Entersyscall tells a trace of it at most.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gccgo/gccgo.h"
#include "gccgo/profile.h"
#include "sched/events.h"

GOFUNC("syscall.Entersyscall", void, rt_entersyscall, (void))
{
	if (!events_on())
		return;
	sched_enter();
	events_syscall();
	sched_leave();
}

// A goroutine that has lost its processor waits for one here, not at its next allocation.
GOFUNC("syscall.Exitsyscall", void, rt_exitsyscall, (void))
{
	int saved = errno;
	sched_enter();
	*os_errno_addr() = saved;
	sched_leave();
}

GOFUNC("syscall.Getpagesize", Int, rt_getpagesize, (void))
{
	return (Int)os_page_bytes();
}

// --- libc's functions of variable arguments ------------------------------------------------------

GOFUNC("__go_open64", int, rt_open64, (char *path, int flags, mode_t mode))
{
	return open64(path, flags, mode);
}

GOFUNC("__go_openat", int, rt_openat, (int fd, char *path, int flags, mode_t mode))
{
	return openat(fd, path, flags, mode);
}

GOFUNC("__go_fcntl", int, rt_fcntl, (int fd, int command, int arg))
{
	return fcntl(fd, command, arg);
}

GOFUNC("__go_fcntl_flock", int, rt_fcntl_flock, (int fd, int command, struct flock *arg))
{
	return fcntl(fd, command, arg);
}

typedef struct FcntlResult {
	uintptr_t value, error;
} FcntlResult;

GOFUNC("__go_fcntl_uintptr", FcntlResult, rt_fcntl_uintptr,
       (uintptr_t fd, uintptr_t command, uintptr_t arg))
{
	int r = fcntl((int)fd, (int)command, arg);
	return (FcntlResult){(uintptr_t)(Int)r, r < 0 ? (uintptr_t)errno : 0};
}

GOFUNC("__go_ioctl", int, rt_ioctl, (int fd, int request, int arg))
{
	return ioctl(fd, (unsigned long)(unsigned)request, arg);
}

GOFUNC("__go_ioctl_ptr", int, rt_ioctl_ptr, (int fd, int request, void *arg))
{
	return ioctl(fd, (unsigned long)(unsigned)request, arg);
}

GOFUNC("__go_ptrace", long, rt_ptrace, (int request, pid_t pid, void *addr, void *data))
{
	return ptrace((enum __ptrace_request)request, pid, addr, data);
}

GOFUNC("__go_syscall6", uintptr_t, rt_syscall6,
       (uintptr_t nr, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t f))
{
	return (uintptr_t)syscall((long)nr, a, b, c, d, e, f);
}

// --- fork and exec -------------------------------------------------------------------------------

// While a goroutine forks it takes no signal; the child runs a few lines of Go that ask nothing of
// us, with a stack that does not grow.
static __thread sigset_t before_fork;

NOINLINE static sigset_t *
mask_kept(void)
{
	return &before_fork;
}

GOFUNC("syscall.runtime__BeforeFork", void, rt_beforefork, (void))
{
	sigset_t all;
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, mask_kept());
}

GOFUNC("syscall.runtime__AfterFork", void, rt_afterfork, (void))
{
	pthread_sigmask(SIG_SETMASK, mask_kept(), NULL);
}

GOFUNC("syscall.runtime__AfterForkInChild", void, rt_afterforkinchild, (void))
{
	arch_set_stack_limit(0);
	struct sigaction sa;
	for (int sig = 1; sig < NSIG; sig++)
		if (sigaction(sig, NULL, &sa) == 0 && sa.sa_handler != SIG_DFL &&
		    sa.sa_handler != SIG_IGN) {
			memset(&sa, 0, sizeof(sa));
			sigaction(sig, &sa, NULL);
		}
	pthread_sigmask(SIG_SETMASK, mask_kept(), NULL);
}

GOFUNC("syscall.runtime__BeforeExec", void, rt_beforeexec, (void))
{
	profile_execs(true);
}

GOFUNC("syscall.runtime__AfterExec", void, rt_afterexec, (void))
{
	profile_execs(false);
}

// --- threads -------------------------------------------------------------------------------------

int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
GO_VISIBLE int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *),
				     void *arg);
int
__wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	return __real_pthread_create(t, attr, fn, arg);
}
