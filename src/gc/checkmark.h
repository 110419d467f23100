// SPDX-License-Identifier: BSD-3-Clause
// GODEBUG=gccheckmark=1; see checkmark.c.
#ifndef UNDERGO_GC_CHECKMARK_H
#define UNDERGO_GC_CHECKMARK_H

#include "gc/gc_impl.h"

// Between heap_premark and the mark: takes a copy of what is in the roots, and makes the ranges
// those of the copy, so that both marks see the same.  STW.
void checkmark_begin(RootSet *roots);
// After the mark: marks once more, and compares. Dies of a difference.  STW.
void checkmark_end(void);
// For tests: called between the two marks, NULL not.
extern void (*checkmark_test)(void);

#endif
