// SPDX-License-Identifier: BSD-3-Clause
// Why no program can be made of Go sources, where that is plain to see: in a sentence, for who
// would else read what a linker or compiler says.
#ifndef UNDERGO_CMD_GOPROGRAM_H
#define UNDERGO_CMD_GOPROGRAM_H

#include <stdbool.h>

enum { WHY_BYTES = 8192 };

// Of sources, and files in C among them. False: nothing speaks against it.
bool goprogram_is_none(char *const *file, int n, char why[WHY_BYTES]);
// Of a folder. Which of its files belong to the package is for the go command to say, so this knows
// less. only_main: another package will not do.
bool goprogram_folder_is_none(const char *folder, bool only_main, char why[WHY_BYTES]);
// Of a folder that could not be compiled.
bool goprogram_folder_is_generic(const char *folder, char why[WHY_BYTES]);

#endif
