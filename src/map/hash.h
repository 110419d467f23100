// SPDX-License-Identifier: BSD-3-Clause
// Hashes of keys: 64 bits, different in each map by its seed and its factor. All bits are good but
// for the lowest 24 of the hash of a word. These have little to say: bit 23 decides for one key of
// five which of two neighbouring groups it belongs to, bit 22 for one of ten, and so on.
//
// A word is hashed by multiplying twice, with both halves of the first product folded together.
// Bytes are too, up to HASH_SHORT of them, with both halves of each product; longer ones go through
// the processor's AES rounds where it has them (arch/aes.h) and else through more products, with
// random numbers of the process. All ways to a key's hash agree, whichever fast path asks, so which
// one is chosen depends on the bytes and the processor alone.
#ifndef UNDERGO_MAP_HASH_H
#define UNDERGO_MAP_HASH_H

#include <string.h>

#include "base/base.h"
#include "undergo/map.h"

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

// What programs do in line, too: undergo/map_front.h.
static inline uint64_t
hash_fold(uint64_t a, uint64_t b)
{
	return go_map_fold_(a, b);
}

static inline uint64_t
hash_word(uint64_t w, uint64_t seed, uint64_t factor)
{
	return go_map_hash_word_(w, seed, factor);
}

// All bits good: of floating-point numbers, which differ in their highest bits, and of what a hash
// function of the program gives.
static inline uint64_t
hash_word_well(uint64_t w, uint64_t seed, uint64_t factor)
{
	return hash_fold(hash_fold(w ^ seed, factor), seed);
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

static inline uint64_t
hash_bytes(const char *p, size_t n, uint64_t seed, uint64_t factor)
{
	enum { WORD = 8 };
	struct go_map_words_ w;
	if (likely(n <= 2 * WORD)) {
		w = go_map_words_of_(p, n);
	} else if (n <= HASH_SHORT) {
		seed = hash_fold(hash_read8(p) ^ factor, hash_read8(p + WORD) ^ seed);
		w = go_map_words_of_(p + n - 2 * WORD, 2 * WORD);
	} else {
		return hash_long(p, n, seed, hash_secret);
	}
	return go_map_hash_two_(w.a, w.b, n, seed, factor);
}

#endif
