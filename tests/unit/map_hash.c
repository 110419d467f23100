// SPDX-License-Identifier: BSD-3-Clause
// Hashes of keys: each bit of a key changes each bit of the hash half of the time; keys that are
// alike in the usual ways spread as evenly as chance would have it, over what the map takes from a
// hash; and all ways to a hash agree. Long rows of bytes both by AES rounds and the portable way.
#include <math.h>

#include "arch/match.h"
#include "map/map_impl.h"
#include "map_kinds.h"

enum { LONGEST = 300, BITS = 64 };

typedef uint64_t HashFn(const char *p, size_t n, uint64_t seed);

static uint64_t
word_by(const char *p, size_t n, uint64_t seed)
{
	return n == sizeof(uint64_t) ? hash_word(hash_read8(p), seed)
				     : hash_word(hash_read4(p), seed);
}

static uint64_t
bytes_by(const char *p, size_t n, uint64_t seed)
{
	return hash_bytes(p, n, seed);
}

static uint64_t
portable_by(const char *p, size_t n, uint64_t seed)
{
	return hash_long_portable(p, n, seed, hash_secret);
}

static void
fill(char *p, size_t n, uint64_t *rand)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(test_rand(rand) >> 40);
}

// Of each of the key's bits and each of the hash's: how often one changes the other.
static void
expect_avalanche(HashFn *hash, size_t n, bool counted, uint64_t *rand)
{
	enum { KEYS = 1500 };
	char key[LONGEST];
	long flips[BITS];
	uint64_t seed = test_rand(rand);
	for (size_t bit = 0; bit<n * 8; bit += n> 16 ? 7 : 1) {
		memset(flips, 0, sizeof(flips));
		memset(key, 0, sizeof(key));
		for (uint32_t k = 0; k < KEYS; k++) {
			if (counted)
				memcpy(key, &k, n < sizeof(k) ? n : sizeof(k));
			else
				fill(key, n, rand);
			uint64_t before = hash(key, n, seed);
			key[bit / 8] = (char)(key[bit / 8] ^ 1 << bit % 8);
			uint64_t changed = hash(key, n, seed) ^ before;
			key[bit / 8] = (char)(key[bit / 8] ^ 1 << bit % 8);
			for (int i = 0; i < BITS; i++)
				flips[i] += (long)(changed >> i & 1);
		}
		for (int i = 0; i < BITS; i++) // six and a half deviations of chance
			expect(labs(flips[i] - KEYS / 2) < 126);
	}
}

GO_TEST(map_hash_avalanche, 1)
{
	static const size_t lengths[] = {3,  4,  7,  8,  12,  16,  17,  25,
					 32, 33, 64, 65, 100, 128, 129, 200};
	uint64_t rand = test_seed();
	hash_init();
	for (int counted = 0; counted < 2; counted++) {
		expect_avalanche(word_by, 4, counted, &rand);
		expect_avalanche(word_by, 8, counted, &rand);
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			expect_avalanche(bytes_by, lengths[i], counted, &rand);
			if (lengths[i] > HASH_SHORT)
				expect_avalanche(portable_by, lengths[i], counted, &rand);
		}
	}
}

// --- patterns ------------------------------------------------------------------------------------

enum { CELLS = 1024, PER_CELL = 64 };

// Whether keys numbered from 0 on spread over cells that some bits of their hashes name.
static void
expect_even(const char *what, void (*make)(char *key, uint64_t i), size_t n, HashFn *hash,
	    uint32_t shift, uint64_t seed)
{
	static long count[CELLS];
	char key[LONGEST];
	memset(count, 0, sizeof(count));
	memset(key, 0, sizeof(key));
	for (uint64_t i = 0; i < (uint64_t)CELLS * PER_CELL; i++) {
		make(key, i);
		count[hash(key, n, seed) >> shift & (CELLS - 1)]++;
	}
	double chi2 = 0;
	for (int i = 0; i < CELLS; i++)
		chi2 += pow((double)(count[i] - PER_CELL), 2) / PER_CELL;
	double off = (chi2 - (CELLS - 1)) / sqrt(2.0 * (CELLS - 1));
	if (off > 6.5) {
		printf("%s, %d bytes, bits from %d: %.1f deviations\n", what, (int)n, (int)shift,
		       off);
		harness_fail(__FILE__, __LINE__, "keys do not spread");
	}
}

static void
make_count(char *key, uint64_t i)
{
	memcpy(key, &i, sizeof(i));
}

static void
make_pointer(char *key, uint64_t i)
{
	i = UINT64_C(0x00c000000000) + i * 48;
	memcpy(key, &i, sizeof(i));
}

static void
make_page(char *key, uint64_t i)
{
	i <<= 13;
	memcpy(key, &i, sizeof(i));
}

static void
make_high(char *key, uint64_t i)
{
	i <<= 48;
	memcpy(key, &i, sizeof(i));
}

static void
make_double(char *key, uint64_t i)
{
	double d = (double)i;
	memcpy(key, &d, sizeof(d));
}

static void
make_text(char *key, uint64_t i)
{
	snprintf(key, LONGEST, "%08llu", (unsigned long long)i);
}

static void
make_late_text(char *key, uint64_t i)
{
	memset(key, 'a', LONGEST - 1);
	snprintf(key + 24, LONGEST - 24, "%08llu", (unsigned long long)i);
}

GO_TEST(map_hash_patterns, 1)
{
	static const struct {
		const char *name;
		void (*make)(char *key, uint64_t i);
		size_t n;
	} patterns[] = {
	    {"counted", make_count, 8},
	    {"pointers", make_pointer, 8},
	    {"pages", make_page, 8},
	    {"high bits", make_high, 8},
	    {"doubles", make_double, 8},
	    {"texts", make_text, 8},
	    {"long texts", make_text, 40},
	    {"late texts", make_late_text, 32},
	    {"late texts", make_late_text, 70},
	    {"late texts", make_late_text, 200},
	};
	uint64_t rand = test_seed();
	hash_init();
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		for (uint32_t shift = 0; shift <= BITS - 10; shift += 6) {
			uint64_t seed = test_rand(&rand);
			size_t n = patterns[i].n;
			expect_even(patterns[i].name, patterns[i].make, n, bytes_by, shift, seed);
			if (n == 8)
				expect_even(patterns[i].name, patterns[i].make, n, word_by, shift,
					    seed);
			if (n > HASH_SHORT)
				expect_even(patterns[i].name, patterns[i].make, n,
					    portable_by, shift, seed);
		}
	}
}

// What one fast path wrote another one reads.
GO_TEST(map_hash_agrees, 1)
{
	for (int i = 0; i < KEY_KINDS; i++) {
		const KeyKind *kind = &key_kinds[i];
		Map *m = map_new(&kind->type, 0);
		for (uint32_t id = 0; id < 3000; id++) {
			AnyKey k;
			kind->make(&k, id);
			uint32_t *elem = map_assign(&kind->type, m, &k);
			*elem = id;
			if (kind->type.key_kind == GO_MAP_KEY_32)
				expect(map_get_32(m, k.half) == elem);
			if (kind->type.key_kind == GO_MAP_KEY_64)
				expect(map_get_64(m, k.word) == elem);
			if (kind->type.key_kind == GO_MAP_KEY_STRING)
				expect(map_get_string(m, k.string.p, k.string.n) == elem);
		}
		map_verify(&kind->type, m);
	}
}

// The processor's way and the plain one, of eight bytes at once.
GO_TEST(map_match, 1)
{
	uint64_t rand = test_seed();
	for (int i = 0; i < 100000; i++) {
		uint64_t bytes = test_rand(&rand) & test_rand(&rand), top = 0, zero = 0, same = 0;
		uint8_t want = (uint8_t)(CTRL_FULL | (bytes >> 8 * (i % 8)));
		for (uint32_t b = 0; b < 8; b++) {
			uint8_t byte = (uint8_t)(bytes >> 8 * b);
			top |= (uint64_t)(byte >= CTRL_FULL) << b * MATCH_STEP;
			zero |= (uint64_t)(byte == 0) << b * MATCH_STEP;
			same |= (uint64_t)(byte == want) << b * MATCH_STEP;
		}
		if (MATCH_STEP == 8)
			top <<= 7, zero <<= 7, same <<= 7;
		expect(match_top(bytes) == top);
		expect((match_byte(bytes, 0) != 0) == (zero != 0));
		Match dirty = match_bytes_dirty(bytes, tag_words[want % TAGS]);
		expect((MATCH_CLEAN(dirty) & same) == same);
		expect((MATCH_CLEAN(dirty) != 0) == (same != 0));
		expect(same == 0 || match_first(dirty) == match_first((Match)same));
	}
}
