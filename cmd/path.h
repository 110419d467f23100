// SPDX-License-Identifier: BSD-3-Clause
// Paths, and what lies there.
#ifndef UNDERGO_CMD_PATH_H
#define UNDERGO_CMD_PATH_H

#include <limits.h>
#include <stdbool.h>

enum { PATH_BYTES = PATH_MAX };

// In place of one that would not fit, the command ends.
__attribute__((format(printf, 2, 3))) void path_make(char to[PATH_BYTES], const char *format, ...);
// Whether it can be read.
bool path_exists(const char *path);
bool path_is_folder(const char *path);
bool path_ends_with(const char *path, const char *end);
// Where this command lies, without a slash at the end.
void path_own_folder(char to[PATH_BYTES]);
// Where we are; without it the command ends.
void path_present_folder(char to[PATH_BYTES]);

#endif
