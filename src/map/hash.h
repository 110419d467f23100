// SPDX-License-Identifier: BSD-3-Clause
// Hashes of keys: 64 bits, all of them good, different in each process and each map.
//
// A word is hashed by multiplying twice, with both halves of the product folded together. Bytes are
// too, up to HASH_SHORT of them; longer ones go through the processor's AES rounds where it has
// them (arch/aes.h) and else through more products. All ways to a key's hash agree, whichever
// fast path asks, so which one is chosen depends on the bytes and the processor alone.
#ifndef UNDERGO_MAP_HASH_H
#define UNDERGO_MAP_HASH_H

#include <string.h>

#include "base/base.h"

enum { HASH_SHORT = 32 };

// Random numbers of this process, odd; hash_init makes them from base_seed.
extern uint64_t hash_secret[4];
// Of more than HASH_SHORT bytes, with hash_secret for the secret.
typedef uint64_t HashLong(const char *p, size_t n, uint64_t seed, const uint64_t secret[4]);
extern HashLong *hash_long;

// Once, before the first map.  Any number of threads at once.
void hash_init(void);
// The portable way, for tests where the processor has a better one.
HashLong hash_long_portable;

static inline uint64_t
hash_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;
	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

// more: what a and b do not tell.
static inline uint64_t
hash_two(uint64_t a, uint64_t b, uint64_t more)
{
	unsigned __int128 p = (unsigned __int128)a * b;
	uint64_t low = (uint64_t)p, high = (uint64_t)(p >> 64);
	return hash_fold(low ^ hash_secret[1] ^ more, high ^ hash_secret[2]);
}

static inline uint64_t
hash_word(uint64_t w, uint64_t seed)
{
	return hash_two(w ^ seed, hash_secret[0], 0);
}

static inline uint64_t
hash_read8(const char *p)
{
	uint64_t w;
	memcpy(&w, p, sizeof(w));
	return w;
}

static inline uint64_t
hash_read4(const char *p)
{
	uint32_t w;
	memcpy(&w, p, sizeof(w));
	return w;
}

// 1 to 3 bytes, each of them somewhere.
static inline uint64_t
hash_read_few(const char *p, size_t n)
{
	const uint8_t *b = (const uint8_t *)p;
	return (uint64_t)b[0] << 16 | (uint64_t)b[n >> 1] << 8 | b[n - 1];
}

static inline uint64_t
hash_bytes(const char *p, size_t n, uint64_t seed)
{
	enum { WORD = 8, HALF = 4 };
	uint64_t a, b;
	if (likely(n <= 2 * WORD)) {
		if (likely(n >= WORD)) {
			a = hash_read8(p);
			b = hash_read8(p + n - WORD);
		} else if (n >= HALF) {
			a = hash_read4(p);
			b = hash_read4(p + n - HALF);
		} else {
			a = n != 0 ? hash_read_few(p, n) : 0;
			b = 0;
		}
	} else if (n <= HASH_SHORT) {
		seed = hash_fold(hash_read8(p) ^ hash_secret[1], hash_read8(p + WORD) ^ seed);
		a = hash_read8(p + n - 2 * WORD);
		b = hash_read8(p + n - WORD);
	} else {
		return hash_long(p, n, seed, hash_secret);
	}
	return hash_two(a ^ hash_secret[0], b ^ seed, n);
}

#endif
