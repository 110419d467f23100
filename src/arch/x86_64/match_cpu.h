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
#define MATCH_ALL ((Match)0xff)

static inline Match
match_byte(uint64_t bytes, uint8_t want)
{
	__m128i have = _mm_cvtsi64_si128((long long)bytes);
	__m128i all = _mm_set1_epi8((char)want);
	return (Match)_mm_movemask_epi8(_mm_cmpeq_epi8(have, all)) & 0xff;
}

// The same with the byte eight times.
static inline Match
match_bytes(uint64_t bytes, uint64_t wants)
{
	__m128i have = _mm_cvtsi64_si128((long long)bytes);
	__m128i all = _mm_cvtsi64_si128((long long)wants);
	return (Match)_mm_movemask_epi8(_mm_cmpeq_epi8(have, all)) & MATCH_ALL;
}

static inline Match
match_above_1(uint64_t bytes)
{
	__m128i have = _mm_cvtsi64_si128((long long)bytes);
	__m128i most = _mm_max_epu8(have, _mm_set1_epi8(2));
	return (Match)_mm_movemask_epi8(_mm_cmpeq_epi8(have, most)) & MATCH_ALL;
}

#endif
