// SPDX-License-Identifier: BSD-3-Clause
// Sockets when descriptors run out, programs are started, peers end badly, and reads are short.
#include <fcntl.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "api/net.h"

// --- limits -------------------------------------------------------------------------------------

// Without descriptors go_accept waits until there are some.
GO_TEST(net_accept_full, 2)
{
	enum { SPARE = 400 };
	char at[64];
	int fill[SPARE], n = 0;
	struct rlimit lim;
	expect_eq(getrlimit(RLIMIT_NOFILE, &lim), 0);
	lim.rlim_cur = SPARE;
	expect_eq(setrlimit(RLIMIT_NOFILE, &lim), 0);
	go_fd l = listen_here("tcp", at, sizeof(at));
	go_fd a = go_dial("tcp", at, go_in(10 * GO_SEC));
	expect(a > 0);
	while (n < SPARE && (fill[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	expect_eq(go_set_read_deadline(l, go_in(20 * GO_MSEC)), 0);
	expect_eq(go_accept(l), GO_ETIMEDOUT);
	expect_eq(go_dial("tcp", at, go_in(10 * GO_SEC)), GO_ENOMEM);
	expect_eq(go_pipe((go_fd[2]){0}), GO_ENOMEM);
	while (n > 0)
		close(fill[--n]);
	expect_eq(go_set_read_deadline(l, GO_NEVER), 0);
	go_fd b = go_accept(l);
	expect(b > 0);
	go_close(a);
	go_close(b);
	go_close(l);
}

// A descriptor of ours is not seen by a program that is started.
GO_TEST(net_close_on_exec, 1)
{
	go_fd a, b, ends[2];
	connected(&a, &b);
	expect_eq(go_pipe(ends), 0);
	go_fd all[] = {a, b, ends[0], ends[1]};
	for (int i = 0; i < 4; i++)
		expect((fcntl(go_fd_number(all[i]), F_GETFD) & FD_CLOEXEC) != 0);
}

// What a started program sees: the numbers of its descriptors, as ls says them.
static void
list_descriptors(char text[256])
{
	char *const argv[] = {"ls", "/proc/self/fd", NULL};
	posix_spawn_file_actions_t to;
	int out[2], n = 0;
	pid_t pid;
	expect_eq(pipe2(out, O_CLOEXEC), 0);
	expect_eq(posix_spawn_file_actions_init(&to), 0);
	expect_eq(posix_spawn_file_actions_adddup2(&to, out[1], 1), 0);
	expect_eq(posix_spawnp(&pid, "ls", &to, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&to);
	close(out[1]);
	for (ssize_t got; n < 255 && (got = read(out[0], text + n, (size_t)(255 - n))) > 0;)
		n += (int)got;
	text[n] = '\0';
	close(out[0]);
	expect_eq(waitpid(pid, NULL, 0), pid);
}

static atomic_bool enough;

static void
make_descriptors(void *unused)
{
	go_fd a, b, ends[2];
	(void)unused;
	while (!atomic_load(&enough)) {
		connected(&a, &b);
		expect_eq(go_pipe(ends), 0);
		go_fd file = go_open("/proc/self/exe", O_RDONLY, 0);
		expect(file > 0);
		go_fd all[] = {a, b, ends[0], ends[1], file};
		for (int i = 0; i < 5; i++)
			expect_eq(go_close(all[i]), 0);
	}
	count_add(&ended);
}

// Programs that are started while descriptors come and go see none of them, whenever that is.
GO_TEST(net_start_programs, 4)
{
	char before[256], now[256];
	list_descriptors(before);
	for (int i = 0; i < 3; i++)
		start(make_descriptors, NULL);
	for (long i = test_scale(20); i > 0; i--) {
		list_descriptors(now);
		expect_str(now, before);
	}
	atomic_store(&enough, true);
	until(count_of(&ended) == 3);
}

// --- peers that end badly -----------------------------------------------------------------------

enum { PEERS = 16 };

// A process that connects, says a little, leaves unread what it is told, and is killed.
static pid_t
start_peer(int port_from)
{
	pid_t pid = fork();
	expect(pid >= 0);
	if (pid != 0)
		return pid;
	struct sockaddr_in to = {.sin_family = AF_INET};
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (read(port_from, &to.sin_port, sizeof(to.sin_port)) != sizeof(to.sin_port))
		_exit(1);
	for (int i = 0; i < PEERS; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		int err = connect(fd, (struct sockaddr *)&to, sizeof(to));
		if (err != 0 || write(fd, "hello", 5) != 5)
			_exit(2);
	}
	usleep(5000); // some answers have come by then, some not
	raise(SIGKILL);
	_exit(3);
}

static void
talk_to_killed(void *v)
{
	go_fd fd = (go_fd)(intptr_t)v;
	static char big[1 << 16];
	char buf[100];
	int64_t n;
	expect_eq(go_write(fd, "unread", 6), 6);
	while ((n = go_read(fd, buf, sizeof(buf))) > 0)
		;
	expect(n == 0 || n == GO_ERRNO(ECONNRESET));
	while ((n = go_write(fd, big, sizeof(big))) > 0)
		;
	expect(n == GO_ERRNO(EPIPE) || n == GO_ERRNO(ECONNRESET));
	expect_eq(go_close(fd), 0);
	count_add(&ended);
}

static int
meet_peers(void *port_to)
{
	struct sockaddr_in at;
	uint32_t bytes = sizeof(at);
	go_fd l = go_listen("tcp4", "127.0.0.1:0");
	expect(l > 0);
	expect_eq(go_local_address(l, (struct sockaddr *)&at, &bytes), 0);
	expect_eq(write((int)(intptr_t)port_to, &at.sin_port, sizeof(at.sin_port)), 2);
	for (int i = 0; i < PEERS; i++) {
		go_fd fd = go_accept(l);
		expect(fd > 0);
		start(talk_to_killed, (void *)(intptr_t)fd);
	}
	until(count_of(&ended) == PEERS);
	expect_eq(go_close(l), 0);
	return 0;
}

void
test_net_peer_killed(void)
{
	int port[2], status;
	expect_eq(pipe(port), 0);
	pid_t pid = start_peer(port[0]);
	go_gomaxprocs(2);
	expect_eq(go_run(meet_peers, (void *)(intptr_t)port[1]), 0);
	expect_eq(waitpid(pid, &status, 0), pid);
	expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
write_for_ever(void *v)
{
	static char big[1 << 20];
	go_fd fd = (go_fd)(intptr_t)v;
	int64_t n;
	while ((n = go_write(fd, big, sizeof(big))) > 0)
		;
	expect(n == GO_ECLOSED || n == GO_ERRNO(EPIPE) || n == GO_ERRNO(ECONNRESET));
	count_add(&ended);
}

// Who writes to peers that never read waits alone: others talk, and closing either end frees him.
GO_TEST(net_peer_never_reads, 2)
{
	enum { WRITERS = 8 };
	go_fd a[WRITERS], b[WRITERS], c, d;
	char x;
	for (int i = 0; i < WRITERS; i++) {
		connected(&a[i], &b[i]);
		start(write_for_ever, (void *)(intptr_t)a[i]);
	}
	go_sleep(2 * GO_MSEC);
	connected(&c, &d);
	for (int i = 0; i < 100; i++) {
		expect_eq(go_write(c, "x", 1), 1);
		expect_eq(go_read(d, &x, 1), 1);
	}
	expect_eq(count_of(&ended), 0);
	for (int i = 0; i < WRITERS; i++)
		expect_eq(go_close(i % 2 == 0 ? a[i] : b[i]), 0);
	until(count_of(&ended) == WRITERS);
	go_close(c);
	go_close(d);
}

// --- short reads --------------------------------------------------------------------------------

// A reader that has had short reads waits without asking first: src/net/io.c, I3. What stands
// behind a short read with no event to come must be found all the same.
typedef struct ShortReads {
	go_fd fd;
	int64_t got, last;
} ShortReads;

static void
read_to_end(void *v)
{
	ShortReads *s = v;
	char buf[64];
	while ((s->last = go_read(s->fd, buf, sizeof(buf))) > 0)
		s->got += s->last;
	count_add(&ended);
}

static void
short_reads_at_first(go_fd from, go_fd to)
{
	char buf[64];
	for (int i = 0; i < 4; i++) {
		expect_eq(go_write(from, "abc", 3), 3);
		expect_eq(go_read(to, buf, sizeof(buf)), 3);
	}
}

// The end comes with the last bytes, before or after the reader waits.
GO_TEST(net_short_read_then_end, 0)
{
	for (int i = 0; i < 40; i++) {
		go_fd a, b;
		ShortReads s = {0};
		connected(&a, &b);
		short_reads_at_first(a, b);
		s.fd = b;
		if (i % 2 == 0)
			start(read_to_end, &s);
		if (i % 4 < 2)
			go_sleep(GO_USEC * 50);
		expect_eq(go_write(a, "last", 4), 4);
		expect_eq(go_close_write(a), 0);
		if (i % 2 != 0) {
			go_sleep(GO_USEC * 100 * (i % 3)); // the events are old when it looks
			start(read_to_end, &s);
		}
		until(count_of(&ended) == i + 1);
		expect_eq(s.got, 4);
		expect_eq(s.last, 0);
		expect_eq(go_close(a), 0);
		expect_eq(go_close(b), 0);
	}
}

// A read stops before urgent data; what is behind them came long ago.
GO_TEST(net_short_read_at_urgent, 0)
{
	go_fd a, b;
	char buf[64];
	connected(&a, &b);
	short_reads_at_first(a, b);
	expect_eq(go_write(a, "one", 3), 3);
	expect_eq(send(go_fd_number(a), "!", 1, MSG_OOB), 1);
	expect_eq(go_write(a, "two", 3), 3);
	go_sleep(2 * GO_MSEC);
	go_set_read_deadline(b, go_in(10 * GO_SEC));
	expect_eq(go_read(b, buf, sizeof(buf)), 3);
	expect(memcmp(buf, "one", 3) == 0);
	expect_eq(go_read(b, buf, sizeof(buf)), 3);
	expect(memcmp(buf, "two", 3) == 0);
	expect_eq(go_close(a), 0);
	expect_eq(go_close(b), 0);
}

// The number of a connection that has been accepted. The library is not asked, as it remembers whom
// it has told: src/net/io.c, I4.
static int
find_number(go_fd accepted)
{
	struct sockaddr_in want, is;
	socklen_t bytes = sizeof(want);
	expect_eq(go_local_address(accepted, (struct sockaddr *)&want, &bytes), 0);
	for (int fd = 0; fd < 256; fd++) {
		bytes = sizeof(is);
		if (getsockname(fd, (struct sockaddr *)&is, &bytes) == 0 &&
		    is.sin_family == AF_INET && is.sin_port == want.sin_port)
			return fd;
	}
	return -1;
}

// The same of a reader whose reads have been full each time, until the kernel is asked to say what
// is left: READS_COUNTED. Then as many bytes as it asks for are the last, or half of what there is.
static void
full_reads_at_first(go_fd from, go_fd to)
{
	char buf[64] = {0};
	int counts = 0;
	socklen_t bytes = sizeof(counts);
	for (int i = 0; i < 20; i++) {
		go_set_read_deadline(to, GO_POLL);
		expect_eq(go_read(to, buf, sizeof(buf)), GO_EAGAIN);
		expect_eq(go_write(from, buf, sizeof(buf)), sizeof(buf));
		until(go_read(to, buf, sizeof(buf)) == sizeof(buf));
	}
	go_set_read_deadline(to, GO_NEVER);
	expect_eq(getsockopt(find_number(to), IPPROTO_TCP, TCP_INQ, &counts, &bytes), 0);
	expect_eq(counts, 1);
}

GO_TEST(net_full_read_then_end, 0)
{
	char buf[128] = {0};
	for (int i = 0; i < 40; i++) {
		go_fd a, b;
		ShortReads s = {0};
		connected(&a, &b);
		full_reads_at_first(a, b);
		s.fd = b;
		if (i % 2 == 0)
			start(read_to_end, &s);
		if (i % 4 < 2)
			go_sleep(GO_USEC * 50);
		expect_eq(go_write(a, buf, sizeof(buf)), sizeof(buf));
		expect_eq(go_close_write(a), 0);
		if (i % 2 != 0) {
			go_sleep(GO_USEC * 100 * (i % 3));
			start(read_to_end, &s);
		}
		until(count_of(&ended) == i + 1);
		expect_eq(s.got, sizeof(buf));
		expect_eq(s.last, 0);
		expect_eq(go_close(a), 0);
		expect_eq(go_close(b), 0);
	}
}

GO_TEST(net_full_read_at_urgent, 0)
{
	go_fd a, b;
	char buf[64] = {0};
	connected(&a, &b);
	full_reads_at_first(a, b);
	expect_eq(go_write(a, buf, sizeof(buf)), sizeof(buf));
	expect_eq(send(go_fd_number(a), "!", 1, MSG_OOB), 1);
	expect_eq(go_write(a, "two", 3), 3);
	go_sleep(2 * GO_MSEC);
	go_set_read_deadline(b, go_in(10 * GO_SEC));
	expect_eq(go_read(b, buf, sizeof(buf)), sizeof(buf));
	expect_eq(go_read(b, buf, sizeof(buf)), 3);
	expect(memcmp(buf, "two", 3) == 0);
	for (int i = 0; i < 40; i++) { // short ones: back to the call that does not count
		expect_eq(go_write(a, "abc", 3), 3);
		expect_eq(go_read(b, buf, sizeof(buf)), 3);
	}
	expect_eq(go_close(a), 0);
	expect_eq(go_close(b), 0);
}

static bool
put_tls_over(int fd, int side)
{
	struct tls12_crypto_info_aes_gcm_128 keys = {
	    .info = {TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128}};
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0 &&
	       setsockopt(fd, SOL_TLS, side, &keys, sizeof(keys)) == 0;
}

// One record, whose type is in control data, or wanted there.
typedef ssize_t MessageCall(int fd, struct msghdr *m, int flags);

static ssize_t
record(MessageCall *call, int fd, unsigned char *type, char *data, size_t n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(1)];
	} told = {.head = {CMSG_LEN(1), SOL_TLS, TLS_SET_RECORD_TYPE}};
	struct iovec v = {data, n};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = &told,
			   .msg_controllen = CMSG_LEN(1)};
	*CMSG_DATA(&told.head) = *type;
	ssize_t done = call(fd, &m, 0);
	*type = *CMSG_DATA(&told.head);
	return done;
}

static ssize_t
send_message(int fd, struct msghdr *m, int flags)
{
	return sendmsg(fd, m, flags);
}

// TLS in the kernel: a read ends before a record that is no data, and what is behind it came long
// ago.
GO_TEST(net_short_read_in_ktls, 0)
{
	go_fd a, b;
	char buf[64];
	unsigned char alert = 21, type = alert;
	connected(&a, &b);
	short_reads_at_first(a, b);
	if (!put_tls_over(go_fd_number(a), TLS_TX) || !put_tls_over(go_fd_number(b), TLS_RX))
		skip("no TLS in this kernel");
	expect_eq(go_write(a, "one", 3), 3);
	expect_eq(record(send_message, go_fd_number(a), &type, "\1\0", 2), 2);
	expect_eq(go_write(a, "two", 3), 3);
	go_sleep(2 * GO_MSEC); // so that all three are there for one read
	go_set_read_deadline(b, go_in(10 * GO_SEC));
	expect_eq(go_read(b, buf, sizeof(buf)), 3);
	expect(memcmp(buf, "one", 3) == 0);
	expect_eq(go_read(b, buf, sizeof(buf)), GO_ERRNO(EIO));
	type = 0;
	expect_eq(record(recvmsg, go_fd_number(b), &type, buf, sizeof(buf)), 2);
	expect_eq(type, alert);
	expect_eq(go_read(b, buf, sizeof(buf)), 3);
	expect(memcmp(buf, "two", 3) == 0);
	expect_eq(go_close(a), 0);
	expect_eq(go_close(b), 0);
}

// Reads of other kinds in between; none waits that need not.
GO_TEST(net_short_read_others_between, 0)
{
	go_fd a, b;
	char buf[64];
	struct iovec v = {buf, 2};
	connected(&a, &b);
	for (int i = 0; i < 20; i++) {
		short_reads_at_first(a, b);
		expect_eq(go_read(b, buf, 0), 0);
		expect_eq(go_write(a, "abcdef", 6), 6);
		expect_eq(go_readv(b, &v, 1), 2); // not all of it
		expect_eq(go_read(b, buf, 2), 2);
		expect_eq(go_receive(b, buf, 1, NULL, NULL), 1);
		expect_eq(go_read(b, buf, sizeof(buf)), 1);
		go_set_read_deadline(b, GO_POLL);
		expect_eq(go_read(b, buf, sizeof(buf)), GO_EAGAIN);
		expect_eq(go_write(a, "x", 1), 1);
		expect_eq(go_read(b, buf, sizeof(buf)), 1); // told or not, it is there
		go_set_read_deadline(b, GO_NEVER);
	}
	expect_eq(go_close(a), 0);
	expect_eq(go_close(b), 0);
}
