// SPDX-License-Identifier: BSD-3-Clause
// What tests of the scheduler share: a test whose body is the main goroutine, waiting for a
// condition, and what /proc says about this process.
#ifndef UNDERGO_TESTS_GOROUTINES_H
#define UNDERGO_TESTS_GOROUTINES_H

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <undergo.h>
#include <unistd.h>

#include "harness.h"

// Defines test_NAME; the block that follows is its main goroutine, on `procs` Ps (0: as many as the
// runtime chooses).
#define GO_TEST(name, procs)                            \
	static void name##_main(void);                  \
	static int name##_run(void *unused)             \
	{                                               \
		(void)unused;                           \
		name##_main();                          \
		return 0;                               \
	}                                               \
	void test_##name(void)                          \
	{                                               \
		go_gomaxprocs(procs);                   \
		expect_eq(go_run(name##_run, NULL), 0); \
	}                                               \
	static void name##_main(void)

// Waits, as a goroutine or a thread, until the condition holds; the test's limit ends a vain wait.
#define until(cond)                        \
	do {                               \
		while (!(cond))            \
			go_sleep(GO_MSEC); \
	} while (0)

// The thread that the caller is on, by its number at the kernel.
static inline int
tid_now(void)
{
	return (int)syscall(SYS_gettid);
}

// What /proc says of a thread behind its name, from its state on; "" when it is gone.
static inline const char *
thread_stat(int tid, char text[512])
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return "";
	size_t n = fread(text, 1, 511, f);
	fclose(f);
	text[n] = '\0';
	const char *at = strrchr(text, ')');
	return at != NULL ? at + 2 : "";
}

// A zombie counts as gone.
static inline bool
thread_gone(int tid)
{
	char text[512];
	char state = thread_stat(tid, text)[0];
	return state == '\0' || state == 'Z' || state == 'X';
}

// Sends back on chan[1] what comes in on chan[0]. The array may be gone after the first answer.
static inline void
send_back(void *chan)
{
	long v;
	go_chan **c = chan, *in = c[0], *out = c[1];
	while (go_chan_recv(in, &v, GO_NEVER) == 0)
		expect_eq(go_chan_send(out, &v, GO_NEVER), 0);
}

typedef struct Aside {
	void (*fn)(void *);
	void *arg;
	go_waitgroup wg;
} Aside;

static inline void
aside_main(void *v)
{
	Aside *a = v;
	a->fn(a->arg);
	go_wg_done(&a->wg);
}

// Calls fn(arg) on a goroutine of its own and waits: its stack is gone then and keeps nothing.
static inline void
run_aside(void (*fn)(void *), void *arg)
{
	Aside a = {.fn = fn, .arg = arg};
	go_wg_add(&a.wg, 1);
	expect_eq(go_spawn(aside_main, &a), 0);
	expect_eq(go_wg_wait(&a.wg, GO_NEVER), 0);
	go_yield();
}

// Counters that several goroutines share.
typedef atomic_long Count;

static inline void
count_add(Count *c)
{
	atomic_fetch_add(c, 1);
}

static inline long
count_of(Count *c)
{
	return atomic_load(c);
}

// Computes for about ns without calling the runtime. Time of the clock, so that a loaded machine
// does not stretch it.
static inline void
compute_for(int64_t ns)
{
	int64_t end = test_now_ns() + ns;
	while (test_now_ns() < end)
		;
}

// Blocks the calling thread itself, unknown to the runtime.
static inline void
block_thread_for(int64_t ns)
{
	struct timespec ts = {(time_t)(ns / GO_SEC), (long)(ns % GO_SEC)};
	while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
		;
}

// The number behind "field:" in a file of /proc; -1 when there is none.
static inline long
proc_field(const char *path, const char *field)
{
	char line[256];
	long value = -1;
	size_t n = strlen(field);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, field, n) == 0 && line[n] == ':')
			value = strtol(line + n + 1, NULL, 10);
	fclose(f);
	return value;
}

// Adds up how often the threads of this process other than the caller went to sleep; counts them.
static inline long
switches_of_others(int *threads)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	long sum = 0;
	expect(dir != NULL);
	*threads = 0;
	while ((entry = readdir(dir)) != NULL) {
		char path[300];
		long tid = strtol(entry->d_name, NULL, 10);
		if (tid <= 0 || tid == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%ld/status", tid);
		long n = proc_field(path, "voluntary_ctxt_switches");
		if (n >= 0) {
			sum += n;
			++*threads;
		}
	}
	closedir(dir);
	return sum;
}

#endif
