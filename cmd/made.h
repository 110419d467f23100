// SPDX-License-Identifier: BSD-3-Clause
// Files and folders that are made on the way and are nothing the user asked for.
#ifndef UNDERGO_CMD_MADE_H
#define UNDERGO_CMD_MADE_H

#include "path.h"

// A new folder for files of ours.
void made_folder(char to[PATH_BYTES]);
// What will be there is taken away again, at the latest when the command ends, wherever that is.
void made_add(const char *path);
// Takes all of it away. main has it called at exit.
void made_take_away(void);

#endif
