// SPDX-License-Identifier: BSD-3-Clause
// Rival: libuv as a server, its loop on one thread.
//
// Rows: echo100, echo1000, net_idle. Writes are tried at once (uv_try_write), as a program that
// wants to be fast does.

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/resource.h>
#include <uv.h>

#include "../net.h"

struct conn {
	uv_tcp_t tcp;
	char buf[NET_MESSAGE];
};

static uv_loop_t loop;
static uv_tcp_t listener;
static int accepted;

static void
on_room(uv_handle_t *h, size_t n, uv_buf_t *buf)
{
	struct conn *c = (struct conn *)h;

	(void)n;
	*buf = uv_buf_init(c->buf, sizeof c->buf);
}

static void
on_close(uv_handle_t *h)
{
	free(h);
}

static void
on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	if (n < 0) {
		uv_close((uv_handle_t *)s, on_close);
		return;
	}
	uv_buf_t out = uv_buf_init(buf->base, (unsigned)n);
	bench_check(n == 0 || uv_try_write(s, &out, 1) == n, "uv_try_write");
}

static void
on_connection(uv_stream_t *l, int status)
{
	struct conn *c = malloc(sizeof *c);

	bench_check(status == 0 && c != NULL, "no connection");
	uv_tcp_init(&loop, &c->tcp);
	bench_check(uv_accept(l, (uv_stream_t *)&c->tcp) == 0, "uv_accept");
	uv_tcp_nodelay(&c->tcp, 1);
	uv_read_start((uv_stream_t *)&c->tcp, on_room, on_read);
	__atomic_add_fetch(&accepted, 1, __ATOMIC_RELAXED);
}

static void *
run(void *unused)
{
	(void)unused;
	uv_run(&loop, UV_RUN_DEFAULT);
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
	struct sockaddr_in at;
	int bytes = sizeof at;
	struct rlimit lim;
	pthread_t t;

	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	uv_loop_init(&loop);
	uv_tcp_init(&loop, &listener);
	uv_ip4_addr("127.0.0.1", 0, &at);
	bench_check(uv_tcp_bind(&listener, (struct sockaddr *)&at, 0) == 0, "bind");
	bench_check(uv_listen((uv_stream_t *)&listener, 4096, on_connection) == 0, "listen");
	uv_tcp_getsockname(&listener, (struct sockaddr *)&at, &bytes);
	bench_check(pthread_create(&t, NULL, run, NULL) == 0, "no thread");
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
