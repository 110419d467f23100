// SPDX-License-Identifier: BSD-3-Clause
// The library that C programs are linked with, and its headers. They are found from where the
// command itself lies: below the prefix it was installed to, or in the folder it was built in.
#ifndef UNDERGO_CMD_LIBRARY_H
#define UNDERGO_CMD_LIBRARY_H

#include "path.h"

typedef struct Library {
	char archive[PATH_BYTES];
	char include[PATH_BYTES];
} Library;

// Without one the command ends.
void library_find(Library *lib);
// The compiler's -I. It stays until the next call.
const char *library_flag_of_include(const Library *lib);

#endif
