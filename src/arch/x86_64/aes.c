// SPDX-License-Identifier: BSD-3-Clause
// Hashing by AES rounds: four rows side by side, 16 bytes each. The round's own mixing is of four
// bytes at a time, so three more rounds join the rows and spread every byte over all the others.
#include "arch/aes.h"

#include <cpuid.h>
#include <immintrin.h>

#define AES __attribute__((target("aes,sse4.1")))

// Not __builtin_cpu_supports, whose constructor would ask the processor for all there is, in any
// program, and be the only code that runs where the linker puts it.
bool
aes_usable(void)
{
	const unsigned needed = bit_AES | bit_SSE4_1;
	unsigned a, b, c, d;
	return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & needed) == needed;
}

AES static inline __m128i
take(__m128i row, const char *p, __m128i key)
{
	__m128i data = _mm_loadu_si128((const __m128i *)(const void *)p);
	return _mm_aesenc_si128(_mm_xor_si128(row, data), key);
}

// What is less than a step is taken twice, in part: its last 16, 32 or 64 bytes.
AES uint64_t
aes_hash(const char *p, size_t n, uint64_t seed, const uint64_t secret[4])
{
	enum { ROW = 16, STEP = 4 * ROW };
	const char *end = p + n;
	__m128i key = _mm_loadu_si128((const __m128i *)(const void *)secret);
	__m128i other = _mm_loadu_si128((const __m128i *)(const void *)(secret + 2));
	__m128i a = _mm_set_epi64x((long long)seed, (long long)n), b = _mm_xor_si128(a, other);
	__m128i c = _mm_xor_si128(a, key), d = _mm_xor_si128(b, key);
	for (; end - p > STEP; p += STEP) {
		a = take(a, p, key);
		b = take(b, p + ROW, key);
		c = take(c, p + 2 * ROW, key);
		d = take(d, p + 3 * ROW, key);
	}
	if (end - p > 2 * ROW) {
		a = take(a, p, key);
		b = take(b, p + ROW, key);
	}
	c = take(c, end - 2 * ROW, key);
	d = take(d, end - ROW, key);
	a = _mm_aesenc_si128(a, b);
	c = _mm_aesenc_si128(c, d);
	a = _mm_aesenc_si128(a, c);
	a = _mm_aesenc_si128(_mm_aesenc_si128(a, other), key);
	return (uint64_t)_mm_cvtsi128_si64(a) ^ (uint64_t)_mm_extract_epi64(a, 1);
}
