// SPDX-License-Identifier: BSD-3-Clause
// What a Go source says about itself, as far as the command wants to know before it is compiled.
#ifndef UNDERGO_CMD_GOSOURCE_H
#define UNDERGO_CMD_GOSOURCE_H

#include <stdbool.h>

typedef struct GoSource {
	char package[64];
	bool has_main; // the function
	int generic;   // the first line with type parameters; 0: none has
} GoSource;

// By its name.
bool gosource_is(const char *path);
// False: it cannot be read.
bool gosource_read(const char *path, GoSource *s);

#endif
