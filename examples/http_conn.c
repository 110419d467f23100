// SPDX-License-Identifier: BSD-3-Clause
// The web server, part connections: bytes become requests, by libhttp-parser, and each complete one
// is answered at once. Answers go out when nothing is left to parse, so those to requests that came
// together leave together.
//
// A client has so long for a request, from its first byte on, whatever the size of its pieces, and
// so long to take an answer. What cannot be understood is answered with a status of 400 and more,
// and ends the connection.
#include <string.h>
#include <strings.h>

#include "http.h"

enum { LINGER_READS = 64 };

static Conn *
conn_of(http_parser *p)
{
	return p->data;
}

static bool
field_is(const Conn *c, const char *name)
{
	return c->field_n == strlen(name) && strncasecmp(c->field, name, c->field_n) == 0;
}

// --- what the parser tells ----------------------------------------------------------------------

static int
on_begin(http_parser *p)
{
	Conn *c = conn_of(p);
	c->begun = true;
	c->timed = false;
	c->refusal = 0;
	c->has_host = c->expects = c->in_value = false;
	c->url_n = c->body_n = c->field_n = 0;
	return 0;
}

static int
on_url(http_parser *p, const char *at, size_t n)
{
	Conn *c = conn_of(p);
	if (n >= sizeof c->url - c->url_n) {
		c->refusal = HTTP_STATUS_URI_TOO_LONG;
		return 0;
	}
	memcpy(c->url + c->url_n, at, n);
	c->url_n += n;
	return 0;
}

// Names and values may come in pieces, too.
static int
on_field(http_parser *p, const char *at, size_t n)
{
	Conn *c = conn_of(p);
	if (c->in_value)
		c->field_n = 0;
	c->in_value = false;
	for (size_t i = 0; i < n && c->field_n < sizeof c->field; i++)
		c->field[c->field_n++] = at[i];
	return 0;
}

static int
on_value(http_parser *p, const char *at, size_t n)
{
	Conn *c = conn_of(p);
	if (!c->in_value && field_is(c, "Host")) {
		if (c->has_host)
			c->refusal = HTTP_STATUS_BAD_REQUEST;
		c->has_host = true;
	} else if (!c->in_value && field_is(c, "Expect")) {
		c->expects = n == 12 && strncasecmp(at, "100-continue", n) == 0;
	}
	c->in_value = true;
	return 0;
}

static int
on_headers(http_parser *p)
{
	Conn *c = conn_of(p);
	bool modern = p->http_major > 1 || (p->http_major == 1 && p->http_minor >= 1);
	if (p->http_major != 1)
		c->refusal = HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED;
	else if (modern && !c->has_host)
		c->refusal = HTTP_STATUS_BAD_REQUEST;
	else if (p->content_length != UINT64_MAX && p->content_length > BODY_MAX)
		c->refusal = HTTP_STATUS_PAYLOAD_TOO_LARGE;
	if (c->refusal == 0 && c->expects)
		answer_continue(c);
	return c->refusal != 0 ? -1 : 0;
}

// Nothing here has a use for bodies.
static int
on_body(http_parser *p, const char *at, size_t n)
{
	Conn *c = conn_of(p);
	(void)at;
	c->body_n += n;
	if (c->body_n <= BODY_MAX)
		return 0;
	c->refusal = HTTP_STATUS_PAYLOAD_TOO_LARGE;
	return -1;
}

static int
on_complete(http_parser *p)
{
	Conn *c = conn_of(p);
	c->begun = false;
	c->head = p->method == HTTP_HEAD;
	if (!http_should_keep_alive(p) || p->upgrade != 0 || atomic_load(&stopping))
		c->last = true;
	answer_request(c);
	if (c->last || c->broken)
		http_parser_pause(p, 1);
	return 0;
}

static const http_parser_settings settings = {
    .on_message_begin = on_begin,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

// --- reading ------------------------------------------------------------------------------------

// The deadline of a request stands from its first byte on; that for the next one is set anew about
// each second.
static void
set_read_deadline(Conn *c)
{
	if (c->begun && c->timed)
		return;
	int64_t when = this_second()->now + (c->begun ? REQUEST_S : IDLE_S) * GO_SEC;
	if (when != c->read_deadline)
		go_set_read_deadline(c->stream.fd, when);
	if (when != c->read_deadline && c->stream.tls != NULL) { // TLS writes as it reads, too
		c->write_deadline = when + ANSWER_S * GO_SEC;
		go_set_write_deadline(c->stream.fd, c->write_deadline);
	}
	c->read_deadline = when;
	c->timed = c->begun;
}

// A server that stops ends the waits of those who are idle, after it has said so: see http.c.
static int64_t
read_more(Conn *c, char *buf)
{
	set_read_deadline(c);
	atomic_store(&c->idle, !c->begun);
	if (!c->begun && atomic_load(&stopping))
		return 0;
	int64_t n = stream_read(&c->stream, buf, READ_BYTES);
	atomic_store(&c->idle, false);
	return n;
}

static int
status_of(const Conn *c)
{
	if (c->refusal != 0)
		return c->refusal;
	return HTTP_PARSER_ERRNO(&c->parser) == HPE_HEADER_OVERFLOW
		   ? HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE
		   : HTTP_STATUS_BAD_REQUEST;
}

// A socket that is closed with something unread in it is reset, and the client may never see its
// answer: so that is read, for a while.
static void
linger(Conn *c, char *buf)
{
	stream_end_write(&c->stream);
	go_set_read_deadline(c->stream.fd, go_in(GO_SEC));
	for (int i = 0; i < LINGER_READS && stream_read(&c->stream, buf, READ_BYTES) > 0; i++)
		;
}

void
conn_serve(Conn *c)
{
	char buf[READ_BYTES];
	int64_t n;
	http_parser_init(&c->parser, HTTP_REQUEST);
	c->parser.data = c;
	while (!c->last && answer_flush(c) && (n = read_more(c, buf)) > 0) {
		http_parser_execute(&c->parser, &settings, buf, (size_t)n);
		enum http_errno err = HTTP_PARSER_ERRNO(&c->parser);
		if (err == HPE_OK || err == HPE_PAUSED)
			continue;
		c->head = false;
		c->last = true;
		answer_status(c, status_of(c));
	}
	if (c->last && answer_flush(c))
		linger(c, buf);
}
