// SPDX-License-Identifier: BSD-3-Clause
// The web server, part streams, with TLS where it was asked for.
#include <stdio.h>
#include <undergo/tls.h>
#include <unistd.h>

#include "http.h"

enum { PIECE = 64 << 10 };

static go_tls_config *config;

bool
stream_can_tls(void)
{
	return true;
}

int
stream_tls_open(const char *file)
{
	char why[200];
	go_tls_options o = {.cert_file = file, .alpn = "http/1.1"};
	config = go_tls_config_new(&o, why, sizeof why);
	if (config != NULL)
		return 0;
	fprintf(stderr, "http: %s\n", why);
	return GO_EINVAL;
}

int
stream_begin(Stream *s, go_fd fd)
{
	go_tls *t = NULL;
	*s = (Stream){fd, NULL};
	if (config == NULL)
		return 0;
	int err = go_tls_server(&t, config, fd);
	if (err != 0) {
		go_close(fd);
		return err;
	}
	go_set_deadline(fd, go_in(REQUEST_S * GO_SEC));
	err = go_tls_handshake(t);
	if (err != 0)
		go_tls_free(t);
	s->tls = t;
	return err;
}

int64_t
stream_read(Stream *s, void *buf, size_t n)
{
	return s->tls != NULL ? go_tls_read(s->tls, buf, n) : go_read(s->fd, buf, n);
}

bool
stream_write(Stream *s, const void *buf, size_t n)
{
	return (s->tls != NULL ? go_tls_write(s->tls, buf, n) : go_write(s->fd, buf, n)) ==
	       (int64_t)n;
}

bool
stream_send_file(Stream *s, int file, int64_t n)
{
	char buf[PIECE];
	if (s->tls == NULL)
		return go_sendfile(s->fd, file, NULL, (size_t)n) == n;
	while (n > 0) {
		ssize_t got = read(file, buf, n < PIECE ? (size_t)n : PIECE);
		if (got <= 0 || go_tls_write(s->tls, buf, (size_t)got) != got)
			return false;
		n -= got;
	}
	return true;
}

void
stream_end_write(Stream *s)
{
	if (s->tls != NULL)
		go_tls_close_write(s->tls);
	else
		go_close_write(s->fd);
}

void
stream_close(Stream *s)
{
	if (s->tls != NULL)
		go_tls_free(s->tls);
	else
		go_close(s->fd);
}
