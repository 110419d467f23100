// SPDX-License-Identifier: BSD-3-Clause
// Eight bytes at once, by arithmetic on a word: for processors without a match_cpu.h of their own.
//
// A Match has the top bit of each byte that matches. One that does not match may be there too when
// the byte below it does and the two differ in the lowest bit alone: a borrow. Who looks for a byte
// looks closer anyway. Little-endian.
#ifndef UNDERGO_ARCH_MATCH_WORD_H
#define UNDERGO_ARCH_MATCH_WORD_H

#include <stdint.h>

enum { MATCH_STEP = 8 };
typedef uint64_t Match;

#define MATCH_ONES UINT64_C(0x0101010101010101)
#define MATCH_TOPS UINT64_C(0x8080808080808080)
#define MATCH_ALL MATCH_TOPS

static inline Match
match_byte(uint64_t bytes, uint8_t want)
{
	uint64_t x = bytes ^ (MATCH_ONES * want);
	return (x - MATCH_ONES) & ~x & MATCH_TOPS;
}

static inline Match
match_bytes(uint64_t bytes, uint64_t wants)
{
	uint64_t x = bytes ^ wants;
	return (x - MATCH_ONES) & ~x & MATCH_TOPS;
}

static inline Match
match_above_1(uint64_t bytes)
{
	uint64_t x = bytes & ~MATCH_ONES;
	return (((x & ~MATCH_TOPS) + ~MATCH_TOPS) | x) & MATCH_TOPS;
}

#endif
