// SPDX-License-Identifier: BSD-3-Clause
// Eight bytes at once. The contract that <cpu>/match_cpu.h keeps:
//
//   Match                         a set of bytes: a bit for each, MATCH_STEP bits apart
//   match_byte(bytes, want)       those equal to want, and perhaps some above such a one
//   match_bytes(bytes, wants)     the same of a byte that stands eight times in wants
//   match_above_1(bytes)          exactly those greater than 1
//   MATCH_ALL                     all eight
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

// A 1 in each byte that was greater than 1: to be added up.
static inline uint64_t
match_ones_above_1(uint64_t bytes)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
	uint64_t x = bytes & ~ones;
	return ((((x & ~tops) + ~tops) | x) & tops) >> 7;
}

#endif
