// SPDX-License-Identifier: BSD-3-Clause
// Files that stay open; see kept.c.
#ifndef UNDERGO_OS_LINUX_KEPT_H
#define UNDERGO_OS_LINUX_KEPT_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct KeptFile {
	const char *path; // constant
	int fd;           // one party at a time, all that follows
	bool known;       // fd is open, and is this file:
	dev_t dev;
	ino_t ino;
} KeptFile;

// A descriptor to read the file from its beginning, or a negative errno value. kept_close when that
// is done.
int kept_open(KeptFile *f);
void kept_close(KeptFile *f);

#endif
