// SPDX-License-Identifier: BSD-3-Clause
// The words of a command that is to run.
#ifndef UNDERGO_CMD_ARGS_H
#define UNDERGO_CMD_ARGS_H

#include <stdbool.h>

enum { ARGS_MAX = 16 * 1024 };

typedef struct Args {
	const char *arg[ARGS_MAX + 1]; // NULL behind the last
	int n;
} Args;

// One more, which is not copied. When there are too many the command ends.
void args_add(Args *a, const char *arg);
// The words of a text, which they stay in.
void args_add_text(Args *a, char *text);
// The words of an environment variable, which has `otherwise` when it is not set or has none.
void args_add_words(Args *a, const char *name, const char *otherwise);
// Whether a word is one of the two.
bool args_is(const char *word, const char *a, const char *b);

#endif
