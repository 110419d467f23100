// SPDX-License-Identifier: BSD-3-Clause
// The command: compiles a C program with the library beside it, or a Go program upon it, and runs
// it.
//
//	undergo run FILE.c [ARGUMENT...]
//	undergo run FILE.go... [FILE.c...] [ARGUMENT...]
//	undergo run FOLDER [ARGUMENT...]
//	undergo build FILE...|FOLDER [-o OUT]
//	undergo test FOLDER [ARGUMENT...]
//	undergo run|build|test --apart ...
//	undergo go [--apart] ARGUMENT...
//	undergo version
//	undergo help
//
// The archive of the library is linked, so what it makes needs no library at run time. CC names
// another compiler, CFLAGS are flags for it. Go is compiled by gccgo 12, or what GCCGO names, with
// the flags in GOFLAGS, and so is C that belongs to a Go program. Go files that import "C", and
// folders, which are packages or modules, are for gccgo's go command, or what GOTOOL names. That
// one gets the words of GOFLAGS that are its own: -tags=x.
//
// `undergo go` is that go command: see gocommand.h. What --apart keeps apart: golink.h.
//
// `run` replaces itself by the program, from a file that has no name any more by then. So signals,
// job control and the exit status are the program's own, and nothing is left behind however it
// ends.
//
// Exit status: 2 when called wrongly, 1 when something cannot be done, the compiler's when it
// refuses.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <undergo/base.h>

#include "args.h"
#include "gobuild.h"
#include "gocommand.h"
#include "golink.h"
#include "gosource.h"
#include "gotool.h"
#include "library.h"
#include "made.h"
#include "path.h"
#include "process.h"
#include "say.h"

extern char **environ;

// Compiles the files, or a folder, to `out`; the compiler's exit status.
static int
compile(char *const *file, int n, const char *out)
{
	if (path_is_folder(file[0]))
		return gobuild_folder(file[0], out);
	if (gobuild_any(file, n))
		return gobuild_files(file, n, out);
	static Library lib;
	static Args a;
	library_find(&lib);
	args_add_words(&a, "CC", "cc");
	args_add_words(&a, "CFLAGS", "-O2 -g");
	args_add(&a, library_flag_of_include(&lib));
	for (int i = 0; i < n; i++)
		args_add(&a, file[i]);
	args_add(&a, "-o");
	args_add(&a, out);
	args_add(&a, lib.archive);
	args_add(&a, "-pthread");
	args_add(&a, "-ldl");
	return process_run(&a);
}

// A source this command can compile.
static void
check_source(const char *file)
{
	if (file[0] == '-')
		die(STATUS_USAGE, "%s is not an option of this command; see undergo help", file);
	if (path_is_folder(file))
		return;
	if (!path_exists(file))
		die(STATUS_FAILED, "%s: %s", file, strerror(errno));
	if (!path_ends_with(file, ".c") && !gosource_is(file))
		die(STATUS_USAGE, "%s: not a source, its name ends neither in .c nor in .go", file);
}

// --- build --------------------------------------------------------------------------------------

// hello for some/where/hello.c: in the present folder, as compilers do with objects.
static void
default_out(char to[PATH_BYTES], const char *file)
{
	char whole[PATH_BYTES];
	if (path_is_folder(file) && realpath(file, whole) != NULL)
		file = whole;
	const char *slash = strrchr(file, '/');
	path_make(to, "%s", slash != NULL ? slash + 1 : file);
	if (file != whole)
		*strrchr(to, '.') = '\0';
	if (to[0] == '\0')
		die(STATUS_USAGE, "%s: what is the program to be called? Use -o", file);
}

static int
command_build(int argc, char **argv)
{
	char name[PATH_BYTES];
	const char *out = NULL;
	int files = 0;
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "-o") == 0) {
			if (out != NULL || ++i == argc)
				die_of_usage("-o is given once, with a name behind it");
			out = argv[i];
		} else {
			check_source(argv[i]);
			argv[files++] = argv[i];
			if (files > 1 && (path_is_folder(argv[0]) || path_is_folder(argv[i])))
				die_of_usage("a folder is a program by itself");
		}
	}
	if (files == 0)
		die_of_usage("build what? Name a source");
	if (out == NULL) {
		default_out(name, argv[0]);
		out = name;
	}
	gobuild_refuse(argv, files, false);
	return compile(argv, files, out);
}

// --- run ----------------------------------------------------------------------------------------

// Compiles the files into a new folder and opens what came out, then takes the names away.
static int
compile_and_open(char *const *file, int n)
{
	char folder[PATH_BYTES], program[PATH_BYTES];
	made_folder(folder);
	path_make(program, "%s/program", folder);
	made_add(program);

	int status = compile(file, n, program);
	int fd = status == 0 ? open(program, O_RDONLY | O_CLOEXEC) : -1;
	int error = errno;
	made_take_away();
	if (status != 0)
		exit(status);
	if (fd < 0)
		die(STATUS_FAILED, "cannot open %s: %s", program, strerror(error));
	return fd;
}

// As we got it, for the program: tools for Go are told more. Changes leave the texts as they are.
static char **
copy_of_environment(void)
{
	size_t n = 1;
	for (char **at = environ; *at != NULL; at++)
		n++;
	char **copy = malloc(n * sizeof(*copy));
	if (copy == NULL)
		die(STATUS_FAILED, "no memory");
	memcpy(copy, environ, n * sizeof(*copy));
	return copy;
}

static int
command_run(int argc, char **argv)
{
	char **environment = copy_of_environment();
	if (argc == 0)
		die_of_usage("run what? Name a source");
	check_source(argv[0]);
	int files = 1;
	while (files < argc && gosource_is(argv[0]) &&
	       (gosource_is(argv[files]) || path_ends_with(argv[files], ".c")))
		check_source(argv[files++]);
	gobuild_refuse(argv, files, true);
	int fd = compile_and_open(argv, files);
	argv += files - 1;
	process_stop_minding_signals();
	fexecve(fd, argv, environment);
	die(STATUS_FAILED,
	    "cannot run the program: %s; programs may not be run from there, "
	    "or set TMPDIR to another folder",
	    strerror(errno));
}

// --- test ---------------------------------------------------------------------------------------

static int
command_test(int argc, char **argv)
{
	static Args a;
	if (argc == 0 || !path_is_folder(argv[0]))
		die_of_usage("test what? Name the folder of a Go package");
	gotool_begin_in_folder(&a, "test");
	args_add(&a, "-vet=off"); // gccgo's package has none
	args_add(&a, "-count=1"); // we may have changed
	for (int i = 1; i < argc; i++)
		args_add(&a, argv[i]);
	gotool_enter(argv[0]);
	return process_run(&a);
}

// --- the rest -----------------------------------------------------------------------------------

static int
command_version(void)
{
	struct utsname u;
	uname(&u);
	printf("undergo %d.%d.%d %s %s\n", GO_VERSION_MAJOR, GO_VERSION_MINOR, GO_VERSION_PATCH,
	       u.sysname, u.machine);
	return 0;
}

// The options of who builds stand before all else.
static int
with_options(int (*command)(int, char **), int argc, char **argv)
{
	int used = golink_option(argc, argv);
	process_mind_signals();
	atexit(made_take_away); // done first: the signal that stops us is minded until then
	return command(argc - used, argv + used);
}

// Whether we were called `go`, from wherever.
static bool
is_called_go(const char *as)
{
	return strcmp(as, "go") == 0 || path_ends_with(as, "/go");
}

int
main(int argc, char **argv)
{
	if (argc > 0 && is_called_go(argv[0]))
		gocommand(argc - 1, argv + 1);
	if (argc < 2)
		die_of_usage("a command is missing");
	const char *command = argv[1];
	int status = 0;
	if (strcmp(command, "go") == 0)
		gocommand(argc - 2, argv + 2);
	if (strcmp(command, "run") == 0)
		return with_options(command_run, argc - 2, argv + 2);
	if (strcmp(command, "build") == 0)
		return with_options(command_build, argc - 2, argv + 2);
	if (strcmp(command, "test") == 0)
		return with_options(command_test, argc - 2, argv + 2);
	bool version = args_is(command, "version", "--version");
	if (!version && !args_is(command, "help", "--help") && strcmp(command, "-h") != 0)
		die_of_usage("there is no such command");
	if (argc > 2)
		die_of_usage("this command takes no arguments");
	if (version)
		status = command_version();
	else
		say_usage(stdout);
	if (fflush(stdout) != 0)
		die(STATUS_FAILED, "cannot write: %s", strerror(errno));
	return status;
}
