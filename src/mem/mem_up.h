// SPDX-License-Identifier: BSD-3-Clause
// What mem asks of the layers above.
#ifndef UNDERGO_MEM_UP_H
#define UNDERGO_MEM_UP_H

#include "mem/heap.h"

// A span is about to be swept that has specials. Whatever of its objects shall live on is marked by
// the time this returns; specials of the others are gone. Answered by gc.  Locks: none held.
void up_sweep_specials(Mspan *s);

// Heap pages are wanted ahead of their use: heap_populate shall be called soon, by a thread of the
// runtime's own. Answered by gc. Takes no lock.  Locks: any.
void up_pages_wanted(void);

#endif
