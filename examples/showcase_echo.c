// SPDX-License-Identifier: BSD-3-Clause
// The showcase, part echo: a TCP server and its clients, and the network poller under both.
//
// The library has no network poller. The first section shows that a program can have one in a page:
// one goroutine calls epoll_wait, an ordinary blocking call, and rings channels.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "showcase.h"

// --- a network poller ---------------------------------------------------------------------------

// A goroutine that has nothing to read waits on its socket's channel. One goroutine for all of them
// sits in epoll_wait; the runtime gives its processor to others meanwhile. A ring that is not heard
// is kept: the channel has one place, and edge-triggered epoll rings again only after the next
// change.
typedef struct Poller {
	int epoll;
	int stop; // an eventfd: written to end it
} Poller;

typedef struct Socket {
	int fd;
	go_chan *ready;
} Socket;

static void
poller_run(void *arg)
{
	Poller *p = arg;
	struct epoll_event events[256];
	for (;;) {
		int n = epoll_wait(p->epoll, events, 256, 0);
		if (n == 0) {
			go_block_begin(); // a hint: nothing is there, it will block
			n = epoll_wait(p->epoll, events, 256, -1);
			go_block_end();
		}
		for (int i = 0; i < n; i++) {
			Socket *s = events[i].data.ptr;
			if (s == NULL)
				return;
			go_chan_send(s->ready, NULL, GO_POLL);
		}
		go_yield();
	}
}

static bool
poller_open(Poller *p)
{
	struct epoll_event event = {.events = EPOLLIN};
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->stop = eventfd(0, EFD_CLOEXEC);
	return p->epoll >= 0 && p->stop >= 0 &&
	       epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->stop, &event) == 0;
}

static void
poller_close(Poller *p)
{
	close(p->epoll);
	close(p->stop);
}

// Takes fd over. The socket's memory is good until the poller has ended, since an event may be on
// its way.
static bool
socket_open(Socket *s, Poller *p, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = s};
	s->fd = fd;
	s->ready = go_chan_new(0, 1);
	return fd >= 0 && s->ready != NULL &&
	       fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0 &&
	       epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void
socket_close(Socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

// After a call that failed: true when it is to be tried again.
static bool
socket_wait(Socket *s)
{
	if (errno == EINTR)
		return true;
	bool later = errno == EAGAIN || errno == EINPROGRESS || errno == EALREADY;
	return later && go_chan_recv(s->ready, NULL, GO_NEVER) == 0;
}

// 0 at the end of the stream, -1 on an error.
static ssize_t
socket_read(Socket *s, void *to, size_t bytes)
{
	for (;;) {
		ssize_t n = recv(s->fd, to, bytes, 0);
		if (n >= 0 || !socket_wait(s))
			return n;
	}
}

static bool
socket_write_all(Socket *s, const char *from, size_t bytes)
{
	while (bytes != 0) {
		ssize_t n = send(s->fd, from, bytes, MSG_NOSIGNAL);
		if (n < 0 && !socket_wait(s))
			return false;
		if (n > 0) {
			from += n;
			bytes -= (size_t)n;
		}
	}
	return true;
}

static bool
socket_read_all(Socket *s, char *to, size_t bytes)
{
	while (bytes != 0) {
		ssize_t n = socket_read(s, to, bytes);
		if (n <= 0)
			return false;
		to += n;
		bytes -= (size_t)n;
	}
	return true;
}

// --- echo ---------------------------------------------------------------------------------------

enum { MESSAGE_BYTES = 64 };

typedef struct Echo Echo;

typedef struct Peer {
	Socket socket;
	Echo *echo;
	int number;
} Peer;

struct Echo {
	Result *result;
	Poller poller;
	go_scope scope;
	Socket listener;
	struct sockaddr_in address;
	int connections;
	int64_t end; // when the clients stop
	Peer *client;
	Peer *server;
	Histogram latency;
	atomic_uint_fast64_t connected;
};

// A child of a scope that fails ends the others: they wait on channels, which a cancelled scope
// ends.
static int
echo_fails(Echo *e, const char *why)
{
	expect(e->result, false, why);
	return GO_EINVAL;
}

static int
echo_serve(void *arg)
{
	Peer *p = arg;
	char buffer[4096];
	ssize_t n;
	while ((n = socket_read(&p->socket, buffer, sizeof buffer)) > 0)
		if (!socket_write_all(&p->socket, buffer, (size_t)n))
			break;
	socket_close(&p->socket);
	return 0;
}

static int
echo_accept(void *arg)
{
	Echo *e = arg;
	for (int n = 0; n < e->connections;) {
		int fd = accept(e->listener.fd, NULL, NULL);
		if (fd < 0) {
			if (!socket_wait(&e->listener))
				return echo_fails(e, "accept failed");
			continue;
		}
		Peer *p = &e->server[n++];
		if (!socket_open(&p->socket, &e->poller, fd))
			return echo_fails(e, "a descriptor was refused");
		if (go_scope_spawn(&e->scope, echo_serve, p) != 0)
			return echo_fails(e, "no goroutine for a connection");
	}
	return 0;
}

static bool
client_connects(Peer *p)
{
	Echo *e = p->echo;
	struct linger reset = {.l_onoff = 1}; // no port is left waiting afterwards
	int error = 0;
	socklen_t bytes = sizeof error;
	if (!socket_open(&p->socket, &e->poller, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)))
		return false;
	setsockopt(p->socket.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	while (connect(p->socket.fd, (struct sockaddr *)&e->address, sizeof e->address) != 0)
		if (errno == EISCONN)
			break;
		else if (!socket_wait(&p->socket))
			return false;
	getsockopt(p->socket.fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
	return error == 0;
}

static int
client_run(void *arg)
{
	Peer *p = arg;
	Echo *e = p->echo;
	char sent[MESSAGE_BYTES] = "", got[MESSAGE_BYTES];
	if (!client_connects(p))
		return echo_fails(e, "connect failed");
	e->connected++;
	for (int64_t n = 0; n == 0 || go_now() < e->end; n++) {
		snprintf(sent, sizeof sent, "%d: %lld", p->number, (long long)n);
		int64_t begin = go_now();
		if (!socket_write_all(&p->socket, sent, sizeof sent) ||
		    !socket_read_all(&p->socket, got, sizeof got))
			return echo_fails(e, "a connection broke");
		histogram_add(&e->latency, go_now() - begin);
		if (memcmp(sent, got, sizeof sent) != 0)
			return echo_fails(e, "an echo differs from what was sent");
	}
	socket_close(&p->socket);
	return 0;
}

static bool
echo_listen(Echo *e)
{
	socklen_t bytes = sizeof e->address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	e->address = (struct sockaddr_in){.sin_family = AF_INET};
	e->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return socket_open(&e->listener, &e->poller, fd) &&
	       bind(fd, (struct sockaddr *)&e->address, sizeof e->address) == 0 &&
	       getsockname(fd, (struct sockaddr *)&e->address, &bytes) == 0 &&
	       listen(fd, 4096) == 0;
}

// As many connections as descriptors allow: two for each, and some to spare.
static int
affordable_connections(int wanted)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return wanted;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > (rlim_t)(2 * wanted + 64))
		return wanted;
	return limit.rlim_cur > 128 ? (int)(limit.rlim_cur - 64) / 2 : 1;
}

static void
echo_load(Echo *e, int64_t ns)
{
	go_scope_open(&e->scope, go_in(ns + 30 * GO_SEC));
	int err = go_scope_spawn(&e->scope, echo_accept, e);
	e->end = go_in(ns);
	for (int i = 0; i < e->connections && err == 0; i++) {
		e->client[i] = (Peer){.socket.fd = -1, .echo = e, .number = i};
		e->server[i] = (Peer){.socket.fd = -1, .echo = e, .number = i};
		err = go_scope_spawn(&e->scope, client_run, &e->client[i]);
	}
	if (err != 0)
		go_scope_cancel(&e->scope);
	go_sleep_until(e->end - ns / 4);
	see_memory(e->result);
	int end = go_scope_wait(&e->scope);
	expect(e->result, err == 0 && end == 0, go_strerror(err != 0 ? err : end));
}

static void
echo_free(Echo *e)
{
	for (int i = 0; i < e->connections; i++) {
		socket_close(&e->client[i].socket);
		socket_close(&e->server[i].socket);
		go_chan_free(e->client[i].socket.ready);
		go_chan_free(e->server[i].socket.ready);
	}
	socket_close(&e->listener);
	go_chan_free(e->listener.ready);
	poller_close(&e->poller);
	free(e->client);
	free(e->server);
}

typedef struct PollerGoroutine {
	Poller *poller;
	go_waitgroup ended;
} PollerGoroutine;

static void
poller_goroutine(void *arg)
{
	PollerGoroutine *pg = arg;
	poller_run(pg->poller);
	go_wg_done(&pg->ended);
}

void
run_echo(const Load *load, Result *r)
{
	Echo *e = calloc(1, sizeof *e);
	if (!expect(r, e != NULL, "no memory"))
		return;
	e->result = r;
	e->listener.fd = -1;
	e->connections = affordable_connections(load->connections);
	e->client = calloc((size_t)e->connections, sizeof(Peer));
	e->server = calloc((size_t)e->connections, sizeof(Peer));
	PollerGoroutine pg = {.poller = &e->poller};
	if (expect(r, e->client != NULL && e->server != NULL, "no memory") &&
	    expect(r, poller_open(&e->poller) && echo_listen(e), "cannot listen on loopback")) {
		go_wg_add(&pg.ended, 1);
		if (!expect(r, go_spawn(poller_goroutine, &pg) == 0, "no goroutine"))
			go_wg_done(&pg.ended);
		echo_load(e, load->echo_ns);
		uint64_t one = 1;
		expect(r, write(e->poller.stop, &one, sizeof one) == sizeof one, "eventfd failed");
		go_wg_wait(&pg.ended, GO_NEVER);
	}
	r->operations = e->latency.n;
	if (e->connections < load->connections)
		note(r, "%s connections instead of %s: the limit on descriptors allows no more",
		     grouped((uint64_t)e->connections), grouped((uint64_t)load->connections));
	note(r, "round trips of %d bytes on %s TCP connections, %s goroutines; p50 %s, p99 %s",
	     MESSAGE_BYTES, grouped(e->connected), grouped(2 * e->connected + 3),
	     time_text(histogram_quantile(&e->latency, 500)),
	     time_text(histogram_quantile(&e->latency, 990)));
	expect(r, e->connected == (uint64_t)e->connections, "not every client connected");
	echo_free(e);
	free(e);
}
