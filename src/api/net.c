// SPDX-License-Identifier: BSD-3-Clause
// undergo/net.h. The core enters the runtime itself when it has to wait, so these only see to it
// that the runtime is there when the first handle is made.
#include "undergo/net.h"

#include "net/addr.h"
#include "net/fd.h"
#include "sched/sched.h"

static_assert((int)GO_READABLE == (int)OS_READABLE && (int)GO_WRITABLE == (int)OS_WRITABLE,
	      "one set of bits");

go_fd
go_listen(const char *network, const char *address)
{
	if (network == NULL || address == NULL)
		return GO_EINVAL;
	return sched_attached() ? socket_listen(network, address, GO_NEVER) : GO_ENOMEM;
}

go_fd
go_accept(go_fd listener)
{
	return socket_accept(listener);
}

go_fd
go_dial(const char *network, const char *address, int64_t deadline)
{
	if (network == NULL || address == NULL)
		return GO_EINVAL;
	return sched_attached() ? socket_dial(network, address, deadline) : GO_ENOMEM;
}

int
go_pipe(go_fd ends[2])
{
	return sched_attached() ? socket_pipe(ends) : GO_ENOMEM;
}

go_fd
go_adopt(int fd)
{
	return sched_attached() ? socket_adopt(fd) : GO_ENOMEM;
}

int
go_fd_number(go_fd fd)
{
	return fd_number(fd);
}

int
go_close(go_fd fd)
{
	return fd_close(fd);
}

int
go_close_read(go_fd fd)
{
	return fd_half_close(fd, FD_READS);
}

int
go_close_write(go_fd fd)
{
	return fd_half_close(fd, FD_WRITES);
}

int64_t
go_read(go_fd fd, void *buf, size_t n)
{
	return io_read(fd, buf, n);
}

int64_t
go_read_full(go_fd fd, void *buf, size_t n)
{
	return io_read_full(fd, buf, n);
}

int64_t
go_readv(go_fd fd, const struct iovec *v, int n)
{
	return io_readv(fd, v, n);
}

int64_t
go_write(go_fd fd, const void *buf, size_t n)
{
	return io_write(fd, buf, n);
}

int64_t
go_writev(go_fd fd, const struct iovec *v, int n)
{
	return io_writev(fd, v, n);
}

int64_t
go_receive(go_fd fd, void *buf, size_t n, struct sockaddr *from, uint32_t *bytes)
{
	return io_receive(fd, buf, n, from, bytes);
}

int64_t
go_send(go_fd fd, const void *buf, size_t n, const struct sockaddr *to, uint32_t bytes)
{
	return io_send(fd, buf, n, to, bytes);
}

int64_t
go_sendfile(go_fd to, int file, int64_t *offset, size_t n)
{
	return io_sendfile(to, file, offset, n);
}

int
go_set_deadline(go_fd fd, int64_t deadline)
{
	return fd_deadline(fd, FD_READS | FD_WRITES, deadline);
}

int
go_set_read_deadline(go_fd fd, int64_t deadline)
{
	return fd_deadline(fd, FD_READS, deadline);
}

int
go_set_write_deadline(go_fd fd, int64_t deadline)
{
	return fd_deadline(fd, FD_WRITES, deadline);
}

int
go_poll(int fd, int events, int64_t deadline)
{
	return sched_attached() ? io_poll(fd, (uint32_t)events, deadline) : GO_ENOMEM;
}

int
go_local_address(go_fd fd, struct sockaddr *address, uint32_t *bytes)
{
	return socket_name(fd, SOCKET_LOCAL, address, bytes);
}

int
go_peer_address(go_fd fd, struct sockaddr *address, uint32_t *bytes)
{
	return socket_name(fd, SOCKET_PEER, address, bytes);
}

static int
text(go_fd fd, SocketEnd end, char *buf, size_t n)
{
	struct sockaddr_storage at;
	socklen_t bytes = sizeof(at);
	int err = socket_name(fd, end, (struct sockaddr *)&at, &bytes);
	return err != 0 ? err : addr_text((struct sockaddr *)&at, bytes, buf, n);
}

int
go_local_text(go_fd fd, char *buf, size_t n)
{
	return text(fd, SOCKET_LOCAL, buf, n);
}

int
go_peer_text(go_fd fd, char *buf, size_t n)
{
	return text(fd, SOCKET_PEER, buf, n);
}
