// SPDX-License-Identifier: BSD-3-Clause
#include "gobuild.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "golink.h"
#include "goprogram.h"
#include "gosource.h"
#include "gotool.h"
#include "library.h"
#include "made.h"
#include "path.h"
#include "process.h"
#include "say.h"

bool
gobuild_any(char *const *file, int n)
{
	for (int i = 0; i < n; i++)
		if (gosource_is(file[i]))
			return true;
	return false;
}

// Compiles the package in a folder to `out`; the status of the go command.
static int
compile_package(const char *folder, const char *out)
{
	static Args a;
	char here[PATH_BYTES], absolute[PATH_BYTES];
	path_present_folder(here);
	path_make(absolute, out[0] == '/' ? "%.0s%s" : "%s/%s", here, out);
	gotool_begin_in_folder(&a, "build");
	args_add(&a, "-o");
	args_add(&a, absolute);
	gotool_enter(folder);
	int status = process_run(&a);
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
		FILE *f = gosource_is(file[i]) ? fopen(file[i], "re") : NULL;
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
	made_folder(folder);
	setenv("GO111MODULE", "off", 0); // wherever the folder is
	for (int i = 0; i < n; i++) {
		const char *slash = strrchr(file[i], '/');
		path_make(to, "%s/%s", folder, slash != NULL ? slash + 1 : file[i]);
		made_add(to);
		if (realpath(file[i], from) == NULL || symlink(from, to) != 0)
			die(STATUS_FAILED, "%s: %s", file[i], strerror(errno));
	}
	return compile_package(folder, out);
}

int
gobuild_files(char *const *file, int n, const char *out)
{
	static Args a, for_tool; // which is not asked here
	static Library lib;
	char folder[PATH_BYTES], fronts[PATH_BYTES];
	if (any_imports_c(file, n))
		return compile_cgo(file, n, out);
	gotool_add(&a, "GCCGO", "gccgo-12");
	golink_find(folder);
	library_find(&lib);
	args_add(&a, FLAG_PLACE);
	if (golink_find_fronts(fronts, folder)) {
		args_add(&a, FLAG_LTO);
		args_add(&a, FLAG_INLINE);
		args_add(&a, "-L");
		args_add(&a, fronts);
	}
	args_add(&a, "-static-libgcc"); // nobody else here unwinds: one library less at the start
	gotool_add_flags(&a, &for_tool);
	for (int i = 0; i < n; i++)
		args_add(&a, file[i]);
	args_add(&a, library_flag_of_include(&lib));
	args_add(&a, "-static-libgo");
	args_add(&a, "-L");
	args_add(&a, folder);
	args_add(&a, "-o");
	args_add(&a, out);
	return process_run(&a);
}

// What the linker would say of a package without main, and the compiler of generics, says little.
// Which files of a list for cgo are compiled the go command knows.
void
gobuild_refuse(char *const *file, int n, bool to_run)
{
	char why[WHY_BYTES];
	if (!path_is_folder(file[0]) && any_imports_c(file, n))
		return;
	bool none = path_is_folder(file[0]) ? goprogram_folder_is_none(file[0], to_run, why)
					    : goprogram_is_none(file, n, why);
	if (none)
		die(STATUS_FAILED, "%s", why);
}

// Which files of a folder are compiled the go command knows, so they have been tried.
int
gobuild_folder(const char *folder, const char *out)
{
	char why[WHY_BYTES];
	int status = compile_package(folder, out);
	if (status != 0 && goprogram_folder_is_generic(folder, why))
		fprintf(stderr, "undergo: %s\n", why);
	return status;
}
