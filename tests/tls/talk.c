// SPDX-License-Identifier: BSD-3-Clause
// undergo/tls.h: what goes over a connection, in pieces of any size, under deadlines, and how it
// ends.
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pair.h"

enum { BIG = 4 << 20, PIECE = 70001, CONNECTIONS = 60 };

static void
start(void (*fn)(void *), void *arg)
{
	expect_eq(go_spawn(fn, arg), 0);
}

// --- talking ------------------------------------------------------------------------------------

// Sends back what comes, then ends its stream as the other side has.
static void
echo(void *v)
{
	go_tls *t = v;
	char buf[3000];
	int64_t n;
	while ((n = go_tls_read(t, buf, sizeof(buf))) > 0)
		expect_eq(go_tls_write(t, buf, (size_t)n), n);
	expect_eq(n, 0);
	expect_eq(go_tls_close_write(t), 0);
}

GO_TEST(tls_talks, 0)
{
	char buf[100];
	Pair p = good_pair();
	expect_str(go_tls_version(p.client), "");
	start(echo, p.server); // the handshake comes with the first read
	expect_eq(go_tls_write(p.client, "hello", 5), 5);
	expect_eq(go_tls_read_full(p.client, buf, 5), 5);
	expect(memcmp(buf, "hello", 5) == 0);
	expect_str(go_tls_version(p.client), "TLSv1.3");
	expect(strlen(go_tls_cipher(p.client)) > 4);
	expect_eq(go_tls_peer(p.client, buf, sizeof(buf)), strlen("CN=the server"));
	expect_str(buf, "CN=the server");
	expect_eq(go_tls_peer(p.server, buf, sizeof(buf)), 0);
	expect_eq(go_tls_read(p.client, buf, 0), 0);
	expect_eq(go_tls_write(p.client, buf, 0), 0);
	expect_eq(go_tls_close_write(p.client), 0);
	expect_eq(go_tls_read(p.client, buf, sizeof(buf)), 0);
	expect_eq(go_tls_read(p.client, buf, sizeof(buf)), 0);
	pair_free(&p);
}

static unsigned char
byte_at(size_t i, int seed)
{
	return (unsigned char)((i * 31 + i / 251 + (size_t)seed) & 0xff);
}

typedef struct Flow {
	go_tls *t;
	size_t n;
	int seed;
	go_waitgroup *wg;
} Flow;

static void
pour(void *v)
{
	Flow *f = v;
	unsigned char *buf = malloc(PIECE);
	expect(buf != NULL);
	for (size_t done = 0, n; done < f->n; done += n) {
		n = f->n - done < PIECE ? f->n - done : PIECE;
		for (size_t i = 0; i < n; i++)
			buf[i] = byte_at(done + i, f->seed);
		expect_eq(go_tls_write(f->t, buf, n), n);
	}
	free(buf);
	expect_eq(go_tls_close_write(f->t), 0);
	go_wg_done(f->wg);
}

static void
drink(void *v)
{
	Flow *f = v;
	unsigned char *buf = malloc(PIECE);
	size_t done = 0;
	int64_t n;
	expect(buf != NULL);
	while ((n = go_tls_read(f->t, buf, PIECE)) > 0)
		for (int64_t i = 0; i < n; i++, done++)
			expect_eq(buf[i], byte_at(done, f->seed));
	expect_eq(n, 0);
	expect_eq(done, f->n);
	free(buf);
	go_wg_done(f->wg);
}

// Four at once on one pair: each connection is read and written at the same time.
static void
both_ways(Pair *p, size_t n)
{
	go_waitgroup wg = {0};
	Flow there = {p->client, n, 1, &wg}, there_end = {p->server, n, 1, &wg};
	Flow back = {p->server, n, 2, &wg}, back_end = {p->client, n, 2, &wg};
	go_wg_add(&wg, 4);
	start(pour, &there);
	start(drink, &there_end);
	start(pour, &back);
	start(drink, &back_end);
	expect_eq(go_wg_wait(&wg, GO_NEVER), 0);
}

GO_TEST(tls_big_both_ways, 0)
{
	Pair p = good_pair();
	both_ways(&p, (size_t)test_scale(BIG));
	pair_free(&p);
}

// --- through somebody who passes on one byte at a time -------------------------------------------

typedef struct Relay {
	go_fd from, to;
	go_waitgroup *wg;
} Relay;

static void
relay(void *v)
{
	Relay *r = v;
	char c;
	while (go_read(r->from, &c, 1) == 1)
		if (go_write(r->to, &c, 1) != 1)
			break;
	go_close_write(r->to);
	go_wg_done(r->wg);
}

GO_TEST(tls_byte_by_byte, 0)
{
	go_fd a[2], b[2];
	go_waitgroup wg = {0};
	Pair p;
	go_tls_config *client = client_config(), *server = server_config();
	streams(a);
	streams(b);
	Relay there = {a[1], b[0], &wg}, back = {b[0], a[1], &wg};
	go_wg_add(&wg, 2);
	start(relay, &there);
	start(relay, &back);
	expect_eq(go_tls_client(&p.client, client, a[0], "localhost"), 0);
	expect_eq(go_tls_server(&p.server, server, b[1]), 0);
	both_ways(&p, 20000);
	pair_free(&p);
	go_tls_config_free(client);
	go_tls_config_free(server);
	expect_eq(go_wg_wait(&wg, GO_NEVER), 0);
	go_close(a[1]);
	go_close(b[0]);
}

// --- many ---------------------------------------------------------------------------------------

typedef struct Crowd {
	go_fd listener;
	char at[64];
	go_tls_config *client, *server;
	go_waitgroup wg; // who accepts and all guests
	Count visited;
} Crowd;

typedef struct Guest {
	Crowd *crowd;
	go_fd fd;
} Guest;

static void
host_one(void *v)
{
	Guest *g = v;
	go_tls *t;
	expect_eq(go_tls_server(&t, g->crowd->server, g->fd), 0);
	echo(t);
	go_tls_free(t);
	go_wg_done(&g->crowd->wg);
	free(g);
}

static void
host(void *v)
{
	Crowd *c = v;
	go_fd fd;
	while ((fd = go_accept(c->listener)) > 0) {
		Guest *g = malloc(sizeof(*g));
		expect(g != NULL);
		*g = (Guest){c, fd};
		start(host_one, g);
	}
	go_wg_done(&c->wg);
}

static void
visit(void *v)
{
	Crowd *c = v;
	go_tls *t;
	char text[64], back[64];
	expect_eq(go_tls_client(&t, c->client, go_dial("tcp", c->at, GO_NEVER), "127.0.0.1"), 0);
	for (int i = 0; i < 10; i++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "%llu says %d",
					    (unsigned long long)go_id(), i);
		expect_eq(go_tls_write(t, text, n), n);
		expect_eq(go_tls_read_full(t, back, n), n);
		expect(memcmp(text, back, n) == 0);
	}
	expect_eq(go_tls_close_write(t), 0);
	expect_eq(go_tls_read(t, back, sizeof(back)), 0);
	expect_eq(go_tls_close(t), 0);
	expect_eq(go_tls_close(t), GO_ECLOSED);
	expect_eq(go_tls_read(t, back, sizeof(back)), GO_ECLOSED);
	expect_eq(go_tls_write(t, text, 1), GO_ECLOSED);
	go_tls_free(t);
	count_add(&c->visited);
	go_wg_done(&c->wg);
}

GO_TEST(tls_many_at_once, 0)
{
	Crowd c = {.client = client_config(), .server = server_config()};
	int n = (int)test_scale(CONNECTIONS);
	c.listener = go_listen("tcp", "127.0.0.1:0");
	expect(c.listener > 0);
	go_local_text(c.listener, c.at, sizeof(c.at));
	go_wg_add(&c.wg, 1 + 2 * n);
	start(host, &c);
	for (int i = 0; i < n; i++)
		start(visit, &c);
	until(count_of(&c.visited) == n);
	go_close(c.listener);
	expect_eq(go_wg_wait(&c.wg, GO_NEVER), 0);
	go_tls_config_free(c.client);
	go_tls_config_free(c.server);
}

// --- ends ---------------------------------------------------------------------------------------

GO_TEST(tls_half_close, 0)
{
	char buf[16];
	Pair p = good_pair();
	pair_shaken(&p);
	expect_eq(go_tls_write(p.client, "last", 4), 4);
	expect_eq(go_tls_close_write(p.client), 0);
	expect_eq(go_tls_close_write(p.client), 0);
	expect_eq(go_tls_write(p.client, "more", 4), GO_ERRNO(EPIPE));
	expect_eq(go_tls_read_full(p.server, buf, sizeof(buf)), 4);
	expect_eq(go_tls_read(p.server, buf, sizeof(buf)), 0);
	expect_eq(go_tls_write(p.server, "answer", 6), 6); // the other direction goes on
	expect_eq(go_tls_read_full(p.client, buf, 6), 6);
	expect_eq(go_tls_close(p.server), 0);
	expect_eq(go_tls_read(p.client, buf, sizeof(buf)), 0);
	pair_free(&p);
}

typedef struct Waiter {
	go_tls *t;
	int64_t n;
	go_waitgroup wg;
} Waiter;

static void
wait_to_read(void *v)
{
	Waiter *w = v;
	char c;
	w->n = go_tls_read(w->t, &c, 1);
	go_wg_done(&w->wg);
}

GO_TEST(tls_close_wakes, 0)
{
	Pair p = good_pair();
	pair_shaken(&p);
	Waiter w = {.t = p.client}, second = {.t = p.client};
	go_wg_add(&w.wg, 1);
	go_wg_add(&second.wg, 1);
	start(wait_to_read, &w);
	start(wait_to_read, &second);
	go_sleep(GO_MSEC);
	expect_eq(go_tls_close(p.client), 0);
	expect_eq(go_wg_wait(&w.wg, GO_NEVER), 0);
	expect_eq(go_wg_wait(&second.wg, GO_NEVER), 0);
	expect_eq(w.n, GO_ECLOSED);
	expect_eq(second.n, GO_ECLOSED);
	pair_free(&p);
}

// Without a close_notify an end may be anybody's, who cuts a message short.
GO_TEST(tls_cut_off_is_told, 0)
{
	char buf[16];
	Pair p = good_pair();
	pair_shaken(&p);
	expect_eq(go_tls_write(p.server, "half", 4), 4);
	go_close_write(go_tls_fd(p.server));
	expect_eq(go_tls_read_full(p.client, buf, 4), 4);
	expect_eq(go_tls_read(p.client, buf, sizeof(buf)), GO_EEOF);
	expect_eq(go_tls_read_full(p.client, buf, sizeof(buf)), GO_EEOF);
	pair_free(&p);
	p = good_pair(); // in the middle of the handshake
	go_close_write(go_tls_fd(p.server));
	expect_eq(go_tls_handshake(p.client), GO_EEOF);
	pair_free(&p);
}

// --- memory -------------------------------------------------------------------------------------

enum { LARGE = 256 << 10, IDLE_PAIRS = 10, IDLE_GROWS = 24 << 10 };

typedef struct Large {
	go_tls *t;
	Count done;
} Large;

static void
read_large(void *v)
{
	Large *l = v;
	char *buf = malloc(LARGE);
	expect_eq(go_tls_read_full(l->t, buf, LARGE), LARGE);
	free(buf);
	count_add(&l->done);
}

static void
send_large(go_tls *from, go_tls *to)
{
	char *buf = calloc(1, LARGE);
	Large l = {.t = to};
	expect_eq(go_spawn(read_large, &l), 0);
	expect_eq(go_tls_write(from, buf, LARGE), LARGE);
	until(count_of(&l.done) == 1);
	free(buf);
}

// A connection that has written much keeps none of it when it is idle.
GO_TEST(tls_idle_is_small, 0)
{
	Pair p[IDLE_PAIRS];
	for (int i = 0; i < IDLE_PAIRS; i++) {
		p[i] = good_pair();
		pair_shaken(&p[i]);
	}
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (int i = 0; i < IDLE_PAIRS; i++)
		send_large(p[i].server, p[i].client);
	size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
	expect(after < before + (size_t)IDLE_PAIRS * IDLE_GROWS);
	for (int i = 0; i < IDLE_PAIRS; i++)
		pair_free(&p[i]);
}

// Nothing more can be had but one piece of `bytes`.
static void
memory_ends_after(size_t bytes)
{
	struct rlimit lim;
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	expect(f != NULL && fscanf(f, "%lu", &pages) == 1);
	fclose(f);
	expect_eq(getrlimit(RLIMIT_AS, &lim), 0);
	lim.rlim_cur = pages * (unsigned long)sysconf(_SC_PAGESIZE);
	expect_eq(setrlimit(RLIMIT_AS, &lim), 0);
	void **chain = NULL, **last = NULL;
	for (size_t n = bytes; n >= sizeof(void *); n /= 2)
		for (void **at; (at = malloc(n)) != NULL;) {
			last = last == NULL ? at : last;
			*at = chain;
			chain = at;
		}
	expect(last != NULL);
	free(last);
}

static int
write_without_memory(void *unused)
{
	static char buf[64 << 10];
	(void)unused;
	Pair p = good_pair();
	pair_shaken(&p);
	memory_ends_after(40 << 10);
	expect_eq(go_tls_write(p.client, buf, sizeof(buf)), GO_ENOMEM);
	expect_eq(go_tls_write(p.client, buf, 1), GO_ENOMEM);
	return 0;
}

// What OpenSSL writes finds no room: that is no fault of the other side's. The goroutine may go on
// on another thread, so all threads have their memory from one place.
void
test_tls_no_memory_is_told(void)
{
	expect_eq(mallopt(M_ARENA_MAX, 1), 1);
	expect_eq(go_run(write_without_memory, NULL), 0);
}

// --- deadlines ----------------------------------------------------------------------------------

GO_TEST(tls_deadline_in_handshake, 0)
{
	Pair p = good_pair();
	char c = 0;
	go_set_read_deadline(go_tls_fd(p.client), go_in(2 * GO_MSEC));
	expect_eq(go_tls_handshake(p.client), GO_ETIMEDOUT); // nobody answers
	expect_eq(go_tls_read(p.client, &c, 1), GO_ETIMEDOUT);
	go_set_read_deadline(go_tls_fd(p.client), GO_NEVER);
	pair_shaken(&p); // it was the wait that ended, not the connection
	pair_free(&p);
	p = good_pair();
	go_set_deadline(go_tls_fd(p.client), go_in(2 * GO_MSEC)); // and for writing
	expect_eq(go_tls_write(p.client, &c, 1), GO_ETIMEDOUT);
	pair_free(&p);
}

GO_TEST(tls_deadline_in_read, 0)
{
	Pair p = good_pair();
	char buf[8];
	pair_shaken(&p);
	go_set_read_deadline(go_tls_fd(p.client), go_in(2 * GO_MSEC));
	expect_eq(go_tls_read(p.client, buf, 1), GO_ETIMEDOUT);
	expect_eq(go_tls_write(p.server, "later", 5), 5);
	go_set_read_deadline(go_tls_fd(p.client), GO_NEVER);
	expect_eq(go_tls_read_full(p.client, buf, 5), 5);
	go_set_read_deadline(go_tls_fd(p.client), GO_POLL);
	expect_eq(go_tls_read(p.client, buf, 1), GO_EAGAIN);
	pair_free(&p);
}

// Nobody reads: the buffers of the system fill.
GO_TEST(tls_deadline_in_write, 0)
{
	static char buf[100000];
	Pair p = good_pair();
	int64_t n;
	pair_shaken(&p);
	go_set_write_deadline(go_tls_fd(p.client), go_in(5 * GO_MSEC));
	while ((n = go_tls_write(p.client, buf, sizeof(buf))) > 0)
		;
	expect_eq(n, GO_ETIMEDOUT);
	go_set_write_deadline(go_tls_fd(p.client), GO_NEVER);
	expect_eq(go_tls_write(p.client, buf, 1), GO_ETIMEDOUT); // it was the last one
	pair_free(&p);
}

static int
read_in_scope(void *v)
{
	char c;
	return (int)go_tls_read(v, &c, 1);
}

GO_TEST(tls_cancel_in_read, 0)
{
	Pair p = good_pair();
	char buf[8];
	go_scope s;
	pair_shaken(&p);
	go_scope_open(&s, GO_NEVER);
	expect_eq(go_scope_spawn(&s, read_in_scope, p.client), 0);
	go_sleep(GO_MSEC);
	go_scope_cancel(&s);
	expect_eq(go_scope_wait(&s), GO_ECANCELED);
	expect_eq(go_tls_write(p.server, "later", 5), 5);
	expect_eq(go_tls_read_full(p.client, buf, 5), 5);
	pair_free(&p);
}

// --- the rest -----------------------------------------------------------------------------------

static void
talk_on_small_stack(void *v)
{
	go_waitgroup *wg = v;
	Pair p = good_pair();
	int server;
	expect_eq(pair_shake(&p, &server), 0);
	pair_free(&p);
	go_wg_done(wg);
}

// What the header says of stacks.
GO_TEST(tls_small_stack, 0)
{
	go_waitgroup wg = {0};
	go_attr attr = {.stack_bytes = 64 << 10};
	go_wg_add(&wg, 1);
	expect_eq(go_spawn_with(&attr, talk_on_small_stack, &wg), 0);
	expect_eq(go_wg_wait(&wg, GO_NEVER), 0);
}

static Pair
alpn_pair(const char *client, const char *server)
{
	go_tls_options c = {.ca_file = the_ca()->file, .alpn = client};
	go_tls_options s = {.cert_file = localhost_file(), .alpn = server};
	return pair_of(config_of(&c), config_of(&s), "localhost");
}

GO_TEST(tls_alpn, 0)
{
	char name[16];
	int err;
	Pair p = alpn_pair("h2,http/1.1", "redis,http/1.1,h2"); // the server chooses
	pair_shaken(&p);
	expect_eq(go_tls_alpn(p.client, name, sizeof(name)), 8);
	expect_str(name, "http/1.1");
	go_tls_alpn(p.server, name, sizeof(name));
	expect_str(name, "http/1.1");
	pair_free(&p);
	p = alpn_pair("h2", NULL);
	pair_shaken(&p);
	expect_eq(go_tls_alpn(p.client, name, sizeof(name)), 0);
	expect_str(name, "");
	pair_free(&p);
	p = alpn_pair("h2", "http/1.1");
	expect_eq(pair_shake(&p, &err), GO_TLS_EPROTOCOL);
	expect_eq(err, GO_TLS_EPROTOCOL);
	pair_free(&p);
}
