// SPDX-License-Identifier: BSD-3-Clause
// The load of the network rows, for every contender: a loop around epoll, without our library.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "ours.h"

#include "../net.h"

enum { EVENTS = 256 };

static const int64_t warm_ns = 300 * 1000 * 1000;

static char message[NET_MESSAGE];

static int
connect_one(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bench_check(fd >= 0, "load: socket");
	bench_check(connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "load: connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	return fd;
}

// Answers come whole: a message is far below what a socket takes at once. Returns at the end.
static long
exchange(int ep, int64_t until)
{
	struct epoll_event ev[EVENTS];
	char buf[NET_MESSAGE];
	long ops = 0;

	while (bench_wall() < until) {
		int n = epoll_wait(ep, ev, EVENTS, 10);
		for (int i = 0; i < n; i++) {
			bench_check(read(ev[i].data.fd, buf, sizeof buf) == sizeof buf,
				    "load: short answer");
			bench_check(write(ev[i].data.fd, message, sizeof message) == NET_MESSAGE,
				    "load: write");
			ops++;
		}
	}
	return ops;
}

static void
echo(int port, int n)
{
	int ep = epoll_create1(0);

	for (int i = 0; i < n; i++) {
		int fd = connect_one(port);
		struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
		bench_check(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0, "load: epoll_ctl");
		bench_check(write(fd, message, sizeof message) == NET_MESSAGE, "load: write");
	}
	exchange(ep, bench_wall() + warm_ns);
	puts("go");
	fflush(stdout);
	printf("%ld\n", exchange(ep, bench_wall() + bench_second_ns));
}

static void
hold(int port, int n)
{
	char c;

	for (int i = 0; i < n; i++)
		connect_one(port);
	puts("go");
	fflush(stdout);
	(void)!read(0, &c, 1);
}

int
load_main(char **argv)
{
	struct rlimit lim;
	int port = atoi(argv[2]), n = atoi(argv[4]);

	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	if (strcmp(argv[3], "echo") == 0)
		echo(port, n);
	else
		hold(port, n);
	return 0;
}
