// SPDX-License-Identifier: BSD-3-Clause
// The tests of failing.def. They show what the runner makes of each end; see checks.d/runner.sh.
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
test_ends_well(void)
{
	printf("not shown\n");
}

void
test_ends_alone(void)
{
}

void
test_ends_slowly(void)
{
}

void
test_ends_in_skip(void)
{
	skip("the reason");
}

void
test_ends_in_failure(void)
{
	printf("shown\n");
	fflush(stdout);
	expect_eq(1, 2);
}

void
test_ends_by_signal(void)
{
	raise(SIGKILL);
}

void
test_ends_by_exit(void)
{
	_exit(9);
}

static void
say_goodbye(int sig)
{
	static const char text[] = "dump after SIGQUIT\n";

	(void)sig;
	_exit(write(STDERR_FILENO, text, sizeof(text) - 1) > 0 ? 2 : 3);
}

void
test_ends_never(void)
{
	signal(SIGQUIT, say_goodbye);
	for (;;)
		pause();
}

void
test_ends_never_and_deaf(void)
{
	signal(SIGQUIT, SIG_IGN);
	for (;;)
		pause();
}

void
test_ends_after_a_flood(void)
{
	printf("the first line\n");
	for (int i = 0; i < 100 * 1000; i++)
		printf("line %d of very many\n", i);
	printf("the last line\n");
	exit(1);
}

// The child holds the pipe open; the runner must neither wait for it nor leave it alive. Its number
// goes to the file HARNESS_PID names.
void
test_ends_with_a_child_left(void)
{
	const char *path = getenv("HARNESS_PID");
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	expect(pid > 0 && path != NULL);
	FILE *f = fopen(path, "w");
	expect(f != NULL);
	fprintf(f, "%d\n", (int)pid);
	fclose(f);
}

void
test_ends_under_stress(void)
{
}
