// SPDX-License-Identifier: BSD-3-Clause
// The other side is OpenSSL by itself, which does what no connection of ours would: it sends half a
// message, and asks without reading the answers.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "pair.h"

typedef struct Raw {
	SSL *ssl;
	SSL_CTX *ctx;
	BIO *in, *out;
	int fd;
} Raw;

// What has come, for the SSL. False when there was nothing.
static bool
raw_take(Raw *r)
{
	char buf[4096];
	ssize_t n = recv(r->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n <= 0)
		return false;
	expect_eq(BIO_write(r->in, buf, (int)n), n);
	return true;
}

// Sends at most so many bytes of what the SSL has written. False when there is no room: the rest
// stays.
static bool
raw_send(Raw *r, long most)
{
	char *at, c[4096];
	long n;
	while (most > 0 && (n = BIO_get_mem_data(r->out, &at)) > 0) {
		n = n < most ? n : most;
		n = n < (long)sizeof(c) ? n : (long)sizeof(c);
		ssize_t put = send(r->fd, at, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put < 0)
			return false;
		expect_eq(BIO_read(r->out, c, (int)put), put);
		most -= put;
	}
	return true;
}

static Raw
raw_end(const SSL_METHOD *method, int fd)
{
	Raw r = {.fd = fd, .ctx = SSL_CTX_new(method)};
	expect(r.ctx != NULL);
	return r;
}

static void
raw_begin(Raw *r)
{
	r->ssl = SSL_new(r->ctx);
	r->in = BIO_new(BIO_s_mem());
	r->out = BIO_new(BIO_s_mem());
	expect(r->ssl != NULL && r->in != NULL && r->out != NULL);
	SSL_set_bio(r->ssl, r->in, r->out);
}

// What was written by the step that ended the handshake stays.
static void
raw_shake(Raw *r)
{
	while (SSL_do_handshake(r->ssl) != 1) {
		expect(raw_send(r, INT32_MAX));
		while (!raw_take(r))
			go_sleep(GO_MSEC / 10);
	}
}

static void
raw_end_of(Raw *r)
{
	SSL_free(r->ssl);
	SSL_CTX_free(r->ctx);
	close(r->fd);
}

static void
raw_socket(go_fd *ours, int *theirs)
{
	int fds[2];
	expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*ours = go_adopt(fds[0]);
	*theirs = fds[1];
	expect(*ours > 0);
}

typedef struct Doer {
	go_tls *t;
	int64_t n;
	Count done;
} Doer;

static void
do_handshake(void *v)
{
	Doer *d = v;
	d->n = go_tls_handshake(d->t);
	count_add(&d->done);
}

static void
do_write(void *v)
{
	Doer *d = v;
	d->n = go_tls_write(d->t, "x", 1);
	count_add(&d->done);
}

static void
do_read(void *v)
{
	Doer *d = v;
	char c;
	d->n = go_tls_read(d->t, &c, 1);
	count_add(&d->done);
}

// --- half a message -----------------------------------------------------------------------------

static int
large_ticket(SSL *ssl, void *unused)
{
	static const char data[1200];
	(void)unused;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), data, sizeof(data));
}

static SSL_TICKET_RETURN
any_ticket(SSL *ssl, SSL_SESSION *s, const unsigned char *name, size_t n, SSL_TICKET_STATUS status,
	   void *unused)
{
	(void)ssl, (void)s, (void)name, (void)n, (void)status, (void)unused;
	return SSL_TICKET_RETURN_IGNORE;
}

// A server whose tickets take several records, of which all but the first are held back. It has
// shaken hands with *t.
static Raw
server_with_half_ticket(go_tls **t)
{
	go_fd fd;
	int theirs;
	unsigned char head[5];
	raw_socket(&fd, &theirs);
	Raw r = raw_end(TLS_server_method(), theirs);
	expect_eq(SSL_CTX_use_certificate_chain_file(r.ctx, localhost_file()), 1);
	expect_eq(SSL_CTX_use_PrivateKey_file(r.ctx, localhost_file(), SSL_FILETYPE_PEM), 1);
	expect_eq(SSL_CTX_set_max_send_fragment(r.ctx, 512), 1);
	expect_eq(SSL_CTX_set_session_ticket_cb(r.ctx, large_ticket, any_ticket, NULL), 1);
	raw_begin(&r);
	SSL_set_accept_state(r.ssl);
	go_tls_config *config = client_config();
	expect_eq(go_tls_client(t, config, fd, "localhost"), 0);
	go_tls_config_free(config);
	Doer d = {.t = *t};
	expect_eq(go_spawn(do_handshake, &d), 0);
	raw_shake(&r);
	until(count_of(&d.done) == 1);
	expect_eq(d.n, 0);
	char *at;
	expect(BIO_get_mem_data(r.out, &at) > 1000);
	memcpy(head, at, sizeof(head));
	expect(raw_send(&r, 5 + (head[3] << 8 | head[4])));
	return r;
}

static void
expect_x(Raw *r)
{
	char c = 0;
	while (SSL_read(r->ssl, &c, 1) != 1)
		while (!raw_take(r))
			go_sleep(GO_MSEC / 10);
	expect_eq(c, 'x');
}

// OpenSSL does not write while it has half a message; our write waits for the rest of it.
GO_TEST(tls_write_in_half_a_message, 0)
{
	char c;
	go_tls *t;
	Raw r = server_with_half_ticket(&t);
	go_set_read_deadline(go_tls_fd(t), GO_POLL);
	expect_eq(go_tls_read(t, &c, 1), GO_EAGAIN);
	expect_eq(go_tls_write(t, "x", 1), GO_EAGAIN); // nothing has been lost
	go_set_read_deadline(go_tls_fd(t), GO_NEVER);
	Doer d = {.t = t};
	expect_eq(go_spawn(do_write, &d), 0);
	go_sleep(2 * GO_MSEC);
	expect(raw_send(&r, INT32_MAX));
	until(count_of(&d.done) == 1);
	expect_eq(d.n, 1);
	expect_x(&r);
	expect_eq(go_tls_close_write(t), 0);
	go_tls_free(t);
	raw_end_of(&r);
}

// The same while somebody else reads, to whom the rest comes.
GO_TEST(tls_write_in_half_a_message_read, 0)
{
	go_tls *t;
	Raw r = server_with_half_ticket(&t);
	Doer reads = {.t = t}, writes = {.t = t};
	expect_eq(go_spawn(do_read, &reads), 0);
	go_sleep(2 * GO_MSEC);
	expect_eq(go_spawn(do_write, &writes), 0);
	go_sleep(2 * GO_MSEC);
	expect(raw_send(&r, INT32_MAX));
	until(count_of(&writes.done) == 1);
	expect_eq(writes.n, 1);
	expect_x(&r);
	expect_eq(SSL_write(r.ssl, "y", 1), 1);
	expect(raw_send(&r, INT32_MAX));
	until(count_of(&reads.done) == 1);
	expect_eq(reads.n, 1);
	go_tls_free(t);
	raw_end_of(&r);
}

static void
do_close(void *v)
{
	Doer *d = v;
	d->n = go_tls_close(d->t);
	count_add(&d->done);
}

// r is told that the other side has ended, not cut off, though that had half a message of r's.
static void
expect_end(Raw *r, go_tls *t)
{
	char c;
	int n;
	Doer closes = {.t = t};
	expect_eq(go_spawn(do_close, &closes), 0);
	go_sleep(2 * GO_MSEC);
	expect(raw_send(r, INT32_MAX));
	until(count_of(&closes.done) == 1);
	expect_eq(closes.n, 0);
	while ((n = SSL_read(r->ssl, &c, 1)) != 1 &&
	       SSL_get_error(r->ssl, n) == SSL_ERROR_WANT_READ)
		expect(raw_take(r));
	expect_eq(SSL_get_error(r->ssl, n), SSL_ERROR_ZERO_RETURN);
}

GO_TEST(tls_close_in_half_a_message, 0)
{
	char c;
	go_tls *t;
	Raw r = server_with_half_ticket(&t);
	go_set_read_deadline(go_tls_fd(t), GO_POLL);
	expect_eq(go_tls_read(t, &c, 1), GO_EAGAIN);
	expect_end(&r, t);
	go_tls_free(t);
	raw_end_of(&r);
}

// The same while somebody else reads, to whom the rest comes.
GO_TEST(tls_close_in_half_a_message_read, 0)
{
	go_tls *t;
	Raw r = server_with_half_ticket(&t);
	Doer reads = {.t = t};
	expect_eq(go_spawn(do_read, &reads), 0);
	go_sleep(2 * GO_MSEC);
	expect_end(&r, t);
	until(count_of(&reads.done) == 1);
	expect_eq(reads.n, GO_ECLOSED);
	go_tls_free(t);
	raw_end_of(&r);
}

// What comes is no rest of it, but nonsense: r is told so before the end.
GO_TEST(tls_close_in_half_a_message_bad, 0)
{
	static const char nonsense[5 + 32] = "\x17\x03\x03\0\x20";
	char c;
	go_tls *t;
	Raw r = server_with_half_ticket(&t);
	go_set_read_deadline(go_tls_fd(t), GO_POLL);
	expect_eq(go_tls_read(t, &c, 1), GO_EAGAIN);
	Doer closes = {.t = t};
	expect_eq(go_spawn(do_close, &closes), 0);
	expect_eq(send(r.fd, nonsense, sizeof(nonsense), MSG_NOSIGNAL), sizeof(nonsense));
	until(count_of(&closes.done) == 1);
	expect_eq(closes.n, 0);
	expect(raw_take(&r));
	ERR_clear_error();
	expect(SSL_read(r.ssl, &c, 1) != 1);
	expect_eq(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
	go_tls_free(t);
	raw_end_of(&r);
}

// --- questions without end ----------------------------------------------------------------------

static void
write_for_ever(void *v)
{
	static char buf[100000];
	Doer *d = v;
	while (go_tls_write(d->t, buf, sizeof(buf)) > 0)
		;
	count_add(&d->done);
}

// The other side wants keys changed, again and again, and reads nothing. Each change has an answer,
// which cannot be sent; so at some time nothing more is read.
GO_TEST(tls_unread_answers_are_bounded, 0)
{
	enum { MANY = 20000 };
	go_fd fd;
	go_tls *t;
	int theirs, sent = 0;
	raw_socket(&fd, &theirs);
	go_tls_config *config = server_config();
	expect_eq(go_tls_server(&t, config, fd), 0);
	go_tls_config_free(config);
	Raw r = raw_end(TLS_client_method(), theirs);
	raw_begin(&r);
	SSL_set_connect_state(r.ssl);
	Doer shakes = {.t = t}, reads = {.t = t}, writes = {.t = t};
	expect_eq(go_spawn(do_handshake, &shakes), 0);
	raw_shake(&r);
	expect(raw_send(&r, INT32_MAX));
	until(count_of(&shakes.done) == 1);
	expect_eq(go_spawn(write_for_ever, &writes), 0);
	go_sleep(20 * GO_MSEC);
	expect_eq(go_spawn(do_read, &reads), 0);
	for (bool room = true; room && sent < MANY; sent++) {
		expect_eq(SSL_key_update(r.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		expect_eq(SSL_do_handshake(r.ssl), 1);
		int64_t end = go_in(GO_SEC);
		while (!(room = raw_send(&r, INT32_MAX)) && go_now() < end)
			go_sleep(GO_MSEC);
	}
	expect(sent < MANY);
	expect_eq(go_tls_close(t), 0);
	until(count_of(&reads.done) == 1 && count_of(&writes.done) == 1);
	go_tls_free(t);
	raw_end_of(&r);
}
