// SPDX-License-Identifier: BSD-3-Clause
// The key-value server, part wire: RESP2, the protocol of Redis. A command is an array of bulk
// strings, or words on a line. Commands may come many at a time, and in pieces.
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "kv.h"

enum {
	READ_BYTES = 16 << 10,  // room for a read
	KEPT_BYTES = 256 << 10, // a buffer that grew beyond is given back when it is empty
	LINE_MAX_BYTES = 64 << 10,
	BULK_MAX = 512 << 20,
	ARGS_MAX = 1 << 20,
};

static void *
grown(void *p, size_t n)
{
	p = realloc(p, n);
	if (p == NULL) {
		fprintf(stderr, "kv: out of memory\n");
		exit(1);
	}
	return p;
}

// --- texts and numbers --------------------------------------------------------------------------

bool
bytes_are(go_bytes b, const char *word)
{
	return strlen(word) == b.n && strncasecmp(b.p, word, b.n) == 0;
}

bool
bytes_number(go_bytes b, int64_t *n)
{
	const char *p = b.p;
	bool minus = b.n > 1 && *p == '-';
	uint64_t v = 0, most = (uint64_t)INT64_MAX + minus;
	size_t i = minus;
	if (b.n == i || b.n - i > 19 || (p[i] == '0' && b.n > 1))
		return false;
	for (; i < b.n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(p[i] - '0');
	}
	if (v > most)
		return false;
	*n = (int64_t)(minus ? -v : v);
	return true;
}

size_t
number_text(int64_t n, char text[24])
{
	char digits[20];
	size_t at = sizeof(digits), length;
	uint64_t v = n < 0 ? -(uint64_t)n : (uint64_t)n;
	do
		digits[--at] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	if (n < 0)
		*text = '-';
	length = sizeof(digits) - at;
	memcpy(text + (n < 0), digits + at, length);
	return length + (n < 0);
}

// --- replies ------------------------------------------------------------------------------------

static inline char *
room_for(Client *c, size_t n)
{
	if (c->out_room - c->out_n < n) {
		c->out_room = 2 * c->out_room + n;
		c->out = grown(c->out, c->out_room);
	}
	return c->out + c->out_n;
}

// ":12\r\n" and the like.
static void
put_number(Client *c, char mark, int64_t n)
{
	char *at = room_for(c, 32), *end = at + 1;
	*at = mark;
	end += number_text(n, end);
	*end++ = '\r';
	*end++ = '\n';
	c->out_n += (size_t)(end - at);
}

static void
put(Client *c, const void *p, size_t n)
{
	memcpy(room_for(c, n + 2), p, n);
	memcpy(c->out + c->out_n + n, "\r\n", 2);
	c->out_n += n + 2;
}

void
reply_text(Client *c, const char *line)
{
	put(c, line, strlen(line));
}

void
reply_int(Client *c, int64_t n)
{
	put_number(c, ':', n);
}

void
reply_bulk(Client *c, const void *p, size_t n)
{
	put_number(c, '$', (int64_t)n);
	put(c, n != 0 ? p : "", n);
}

void
reply_null(Client *c)
{
	reply_text(c, "$-1");
}

void
reply_array(Client *c, size_t n)
{
	put_number(c, '*', (int64_t)n);
}

void
reply_wrong_kind(Client *c)
{
	reply_text(c, "-WRONGTYPE Operation against a key holding the wrong kind of value");
}

void
reply_error(Client *c, const char *format, ...)
{
	char text[200] = "-ERR ";
	va_list args;
	va_start(args, format);
	vsnprintf(text + 5, sizeof(text) - 5, format, args);
	va_end(args);
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ') // what the client said may be in it
			*p = ' ';
	reply_text(c, text);
}

bool
wire_flush(Client *c)
{
	bool sent = c->out_n == 0 || go_write(c->fd, c->out, c->out_n) == (int64_t)c->out_n;
	c->out_n = 0;
	if (c->out_room > KEPT_BYTES) {
		free(c->out);
		c->out = NULL;
		c->out_room = 0;
	}
	return sent;
}

// --- commands -----------------------------------------------------------------------------------

// What is left of earlier ones moves to the front, unless it is all and there is room behind it.
bool
wire_read(Client *c)
{
	if (c->at != 0) {
		c->n -= c->at;
		memmove(c->in, c->in + c->at, c->n);
		c->scanned = c->scanned > c->at ? c->scanned - c->at : 0;
		c->at = 0;
	}
	if (c->n == 0 && c->room > KEPT_BYTES)
		c->in = grown(c->in, c->room = READ_BYTES);
	if (c->room - c->n < READ_BYTES)
		c->in = grown(c->in, c->room = 2 * c->room + READ_BYTES);
	int64_t n = go_read(c->fd, c->in + c->n, c->room - c->n);
	if (n <= 0)
		return false;
	c->n += (size_t)n;
	return true;
}

static Parse
nonsense(Client *c, const char *why)
{
	reply_error(c, "Protocol error: %s", why);
	return PARSE_NONSENSE;
}

static void
want_args(Client *c, int n)
{
	if (c->args_room < n) {
		c->args_room = n;
		c->args = grown(c->args, (size_t)n * sizeof(*c->args));
	}
}

// A number behind a mark, to the end of its line: where that is; NULL when it has not come, and
// *n -2 when there is no number.
static const char *
line_number(const char *at, const char *end, int64_t *n)
{
	const char *p = at;
	int64_t v = 0;
	bool minus = p < end && *p == '-';
	p += minus;
	for (; p < end && *p >= '0' && *p <= '9' && v <= INT_MAX; p++)
		v = v * 10 + (*p - '0');
	if (p == end || (*p == '\r' && p + 1 == end))
		return NULL;
	*n = *p != '\r' || p[1] != '\n' || p == at + minus ? -2 : minus ? -v : v;
	return p + 2;
}

// Arguments are kept as places in the buffer, which may move, until all have come.
static Parse
parse_bulks(Client *c)
{
	while (c->args_have < c->args_want) {
		const char *at = c->in + c->scanned, *end = c->in + c->n, *data;
		int64_t n = 0;
		if (at == end)
			return PARSE_MORE;
		if (*at != '$')
			return nonsense(c, "expected '$'");
		data = line_number(at + 1, end, &n);
		if (data == NULL)
			return PARSE_MORE;
		if (n < 0 || n > BULK_MAX)
			return nonsense(c, "invalid bulk length");
		if (end - data < n + 2)
			return PARSE_MORE;
		if (data[n] != '\r' || data[n + 1] != '\n')
			return nonsense(c, "a bulk string that does not end");
		want_args(c, c->args_have + 1 > c->args_room ? 2 * c->args_have + 8 : 1);
		size_t place = (size_t)(data - c->in) - c->at;
		c->args[c->args_have++] = (go_bytes){(void *)place, (size_t)n};
		c->scanned = (size_t)(data + n + 2 - c->in);
	}
	for (int i = 0; i < c->args_have; i++)
		c->args[i].p = c->in + c->at + (size_t)c->args[i].p;
	c->n_args = c->args_have;
	c->at = c->scanned;
	c->args_want = 0;
	return PARSE_COMMAND;
}

static Parse
parse_words(Client *c)
{
	char *at = c->in + c->at, *end = memchr(at, '\n', c->n - c->at);
	if (end == NULL)
		return c->n - c->at > LINE_MAX_BYTES ? nonsense(c, "too big inline request")
						     : PARSE_MORE;
	c->at = (size_t)(end + 1 - c->in);
	c->n_args = 0;
	if (end != at && end[-1] == '\r')
		end--;
	while (at < end) {
		char *word = at;
		while (at < end && *at != ' ' && *at != '\t')
			at++;
		want_args(c, c->n_args + 1 > c->args_room ? 2 * c->n_args + 8 : 1);
		if (at != word)
			c->args[c->n_args++] = (go_bytes){word, (size_t)(at - word)};
		at++;
	}
	return c->n_args != 0 ? PARSE_COMMAND : PARSE_NOTHING;
}

Parse
wire_parse(Client *c)
{
	int64_t n = 0;
	if (c->args_want != 0)
		return parse_bulks(c);
	if (c->at == c->n)
		return PARSE_MORE;
	if (c->in[c->at] != '*')
		return parse_words(c);
	const char *at = line_number(c->in + c->at + 1, c->in + c->n, &n);
	if (at == NULL)
		return c->n - c->at > LINE_MAX_BYTES ? nonsense(c, "too big count") : PARSE_MORE;
	if (n < -1 || n > ARGS_MAX)
		return nonsense(c, "invalid multibulk length");
	c->scanned = (size_t)(at - c->in);
	if (n <= 0) {
		c->at = c->scanned;
		return PARSE_NOTHING;
	}
	c->args_want = (int)n;
	c->args_have = 0;
	return parse_bulks(c);
}
