// SPDX-License-Identifier: BSD-3-Clause
// Rival: a bare loop around epoll, one thread, as fast as a server for echo can be written.
//
// Rows: echo100, echo1000, net_idle.

#define _GNU_SOURCE // accept4

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "../net.h"

enum { EVENTS = 256 };

static int listener, ep, accepted;

static void
take_connections(void)
{
	int fd, yes = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
		__atomic_add_fetch(&accepted, 1, __ATOMIC_RELAXED);
	}
}

static void *
loop(void *unused)
{
	struct epoll_event ev[EVENTS];
	char buf[NET_MESSAGE];

	(void)unused;
	for (;;) {
		int n = epoll_wait(ep, ev, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;
			if (fd == listener) {
				take_connections();
				continue;
			}
			ssize_t got = read(fd, buf, sizeof buf);
			if (got <= 0)
				close(fd);
			else
				bench_check(write(fd, buf, (size_t)got) == got, "write");
		}
	}
	return NULL;
}

static int
count(void)
{
	return __atomic_load_n(&accepted, __ATOMIC_RELAXED);
}

static int
start(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t bytes = sizeof at;
	struct rlimit lim;
	pthread_t t;

	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	bench_check(bind(listener, (struct sockaddr *)&at, sizeof at) == 0, "bind");
	bench_check(listen(listener, 4096) == 0, "listen");
	getsockname(listener, (struct sockaddr *)&at, &bytes);
	ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener};
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
	bench_check(pthread_create(&t, NULL, loop, NULL) == 0, "no thread");
	return ntohs(at.sin_port);
}

static void
row_echo100(void)
{
	net_echo_row("echo100", start(), 100);
}

static void
row_echo1000(void)
{
	net_echo_row("echo1000", start(), 1000);
}

static void
row_net_idle(void)
{
	net_idle_row("net_idle", start(), count);
}

int
main(int argc, char **argv)
{
	static const struct bench_entry rows[] = {
	    {"echo100", row_echo100},
	    {"echo1000", row_echo1000},
	    {"net_idle", row_net_idle},
	};

	return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
