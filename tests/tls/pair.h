// SPDX-License-Identifier: BSD-3-Clause
// What tests of TLS share: two connections with each other, and the certificates for them.
#ifndef UNDERGO_TESTS_TLS_PAIR_H
#define UNDERGO_TESTS_TLS_PAIR_H

#include <undergo/tls.h>

#include "certs.h"
#include "goroutines.h"

// The authority of a test, and a certificate for "localhost" and 127.0.0.1 that it has signed. Made
// at the first call.
const Ca *the_ca(void);
const char *localhost_file(void);

// A configuration that must be good.
go_tls_config *config_of(const go_tls_options *o);
go_tls_config *server_config(void); // with localhost_file
go_tls_config *client_config(void); // that trusts the_ca

// Two connected descriptors.
void streams(go_fd ends[2]);

// Two connections over them; nothing has been said yet. The configurations are given up.
typedef struct Pair {
	go_tls *client, *server;
} Pair;

Pair pair_of(go_tls_config *client, go_tls_config *server, const char *name);
Pair good_pair(void);

// Both shake hands. Returns the client's result, and the server's in *server.
int pair_shake(Pair *p, int *server);
void pair_shaken(Pair *p); // both must succeed
void pair_free(Pair *p);

#endif
