// SPDX-License-Identifier: BSD-3-Clause
// A Go program's main function in C: starts the runtime, runs the packages' initialisation and
// main.main on the main goroutine, and ends the process.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "gccgo/callers.h"
#include "gccgo/gccgo.h"
#include "gccgo/landing.h"
#include "gccgo/profile.h"
#include "gccgo/symbol.h"
#include "map/hash.h"
#include "panic/chain.h"

extern char **environ;

GOEXTERN("__go_init_main", void, go_init_main, (void));
GOEXTERN("main.main", void, go_main_main, (void));
GOEXTERN("internal_1cpu.Initialize", void, go_cpu_initialize, (String));

static int argc_given;
static char **argv_given;

extern int32_t rt_ncpu __asm__("runtime.ncpu");

// --- arguments and environment -------------------------------------------------------------------

static Slice
strings(char **text, Int n)
{
	sched_enter();
	String *s = gc_alloc((size_t)n * sizeof(*s) + 1, KIND_SCAN);
	if (s == NULL)
		gc_out_of_memory((size_t)n * sizeof(*s));
	sched_leave();
	for (Int i = 0; i < n; i++)
		s[i] = (String){text[i], (Int)strlen(text[i])};
	return (Slice){s, n, n};
}

GOFUNC("os.runtime__args", Slice, rt_args, (void))
{
	return strings(argv_given, argc_given);
}

GOFUNC("syscall.runtime__envs", Slice, rt_envs, (void))
{
	Int n = 0;
	while (environ[n] != NULL)
		n++;
	return strings(environ, n);
}

GOFUNC("runtime.gogetenv", String, rt_gogetenv, (String name))
{
	const char *v = getenv(string_to_c(name));
	return v != NULL ? string_c(v) : (String){NULL, 0};
}

GOFUNC("syscall.setenv__c", void, rt_setenv, (String name, String value))
{
	setenv(string_to_c(name), string_to_c(value), 1);
}

GOFUNC("syscall.unsetenv__c", void, rt_unsetenv, (String name))
{
	unsetenv(string_to_c(name));
}

// --- the end -------------------------------------------------------------------------------------

GOFUNC("syscall.Exit", NORETURN void, rt_exit, (Int code))
{
	exit((int)code);
}

GOFUNC("os.runtime__beforeExit", void, rt_beforeexit, (void))
{
}

// --- the beginning -------------------------------------------------------------------------------

static NOINLINE GOFUNC_LOCAL("runtime.main", NORETURN void, main_goroutine, (void))
{
	goface_adopt();
	const char *debug = getenv("GODEBUG");
	go_cpu_initialize(string_c(debug != NULL ? debug : ""));
	go_init_main();
	goface_packages_ready();
	sched_enter();
	sched_unlock_thread(LOCK_INTERNAL);
	sched_leave();
	profile_main_begins();
	go_main_main();
	panic_wait();
	exit(0);
}

// Go programs see the outermost function of every goroutine by this name.
static GOFUNC_LOCAL("runtime.goexit", int, begin, (void *unused))
{
	(void)unused;
	main_goroutine();
}

static void
die_of_start(void)
{
	static const char text[] = "runtime: no memory or no thread to start with\n";
	(void)!write(2, text, sizeof(text) - 1);
	_exit(2);
}

// As Go does since 1.21: a program may be started without its standard descriptors, and the next
// file or socket that it opens shall not become what it prints to. Go's text.
static void
open_standard(void)
{
	static const char text[] = "fatal error: cannot open standard fds\n";
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF || open("/dev/null", O_RDWR) == fd)
			continue;
		(void)!write(2, text, sizeof(text) - 1);
		_exit(2);
	}
}

__attribute__((visibility("default"))) int
main(int argc, char **argv)
{
	argc_given = argc;
	argv_given = argv;
	open_standard();
	goface_ignores();
	callers_init();
	landing_init();
	if (!sched_attached())
		die_of_start();
	profile_init();
	panic_in_go = panic_from_core;
	goface_faults();
	symbol_init();
	goface_signals();
	hash_init();
	memstats_init();
	rt_ncpu = os_cpu_count();
	sched_enter();
	int status = sched_run_here(begin, NULL, LOCK_INTERNAL);
	sched_leave();
	if (status < 0)
		die_of_start();
	return status;
}
