// SPDX-License-Identifier: BSD-3-Clause
// The showcase: six loads a runtime has to carry, each measured, and each checking its own result.
//
//	showcase [--quick]
//
//   echo     a TCP server on loopback, a goroutine for each connection; its clients are a process
//   sieve    prime numbers through a chain of goroutines, a filter for each prime
//   timers   goroutines that each sleep until a time of their own
//   tree     goroutines that start goroutines in scopes, and wait for them
//   parked   a million goroutines that wait for one event
//   go       a Go program on this runtime: net/http, server and clients
//
// A part prints a row of the table, and below it what cannot be said in a number. Switches and
// steals are differences of go_stats_read; cores is CPU time by time on the clock. The exit status
// is 1 when a part found its own result wrong, or could not run.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "showcase.h"

enum { TIME_LIMIT_S = 110 };

static const Load full = {
    .connections = 10000,
    .echo_ns = 2 * GO_SEC,
    .primes = 2000,
    .sleepers = 100000,
    .sleep_ns = 3 * GO_SEC / 2,
    .tree_depth = 5,
    .tree_rounds = 10,
    .parked = 1000000,
    .web_clients = 100,
    .web_ns = 3 * GO_SEC / 2,
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
    .web_clients = 20,
    .web_ns = GO_SEC / 4,
};

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
	r->operations = (uint64_t)((nodes - 1) *
				   load->tree_rounds); // the root runs in the main one
	note(r, "goroutines started and waited for: %d times a tree of %s, a scope for each node",
	     load->tree_rounds, grouped((uint64_t)nodes));
}

// --- the table ----------------------------------------------------------------------------------

typedef struct Part {
	const char *name;
	void (*run)(const Load *load, Result *r);
} Part;

static const Part parts[] = {
    {"echo", run_echo}, {"sieve", run_sieve},   {"timers", run_timers},
    {"tree", run_tree}, {"parked", run_parked}, {"go", run_go},
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
	printf("%-7s %11s %8s %12s %6s %8s %12s %8s %9s\n", "part", "operations", "time",
	       "per second", "cores", "threads", "switches", "steals", "resident");
}

typedef struct Tally {
	int right, wrong, left_out;
} Tally;

static void
print_end(const Result *r)
{
	for (int i = 0; i < r->notes; i++)
		printf("        %s\n", r->note[i]);
	if (r->failure != NULL)
		printf("        FAILED: %s\n", r->failure);
	fflush(stdout);
}

static void
count(Tally *t, const Result *r)
{
	if (r->left_out)
		t->left_out++;
	else if (r->failure == NULL)
		t->right++;
	else
		t->wrong++;
}

static void
run_part(const Part *part, const Load *load, Tally *tally)
{
	Result r = {0};
	go_stats before, after;
	go_stats_read(&before);
	int64_t cpu = cpu_ns(), others = children_cpu_ns(), begin = go_now();
	part->run(load, &r);
	int64_t ns = go_now() - begin;
	cpu = r.elsewhere ? children_cpu_ns() - others : cpu_ns() - cpu;
	go_stats_read(&after);

	int64_t took = r.ns != 0 ? r.ns : ns;
	double rate = (double)r.operations * 1e9 / (double)(took != 0 ? took : 1);
	char threads[16];
	snprintf(threads, sizeof threads, "%d", after.threads);
	printf("%-7s %11s %8s %12s %6.2f %8s %12s %8s %9s\n", part->name, grouped(r.operations),
	       time_text(took), grouped((uint64_t)rate), (double)cpu / (double)(ns != 0 ? ns : 1),
	       r.elsewhere ? "" : threads,
	       r.elsewhere ? "" : grouped(after.switches - before.switches),
	       r.elsewhere ? "" : grouped(after.steals - before.steals), size_text(r.resident));
	print_end(&r);
	count(tally, &r);
}

// Returns the number of parts that failed.
static int
show(void *arg)
{
	const Load *load = arg;
	Tally t = {0};
	int64_t begin = go_now();
	print_head();
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		run_part(&parts[i], load, &t);

	go_stats st;
	struct rusage u;
	int64_t ns = go_now() - begin;
	go_stats_read(&st);
	getrusage(RUSAGE_SELF, &u);
	printf("\n%d of %d parts right%s, in %s with %s of CPU; ", t.right, t.right + t.wrong,
	       t.left_out != 0 ? " and one left out" : "", time_text(ns), time_text(cpu_ns()));
	printf("%s goroutines, %s threads, peak %s\n", grouped(st.spawned),
	       grouped(st.threads_made), size_text((uint64_t)u.ru_maxrss << 10));
	return t.wrong;
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
	if (argc == 5 && strcmp(argv[1], "--clients") == 0)
		return run_clients(argv + 2);
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
