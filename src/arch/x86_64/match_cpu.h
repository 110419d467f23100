// SPDX-License-Identifier: BSD-3-Clause
// Eight bytes at once: which of them are equal to one. SSE2, which every x86-64 has.
//
// A Match has a set bit for each byte that matches, MATCH_STEP bits apart.
#ifndef UNDERGO_ARCH_X86_64_MATCH_CPU_H
#define UNDERGO_ARCH_X86_64_MATCH_CPU_H

#include <emmintrin.h>
#include <stdint.h>

enum { MATCH_STEP = 1 };
typedef uint32_t Match;

static inline Match
match_byte(uint64_t bytes, uint8_t want)
{
	__m128i have = _mm_cvtsi64_si128((long long)bytes);
	__m128i all = _mm_set1_epi8((char)want);
	return (Match)_mm_movemask_epi8(_mm_cmpeq_epi8(have, all)) & 0xff;
}

// The same with the byte eight times: eight bits above those that count are set, too.
static inline Match
match_bytes_dirty(uint64_t bytes, uint64_t wants)
{
	__m128i have = _mm_cvtsi64_si128((long long)bytes);
	__m128i all = _mm_cvtsi64_si128((long long)wants);
	return (Match)_mm_movemask_epi8(_mm_cmpeq_epi8(have, all));
}

#define MATCH_CLEAN(m) ((uint8_t)(m))

// Those whose top bit is set.
static inline Match
match_top(uint64_t bytes)
{
	return (Match)_mm_movemask_epi8(_mm_cvtsi64_si128((long long)bytes));
}

#endif
