// SPDX-License-Identifier: BSD-3-Clause
// The web server, part streams, without TLS: for where OpenSSL is missing.
#include <stdio.h>

#include "http.h"

bool
stream_can_tls(void)
{
	return false;
}

int
stream_tls_open(const char *file)
{
	fprintf(stderr, "http: %s: built without TLS\n", file);
	return GO_ENOSYS;
}

int
stream_begin(Stream *s, go_fd fd)
{
	*s = (Stream){fd, NULL};
	return 0;
}

int64_t
stream_read(Stream *s, void *buf, size_t n)
{
	return go_read(s->fd, buf, n);
}

bool
stream_write(Stream *s, const void *buf, size_t n)
{
	return go_write(s->fd, buf, n) == (int64_t)n;
}

bool
stream_send_file(Stream *s, int file, int64_t n)
{
	return go_sendfile(s->fd, file, NULL, (size_t)n) == n;
}

void
stream_end_write(Stream *s)
{
	go_close_write(s->fd);
}

void
stream_close(Stream *s)
{
	go_close(s->fd);
}
