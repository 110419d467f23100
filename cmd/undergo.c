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
// Library and headers are found from where the command itself lies: below the prefix it was
// installed to, or in the build folder it was built in. The archive is linked, so what it makes
// needs no library at run time. CC names another compiler, CFLAGS are flags for it. Go is compiled
// by gccgo 12, or what GCCGO names, with the flags in GOFLAGS, and so is C that belongs to a Go
// program. Go files that import "C", and folders, which are packages or modules, are for gccgo's go
// command, or what GOTOOL names. That one gets the words of GOFLAGS that are its own: -tags=x.
//
// `undergo go` is that go command, whose programs are linked with this library; so is this one when
// it is called `go`, by a link of that name. All is as the go command has it then, GOFLAGS too, and
// the go command takes this one's place.
//
// A Go program is linked with -flto, so that GCC inlines parts of the runtime into it (the folder
// go/front beside libgobegin.a); with --apart it is not.
//
// `run` replaces itself by the program, from a file that has no name any more by then. So signals,
// job control and the exit status are the program's own, and nothing is left behind however it
// ends.
//
// A signal that ends it while it compiles ends it when what it has made is taken away again.
//
// Exit status: 2 when called wrongly, 1 when something cannot be done, the compiler's when it
// refuses.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <undergo/base.h>

#include "goprogram.h"
#include "gowords.h"

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
	      "       undergo run FILE.go... [ARGUMENT...] the same in Go, files in C too\n"
	      "       undergo run FOLDER [ARGUMENT...]     the same of a Go package or module\n"
	      "       undergo build FILE... [-o OUT]       compile a program, in C, Go or both\n"
	      "       undergo build FOLDER [-o OUT]        compile a Go package or module\n"
	      "       undergo test FOLDER [ARGUMENT...]    run its tests; arguments are go test's\n"
	      "       undergo run|build|test --apart ...   the runtime is not inlined into Go\n"
	      "       undergo go [--apart] ARGUMENT...     the go command, for programs with this\n"
	      "                                            runtime; also when it is called `go`\n"
	      "       undergo version                      say which version this is\n"
	      "       undergo help                         say this\n"
	      "\n"
	      "CC and CFLAGS in the environment choose the C compiler and its flags, GCCGO and\n"
	      "GOFLAGS those for Go, GOTOOL the go command. Of GOFLAGS that one gets words like\n"
	      "-tags=x and -mod=vendor. Go programs lie at a fixed place, as Go's own;\n"
	      "with GOFLAGS=-pie the kernel chooses one. `undergo go` leaves GOFLAGS to the go\n"
	      "command, whose -gccgoflags are flags for the compiler.\n",
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
is(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
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

// --- what is made on the way --------------------------------------------------------------------

enum { MADE_MAX = 1024 };

static char *made[MADE_MAX]; // files, each behind the folder it is in
static int made_n;

// The last first: a folder is empty then.
static void
take_away_made(void)
{
	while (made_n > 0)
		remove(made[--made_n]);
}

// It is taken away again, at the latest when the command ends, wherever that is.
static void
will_take_away(const char *path)
{
	if (made_n == MADE_MAX)
		die(STATUS_USAGE, "more than %d files", MADE_MAX);
	made[made_n] = strdup(path); // for the life of the process
	if (made[made_n] == NULL)
		die(STATUS_FAILED, "no memory");
	made_n++;
}

// A new folder for files of ours.
static void
make_folder(char to[PATH_BYTES])
{
	const char *tmp = getenv("TMPDIR");
	make_path(to, "%s/undergo-XXXXXX", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
	if (mkdtemp(to) == NULL)
		die(STATUS_FAILED, "cannot make a folder %s: %s", to, strerror(errno));
	will_take_away(to);
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

enum { ARGS_MAX = 16 * 1024 };

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

static volatile sig_atomic_t stopped_by; // a signal that is to end us, 0: none
static volatile pid_t child;

static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
enum { STOPS = sizeof(stops) / sizeof(stops[0]) };

// The terminal's signals are for the compiler, too; others are passed on.
static void
on_stop(int sig, siginfo_t *info, void *context)
{
	(void)context;
	int error = errno;
	stopped_by = sig;
	if (child > 0 && info->si_code != SI_KERNEL)
		kill(child, sig);
	errno = error;
}

static void
end_as_stopped(void)
{
	if (stopped_by != 0) {
		signal(stopped_by, SIG_DFL);
		raise(stopped_by);
	}
}

// Signals that end this command do so when it leaves.
static void
mind_signals(void)
{
	atexit(end_as_stopped);
	for (int i = 0; i < STOPS; i++) {
		struct sigaction now, stop = {.sa_sigaction = on_stop, .sa_flags = SA_SIGINFO};
		if (sigaction(stops[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaction(stops[i], &stop, NULL);
	}
}

// Before another program takes our place: signals end us at once, as do those that came before.
// So none is lost, and it gets them as we did: ignored ones still are, the mask never changed.
static void
stop_minding_signals(void)
{
	for (int i = 0; i < STOPS; i++) {
		struct sigaction now;
		if (sigaction(stops[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			signal(stops[i], SIG_DFL);
	}
	end_as_stopped();
}

// Runs a command and waits for it; its exit status, or 1 when it could not run or died.
static int
run_and_wait(const Args *a)
{
	if (stopped_by != 0)
		return STATUS_FAILED;
	pid_t pid = fork();
	if (pid < 0)
		die(STATUS_FAILED, "fork: %s", strerror(errno));
	if (pid == 0) {
		stop_minding_signals();
		execvp(a->arg[0], (char *const *)(uintptr_t)a->arg);
		fprintf(stderr, "undergo: cannot run %s: %s\n", a->arg[0], strerror(errno));
		_exit(STATUS_FAILED);
	}
	child = pid;
	if (stopped_by != 0) // perhaps before on_stop knew of it
		kill(pid, stopped_by);
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die(STATUS_FAILED, "waitpid: %s", strerror(errno));
	child = 0;
	if (stopped_by != 0)
		return STATUS_FAILED;
	if (WIFSIGNALED(status))
		fprintf(stderr, "undergo: %s died of signal %d\n", a->arg[0], WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_FAILED;
}

// Where execvp will find the command. False: nowhere.
static bool
find_command(char to[PATH_BYTES], const char *name)
{
	if (strchr(name, '/') != NULL) {
		make_path(to, "%s", name);
		return access(to, X_OK) == 0;
	}
	const char *path = getenv("PATH");
	for (const char *at = path; at != NULL && *at != '\0';) {
		int n = (int)strcspn(at, ":");
		make_path(to, "%.*s/%s", n, at, name);
		if (access(to, X_OK) == 0)
			return true;
		at += n + (at[n] == ':');
	}
	return false;
}

static bool
is_this_command(const char *file)
{
	struct stat it, us;
	return stat(file, &it) == 0 && stat("/proc/self/exe", &us) == 0 && it.st_dev == us.st_dev &&
	       it.st_ino == us.st_ino;
}

// The folder with what gccgo links in place of its own runtime.
static void
find_go(char to[PATH_BYTES])
{
	char folder[PATH_BYTES], archive[PATH_BYTES];
	own_folder(folder);
	static const char *const places[] = {"../lib/undergo/go", "go"}; // installed, built
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		make_path(to, "%s/%s", folder, places[i]);
		make_path(archive, "%s/libgobegin.a", to);
		if (exists(archive))
			return;
	}
	die(STATUS_FAILED,
	    "no libgobegin.a, neither in %s/../lib/undergo/go nor in %s/go: "
	    "undergo was built where gccgo 12 was missing",
	    folder, folder);
}

static bool apart; // nothing of the runtime is to be inlined into Go programs

// At a fixed place, as Go's own programs are: half the start. GOFLAGS may say -pie.
#define FLAG_PLACE "-no-pie"

// Fronts are declared inline, but larger than what is inlined usually.
#define FLAG_LTO "-flto=auto"
#define FLAG_INLINE "--param=max-inline-insns-single=400"

// The folder with the parts that are, beside `go`. False: there is none, or it is not wanted.
static bool
find_fronts(char to[PATH_BYTES], const char *go)
{
	char archive[PATH_BYTES];
	make_path(to, "%s/front", go);
	make_path(archive, "%s/libgobegin.a", to);
	return !apart && exists(archive);
}

static bool
is_go(const char *file)
{
	return ends_with(file, ".go");
}

static bool
is_folder(const char *file)
{
	struct stat st;
	return stat(file, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool
any_go(char *const *file, int n)
{
	for (int i = 0; i < n; i++)
		if (is_go(file[i]))
			return true;
	return false;
}

// A tool for Go programs, from the environment or the usual one.
static void
add_go_tool(Args *a, const char *name, const char *usual)
{
	char file[PATH_BYTES];
	args_add_words(a, name, usual);
	if (find_command(file, a->arg[0])) {
		if (is_this_command(file)) // and would call itself for ever
			die(STATUS_USAGE, "%s: %s is this command itself", name, a->arg[0]);
	} else {
		die(STATUS_FAILED,
		    "Go programs are compiled by %s, which is not installed; "
		    "on Debian it is in the package gccgo-12",
		    a->arg[0]);
	}
}

// Whether a word of GOFLAGS is for the go command, which means others by it than we do.
static bool
is_for_go_tool(const char *word)
{
	static const char *const names[] = {"-tags", "-mod", "-modfile", "-modcacherw",
					    "-buildvcs", "-trimpath"};
	size_t n = strcspn(word, "=");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == n && strncmp(word, names[i], n) == 0)
			return true;
	return false;
}

// Each word of GOFLAGS is a flag with its value. One that stands apart would go to gccgo, and the
// go command would take for it what we say next.
static void
check_go_flag(const char *word)
{
	if (is(word, "-tags", "-mod") || strcmp(word, "-modfile") == 0)
		die(STATUS_USAGE, "GOFLAGS: %s has its value in the same word: %s=x", word, word);
}

// The words of GOFLAGS; when none is for gccgo, the usual ones.
static void
add_go_flags(Args *for_gccgo, Args *for_tool)
{
	static Args all;
	int n = for_gccgo->n;
	args_add_words(&all, "GOFLAGS", "");
	for (int i = 0; i < all.n; i++) {
		check_go_flag(all.arg[i]);
		args_add(is_for_go_tool(all.arg[i]) ? for_tool : for_gccgo, all.arg[i]);
	}
	if (for_gccgo->n == n) {
		args_add(for_gccgo, "-O2");
		args_add(for_gccgo, "-g");
	}
}

static const char *
flag_of_include(const Library *lib)
{
	static char flag[PATH_BYTES + 2];
	snprintf(flag, sizeof flag, "-I%s", lib->include);
	return flag;
}

// When the archives were made. They are nothing that the go command knows of, so it would take a
// program that was linked with others for up to date.
static uint64_t
age_of_archives(const char *go)
{
	static const char *const names[] = {"libgobegin.a", "libundergogo.a",
					    "front/libundergofront.a"};
	uint64_t sum = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char file[PATH_BYTES];
		struct stat st;
		make_path(file, "%s/%s", go, names[i]);
		if (stat(file, &st) == 0)
			sum = sum * 31 + (uint64_t)st.st_mtim.tv_sec * 1000000000 +
			      (uint64_t)st.st_mtim.tv_nsec;
	}
	return sum;
}

// What gccgo needs to link with us, as -gccgoflags has it, behind `place`. The go command compares
// flags, so one of them names a folder that is not there, after the age.
static void
make_gccgoflags(char flags[PATH_BYTES], const char *place)
{
	char folder[PATH_BYTES], fronts[PATH_BYTES];
	find_go(folder);
	if (strpbrk(folder, " \t") != NULL)
		die(STATUS_FAILED, "%s: the go command takes no such name, with a space", folder);
	unsigned long long age = age_of_archives(folder);
	if (find_fronts(fronts, folder))
		make_path(flags,
			  "%s -static-libgo " FLAG_LTO " " FLAG_INLINE " -L %s -L %s -L %s/%llx",
			  place, fronts, folder, folder, age);
	else
		make_path(flags, "%s -static-libgo -L %s -L %s/%llx", place, folder, folder, age);
}

// The go command with its first words: those that have it link what it builds with us.
static void
begin_go_tool(Args *a, const char *verb, const char *flags)
{
	static char all[PATH_BYTES + 4];
	static Library lib;
	char for_c[PATH_BYTES + 16];
	find_library(&lib);
	snprintf(for_c, sizeof for_c, "-O2 -g %s", flag_of_include(&lib));
	setenv("CGO_CFLAGS", for_c, 0);
	snprintf(all, sizeof all, "all=%s", flags);
	args_add(a, verb);
	args_add(a, "-compiler=gccgo");
	args_add(a, "-gccgoflags");
	args_add(a, all);
}

// The same with the words of GOFLAGS, for a folder.
static void
begin_go_of_folder(Args *a, const char *verb)
{
	char flags[PATH_BYTES];
	static Args own, for_tool;
	add_go_tool(a, "GOTOOL", "go-12");
	make_gccgoflags(flags, FLAG_PLACE);
	add_go_flags(&own, &for_tool);
	for (int i = 0; i < own.n; i++) {
		size_t n = strlen(flags), room = sizeof flags - n;
		if ((size_t)snprintf(flags + n, room, " %s", own.arg[i]) >= room)
			die(STATUS_USAGE, "GOFLAGS is too long");
	}
	unsetenv("GOFLAGS"); // to the go command it means something else
	begin_go_tool(a, verb, flags);
	for (int i = 0; i < for_tool.n; i++)
		args_add(a, for_tool.arg[i]);
}

// Where we are; without it the command ends.
static void
present_folder(char to[PATH_BYTES])
{
	if (getcwd(to, PATH_BYTES) == NULL)
		die(STATUS_FAILED, "cannot tell where I am: %s", strerror(errno));
}

// Whether the folder where we are belongs to a module.
static bool
in_module(void)
{
	char folder[PATH_BYTES], file[PATH_BYTES];
	present_folder(folder);
	for (char *slash; (slash = strrchr(folder, '/')) != NULL; *slash = '\0') {
		make_path(file, "%s/go.mod", folder);
		if (exists(file))
			return true;
	}
	return exists("/go.mod");
}

static void
go_into(const char *folder)
{
	if (chdir(folder) != 0)
		die(STATUS_FAILED, "%s: %s", folder, strerror(errno));
	if (!in_module())
		setenv("GO111MODULE", "off", 0);
}

// Compiles the package in a folder to `out`; the status of the go command.
static int
compile_package(const char *folder, const char *out)
{
	static Args a;
	char here[PATH_BYTES], absolute[PATH_BYTES];
	present_folder(here);
	make_path(absolute, out[0] == '/' ? "%.0s%s" : "%s/%s", here, out);
	begin_go_of_folder(&a, "build");
	args_add(&a, "-o");
	args_add(&a, absolute);
	go_into(folder);
	int status = run_and_wait(&a);
	if (chdir(here) != 0)
		die(STATUS_FAILED, "%s: %s", here, strerror(errno));
	return status;
}

// Whether a line imports "C", by itself or among others.
static bool
imports_c(const char *line)
{
	static const char c[] = "\"C\"";
	line += strspn(line, " \t");
	bool whole = strncmp(line, "import", 6) == 0;
	if (whole)
		line += 6 + strspn(line + 6, " \t");
	if (strncmp(line, c, sizeof c - 1) != 0)
		return false;
	line += sizeof c - 1;
	return whole || line[strspn(line, " \t\r\n")] == '\0';
}

// Whether one of the files is for cgo.
static bool
any_imports_c(char *const *file, int n)
{
	char line[256];
	bool found = false;
	for (int i = 0; i < n && !found; i++) {
		FILE *f = is_go(file[i]) ? fopen(file[i], "re") : NULL;
		while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
			found = imports_c(line);
		if (f != NULL)
			fclose(f);
	}
	return found;
}

// A package of links to the files: the go command knows C files in folders only.
static int
compile_cgo(char *const *file, int n, const char *out)
{
	char folder[PATH_BYTES], from[PATH_BYTES], to[PATH_BYTES];
	make_folder(folder);
	setenv("GO111MODULE", "off", 0); // wherever the folder is
	for (int i = 0; i < n; i++) {
		const char *slash = strrchr(file[i], '/');
		make_path(to, "%s/%s", folder, slash != NULL ? slash + 1 : file[i]);
		will_take_away(to);
		if (realpath(file[i], from) == NULL || symlink(from, to) != 0)
			die(STATUS_FAILED, "%s: %s", file[i], strerror(errno));
	}
	return compile_package(folder, out);
}

static int
compile_go(char *const *file, int n, const char *out)
{
	static Args a, for_tool; // which is not asked here
	static Library lib;
	char folder[PATH_BYTES], fronts[PATH_BYTES];
	if (any_imports_c(file, n))
		return compile_cgo(file, n, out);
	add_go_tool(&a, "GCCGO", "gccgo-12");
	find_go(folder);
	find_library(&lib);
	args_add(&a, FLAG_PLACE);
	if (find_fronts(fronts, folder)) {
		args_add(&a, FLAG_LTO);
		args_add(&a, FLAG_INLINE);
		args_add(&a, "-L");
		args_add(&a, fronts);
	}
	args_add(&a, "-static-libgcc"); // nobody else here unwinds: one library less at the start
	add_go_flags(&a, &for_tool);
	for (int i = 0; i < n; i++)
		args_add(&a, file[i]);
	args_add(&a, flag_of_include(&lib));
	args_add(&a, "-static-libgo");
	args_add(&a, "-L");
	args_add(&a, folder);
	args_add(&a, "-o");
	args_add(&a, out);
	return run_and_wait(&a);
}

// What the linker would say of a package without main, and the compiler of generics, says little.
// Which files of a list for cgo are compiled the go command knows.
static void
refuse_none(char *const *file, int n, bool to_run)
{
	char why[WHY_BYTES];
	if (!is_folder(file[0]) && any_imports_c(file, n))
		return;
	bool none = is_folder(file[0]) ? goprogram_folder_is_none(file[0], to_run, why)
				       : goprogram_is_none(file, n, why);
	if (none)
		die(STATUS_FAILED, "%s", why);
}

// Which files of a folder are compiled the go command knows, so they have been tried.
static int
compile_folder(const char *folder, const char *out)
{
	char why[WHY_BYTES];
	int status = compile_package(folder, out);
	if (status != 0 && goprogram_folder_is_generic(folder, why))
		fprintf(stderr, "undergo: %s\n", why);
	return status;
}

// Compiles the files, or a folder, to `out`; the compiler's exit status.
static int
compile(char *const *file, int n, const char *out)
{
	if (is_folder(file[0]))
		return compile_folder(file[0], out);
	if (any_go(file, n))
		return compile_go(file, n, out);
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
	if (file[0] == '-')
		die(STATUS_USAGE, "%s is not an option of this command; see undergo help", file);
	if (is_folder(file))
		return;
	if (!exists(file))
		die(STATUS_FAILED, "%s: %s", file, strerror(errno));
	if (!ends_with(file, ".c") && !is_go(file))
		die(STATUS_USAGE, "%s: not a source, its name ends neither in .c nor in .go", file);
}

// --- build --------------------------------------------------------------------------------------

// hello for some/where/hello.c: in the present folder, as compilers do with objects.
static void
default_out(char to[PATH_BYTES], const char *file)
{
	char whole[PATH_BYTES];
	if (is_folder(file) && realpath(file, whole) != NULL)
		file = whole;
	const char *slash = strrchr(file, '/');
	make_path(to, "%s", slash != NULL ? slash + 1 : file);
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
			if (files > 1 && (is_folder(argv[0]) || is_folder(argv[i])))
				die_of_usage("a folder is a program by itself");
		}
	}
	if (files == 0)
		die_of_usage("build what? Name a source");
	if (out == NULL) {
		default_out(name, argv[0]);
		out = name;
	}
	refuse_none(argv, files, false);
	return compile(argv, files, out);
}

// --- run ----------------------------------------------------------------------------------------

// Compiles the files into a new folder and opens what came out, then takes the names away.
static int
compile_and_open(char *const *file, int n)
{
	char folder[PATH_BYTES], program[PATH_BYTES];
	make_folder(folder);
	make_path(program, "%s/program", folder);
	will_take_away(program);

	int status = compile(file, n, program);
	int fd = status == 0 ? open(program, O_RDONLY | O_CLOEXEC) : -1;
	int error = errno;
	take_away_made();
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
		die_of_usage("run what? Name a source");
	check_source(argv[0]);
	int files = 1;
	while (files < argc && is_go(argv[0]) &&
	       (is_go(argv[files]) || ends_with(argv[files], ".c")))
		check_source(argv[files++]);
	refuse_none(argv, files, true);
	int fd = compile_and_open(argv, files);
	argv += files - 1;
	stop_minding_signals();
	fexecve(fd, argv, environ);
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
	if (argc == 0 || !is_folder(argv[0]))
		die_of_usage("test what? Name the folder of a Go package");
	begin_go_of_folder(&a, "test");
	args_add(&a, "-vet=off"); // gccgo's package has none
	args_add(&a, "-count=1"); // we may have changed
	for (int i = 1; i < argc; i++)
		args_add(&a, argv[i]);
	go_into(argv[0]);
	return run_and_wait(&a);
}

// --- go -----------------------------------------------------------------------------------------

// Adds a value of -gccgoflags and what we need in it.
static void
add_gccgoflags(Args *a, const char *flags, const char *value)
{
	const char *whole = gowords_with(flags, value); // for the life of the process
	if (whole == NULL)
		die(STATUS_FAILED, "no memory");
	args_add(a, "-gccgoflags");
	args_add(a, whole);
}

// Ours stand behind GOFLAGS, so what is said there is said again.
static void
add_gccgoflags_of_environment(Args *a, const char *flags, const Args *goflags)
{
	for (int i = 0; i < goflags->n; i++) {
		bool in_next;
		const char *value = gowords_value("gccgoflags", goflags->arg[i], &in_next);
		if (value != NULL && !in_next)
			add_gccgoflags(a, flags, value);
	}
}

// The last -buildmode among the words; NULL: there is none.
static const char *
mode_asked(const char *const *word, int n)
{
	const char *mode = NULL;
	for (int i = 0; i < n; i++) {
		bool in_next;
		const char *value = gowords_value("buildmode", word[i], &in_next);
		if (value != NULL && in_next)
			value = i + 1 < n ? word[i + 1] : NULL;
		if (value != NULL)
			mode = value;
	}
	return mode;
}

// Where a program of that mode lies.
static const char *
place_of(const char *mode)
{
	if (mode == NULL || is(mode, "default", "exe"))
		return FLAG_PLACE;
	if (is(mode, "c-shared", "c-archive") || is(mode, "shared", "plugin"))
		die(STATUS_USAGE, "-buildmode=%s: this runtime is linked into programs only", mode);
	return "";
}

static void
add_verb_that_builds(Args *a, int argc, char **argv)
{
	static Args goflags;
	char flags[PATH_BYTES];
	int own = 1 + gowords_own(argv[0], argv + 1, argc - 1);
	args_add_words(&goflags, "GOFLAGS", "");
	const char *mode = mode_asked((const char *const *)argv, own);
	if (mode == NULL)
		mode = mode_asked(goflags.arg, goflags.n);
	make_gccgoflags(flags, place_of(mode));
	begin_go_tool(a, argv[0], flags);
	add_gccgoflags_of_environment(a, flags, &goflags);
	for (int i = 1; i < argc; i++) {
		bool in_next;
		const char *value = NULL;
		if (i < own)
			value = gowords_value("gccgoflags", argv[i], &in_next);
		if (value == NULL || (in_next && i + 1 == argc))
			args_add(a, argv[i]);
		else
			add_gccgoflags(a, flags, in_next ? argv[++i] : value);
	}
}

// Other verbs are the go command's alone, and nothing has to be done after it.
__attribute__((noreturn)) static void
command_go(int argc, char **argv)
{
	static Args a;
	if (argc > 0 && strcmp(argv[0], "--apart") == 0) {
		apart = true;
		argc--;
		argv++;
	}
	add_go_tool(&a, "GOTOOL", "go-12");
	if (argc > 0 && gowords_builds(argv[0]))
		add_verb_that_builds(&a, argc, argv);
	else
		for (int i = 0; i < argc; i++)
			args_add(&a, argv[i]);
	execvp(a.arg[0], (char *const *)(uintptr_t)a.arg);
	die(STATUS_FAILED, "cannot run %s: %s", a.arg[0], strerror(errno));
}

// Whether we were called `go`, from wherever.
static bool
is_called_go(const char *as)
{
	return strcmp(as, "go") == 0 || ends_with(as, "/go");
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
	if (argc > 0 && strcmp(argv[0], "--apart") == 0) {
		apart = true;
		argc--;
		argv++;
	}
	mind_signals();
	atexit(take_away_made); // done first: the signal that stops us is minded until then
	return command(argc, argv);
}

int
main(int argc, char **argv)
{
	if (argc > 0 && is_called_go(argv[0]))
		command_go(argc - 1, argv + 1);
	if (argc < 2)
		die_of_usage("a command is missing");
	const char *command = argv[1];
	int status = 0;
	if (strcmp(command, "go") == 0)
		command_go(argc - 2, argv + 2);
	if (strcmp(command, "run") == 0)
		return with_options(command_run, argc - 2, argv + 2);
	if (strcmp(command, "build") == 0)
		return with_options(command_build, argc - 2, argv + 2);
	if (strcmp(command, "test") == 0)
		return with_options(command_test, argc - 2, argv + 2);
	bool version = is(command, "version", "--version");
	if (!version && !is(command, "help", "--help") && strcmp(command, "-h") != 0)
		die_of_usage("there is no such command");
	if (argc > 2)
		die_of_usage("this command takes no arguments");
	if (version)
		status = command_version();
	else
		print_usage(stdout);
	if (fflush(stdout) != 0)
		die(STATUS_FAILED, "cannot write: %s", strerror(errno));
	return status;
}
