// SPDX-License-Identifier: BSD-3-Clause
// A server and peers of all sorts, round after round: whatever a round needed is given back at its
// end. Descriptors and goroutines are counted exactly; memory may not grow from the first rounds to
// the last.
#include <dirent.h>
#include <sys/socket.h>

#include "goroutines.h"
#include "held_port.h"

#include <undergo/heap.h>

enum {
	PEERS = 48, // of each round
	MESSAGES = 8,
	MESSAGE = 512,
	WARM = 6, // rounds after which memory is expected to be there
	SLACK_BYTES = 8 << 20,
};

static char at[64];     // where the server listens
static char vain[64];   // where nobody does
static Count served, ended;

static void
start(void (*fn)(void *), void *arg)
{
	expect_eq(go_spawn(fn, arg), 0);
}

// Echoes until the peer ends, badly or well, or does not read what it is sent.
static void
serve_one(void *v)
{
	go_fd fd = (go_fd)(intptr_t)v;
	char *buf = go_alloc_data(4096);
	int64_t n = 1;
	while (n > 0) {
		go_set_read_deadline(fd, go_in(20 * GO_SEC));
		n = go_read(fd, buf, 4096);
		go_set_write_deadline(fd, go_in(20 * GO_SEC));
		if (n > 0)
			n = go_write(fd, buf, (size_t)n);
	}
	expect_eq(go_close(fd), 0);
	count_add(&served);
}

static void
serve(void *v)
{
	go_fd l = (go_fd)(intptr_t)v, fd;
	while ((fd = go_accept(l)) > 0)
		start(serve_one, (void *)(intptr_t)fd);
	expect_eq(fd, GO_ECLOSED);
	count_add(&ended);
}

// --- peers --------------------------------------------------------------------------------------

typedef void PeerFn(go_fd fd, uint64_t rand);

static void
talks(go_fd fd, uint64_t rand)
{
	char out[MESSAGE], in[MESSAGE];
	for (int i = 0; i < MESSAGES; i++) {
		size_t n = 1 + test_rand(&rand) % MESSAGE;
		memset(out, i, n);
		expect_eq(go_write(fd, out, n), n);
		expect_eq(go_read_full(fd, in, n), n);
		expect(memcmp(in, out, n) == 0);
	}
}

static void
talks_byte_by_byte(go_fd fd, uint64_t rand)
{
	for (int i = 0; i < 60; i++) {
		char out = (char)test_rand(&rand), in;
		expect_eq(go_write(fd, &out, 1), 1);
		expect_eq(go_read(fd, &in, 1), 1);
		expect_eq(in, out);
	}
}

// Leaves with answers unread, and resets the connection.
static void
vanishes(go_fd fd, uint64_t rand)
{
	struct linger at_once = {.l_onoff = 1};
	char out[MESSAGE] = {0};
	size_t n = 1 + test_rand(&rand) % MESSAGE;
	expect_eq(go_write(fd, out, n), n);
	expect_eq(setsockopt(go_fd_number(fd), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)),
		  0);
}

static void
never_reads(go_fd fd, uint64_t rand)
{
	char out[MESSAGE] = {0};
	go_set_write_deadline(fd, go_in((int64_t)(test_rand(&rand) % 40) * GO_MSEC));
	while (go_write(fd, out, sizeof(out)) > 0)
		;
}

static void
changes_deadlines(go_fd fd, uint64_t rand)
{
	char c;
	for (int i = 0; i < 200; i++) {
		int64_t ns = (int64_t)(test_rand(&rand) % 200) * GO_USEC;
		expect_eq(go_set_deadline(fd, i % 3 == 0 ? GO_NEVER : go_in(ns)), 0);
		expect_eq(go_set_read_deadline(fd, go_in(ns / 2)), 0);
		if (i % 8 == 0)
			expect_eq(go_read(fd, &c, 1), GO_ETIMEDOUT);
	}
}

// What it has sent comes back after it has said that no more will come.
static void
closes_half(go_fd fd, uint64_t rand)
{
	char out[MESSAGE], in[MESSAGE];
	memset(out, (int)test_rand(&rand), sizeof(out));
	expect_eq(go_write(fd, out, sizeof(out)), sizeof(out));
	expect_eq(go_close_write(fd), 0);
	expect_eq(go_read_full(fd, in, sizeof(in)), sizeof(in));
	expect(memcmp(in, out, sizeof(in)) == 0);
	expect_eq(go_read(fd, in, 1), 0);
}

static PeerFn *const peers[] = {talks,	     talks_byte_by_byte, vanishes,
				never_reads, changes_deadlines,	 closes_half};

static uint64_t seed;

static void
peer(void *number)
{
	uint64_t i = (uintptr_t)number, rand = seed + i;
	go_fd fd = go_dial("tcp", at, go_in(20 * GO_SEC));
	expect(fd > 0);
	peers[i % (sizeof(peers) / sizeof(peers[0]))](fd, test_rand(&rand));
	expect_eq(go_close(fd), 0);
	count_add(&ended);
}

static void
dials_in_vain(void)
{
	go_fd fd = go_dial("tcp", vain, go_in(20 * GO_SEC));
	expect(fd < 0);
}

// --- counting -----------------------------------------------------------------------------------

// Sockets, pipes and the like: their links name no path. Files are not counted, as the runtime
// opens some of the kernel's for a moment: a collection asks for the threads, the monitor for CPUs.
static int
descriptors(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	expect(d != NULL);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		char to;
		n += readlinkat(dirfd(d), e->d_name, &to, 1) == 1 && to != '/';
	}
	closedir(d);
	return n;
}

static int64_t
resident(void)
{
	long pages, all;
	FILE *f = fopen("/proc/self/statm", "re");
	expect(f != NULL && fscanf(f, "%ld %ld", &all, &pages) == 2);
	fclose(f);
	return pages * (int64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t
goroutines(void)
{
	go_stats st;
	go_stats_read(&st);
	return st.goroutines;
}

static void
round_of_peers(void)
{
	go_fd l = go_listen("tcp", "127.0.0.1:0");
	expect(l > 0);
	expect(go_local_text(l, at, sizeof(at)) > 0);
	atomic_store(&served, 0);
	atomic_store(&ended, 0);
	start(serve, (void *)(intptr_t)l);
	for (uintptr_t i = 0; i < PEERS; i++)
		start(peer, (void *)i);
	until(count_of(&ended) == PEERS);
	until(count_of(&served) == PEERS);
	expect_eq(go_close(l), 0);
	until(count_of(&ended) == PEERS + 1);
	dials_in_vain();
	seed += PEERS;
}

GO_TEST(net_soak, 4)
{
	seed = test_seed();
	(void)hold_port(vain, sizeof(vain));
	int64_t warm = 0;
	int fds = 0;
	long rounds = WARM + test_scale(30);
	for (long i = 0; i < rounds; i++) {
		round_of_peers();
		until(goroutines() == 1);
		if (i == 0)
			fds = descriptors();
		expect_eq(descriptors(), fds);
		go_gc();
		if (i == WARM)
			warm = resident();
	}
	printf("%ld rounds, from %lld to %lld KiB\n", rounds, (long long)warm / 1024,
	       (long long)resident() / 1024);
	expect(resident() < warm + SLACK_BYTES);
}
