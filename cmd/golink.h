// SPDX-License-Identifier: BSD-3-Clause
// What a Go program is linked with in place of gccgo's own runtime, and the flags for that. With
// -flto GCC inlines parts of the runtime into it: the fronts, in the folder go/front beside
// libgobegin.a.
#ifndef UNDERGO_CMD_GOLINK_H
#define UNDERGO_CMD_GOLINK_H

#include <stdbool.h>

#include "path.h"

// At a fixed place, as Go's own programs are: half the start. GOFLAGS may say -pie.
#define FLAG_PLACE "-no-pie"

// Fronts are declared inline, but larger than what is inlined usually.
#define FLAG_LTO "-flto=auto"
#define FLAG_INLINE "--param=max-inline-insns-single=400"

// Takes the option that may stand before a command's words: --apart, nothing of the runtime is to
// be inlined into Go programs. How many words it took.
int golink_option(int argc, char *const *argv);
// The folder `go`, where the archives are; without it the command ends.
void golink_find(char to[PATH_BYTES]);
// The folder with the fronts, beside them. False: there is none, or it is not wanted.
bool golink_find_fronts(char to[PATH_BYTES], const char *go);
// What gccgo needs to link with us, as -gccgoflags has it, behind `place`.
void golink_flags(char flags[PATH_BYTES], const char *place);

#endif
