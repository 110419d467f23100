// SPDX-License-Identifier: BSD-3-Clause
// Eight bytes at once. The contract that <cpu>/match_cpu.h keeps:
//
//   Match                         a set of bytes: a bit for each, MATCH_STEP bits apart
//   match_byte(bytes, want)       those equal to want, and perhaps some above such a one
//   match_byte_high(bytes, want)  the same, faster; the top bit of want is set
//   match_top(bytes)              exactly those whose top bit is set
//
// Byte 0 is the lowest of the word.
#ifndef UNDERGO_ARCH_MATCH_H
#define UNDERGO_ARCH_MATCH_H

#include "match_cpu.h"

enum { MATCH_BYTES = 8 };

// The number of the lowest byte in a set that is not empty.
static inline uint32_t
match_first(Match m)
{
	return (uint32_t)__builtin_ctzll(m) / MATCH_STEP;
}

#endif
