// SPDX-License-Identifier: BSD-3-Clause
// Descriptors of the program: os/fd.h.
//
// A socket has a flag against SIGPIPE in its own calls. For the rest there is a flag of pwritev2
// from Linux 6.18 on. Before that the signal is held back around the call, and taken away when the
// call has raised it.
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "os/fd.h"
#include "os/linux/syscall.h"
#include "os/os_impl.h"

enum { SIGSET_BYTES = 8, NO_SIGNAL = 0x100 }; // RWF_NOSIGNAL

// An interrupted call is made again.
#define UNINTERRUPTED(call)              \
	({                               \
		long err_;               \
		do                       \
			err_ = (call);   \
		while (err_ == -EINTR);  \
		err_;                    \
	})

// --- reading and writing ------------------------------------------------------------------------

// A socket has a call of its own, which is the shorter way. Where nothing is asked for that would
// wait.
int64_t
os_fd_read(int fd, OsFdKind kind, void *buf, size_t n)
{
	int err = fault(FAULT_fd_read);
	if (err != 0)
		return err;
	if (kind == OS_FD_SOCKET && n != 0)
		return UNINTERRUPTED(syscall6(SYS_recvfrom, fd, (long)buf, (long)n, 0, 0, 0));
	return UNINTERRUPTED(syscall3(SYS_read, fd, buf, n));
}

int
os_fd_counts(int fd)
{
	return os_fd_option(fd, IPPROTO_TCP, TCP_INQ, 1);
}

int64_t
os_fd_read_counted(int fd, void *buf, size_t n, int *left)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} told;
	struct iovec v = {buf, n};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = &told,
			   .msg_controllen = sizeof(told)};
	*left = -1;
	int err = fault(FAULT_fd_read);
	if (err != 0)
		return err;
	int64_t got = UNINTERRUPTED(syscall3(SYS_recvmsg, fd, &m, 0));
	if (got > 0 && m.msg_controllen >= CMSG_LEN(sizeof(int)) &&
	    told.head.cmsg_level == SOL_TCP && told.head.cmsg_type == TCP_CM_INQ)
		memcpy(left, CMSG_DATA(&told.head), sizeof(*left));
	return got;
}

int64_t
os_fd_readv(int fd, const struct iovec *v, int n)
{
	int err = fault(FAULT_fd_read);
	return err != 0 ? err : UNINTERRUPTED(syscall3(SYS_readv, fd, v, n));
}

int64_t
os_fd_receive(int fd, void *buf, size_t n, struct sockaddr *from, socklen_t *bytes)
{
	int err = fault(FAULT_fd_read);
	if (err != 0)
		return err;
	return UNINTERRUPTED(
		syscall6(SYS_recvfrom, fd, (long)buf, (long)n, 0, (long)from, (long)bytes));
}

int64_t
os_fd_send(int fd, const void *buf, size_t n, const struct sockaddr *to, socklen_t bytes)
{
	int err = fault(FAULT_fd_write);
	if (err != 0)
		return err;
	return UNINTERRUPTED(syscall6(SYS_sendto, fd, (long)buf, (long)n, MSG_NOSIGNAL, (long)to,
				      (long)bytes));
}

// One that is pending already stays.
static int64_t
writev_held(int fd, const struct iovec *v, int n)
{
	const struct timespec now = {0};
	uint64_t pipe = UINT64_C(1) << (SIGPIPE - 1), before, pending = 0;
	syscall4(SYS_rt_sigprocmask, SIG_BLOCK, &pipe, &before, SIGSET_BYTES);
	syscall2(SYS_rt_sigpending, &pending, SIGSET_BYTES);
	int64_t put = UNINTERRUPTED(syscall3(SYS_writev, fd, v, n));
	if (put == -EPIPE && (pending & pipe) == 0)
		(void)UNINTERRUPTED(
			syscall4(SYS_rt_sigtimedwait, &pipe, NULL, &now, SIGSET_BYTES));
	syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, SIGSET_BYTES);
	return put;
}

static int64_t
writev_silent(int fd, const struct iovec *v, int n)
{
	static ATOMIC_BOOL refused; // hint: an older kernel
	if (!load_rlx(&refused)) { // order: hint
		int64_t put = UNINTERRUPTED(
			syscall6(SYS_pwritev2, fd, (long)v, n, -1, -1, NO_SIGNAL));
		if (put != -EOPNOTSUPP && put != -EINVAL && put != -ENOSYS)
			return put;
		put = writev_held(fd, v, n);
		if (put >= 0)
			store_rlx(&refused, true); // order: hint
		return put;
	}
	return writev_held(fd, v, n);
}

int64_t
os_fd_writev(int fd, OsFdKind kind, const struct iovec *v, int n)
{
	int err = fault(FAULT_fd_write);
	if (err != 0)
		return err;
	if (kind == OS_FD_OTHER || kind == OS_FD_FILE)
		return UNINTERRUPTED(syscall3(SYS_writev, fd, v, n));
	if (kind == OS_FD_PIPE)
		return writev_silent(fd, v, n);
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)n};
	return UNINTERRUPTED(syscall3(SYS_sendmsg, fd, &m, MSG_NOSIGNAL));
}

int64_t
os_fd_write(int fd, OsFdKind kind, const void *buf, size_t n)
{
	if (kind == OS_FD_SOCKET)
		return os_fd_send(fd, buf, n, NULL, 0);
	struct iovec v = {(void *)(uintptr_t)buf, n};
	return os_fd_writev(fd, kind, &v, 1);
}

int64_t
os_fd_sendfile(int to, int from, int64_t *offset, size_t n)
{
	int err = fault(FAULT_fd_write);
	return err != 0 ? err : UNINTERRUPTED(syscall4(SYS_sendfile, to, from, offset, n));
}

// --- sockets ------------------------------------------------------------------------------------

int
os_fd_socket(int family, int type, int protocol)
{
	int err = fault(FAULT_fd_open);
	if (err != 0)
		return err;
	return (int)syscall3(SYS_socket, family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
}

int
os_fd_accept(int fd, struct sockaddr *from, socklen_t *bytes)
{
	int err = fault(FAULT_fd_accept);
	if (err != 0)
		return err;
	return (int)UNINTERRUPTED(
		syscall4(SYS_accept4, fd, from, bytes, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

// An interrupted one goes on by itself.
int
os_fd_connect(int fd, const struct sockaddr *to, socklen_t bytes)
{
	int err = fault(FAULT_fd_connect);
	if (err == 0)
		err = (int)syscall3(SYS_connect, fd, to, bytes);
	return err == -EINTR ? -EINPROGRESS : err;
}

int
os_fd_bind(int fd, const struct sockaddr *at, socklen_t bytes)
{
	return (int)syscall3(SYS_bind, fd, at, bytes);
}

int
os_fd_listen(int fd, int backlog)
{
	return (int)syscall2(SYS_listen, fd, backlog);
}

int
os_fd_shutdown(int fd, int how)
{
	return (int)syscall2(SYS_shutdown, fd, how);
}

int
os_fd_option(int fd, int level, int name, int value)
{
	return (int)syscall5(SYS_setsockopt, fd, level, name, &value, sizeof(value));
}

int
os_fd_option_get(int fd, int level, int name)
{
	int value = 0;
	socklen_t bytes = sizeof(value);
	int err = (int)syscall5(SYS_getsockopt, fd, level, name, &value, &bytes);
	return err != 0 ? err : value;
}

int
os_fd_name(int fd, struct sockaddr *name, socklen_t *bytes)
{
	return (int)syscall3(SYS_getsockname, fd, name, bytes);
}

int
os_fd_peer(int fd, struct sockaddr *name, socklen_t *bytes)
{
	return (int)syscall3(SYS_getpeername, fd, name, bytes);
}

// --- others -------------------------------------------------------------------------------------

int
os_fd_pipe(int fds[2])
{
	int err = fault(FAULT_fd_open);
	return err != 0 ? err : (int)syscall2(SYS_pipe2, fds, O_CLOEXEC | O_NONBLOCK);
}

int
os_fd_copy(int fd)
{
	return (int)syscall3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0);
}

int
os_fd_nonblocking(int fd)
{
	long flags = syscall3(SYS_fcntl, fd, F_GETFL, 0);
	if (flags < 0 || (flags & O_NONBLOCK) != 0)
		return flags < 0 ? (int)flags : 0;
	return (int)syscall3(SYS_fcntl, fd, F_SETFL, flags | O_NONBLOCK);
}

int
os_fd_kind(int fd)
{
	struct stat st;
	int saved = errno;
	int err = fstat(fd, &st) == 0 ? 0 : -errno;
	errno = saved;
	if (err != 0)
		return err;
	if (S_ISSOCK(st.st_mode))
		return OS_FD_SOCKET;
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
		return OS_FD_FILE;
	return S_ISFIFO(st.st_mode) ? OS_FD_PIPE : OS_FD_OTHER;
}

int
os_fd_ready(int fd, uint32_t what)
{
	struct pollfd p = {.fd = fd};
	const struct timespec now = {0};
	p.events |= (what & OS_READABLE) != 0 ? POLLIN | POLLRDHUP : 0;
	p.events |= (what & OS_WRITABLE) != 0 ? POLLOUT : 0;
	long n = UNINTERRUPTED(syscall5(SYS_ppoll, &p, 1, &now, 0, SIGSET_BYTES));
	if (n <= 0)
		return (int)n;
	if ((p.revents & POLLNVAL) != 0)
		return -EBADF;
	uint32_t is = (p.revents & (POLLHUP | POLLERR)) != 0 ? what : 0;
	is |= (p.revents & (POLLIN | POLLRDHUP)) != 0 ? OS_READABLE : 0;
	is |= (p.revents & POLLOUT) != 0 ? OS_WRITABLE : 0;
	return (int)(is & what);
}
