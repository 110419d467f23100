// SPDX-License-Identifier: BSD-3-Clause
#include "say.h"

#include <stdarg.h>
#include <stdlib.h>

void
die(int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("undergo: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(status);
}

void
say_usage(FILE *to)
{
	fputs("usage: undergo run FILE.c [ARGUMENT...]     compile a program and run it\n"
	      "       undergo run FILE.go... [ARGUMENT...] the same in Go, files in C too\n"
	      "       undergo run FOLDER [ARGUMENT...]     the same of a Go package or module\n"
	      "       undergo build FILE... [-o OUT]       compile a program, in C, Go or both\n"
	      "       undergo build FOLDER [-o OUT]        compile a Go package or module\n"
	      "       undergo test FOLDER [ARGUMENT...]    run its tests; arguments are go test's\n"
	      "       undergo run|build|test --apart ...   the runtime is not inlined into Go\n"
	      "       undergo go [--apart] ARGUMENT...     the go command, for programs with this\n"
	      "                                            runtime; also when it is called `go`\n"
	      "       undergo version                      say which version this is\n"
	      "       undergo help                         say this\n"
	      "\n"
	      "CC and CFLAGS in the environment choose the C compiler and its flags, GCCGO and\n"
	      "GOFLAGS those for Go, GOTOOL the go command. Of GOFLAGS that one gets words like\n"
	      "-tags=x and -mod=vendor. Go programs lie at a fixed place, as Go's own;\n"
	      "with GOFLAGS=-pie the kernel chooses one. `undergo go` leaves GOFLAGS to the go\n"
	      "command, whose -gccgoflags are flags for the compiler.\n",
	      to);
}

void
die_of_usage(const char *why)
{
	fprintf(stderr, "undergo: %s\n", why);
	say_usage(stderr);
	exit(STATUS_USAGE);
}
