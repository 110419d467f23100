// SPDX-License-Identifier: BSD-3-Clause
// Shaking hands, reading, writing: OpenSSL works on two buffers, and here they are filled from the
// descriptor and emptied into it.
//
// Invariants:
//   I1  No call of undergo is made inside a call of OpenSSL, nor between one and the look at its
//       errors: see README.
//   I2  fd is read by one goroutine at a time, who has set `receiving`, and into `in` only when
//       that is empty, so bio.c does not look. Who wants more, too, waits until it has come. Mostly
//       it is who has `reading`; but OpenSSL writes nothing while it has half a message of the
//       handshake's kind, a ticket or a change of keys: so who writes may wait for the other half.
//   I3  Bytes go out in the order in which OpenSSL made them: one goroutine sends, it takes all
//       there is, and looks again before it stops. Who finds one sending need not send.
//   I4  After bytes were lost on their way out nothing is sent any more (write_failure).
//   I5  What the other side can make us answer without reading our answers is bounded: who reads
//       leaves so much to who sends, and then waits for him.
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "tls_impl.h"

// --- sending ------------------------------------------------------------------------------------

// A write of the descriptor that ends early tells why when it is called again.
static int
send_all(go_fd fd, const unsigned char *at, size_t n)
{
	while (n != 0) {
		int64_t put = go_write(fd, at, n);
		if (put < 0)
			return (int)put;
		at += put;
		n -= (size_t)put;
	}
	return 0;
}

// I3
static void
send_out(go_tls *t)
{
	t->sending = true;
	while (t->out.n != 0 && t->write_failure == 0) {
		TlsBytes part = t->out;
		t->out = t->sent_last;
		t->sent_last = (TlsBytes){0};
		go_mutex_unlock(&t->lock);
		int err = send_all(t->fd, part.at, part.n);
		go_mutex_lock(&t->lock);
		part.n = 0;
		t->sent_last = part;
		t->write_failure = err; // I4
	}
	t->sending = false;
	go_cond_broadcast(&t->sent);
}

int
tls_flush(go_tls *t, TlsWait wait)
{
	int err = 0;
	while (err == 0 && t->sending) {
		if (wait == TLS_SOMEBODY_SENDS)
			return 0;
		err = go_cond_wait(&t->sent, &t->lock, GO_NEVER);
	}
	if (err == 0 && t->out.n != 0)
		send_out(t);
	if (t->write_failure != 0 && !t->sending)
		t->out.n = 0; // I4, I5
	return t->write_failure != 0 ? t->write_failure : err;
}

static void
give_back(TlsBytes *b)
{
	free(b->at);
	*b = (TlsBytes){0};
}

void
tls_rest(go_tls *t)
{
	if (t->sending || t->out.n != 0)
		return;
	if (t->out.room > TLS_KEPT_BYTES)
		give_back(&t->out);
	if (t->sent_last.room > TLS_KEPT_BYTES)
		give_back(&t->sent_last);
}

// --- receiving ----------------------------------------------------------------------------------

// OpenSSL wants more, or did. Locks: lock, given up meanwhile; I2.
static int
receive(go_tls *t)
{
	if (t->receiving)
		return go_cond_wait(&t->came, &t->lock, GO_NEVER);
	if (t->in_n != 0)
		return 0;
	t->receiving = true;
	go_mutex_unlock(&t->lock);
	int64_t n = go_read(t->fd, t->in, sizeof(t->in));
	go_mutex_lock(&t->lock);
	t->receiving = false;
	go_cond_broadcast(&t->came);
	if (n > 0) {
		t->in_at = 0;
		t->in_n = (size_t)n;
	}
	if (t->closed)
		return GO_ECLOSED;
	return n > 0 ? 0 : n == 0 ? GO_EEOF : (int)n;
}

static int
state(const go_tls *t)
{
	return t->closed ? GO_ECLOSED : t->failure;
}

// --- the handshake ------------------------------------------------------------------------------

// One step. 0: done; GO_EAGAIN: more is to come from the other side.
static int
shake_once(go_tls *t)
{
	ERR_clear_error();
	int r = SSL_do_handshake(t->ssl);
	if (r == 1) {
		t->shaken = true;
		return 0;
	}
	return SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_READ ? GO_EAGAIN : tls_failed(t);
}

bool
tls_whole(go_tls *t)
{
	while (SSL_in_init(t->ssl)) {
		int err = shake_once(t);
		if (err == GO_EAGAIN) {
			(void)receive(t);
			err = t->in_n != 0 ? 0 : GO_EAGAIN;
		}
		if (err != 0)
			return false;
	}
	return true;
}

// What a failure has to say to the other side, an alert, goes out as well as the rest.
static int
shake(go_tls *t)
{
	for (;;) {
		int err = state(t);
		if (err != 0 || t->shaken)
			return err;
		err = shake_once(t);
		int sent = tls_flush(t, TLS_MUST_GO_OUT);
		if (err == GO_EAGAIN)
			err = sent != 0 ? sent : receive(t);
		else if (err == 0)
			err = sent;
		if (err != 0)
			return state(t) != 0 ? state(t) : err;
	}
}

int
tls_shake(go_tls *t)
{
	go_mutex_lock(&t->lock);
	bool shaken = t->shaken;
	go_mutex_unlock(&t->lock);
	if (shaken)
		return 0;
	go_mutex_lock(&t->shaking);
	go_mutex_lock(&t->lock);
	int err = shake(t);
	tls_rest(t);
	go_mutex_unlock(&t->lock);
	go_mutex_unlock(&t->shaking);
	return err;
}

int
go_tls_handshake(go_tls *t)
{
	return t != NULL ? tls_shake(t) : GO_EINVAL;
}

// --- reading ------------------------------------------------------------------------------------

// GO_EAGAIN: more is to come.
static int64_t
read_once(go_tls *t, void *buf, size_t n)
{
	size_t got = 0;
	ERR_clear_error();
	int r = SSL_read_ex(t->ssl, buf, n, &got);
	if (r == 1)
		return (int64_t)got;
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
		return GO_EAGAIN;
	default:
		return tls_failed(t);
	}
}

// Reading may have to answer: keys that change, an alert. Whether that went out is the writers'
// affair. Locks: reading, lock.
static int64_t
read_some(go_tls *t, void *buf, size_t n)
{
	for (;;) {
		int64_t got = state(t);
		if (got != 0)
			return got;
		got = read_once(t, buf, n);
		if (t->out.n != 0) // I5
			(void)tls_flush(t, t->out.n < TLS_PIECE ? TLS_SOMEBODY_SENDS
								: TLS_MUST_GO_OUT);
		if (got != GO_EAGAIN)
			return got;
		got = receive(t);
		if (got != 0)
			return got;
	}
}

static int64_t
read_until(go_tls *t, char *buf, size_t n, size_t least)
{
	size_t done = 0;
	if (t == NULL)
		return GO_EINVAL;
	go_mutex_lock(&t->reading);
	int64_t got = tls_shake(t);
	go_mutex_lock(&t->lock);
	while (got == 0 && n != 0 && done < least) {
		int64_t more = read_some(t, buf + done, n - done);
		if (more == 0)
			break;
		if (more < 0)
			got = more;
		else
			done += (size_t)more;
	}
	tls_rest(t);
	go_mutex_unlock(&t->lock);
	go_mutex_unlock(&t->reading);
	return got != 0 ? got : (int64_t)done;
}

int64_t
go_tls_read(go_tls *t, void *buf, size_t n)
{
	return read_until(t, buf, n, 1);
}

int64_t
go_tls_read_full(go_tls *t, void *buf, size_t n)
{
	return read_until(t, buf, n, n);
}

// --- writing ------------------------------------------------------------------------------------

static int
may_write(const go_tls *t)
{
	int err = state(t);
	if (err == 0)
		err = t->write_failure;
	return err == 0 && t->ended ? GO_ERRNO(EPIPE) : err;
}

// 0: OpenSSL would write now. I2. Locks: writing, lock, given up meanwhile.
static int
ready_to_write(go_tls *t)
{
	for (;;) {
		int err = may_write(t);
		if (err != 0 || !SSL_in_init(t->ssl))
			return err;
		err = shake_once(t);
		if (t->out.n != 0)
			(void)tls_flush(t, TLS_SOMEBODY_SENDS);
		if (err == GO_EAGAIN)
			err = receive(t);
		if (err != 0)
			return err;
	}
}

// So many bytes of it went out, or an error. Locks: writing, lock.
static int64_t
write_some(go_tls *t, const char *buf, size_t n)
{
	size_t put = 0;
	int err = ready_to_write(t);
	if (err != 0)
		return err;
	ERR_clear_error();
	if (SSL_write_ex(t->ssl, buf, n < TLS_PIECE ? n : TLS_PIECE, &put) != 1) {
		err = tls_failed(t);
		(void)tls_flush(t, TLS_SOMEBODY_SENDS);
		return err;
	}
	err = tls_flush(t, TLS_MUST_GO_OUT);
	if (err != 0)
		return t->closed ? GO_ECLOSED : err;
	return (int64_t)put;
}

int64_t
go_tls_write(go_tls *t, const void *buf, size_t n)
{
	size_t done = 0;
	if (t == NULL)
		return GO_EINVAL;
	go_mutex_lock(&t->writing);
	int64_t put = tls_shake(t);
	go_mutex_lock(&t->lock);
	if (put == 0 && n == 0)
		put = may_write(t);
	while (put >= 0 && done < n) {
		put = write_some(t, (const char *)buf + done, n - done);
		done += put > 0 ? (size_t)put : 0;
	}
	tls_rest(t);
	go_mutex_unlock(&t->lock);
	go_mutex_unlock(&t->writing);
	return put < 0 && done == 0 ? put : (int64_t)done;
}

int
go_tls_close_write(go_tls *t)
{
	if (t == NULL)
		return GO_EINVAL;
	go_mutex_lock(&t->writing);
	int err = tls_shake(t);
	go_mutex_lock(&t->lock);
	if (err == 0)
		err = ready_to_write(t);
	if (err == 0) {
		ERR_clear_error();
		t->ended = true;
		err = SSL_shutdown(t->ssl) < 0 ? tls_failed(t) : 0;
		int sent = tls_flush(t, TLS_MUST_GO_OUT);
		err = err != 0 ? err : sent;
	} else if (t->ended && err == GO_ERRNO(EPIPE)) {
		err = 0;
	}
	go_mutex_unlock(&t->lock);
	go_mutex_unlock(&t->writing);
	return err;
}
