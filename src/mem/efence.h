// SPDX-License-Identifier: BSD-3-Clause
// GODEBUG=efence=1; see efence.c.
#ifndef UNDERGO_MEM_EFENCE_H
#define UNDERGO_MEM_EFENCE_H

#include "base/godebug.h"
#include "mem/heap.h"

static inline bool
fenced(void)
{
	return unlikely(godebug.efence != 0);
}

// Puts the one object of a span that is being made, npages and bytes of which are set, to its end;
// the last page becomes the fence.
void efence_place(Mspan *s, size_t align);
// No touch of the span's pages goes unnoticed any more.
void efence_close(const Mspan *s);
// After a fault: says whose memory addr was, if it was an object's.  Stack: signal.
void efence_tell(uintptr_t addr);

#endif
