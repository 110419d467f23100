// SPDX-License-Identifier: BSD-3-Clause
// The record of a deferred call. What panics do with it: panic.c.
#ifndef UNDERGO_GCCGO_DEFER_H
#define UNDERGO_GCCGO_DEFER_H

#include "gccgo/gccgo.h"

struct GoDefer {
	GoDefer *link;
	bool *frame;
	GoPanic *panics;       // the newest when deferred
	GoPanic *runs_in;      // the panic, or Goexit, that runs it
	void (*pfn)(void *); // NULL once it has begun
	void *arg;
	uintptr_t ret_addr;  // behind the call in the thunk; 0: it cannot recover
};
enum { DEFER_ROOM = 72 };
static_assert(sizeof(GoDefer) <= DEFER_ROOM, "compiled code makes room for it");

static inline void
godefer_push(GoFace *f, GoDefer *d, bool *frame, void (*fn)(void *), void *arg)
{
	*d = (GoDefer){
	    .link = f->defers,
	    .frame = frame,
	    .panics = f->panics,
	    .pfn = fn,
	    .arg = arg,
	};
	f->defers = d;
}

#endif
