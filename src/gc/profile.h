// SPDX-License-Identifier: BSD-3-Clause
// The heap profile: samples of what is allocated, and what of it is alive. See profile.c.
#ifndef UNDERGO_GC_PROFILE_H
#define UNDERGO_GC_PROFILE_H

#include "gc/site.h"

// One object is sampled for so many bytes allocated, on the average; 0: none. Returns what it was.
int64_t profile_set_rate(int64_t bytes);
int64_t profile_rate(void);

// The object at p, which has just been made, is a sample.  Locks: takes special, site.
void profile_note(void *p, const HeapType *type);
// A sample of that site is dead.  Locks: special held.
void profile_freed(uintptr_t site);

#endif
