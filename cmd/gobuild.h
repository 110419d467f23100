// SPDX-License-Identifier: BSD-3-Clause
// Compiles Go programs: files by gccgo; files that import "C", and folders, by the go command.
#ifndef UNDERGO_CMD_GOBUILD_H
#define UNDERGO_CMD_GOBUILD_H

#include <stdbool.h>

// Whether one of the files is Go.
bool gobuild_any(char *const *file, int n);
// Ends the command where it is plain that no program can be made of the files, or of a folder.
void gobuild_refuse(char *const *file, int n, bool to_run);
// To `out`, as the next; the exit status of who compiles.
int gobuild_files(char *const *file, int n, const char *out);
int gobuild_folder(const char *folder, const char *out);

#endif
