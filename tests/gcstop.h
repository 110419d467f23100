// SPDX-License-Identifier: BSD-3-Clause
// What tests of stopped threads share: the module of gcmodule.c, and a look at every root.
#ifndef UNDERGO_TESTS_GCSTOP_H
#define UNDERGO_TESTS_GCSTOP_H

#include <dlfcn.h>
#include <string.h>

#include "goroutines.h"

typedef uintptr_t *ModuleWord(void);

// The path of what lies beside the suite.
static inline void
path_beside(char path[1024], const char *name)
{
	ssize_t n = readlink("/proc/self/exe", path, 1024 - 32);
	expect(n > 0);
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, name);
}

static inline void *
module_open_as(const char *name)
{
	char path[1024];
	path_beside(path, name);
	return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static inline void *
module_open(void)
{
	return module_open_as("libgcmodule.so");
}

static inline ModuleWord *
module_word(void *module, const char *name)
{
	ModuleWord *fn;
	*(void **)(void *)&fn = dlsym(module, name);
	expect(fn != NULL);
	return fn;
}

// A secret is a word that nobody has but where a test puts it: elsewhere it is never in one piece.
// How often it is a word of a root is asked with what it is apart.
extern volatile uintptr_t secret_mask;
typedef struct Secrets {
	uintptr_t masked[16];
	int found[16];
	int n;
} Secrets;

// Adds a secret, for secret_put.
static inline uintptr_t
secret_new(Secrets *s)
{
	expect(s->n < 16);
	s->masked[s->n] = 0x5ec4e70000000000u + 0x1357913u * (uintptr_t)(s->n + 1);
	return s->masked[s->n++];
}

// Puts a secret together in its place, and nowhere else.
void secret_put(uintptr_t *where, uintptr_t masked);
// Stops everything, gathers, and counts the secrets in what was gathered. As a cycle does it.
void secrets_look(Secrets *s);
// The same without looking.
void stop_and_gather(void);

#endif
