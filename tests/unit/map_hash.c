// SPDX-License-Identifier: BSD-3-Clause
// Hashes of keys: each bit of a key changes each bit of the hash half of the time; keys that are
// alike in the usual ways spread as evenly as chance would have it, over what the map takes from a
// hash; and all ways to a hash agree. Long rows of bytes both by AES rounds and the portable way.
#include <math.h>

#include "arch/match.h"
#include "map/map_impl.h"
#include "map_kinds.h"

enum { LONGEST = 300, BITS = 64 };
enum { WORD_BITS = 24 }; // of the hash of a word the lowest, which are less good: map/hash.h
enum { MAPS = 16, KEYS = 96, MOST = 100 }; // see expect_avalanche

typedef uint64_t HashFn(const char *p, size_t n, uint64_t seed);

// The other number of a map that hashes have in them.
static uint64_t
factor_of(uint64_t seed)
{
	return base_mix(seed) | 1;
}

static uint64_t
word_by(const char *p, size_t n, uint64_t seed)
{
	return n == sizeof(uint64_t) ? hash_word(hash_read8(p), seed | 1, factor_of(seed))
				     : hash_word(hash_read4(p), seed | 1, factor_of(seed));
}

static uint64_t
well_by(const char *p, size_t n, uint64_t seed)
{
	(void)n;
	return hash_word_well(hash_read8(p), seed | 1, factor_of(seed));
}

static uint64_t
bytes_by(const char *p, size_t n, uint64_t seed)
{
	return hash_bytes(p, n, seed | 1, factor_of(seed));
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

// Key k of those counted from 0 on, without the bit that is tested: no pair of keys comes twice.
static uint64_t
counted_without(uint32_t k, size_t bit)
{
	enum { LAST = 32 };
	uint64_t w = k, low = ((uint64_t)1 << bit % LAST) - 1;
	return bit < LAST ? (w & ~low) << 1 | (w & low) : w;
}

// Of maps, how far from half of the keys a bit changes another: squares, in deviations of chance.
typedef struct Off {
	double sum, worst;
} Off;

// Adds one map, for one bit of the key and each of the hash.
static void
add_off(Off off[BITS], HashFn *hash, size_t n, size_t bit, bool counted, uint64_t *rand)
{
	char key[LONGEST] = {0};
	int flips[BITS] = {0};
	uint64_t seed = test_rand(rand);
	for (uint32_t k = 0; k < KEYS; k++) {
		uint64_t w = counted_without(k, bit);
		if (counted)
			memcpy(key, &w, n < sizeof(w) ? n : sizeof(w));
		else
			fill(key, n, rand);
		uint64_t before = hash(key, n, seed);
		key[bit / 8] = (char)(key[bit / 8] ^ 1 << bit % 8);
		uint64_t changed = hash(key, n, seed) ^ before;
		for (int i = 0; i < BITS; i++)
			flips[i] += (int)(changed >> i & 1);
		key[bit / 8] = (char)(key[bit / 8] ^ 1 << bit % 8);
	}
	for (int i = 0; i < BITS; i++) {
		double square = pow(flips[i] - KEYS / 2, 2) / (KEYS / 4);
		off[i].sum += square;
		off[i].worst = fmax(off[i].worst, square);
	}
}

// Of each of the key's bits and each of the hash's: how often one changes the other. By chance the
// sum over the maps is distributed as chi squared with MAPS degrees of freedom, which is beyond
// MOST once in 3e13. The test has 2 * 2234 * 64 = 286000 such sums: one false alarm in 1e8 runs.
// Single pairs of seed and factor are off: one in 2000 has a bit that changes another in a third of
// the keys, which adds KEYS / 9, and a few have one that does nearly always, which adds KEYS. So
// the worst map of each sum does not count: only what is off in several fails.
static void
expect_avalanche(HashFn *hash, size_t n, int from, bool counted, uint64_t *rand)
{
	for (size_t bit = 0; bit < n * 8; bit += n > 16 ? 7 : 1) {
		Off off[BITS] = {0};
		for (int m = 0; m < MAPS; m++)
			add_off(off, hash, n, bit, counted, rand);
		for (int i = from; i < BITS; i++)
			expect(off[i].sum - off[i].worst < MOST);
	}
}

GO_TEST(map_hash_avalanche, 1)
{
	static const size_t lengths[] = {3,  4,  7,  8,  12,  16,  17,  25,
					 32, 33, 64, 65, 100, 128, 129, 200};
	uint64_t rand = test_seed();
	hash_init();
	for (int counted = 0; counted < 2; counted++) {
		expect_avalanche(word_by, 4, WORD_BITS, counted, &rand);
		expect_avalanche(word_by, 8, WORD_BITS, counted, &rand);
		expect_avalanche(well_by, 8, 0, counted, &rand);
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			expect_avalanche(bytes_by, lengths[i], 0, counted, &rand);
			if (lengths[i] > HASH_SHORT)
				expect_avalanche(portable_by, lengths[i], 0, counted, &rand);
		}
	}
}

// --- patterns ------------------------------------------------------------------------------------

enum { CELLS = 1024, PER_CELL = 64 };

// How far keys numbered from 0 on are from spreading over cells that some bits of their hashes
// name, in deviations of chance.
static double
unevenness(void (*make)(char *key, uint64_t i), size_t n, HashFn *hash, uint32_t shift,
	   uint64_t seed)
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
	return (chi2 - (CELLS - 1)) / sqrt(2.0 * (CELLS - 1));
}

static const double uneven = 6.5;

static void
expect_even(const char *what, void (*make)(char *key, uint64_t i), size_t n, HashFn *hash,
	    uint32_t shift, uint64_t seed)
{
	double off = unevenness(make, n, hash, shift, seed);
	if (off > uneven) {
		printf("%s, %d bytes, bits from %d: %.1f deviations\n", what, (int)n, (int)shift,
		       off);
		harness_fail(__FILE__, __LINE__, "keys do not spread");
	}
}

// Words that differ in their highest bits alone are hashed to what is nearly an arithmetic
// progression: three maps of a hundred have random numbers with which that is uneven, by some tens
// of deviations. So most maps of a number are asked for: eight of fifteen fail once in 1e8.
static void
expect_even_words(const char *what, void (*make)(char *key, uint64_t i), uint32_t shift,
		  uint64_t *rand)
{
	enum { TRIES = 15 };
	int failed = 0;
	for (int i = 0; i < TRIES; i++)
		failed += unevenness(make, 8, word_by, shift, test_rand(rand)) > uneven;
	if (failed > TRIES / 2) {
		printf("%s, words, bits from %d\n", what, (int)shift);
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
				expect_even(patterns[i].name, patterns[i].make, n, well_by, shift,
					    seed);
			if (n == 8 && shift >= WORD_BITS)
				expect_even_words(patterns[i].name, patterns[i].make, shift, &rand);
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
		uint64_t bytes = test_rand(&rand) & test_rand(&rand), full = 0, zero = 0, same = 0;
		bytes &= i % 3 != 0 ? ~UINT64_C(0) : UINT64_C(0x0181030201018002);
		uint64_t hash = bytes >> 8 * (i % 8);
		uint8_t want = tag_of(hash);
		for (uint32_t b = 0; b < 8; b++) {
			uint8_t byte = (uint8_t)(bytes >> 8 * b);
			full |= (uint64_t)(byte >= CTRL_FULL) << b * MATCH_STEP;
			zero |= (uint64_t)(byte == 0) << b * MATCH_STEP;
			same |= (uint64_t)(byte == want) << b * MATCH_STEP;
		}
		if (MATCH_STEP == 8)
			full <<= 7, zero <<= 7, same <<= 7;
		expect(want >= CTRL_FULL);
		expect(match_full(bytes) == full);
		expect(match_free(bytes) == (full ^ MATCH_ALL));
		expect((match_byte(bytes, 0) != 0) == (zero != 0));
		Match found = match_tag(bytes, hash);
		expect((found & same) == same);
		expect((found != 0) == (same != 0));
		expect(same == 0 || match_first(found) == match_first((Match)same));
	}
}
