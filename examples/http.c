// SPDX-License-Identifier: BSD-3-Clause
// A web server: HTTP/1.1 with connections that are kept, pipelined requests, files and TLS, a
// goroutine for each connection.
//
//	build/examples/http [ADDRESS] [--files FOLDER] [--tls FILE]
//	curl http://127.0.0.1:8080/
//	curl http://127.0.0.1:8080/files/README.md
//
// ADDRESS is 127.0.0.1:8080 unless given; port 0 takes a free one. FILE has a certificate and its
// key. SIGINT and SIGTERM stop it: nobody new is accepted, idle connections are closed, and answers
// that are under way are finished.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http.h"

int root = -1;
atomic_bool stopping;

// --- the time of day ----------------------------------------------------------------------------

enum { SECONDS_KEPT = 4 }; // nobody holds one for longer

static Second seconds[SECONDS_KEPT];
static atomic_uint second_at;

const Second *
this_second(void)
{
	return &seconds[atomic_load_explicit(&second_at, memory_order_acquire)];
}

static void
look_at_clock(void)
{
	unsigned next = (atomic_load(&second_at) + 1) % SECONDS_KEPT;
	time_t now = time(NULL);
	struct tm tm;
	gmtime_r(&now, &tm);
	strftime(seconds[next].date, sizeof seconds[next].date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	seconds[next].now = go_now();
	atomic_store_explicit(&second_at, next, memory_order_release);
}

static void
clock_main(void *unused)
{
	(void)unused;
	while (go_sleep(GO_SEC) == 0) // the header's date has seconds
		look_at_clock();
}

// --- connections --------------------------------------------------------------------------------

static struct {
	go_mutex lock;
	Conn *first;
	go_waitgroup open;
} conns;

static void
list_add(Conn *c)
{
	go_mutex_lock(&conns.lock);
	c->next = conns.first;
	if (c->next != NULL)
		c->next->prev = c;
	conns.first = c;
	go_mutex_unlock(&conns.lock);
}

static void
list_remove(Conn *c)
{
	go_mutex_lock(&conns.lock);
	*(c->prev != NULL ? &c->prev->next : &conns.first) = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	go_mutex_unlock(&conns.lock);
}

static void
conn_main(void *v)
{
	go_fd fd = (go_fd)(intptr_t)v;
	Conn *c = calloc(1, sizeof *c);
	if (c == NULL) {
		go_close(fd);
	} else if (stream_begin(&c->stream, fd) == 0) {
		list_add(c);
		conn_serve(c);
		list_remove(c);
		stream_close(&c->stream);
		free(c->out);
	}
	free(c);
	go_wg_done(&conns.open);
}

static void
accept_all(void *v)
{
	go_fd listener = (go_fd)(intptr_t)v, fd;
	while ((fd = go_accept(listener)) > 0) {
		go_wg_add(&conns.open, 1);
		if (go_spawn(conn_main, (void *)(intptr_t)fd) != 0) {
			go_close(fd);
			go_wg_done(&conns.open);
		}
	}
	go_wg_done(&conns.open);
}

// A connection says that it is idle, then looks whether the server stops; here it is the other way
// round. So one of the two notices.
static void
stop(go_fd listener)
{
	atomic_store(&stopping, true);
	go_close(listener);
	go_mutex_lock(&conns.lock);
	for (Conn *c = conns.first; c != NULL; c = c->next)
		if (atomic_load(&c->idle))
			go_set_read_deadline(c->stream.fd, GO_POLL);
	go_mutex_unlock(&conns.lock);
	if (go_wg_wait(&conns.open, go_in(STOP_S * GO_SEC)) != 0)
		fprintf(stderr, "http: some connections were cut off\n");
}

// --- the program --------------------------------------------------------------------------------

typedef struct Options {
	const char *address, *files, *tls;
} Options;

static go_fd
prepare(const Options *o)
{
	if (o->tls != NULL && stream_tls_open(o->tls) != 0)
		return GO_EINVAL;
	root = o->files != NULL ? open(o->files, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (o->files != NULL && root < 0) {
		perror(o->files);
		return GO_EINVAL;
	}
	go_fd listener = go_listen("tcp", o->address);
	if (listener < 0)
		fprintf(stderr, "http: %s: %s\n", o->address, go_strerror((int)listener));
	return listener;
}

static int
start(void *v)
{
	static const int ends[] = {SIGINT, SIGTERM};
	const Options *o = v;
	char address[64];
	http_parser_set_max_header_size(HEADERS_MAX);
	look_at_clock();
	go_ctx *until = go_signal_context(NULL, ends, 2);
	go_fd listener = prepare(o);
	if (listener < 0 || until == NULL)
		return 1;
	go_wg_add(&conns.open, 1);
	if (go_spawn(clock_main, NULL) != 0 ||
	    go_spawn(accept_all, (void *)(intptr_t)listener) != 0)
		return 1;
	go_local_text(listener, address, sizeof address);
	printf("http: listening at %s\n", address);
	fflush(stdout);
	go_chan_recv(go_ctx_done(until), NULL, GO_NEVER);
	go_signal_context_stop(until); // a second signal ends at once
	stop(listener);
	return 0;
}

int
main(int argc, char **argv)
{
	Options o = {"127.0.0.1:8080", NULL, NULL};
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--files") == 0 && i + 1 < argc) {
			o.files = argv[++i];
		} else if (strcmp(argv[i], "--tls") == 0 && i + 1 < argc) {
			o.tls = argv[++i];
		} else if (*argv[i] != '-') {
			o.address = argv[i];
		} else {
			fprintf(stderr, "usage: http [ADDRESS] [--files FOLDER]%s\n",
				stream_can_tls() ? " [--tls FILE]" : "");
			return 2;
		}
	}
	return go_run(start, &o);
}
