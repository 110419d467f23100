// SPDX-License-Identifier: BSD-3-Clause
// A library with non-blocking sockets of its own, awaited by goroutines: hiredis, the C client of
// Redis.
//
//	build/examples/kv 127.0.0.1:6380 &
//	build/examples/redis_client 127.0.0.1 6380
//
// hiredis says for what its socket waits, and wants to be called when that has come. So one
// goroutine for each connection waits, by go_poll, until something can be read, and calls; who has
// a command writes it himself, and waits for his reply in a channel.
// A mutex keeps them apart, which
// nobody holds over a wait: many commands are under way on one connection.
//
// Here several goroutines count on one key, all with one connection, and the number that the
// server has at the end has to be what they have counted together.
#include <hiredis/async.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <undergo.h>

enum { COUNTERS = 8, COUNTS = 250, PATIENCE_S = 10 };

// --- a connection -------------------------------------------------------------------------------

typedef struct Link {
	go_mutex lock;
	redisAsyncContext *redis; // lock; NULL when hiredis has freed it
	int wants;                // lock: GO_READABLE, GO_WRITABLE
	int fd;
	go_waitgroup reader;
} Link;

// What hiredis asks of an event loop.
static void
add_read(void *l)
{
	((Link *)l)->wants |= GO_READABLE;
}

static void
del_read(void *l)
{
	((Link *)l)->wants &= ~GO_READABLE;
}

static void
add_write(void *l)
{
	((Link *)l)->wants |= GO_WRITABLE;
}

static void
del_write(void *l)
{
	((Link *)l)->wants &= ~GO_WRITABLE;
}

static void
is_freed(void *l)
{
	((Link *)l)->redis = NULL;
	((Link *)l)->wants = 0;
}

// hiredis writes what it can. Whoever has given it something sees to it that all goes out.
// Locks: lock, given up while the socket takes nothing.
static void
write_out(Link *l)
{
	while ((l->wants & GO_WRITABLE) != 0) {
		go_mutex_unlock(&l->lock);
		int is = go_poll(l->fd, GO_WRITABLE, go_in(PATIENCE_S * GO_SEC));
		go_mutex_lock(&l->lock);
		if (l->redis != NULL && is < 0)
			redisAsyncFree(l->redis); // those who wait get their replies: none
		else if (l->redis != NULL)
			redisAsyncHandleWrite(l->redis);
	}
}

static void
read_all(void *v)
{
	Link *l = v;
	go_mutex_lock(&l->lock);
	while (l->redis != NULL) {
		go_mutex_unlock(&l->lock);
		int is = go_poll(l->fd, GO_READABLE, GO_NEVER);
		go_mutex_lock(&l->lock);
		if (l->redis != NULL && is < 0)
			redisAsyncFree(l->redis);
		else if (l->redis != NULL)
			redisAsyncHandleRead(l->redis);
	}
	go_mutex_unlock(&l->lock);
	go_wg_done(&l->reader);
}

// At its end the other side is told so, or has told us: hiredis reads the end of the stream.
static void
link_close(Link *l)
{
	go_mutex_lock(&l->lock);
	if (l->redis != NULL)
		shutdown(l->fd, SHUT_RDWR);
	go_mutex_unlock(&l->lock);
	go_wg_wait(&l->reader, GO_NEVER);
}

static bool
link_open(Link *l, const char *host, int port)
{
	redisAsyncContext *redis = redisAsyncConnect(host, port);
	if (redis == NULL || redis->err != 0) {
		fprintf(stderr, "redis_client: %s\n", redis != NULL ? redis->errstr : "no memory");
		if (redis != NULL)
			redisAsyncFree(redis);
		return false;
	}
	*l = (Link){.redis = redis, .fd = redis->c.fd};
	redis->ev.data = l;
	redis->ev.addRead = add_read;
	redis->ev.delRead = del_read;
	redis->ev.addWrite = add_write;
	redis->ev.delWrite = del_write;
	redis->ev.cleanup = is_freed;
	go_mutex_lock(&l->lock);
	l->wants = GO_WRITABLE; // until it is connected
	write_out(l);
	bool connected = l->redis != NULL;
	go_mutex_unlock(&l->lock);
	if (!connected)
		fprintf(stderr, "redis_client: no connection to %s, port %d\n", host, port);
	go_wg_add(&l->reader, 1);
	if (!connected || go_spawn(read_all, l) != 0)
		go_wg_done(&l->reader);
	return connected;
}

// --- a command ----------------------------------------------------------------------------------

typedef struct Call {
	go_chan *done;
	long long reply;
} Call;

// The reply is hiredis's, and gone when this returns.
static void
on_reply(redisAsyncContext *redis, void *reply, void *v)
{
	const redisReply *r = reply;
	Call *c = v;
	(void)redis;
	c->reply = r != NULL && r->type == REDIS_REPLY_INTEGER ? r->integer : -1;
	go_chan_send(c->done, NULL, GO_NEVER); // there is room
}

// A command whose reply is a number: that, or -1.
static long long
call(Link *l, const char *command)
{
	Call c = {.done = go_chan_new(0, 1), .reply = -1};
	if (c.done == NULL)
		return -1;
	go_mutex_lock(&l->lock);
	bool begun = l->redis != NULL &&
		     redisAsyncCommand(l->redis, on_reply, &c, command) == REDIS_OK;
	write_out(l);
	go_mutex_unlock(&l->lock);
	if (begun)
		go_chan_recv(c.done, NULL, GO_NEVER);
	go_chan_free(c.done);
	return c.reply;
}

// --- the program --------------------------------------------------------------------------------

static int
count(void *l)
{
	for (int i = 0; i < COUNTS; i++)
		if (call(l, "INCR redis_client:count") < 0)
			return GO_EIO;
	return 0;
}

static int
start(void *v)
{
	char **args = v;
	static Link l;
	go_scope all;
	if (!link_open(&l, args[1], atoi(args[2])))
		return 1;
	call(&l, "DEL redis_client:count");
	go_scope_open(&all, GO_NEVER);
	for (int i = 0; i < COUNTERS; i++)
		if (go_scope_spawn(&all, count, &l) != 0)
			return 1;
	int err = go_scope_wait(&all);
	long long counted = call(&l, "INCRBY redis_client:count 0");
	call(&l, "DEL redis_client:count");
	link_close(&l);
	printf("%d goroutines on one connection have counted to %lld\n", COUNTERS, counted);
	return err == 0 && counted == COUNTERS * COUNTS ? 0 : 1;
}

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN); // hiredis writes to its socket by itself
	if (argc != 3) {
		fprintf(stderr, "usage: redis_client HOST PORT\n");
		return 2;
	}
	return go_run(start, argv);
}
