// SPDX-License-Identifier: BSD-3-Clause
// Sockets that listen and accept, pipes, and descriptors that others have made.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "net/addr.h"
#include "net/fd_impl.h"
#include "net/socket.h"
#include "undergo/base.h"

enum {
	BACKLOG = 4096, // the system has a limit of its own
	FULL_MIN_NS = 5000000,
	FULL_MAX_NS = 1000000000,
	KEEPALIVE_S = 15,
};

// --- made here ----------------------------------------------------------------------------------

// What all streams over TCP have, as in Go; those that are accepted have it from their listener.
static void
tcp_options(int fd)
{
	(void)os_fd_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	(void)os_fd_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	(void)os_fd_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S);
	(void)os_fd_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_S);
}

int
socket_make(const Network *n, int family)
{
	int fd = os_fd_socket(family, n->type, 0);
	if (fd < 0)
		return fd;
	if (family != AF_UNIX && n->type == SOCK_STREAM)
		tcp_options(fd);
	if (family != AF_UNIX && n->type == SOCK_DGRAM)
		(void)os_fd_option(fd, SOL_SOCKET, SO_BROADCAST, 1);
	return fd;
}

Handle
socket_own(int fd, OsFdKind kind)
{
	Handle h = fd_open(fd, kind, FD_OURS);
	if (h < 0)
		(void)os_close(fd);
	return h;
}

// --- listening ----------------------------------------------------------------------------------

// 0 or a negative errno value.
static int
bind_and_listen(int fd, const Network *n, const Address *a)
{
	if (a->at.ss_family == AF_INET6)
		(void)os_fd_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, n->family == AF_INET6);
	if (a->at.ss_family != AF_UNIX && n->type == SOCK_STREAM)
		(void)os_fd_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	int err = os_fd_bind(fd, (const struct sockaddr *)&a->at, a->bytes);
	if (err == 0 && n->type != SOCK_DGRAM)
		err = os_fd_listen(fd, BACKLOG);
	return err;
}

static Handle
listen_at(const Network *n, const Address *a)
{
	int fd = socket_make(n, a->at.ss_family);
	if (fd < 0)
		return fd_error(fd);
	int err = bind_and_listen(fd, n, a);
	if (err != 0) {
		(void)os_close(fd);
		return fd_error(err);
	}
	Handle h = socket_own(fd, OS_FD_SOCKET);
	if (h > 0 && a->at.ss_family == AF_UNIX)
		fd_unlinks(h);
	return h;
}

Handle
socket_listen(const char *network, const char *address, int64_t deadline)
{
	Network n;
	Address all[ADDRESSES_MAX];
	int err = addr_network(network, &n);
	if (err != 0)
		return err;
	int found = addr_find(&n, address, TO_LISTEN, all, deadline);
	Handle h = found;
	for (int i = 0; i < found; i++) {
		h = listen_at(&n, &all[i]);
		if (h > 0)
			break;
	}
	return h;
}

// --- accepting ----------------------------------------------------------------------------------

static bool
too_many(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM;
}

// The descriptor, or a code. While the process may have no more it waits, longer and longer.
static int
accept_locked(Netfd *nf)
{
	int64_t pause_ns = FULL_MIN_NS;
	for (;;) {
		int64_t when = GO_NEVER;
		int err = poll_prepare(&nf->pd, POLL_READ);
		if (err != 0)
			return err;
		int fd = os_fd_accept(nf->pd.fd, NULL, NULL);
		if (fd >= 0)
			return fd;
		if (fd == -ECONNABORTED || fd == -EPROTO) // it has gone already
			continue;
		if (too_many(fd)) {
			when = base_deadline(os_nanotime(), pause_ns);
			pause_ns = pause_ns < FULL_MAX_NS / 2 ? 2 * pause_ns : FULL_MAX_NS;
		} else if (fd != -EAGAIN) {
			return fd_error(fd);
		}
		err = fd_wait(nf, POLL_READ, when);
		if (err != 0)
			return err;
	}
}

Handle
socket_accept(Handle listener)
{
	Netfd *nf;
	int err = fd_lock(listener, POLL_READ, &nf);
	if (err != 0)
		return err;
	int fd = accept_locked(nf);
	fd_unlock(nf, POLL_READ);
	return fd < 0 ? fd : socket_own(fd, OS_FD_SOCKET);
}

// --- others -------------------------------------------------------------------------------------

int
socket_pipe(Handle ends[2])
{
	int fds[2];
	int err = os_fd_pipe(fds);
	if (err != 0)
		return fd_error(err);
	ends[0] = socket_own(fds[0], OS_FD_PIPE);
	if (ends[0] < 0) {
		(void)os_close(fds[1]);
		return (int)ends[0];
	}
	ends[1] = socket_own(fds[1], OS_FD_PIPE);
	if (ends[1] > 0)
		return 0;
	(void)fd_close(ends[0]);
	return (int)ends[1];
}

Handle
socket_adopt(int fd)
{
	int kind = os_fd_kind(fd);
	return kind < 0 ? fd_error(kind) : fd_open(fd, (OsFdKind)kind, FD_FOREIGN);
}

int
socket_name(Handle h, SocketEnd end, struct sockaddr *name, socklen_t *bytes)
{
	Netfd *nf;
	int err = fd_hold(h, &nf);
	if (err != 0)
		return err;
	err = end == SOCKET_LOCAL ? os_fd_name(nf->pd.fd, name, bytes)
				  : os_fd_peer(nf->pd.fd, name, bytes);
	fd_let_go(nf);
	return fd_error(err);
}
