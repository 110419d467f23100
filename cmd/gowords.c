// SPDX-License-Identifier: BSD-3-Clause
#include "gowords.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
is_one_of(const char *const *names, const char *word, size_t n)
{
	for (; *names != NULL; names++)
		if (strlen(*names) == n && strncmp(*names, word, n) == 0)
			return true;
	return false;
}

bool
gowords_builds(const char *verb)
{
	static const char *const verbs[] = {"build", "get", "install", "run", "test", NULL};
	return is_one_of(verbs, verb, strlen(verb));
}

// The name of a flag, which one dash or two stand before; NULL: the word is none.
static const char *
flag_name(const char *word)
{
	if (word[0] != '-' || word[1] == '\0')
		return NULL;
	return word + 1 + (word[1] == '-');
}

// Whether the next word is the flag's value. Flags of `go test` alone do not matter: it has no
// words that are a program's, but behind -args, and their values look like no flag of ours.
static bool
takes_next(const char *name)
{
	static const char *const names[] = {
	    "asmflags", "buildmode",     "compiler",       "debug-actiongraph",
	    "exec",     "debug-trace",   "debug-runtime-trace", "gccgoflags",
	    "gcflags",  "installsuffix", "ldflags",        "mod",
	    "modfile",  "o",             "overlay",        "p",
	    "pkgdir",   "tags",          "toolexec",       NULL};
	return is_one_of(names, name, strlen(name));
}

int
gowords_own(const char *verb, char *const *word, int n)
{
	bool runs = strcmp(verb, "run") == 0;
	for (int i = 0; i < n; i++) {
		const char *name = flag_name(word[i]);
		if (name == NULL && runs)
			return i;
		if (name != NULL && (name[0] == '\0' || strcmp(name, "args") == 0))
			return i;
		if (name != NULL && takes_next(name))
			i++;
	}
	return n;
}

const char *
gowords_value(const char *flag, const char *const *word, int n, int *used)
{
	const char *name = flag_name(word[0]);
	size_t length = strlen(flag);
	*used = name != NULL && n > 1 && takes_next(name) ? 2 : 1;
	if (name == NULL || strncmp(name, flag, length) != 0)
		return NULL;
	if (name[length] == '=')
		return name + length + 1;
	return name[length] == '\0' && *used == 2 ? word[1] : NULL;
}

char *
gowords_with(const char *ours, const char *value)
{
	value += strspn(value, " \t\n\v\f\r");
	size_t pattern = 0, size = strlen(value) + strlen(ours) + 2;
	if (value[0] != '\0' && value[0] != '-')
		pattern = strcspn(value, "=") + 1;
	if (pattern > strlen(value))
		return strdup(value); // no flags, which the go command will say
	char *whole = malloc(size);
	if (whole != NULL)
		(void)snprintf(whole, size, "%.*s%s %s", (int)pattern, value, ours,
			       value + pattern);
	return whole;
}
