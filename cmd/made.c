// SPDX-License-Identifier: BSD-3-Clause
#include "made.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"
#include "say.h"

enum { MADE_MAX = 1024 };

static char *made[MADE_MAX]; // files, each behind the folder it is in
static int made_n;

// The last first: a folder is empty then.
void
made_take_away(void)
{
	while (made_n > 0)
		remove(made[--made_n]);
}

void
made_add(const char *path)
{
	if (made_n == MADE_MAX)
		die(STATUS_USAGE, "more than %d files", MADE_MAX);
	made[made_n] = strdup(path); // for the life of the process
	if (made[made_n] == NULL)
		die(STATUS_FAILED, "no memory");
	made_n++;
}

void
made_folder(char to[PATH_BYTES])
{
	const char *tmp = getenv("TMPDIR");
	path_make(to, "%s/undergo-XXXXXX", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
	if (mkdtemp(to) == NULL)
		die(STATUS_FAILED, "cannot make a folder %s: %s", to, strerror(errno));
	made_add(to);
}
