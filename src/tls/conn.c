// SPDX-License-Identifier: BSD-3-Clause
// Connections: made, closed, freed, asked about. What goes over them is in io.c.
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls_impl.h"

enum { UNREAD_MAX = 16 };

#define CLOSE_PATIENCE (5 * GO_SEC)
#define HALF_PATIENCE (1 * GO_SEC)

// --- made ---------------------------------------------------------------------------------------

// Verification is by the library of certificates itself, during the handshake: a name that does not
// match is refused as an unknown signer is. A certificate's subject is not taken for a name.
static bool
expect_name(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
				   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
		return true; // an address is not sent, says RFC 6066
	ERR_clear_error();
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool
be_client(go_tls *t, const char *name)
{
	SSL_set_connect_state(t->ssl);
	SSL_set_verify(t->ssl, t->config->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	return name == NULL || expect_name(t->ssl, name);
}

static void
be_server(go_tls *t)
{
	static const int modes[] = {
	    [GO_TLS_ANYBODY] = SSL_VERIFY_NONE,
	    [GO_TLS_ASK] = SSL_VERIFY_PEER,
	    [GO_TLS_REQUIRE] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
	};
	SSL_set_accept_state(t->ssl);
	SSL_set_verify(t->ssl, modes[t->config->clients], NULL);
}

static void
destroy(go_tls *t)
{
	SSL_free(t->ssl); // with its BIO
	free(t->out.at);
	free(t->sent_last.at);
	tls_config_let_go(t->config);
	free(t);
}

static go_tls *
make(go_tls_config *config, go_fd fd)
{
	go_tls *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->config = config;
	t->fd = fd;
	tls_config_hold(config);
	t->ssl = SSL_new(config->ctx);
	BIO *bio = t->ssl != NULL ? tls_bio_new(t) : NULL;
	if (bio == NULL) {
		destroy(t);
		return NULL;
	}
	SSL_set_bio(t->ssl, bio, bio);
	return t;
}

int
go_tls_client(go_tls **out, go_tls_config *config, go_fd fd, const char *server_name)
{
	bool named = server_name != NULL && *server_name != '\0';
	if (fd <= 0)
		return fd < 0 ? (int)fd : GO_EINVAL;
	if (out == NULL || config == NULL || (!named && !config->insecure))
		return GO_EINVAL;
	go_tls *t = make(config, fd);
	if (t == NULL)
		return GO_ENOMEM;
	if (!be_client(t, named ? server_name : NULL)) {
		ERR_clear_error();
		destroy(t);
		return GO_EINVAL; // too long for a name, or with a 0 in it
	}
	*out = t;
	return 0;
}

int
go_tls_server(go_tls **out, go_tls_config *config, go_fd fd)
{
	if (fd <= 0)
		return fd < 0 ? (int)fd : GO_EINVAL;
	if (out == NULL || config == NULL || !config->has_cert)
		return GO_EINVAL;
	go_tls *t = make(config, fd);
	if (t == NULL)
		return GO_ENOMEM;
	be_server(t);
	*out = t;
	return 0;
}

// --- closed -------------------------------------------------------------------------------------

// The kernel resets a connection that is closed with something unread, and the other side may lose
// what we sent last. Tickets that a server sends after the handshake are such.
static void
read_away(go_fd fd)
{
	char buf[1024];
	go_set_read_deadline(fd, GO_POLL);
	for (int i = 0; i < UNREAD_MAX && go_read(fd, buf, sizeof(buf)) > 0; i++)
		;
}

static bool
can_say_end(const go_tls *t)
{
	return t->shaken && !t->ended && !t->sending && t->failure == 0 && t->write_failure == 0;
}

// OpenSSL says no end while it has half a message of the other side's (io.c, I2): the rest of it is
// waited for, by whoever reads. When that makes no sense the other side is told so, by an alert.
// Locks: lock, given up while it goes out.
static void
say_end(go_tls *t)
{
	bool whole = true;
	if (!can_say_end(t))
		return;
	if (SSL_in_init(t->ssl)) {
		go_set_read_deadline(t->fd, go_in(HALF_PATIENCE));
		whole = tls_whole(t);
	}
	if (whole && can_say_end(t)) {
		t->ended = true;
		ERR_clear_error();
		if (SSL_shutdown(t->ssl) < 0)
			ERR_clear_error();
	}
	if (t->out.n == 0)
		return;
	go_set_write_deadline(t->fd, go_in(CLOSE_PATIENCE));
	(void)tls_flush(t, TLS_SOMEBODY_SENDS);
}

int
go_tls_close(go_tls *t)
{
	if (t == NULL)
		return GO_EINVAL;
	go_mutex_lock(&t->lock);
	bool closed = t->closed;
	t->closed = true;
	if (!closed)
		say_end(t);
	go_mutex_unlock(&t->lock);
	if (closed)
		return GO_ECLOSED;
	read_away(t->fd);
	go_close(t->fd); // GO_ECLOSED: the program has done it
	return 0;
}

void
go_tls_free(go_tls *t)
{
	if (t == NULL)
		return;
	(void)go_tls_close(t);
	destroy(t);
}

// --- asked about --------------------------------------------------------------------------------

go_fd
go_tls_fd(const go_tls *t)
{
	return t != NULL ? t->fd : GO_EINVAL;
}

const char *
go_tls_why(go_tls *t)
{
	if (t == NULL)
		return "";
	go_mutex_lock(&t->lock);
	const char *why = t->failure != 0 ? t->why : "";
	go_mutex_unlock(&t->lock);
	return why;
}

const char *
go_tls_version(go_tls *t)
{
	if (t == NULL)
		return "";
	go_mutex_lock(&t->lock);
	const char *text = t->shaken ? SSL_get_version(t->ssl) : "";
	go_mutex_unlock(&t->lock);
	return text;
}

const char *
go_tls_cipher(go_tls *t)
{
	if (t == NULL)
		return "";
	go_mutex_lock(&t->lock);
	const char *text = t->shaken ? SSL_get_cipher_name(t->ssl) : "";
	go_mutex_unlock(&t->lock);
	return text;
}

int
go_tls_alpn(go_tls *t, char *buf, size_t n)
{
	const unsigned char *name = NULL;
	unsigned bytes = 0;
	if (t == NULL)
		return GO_EINVAL;
	go_mutex_lock(&t->lock);
	if (t->shaken)
		SSL_get0_alpn_selected(t->ssl, &name, &bytes);
	int length = snprintf(buf, n, "%.*s", (int)bytes, name != NULL ? (const char *)name : "");
	go_mutex_unlock(&t->lock);
	return length;
}

static int
subject_text(X509 *cert, char *buf, size_t n)
{
	char *text = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	long bytes = 0;
	if (bio != NULL && X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0,
					      XN_FLAG_RFC2253) >= 0)
		bytes = BIO_get_mem_data(bio, &text);
	int length = snprintf(buf, n, "%.*s", (int)bytes, text != NULL ? text : "");
	BIO_free(bio);
	ERR_clear_error();
	return length;
}

int
go_tls_peer(go_tls *t, char *buf, size_t n)
{
	if (t == NULL)
		return GO_EINVAL;
	go_mutex_lock(&t->lock);
	X509 *cert = t->shaken ? SSL_get0_peer_certificate(t->ssl) : NULL;
	int length = cert != NULL ? subject_text(cert, buf, n) : snprintf(buf, n, "%s", "");
	go_mutex_unlock(&t->lock);
	return length;
}
