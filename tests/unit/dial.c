// SPDX-License-Identifier: BSD-3-Clause
// Dialling a name with several addresses of which some are dead: refused at once, or such that
// nobody ever answers. The name is this file's: getaddrinfo is answered here.
//
// Nobody answers at a listener whose queue is full: the kernel drops what comes then.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "goroutines.h"

enum { HOSTS_MAX = 4, FILLERS = 8 };

// --- names --------------------------------------------------------------------------------------

static const char *hosts[HOSTS_MAX]; // of "several.test"
static int n_hosts;

// One block, as freeaddrinfo has it.
static struct addrinfo *
info(const char *host, const char *service)
{
	struct addrinfo *a = calloc(1, sizeof(*a) + sizeof(struct sockaddr_in6));
	expect(a != NULL);
	a->ai_addr = (struct sockaddr *)(a + 1);
	struct sockaddr_in *v4 = (struct sockaddr_in *)(a + 1);
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(a + 1);
	in_port_t port = htons((uint16_t)strtol(service, NULL, 10));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		a->ai_addrlen = sizeof(*v4);
	} else {
		memset(v6, 0, sizeof(*v6));
		expect_eq(inet_pton(AF_INET6, host, &v6->sin6_addr), 1);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		a->ai_addrlen = sizeof(*v6);
	}
	a->ai_family = a->ai_addr->sa_family;
	a->ai_socktype = SOCK_STREAM;
	return a;
}

int
getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
	    struct addrinfo **all)
{
	if (host == NULL || strcmp(host, "several.test") != 0) {
		int (*real)(const char *, const char *, const struct addrinfo *,
			    struct addrinfo **);
		*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
		return real(host, service, hints, all);
	}
	*all = NULL;
	for (int i = n_hosts; i-- > 0;) {
		struct addrinfo *a = info(hosts[i], service);
		a->ai_next = *all;
		*all = a;
	}
	return 0;
}

// --- addresses ----------------------------------------------------------------------------------

// A listener's port, 0 for any. Its queue has room for one more than backlog.
static int
listen_at(const char *host, int port, int backlog, int *fd)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	socklen_t bytes = sizeof(at);
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(*fd >= 0 && inet_pton(AF_INET, host, &at.sin_addr) == 1);
	expect_eq(bind(*fd, (struct sockaddr *)&at, bytes), 0);
	expect_eq(listen(*fd, backlog), 0);
	expect_eq(getsockname(*fd, (struct sockaddr *)&at, &bytes), 0);
	return ntohs(at.sin_port);
}

// Connections, until the listener takes none any more.
static void
fill_queue(const char *host, int port, int fillers[FILLERS])
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	expect_eq(inet_pton(AF_INET, host, &to.sin_addr), 1);
	for (int i = 0; i < FILLERS; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		expect(fillers[i] >= 0);
		(void)connect(fillers[i], (struct sockaddr *)&to, sizeof(to));
	}
}

static int
open_sockets(void)
{
	int n = 0;
	for (int i = 0; i < 256; i++) {
		struct stat st;
		n += fstat(i, &st) == 0 && S_ISSOCK(st.st_mode);
	}
	return n;
}

// What it dials, and what comes of it: an address, or a code.
static void
dial(int port, int64_t deadline, const char *connects, int fails)
{
	char at[64], peer[64], want[64];
	snprintf(at, sizeof(at), "several.test:%d", port);
	go_fd fd = go_dial("tcp", at, deadline);
	if (connects == NULL) {
		expect_eq(fd, fails);
		return;
	}
	expect(fd > 0);
	expect(go_peer_text(fd, peer, sizeof(peer)) > 0);
	snprintf(want, sizeof(want), "%s:%d", connects, port);
	expect_str(peer, want);
	expect_eq(go_close(fd), 0);
}

static void
name_has(const char *a, const char *b, const char *c)
{
	hosts[0] = a;
	hosts[1] = b;
	hosts[2] = c;
	n_hosts = c != NULL ? 3 : 2;
}

// --- tests --------------------------------------------------------------------------------------

// The first refuses at once; so does one of the other kind.
GO_TEST(dial_refused_first, 2)
{
	int fd, port = listen_at("127.0.0.3", 0, 10, &fd);
	dial(port, GO_NEVER, NULL, GO_ENOHOST); // it has none yet
	name_has("127.0.0.2", "127.0.0.3", NULL);
	dial(port, GO_NEVER, "127.0.0.3", 0);
	name_has("::1", "127.0.0.2", "127.0.0.3");
	dial(port, GO_NEVER, "127.0.0.3", 0);
	close(fd);
	dial(port, GO_NEVER, NULL, GO_ERRNO(ECONNREFUSED));
}

// The first never answers: the next is begun beside it and wins; what lost is closed.
GO_TEST(dial_dead_first, 2)
{
	int dead, live, fillers[FILLERS];
	int port = listen_at("127.0.0.2", 0, 0, &dead);
	listen_at("127.0.0.3", port, 10, &live);
	fill_queue("127.0.0.2", port, fillers);
	name_has("127.0.0.2", "127.0.0.3", NULL);
	int before = open_sockets();
	dial(port, go_in(10 * GO_SEC), "127.0.0.3", 0);
	until(open_sockets() == before);
	close(live);
	dial(port, go_in(20 * GO_MSEC), NULL, GO_ETIMEDOUT);
	until(open_sockets() == before - 1);
}

static int
dial_in_scope(void *port)
{
	dial((int)(intptr_t)port, GO_NEVER, NULL, GO_ECANCELED);
	return 0;
}

// All are dead: a deadline ends it, and so does a cancellation.
GO_TEST(dial_all_dead, 2)
{
	int dead[2], fillers[2][FILLERS];
	go_scope s;
	int port = listen_at("127.0.0.2", 0, 0, &dead[0]);
	listen_at("127.0.0.3", port, 0, &dead[1]);
	fill_queue("127.0.0.2", port, fillers[0]);
	fill_queue("127.0.0.3", port, fillers[1]);
	name_has("127.0.0.2", "127.0.0.3", NULL);
	dial(port, go_in(280 * GO_MSEC), NULL, GO_ETIMEDOUT);
	go_scope_open(&s, GO_NEVER);
	expect_eq(go_scope_spawn(&s, dial_in_scope, (void *)(intptr_t)port), 0);
	go_sleep(5 * GO_MSEC);
	go_scope_cancel(&s);
	expect_eq(go_scope_wait(&s), GO_ECANCELED);
}
