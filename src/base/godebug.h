// SPDX-License-Identifier: BSD-3-Clause
// GODEBUG: switches of the runtime that a program is run with. See godebug.def.
#ifndef UNDERGO_BASE_GODEBUG_H
#define UNDERGO_BASE_GODEBUG_H

#include <stdint.h>

// What the stress build does unless it is told otherwise.
#ifdef UNDERGO_STRESS
#define GODEBUG_STRESS 1
#else
#define GODEBUG_STRESS 0
#endif

typedef struct Godebug {
#define WORD(name, value) int64_t name;
#include "base/godebug.def"
#undef WORD
} Godebug;

extern Godebug godebug; // constant once os_init has read the environment

// Takes "word=number,word=number". A word or a value that makes no sense is passed over, as in Go;
// of two for the same word the last one counts. NULL is nothing.
void godebug_parse(const char *text);

#endif
