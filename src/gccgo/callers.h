// SPDX-License-Identifier: BSD-3-Clause
// Walking the stack of Go code.
#ifndef UNDERGO_GCCGO_CALLERS_H
#define UNDERGO_GCCGO_CALLERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gccgo/gccgo.h"

// Functions of ours, by where they begin.
typedef struct DeferredBy {
	uintptr_t asker;     // up to this one the stack is ours
	uintptr_t runner[2]; // call what is deferred
	uintptr_t made_func; // the code of functions that reflect has made
} DeferredBy;

// Whether the function that has called asker was deferred, by the program's own words.
bool callers_deferred(const DeferredBy *by);

void callers_init(void); // at the start
// Reads the debug information, some 100 ms of a large program. Else who asks first does.
void callers_prepare(void);
// The stack that we are on, as Go code sees it: addresses from the inside, at most max; how many.
size_t callers_of_go(uintptr_t *pcs, size_t max);
// The same addresses without those of so many functions from the inside; how many are left.
size_t callers_beyond(uintptr_t *pcs, size_t n, size_t skip);
// The stack that we are on, all of it. Looks no names up, which may read files.
size_t callers_unnamed(uintptr_t *pcs, size_t max);
// Of addresses found by others, leaves those that Go code sees; how many.
size_t callers_shown(uintptr_t *pcs, size_t n);
// The same with functions of C, up to where a goroutine begins: of what was running.
size_t callers_running(uintptr_t *pcs, size_t n);
bool callers_begins(uintptr_t pc); // where a goroutine begins

// A function at a return address.
typedef struct FrameAt {
	String function;
	String file;
	Int line;
	uintptr_t entry;
	bool more; // it is inlined into another
} FrameAt;

GOEXTERN("runtime.frameat", FrameAt, rt_frameat, (uintptr_t pc, Int nth));

#endif
