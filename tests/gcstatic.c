// SPDX-License-Identifier: BSD-3-Clause
// A program that is linked statically, with no loader and thread-locals at the program's break: it
// collects, and looks whether what a thread-local variable points to is still there.
#include <undergo.h>

static __thread long *mine;

static void
garbage(void)
{
	for (int i = 0; i < 10000; i++)
		*(long *)go_alloc(sizeof(long)) = -1;
}

int
main(void)
{
	mine = go_alloc(sizeof(long));
	*mine = 42;
	go_gc();
	garbage();
	go_gc();
	garbage();
	return *mine == 42 ? 0 : 1;
}
