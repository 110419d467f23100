// SPDX-License-Identifier: BSD-3-Clause
// Networks and addresses as texts, as Go writes them: "tcp", "127.0.0.1:80", "[::1]:80", ":80",
// "unix", "/run/name", "@abstract".
#ifndef UNDERGO_NET_ADDR_H
#define UNDERGO_NET_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ADDRESSES_MAX = 16, HOST_BYTES = 256, SERVICE_BYTES = 64 };

typedef struct Network {
	int family; // AF_UNSPEC: either of IP's
	int type;
} Network;

typedef struct Address {
	struct sockaddr_storage at;
	socklen_t bytes;
} Address;

typedef enum Purpose { TO_DIAL, TO_LISTEN } Purpose;

// 0 or GO_EADDRESS.
int addr_network(const char *name, Network *n);
// At most ADDRESSES_MAX to try, the best first: how many, or a code. Waits for name servers on
// a goroutine of its own.  Called outside of the runtime.  Blocks: G.
int addr_find(const Network *n, const char *address, Purpose why, Address *out, int64_t deadline);
// Writes the text of an address as snprintf does: how long it is, without its end.
int addr_text(const struct sockaddr *at, socklen_t bytes, char *buf, size_t n);

#endif
