// SPDX-License-Identifier: BSD-3-Clause
// Echo: a server that sends back what it is sent, a goroutine for each connection.
//
//	cc echo.c $(pkg-config --cflags --libs undergo) && ./a.out :7777
//
// Without an address it listens at a free port, talks to itself and ends.
#include <stdio.h>
#include <string.h>

#include <undergo.h>

enum { IDLE_S = 60 };

// A connection that says nothing for a minute is closed.
static void
echo(void *v)
{
	go_fd conn = (go_fd)(intptr_t)v;
	char buf[4096];
	int64_t n;
	for (;;) {
		go_set_read_deadline(conn, go_in(IDLE_S * GO_SEC));
		n = go_read(conn, buf, sizeof(buf));
		if (n <= 0 || go_write(conn, buf, (size_t)n) != n)
			break;
	}
	go_close(conn);
}

static void
serve(void *v)
{
	go_fd listener = (go_fd)(intptr_t)v, conn;
	while ((conn = go_accept(listener)) > 0)
		if (go_spawn(echo, (void *)(intptr_t)conn) != 0)
			go_close(conn);
}

static int
talk_to(const char *address)
{
	char buf[64];
	const char *word = "hello, net";
	go_fd conn = go_dial("tcp", address, go_in(5 * GO_SEC));
	if (conn < 0) {
		fprintf(stderr, "%s: %s\n", address, go_strerror((int)conn));
		return 1;
	}
	go_write(conn, word, strlen(word));
	int64_t n = go_read_full(conn, buf, strlen(word));
	printf("%s says %.*s\n", address, (int)(n > 0 ? n : 0), buf);
	go_close(conn);
	return 0;
}

static int
start(void *arg)
{
	const char *want = arg;
	char address[64];
	go_fd listener = go_listen("tcp", want != NULL ? want : "127.0.0.1:0");
	if (listener < 0) {
		fprintf(stderr, "%s\n", go_strerror((int)listener));
		return 1;
	}
	go_local_text(listener, address, sizeof(address));
	if (want != NULL) {
		printf("listening at %s\n", address);
		fflush(stdout);
		serve((void *)(intptr_t)listener);
		return 0;
	}
	if (go_spawn(serve, (void *)(intptr_t)listener) != 0)
		return 1;
	int status = talk_to(address);
	go_close(listener);
	return status;
}

int
main(int argc, char **argv)
{
	return go_run(start, argc > 1 ? argv[1] : NULL);
}
