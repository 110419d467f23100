// SPDX-License-Identifier: BSD-3-Clause
// A tree of small files that a test makes up, for code that reads /proc and control groups.
#ifndef UNDERGO_TESTS_FILETREE_H
#define UNDERGO_TESTS_FILETREE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

static char tree_root[64]; // of the tree in hand

// Writes a file below tree_root, making its directories.
static inline void
tree_put(const char *name, const char *text)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s%s", tree_root, name);
	for (char *at = path + strlen(tree_root) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		mkdir(path, 0700);
		*at = '/';
	}
	FILE *f = fopen(path, "w");
	expect(f != NULL);
	expect(fputs(text, f) >= 0 && fclose(f) == 0);
}

static inline void
tree_new(void)
{
	strcpy(tree_root, "tree-test-XXXXXX");
	expect(mkdtemp(tree_root) != NULL);
}

static inline void
tree_drop(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", tree_root);
	expect(system(command) == 0);
}

#endif
