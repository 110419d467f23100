// SPDX-License-Identifier: BSD-3-Clause
// undergo/net.h: sockets and pipes of goroutines, their deadlines, and closing them whatever they
// are at.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "api/net.h"
#include "held_port.h"

// --- talking ------------------------------------------------------------------------------------

static void
echo(void *v)
{
	go_fd fd = (go_fd)(intptr_t)v;
	char buf[256];
	int64_t n;
	while ((n = go_read(fd, buf, sizeof(buf))) > 0)
		expect_eq(go_write(fd, buf, (size_t)n), n);
	expect_eq(go_close(fd), 0);
	count_add(&ended);
}

static void
serve(void *v)
{
	go_fd l = (go_fd)(intptr_t)v, fd;
	while ((fd = go_accept(l)) > 0)
		start(echo, (void *)(intptr_t)fd);
	expect_eq(fd, GO_ECLOSED);
	count_add(&ended);
}

static void
talk(const char *network, const char *at, int clients)
{
	char buf[100];
	for (int i = 0; i < clients; i++) {
		go_fd fd = go_dial(network, at, go_in(10 * GO_SEC));
		expect(fd > 0);
		for (int j = 0; j < 20; j++) {
			memset(buf, i + j, sizeof(buf));
			expect_eq(go_write(fd, buf, sizeof(buf)), sizeof(buf));
			memset(buf, 0, sizeof(buf));
			expect_eq(go_read_full(fd, buf, sizeof(buf)), sizeof(buf));
			expect_eq(buf[99], (char)(i + j));
		}
		expect_eq(go_close_write(fd), 0);
		expect_eq(go_read(fd, buf, sizeof(buf)), 0);
		expect_eq(go_read_full(fd, buf, sizeof(buf)), 0);
		expect_eq(go_close(fd), 0);
	}
}

static void
echo_over(const char *network, const char *listen_at)
{
	char at[200];
	go_fd l = go_listen(network, listen_at);
	expect(l > 0);
	expect(go_local_text(l, at, sizeof(at)) > 0);
	start(serve, (void *)(intptr_t)l);
	talk(network, at, 5);
	until(count_of(&ended) == 5);
	expect_eq(go_close(l), 0);
	until(count_of(&ended) == 6);
	atomic_store(&ended, 0);
}

GO_TEST(net_echo, 2)
{
	char path[64];
	echo_over("tcp", "127.0.0.1:0");
	echo_over("tcp4", "localhost:0");
	snprintf(path, sizeof(path), "@undergo-net-%d", getpid());
	echo_over("unix", path);
	snprintf(path, sizeof(path), "/tmp/undergo-net-%d", getpid());
	echo_over("unix", path);
	expect(access(path, F_OK) != 0); // it has gone with the listener
}

GO_TEST(net_echo_ip6, 2)
{
	go_fd l = go_listen("tcp6", "[::1]:0");
	if (l == GO_ERRNO(EADDRNOTAVAIL) || l == GO_ERRNO(EAFNOSUPPORT))
		skip("no IPv6 here");
	expect_eq(go_close(l), 0);
	echo_over("tcp6", "[::1]:0");
	echo_over("tcp", "[::1]:0");
}

// A listener without a host is reached by either kind of address; a name with several addresses by
// the one that answers.
GO_TEST(net_any_address, 2)
{
	char at[64], to[64];
	go_fd l = go_listen("tcp", ":0");
	expect(l > 0);
	expect(go_local_text(l, at, sizeof(at)) > 0);
	start(serve, (void *)(intptr_t)l);
	const char *port = strrchr(at, ':');
	snprintf(to, sizeof(to), "127.0.0.1%s", port);
	talk("tcp", to, 1);
	snprintf(to, sizeof(to), "localhost%s", port);
	talk("tcp", to, 2);
	snprintf(to, sizeof(to), "%s", port);
	talk("tcp", to, 1);
	expect_eq(go_close(l), 0);
}

GO_TEST(net_datagrams, 2)
{
	char at[64], buf[32], from_text[64];
	struct sockaddr_storage from;
	socklen_t bytes = sizeof(from);
	go_fd a = listen_here("udp", at, sizeof(at));
	go_fd b = go_dial("udp", at, GO_NEVER);
	expect(b > 0);
	expect_eq(go_write(b, "hello", 5), 5);
	expect_eq(go_receive(a, buf, sizeof(buf), (struct sockaddr *)&from, &bytes), 5);
	expect_eq(go_send(a, "back", 4, (struct sockaddr *)&from, bytes), 4);
	expect_eq(go_read(b, buf, sizeof(buf)), 4);
	expect_eq(go_write(b, "", 0), 0); // an empty one is one, too
	expect_eq(go_receive(a, buf, sizeof(buf), NULL, NULL), 0);
	expect(go_peer_text(b, from_text, sizeof(from_text)) > 0);
	expect_str(from_text, at);
	go_close(a);
	go_close(b);
}

static int64_t drained;

static void
drain(void *v)
{
	static char buf[5000];
	int64_t n;
	while ((n = go_read((go_fd)(intptr_t)v, buf, sizeof(buf))) > 0)
		drained += n;
	expect_eq(n, 0);
	expect_eq(go_close((go_fd)(intptr_t)v), 0);
	count_add(&ended);
}

GO_TEST(net_vectors, 2)
{
	go_fd a, b;
	char x[10], y[10];
	char *big = test_pages(700000);
	struct iovec out[] = {{"abc", 3}, {"", 0}, {"defgh", 5}}, in[] = {{x, 2}, {y, 10}};
	connected(&a, &b);
	expect_eq(go_writev(a, out, 3), 8);
	expect_eq(go_readv(b, in, 2), 8);
	expect(memcmp(x, "ab", 2) == 0 && memcmp(y, "cdefgh", 6) == 0);
	expect_eq(go_readv(b, in, -1), GO_EINVAL);
	expect_eq(go_writev(b, out, 2000), GO_EINVAL);
	start(drain, (void *)(intptr_t)b);
	struct iovec large[] = {{big, 300000}, {big, 1}, {big, 700000}};
	expect_eq(go_writev(a, large, 3), 1000001);
	go_close(a);
	until(count_of(&ended) == 1);
	expect_eq(drained, 1000001);
}

GO_TEST(net_pipe, 2)
{
	go_fd ends[2];
	char c;
	expect_eq(go_pipe(ends), 0);
	expect_eq(go_write(ends[1], "x", 1), 1);
	expect_eq(go_read(ends[0], &c, 1), 1);
	expect_eq(c, 'x');
	expect_eq(go_close(ends[1]), 0);
	expect_eq(go_read(ends[0], &c, 1), 0);
	expect_eq(go_close(ends[0]), 0);
}

// --- SIGPIPE ------------------------------------------------------------------------------------

// Nobody reads: an error, and the process lives, with the signal as it was.
GO_TEST(net_broken_pipe, 2)
{
	go_fd ends[2];
	int fds[2];
	struct sigaction sa;
	struct iovec v = {"x", 1};
	expect_eq(go_pipe(ends), 0);
	expect_eq(go_close(ends[0]), 0);
	expect_eq(go_write(ends[1], "x", 1), GO_ERRNO(EPIPE));
	expect_eq(go_writev(ends[1], &v, 1), GO_ERRNO(EPIPE));
	expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	close(fds[1]);
	go_fd s = go_adopt(fds[0]);
	expect(s > 0);
	expect_eq(go_write(s, "x", 1), GO_ERRNO(EPIPE));
	expect_eq(go_writev(s, &v, 1), GO_ERRNO(EPIPE));
	expect_eq(go_close(s), 0);
	expect_eq(sigaction(SIGPIPE, NULL, &sa), 0);
	expect(sa.sa_handler == SIG_DFL);
	sigset_t waits;
	expect_eq(sigpending(&waits), 0);
	expect(!sigismember(&waits, SIGPIPE));
}

// --- deadlines ----------------------------------------------------------------------------------

GO_TEST(net_deadlines, 2)
{
	go_fd a, b;
	char c;
	connected(&a, &b);
	int64_t when = go_in(5 * GO_MSEC);
	expect_eq(go_set_read_deadline(a, when), 0);
	expect_eq(go_read(a, &c, 1), GO_ETIMEDOUT);
	expect(go_now() >= when);
	expect_eq(go_write(a, "x", 1), 1); // that side has none
	expect_eq(go_set_deadline(b, 1), 0);
	expect_eq(go_read(b, &c, 1), GO_ETIMEDOUT);
	expect_eq(go_write(b, "x", 1), GO_ETIMEDOUT);
	expect_eq(go_set_deadline(b, GO_POLL), 0);
	expect_eq(go_read(b, &c, 1), 1);
	expect_eq(go_read(b, &c, 1), GO_EAGAIN);
	expect_eq(go_set_deadline(b, GO_NEVER), 0);
	go_close(a);
	expect_eq(go_read(b, &c, 1), 0);
	go_close(b);
}

GO_TEST(net_accept_deadline, 2)
{
	char at[64];
	go_fd l = listen_here("tcp", at, sizeof(at));
	expect_eq(go_set_deadline(l, go_in(5 * GO_MSEC)), 0);
	expect_eq(go_accept(l), GO_ETIMEDOUT);
	go_close(l);
}

// A peer that never reads: what it was sent before the deadline is counted.
GO_TEST(net_write_deadline, 2)
{
	go_fd a, b;
	enum { BYTES = 1 << 22 };
	char *big = test_pages(BYTES);
	connected(&a, &b);
	expect_eq(go_set_write_deadline(a, go_in(10 * GO_MSEC)), 0);
	int64_t sent = 0, n;
	while ((n = go_write(a, big, BYTES)) > 0)
		sent += n;
	expect_eq(n, GO_ETIMEDOUT);
	go_close(a);
	int64_t got = 0;
	while ((n = go_read(b, big, BYTES)) > 0)
		got += n;
	expect_eq(got, sent);
	go_close(b);
}

static void
storm_reader(void *v)
{
	go_fd fd = (go_fd)(intptr_t)v;
	char c;
	int64_t n;
	while ((n = go_read(fd, &c, 1)) != 0)
		expect(n == 1 || n == GO_ETIMEDOUT || n == GO_EAGAIN);
	count_add(&ended);
}

// Deadlines that are set, moved and taken away while somebody reads; no byte is lost, and nothing
// hangs.
GO_TEST(net_deadline_storm, 4)
{
	go_fd a, b;
	uint64_t rand = test_seed();
	connected(&a, &b);
	start(storm_reader, (void *)(intptr_t)b);
	for (int i = 0; i < 5000; i++) {
		static const int64_t in[] = {0, 1000, 5000, 20000, GO_SEC, -5};
		uint64_t r = test_rand(&rand);
		int64_t when = r % 7 == 6 ? GO_NEVER : go_in(in[r % 7 % 6]);
		expect_eq(go_set_read_deadline(b, r % 11 == 0 ? GO_POLL : when), 0);
		if (r % 3 == 0)
			expect_eq(go_write(a, "x", 1), 1);
	}
	expect_eq(go_set_read_deadline(b, GO_NEVER), 0);
	expect_eq(go_close(a), 0);
	until(count_of(&ended) == 1);
	expect_eq(go_close(b), 0);
}

// --- closing ------------------------------------------------------------------------------------

static go_fd under_test;

static void
read_closed(void *unused)
{
	char c;
	(void)unused;
	expect_eq(go_read(under_test, &c, 1), GO_ECLOSED);
	count_add(&ended);
}

static void
write_closed(void *unused)
{
	static char big[1 << 16];
	int64_t n;
	(void)unused;
	while ((n = go_write(under_test, big, sizeof(big))) > 0)
		;
	expect_eq(n, GO_ECLOSED);
	count_add(&ended);
}

static void
accept_closed(void *unused)
{
	(void)unused;
	expect_eq(go_accept(under_test), GO_ECLOSED);
	count_add(&ended);
}

// Each waiter is woken, those behind another one's turn, too.
GO_TEST(net_close_wakes_all, 2)
{
	go_fd b;
	char at[64];
	connected(&under_test, &b);
	for (int i = 0; i < 3; i++) {
		start(read_closed, NULL);
		start(write_closed, NULL);
	}
	go_sleep(5 * GO_MSEC);
	expect_eq(go_close(under_test), 0);
	until(count_of(&ended) == 6);
	expect_eq(go_close(under_test), GO_ECLOSED);
	go_close(b);
	under_test = listen_here("tcp", at, sizeof(at));
	for (int i = 0; i < 3; i++)
		start(accept_closed, NULL);
	go_sleep(5 * GO_MSEC);
	expect_eq(go_close(under_test), 0);
	until(count_of(&ended) == 9);
}

// A handle that was closed names nothing, though its record and its number are another one's.
GO_TEST(net_handles_end, 1)
{
	go_fd ends[2], next[2];
	char c;
	expect_eq(go_pipe(ends), 0);
	int fd = go_fd_number(ends[0]);
	expect_eq(go_close(ends[0]), 0);
	expect_eq(go_close(ends[1]), 0);
	expect_eq(go_pipe(next), 0);
	expect_eq(go_fd_number(next[0]), fd); // free at once
	expect_eq(go_write(next[1], "x", 1), 1);
	for (int i = 0; i < 2; i++) {
		expect_eq(go_read(ends[i], &c, 1), GO_ECLOSED);
		expect_eq(go_write(ends[i], &c, 1), GO_ECLOSED);
		expect_eq(go_set_deadline(ends[i], GO_NEVER), GO_ECLOSED);
		expect_eq(go_close(ends[i]), GO_ECLOSED);
		expect_eq(go_fd_number(ends[i]), GO_ECLOSED);
	}
	expect_eq(go_read(next[0], &c, 1), 1);
	expect_eq(go_read(GO_EINVAL, &c, 1), GO_EINVAL);
	for (go_fd small = 0; small < 64; small++) // numbers of records, and of descriptors
		expect_eq(go_read(small, &c, 1), GO_ECLOSED);
	expect_eq(go_read((go_fd)1 << 40 | 12345678, &c, 1), GO_ECLOSED);
	expect_eq(go_close(-7), GO_EINVAL);
}

// The address is free when go_close returns.
GO_TEST(net_close_frees_address, 2)
{
	char at[64];
	go_fd l = listen_here("tcp", at, sizeof(at));
	for (int i = 0; i < 20; i++) {
		under_test = l;
		start(accept_closed, NULL);
		if (i % 2 == 0)
			go_sleep(100 * GO_USEC);
		expect_eq(go_close(l), 0);
		until(count_of(&ended) == i + 1);
		l = go_listen("tcp", at);
		expect(l > 0);
	}
	go_close(l);
}

// --- scopes, threads ----------------------------------------------------------------------------

static int
read_in_scope(void *unused)
{
	char c;
	(void)unused;
	return (int)go_read(under_test, &c, 1);
}

GO_TEST(net_cancel, 2)
{
	go_fd b;
	char c;
	go_scope s;
	connected(&under_test, &b);
	go_scope_open(&s, GO_NEVER);
	for (int i = 0; i < 3; i++)
		expect_eq(go_scope_spawn(&s, read_in_scope, NULL), 0);
	go_sleep(2 * GO_MSEC);
	go_scope_cancel(&s);
	expect_eq(go_scope_wait(&s), GO_ECANCELED);
	expect_eq(go_write(b, "x", 1), 1);
	expect_eq(go_read(under_test, &c, 1), 1);
	go_close(b);
	go_close(under_test);
}

static void *
thread_talks(void *at)
{
	talk("tcp", at, 2);
	return NULL;
}

GO_TEST(net_threads, 2)
{
	char at[64];
	pthread_t t[3];
	go_fd l = listen_here("tcp", at, sizeof(at));
	start(serve, (void *)(intptr_t)l);
	for (int i = 0; i < 3; i++)
		expect_eq(pthread_create(&t[i], NULL, thread_talks, at), 0);
	until(count_of(&ended) == 6);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	go_close(l);
}

// --- bad addresses, refusals --------------------------------------------------------------------

GO_TEST(net_bad_addresses, 1)
{
	static const char *const bad[] = {"",	       "127.0.0.1", "1:2:3",	   "[::1",
					  "[::1]",     "::1:80",    "127.0.0.1:65536",
					  "[::1]x:80", "127.0.0.1:http!"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		go_fd fd = go_dial("tcp", bad[i], go_in(GO_SEC));
		expect(fd == GO_EADDRESS || (i == 8 && fd == GO_ENOHOST));
	}
	expect_eq(go_dial("tcp", NULL, GO_NEVER), GO_EINVAL);
	expect_eq(go_dial("sctp", "127.0.0.1:1", GO_NEVER), GO_EADDRESS);
	expect_eq(go_dial("tcp4", "[::1]:1", GO_NEVER), GO_EADDRESS);
	expect_eq(go_dial("tcp6", "127.0.0.1:1", GO_NEVER), GO_EADDRESS);
	expect_eq(go_listen("unix", ""), GO_EADDRESS);
	expect_eq(go_dial("unix", "/nonexistent/socket", GO_NEVER), GO_ERRNO(ENOENT));
}

GO_TEST(net_refused, 2)
{
	char at[64];
	go_fd l = listen_here("tcp", at, sizeof(at));
	expect_eq(go_listen("tcp", at), GO_ERRNO(EADDRINUSE));
	go_close(l);
	int held = hold_port(at, sizeof(at));
	expect_eq(go_dial("tcp", at, go_in(10 * GO_SEC)), GO_ERRNO(ECONNREFUSED));
	close(held);
	expect_str(go_strerror(GO_ERRNO(ECONNREFUSED)), "Connection refused");
}

// A peer that resets while we wait.
GO_TEST(net_reset, 2)
{
	go_fd a, b;
	char c;
	struct linger now = {1, 0};
	connected(&a, &b);
	expect_eq(setsockopt(go_fd_number(b), SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	expect_eq(go_close(b), 0);
	expect_eq(go_read(a, &c, 1), GO_ERRNO(ECONNRESET));
	go_close(a);
}

// One byte at a time, and a reader that wants all.
static void
drip(void *v)
{
	for (int i = 0; i < 100; i++) {
		char c = (char)i;
		expect_eq(go_write((go_fd)(intptr_t)v, &c, 1), 1);
		if (i % 10 == 0)
			go_yield();
	}
	expect_eq(go_close((go_fd)(intptr_t)v), 0);
}

GO_TEST(net_drip, 2)
{
	go_fd a, b;
	char buf[60];
	connected(&a, &b);
	start(drip, (void *)(intptr_t)a);
	expect_eq(go_read_full(b, buf, 60), 60);
	expect_eq(buf[59], 59);
	expect_eq(go_read_full(b, buf, 60), 40);
	go_close(b);
}

// --- adoption, go_poll, files -------------------------------------------------------------------

static void
ring_later(void *v)
{
	go_sleep(2 * GO_MSEC);
	expect_eq(eventfd_write((int)(intptr_t)v, 3), 0);
}

GO_TEST(net_adopt, 2)
{
	uint64_t count = 0;
	int e = eventfd(0, EFD_CLOEXEC); // blocking, and stays so
	go_fd fd = go_adopt(e);
	expect(fd > 0);
	start(ring_later, (void *)(intptr_t)e);
	expect_eq(go_read(fd, &count, sizeof(count)), sizeof(count));
	expect_eq(count, 3);
	expect_eq(fcntl(e, F_GETFL) & O_NONBLOCK, 0);
	expect_eq(go_set_read_deadline(fd, go_in(GO_MSEC)), 0);
	expect_eq(go_read(fd, &count, sizeof(count)), GO_ETIMEDOUT);
	expect_eq(go_close(fd), 0);
	expect_eq(go_adopt(-1), GO_EINVAL);
	expect_eq(go_adopt(1000000), GO_EINVAL);
}

GO_TEST(net_file, 2)
{
	char buf[4], sent[4] = {0};
	go_fd a, b;
	int f = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	go_fd fd = go_adopt(f);
	expect(fd > 0);
	expect_eq(go_read_full(fd, buf, 4), 4);
	expect(memcmp(buf, "\177ELF", 4) == 0);
	expect_eq(go_set_deadline(fd, GO_NEVER), GO_ENOSYS);
	connected(&a, &b);
	int64_t at = 1;
	expect_eq(go_sendfile(a, f, &at, 3), 3);
	expect_eq(at, 4);
	expect_eq(go_read_full(b, sent, 3), 3);
	expect(memcmp(sent, "ELF", 3) == 0);
	expect_eq(go_sendfile(a, f, NULL, 0), 0);
	struct stat st;
	expect_eq(fstat(f, &st), 0);
	at = st.st_size - 10;
	expect_eq(go_sendfile(a, f, &at, 100), 10);
	go_close(fd);
	go_close(a);
	go_close(b);
}

static void
poll_one(void *v)
{
	int fd = (int)(intptr_t)v;
	expect_eq(go_poll(fd, GO_READABLE, GO_NEVER), GO_READABLE);
	count_add(&ended);
}

GO_TEST(net_poll, 2)
{
	int fds[2];
	expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	expect_eq(go_poll(fds[0], GO_READABLE | GO_WRITABLE, GO_NEVER), GO_WRITABLE);
	expect_eq(go_poll(fds[0], GO_READABLE, GO_POLL), GO_EAGAIN);
	expect_eq(go_poll(fds[0], GO_READABLE, go_in(GO_MSEC)), GO_ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		start(poll_one, (void *)(intptr_t)fds[0]); // any number at once
	go_sleep(2 * GO_MSEC);
	expect_eq(write(fds[1], "x", 1), 1);
	until(count_of(&ended) == 3);
	close(fds[1]);
	expect_eq(go_poll(fds[0], GO_READABLE | GO_WRITABLE, GO_NEVER),
		  GO_READABLE | GO_WRITABLE);
	close(fds[0]);
	expect_eq(go_poll(fds[0], GO_READABLE, GO_NEVER), GO_EINVAL);
	expect_eq(go_poll(0, 0, GO_NEVER), GO_EINVAL);
	expect_eq(go_poll(0, 4, GO_NEVER), GO_EINVAL);
}
