// SPDX-License-Identifier: BSD-3-Clause
// Ten thousand threads are as many as the runtime makes.
#include <dirent.h>
#include <sys/resource.h>

#include "goroutines.h"

enum { LIMIT = 10000, MORE = LIMIT + 500 };

static int pipe_fd[2];

static void
read_for_ever(void *unused)
{
	(void)unused;
	char byte;
	go_block_begin();
	ssize_t got = read(pipe_fd[0], &byte, 1);
	go_block_end();
	(void)got;
}

static int
block_too_many(void *unused)
{
	(void)unused;
	go_attr small = {.stack_bytes = 32 << 10};
	for (int i = 0; i < MORE; i++) {
		go_spawn_with(&small, read_for_ever, NULL);
		go_yield();
	}
	return go_sleep(60 * GO_SEC);
}

DEATH(too_many_threads)
{
	if (pipe(pipe_fd) == 0)
		go_run(block_too_many, NULL);
}

static long
number_in(const char *path)
{
	long n = -1;
	FILE *f = fopen(path, "re");
	if (f != NULL) {
		if (fscanf(f, "%ld", &n) != 1)
			n = -1;
		fclose(f);
	}
	return n;
}

// Whether the system would refuse so many threads before we do.
static bool
system_allows(void)
{
	struct rlimit r;
	long need = MORE + 2000;
	if (getrlimit(RLIMIT_NPROC, &r) == 0 && r.rlim_cur != RLIM_INFINITY &&
	    (long)r.rlim_cur < need)
		return false;
	if (getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY)
		return false;
	long maps = number_in("/proc/sys/vm/max_map_count"); // two for each thread's stack
	long tids = number_in("/proc/sys/kernel/threads-max");
	long pids = number_in("/proc/sys/kernel/pid_max");
	long group = number_in("/sys/fs/cgroup/pids.max");
	long group_v1 = number_in("/sys/fs/cgroup/pids/pids.max");
	return maps >= 3 * need && tids >= need && pids >= need && (group < 0 || group >= need) &&
	       (group_v1 < 0 || group_v1 >= need);
}

void
test_thread_exhaustion_is_fatal(void)
{
	if (!system_allows())
		skip("the system allows fewer than 10,000 threads");
	expect_death(too_many_threads, .status = 2, .limit_ms = 60000,
		     .err = "runtime: program exceeds 10000-thread limit\n"
			    "fatal error: thread exhaustion\n");
}
