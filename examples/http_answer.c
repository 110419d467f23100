// SPDX-License-Identifier: BSD-3-Clause
// The web server, part answers: hello, files below a folder, and statuses.
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "http.h"

enum { HEAD_MAX = 512, OUT_KEPT = 64 << 10 };

static const char hello[] = "hello, world\n";
static const char files[] = "/files/";

// --- writing ------------------------------------------------------------------------------------

// Set anew about each second.
static void
set_write_deadline(Conn *c)
{
	int64_t when = this_second()->now + ANSWER_S * GO_SEC;
	if (when != c->write_deadline)
		go_set_write_deadline(c->stream.fd, when);
	c->write_deadline = when;
}

bool
answer_flush(Conn *c)
{
	if (c->out_n != 0 && !c->broken) {
		set_write_deadline(c);
		c->broken = !stream_write(&c->stream, c->out, c->out_n);
	}
	c->out_n = 0;
	return !c->broken;
}

static char *
room_for(Conn *c, size_t n)
{
	if (c->out_room - c->out_n < n) {
		size_t room = 2 * c->out_room + n;
		char *out = realloc(c->out, room);
		if (out == NULL) {
			fprintf(stderr, "http: out of memory\n");
			exit(1);
		}
		c->out = out;
		c->out_room = room;
	}
	return c->out + c->out_n;
}

// Pieces of a head, each behind the other. A head is made for each answer: printf took a fifth of
// the server's own time.
static inline char *
add(char *at, const char *text)
{
	size_t n = strlen(text);
	memcpy(at, text, n);
	return at + n;
}

static char *
add_number(char *at, uint64_t n)
{
	char digits[20], *first = digits + sizeof digits;
	do
		*--first = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	size_t length = (size_t)(digits + sizeof digits - first);
	memcpy(at, first, length);
	return at + length;
}

static void
put_head(Conn *c, int status, const char *type, int64_t bytes)
{
	char *start = room_for(c, HEAD_MAX), *at = add(start, "HTTP/1.1 ");
	at = add_number(at, (uint64_t)status);
	at = add(at, " ");
	at = add(at, http_status_str((enum http_status)status));
	at = add(at, "\r\nServer: undergo\r\nDate: ");
	at = add(at, this_second()->date);
	at = add(at, "\r\nContent-Type: ");
	at = add(at, type);
	at = add(at, "\r\nContent-Length: ");
	at = add_number(at, (uint64_t)bytes);
	if (status == HTTP_STATUS_METHOD_NOT_ALLOWED)
		at = add(at, "\r\nAllow: GET, HEAD");
	if (c->last)
		at = add(at, "\r\nConnection: close");
	else if (c->parser.http_minor == 0)
		at = add(at, "\r\nConnection: keep-alive");
	at = add(at, "\r\n\r\n");
	c->out_n += (size_t)(at - start);
}

static void
put(Conn *c, int status, const char *type, const void *body, size_t n)
{
	put_head(c, status, type, (int64_t)n);
	if (!c->head) {
		memcpy(room_for(c, n), body, n);
		c->out_n += n;
	}
	if (c->out_n > OUT_KEPT)
		(void)answer_flush(c);
}

void
answer_status(Conn *c, int status)
{
	char text[64];
	int n = snprintf(text, sizeof text, "%d %s\n", status,
			 http_status_str((enum http_status)status));
	put(c, status, "text/plain", text, (size_t)n);
}

void
answer_continue(Conn *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	memcpy(room_for(c, sizeof text), text, sizeof text - 1);
	c->out_n += sizeof text - 1;
	(void)answer_flush(c);
}

// --- files --------------------------------------------------------------------------------------

static const char *
type_of(const char *path)
{
	static const char *const types[][2] = {
	    {".html", "text/html; charset=utf-8"}, {".css", "text/css"}, {".js", "text/javascript"},
	    {".json", "application/json"}, {".txt", "text/plain; charset=utf-8"},
	    {".png", "image/png"}, {".jpg", "image/jpeg"}, {".svg", "image/svg+xml"},
	};
	const char *dot = strrchr(path, '.');
	for (size_t i = 0; dot != NULL && i < sizeof types / sizeof *types; i++)
		if (strcasecmp(dot, types[i][0]) == 0)
			return types[i][1];
	return "application/octet-stream";
}

// The kernel itself keeps the path below the root, links and all.
static int
open_below_root(const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	return root < 0 ? -1 : (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static void
answer_file(Conn *c, const char *path)
{
	struct stat st;
	int file = open_below_root(path);
	if (file < 0 || fstat(file, &st) != 0 || !S_ISREG(st.st_mode)) {
		answer_status(c, HTTP_STATUS_NOT_FOUND);
	} else {
		put_head(c, HTTP_STATUS_OK, type_of(path), st.st_size);
		if (!c->head && st.st_size != 0 && answer_flush(c))
			c->broken = !stream_send_file(&c->stream, file, st.st_size);
	}
	if (file >= 0)
		close(file);
}

// --- requests -----------------------------------------------------------------------------------

static int
hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

// Undoes %xx in place, and ends the text with a 0. False when that would be in its middle.
static bool
decode(char *s, size_t n)
{
	char *to = s;
	for (size_t i = 0; i < n; i++, to++) {
		*to = s[i];
		if (s[i] == '%') {
			if (n - i < 3 || hex(s[i + 1]) < 0 || hex(s[i + 2]) < 0)
				return false;
			*to = (char)(hex(s[i + 1]) << 4 | hex(s[i + 2]));
			i += 2;
		}
		if (*to == '\0')
			return false;
	}
	*to = '\0';
	return true;
}

// The path of the request, NULL when it has none that makes sense. It lies in c->url.
static char *
path_of(Conn *c)
{
	struct http_parser_url u;
	http_parser_url_init(&u);
	if (http_parser_parse_url(c->url, c->url_n, c->parser.method == HTTP_CONNECT, &u) != 0)
		return NULL;
	if ((u.field_set & 1 << UF_PATH) == 0) {
		c->url[0] = '/';
		c->url[1] = '\0';
		return c->url;
	}
	char *path = c->url + u.field_data[UF_PATH].off;
	return decode(path, u.field_data[UF_PATH].len) ? path : NULL;
}

void
answer_request(Conn *c)
{
	char *path = path_of(c);
	if (path == NULL) {
		c->last = true;
		answer_status(c, HTTP_STATUS_BAD_REQUEST);
	} else if (c->parser.method != HTTP_GET && c->parser.method != HTTP_HEAD) {
		answer_status(c, HTTP_STATUS_METHOD_NOT_ALLOWED);
	} else if (strcmp(path, "/") == 0) {
		put(c, HTTP_STATUS_OK, "text/plain", hello, sizeof hello - 1);
	} else if (strncmp(path, files, sizeof files - 1) == 0) {
		answer_file(c, path + sizeof files - 1);
	} else {
		answer_status(c, HTTP_STATUS_NOT_FOUND);
	}
}
