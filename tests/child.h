// SPDX-License-Identifier: BSD-3-Clause
// Running a DEATH whose end is not known beforehand: what it wrote and how it ended are the
// caller's to judge. For a test's main thread before the runtime starts, as expect_death.
#ifndef UNDERGO_TESTS_CHILD_H
#define UNDERGO_TESTS_CHILD_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { CHILD_TEXT_BYTES = 64 * 1024 };

typedef struct ChildEnd {
	int status;                      // exit status; -signal when a signal ended it; CHILD_HUNG
	size_t bytes;                    // of text
	char text[CHILD_TEXT_BYTES + 1]; // stdout and stderr
} ChildEnd;

enum { CHILD_HUNG = -1000 };

static inline void
child_exec(const char *name, char *const env[], int out)
{
	const char *argv[HARNESS_ARGV];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	setenv("TSAN_OPTIONS", "atexit_sleep_ms=20", 0); // a second each would be most of the time
	for (; *env != NULL; env++)
		putenv(*env);
	harness_argv(argv, "--child", name);
	execvp(argv[0], (char *const *)argv);
	_exit(126);
}

static inline void
child_read(ChildEnd *end, int fd, int64_t until_ns)
{
	for (;;) {
		char spill[512];
		struct pollfd p = {fd, POLLIN, 0};
		int64_t left_ms = (until_ns - test_now_ns()) / 1000000;
		if (left_ms <= 0 || poll(&p, 1, (int)left_ms + 1) == 0) {
			end->status = CHILD_HUNG;
			return;
		}
		size_t room = CHILD_TEXT_BYTES - end->bytes;
		ssize_t n = read(fd, room > 0 ? end->text + end->bytes : spill,
				 room > 0 ? room : sizeof(spill));
		if (n == 0)
			return;
		if (n > 0 && room > 0)
			end->bytes += (size_t)n;
	}
}

// Runs the DEATH called name with the additions to its environment; env ends with NULL. One that
// still runs after limit_ms (times the slowness of this run) gets SIGQUIT, so that it says where it
// is, and SIGKILL.
static inline void
child_run(ChildEnd *end, const char *name, char *const env[], int limit_ms)
{
	int fd[2], status = 0;
	end->status = 0;
	end->bytes = 0;
	expect(pipe2(fd, O_CLOEXEC) == 0);
	fflush(NULL);
	pid_t pid = fork();
	expect(pid >= 0);
	if (pid == 0)
		child_exec(name, env, fd[1]);
	close(fd[1]);
	int64_t limit_ns = (int64_t)limit_ms * test_slowness() * 1000000;
	child_read(end, fd[0], test_now_ns() + limit_ns);
	if (end->status == CHILD_HUNG) {
		kill(pid, SIGQUIT);
		child_read(end, fd[0], test_now_ns() + 1000000000);
		kill(pid, SIGKILL);
	}
	close(fd[0]);
	while (waitpid(pid, &status, 0) < 0)
		;
	if (end->status != CHILD_HUNG)
		end->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	end->text[end->bytes] = '\0';
}

// How many lines of what it wrote begin so.
static inline int
child_lines(const ChildEnd *end, const char *begin)
{
	int n = 0;
	for (const char *at = end->text; (at = strstr(at, begin)) != NULL; at++)
		n += at == end->text || at[-1] == '\n';
	return n;
}

#endif
