// SPDX-License-Identifier: BSD-3-Clause
// Waiting for descriptors: an epoll instance, edge-triggered, and a bell that ends a wait.
//
// The bell is an eventfd and level-triggered: who polls without waiting may be told of it, too, and
// must not take it away from who it was rung for.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "os/linux/syscall.h"
#include "os/os_impl.h"

enum { EVENTS_MAX = 128, SIGSET_BYTES = 8 };

// Never again after EINTR: the number may be another one's by then.
int
sys_close(int fd)
{
	return (int)syscall1(SYS_close, fd);
}

// The number of a descriptor of our own, in a program that has closed its standard ones: not one of
// theirs. It would be printed to, or be replaced when the program opens them.
static int
not_standard(int fd)
{
	enum { FIRST = 3 };
	if (fd < 0 || fd >= FIRST)
		return fd;
	int other = (int)syscall3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, FIRST);
	syscall1(SYS_close, fd);
	return other;
}

int
sys_poller_make(void)
{
	return not_standard((int)syscall1(SYS_epoll_create1, EPOLL_CLOEXEC));
}

static int
add(int poller, int fd, uint64_t tag, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u64 = tag};
	return (int)syscall4(SYS_epoll_ctl, poller, EPOLL_CTL_ADD, fd, &ev);
}

int
sys_poller_add(int poller, int fd, uint64_t tag)
{
	return add(poller, fd, tag, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET);
}

int
sys_poller_remove(int poller, int fd)
{
	struct epoll_event ev = {0}; // old kernels look at it
	return (int)syscall4(SYS_epoll_ctl, poller, EPOLL_CTL_DEL, fd, &ev);
}

int
sys_poller_bell(int poller, uint64_t tag)
{
	int bell = not_standard((int)syscall2(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (bell < 0)
		return bell;
	int err = add(poller, bell, tag, EPOLLIN);
	if (err == 0)
		return bell;
	syscall1(SYS_close, bell);
	return err;
}

// The count cannot overflow in the life of a machine.
void
sys_bell_ring(int bell)
{
	uint64_t one = 1;
	long err = syscall3(SYS_write, bell, &one, sizeof(one));
	check(err == (long)sizeof(one) || err == -EAGAIN, "os: the poller's bell is broken");
}

void
sys_bell_hush(int bell)
{
	uint64_t count;
	syscall3(SYS_read, bell, &count, sizeof(count));
}

// NULL for ever.
static struct timespec *
timeout(struct timespec *ts, int64_t ns)
{
	if (ns == INT64_MAX)
		return NULL;
	*ts = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
	return ts;
}

static uint32_t
what(uint32_t events)
{
	uint32_t w = 0;
	if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0)
		w |= OS_ENDED | OS_READABLE;
	if ((events & EPOLLIN) != 0)
		w |= OS_READABLE;
	if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0)
		w |= OS_WRITABLE;
	return w;
}

// Without a wait the older call does, which costs a copy less.
int
sys_poller_wait(int poller, OsReady *ready, int max, int64_t timeout_ns)
{
	struct epoll_event ev[EVENTS_MAX];
	struct timespec ts;
	if (max > EVENTS_MAX)
		max = EVENTS_MAX;
	long n;
	if (timeout_ns == 0)
		n = syscall6(SYS_epoll_pwait, poller, (long)ev, max, 0, 0, SIGSET_BYTES);
	else
		n = syscall6(SYS_epoll_pwait2, poller, (long)ev, max,
			     (long)timeout(&ts, timeout_ns), 0, SIGSET_BYTES);
	for (long i = 0; i < n; i++)
		ready[i] = (OsReady){ev[i].data.u64, what(ev[i].events)};
	return (int)n;
}

int
sys_readable(int fd, int64_t timeout_ns)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct timespec ts;
	return (int)syscall5(SYS_ppoll, &p, 1, timeout(&ts, timeout_ns), 0, SIGSET_BYTES);
}
