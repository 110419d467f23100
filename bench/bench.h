// SPDX-License-Identifier: BSD-3-Clause
// What every bench program in C and C++ shares: clocks, the measuring loop, the line it prints.
//
// A program is called as `program ROW`, runs that row once and prints one line:
//
//	ROW cpu_ns wall_ns [key=value ...]
//
// cpu_ns is CPU time of the whole process per operation, all threads counted; wall_ns is the clock
// on the wall per operation. A key is a figure that only some rows have. bench/run reads the line.
//
// Invariants:
//   I1  What is timed has run at least once before at a smaller count: caches, stacks and lazily
//       bound symbols are warm.
//   I2  A body does exactly n operations and checks that it did, through bench_check.
// A header of static functions, so that a rival in C++ needs no second object.

#ifndef UNDERGO_BENCH_H
#define UNDERGO_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	BENCH_FANOUT = 100,         // goroutines of one round of row wg
	BENCH_PARKED = 100000,      // goroutines of row parked, where the contender can
	BENCH_IDLE_TASKS = 1000,    // parked goroutines of row idle
	BENCH_SLEEPS = 300,         // sleeps of row sleep50us
	BENCH_SLEEP_NS = 50000,     // asked for by each of them
	BENCH_TREE_LEAVES = 100000, // leaves of row spawn_par
	BENCH_TREE_NODES = 111111,  // its goroutines: 1 + 10 + 100 + ... + 100000
	BENCH_PRODUCERS = 4,        // row chan_prodcons, as many consumers
	BENCH_LOCKERS = 4,          // row mutex_cont
};

static const int64_t bench_target_ns = 100 * 1000 * 1000; // a timed stretch is at least so long
static const int64_t bench_second_ns = 1000 * 1000 * 1000;
static const int64_t bench_tree_sum = (int64_t)BENCH_TREE_LEAVES * (BENCH_TREE_LEAVES - 1) / 2;

#define BENCH_UNUSED __attribute__((unused))

BENCH_UNUSED static int64_t
bench_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * bench_second_ns + ts.tv_nsec;
}

BENCH_UNUSED static int64_t
bench_cpu(void)
{
	return bench_clock(CLOCK_PROCESS_CPUTIME_ID);
}

BENCH_UNUSED static int64_t
bench_wall(void)
{
	return bench_clock(CLOCK_MONOTONIC);
}

// Ends the program when a row did not do what it claims to have timed (I2).
BENCH_UNUSED static void
bench_check(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bench: %s\n", what);
		exit(1);
	}
}

// The result line, for rows that time themselves. Times are totals over ops operations.
BENCH_UNUSED static void
bench_print(const char *row, int64_t cpu_ns, int64_t wall_ns, int64_t ops, const char *extra)
{
	printf("%s %.3f %.3f%s%s\n", row, (double)cpu_ns / (double)ops,
	    (double)wall_ns / (double)ops, extra[0] != '\0' ? " " : "", extra);
	fflush(stdout);
}

// Calls body with a growing n until one call lasts bench_target_ns; that call counts (I1).
// Returns its CPU ns per operation; ops_per_n is how many operations one unit of n stands for.
BENCH_UNUSED static double
bench_time(void (*body)(int64_t n), int64_t ops_per_n, double *wall_per_op)
{
	for (int64_t n = 8;;) {
		int64_t cpu = bench_cpu();
		int64_t wall = bench_wall();
		body(n);
		wall = bench_wall() - wall;
		cpu = bench_cpu() - cpu;
		if (wall >= bench_target_ns) {
			double ops = (double)(n * ops_per_n);
			if (wall_per_op != NULL)
				*wall_per_op = (double)wall / ops;
			return (double)cpu / ops;
		}
		// Aims a fifth too far, so that the next call is usually the last; never by more
		// than a hundred at once, since a very short call says little.
		int64_t grow = bench_target_ns * 6 / 5 / (wall + 1) + 1;
		n *= grow < 2 ? 2 : grow > 100 ? 100 : grow;
	}
}

// bench_time and the result line in one.
BENCH_UNUSED static void
bench_row(const char *row, void (*body)(int64_t n), int64_t ops_per_n)
{
	double wall;
	double cpu = bench_time(body, ops_per_n, &wall);

	printf("%s %.3f %.3f\n", row, cpu, wall);
	fflush(stdout);
}

// One line of /proc/self/status, such as "VmRSS:", in bytes.
BENCH_UNUSED static int64_t
bench_status_bytes(const char *key)
{
	char line[256];
	long long kib = -1;
	FILE *f = fopen("/proc/self/status", "r");

	bench_check(f != NULL, "cannot read /proc/self/status");
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			sscanf(line + strlen(key), "%lld", &kib);
	fclose(f);
	return (int64_t)kib * 1024;
}

// Resident memory, counted page by page: the cheaper VmRSS may lag behind by some pages per thread.
BENCH_UNUSED static int64_t
bench_rss(void)
{
	char line[256];
	long long kib = -1;
	FILE *f = fopen("/proc/self/smaps_rollup", "r");

	if (f == NULL)
		return bench_status_bytes("VmRSS:");
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "Rss:", 4) == 0)
			sscanf(line + 4, "%lld", &kib);
	fclose(f);
	return (int64_t)kib * 1024;
}

struct bench_mem {
	int64_t rss;  // resident bytes
	int64_t pte;  // bytes of page tables, which the kernel does not count as resident
	int64_t cpu;  // CPU ns of the process
	int64_t wall; // the clock
};

BENCH_UNUSED static struct bench_mem
bench_mem_now(void)
{
	struct bench_mem m;

	m.rss = bench_rss();
	m.pte = bench_status_bytes("VmPTE:");
	m.cpu = bench_cpu();
	m.wall = bench_wall();
	return m;
}

// The line of rows parked and million: bytes and page table bytes for each of n since before.
BENCH_UNUSED static void
bench_print_mem(const char *row, struct bench_mem before, struct bench_mem full, int64_t n)
{
	char extra[200];
	int64_t now = bench_wall();

	snprintf(extra, sizeof extra, "rss=%.1f pte=%.1f n=%lld seconds=%.3f gib=%.3f",
	    (double)(full.rss - before.rss) / (double)n,
	    (double)(full.pte - before.pte) / (double)n, (long long)n,
	    (double)(now - before.wall) / 1e9,
	    (double)(full.rss - before.rss) / (double)(1 << 30));
	bench_print(row, bench_cpu() - before.cpu, now - before.wall, n, extra);
}

// Row sleep50us: nap sleeps once for BENCH_SLEEP_NS. Prints median and 99th percentile of what
// it overslept, in microseconds.
BENCH_UNUSED static int
bench_compare_i64(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

BENCH_UNUSED static void
bench_sleeps(const char *row, void (*nap)(void))
{
	static int64_t over[BENCH_SLEEPS];
	char extra[100];

	nap();
	int64_t cpu = bench_cpu();
	int64_t wall = bench_wall();
	for (int i = 0; i < BENCH_SLEEPS; i++) {
		int64_t t = bench_wall();
		nap();
		over[i] = bench_wall() - t - BENCH_SLEEP_NS;
	}
	cpu = bench_cpu() - cpu;
	wall = bench_wall() - wall;
	qsort(over, BENCH_SLEEPS, sizeof over[0], bench_compare_i64);
	bench_check(over[0] >= 0, "woke too early");
	snprintf(extra, sizeof extra, "over=%.1f p99=%.1f", (double)over[BENCH_SLEEPS / 2] / 1e3,
	    (double)over[BENCH_SLEEPS * 99 / 100] / 1e3);
	bench_print(row, cpu, wall, BENCH_SLEEPS, extra);
}

// Row idle: CPU and context switches of two idle seconds. The sleep itself costs a little, so a
// short sleep is measured too and taken off; what is left is what idling costs.
struct bench_idle {
	int64_t cpu;
	int64_t switches;
};

BENCH_UNUSED static struct bench_idle
bench_idle_once(void (*sleep_ns)(int64_t ns), int64_t ns)
{
	struct rusage a, b;
	struct bench_idle r;

	getrusage(RUSAGE_SELF, &a);
	int64_t cpu = bench_cpu();
	sleep_ns(ns);
	r.cpu = bench_cpu() - cpu;
	getrusage(RUSAGE_SELF, &b);
	r.switches = b.ru_nvcsw - a.ru_nvcsw;
	return r;
}

BENCH_UNUSED static void
bench_idle(const char *row, void (*sleep_ns)(int64_t ns))
{
	char extra[100];

	sleep_ns(bench_second_ns / 4);
	struct bench_idle brief = bench_idle_once(sleep_ns, bench_second_ns / 4);
	struct bench_idle longer =
	    bench_idle_once(sleep_ns, bench_second_ns / 4 + 2 * bench_second_ns);
	int64_t cpu = longer.cpu - brief.cpu;
	int64_t switches = longer.switches - brief.switches;
	snprintf(extra, sizeof extra, "switches=%lld cpu_us=%.1f",
	    (long long)(switches > 0 ? switches : 0), cpu > 0 ? (double)cpu / 1e3 : 0.0);
	bench_print(row, cpu > 0 ? cpu : 0, 2 * bench_second_ns, 1, extra);
}

struct bench_entry {
	const char *row;
	void (*run)(void);
};

// `program --list` names the rows a program has; `program ROW` runs one.
BENCH_UNUSED static int
bench_main(int argc, char **argv, const struct bench_entry *rows, int nrows)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (int i = 0; i < nrows; i++)
			puts(rows[i].row);
		return 0;
	}
	for (int i = 0; argc == 2 && i < nrows; i++)
		if (strcmp(argv[1], rows[i].row) == 0) {
			rows[i].run();
			return 0;
		}
	fprintf(stderr, "usage: %s --list | ROW\n", argv[0]);
	return 2;
}

#endif
