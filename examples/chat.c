// SPDX-License-Identifier: BSD-3-Clause
// A chat server: lines of text in rooms, for nc and telnet.
//
//	build/examples/chat [ADDRESS]
//	nc 127.0.0.1 7000
//
// A line that begins with a slash is for the server: /nick NAME, /join ROOM, /who, /rooms, /quit.
// ADDRESS is 127.0.0.1:7000 unless given; port 0 takes a free one.
//
// One goroutine, the hall, owns rooms and members; all others ask it through a channel, so it needs
// no lock. A member has two goroutines: one reads his lines, one writes what is in his channel. The
// hall sends into these channels without waiting: who does not read, so that his is full, is
// dropped and holds up nobody.
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <undergo.h>

enum {
	NAME_MAX_BYTES = 24,
	LINE_BYTES = 512,
	LINE_MAX_BYTES = LINE_BYTES + 2 * NAME_MAX_BYTES + 16,
	LINES_WAITING = 256, // for somebody slow, before he is dropped
	SEND_BYTES = 16 << 10,
	IDLE_MIN = 60,
};

static const char lobby[] = "lobby";

// A line for several members. Managed memory: it is gone when the last of them has it.
typedef struct Line {
	size_t n;
	char text[];
} Line;

typedef struct Member Member;

typedef GO_MAP(Member *, bool) Room;

struct Member {
	go_fd fd;
	go_chan *lines; // of Line *; closed by the hall when he has left
	char name[NAME_MAX_BYTES];
	char room[NAME_MAX_BYTES];
	bool dropped;   // the hall's, as are name and room
};

typedef enum What { SAYS, ENTERS, LEAVES, WANTS_NAME, WANTS_ROOM, WANTS_WHO, WANTS_ROOMS } What;

typedef struct Request {
	Member *member;
	What what;
	char text[LINE_BYTES];
} Request;

static go_chan *requests; // of Request, for the hall
static GO_MAP(const char *, Room) rooms;

// --- the hall -----------------------------------------------------------------------------------

static Line *
line_of(const char *format, va_list args)
{
	char text[LINE_MAX_BYTES];
	int length = vsnprintf(text, sizeof text - 1, format, args);
	size_t n = (size_t)length < sizeof text - 1 ? (size_t)length : sizeof text - 2;
	text[n++] = '\n';
	Line *line = go_alloc_data(sizeof *line + n);
	line->n = n;
	memcpy(line->text, text, n);
	return line;
}

// Without waiting. A member whose channel is full is as good as gone: closing his descriptor ends
// both of his goroutines, and the one who reads tells the hall that he leaves.
static void
give(Member *m, Line *line)
{
	if (m->dropped || go_chan_send(m->lines, &line, GO_POLL) == 0)
		return;
	m->dropped = true;
	go_close(m->fd);
}

static void __attribute__((format(printf, 2, 3)))
tell(Member *m, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	give(m, line_of(format, args));
	va_end(args);
}

static void __attribute__((format(printf, 2, 3)))
tell_room(const char *name, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	Line *line = line_of(format, args);
	va_end(args);
	Room room = go_map_get(rooms, name);
	go_map_each (room, it)
		give(*it.key, line);
}

static void
enter(Member *m, const char *name)
{
	Room *room = go_map_find(rooms, name);
	snprintf(m->room, sizeof m->room, "%s", name);
	if (room == NULL) {
		char *kept = go_alloc_data(NAME_MAX_BYTES); // the map keeps the text it is given
		Room empty;
		if (go_map_init(empty, 0) != 0)
			exit(1);
		go_map_put(rooms, strcpy(kept, m->room), empty);
		room = go_map_find(rooms, m->room);
	}
	go_map_put(*room, m, true);
	tell_room(m->room, "* %s is in %s", m->name, m->room);
}

static void
leave(Member *m)
{
	Room *room = go_map_find(rooms, m->room);
	if (room == NULL)
		return;
	go_map_del(*room, m);
	if (go_map_len(*room) == 0)
		go_map_del(rooms, m->room);
	else
		tell_room(m->room, "* %s has left", m->name);
}

static bool
name_taken(const char *name)
{
	go_map_each (rooms, room)
		go_map_each (*room.elem, it)
			if (strcmp((*it.key)->name, name) == 0)
				return true;
	return false;
}

static void
rename_member(Member *m, const char *name)
{
	if (name_taken(name)) {
		tell(m, "* there is a %s already", name);
		return;
	}
	tell_room(m->room, "* %s is now %s", m->name, name);
	snprintf(m->name, sizeof m->name, "%s", name);
}

static void
do_request(const Request *r)
{
	Member *m = r->member;
	Room room = go_map_get(rooms, m->room);
	switch (r->what) {
	case SAYS:
		tell_room(m->room, "%s: %s", m->name, r->text);
		break;
	case ENTERS:
		enter(m, lobby);
		break;
	case LEAVES:
		leave(m);
		go_chan_close(m->lines);
		break;
	case WANTS_NAME:
		rename_member(m, r->text);
		break;
	case WANTS_ROOM:
		leave(m);
		enter(m, r->text);
		break;
	case WANTS_WHO:
		go_map_each (room, it)
			tell(m, "* %s", (*it.key)->name);
		break;
	case WANTS_ROOMS:
		go_map_each (rooms, it)
			tell(m, "* %s: %zu", *it.key, go_map_len(*it.elem));
		break;
	}
}

static void
hall(void *unused)
{
	static Request r;
	(void)unused;
	while (go_chan_recv(requests, &r, GO_NEVER) == 0)
		do_request(&r);
}

// --- members ------------------------------------------------------------------------------------

static void
ask(Member *m, What what, const char *text)
{
	Request r = {.member = m, .what = what};
	snprintf(r.text, sizeof r.text, "%s", text);
	go_chan_send(requests, &r, GO_NEVER);
}

// A name of a member or a room: what stands up to the next blank, if it is not too long.
static bool
ask_by_name(Member *m, What what, const char *text)
{
	char name[NAME_MAX_BYTES];
	size_t n = strcspn(text, " \t");
	if (n == 0 || n >= sizeof name)
		return false;
	memcpy(name, text, n);
	name[n] = '\0';
	ask(m, what, name);
	return true;
}

// False: he wants to go.
static bool
take_line(Member *m, char *text)
{
	if (*text != '/') {
		if (*text != '\0')
			ask(m, SAYS, text);
		return true;
	}
	if (strcmp(text, "/quit") == 0)
		return false;
	if (strcmp(text, "/who") == 0)
		ask(m, WANTS_WHO, "");
	else if (strcmp(text, "/rooms") == 0)
		ask(m, WANTS_ROOMS, "");
	else if (!(strncmp(text, "/nick ", 6) == 0 && ask_by_name(m, WANTS_NAME, text + 6)) &&
		 !(strncmp(text, "/join ", 6) == 0 && ask_by_name(m, WANTS_ROOM, text + 6)))
		ask(m, SAYS, "(means /nick NAME, /join ROOM, /who, /rooms or /quit)");
	return true;
}

// Only what can be shown comes through: telnet's control sequences do not.
static void
clean(char *text)
{
	char *to = text;
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= ' ' && *text != 0x7f)
			*to++ = *text;
	*to = '\0';
}

// A line that is too long comes in pieces.
static void
read_lines(Member *m)
{
	char buf[LINE_BYTES];
	size_t n = 0;
	for (;;) {
		go_set_read_deadline(m->fd, go_in(IDLE_MIN * 60 * GO_SEC));
		int64_t got = go_read(m->fd, buf + n, sizeof buf - 1 - n);
		if (got <= 0)
			return;
		n += (size_t)got;
		char *at = buf, *end;
		while ((end = memchr(at, '\n', n)) != NULL || (at == buf && n == sizeof buf - 1)) {
			size_t bytes = end != NULL ? (size_t)(end - at) + 1 : n;
			at[end != NULL ? bytes - 1 : bytes] = '\0';
			clean(at);
			if (!take_line(m, at))
				return;
			at += bytes;
			n -= bytes;
		}
		memmove(buf, at, n);
	}
}

// All lines that are there go out together. Ends when the hall closes the channel; what cannot be
// written until then is dropped.
static void
write_lines(void *v)
{
	Member *m = v;
	Line *line;
	char buf[SEND_BYTES];
	while (go_chan_recv(m->lines, &line, GO_NEVER) == 0) {
		size_t n = 0;
		do {
			memcpy(buf + n, line->text, line->n);
			n += line->n;
		} while (n < sizeof buf - LINE_MAX_BYTES &&
			 go_chan_recv(m->lines, &line, GO_POLL) == 0);
		if (go_write(m->fd, buf, n) != (int64_t)n)
			go_close(m->fd);
	}
	go_close(m->fd);
	go_chan_free(m->lines);
}

static void
member_main(void *v)
{
	static _Atomic unsigned number;
	int kept = SEND_BYTES; // so much may wait in the kernel for somebody slow
	Member *m = go_new(Member);
	m->fd = (go_fd)(intptr_t)v;
	setsockopt(go_fd_number(m->fd), SOL_SOCKET, SO_SNDBUF, &kept, sizeof kept);
	m->lines = go_chan_new(sizeof(Line *), LINES_WAITING);
	snprintf(m->name, sizeof m->name, "guest%u", ++number);
	if (m->lines == NULL || go_spawn(write_lines, m) != 0) {
		go_close(m->fd);
		return;
	}
	ask(m, ENTERS, "");
	read_lines(m);
	ask(m, LEAVES, "");
}

static void
accept_all(void *v)
{
	go_fd listener = (go_fd)(intptr_t)v, fd;
	while ((fd = go_accept(listener)) > 0)
		if (go_spawn(member_main, (void *)(intptr_t)fd) != 0)
			go_close(fd);
}

static int
start(void *v)
{
	static const int ends[] = {SIGINT, SIGTERM};
	char address[64];
	go_ctx *until = go_signal_context(NULL, ends, 2);
	go_fd listener = go_listen("tcp", v);
	if (listener < 0) {
		fprintf(stderr, "chat: %s: %s\n", (char *)v, go_strerror((int)listener));
		return 1;
	}
	requests = go_chan_new(sizeof(Request), 0);
	if (until == NULL || requests == NULL || go_map_init(rooms, 0) != 0 ||
	    go_spawn(hall, NULL) != 0 ||
	    go_spawn(accept_all, (void *)(intptr_t)listener) != 0)
		return 1;
	go_local_text(listener, address, sizeof address);
	printf("chat: listening at %s\n", address);
	fflush(stdout);
	go_chan_recv(go_ctx_done(until), NULL, GO_NEVER);
	go_close(listener);
	return 0;
}

int
main(int argc, char **argv)
{
	return go_run(start, argc > 1 ? argv[1] : "127.0.0.1:7000");
}
