// SPDX-License-Identifier: BSD-3-Clause
// Other commands: where they are, running them, and the signals that end this one meanwhile: it
// ends when they have, and what was made is taken away. None is lost, whenever it comes.
#ifndef UNDERGO_CMD_PROCESS_H
#define UNDERGO_CMD_PROCESS_H

#include <stdbool.h>

#include "args.h"
#include "path.h"

// Signals that end this command do so when it leaves, from here on.
void process_mind_signals(void);
// Before another program takes our place: signals end us at once, as do those that came before.
// So none is lost, and it gets them as we did: ignored ones still are, the mask never changed.
void process_stop_minding_signals(void);
// Runs a command and waits for it; its exit status, or 1 when it could not run or died.
int process_run(const Args *a);
// What a command writes, for the life of the process. When it fails, this one ends as it did.
char *process_ask(const Args *a);
// Where execvp will find the command. False: nowhere.
bool process_find(char to[PATH_BYTES], const char *name);
// Whether the file is this command itself.
bool process_is_us(const char *file);

#endif
