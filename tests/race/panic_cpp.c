// SPDX-License-Identifier: BSD-3-Clause
// Panics in a program of C++: tests/panic_cpp.cc, run as a process of its own.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gcstop.h"
#include "harness.h"

static int
run(const char *what)
{
	char path[1024];
	char *argv[] = {path, (char *)(uintptr_t)what, NULL};
	extern char **environ;
	pid_t pid;
	int status = -1;
	path_beside(path, "panic_cpp");
	if (access(path, X_OK) != 0)
		skip("there is no compiler for C++ here");
	expect_eq(posix_spawn(&pid, path, NULL, NULL, argv, environ), 0);
	expect_eq(waitpid(pid, &status, 0), pid);
	return status;
}

// One that a catch (...) keeps ends the process: "a catch (...) has not thrown a panic again".
void
test_panic_through_cpp(void)
{
	expect_eq(run("all"), 0);
	int status = run("swallow");
	expect(WIFEXITED(status));
	expect_eq(WEXITSTATUS(status), 2);
}
