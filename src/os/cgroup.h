// SPDX-License-Identifier: BSD-3-Clause
// The control group this process is in, and those above it.
//
// Limits of a group hold for it and all below it, so whoever asks reads the same file in each group
// from ours up to the root:
//
//   if (os_cgroup_find(cg, "", CGROUP_V2, "memory"))
//   	do
//   		if (os_cgroup_read(cg, "/memory.max", text, sizeof(text)))
//   			...
//   	while (os_cgroup_up(cg));
#ifndef UNDERGO_OS_CGROUP_H
#define UNDERGO_OS_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OS_PATH_BYTES = 2048, OS_LINE_BYTES = 4096 };

typedef enum CgroupVersion { CGROUP_V1 = 1, CGROUP_V2 = 2 } CgroupVersion;

// A path that grows; once it has not fitted it is empty and stays so.
typedef struct OsPath {
	char text[OS_PATH_BYTES];
	size_t n;
	bool lost;
} OsPath;

// The caller's, and nothing in it is for the caller. Too large for the stack of a goroutine.
typedef struct OsCgroup {
	OsPath dir;      // of the group in hand
	size_t mount;    // the first so many bytes of it are where the hierarchy is mounted
	OsPath group;    // our group's name
	OsPath scratch;
	struct {
		int64_t offset; // of the next byte to read
		size_t at, n;   // the part of buf not yet handed out
		bool overlong;  // in a line that did not fit
		char buf[OS_LINE_BYTES];
	} lines;
} OsCgroup;

// Finds our group in the hierarchy of that version; for version 1, in the one that has the
// controller. root goes before the path of each file read ("" in life). False when there is none.
// Locks: none.  Allocates: no.
bool os_cgroup_find(OsCgroup *cg, const char *root, CgroupVersion version, const char *controller);
// The text of a small file of the group, by a name that begins with a slash. False when there is
// none.
bool os_cgroup_read(OsCgroup *cg, const char *name, char *text, size_t size);
// Goes on to the group above. False: this was the root of the mount.
bool os_cgroup_up(OsCgroup *cg);

#endif
