// SPDX-License-Identifier: BSD-3-Clause
#include "args.h"

#include <stdlib.h>
#include <string.h>

#include "say.h"

// What Go's own commands take for blanks.
static const char blanks[] = " \t\n\v\f\r";

bool
args_is(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

void
args_add(Args *a, const char *arg)
{
	if (a->n == ARGS_MAX)
		die(STATUS_USAGE, "more than %d arguments for the compiler", ARGS_MAX);
	a->arg[a->n++] = arg;
	a->arg[a->n] = NULL;
}

void
args_add_text(Args *a, char *text)
{
	char *rest = NULL;
	for (char *word = strtok_r(text, blanks, &rest); word != NULL;
	     word = strtok_r(NULL, blanks, &rest))
		args_add(a, word);
}

void
args_add_words(Args *a, const char *name, const char *otherwise)
{
	const char *text = getenv(name);
	if (text == NULL || text[strspn(text, blanks)] == '\0')
		text = otherwise;
	char *copy = strdup(text); // for the life of the process
	if (copy == NULL)
		die(STATUS_FAILED, "no memory");
	args_add_text(a, copy);
}
