// SPDX-License-Identifier: BSD-3-Clause
// The showcase: five loads a runtime has to carry, each measured, and each checking its own result.
//
//	showcase [--quick]
//
//   echo     a TCP server and its clients on loopback, a goroutine at each end of each connection
//   sieve    prime numbers through a chain of goroutines, a filter for each prime
//   timers   goroutines that each sleep until a time of their own
//   tree     goroutines that start goroutines in scopes, and wait for them
//   parked   a million goroutines that wait for one event
//
// A part prints a row of the table, and below it what cannot be said in a number. Switches, steals
// and threads are differences of go_stats_read; cores is CPU time by time on the clock. The exit
// status is 1 when a part found its own result wrong, or could not run.
//
// The library has no network poller. Section "a network poller" shows that a program can have one in
// a page: one goroutine calls epoll_wait, an ordinary blocking call, and rings channels.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <undergo.h>

enum { TIME_LIMIT_S = 110 };

// How much each part does.
typedef struct Load {
	int connections;
	int64_t echo_ns;
	int primes;
	int sleepers;
	int64_t sleep_ns;
	int tree_depth;
	int tree_rounds;
	int parked;
} Load;

static const Load full = {
	.connections = 2000,
	.echo_ns = 2 * GO_SEC,
	.primes = 2000,
	.sleepers = 100000,
	.sleep_ns = 2 * GO_SEC,
	.tree_depth = 5,
	.tree_rounds = 10,
	.parked = 1000000,
};

static const Load quick = {
	.connections = 200,
	.echo_ns = GO_SEC / 4,
	.primes = 300,
	.sleepers = 5000,
	.sleep_ns = GO_SEC / 4,
	.tree_depth = 4,
	.tree_rounds = 2,
	.parked = 20000,
};

// --- text ---------------------------------------------------------------------------------------

// Room for one number. Only the main goroutine prints, and never ten of them at once.
static char *
text_place(void)
{
	static char place[10][32];
	static int turn;
	turn = (turn + 1) % 10;
	return place[turn];
}

// 1234567 as 1,234,567.
static const char *
grouped(uint64_t n)
{
	char *to = text_place() + 31;
	*to = '\0';
	for (int digits = 0; n != 0 || digits == 0; digits++, n /= 10) {
		if (digits != 0 && digits % 3 == 0)
			*--to = ',';
		*--to = (char)('0' + n % 10);
	}
	return to;
}

static const char *
time_text(int64_t ns)
{
	char *to = text_place();
	if (ns < 1000)
		snprintf(to, 32, "%d ns", (int)ns);
	else if (ns < GO_MSEC)
		snprintf(to, 32, "%.1f us", (double)ns / 1e3);
	else if (ns < GO_SEC)
		snprintf(to, 32, "%.1f ms", (double)ns / 1e6);
	else
		snprintf(to, 32, "%.2f s", (double)ns / 1e9);
	return to;
}

static const char *
size_text(uint64_t bytes)
{
	char *to = text_place();
	if (bytes < UINT64_C(10) << 30)
		snprintf(to, 32, "%s MB", grouped(bytes >> 20));
	else
		snprintf(to, 32, "%.1f GB", (double)bytes / (1 << 30));
	return to;
}

// --- what the system says -----------------------------------------------------------------------

// The first number of a file behind `label`; -1 when there is none.
static int64_t
number_in_file(const char *path, const char *label)
{
	char line[256];
	long long value = -1;
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return -1;
	while (value < 0 && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, label, strlen(label)) == 0 &&
		    sscanf(line + strlen(label), "%lld", &value) != 1)
			break; // "max"
	fclose(f);
	return value;
}

static uint64_t
resident_bytes(void)
{
	int64_t kb = number_in_file("/proc/self/status", "VmRSS:");
	return kb > 0 ? (uint64_t)kb << 10 : 0;
}

// What may still be used without swapping, and within our control group.
static int64_t
available_bytes(void)
{
	static const char *const groups[][2] = {
		{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
		{"/sys/fs/cgroup/memory/memory.limit_in_bytes",
		 "/sys/fs/cgroup/memory/memory.usage_in_bytes"},
	};
	int64_t least = number_in_file("/proc/meminfo", "MemAvailable:") << 10;
	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
		int64_t limit = number_in_file(groups[i][0], "");
		int64_t used = number_in_file(groups[i][1], "");
		if (limit >= 0 && used >= 0 && limit - used < least)
			least = limit - used;
	}
	return least;
}

static int64_t
cpu_ns(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return ((int64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * GO_SEC +
	       ((int64_t)u.ru_utime.tv_usec + u.ru_stime.tv_usec) * GO_USEC;
}

// Whether the kernel can guard a stack without splitting a mapping (MADV_GUARD_INSTALL, Linux 6.13).
static bool
guards_are_markers(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	bool yes = madvise(p, page, 102) == 0;
	munmap(p, page);
	return yes;
}

// --- results ------------------------------------------------------------------------------------

enum { NOTES_MAX = 5 };

typedef struct Result {
	uint64_t operations;
	int64_t ns;            // what the operations took; 0: as long as the part
	uint64_t resident;     // at its fullest
	char note[NOTES_MAX][128];
	int notes;
	_Atomic(const char *) failure; // the first thing that was wrong; NULL: nothing
} Result;

__attribute__((format(printf, 2, 3))) static void
note(Result *r, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (r->notes < NOTES_MAX)
		vsnprintf(r->note[r->notes++], sizeof r->note[0], format, args);
	va_end(args);
}

// Any goroutine of a part may call it.
static bool
expect(Result *r, bool ok, const char *what)
{
	const char *none = NULL;
	if (!ok)
		atomic_compare_exchange_strong(&r->failure, &none, what);
	return ok;
}

static void
see_memory(Result *r)
{
	uint64_t now = resident_bytes();
	if (now > r->resident)
		r->resident = now;
}

// --- latencies ----------------------------------------------------------------------------------

// Sixteen buckets for each power of two, so a quantile is exact to a sixteenth.
enum { BUCKETS = 60 * 16 };

typedef struct Histogram {
	atomic_uint_fast32_t bucket[BUCKETS];
	atomic_uint_fast64_t n;
} Histogram;

static void
histogram_add(Histogram *h, int64_t ns)
{
	uint64_t v = ns > 0 ? (uint64_t)ns : 0;
	unsigned shift = v < 16 ? 0 : (unsigned)(59 - __builtin_clzll(v));
	unsigned at = v < 16 ? (unsigned)v : shift * 16 + (unsigned)(v >> shift);
	atomic_fetch_add_explicit(&h->bucket[at], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->n, 1, memory_order_relaxed);
}

// What `permille` of a thousand values are at most.
static int64_t
histogram_quantile(Histogram *h, unsigned permille)
{
	uint64_t rank = h->n * permille / 1000, seen = 0;
	for (unsigned at = 0; at < BUCKETS; at++) {
		seen += h->bucket[at];
		if (seen > rank || (seen == h->n && seen != 0))
			return at < 32 ? at : (int64_t)(at % 16 + 17) << (at / 16 - 1);
	}
	return 0;
}

// --- a network poller ---------------------------------------------------------------------------

// A goroutine that has nothing to read waits on its socket's channel. One goroutine for all of them sits
// in epoll_wait; the runtime gives its processor to others meanwhile. A ring that is not heard is kept:
// the channel has one place, and edge-triggered epoll rings again only after the next change.
typedef struct Poller {
	int epoll;
	int stop; // an eventfd: written to end it
} Poller;

typedef struct Socket {
	int fd;
	go_chan *ready;
} Socket;

static void
poller_run(void *arg)
{
	Poller *p = arg;
	struct epoll_event events[256];
	for (;;) {
		int n = epoll_wait(p->epoll, events, 256, 0);
		if (n == 0) {
			go_block_begin(); // a hint: nothing is there, it will block
			n = epoll_wait(p->epoll, events, 256, -1);
			go_block_end();
		}
		for (int i = 0; i < n; i++) {
			Socket *s = events[i].data.ptr;
			if (s == NULL)
				return;
			go_chan_send(s->ready, NULL, GO_POLL);
		}
		go_yield();
	}
}

static bool
poller_open(Poller *p)
{
	struct epoll_event event = {.events = EPOLLIN};
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->stop = eventfd(0, EFD_CLOEXEC);
	return p->epoll >= 0 && p->stop >= 0 &&
	       epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->stop, &event) == 0;
}

static void
poller_close(Poller *p)
{
	close(p->epoll);
	close(p->stop);
}

// Takes fd over. The socket's memory is good until the poller has ended, since an event may be on its way.
static bool
socket_open(Socket *s, Poller *p, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = s};
	s->fd = fd;
	s->ready = go_chan_new(0, 1);
	return fd >= 0 && s->ready != NULL &&
	       fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0 &&
	       epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void
socket_close(Socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

// After a call that failed: true when it is to be tried again.
static bool
socket_wait(Socket *s)
{
	if (errno == EINTR)
		return true;
	bool later = errno == EAGAIN || errno == EINPROGRESS || errno == EALREADY;
	return later && go_chan_recv(s->ready, NULL, GO_NEVER) == 0;
}

// 0 at the end of the stream, -1 on an error.
static ssize_t
socket_read(Socket *s, void *to, size_t bytes)
{
	for (;;) {
		ssize_t n = recv(s->fd, to, bytes, 0);
		if (n >= 0 || !socket_wait(s))
			return n;
	}
}

static bool
socket_write_all(Socket *s, const char *from, size_t bytes)
{
	while (bytes != 0) {
		ssize_t n = send(s->fd, from, bytes, MSG_NOSIGNAL);
		if (n < 0 && !socket_wait(s))
			return false;
		if (n > 0) {
			from += n;
			bytes -= (size_t)n;
		}
	}
	return true;
}

static bool
socket_read_all(Socket *s, char *to, size_t bytes)
{
	while (bytes != 0) {
		ssize_t n = socket_read(s, to, bytes);
		if (n <= 0)
			return false;
		to += n;
		bytes -= (size_t)n;
	}
	return true;
}

// --- echo ---------------------------------------------------------------------------------------

enum { MESSAGE_BYTES = 64 };

typedef struct Echo Echo;

typedef struct Peer {
	Socket socket;
	Echo *echo;
	int number;
} Peer;

struct Echo {
	Result *result;
	Poller poller;
	go_scope scope;
	Socket listener;
	struct sockaddr_in address;
	int connections;
	int64_t end; // when the clients stop
	Peer *client;
	Peer *server;
	Histogram latency;
	atomic_uint_fast64_t connected;
};

// A child of a scope that fails ends the others: they wait on channels, which a cancelled scope ends.
static int
echo_fails(Echo *e, const char *why)
{
	expect(e->result, false, why);
	return GO_EINVAL;
}

static int
echo_serve(void *arg)
{
	Peer *p = arg;
	char buffer[4096];
	ssize_t n;
	while ((n = socket_read(&p->socket, buffer, sizeof buffer)) > 0)
		if (!socket_write_all(&p->socket, buffer, (size_t)n))
			break;
	socket_close(&p->socket);
	return 0;
}

static int
echo_accept(void *arg)
{
	Echo *e = arg;
	for (int n = 0; n < e->connections;) {
		int fd = accept(e->listener.fd, NULL, NULL);
		if (fd < 0) {
			if (!socket_wait(&e->listener))
				return echo_fails(e, "accept failed");
			continue;
		}
		Peer *p = &e->server[n++];
		if (!socket_open(&p->socket, &e->poller, fd))
			return echo_fails(e, "a descriptor was refused");
		if (go_scope_spawn(&e->scope, echo_serve, p) != 0)
			return echo_fails(e, "no goroutine for a connection");
	}
	return 0;
}

static bool
client_connects(Peer *p)
{
	Echo *e = p->echo;
	struct linger reset = {.l_onoff = 1}; // no port is left waiting afterwards
	int error = 0;
	socklen_t bytes = sizeof error;
	if (!socket_open(&p->socket, &e->poller, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)))
		return false;
	setsockopt(p->socket.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	while (connect(p->socket.fd, (struct sockaddr *)&e->address, sizeof e->address) != 0)
		if (errno == EISCONN)
			break;
		else if (!socket_wait(&p->socket))
			return false;
	getsockopt(p->socket.fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
	return error == 0;
}

static int
client_run(void *arg)
{
	Peer *p = arg;
	Echo *e = p->echo;
	char sent[MESSAGE_BYTES] = "", got[MESSAGE_BYTES];
	if (!client_connects(p))
		return echo_fails(e, "connect failed");
	e->connected++;
	for (int64_t n = 0; n == 0 || go_now() < e->end; n++) {
		snprintf(sent, sizeof sent, "%d: %lld", p->number, (long long)n);
		int64_t begin = go_now();
		if (!socket_write_all(&p->socket, sent, sizeof sent) ||
		    !socket_read_all(&p->socket, got, sizeof got))
			return echo_fails(e, "a connection broke");
		histogram_add(&e->latency, go_now() - begin);
		if (memcmp(sent, got, sizeof sent) != 0)
			return echo_fails(e, "an echo differs from what was sent");
	}
	socket_close(&p->socket);
	return 0;
}

static bool
echo_listen(Echo *e)
{
	socklen_t bytes = sizeof e->address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	e->address = (struct sockaddr_in){.sin_family = AF_INET};
	e->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return socket_open(&e->listener, &e->poller, fd) &&
	       bind(fd, (struct sockaddr *)&e->address, sizeof e->address) == 0 &&
	       getsockname(fd, (struct sockaddr *)&e->address, &bytes) == 0 && listen(fd, 4096) == 0;
}

// As many connections as descriptors allow: two for each, and some to spare.
static int
affordable_connections(int wanted)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return wanted;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > (rlim_t)(2 * wanted + 64))
		return wanted;
	return limit.rlim_cur > 128 ? (int)(limit.rlim_cur - 64) / 2 : 1;
}

static void
echo_load(Echo *e, int64_t ns)
{
	go_scope_open(&e->scope, go_in(ns + 30 * GO_SEC));
	int err = go_scope_spawn(&e->scope, echo_accept, e);
	e->end = go_in(ns);
	for (int i = 0; i < e->connections && err == 0; i++) {
		e->client[i] = (Peer){.socket.fd = -1, .echo = e, .number = i};
		e->server[i] = (Peer){.socket.fd = -1, .echo = e, .number = i};
		err = go_scope_spawn(&e->scope, client_run, &e->client[i]);
	}
	if (err != 0)
		go_scope_cancel(&e->scope);
	go_sleep_until(e->end - ns / 4);
	see_memory(e->result);
	int end = go_scope_wait(&e->scope);
	expect(e->result, err == 0 && end == 0, go_strerror(err != 0 ? err : end));
}

static void
echo_free(Echo *e)
{
	for (int i = 0; i < e->connections; i++) {
		socket_close(&e->client[i].socket);
		socket_close(&e->server[i].socket);
		go_chan_free(e->client[i].socket.ready);
		go_chan_free(e->server[i].socket.ready);
	}
	socket_close(&e->listener);
	go_chan_free(e->listener.ready);
	poller_close(&e->poller);
	free(e->client);
	free(e->server);
}

typedef struct PollerGoroutine {
	Poller *poller;
	go_waitgroup ended;
} PollerGoroutine;

static void
poller_goroutine(void *arg)
{
	PollerGoroutine *pg = arg;
	poller_run(pg->poller);
	go_wg_done(&pg->ended);
}

static void
run_echo(const Load *load, Result *r)
{
	Echo *e = calloc(1, sizeof *e);
	if (!expect(r, e != NULL, "no memory"))
		return;
	e->result = r;
	e->listener.fd = -1;
	e->connections = affordable_connections(load->connections);
	e->client = calloc((size_t)e->connections, sizeof(Peer));
	e->server = calloc((size_t)e->connections, sizeof(Peer));
	PollerGoroutine pg = {.poller = &e->poller};
	if (expect(r, e->client != NULL && e->server != NULL, "no memory") &&
	    expect(r, poller_open(&e->poller) && echo_listen(e), "cannot listen on loopback")) {
		go_wg_add(&pg.ended, 1);
		if (!expect(r, go_spawn(poller_goroutine, &pg) == 0, "no goroutine"))
			go_wg_done(&pg.ended);
		echo_load(e, load->echo_ns);
		uint64_t one = 1;
		expect(r, write(e->poller.stop, &one, sizeof one) == sizeof one, "eventfd failed");
		go_wg_wait(&pg.ended, GO_NEVER);
	}
	r->operations = e->latency.n;
	if (e->connections < load->connections)
		note(r, "%s connections instead of %s: the limit on descriptors allows no more",
		     grouped((uint64_t)e->connections), grouped((uint64_t)load->connections));
	note(r, "round trips of %d bytes on %s TCP connections, %s goroutines; p50 %s, p99 %s",
	     MESSAGE_BYTES, grouped(e->connected), grouped(2 * e->connected + 3),
	     time_text(histogram_quantile(&e->latency, 500)),
	     time_text(histogram_quantile(&e->latency, 990)));
	expect(r, e->connected == (uint64_t)e->connections, "not every client connected");
	echo_free(e);
	free(e);
}

// --- sieve --------------------------------------------------------------------------------------

// Passes on what its prime does not divide.
typedef struct Filter {
	go_chan *in;
	go_chan *out;
	int64_t prime;
	uint64_t received;
} Filter;

static void
filter_run(void *arg)
{
	Filter *f = arg;
	int64_t n;
	while (go_chan_recv(f->in, &n, GO_NEVER) == 0) {
		f->received++;
		if (n % f->prime != 0)
			go_chan_send(f->out, &n, GO_NEVER);
	}
	go_chan_close(f->out); // and so the end travels down the chain
}

typedef struct Numbers {
	go_chan *out;
	int64_t last;
} Numbers;

static void
numbers_run(void *arg)
{
	Numbers *nb = arg;
	for (int64_t n = 2; n <= nb->last; n++)
		go_chan_send(nb->out, &n, GO_NEVER);
	go_chan_close(nb->out);
}

// The first n primes, the ordinary way.
static void
reference_primes(int64_t *prime, int n)
{
	int found = 0;
	for (int64_t c = 2; found < n; c++) {
		bool divided = false;
		for (int i = 0; i < found && prime[i] * prime[i] <= c && !divided; i++)
			divided = c % prime[i] == 0;
		if (!divided)
			prime[found++] = c;
	}
}

static void
sieve(Result *r, const int64_t *prime, Filter *filter, int n)
{
	Numbers numbers = {go_chan_new(sizeof(int64_t), 0), prime[n - 1]};
	go_chan *from = numbers.out;
	int64_t got = 0;
	int found = 0;
	expect(r, from != NULL && go_spawn(numbers_run, &numbers) == 0, "no goroutine");
	while (r->failure == NULL && go_chan_recv(from, &got, GO_NEVER) == 0 && found < n) {
		expect(r, got == prime[found], "a number of the chain is not the next prime");
		Filter *f = &filter[found++];
		*f = (Filter){from, go_chan_new(sizeof(int64_t), 0), got, 0};
		expect(r, f->out != NULL && go_spawn(filter_run, f) == 0, "no goroutine");
		from = f->out;
	}
	see_memory(r);
	expect(r, found == n, "the chain ended too early");
	for (int i = 0; i < found; i++)
		r->operations += filter[i].received;
	for (int i = 0; i < found && r->failure == NULL; i++)
		go_chan_free(filter[i].in);
	if (r->failure == NULL)
		go_chan_free(from);
	note(r, "values through a chain of %s unbuffered channels; the last prime is %s",
	     grouped((uint64_t)found), grouped(found > 0 ? (uint64_t)filter[found - 1].prime : 0));
}

static void
run_sieve(const Load *load, Result *r)
{
	size_t n = (size_t)load->primes;
	int64_t *prime = calloc(n, sizeof *prime);
	Filter *filter = calloc(n, sizeof *filter);
	if (expect(r, prime != NULL && filter != NULL, "no memory")) {
		reference_primes(prime, load->primes);
		sieve(r, prime, filter, load->primes);
	}
	if (r->failure == NULL) { // else goroutines may still use it
		free(filter);
		free(prime);
	}
}

// --- timers -------------------------------------------------------------------------------------

typedef struct Sleeper {
	int64_t after; // the gate was closed
	struct Sleepers *all;
} Sleeper;

typedef struct Sleepers {
	Result *result;
	go_chan *gate; // closed when all have been started
	int64_t first; // set before the gate is closed
	go_waitgroup alive;
	Histogram late;
	atomic_uint_fast64_t early;
} Sleepers;

static void
sleeper_run(void *arg)
{
	Sleeper *s = arg;
	go_chan_recv(s->all->gate, NULL, GO_NEVER);
	int64_t until = s->all->first + s->after;
	go_sleep_until(until);
	int64_t late = go_now() - until;
	if (late < 0)
		s->all->early++;
	histogram_add(&s->all->late, late);
	go_wg_done(&s->all->alive);
}

static void
sleepers_run(Result *r, Sleepers *all, Sleeper *sleeper, int n, int64_t ns)
{
	uint64_t chance = 88172645463325252U;
	int started = 0;
	go_wg_add(&all->alive, n);
	for (; started < n; started++) {
		chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
		sleeper[started] = (Sleeper){(int64_t)(chance % (uint64_t)ns), all};
		if (!expect(r, go_spawn(sleeper_run, &sleeper[started]) == 0, "no goroutine"))
			break;
	}
	go_wg_add(&all->alive, started - n);
	all->first = go_in(ns / 8); // all are awake by then and have gone to sleep again
	int64_t begin = go_now();
	go_chan_close(all->gate);
	see_memory(r);
	go_wg_wait(&all->alive, GO_NEVER);
	r->ns = go_now() - begin;
}

static void
run_timers(const Load *load, Result *r)
{
	Sleepers *all = calloc(1, sizeof *all);
	Sleeper *sleeper = calloc((size_t)load->sleepers, sizeof *sleeper);
	go_chan *gate = go_chan_new(0, 0);
	if (expect(r, all != NULL && sleeper != NULL && gate != NULL, "no memory")) {
		all->result = r;
		all->gate = gate;
		sleepers_run(r, all, sleeper, load->sleepers, load->sleep_ns);
		r->operations = all->late.n;
		expect(r, all->late.n == (uint64_t)load->sleepers, "a sleeper is missing");
		expect(r, all->early == 0, "a sleeper woke too early");
		note(r, "goroutines, asleep until a time of their own within %s",
		     time_text(load->sleep_ns));
		note(r, "woke late by: p50 %s, p99 %s, p99.9 %s",
		     time_text(histogram_quantile(&all->late, 500)),
		     time_text(histogram_quantile(&all->late, 990)),
		     time_text(histogram_quantile(&all->late, 999)));
	}
	go_chan_free(gate);
	free(sleeper);
	free(all);
}

// --- tree ---------------------------------------------------------------------------------------

enum { FAN = 10 };

// A node lies on its parent's stack. It can: a scope's children end before go_scope_wait returns.
typedef struct Node {
	int depth;
	int64_t number;
	int64_t sum; // of the leaves' numbers
} Node;

static int
node_run(void *arg)
{
	Node *n = arg;
	if (n->depth == 0) {
		n->sum = n->number;
		return 0;
	}
	Node child[FAN];
	go_scope s;
	int err = 0;
	go_scope_open(&s, GO_NEVER);
	for (int i = 0; i < FAN && err == 0; i++) {
		child[i] = (Node){n->depth - 1, n->number * FAN + i, 0};
		err = go_scope_spawn(&s, node_run, &child[i]);
	}
	int end = go_scope_wait(&s);
	for (int i = 0; i < FAN && err == 0; i++)
		n->sum += child[i].sum;
	return err != 0 ? err : end;
}

static void
run_tree(const Load *load, Result *r)
{
	int64_t leaves = 1, nodes = 1;
	for (int d = 0; d < load->tree_depth; d++) {
		leaves *= FAN;
		nodes += leaves;
	}
	for (int round = 0; round < load->tree_rounds; round++) {
		Node root = {load->tree_depth, 0, 0};
		int err = node_run(&root);
		expect(r, err == 0, go_strerror(err));
		expect(r, root.sum == leaves * (leaves - 1) / 2, "the sum of the leaves is wrong");
		see_memory(r);
	}
	r->operations = (uint64_t)((nodes - 1) * load->tree_rounds); // the root runs in the main one
	note(r, "goroutines started and waited for: %d times a tree of %s, a scope for each node",
	     load->tree_rounds, grouped((uint64_t)nodes));
}

// --- parked -------------------------------------------------------------------------------------

enum { PARKED_BYTES = 6 << 10 }; // of memory for each: a page of stack, the goroutine, page tables
#define START_LIMIT_NS (8 * GO_SEC) // on some virtual machines a new page takes 10 us and more

typedef struct Parked {
	go_chan *gate;
	go_waitgroup coming; // not at the gate yet
	go_waitgroup alive;
	atomic_int woken;
} Parked;

static void
parked_run(void *arg)
{
	Parked *p = arg;
	go_wg_done(&p->coming);
	if (go_chan_recv(p->gate, NULL, GO_NEVER) == GO_ECLOSED)
		p->woken++;
	go_wg_done(&p->alive);
}

// As many as memory allows, with a quarter of it to spare.
static int
affordable_parked(Result *r, int wanted)
{
	int64_t available = available_bytes();
	int64_t room = available / 4 * 3 / PARKED_BYTES;
	if (available <= 0 || room >= wanted)
		return wanted;
	note(r, "%s goroutines instead of %s: %s of memory are available",
	     grouped((uint64_t)room), grouped((uint64_t)wanted), size_text((uint64_t)available));
	return (int)room;
}

// Starts up to n goroutines that wait, and returns how many are waiting.
static int
park(Result *r, Parked *p, int n)
{
	int64_t limit = go_in(START_LIMIT_NS);
	int started = 0;
	p->woken = 0;
	go_wg_add(&p->coming, n);
	go_wg_add(&p->alive, n);
	while (started < n && (started % 1024 != 0 || go_now() < limit)) {
		if (!expect(r, go_spawn(parked_run, p) == 0, "the system gave no more stacks"))
			break;
		started++;
	}
	go_wg_add(&p->coming, started - n);
	go_wg_add(&p->alive, started - n);
	go_wg_wait(&p->coming, GO_NEVER);
	return started;
}

static void
wake(Result *r, Parked *p, int n)
{
	go_chan_close(p->gate);
	go_wg_wait(&p->alive, GO_NEVER);
	expect(r, p->woken == n, "some were not woken by the close");
}

// Twice: the first time nearly all is the kernel's work, to give a new page to each stack.
static void
park_twice(Result *r, Parked *p, int wanted)
{
	uint64_t before = resident_bytes();
	int64_t begin = go_now();
	int n = park(r, p, wanted);
	int64_t parked = go_now();
	see_memory(r);
	wake(r, p, n);
	int64_t woken = go_now();
	r->operations = (uint64_t)n;
	r->ns = woken - begin;
	if (n == 0 || r->failure != NULL)
		return;
	if (n < wanted)
		note(r, "goroutines; more were not started, since %s had passed",
		     time_text(START_LIMIT_NS));
	note(r, "wait for one event: each %s to start, %s to wake and end, %s bytes resident",
	     time_text((parked - begin) / n), time_text((woken - parked) / n),
	     grouped((r->resident - before) / (uint64_t)n));

	go_chan_free(p->gate);
	p->gate = go_chan_new(0, 0);
	begin = go_now();
	if (!expect(r, p->gate != NULL && park(r, p, n) == n, "the second time fewer were started"))
		return;
	parked = go_now();
	wake(r, p, n);
	note(r, "once more, on stacks that have pages: %s to start, %s to wake and end",
	     time_text((parked - begin) / n), time_text((go_now() - parked) / n));
}

static void
run_parked(const Load *load, Result *r)
{
	Parked p = {.gate = go_chan_new(0, 0)};
	if (!expect(r, p.gate != NULL, "no memory"))
		return;
	park_twice(r, &p, affordable_parked(r, load->parked));
	go_chan_free(p.gate);
	if (guards_are_markers())
		note(r, "each stack has a guard, which costs no mapping on this kernel");
	else
		note(r, "this kernel has no MADV_GUARD_INSTALL: only the first 8,000 stacks have guards");
}

// --- the table ----------------------------------------------------------------------------------

typedef struct Part {
	const char *name;
	void (*run)(const Load *load, Result *r);
} Part;

static const Part parts[] = {
	{"echo", run_echo},     {"sieve", run_sieve},   {"timers", run_timers},
	{"tree", run_tree},     {"parked", run_parked},
};

static void
print_head(void)
{
	go_stats st;
	struct utsname u;
	go_stats_read(&st);
	uname(&u);
	printf("undergo %d.%d.%d, %s %s %s, %d CPUs, GOMAXPROCS=%d\n\n", GO_VERSION_MAJOR,
	       GO_VERSION_MINOR, GO_VERSION_PATCH, u.sysname, u.release, u.machine, go_num_cpu(),
	       st.gomaxprocs);
	printf("%-7s %11s %8s %12s %6s %8s %12s %8s %9s\n", "part", "operations", "time", "per second",
	       "cores", "threads", "switches", "steals", "resident");
}

// True when the part found nothing wrong.
static bool
run_part(const Part *part, const Load *load)
{
	Result r = {0};
	go_stats before, after;
	go_stats_read(&before);
	int64_t cpu = cpu_ns(), begin = go_now();
	part->run(load, &r);
	int64_t ns = go_now() - begin;
	cpu = cpu_ns() - cpu;
	go_stats_read(&after);

	int64_t took = r.ns != 0 ? r.ns : ns;
	double rate = (double)r.operations * 1e9 / (double)(took != 0 ? took : 1);
	printf("%-7s %11s %8s %12s %6.2f %8d %12s %8s %9s\n", part->name, grouped(r.operations),
	       time_text(took), grouped((uint64_t)rate), (double)cpu / (double)(ns != 0 ? ns : 1),
	       after.threads, grouped(after.switches - before.switches),
	       grouped(after.steals - before.steals), size_text(r.resident));
	for (int i = 0; i < r.notes; i++)
		printf("        %s\n", r.note[i]);
	if (r.failure != NULL)
		printf("        FAILED: %s\n", r.failure);
	fflush(stdout);
	return r.failure == NULL;
}

// Returns the number of parts that failed.
static int
show(void *arg)
{
	const Load *load = arg;
	int n = sizeof parts / sizeof parts[0], failed = 0;
	int64_t begin = go_now();
	print_head();
	for (int i = 0; i < n; i++)
		failed += !run_part(&parts[i], load);

	go_stats st;
	struct rusage u;
	int64_t ns = go_now() - begin;
	go_stats_read(&st);
	getrusage(RUSAGE_SELF, &u);
	printf("\n%d of %d parts right, in %s with %s of CPU; %s goroutines, %s threads, peak %s\n",
	       n - failed, n, time_text(ns), time_text(cpu_ns()), grouped(st.spawned),
	       grouped(st.threads_made), size_text((uint64_t)u.ru_maxrss << 10));
	return failed;
}

// Too slow, or stuck: SIGQUIT makes the runtime print every goroutine and end the process.
static void
on_alarm(int sig)
{
	(void)sig;
	raise(SIGQUIT);
}

int
main(int argc, char **argv)
{
	bool is_quick = argc == 2 && strcmp(argv[1], "--quick") == 0;
	if (argc > 2 || (argc == 2 && !is_quick)) {
		fprintf(stderr, "usage: showcase [--quick]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGALRM, on_alarm);
	alarm(TIME_LIMIT_S);
	Load load = is_quick ? quick : full;
	int failed = go_run(show, &load);
	if (failed < 0)
		fprintf(stderr, "showcase: the runtime does not start: %s\n", go_strerror(failed));
	return failed == 0 ? 0 : 1;
}
