// SPDX-License-Identifier: BSD-3-Clause
#include "gotool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "golink.h"
#include "library.h"
#include "path.h"
#include "process.h"
#include "say.h"

void
gotool_add(Args *a, const char *name, const char *usual)
{
	char file[PATH_BYTES];
	args_add_words(a, name, usual);
	if (process_find(file, a->arg[0])) {
		if (process_is_us(file)) // and would call itself for ever
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
	static const char *const names[] = {"-tags",       "-mod",      "-modfile",
					    "-modcacherw", "-buildvcs", "-trimpath"};
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
	if (args_is(word, "-tags", "-mod") || strcmp(word, "-modfile") == 0)
		die(STATUS_USAGE, "GOFLAGS: %s has its value in the same word: %s=x", word, word);
}

void
gotool_add_flags(Args *for_gccgo, Args *for_tool)
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

void
gotool_begin(Args *a, const char *verb, const char *flags)
{
	static char all[PATH_BYTES + 4];
	static Library lib;
	char for_c[PATH_BYTES + 16];
	library_find(&lib);
	snprintf(for_c, sizeof for_c, "-O2 -g %s", library_flag_of_include(&lib));
	setenv("CGO_CFLAGS", for_c, 0);
	snprintf(all, sizeof all, "all=%s", flags);
	args_add(a, verb);
	args_add(a, "-compiler=gccgo");
	args_add(a, "-gccgoflags");
	args_add(a, all);
}

void
gotool_begin_in_folder(Args *a, const char *verb)
{
	char flags[PATH_BYTES];
	static Args own, for_tool;
	gotool_add(a, "GOTOOL", "go-12");
	golink_flags(flags, FLAG_PLACE);
	gotool_add_flags(&own, &for_tool);
	for (int i = 0; i < own.n; i++) {
		size_t n = strlen(flags), room = sizeof flags - n;
		if ((size_t)snprintf(flags + n, room, " %s", own.arg[i]) >= room)
			die(STATUS_USAGE, "GOFLAGS is too long");
	}
	unsetenv("GOFLAGS"); // to the go command it means something else
	gotool_begin(a, verb, flags);
	for (int i = 0; i < for_tool.n; i++)
		args_add(a, for_tool.arg[i]);
}

// Whether the folder where we are belongs to a module.
static bool
in_module(void)
{
	char folder[PATH_BYTES], file[PATH_BYTES];
	path_present_folder(folder);
	for (char *slash; (slash = strrchr(folder, '/')) != NULL; *slash = '\0') {
		path_make(file, "%s/go.mod", folder);
		if (path_exists(file))
			return true;
	}
	return path_exists("/go.mod");
}

void
gotool_enter(const char *folder)
{
	if (chdir(folder) != 0)
		die(STATUS_FAILED, "%s: %s", folder, strerror(errno));
	if (!in_module())
		setenv("GO111MODULE", "off", 0);
}
