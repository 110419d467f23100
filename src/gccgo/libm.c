// SPDX-License-Identifier: BSD-3-Clause
// libm comes when a function of it is called.
//
// Package math is in any program that prints, and calls libm, in functions that few programs call.
// To be loaded costs libm 350 KiB of resident memory: each of its functions that has variants for
// processors is asked at once which to take. So the linker finds the functions here, in an archive
// of its own that the text go/libm.so names (go/meson.build), and libm is loaded by the first call.
// It costs the later ones a load and a jump, as the linker's table would.
//
// A program that has functions by such names keeps its own. What is linked statically never comes
// here: the linker looks for libm.a then.
#include <dlfcn.h>
#include <errno.h>
#include <gnu/lib-names.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/base.h"

#define ONE(name) AT_##name,
#define TWO(name) AT_##name,
#define INT(name) AT_##name,
typedef enum Function {
#include "gccgo/libm.def"
	FUNCTIONS,
} Function;
#undef ONE
#undef TWO
#undef INT

#define ONE(name) #name,
#define TWO(name) #name,
#define INT(name) #name,
static const char *const names[] = {
#include "gccgo/libm.def"
};
#undef ONE
#undef TWO
#undef INT

static ATOMIC(void *) found[FUNCTIONS]; // any thread, the same each time

// A program that has no descriptor left gets one more, if its hard limit lets it, for as long as
// this takes.
static void *
load(void)
{
	void *lib = dlopen(LIBM_SO, RTLD_NOW);
	struct rlimit was;
	if (lib != NULL || getrlimit(RLIMIT_NOFILE, &was) != 0 || was.rlim_cur >= was.rlim_max)
		return lib;
	struct rlimit more = {was.rlim_max, was.rlim_max};
	if (setrlimit(RLIMIT_NOFILE, &more) == 0) {
		lib = dlopen(LIBM_SO, RTLD_NOW);
		(void)setrlimit(RLIMIT_NOFILE, &was);
	}
	return lib;
}

COLD static void *
find(Function f)
{
	int saved = errno;
	void *lib = load(), *fn = lib != NULL ? dlsym(lib, names[f]) : NULL;
	if (fn == NULL) {
		dprintf(STDERR_FILENO, "runtime: %s of " LIBM_SO ": %s\n", names[f], dlerror());
		abort();
	}
	errno = saved;
	store_rel(&found[f], fn); // order: publish -> get
	return fn;
}

static inline void *
get(Function f)
{
	void *fn = load_acq(&found[f]); // order: observe <- find
	return likely(fn != NULL) ? fn : find(f);
}

#define FOUND __attribute__((weak, visibility("default")))
#define ONE(name)                                             \
	FOUND double name(double x)                           \
	{                                                     \
		return ((double (*)(double))get(AT_##name))(x); \
	}
#define TWO(name)                                                        \
	FOUND double name(double x, double y)                            \
	{                                                                \
		return ((double (*)(double, double))get(AT_##name))(x, y); \
	}
#define INT(name)                                                     \
	FOUND double name(double x, int n)                            \
	{                                                             \
		return ((double (*)(double, int))get(AT_##name))(x, n); \
	}
#include "gccgo/libm.def"
