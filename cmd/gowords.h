// SPDX-License-Identifier: BSD-3-Clause
// The words of a line for the go command: `go VERB WORD...`. It takes -gccgoflags several times, of
// which the last that matches a package is heard. So what we need has to stand in each of them.
#ifndef UNDERGO_CMD_GOWORDS_H
#define UNDERGO_CMD_GOWORDS_H

#include <stdbool.h>

// Whether what the verb makes, or runs, may be a program.
bool gowords_builds(const char *verb);
// How many of the words are the go command's own: those behind are a program's.
int gowords_own(const char *verb, char *const *word, int n);
// The value in a word that is this flag; "" when it is in the next. NULL: another word.
const char *gowords_value(const char *flag, const char *word, bool *in_next);
// A value of -gccgoflags, with ours before the others in it; NULL: no memory. The caller frees it.
char *gowords_with(const char *ours, const char *value);

#endif
