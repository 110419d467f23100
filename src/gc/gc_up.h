// SPDX-License-Identifier: BSD-3-Clause
// Questions that gc asks and a higher layer answers; bound at link time.
#ifndef UNDERGO_GC_UP_H
#define UNDERGO_GC_UP_H

#include <stddef.h>
#include <stdint.h>

// The functions by which the program allocates; NULL ends the list. Answered by api.
extern const void *const up_alloc_entries[];

// The return addresses of the functions that are being run on this stack, from one of
// up_alloc_entries outwards, at most max of them; how many. Answered by panic.
// Stack: any; takes some 3 KiB.  Time: some microseconds.
size_t up_callers(uintptr_t *pcs, size_t max);

// GODEBUG=leaks=1, and the process exits: what is alive, to descriptor 2. Answered by panic. The
// caller is outside of the runtime.
void up_report_leaks(void);

#endif
