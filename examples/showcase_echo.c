// SPDX-License-Identifier: BSD-3-Clause
// The showcase, part echo: a TCP server on the library's poller, a goroutine for each connection.
//
// The clients are another process, this program with other arguments, since descriptors are limited
// by process. It says when all are connected, and at the end how it went, on its standard output,
// a pipe:
//
//	showcase --clients ADDRESS CONNECTIONS NANOSECONDS
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "showcase.h"

enum { MESSAGE_BYTES = 64, DIALS_AT_ONCE = 64, FILES_TO_SPARE = 64 };

#define PATIENCE (30 * GO_SEC)

// What the clients say at the end.
typedef struct Report {
	uint64_t round_trips;
	int64_t ns;
	int64_t p50, p99, max;
	char failure[64];
} Report;

// --- the server ---------------------------------------------------------------------------------

typedef struct Server {
	go_fd listener;
	go_scope scope;
	int connections;
	atomic_int accepted;
	_Atomic uint64_t answered; // by those that are done
} Server;

typedef struct Connection {
	Server *server;
	go_fd fd;
} Connection;

static int
serve(void *arg)
{
	Connection c = *(Connection *)arg;
	char buffer[MESSAGE_BYTES];
	uint64_t n = 0;
	free(arg);
	while (go_read_full(c.fd, buffer, sizeof buffer) == sizeof buffer &&
	       go_write(c.fd, buffer, sizeof buffer) == sizeof buffer)
		n++;
	go_close(c.fd);
	c.server->answered += n;
	return 0;
}

// Ends with the listener.
static int
accept_all(void *arg)
{
	Server *s = arg;
	go_fd fd;
	while ((fd = go_accept(s->listener)) > 0) {
		Connection *c = malloc(sizeof *c);
		if (c == NULL)
			return GO_ENOMEM;
		*c = (Connection){s, fd};
		int err = go_scope_spawn(&s->scope, serve, c);
		if (err != 0)
			return err;
		s->accepted++;
	}
	return fd == GO_ECLOSED ? 0 : (int)fd;
}

// As many connections as one process may have descriptors.
static int
affordable_connections(int wanted)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return wanted;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= (rlim_t)(wanted + FILES_TO_SPARE))
		return wanted;
	return limit.rlim_cur > 2 * FILES_TO_SPARE ? (int)limit.rlim_cur - FILES_TO_SPARE : 1;
}

// With all clients connected: what each costs, then, while they talk, what all take.
static void
hear_clients(Server *s, Result *r, go_fd clients, int64_t ns, Report *report)
{
	uint64_t before = resident_bytes();
	char connected;
	go_set_read_deadline(clients, go_in(ns + PATIENCE));
	if (!expect(r, go_read_full(clients, &connected, 1) == 1, "the clients do not connect"))
		return;
	go_sleep(ns * 3 / 4); // memory is looked at under load, not before and not after
	see_memory(r);
	uint64_t grown = r->resident > before ? r->resident - before : 0;
	if (!expect(r, go_read_full(clients, report, sizeof *report) == sizeof *report,
		    "the clients say nothing"))
		return;
	if (!expect(r, report->failure[0] == '\0', "a client failed"))
		note(r, "the clients: %.*s", (int)sizeof report->failure, report->failure);
	note(r, "round trips of %d bytes on %s TCP connections to another process, all at once",
	     MESSAGE_BYTES, grouped((uint64_t)s->accepted));
	note(r, "latency p50 %s, p99 %s, max %s; %s bytes of memory per connection",
	     time_text(report->p50), time_text(report->p99), time_text(report->max),
	     grouped(s->accepted != 0 ? grown / (uint64_t)s->accepted : 0));
}

static void
serve_clients(Server *s, Result *r, int64_t ns)
{
	char address[64], connections[16], time[24];
	Report report = {0};
	Child clients;
	go_local_text(s->listener, address, sizeof address);
	snprintf(connections, sizeof connections, "%d", s->connections);
	snprintf(time, sizeof time, "%lld", (long long)ns);
	const char *args[] = {"showcase", "--clients", address, connections, time, NULL};
	go_scope_open(&s->scope, go_in(ns + 2 * PATIENCE));
	int err = go_scope_spawn(&s->scope, accept_all, s);
	if (expect(r, err == 0, "no goroutine") &&
	    expect(r, child_start(&clients, "/proc/self/exe", args), "no process for clients")) {
		hear_clients(s, r, clients.output, ns, &report);
		child_end(&clients, r->failure != NULL);
	}
	go_close(s->listener);
	err = go_scope_wait(&s->scope);
	expect(r, err == 0, go_strerror(err));
	expect(r, s->accepted == s->connections, "not every client was accepted");
	// A client may end before it has heard its last answer, never the other way round.
	expect(r, s->answered >= report.round_trips, "answers were heard that were not given");
	r->operations = report.round_trips;
	r->ns = report.ns;
}

void
run_echo(const Load *load, Result *r)
{
	Server s = {.connections = affordable_connections(load->connections)};
	s.listener = go_listen("tcp", "127.0.0.1:0");
	if (!expect(r, s.listener > 0, "cannot listen on loopback"))
		return;
	if (s.connections < load->connections)
		note(r, "%s connections instead of %s: the limit on descriptors allows no more",
		     grouped((uint64_t)s.connections), grouped((uint64_t)load->connections));
	serve_clients(&s, r, load->echo_ns);
}

// --- the clients --------------------------------------------------------------------------------

typedef struct Clients {
	const char *address;
	int connections;
	int64_t ns;
	int64_t end;       // set before start is closed
	go_chan *dials;    // a place for each that dials
	go_chan *start;    // closed when all are connected
	go_waitgroup connected;
	go_scope scope;
	Histogram latency;
	_Atomic(const char *) failure;
} Clients;

static int
client_fails(Clients *cs, const char *why)
{
	const char *none = NULL;
	atomic_compare_exchange_strong(&cs->failure, &none, why);
	return GO_EINVAL;
}

static go_fd
client_dials(Clients *cs)
{
	struct linger reset = {.l_onoff = 1}; // no port is left waiting afterwards
	go_chan_send(cs->dials, NULL, GO_NEVER);
	go_fd fd = go_dial("tcp", cs->address, go_in(PATIENCE));
	go_chan_recv(cs->dials, NULL, GO_NEVER);
	if (fd > 0)
		setsockopt(go_fd_number(fd), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	return fd;
}

static const char *
client_talks(Clients *cs, go_fd fd)
{
	char sent[MESSAGE_BYTES] = "", got[MESSAGE_BYTES];
	for (int64_t n = 0; n == 0 || go_now() < cs->end; n++) {
		snprintf(sent, sizeof sent, "%lld: %lld", (long long)fd, (long long)n);
		int64_t begin = go_now();
		if (go_write(fd, sent, sizeof sent) != sizeof sent ||
		    go_read_full(fd, got, sizeof got) != sizeof got)
			return "a connection broke";
		histogram_add(&cs->latency, go_now() - begin);
		if (memcmp(sent, got, sizeof sent) != 0)
			return "an echo differs from what was sent";
	}
	return NULL;
}

static int
client_run(void *arg)
{
	Clients *cs = arg;
	go_fd fd = client_dials(cs);
	go_wg_done(&cs->connected);
	if (fd < 0)
		return client_fails(cs, go_strerror((int)fd));
	go_chan_recv(cs->start, NULL, GO_NEVER);
	const char *why = client_talks(cs, fd);
	go_close(fd);
	return why == NULL ? 0 : client_fails(cs, why);
}

static void
say(const void *what, size_t bytes)
{
	if (write(STDOUT_FILENO, what, bytes) != (ssize_t)bytes)
		exit(1); // nobody is there any more
}

static void
clients_talk(Clients *cs, Report *report)
{
	go_scope_open(&cs->scope, GO_NEVER);
	for (int i = 0; i < cs->connections; i++) {
		go_wg_add(&cs->connected, 1);
		if (go_scope_spawn(&cs->scope, client_run, cs) != 0) {
			client_fails(cs, "no goroutine");
			go_wg_done(&cs->connected);
		}
	}
	go_wg_wait(&cs->connected, GO_NEVER);
	say("c", 1);
	int64_t begin = go_now();
	cs->end = begin + cs->ns;
	go_chan_close(cs->start);
	go_scope_wait(&cs->scope);
	report->ns = go_now() - begin;
}

static int
clients_main(void *arg)
{
	Clients *cs = arg;
	Report report = {0};
	affordable_connections(cs->connections);
	cs->dials = go_chan_new(0, DIALS_AT_ONCE);
	cs->start = go_chan_new(0, 0);
	if (cs->dials == NULL || cs->start == NULL)
		return 1;
	clients_talk(cs, &report);
	report.round_trips = cs->latency.n;
	report.p50 = histogram_quantile(&cs->latency, 500);
	report.p99 = histogram_quantile(&cs->latency, 990);
	report.max = histogram_quantile(&cs->latency, 1000);
	if (cs->failure != NULL)
		snprintf(report.failure, sizeof report.failure, "%s", cs->failure);
	say(&report, sizeof report);
	return 0;
}

int
run_clients(char **args)
{
	Clients *cs = calloc(1, sizeof *cs);
	if (cs == NULL)
		return 1;
	cs->address = args[0];
	cs->connections = atoi(args[1]);
	cs->ns = atoll(args[2]);
	return go_run(clients_main, cs) == 0 ? 0 : 1;
}
