// SPDX-License-Identifier: BSD-3-Clause
// Overwriting free memory; see clobber.c. For the files of the heap and the allocator, which ask
// clobbers() first.
#ifndef UNDERGO_MEM_CLOBBER_H
#define UNDERGO_MEM_CLOBBER_H

#include "base/godebug.h"
#include "mem/heap.h"

static inline bool
clobbers(void)
{
	return unlikely(godebug.clobberfree != 0);
}

void clobber_fill(void *p, size_t bytes);
// Die unless nobody has written there since it was filled; a page may read as zero, too.
void clobber_check_slot(const void *p, size_t bytes, Kind kind);
void clobber_check_pages(size_t page, size_t npages);

#endif
