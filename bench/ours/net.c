// SPDX-License-Identifier: BSD-3-Clause
// Rows of sockets: echo100, echo1000, net_idle. A goroutine for each connection, on all Ps.

#include <sys/resource.h>

#include "ours.h"

#include "../net.h"

static go_fd listener;
static int accepted;

static void
serve_one(void *v)
{
	go_fd conn = (go_fd)(intptr_t)v;
	char buf[NET_MESSAGE];
	int64_t n;

	while ((n = go_read(conn, buf, sizeof buf)) > 0)
		if (go_write(conn, buf, (size_t)n) != n)
			break;
	go_close(conn);
}

static void
serve(void *unused)
{
	go_fd conn;

	(void)unused;
	while ((conn = go_accept(listener)) > 0) {
		spawn(serve_one, (void *)(intptr_t)conn);
		__atomic_add_fetch(&accepted, 1, __ATOMIC_RELAXED);
	}
}

static int
count(void)
{
	return __atomic_load_n(&accepted, __ATOMIC_RELAXED);
}

static int
start(void)
{
	struct rlimit lim;
	char at[64];

	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	all_ps();
	listener = go_listen("tcp4", "127.0.0.1:0");
	bench_check(listener > 0 && go_local_text(listener, at, sizeof at) > 0, "no listener");
	spawn(serve, NULL);
	return atoi(strrchr(at, ':') + 1);
}

void
row_echo100(void)
{
	int port = start();

	go_block_begin();
	net_echo_row("echo100", port, 100);
	go_block_end();
}

void
row_echo1000(void)
{
	int port = start();

	go_block_begin();
	net_echo_row("echo1000", port, 1000);
	go_block_end();
}

void
row_net_idle(void)
{
	int port = start();

	go_block_begin();
	net_idle_row("net_idle", port, count);
	go_block_end();
}
