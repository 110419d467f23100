// SPDX-License-Identifier: BSD-3-Clause
// The size classes of small objects as arithmetic, which the compiler does where the size is known;
// those of mem/size.c, and a test compares them.
#ifndef UNDERGO_GCCGO_FRONT_SIZE_H
#define UNDERGO_GCCGO_FRONT_SIZE_H

#include <stddef.h>
#include <stdint.h>

enum { FRONT_MADE_MOST = 256 }; // larger ones are zeroed out of line

// Of SLOT_MIN to FRONT_MADE_MOST bytes.
static inline uint32_t
front_class(size_t bytes)
{
	enum { STEP = 16, ODD = 24, CLASS_OF_16 = 2, CLASS_OF_24 = 3 };
	if (bytes <= STEP)
		return CLASS_OF_16;
	if (bytes <= ODD)
		return CLASS_OF_24;
	return (uint32_t)((bytes + STEP - 1) / STEP) + CLASS_OF_16;
}

// And what a slot of that class has.
static inline size_t
front_slot(size_t bytes)
{
	enum { STEP = 16, ODD = 24 };
	return bytes > STEP && bytes <= ODD ? ODD : (bytes + STEP - 1) / STEP * STEP;
}

#endif
