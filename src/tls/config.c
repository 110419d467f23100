// SPDX-License-Identifier: BSD-3-Clause
// Configurations: options become an SSL_CTX, once for many connections.
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls_impl.h"

// OpenSSL would take its tables down at exit, when other goroutines may still be in it.
static void
begin_openssl(void *unused)
{
	(void)unused;
	OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
}

// A key with a pass phrase is refused; OpenSSL would ask for it at the terminal.
static int
no_pass_phrase(char *buf, int n, int unused, void *unused2)
{
	(void)buf, (void)n, (void)unused, (void)unused2;
	return 0;
}

// "h2,http/1.1" as it goes over the wire: each name behind its length.
static bool
take_alpn(go_tls_config *c, const char *names)
{
	while (names != NULL && *names != '\0') {
		size_t n = strcspn(names, ",");
		if (n == 0 || n > 255 || c->alpn_bytes + 1 + n > sizeof(c->alpn))
			return false;
		c->alpn[c->alpn_bytes++] = (unsigned char)n;
		memcpy(c->alpn + c->alpn_bytes, names, n);
		c->alpn_bytes += (unsigned)n;
		names += n;
		if (*names == ',' && *++names == '\0')
			return false;
	}
	return true;
}

// A server's choice: the first of its own that the client has, too. None in common ends the
// handshake, as a protocol that one side only guesses is a way to be fooled.
static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *theirs,
	    unsigned theirs_n, void *arg)
{
	go_tls_config *c = arg;
	unsigned char *chosen;
	(void)ssl;
	if (SSL_select_next_proto(&chosen, n, c->alpn, c->alpn_bytes, theirs, theirs_n) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static const char *
load_trusted(SSL_CTX *ctx, const go_tls_options *o)
{
	if (o->ca_file == NULL && o->ca_dir == NULL)
		return SSL_CTX_set_default_verify_paths(ctx) == 1 ? NULL : "the system's store";
	if (o->ca_file != NULL) {
		if (SSL_CTX_load_verify_file(ctx, o->ca_file) != 1)
			return o->ca_file;
		// What a server tells its clients about whose certificates it takes.
		STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(o->ca_file);
		if (names == NULL)
			return o->ca_file;
		SSL_CTX_set_client_CA_list(ctx, names);
	}
	if (o->ca_dir != NULL && SSL_CTX_load_verify_dir(ctx, o->ca_dir) != 1)
		return o->ca_dir;
	return NULL;
}

static const char *
load_own(SSL_CTX *ctx, const go_tls_options *o)
{
	const char *key = o->key_file != NULL ? o->key_file : o->cert_file;
	if (o->cert_file == NULL)
		return o->key_file; // a key for nothing
	if (SSL_CTX_use_certificate_chain_file(ctx, o->cert_file) != 1)
		return o->cert_file;
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return key;
	return NULL;
}

static bool
set_up(go_tls_config *c, const go_tls_options *o)
{
	static const unsigned char id[] = "undergo";
	SSL_CTX *ctx = c->ctx;
	int version = o->min_version == GO_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
	SSL_CTX_set_default_passwd_cb(ctx, no_pass_phrase);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	// Idle connections keep no record buffers.
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (c->alpn_bytes != 0)
		SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, c);
	return SSL_CTX_set_min_proto_version(ctx, version) == 1 &&
	       SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1) == 1 &&
	       (c->alpn_bytes == 0 || SSL_CTX_set_alpn_protos(ctx, c->alpn, c->alpn_bytes) == 0);
}

// NULL, or what is wrong with the options themselves.
static const char *
fault_of(const go_tls_options *o)
{
	if (o->min_version != 0 && o->min_version != GO_TLS_1_2 && o->min_version != GO_TLS_1_3)
		return "no such version of TLS";
	if (o->clients < GO_TLS_ANYBODY || o->clients > GO_TLS_REQUIRE)
		return "no such value for clients";
	if (o->clients != GO_TLS_ANYBODY && o->ca_file == NULL && o->ca_dir == NULL)
		return "certificates of clients need a ca_file or ca_dir";
	return NULL;
}

// Locks: none. Nothing of undergo is called between OpenSSL's failure and its text.
static bool
fill(go_tls_config *c, const go_tls_options *o, char *why, size_t n)
{
	char text[TLS_WHY_MAX];
	const char *what = fault_of(o);
	if (what != NULL) {
		snprintf(why, n, "%s", what);
		return false;
	}
	if (!take_alpn(c, o->alpn)) {
		snprintf(why, n, "alpn is no list of names");
		return false;
	}
	c->clients = o->clients;
	c->insecure = o->insecure;
	c->has_cert = o->cert_file != NULL;
	ERR_clear_error();
	c->ctx = SSL_CTX_new(TLS_method());
	if (c->ctx == NULL || !set_up(c, o))
		what = "OpenSSL";
	if (what == NULL)
		what = load_trusted(c->ctx, o);
	if (what == NULL)
		what = load_own(c->ctx, o);
	if (what == NULL)
		return true;
	tls_openssl_text(text, sizeof(text));
	snprintf(why, n, "%s: %s", what, text);
	return false;
}

go_tls_config *
go_tls_config_new(const go_tls_options *options, char *why, size_t n)
{
	static go_once once;
	static const go_tls_options defaults;
	go_once_do(&once, begin_openssl, NULL);
	go_tls_config *c = calloc(1, sizeof(*c));
	if (c == NULL) {
		snprintf(why, n, "%s", go_strerror(GO_ENOMEM));
		return NULL;
	}
	c->refs = 1;
	if (fill(c, options != NULL ? options : &defaults, why, n))
		return c;
	tls_config_let_go(c);
	return NULL;
}

// Of all configurations: who unlocks looks at a mutex once more, when another one may have freed
// what it was in.
static go_mutex refs_lock = GO_MUTEX_INIT;

void
tls_config_hold(go_tls_config *c)
{
	go_mutex_lock(&refs_lock);
	c->refs++;
	go_mutex_unlock(&refs_lock);
}

void
tls_config_let_go(go_tls_config *c)
{
	go_mutex_lock(&refs_lock);
	size_t left = --c->refs;
	go_mutex_unlock(&refs_lock);
	if (left != 0)
		return;
	SSL_CTX_free(c->ctx);
	free(c);
}

void
go_tls_config_free(go_tls_config *config)
{
	if (config != NULL)
		tls_config_let_go(config);
}
