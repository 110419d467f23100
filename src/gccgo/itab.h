// SPDX-License-Identifier: BSD-3-Clause
// The table of the tables of methods, and looking into it: iface.c, and the fronts.
#ifndef UNDERGO_GCCGO_ITAB_H
#define UNDERGO_GCCGO_ITAB_H

#include "gccgo/gccgo.h"

typedef struct Itab {
	const InterfaceType *inter;
	const Type *t;
	const String *missing; // NULL: t has all methods
	void *tab[];           // what an Iface points to: t, then the code of each method
} Itab;

typedef struct Table {
	size_t n; // slots, a power of two
	size_t used;
	ATOMIC(Itab *) slot[];
} Table;

static inline size_t
first_slot(const Table *tb, const void *inter, const void *t)
{
	uint64_t h = ((uintptr_t)inter ^ (uintptr_t)t << 7) * UINT64_C(0x9E3779B97F4A7C15);
	return (h >> 32) & (tb->n - 1);
}

static inline Itab *
look_up(Table *tb, const InterfaceType *inter, const Type *t)
{
	for (size_t i = first_slot(tb, inter, t);; i = (i + 1) & (tb->n - 1)) {
		Itab *it = load_acq(&tb->slot[i]); // order: observe <- put
		if (it == NULL || (it->inter == inter && it->t == t))
			return it;
	}
}

#endif
