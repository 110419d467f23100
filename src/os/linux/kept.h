// SPDX-License-Identifier: BSD-3-Clause
// Files that stay open; see kept.c.
#ifndef UNDERGO_OS_LINUX_KEPT_H
#define UNDERGO_OS_LINUX_KEPT_H

#include <stdbool.h>

#include "base/base.h"

struct stat;

typedef enum KeptState {
	KEPT_NOT,
	KEPT_WRITING, // by one who has opened it
	KEPT_KNOWN,   // fd was open, and that file
} KeptState;

typedef struct KeptFile {
	const char *path; // constant
	ATOMIC_U32 state; // KeptState
	ATOMIC(int) fd;   // this and what follows: written by who made state KEPT_WRITING
	ATOMIC(uint64_t) dev;
	ATOMIC(uint64_t) ino;
} KeptFile;

// A descriptor of the file, which others may have at the same time unless it is the caller's own,
// or a negative errno value.  kept_close when it has been read.  Threads: any.
int kept_open(KeptFile *f, bool *own);
// What the kernel says of the file. False: it is not open, nothing is opened for it.  Threads: any.
bool kept_stat(const KeptFile *f, struct stat *st);
void kept_close(int fd, bool own);

#endif
