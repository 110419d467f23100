// SPDX-License-Identifier: BSD-3-Clause
#include "goprogram.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "gosource.h"
#include "path.h"

// What sources say together.
typedef struct Program {
	int files;
	bool any_main;  // package
	bool has_main;  // the function in it
	char package[64]; // another one, of file `other`
	char other[PATH_MAX];
	int generic_line;
	char generic[PATH_MAX];
} Program;

static void
copy(char to[PATH_MAX], const char *path)
{
	(void)snprintf(to, PATH_MAX, "%s", path);
}

static void
add(Program *p, const char *path)
{
	GoSource s;
	if (!gosource_read(path, &s))
		return;
	bool is_main = strcmp(s.package, "main") == 0;
	p->files++;
	p->any_main |= is_main;
	p->has_main |= is_main && s.has_main;
	if (!is_main && s.package[0] != '\0' && p->package[0] == '\0') {
		memcpy(p->package, s.package, sizeof p->package);
		copy(p->other, path);
	}
	if (s.generic != 0 && p->generic_line == 0) {
		p->generic_line = s.generic;
		copy(p->generic, path);
	}
}

// All but tests, and what the go command does not look at. False: it cannot be read.
static bool
add_folder(Program *p, const char *folder)
{
	char path[PATH_MAX];
	DIR *d = opendir(folder);
	if (d == NULL)
		return false;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		const char *name = e->d_name;
		if (!gosource_is(name) || path_ends_with(name, "_test.go") || name[0] == '_' ||
		    name[0] == '.')
			continue;
		if (snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path)
			add(p, path);
	}
	closedir(d);
	return true;
}

// --- the sentences -------------------------------------------------------------------------------

static bool
is_generic(const Program *p, char why[WHY_BYTES])
{
	if (p->generic_line == 0)
		return false;
	(void)snprintf(why, WHY_BYTES,
		       "%s:%d has type parameters, and gccgo 12 has none: write it as for Go 1.17",
		       p->generic, p->generic_line);
	return true;
}

static bool
is_other_package(const Program *p, char why[WHY_BYTES])
{
	(void)snprintf(why, WHY_BYTES,
		       "%s is of package %s, which is no program: name a package main", p->other,
		       p->package);
	return true;
}

static bool
has_no_main(const Program *p, const char *where, char why[WHY_BYTES])
{
	if (!p->any_main || p->has_main)
		return false;
	(void)snprintf(why, WHY_BYTES,
		       "%s: there is no func main, where a program begins: write one, or name the "
		       "file that has it, too",
		       where);
	return true;
}

bool
goprogram_is_none(char *const *file, int n, char why[WHY_BYTES])
{
	Program p = {0};
	for (int i = 0; i < n; i++)
		if (gosource_is(file[i]))
			add(&p, file[i]);
	if (p.package[0] != '\0')
		return is_other_package(&p, why);
	return is_generic(&p, why) || has_no_main(&p, file[0], why);
}

bool
goprogram_folder_is_none(const char *folder, bool only_main, char why[WHY_BYTES])
{
	Program p = {0};
	if (!add_folder(&p, folder))
		return false;
	if (p.files == 0) {
		(void)snprintf(why, WHY_BYTES,
			       "%s: there is no Go source in this folder: name sources, or the "
			       "folder of a package main",
			       folder);
		return true;
	}
	if (only_main && !p.any_main && p.package[0] != '\0')
		return is_other_package(&p, why);
	return has_no_main(&p, folder, why);
}

bool
goprogram_folder_is_generic(const char *folder, char why[WHY_BYTES])
{
	Program p = {0};
	return add_folder(&p, folder) && is_generic(&p, why);
}
