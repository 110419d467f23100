// SPDX-License-Identifier: BSD-3-Clause
// GODEBUG=stackpoison=1; see poison.c.
#ifndef UNDERGO_GC_POISON_H
#define UNDERGO_GC_POISON_H

// Overwrites what lies below the live part of the stack of each goroutine that has run and does not
// now.  STW, all threads stopped.
void stacks_poison(void);

#endif
