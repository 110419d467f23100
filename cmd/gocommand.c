// SPDX-License-Identifier: BSD-3-Clause
#include "gocommand.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "golink.h"
#include "gotool.h"
#include "gowords.h"
#include "path.h"
#include "process.h"
#include "say.h"

// A GOTOOL that calls us again would do so for ever: in the same process, or each time in a child
// of the last. So counted is only where our number, or our parent's, stands beside the count: what
// a go command runs, as by `go generate`, may call us, too, and is further away.
static void
check_depth(void)
{
	enum { DEPTH_MAX = 20 };
	static const char name[] = "UNDERGO_GO_DEPTH";
	const char *tool = getenv("GOTOOL"), *text = getenv(name);
	int pid = 0, depth = 0;
	char more[32];
	if (tool == NULL || tool[0] == '\0')
		return;
	if (text == NULL || sscanf(text, "%d %d", &pid, &depth) != 2 ||
	    (pid != getpid() && pid != getppid()))
		depth = 0;
	if (depth >= DEPTH_MAX)
		die(STATUS_USAGE, "GOTOOL: %s calls this command again and again", tool);
	snprintf(more, sizeof more, "%d %d", getpid(), depth + 1);
	setenv(name, more, 1);
}

// With one P the start of gccgo's go command takes a fifth of the time.
static char *
ask_with_one_proc(const Args *ask)
{
	static const char name[] = "GOMAXPROCS";
	const char *procs = getenv(name);
	char *before = procs != NULL ? strdup(procs) : NULL;
	if (procs != NULL && before == NULL)
		die(STATUS_FAILED, "no memory");
	setenv(name, "1", 1);
	process_mind_signals();
	char *answer = process_ask(ask);
	process_stop_minding_signals();
	if (before != NULL)
		setenv(name, before, 1);
	else
		unsetenv(name);
	free(before);
	return answer;
}

// The words of GOFLAGS, which may be kept by `go env -w`: the go command knows. They are for
// `go env` as well, and may say that it is to do something else.
static void
add_goflags(Args *goflags, const Args *tool)
{
	static const char *const question[] = {"env", "-json=false", "-u=false", "-w=false",
					       "GOFLAGS"};
	static Args ask;
	for (int i = 0; i < tool->n; i++)
		args_add(&ask, tool->arg[i]);
	for (size_t i = 0; i < sizeof(question) / sizeof(question[0]); i++)
		args_add(&ask, question[i]);
	args_add_text(goflags, ask_with_one_proc(&ask));
}

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
add_gccgoflags_of_goflags(Args *a, const char *flags, const Args *goflags)
{
	for (int i = 0, used; i < goflags->n; i += used) {
		const char *value = gowords_value("gccgoflags", goflags->arg + i, 1, &used);
		if (value != NULL)
			add_gccgoflags(a, flags, value);
	}
}

// The last -buildmode among the words; NULL: there is none. Those of GOFLAGS stand each by itself.
static const char *
mode_asked(const char *const *word, int n, bool pairs)
{
	const char *mode = NULL;
	for (int i = 0, used; i < n; i += used) {
		const char *value = gowords_value("buildmode", word + i, pairs ? n - i : 1, &used);
		if (value != NULL)
			mode = value;
	}
	return mode;
}

// Where a program of that mode lies.
static const char *
place_of(const char *mode)
{
	if (mode == NULL || args_is(mode, "default", "exe"))
		return FLAG_PLACE;
	if (args_is(mode, "c-shared", "c-archive") || args_is(mode, "shared", "plugin"))
		die(STATUS_USAGE, "-buildmode=%s: this runtime is linked into programs only", mode);
	return "";
}

static void
add_verb_that_builds(Args *a, int argc, char **argv)
{
	static Args goflags;
	char flags[PATH_BYTES];
	const char *const *word = (const char *const *)argv;
	int own = 1 + gowords_own(argv[0], argv + 1, argc - 1);
	add_goflags(&goflags, a);
	const char *mode = mode_asked(word + 1, own - 1, true);
	if (mode == NULL)
		mode = mode_asked(goflags.arg, goflags.n, false);
	golink_flags(flags, place_of(mode));
	gotool_begin(a, argv[0], flags);
	add_gccgoflags_of_goflags(a, flags, &goflags);
	for (int i = 1, used; i < own; i += used) {
		const char *value = gowords_value("gccgoflags", word + i, own - i, &used);
		if (value != NULL)
			add_gccgoflags(a, flags, value);
		for (int k = i; value == NULL && k < i + used; k++)
			args_add(a, word[k]);
	}
	for (int i = own; i < argc; i++)
		args_add(a, word[i]);
}

// Other verbs are the go command's alone, and nothing has to be done after it.
void
gocommand(int argc, char **argv)
{
	static Args a;
	int used = golink_option(argc, argv);
	argc -= used;
	argv += used;
	gotool_add(&a, "GOTOOL", "go-12");
	check_depth();
	if (argc > 0 && gowords_builds(argv[0]))
		add_verb_that_builds(&a, argc, argv);
	else
		for (int i = 0; i < argc; i++)
			args_add(&a, argv[i]);
	execvp(a.arg[0], (char *const *)(uintptr_t)a.arg);
	die(STATUS_FAILED, "cannot run %s: %s", a.arg[0], strerror(errno));
}
