// SPDX-License-Identifier: BSD-3-Clause
// What the network rows of all C contenders share: the program under test is the server, and the
// load comes from another process, the same for every contender (BENCH_LOAD, ours/load.c).
//
//	load PORT echo N     N connections, each with one message of 128 bytes under way; after a
//	                     while writes "go\n", and a second later "OPS\n": the round trips
//	load PORT idle N     opens N connections, writes "go\n", and holds them until its stdin ends
#ifndef UNDERGO_BENCH_NET_H
#define UNDERGO_BENCH_NET_H

#include <fcntl.h>
#include <sys/wait.h>

#include "bench.h"

enum { NET_MESSAGE = 128, NET_IDLE = 10000 };

struct net_load {
	pid_t pid;
	FILE *says;
	int hold; // closed, it ends the load
};

BENCH_UNUSED static void
net_load_start(struct net_load *l, int port, const char *what, int n)
{
	int out[2], in[2];
	const char *program = getenv("BENCH_LOAD");
	char port_text[16], n_text[16];

	bench_check(program != NULL, "BENCH_LOAD is not set");
	bench_check(pipe(out) == 0 && pipe(in) == 0, "no pipe");
	fcntl(out[0], F_SETFD, FD_CLOEXEC);
	fcntl(in[1], F_SETFD, FD_CLOEXEC);
	snprintf(port_text, sizeof port_text, "%d", port);
	snprintf(n_text, sizeof n_text, "%d", n);
	l->pid = vfork();
	if (l->pid == 0) {
		dup2(out[1], 1);
		dup2(in[0], 0);
		execl(program, program, "load", port_text, what, n_text, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	close(in[0]);
	l->hold = in[1];
	l->says = fdopen(out[0], "r");
}

// The next line that it writes. Blocks the thread.
BENCH_UNUSED static long
net_load_line(struct net_load *l)
{
	char line[64];

	bench_check(fgets(line, sizeof line, l->says) != NULL, "the load has ended");
	return atol(line);
}

BENCH_UNUSED static void
net_load_end(struct net_load *l)
{
	close(l->hold);
	fclose(l->says);
	waitpid(l->pid, NULL, 0);
}

// The row, while somebody else serves: called on a thread or a goroutine that may block.
BENCH_UNUSED static void
net_echo_row(const char *row, int port, int n)
{
	struct net_load l;

	net_load_start(&l, port, "echo", n);
	net_load_line(&l);
	int64_t cpu = bench_cpu(), wall = bench_wall();
	long ops = net_load_line(&l);
	bench_print(row, bench_cpu() - cpu, bench_wall() - wall, ops, "");
	net_load_end(&l);
}

BENCH_UNUSED static long
net_resident(void)
{
	long pages = 0, all;
	FILE *f = fopen("/proc/self/statm", "r");

	bench_check(f != NULL && fscanf(f, "%ld %ld", &all, &pages) == 2, "no statm");
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

// accepted: how many connections there are by now.
BENCH_UNUSED static void
net_idle_row(const char *row, int port, int (*accepted)(void))
{
	struct net_load l;
	char extra[64];
	long before = net_resident();

	net_load_start(&l, port, "idle", NET_IDLE);
	net_load_line(&l);
	while (accepted() < NET_IDLE)
		usleep(1000); // nothing tells when it listens
	usleep(200000); // its last pages come in
	snprintf(extra, sizeof extra, "rss=%ld", (net_resident() - before) / NET_IDLE);
	bench_print(row, 0, 0, 1, extra);
	net_load_end(&l);
}

#endif
