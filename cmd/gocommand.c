// SPDX-License-Identifier: BSD-3-Clause
#include "gocommand.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "golink.h"
#include "gotool.h"
#include "gowords.h"
#include "path.h"
#include "say.h"

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
	int own = 1 + gowords_own(argv[0], argv + 1, argc - 1);
	args_add_words(&goflags, "GOFLAGS", "");
	const char *mode = mode_asked((const char *const *)argv, own);
	if (mode == NULL)
		mode = mode_asked(goflags.arg, goflags.n);
	golink_flags(flags, place_of(mode));
	gotool_begin(a, argv[0], flags);
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
void
gocommand(int argc, char **argv)
{
	static Args a;
	if (argc > 0 && strcmp(argv[0], "--apart") == 0) {
		golink_keep_apart();
		argc--;
		argv++;
	}
	gotool_add(&a, "GOTOOL", "go-12");
	if (argc > 0 && gowords_builds(argv[0]))
		add_verb_that_builds(&a, argc, argv);
	else
		for (int i = 0; i < argc; i++)
			args_add(&a, argv[i]);
	execvp(a.arg[0], (char *const *)(uintptr_t)a.arg);
	die(STATUS_FAILED, "cannot run %s: %s", a.arg[0], strerror(errno));
}
