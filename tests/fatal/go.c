// SPDX-License-Identifier: BSD-3-Clause
// Deaths that a goroutine brings about, and environments that must not.
#include <sys/wait.h>

#include "goroutines.h"

// --- go_exit where there is no goroutine --------------------------------------------------------

DEATH(exit_on_thread)
{
	go_exit();
}

void
test_go_exit_on_thread_is_fatal(void)
{
	expect_death(exit_on_thread, .status = 2,
		     .err = "fatal error: go_exit on a thread that is no goroutine\n");
}

// --- stack overflow -----------------------------------------------------------------------------

static __attribute__((noinline)) long
recurse_for_ever(long depth)
{
	volatile char frame[400];
	frame[depth % 400] = (char)depth;
	if (depth < 0)
		return 0;
	return recurse_for_ever(depth + 1) + frame[depth % 399];
}

static int
overflow_main(void *unused)
{
	(void)unused;
	return (int)recurse_for_ever(0);
}

DEATH(overflow_in_main)
{
	go_run(overflow_main, NULL);
}

static void
overflow_spawned(void *unused)
{
	(void)unused;
	recurse_for_ever(0);
}

static int
wait_for_overflow(void *unused)
{
	(void)unused;
	go_attr attr = {.stack_bytes = 64 << 10, .name = "deep"};
	expect_eq(go_spawn_with(&attr, overflow_spawned, NULL), 0);
	return go_sleep(60 * GO_SEC);
}

DEATH(overflow_in_spawned)
{
	go_run(wait_for_overflow, NULL);
}

void
test_stack_overflow_is_fatal(void)
{
	expect_death(overflow_in_main, .status = 2,
		     .err_has = {"stack overflow", "goroutine 1 [running]"});
	expect_death(overflow_in_spawned, .status = 2, .err_has = {"stack overflow", "goroutine "});
}

// --- GOMAXPROCS in the environment ---------------------------------------------------------------

static int
print_procs(void *unused)
{
	(void)unused;
	printf("%d\n", go_gomaxprocs(0));
	fflush(stdout);
	return 0;
}

DEATH(tell_procs)
{
	go_run(print_procs, NULL);
}

// What a process prints that has no GOMAXPROCS in its environment.
static void
usual_procs(char text[16])
{
	int fd[2];
	unsetenv("GOMAXPROCS");
	expect_eq(pipe(fd), 0);
	pid_t pid = fork();
	expect(pid >= 0);
	if (pid == 0) {
		dup2(fd[1], STDOUT_FILENO);
		go_run(print_procs, NULL);
		_exit(0);
	}
	close(fd[1]);
	ssize_t n = read(fd[0], text, 15);
	expect(n > 1);
	text[n] = '\0';
	close(fd[0]);
	waitpid(pid, NULL, 0);
}

// What is no positive number is as good as nothing.
void
test_gomaxprocs_environment(void)
{
	char usual[16];
	usual_procs(usual);
	expect_death(tell_procs, .env = "GOMAXPROCS=7", .out = "7\n");
	expect_death(tell_procs, .env = "GOMAXPROCS=1", .out = "1\n");
	expect_death(tell_procs, .env = "GOMAXPROCS=abc", .out = usual);
	expect_death(tell_procs, .env = "GOMAXPROCS=-3", .out = usual);
	expect_death(tell_procs, .env = "GOMAXPROCS=0", .out = usual);
	expect_death(tell_procs, .env = "GOMAXPROCS=", .out = usual);
	expect_death(tell_procs, .env = "GOMAXPROCS=3x", .out = usual);
	expect_death(tell_procs, .env = "GOMAXPROCS=+4", .out = usual);
	expect_death(tell_procs, .env = "GOMAXPROCS=99999999999999999999", .out = usual);
	setenv("GOMAXPROCS", " 4", 1); // .env is cut at spaces
	expect_death(tell_procs, .out = usual);
	setenv("GOMAXPROCS", "4 ", 1);
	expect_death(tell_procs, .out = usual);
}
