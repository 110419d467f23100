// SPDX-License-Identifier: BSD-3-Clause
// A port at which nobody listens: one that is merely free may be the next of another test's.
#ifndef UNDERGO_TESTS_HELD_PORT_H
#define UNDERGO_TESTS_HELD_PORT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "harness.h"

// Writes its address to at. It is held while the descriptor is open that this returns.
static inline int
hold_port(char *at, size_t n)
{
	struct sockaddr_in here = {.sin_family = AF_INET};
	socklen_t bytes = sizeof(here);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	expect(fd >= 0);
	expect_eq(bind(fd, (struct sockaddr *)&here, bytes), 0);
	expect_eq(getsockname(fd, (struct sockaddr *)&here, &bytes), 0);
	snprintf(at, n, "127.0.0.1:%d", ntohs(here.sin_port));
	return fd;
}

#endif
