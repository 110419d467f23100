// SPDX-License-Identifier: BSD-3-Clause
// Types whose pointers a program tells; see gcprog.c.
#ifndef UNDERGO_MEM_GCPROG_H
#define UNDERGO_MEM_GCPROG_H

#include "mem/heap.h"

// What a program is unrolled into.
typedef struct ProgBits {
	uint64_t *words; // zeroed, for `keep` bits
	size_t keep;     // bits from here on must be 0, and are not stored
	size_t all;      // there must be none from here on; at least keep
} ProgBits;

// Unrolls the program of so many bytes. False: it is malformed; the bits are anything.
// Time: O(bytes * keep / 64) at worst; what is past `keep` costs nothing.
bool gcprog_unroll(ProgBits to, const uint8_t *program, size_t bytes);

// A type with a bitmap for one that has a program: the same one each time, for ever. NULL without
// memory.  Locks: none.  Fatal: the program is malformed.
const HeapType *gcprog_type(const HeapType *t);
// Bytes of all that were unrolled.
uint64_t gcprog_bytes(void);

#endif
