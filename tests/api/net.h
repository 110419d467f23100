// SPDX-License-Identifier: BSD-3-Clause
// What the tests of sockets share.
#ifndef UNDERGO_TESTS_API_NET_H
#define UNDERGO_TESTS_API_NET_H

#include "goroutines.h"

static Count ended;

static inline void
start(void (*fn)(void *), void *arg)
{
	expect_eq(go_spawn(fn, arg), 0);
}

static inline go_fd
listen_here(const char *network, char *at, size_t n)
{
	go_fd l = go_listen(network, strcmp(network, "tcp6") == 0 ? "[::1]:0" : "127.0.0.1:0");
	expect(l > 0);
	expect(go_local_text(l, at, n) > 0);
	return l;
}

static inline void
connected(go_fd *a, go_fd *b)
{
	char at[64];
	go_fd l = listen_here("tcp", at, sizeof(at));
	*a = go_dial("tcp", at, go_in(10 * GO_SEC));
	expect(*a > 0);
	*b = go_accept(l);
	expect(*b > 0);
	expect_eq(go_close(l), 0);
}

#endif
