// SPDX-License-Identifier: BSD-3-Clause
// The tools that compile Go: gccgo and its go command. GOFLAGS has words for both: those that are
// the go command's own, as -tags=x, and flags for gccgo, which are all others.
#ifndef UNDERGO_CMD_GOTOOL_H
#define UNDERGO_CMD_GOTOOL_H

#include "args.h"

// A tool for Go programs, from the environment or the usual one: the first words of a command. When
// it is not there, or is this command, we end.
void gotool_add(Args *a, const char *name, const char *usual);
// The words of GOFLAGS; when none is for gccgo, the usual ones.
void gotool_add_flags(Args *for_gccgo, Args *for_tool);
// The go command's first words, behind its name: verbs that have them link what they build with us,
// with `flags` for gccgo. Sets CGO_CFLAGS unless it is set.
void gotool_begin(Args *a, const char *verb, const char *flags);
// The go command with its name and first words, and those of GOFLAGS, for a folder. Takes GOFLAGS
// out of the environment.
void gotool_begin_in_folder(Args *a, const char *verb);
// Goes there, where the go command is to run. Sets GO111MODULE where no module is, unless it is
// set.
void gotool_enter(const char *folder);

#endif
