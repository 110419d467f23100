// SPDX-License-Identifier: BSD-3-Clause
// What stands behind a finalizer of Go.
#ifndef UNDERGO_GCCGO_FINAL_H
#define UNDERGO_GCCGO_FINAL_H

#include "gccgo/gccgo.h"

// Managed memory; the finalizer keeps it alive. The core calls final_call(object, record).
typedef struct Final {
	const FuncType *ft;
	const FuncVal *fn;
	const Type *t; // of the pointer
} Final;

void final_call(void *p, void *record);

#endif
