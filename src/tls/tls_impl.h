// SPDX-License-Identifier: BSD-3-Clause
// What the files of the TLS library share: a configuration, a connection, and what each file does
// for the others. README has the design.
#ifndef UNDERGO_TLS_IMPL_H
#define UNDERGO_TLS_IMPL_H

#include <openssl/ssl.h>

#include "undergo/net.h"
#include "undergo/sync.h"
#include "undergo/tls.h"

enum { TLS_ALPN_MAX = 256, TLS_WHY_MAX = 160, TLS_IN_BYTES = 17 << 10, TLS_PIECE = 64 << 10,
       TLS_KEPT_BYTES = 2 << 10 };

struct go_tls_config {
	SSL_CTX *ctx;                      // OpenSSL counts its users by itself
	size_t refs;                       // refs_lock: go_tls_config_new's, each connection's
	unsigned char alpn[TLS_ALPN_MAX];  // as it goes over the wire. Constant, as is all below
	unsigned alpn_bytes;
	int clients;
	bool insecure;
	bool has_cert;
};

typedef struct TlsBytes {
	unsigned char *at;
	size_t n, room;
} TlsBytes;

// Locks: reading or writing, then shaking, then lock.
struct go_tls {
	go_tls_config *config;             // constant, as is fd
	go_fd fd;
	go_mutex reading;                  // turns, held over waits
	go_mutex writing;
	go_mutex shaking;                  // until the handshake is done
	go_mutex lock;                     // all below; never held over a wait
	go_cond sent;                      // sending has become false
	go_cond came;                      // receiving has become false
	SSL *ssl;
	size_t in_at, in_n;                // what came and OpenSSL has not read yet: in[in_at..]
	TlsBytes out;                      // what OpenSSL has written
	TlsBytes sent_last;                // a buffer for the next one; n is 0
	bool sending;                      // somebody sends, without the lock
	bool receiving;                    // somebody reads from fd, without the lock
	bool shaken;                       // the handshake is done
	bool ended;                        // our close_notify has been made
	bool closed;
	bool no_memory;                    // what OpenSSL has written found no room
	int failure;                       // 0, or why nothing goes on: GO_TLS_E...
	int write_failure;                 // 0, or why nothing more is sent
	char why[TLS_WHY_MAX];             // set with failure
	unsigned char in[TLS_IN_BYTES];    // receiving: of who does. Else lock
};

// bio.c: the BIO between a connection and its SSL.
BIO *tls_bio_new(go_tls *t);

// config.c
void tls_config_hold(go_tls_config *c);
void tls_config_let_go(go_tls_config *c);

// why.c: what OpenSSL says of the call that has just failed, on this thread; its queue is empty
// afterwards. A call of undergo in between may change threads.
int tls_failed(go_tls *t);
// The same as text, for who has no connection.
void tls_openssl_text(char *buf, size_t n);

// io.c. 0 when the handshake is done.  Locks: none, or a turn.
int tls_shake(go_tls *t);
// Sends what OpenSSL has written. Locks: lock, given up meanwhile.
typedef enum TlsWait { TLS_MUST_GO_OUT, TLS_SOMEBODY_SENDS } TlsWait;
int tls_flush(go_tls *t, TlsWait wait);
// While nobody writes: what has become large on the way out is given back. Locks: lock.
void tls_rest(go_tls *t);
// False: there is half a message of the other side's, and the rest does not come before the read
// deadline of fd. Locks: lock, given up meanwhile.
bool tls_whole(go_tls *t);

#endif
