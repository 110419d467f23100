// SPDX-License-Identifier: BSD-3-Clause
// The command: compiles a C program with the library beside it, and runs it.
//
//	undergo run FILE.c [ARGUMENT...]
//	undergo build FILE... [-o OUT]
//	undergo version
//	undergo help
//
// Library and headers are found from where the command itself lies: below the prefix it was
// installed to, or in the build folder it was built in. The archive is linked, so what it makes
// needs no library at run time. CC names another compiler, CFLAGS are flags for it.
//
// `run` replaces itself by the program, from a file that has no name any more by then. So signals,
// job control and the exit status are the program's own, and nothing is left behind however it
// ends.
//
// Exit status: 2 when called wrongly, 1 when something cannot be done, the compiler's when it
// refuses.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <undergo/base.h>

enum { STATUS_FAILED = 1, STATUS_USAGE = 2, PATH_BYTES = PATH_MAX };

extern char **environ;

// --- saying no ----------------------------------------------------------------------------------

__attribute__((noreturn, format(printf, 2, 3))) static void
die(int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("undergo: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(status);
}

static void
print_usage(FILE *to)
{
	fputs("usage: undergo run FILE.c [ARGUMENT...]     compile a program and run it\n"
	      "       undergo build FILE... [-o OUT]       compile a program\n"
	      "       undergo version                      say which version this is\n"
	      "       undergo help                         say this\n"
	      "\n"
	      "CC and CFLAGS in the environment choose the compiler and its flags.\n",
	      to);
}

__attribute__((noreturn)) static void
die_of_usage(const char *why)
{
	fprintf(stderr, "undergo: %s\n", why);
	print_usage(stderr);
	exit(STATUS_USAGE);
}

// --- paths --------------------------------------------------------------------------------------

// In place of one that would not fit, the command ends.
__attribute__((format(printf, 2, 3))) static void
make_path(char to[PATH_BYTES], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(to, PATH_BYTES, format, args);
	va_end(args);
	if (n < 0 || n >= PATH_BYTES)
		die(STATUS_FAILED, "a path is too long: %s...", to);
}

static bool
exists(const char *path)
{
	return access(path, R_OK) == 0;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && strcmp(text + n - m, end) == 0;
}

// Where this command lies, without a slash at the end.
static void
own_folder(char to[PATH_BYTES])
{
	ssize_t n = readlink("/proc/self/exe", to, PATH_BYTES - 1);
	if (n < 0)
		die(STATUS_FAILED, "cannot tell where I am: /proc/self/exe: %s", strerror(errno));
	to[n] = '\0';
	char *slash = strrchr(to, '/');
	if (slash != NULL)
		*slash = '\0';
}

typedef struct Library {
	char archive[PATH_BYTES];
	char include[PATH_BYTES];
} Library;

// Tries one place; relative names are below `folder`.
static bool
library_at(Library *lib, const char *folder, const char *archive, const char *include)
{
	char header[PATH_BYTES];
	make_path(lib->archive, "%s/%s", folder, archive);
	make_path(lib->include, "%s/%s", folder, include);
	make_path(header, "%s/undergo.h", lib->include);
	return exists(lib->archive) && exists(header);
}

static void
find_library(Library *lib)
{
	char folder[PATH_BYTES];
	own_folder(folder);
	if (library_at(lib, folder, "../lib/libundergo.a", "../include") || // installed
	    library_at(lib, folder, "libundergo.a", "../include"))          // built
		return;
	die(STATUS_FAILED,
	    "no libundergo.a with undergo.h, neither in %s/../lib and %s/../include nor in %s",
	    folder, folder, folder);
}

// --- compiling ----------------------------------------------------------------------------------

enum { ARGS_MAX = 1024 };

typedef struct Args {
	const char *arg[ARGS_MAX + 1];
	int n;
} Args;

static void
args_add(Args *a, const char *arg)
{
	if (a->n == ARGS_MAX)
		die(STATUS_USAGE, "more than %d arguments for the compiler", ARGS_MAX);
	a->arg[a->n++] = arg;
	a->arg[a->n] = NULL;
}

// The words of an environment variable.
static void
args_add_words(Args *a, const char *name, const char *otherwise)
{
	const char *text = getenv(name);
	if (text == NULL || text[strspn(text, " \t\n")] == '\0')
		text = otherwise;
	char *copy = strdup(text); // for the life of the process
	if (copy == NULL)
		die(STATUS_FAILED, "no memory");
	char *rest = NULL;
	for (char *word = strtok_r(copy, " \t\n", &rest); word != NULL;
	     word = strtok_r(NULL, " \t\n", &rest))
		args_add(a, word);
}

// Runs a command and waits for it; its exit status, or 1 when it could not run or died.
static int
run_and_wait(const Args *a)
{
	pid_t pid = fork();
	if (pid < 0)
		die(STATUS_FAILED, "fork: %s", strerror(errno));
	if (pid == 0) {
		execvp(a->arg[0], (char *const *)(uintptr_t)a->arg);
		fprintf(stderr, "undergo: cannot run %s: %s\n", a->arg[0], strerror(errno));
		_exit(STATUS_FAILED);
	}
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die(STATUS_FAILED, "waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		fprintf(stderr, "undergo: %s died of signal %d\n", a->arg[0], WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_FAILED;
}

// Compiles the files to `out`; the compiler's exit status.
static int
compile(char *const *file, int n, const char *out)
{
	static Library lib;
	static Args a;
	char flag[PATH_BYTES + 2];
	find_library(&lib);
	snprintf(flag, sizeof flag, "-I%s", lib.include);
	args_add_words(&a, "CC", "cc");
	args_add_words(&a, "CFLAGS", "-O2 -g");
	args_add(&a, flag);
	for (int i = 0; i < n; i++)
		args_add(&a, file[i]);
	args_add(&a, "-o");
	args_add(&a, out);
	args_add(&a, lib.archive);
	args_add(&a, "-pthread");
	args_add(&a, "-ldl");
	return run_and_wait(&a);
}

// A source this command can compile.
static void
check_source(const char *file)
{
	if (ends_with(file, ".go"))
		die(STATUS_FAILED,
		    "%s: undergo does not run Go programs yet: its Go face is not built. "
		    "C programs only",
		    file);
	if (file[0] == '-')
		die(STATUS_USAGE, "%s is not an option of this command; see undergo help", file);
	if (!ends_with(file, ".c"))
		die(STATUS_USAGE, "%s: not a C source, its name does not end in .c", file);
	if (!exists(file))
		die(STATUS_FAILED, "%s: %s", file, strerror(errno));
}

// --- build --------------------------------------------------------------------------------------

// hello for some/where/hello.c: in the present folder, as compilers do with objects.
static void
default_out(char to[PATH_BYTES], const char *file)
{
	const char *slash = strrchr(file, '/');
	make_path(to, "%s", slash != NULL ? slash + 1 : file);
	to[strlen(to) - 2] = '\0';
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
		}
	}
	if (files == 0)
		die_of_usage("build what? Name a C source");
	if (out == NULL) {
		default_out(name, argv[0]);
		out = name;
	}
	return compile(argv, files, out);
}

// --- run ----------------------------------------------------------------------------------------

// Compiles `file` into a new folder and opens what came out, then takes both names away.
static int
compile_and_open(char *file)
{
	const char *tmp = getenv("TMPDIR");
	char folder[PATH_BYTES], program[PATH_BYTES];
	make_path(folder, "%s/undergo-XXXXXX", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
	if (mkdtemp(folder) == NULL)
		die(STATUS_FAILED, "cannot make a folder %s: %s", folder, strerror(errno));
	make_path(program, "%s/program", folder);

	int status = compile(&file, 1, program);
	int fd = status == 0 ? open(program, O_RDONLY | O_CLOEXEC) : -1;
	int error = errno;
	unlink(program);
	rmdir(folder);
	if (status != 0)
		exit(status);
	if (fd < 0)
		die(STATUS_FAILED, "cannot open %s: %s", program, strerror(error));
	return fd;
}

static int
command_run(int argc, char **argv)
{
	if (argc == 0)
		die_of_usage("run what? Name a C source");
	check_source(argv[0]);
	int fd = compile_and_open(argv[0]);
	fexecve(fd, argv, environ);
	die(STATUS_FAILED,
	    "cannot run the program: %s; programs may not be run from there, "
	    "or set TMPDIR to another folder",
	    strerror(errno));
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

static bool
is(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		die_of_usage("a command is missing");
	const char *command = argv[1];
	int status = 0;
	if (strcmp(command, "run") == 0)
		return command_run(argc - 2, argv + 2);
	if (strcmp(command, "build") == 0)
		return command_build(argc - 2, argv + 2);
	if (argc > 2)
		die_of_usage("this command takes no arguments");
	if (is(command, "version", "--version"))
		status = command_version();
	else if (is(command, "help", "--help") || strcmp(command, "-h") == 0)
		print_usage(stdout);
	else
		die_of_usage("there is no such command");
	if (fflush(stdout) != 0)
		die(STATUS_FAILED, "cannot write: %s", strerror(errno));
	return status;
}
