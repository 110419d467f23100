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
// The value of this flag, when it is what the words begin with, of which there is one at least.
// NULL: something else is, of which nothing may be taken for a flag, or there is no value. *used:
// how many words it is, with a value in the next one.
const char *gowords_value(const char *flag, const char *const *word, int n, int *used);
// A value of -gccgoflags, with ours before the others in it; NULL: no memory. The caller frees it.
char *gowords_with(const char *ours, const char *value);

#endif
