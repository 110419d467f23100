// SPDX-License-Identifier: BSD-3-Clause
// The BIO through which an SSL reads and writes: the two buffers of its connection, no descriptor.
//
// Invariants:
//   I1  Nothing here waits, nor calls undergo: see README. An empty buffer is "try again".
//   I2  Called by OpenSSL, in calls that are made with the connection's lock held.
#include <stdlib.h>
#include <string.h>

#include "tls_impl.h"

static int
bio_read(BIO *bio, char *buf, size_t n, size_t *got)
{
	go_tls *t = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	*got = n < t->in_n ? n : t->in_n;
	if (*got == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	memcpy(buf, t->in + t->in_at, *got);
	t->in_at += *got;
	t->in_n -= *got;
	return 1;
}

static int
bio_write(BIO *bio, const char *buf, size_t n, size_t *put)
{
	go_tls *t = BIO_get_data(bio);
	TlsBytes *out = &t->out;
	BIO_clear_retry_flags(bio);
	if (out->room - out->n < n) {
		size_t room = 2 * out->room + n;
		unsigned char *at = realloc(out->at, room);
		*put = 0;
		if (at == NULL) {
			t->no_memory = true;
			return 0;
		}
		out->at = at;
		out->room = room;
	}
	memcpy(out->at + out->n, buf, n);
	out->n += n;
	*put = n;
	return 1;
}

static long
bio_ctrl(BIO *bio, int what, long unused, void *unused2)
{
	(void)bio, (void)unused, (void)unused2;
	return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;
static go_once method_once;

static void
make_method(void *unused)
{
	(void)unused;
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "undergo");
	if (m == NULL)
		return;
	BIO_meth_set_read_ex(m, bio_read);
	BIO_meth_set_write_ex(m, bio_write);
	BIO_meth_set_ctrl(m, bio_ctrl);
	method = m;
}

// NULL without memory.
BIO *
tls_bio_new(go_tls *t)
{
	go_once_do(&method_once, make_method, NULL);
	BIO *bio = method != NULL ? BIO_new(method) : NULL;
	if (bio == NULL)
		return NULL;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	return bio;
}
