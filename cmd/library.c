// SPDX-License-Identifier: BSD-3-Clause
#include "library.h"

#include <stdio.h>

#include "say.h"

// Tries one place; relative names are below `folder`.
static bool
library_at(Library *lib, const char *folder, const char *archive, const char *include)
{
	char header[PATH_BYTES];
	path_make(lib->archive, "%s/%s", folder, archive);
	path_make(lib->include, "%s/%s", folder, include);
	path_make(header, "%s/undergo.h", lib->include);
	return path_exists(lib->archive) && path_exists(header);
}

void
library_find(Library *lib)
{
	char folder[PATH_BYTES];
	path_own_folder(folder);
	if (library_at(lib, folder, "../lib/libundergo.a", "../include") || // installed
	    library_at(lib, folder, "libundergo.a", "../include"))          // built
		return;
	die(STATUS_FAILED,
	    "no libundergo.a with undergo.h, neither in %s/../lib and %s/../include nor in %s",
	    folder, folder, folder);
}

const char *
library_flag_of_include(const Library *lib)
{
	static char flag[PATH_BYTES + 2];
	snprintf(flag, sizeof flag, "-I%s", lib->include);
	return flag;
}
