// SPDX-License-Identifier: BSD-3-Clause
// Map types of every kind of key, for tests: a number becomes a key of each kind, and back.
#ifndef UNDERGO_TESTS_MAP_KINDS_H
#define UNDERGO_TESTS_MAP_KINDS_H

#include "goroutines.h"
#include "map/map.h"

enum { KEY_BYTES_MOST = 200, KEY_IDS = 20000 };

// What a key of any kind lies in.
typedef union AnyKey {
	char bytes[KEY_BYTES_MOST];
	uint32_t half;
	uint64_t word;
	go_bytes string;
	double d;
	float f;
	long double ld;
	uint32_t *p;
} __attribute__((aligned(16))) AnyKey;

typedef struct KeyKind {
	const char *name;
	MapType type;
	void (*make)(AnyKey *k, uint32_t id);
	uint32_t (*id)(const AnyKey *key);
} KeyKind;

static inline void
half_make(AnyKey *k, uint32_t id)
{
	k->half = id * 3;
}

static inline uint32_t
half_id(const AnyKey *k)
{
	return k->half / 3;
}

static inline void
word_make(AnyKey *k, uint32_t id)
{
	k->word = (uint64_t)id << 20;
}

static inline uint32_t
word_id(const AnyKey *k)
{
	return (uint32_t)(k->word >> 20);
}

// The text of a number, and something behind it: of all lengths up to 120.
static inline void
string_make(AnyKey *k, uint32_t id)
{
	static char *made[KEY_IDS];
	if (made[id] == NULL) {
		char *s = malloc(160);
		expect(s != NULL);
		memset(s, '.', 160);
		int n = snprintf(s, 160, "%u", (unsigned)id);
		size_t more = id % 5 == 0 ? id % 113 : id % 20;
		s[n] = '.';
		s[(size_t)n + more] = '\0';
		made[id] = s;
	}
	k->string = (go_bytes){made[id], strlen(made[id])};
}

static inline uint32_t
string_id(const AnyKey *k)
{
	return (uint32_t)strtoul(k->string.p, NULL, 10);
}

static inline void
bytes_make(AnyKey *k, uint32_t id)
{
	memset(k->bytes, (int)(id % 7), KEY_BYTES_MOST);
	memcpy(k->bytes, &id, sizeof(id));
}

static inline uint32_t
bytes_id(const AnyKey *k)
{
	return k->half;
}

// Some of them negative; 0 comes with either sign.
static inline void
double_make(AnyKey *k, uint32_t id)
{
	static int flip;
	k->d = ((double)id - 100) / 8;
	if (id == 100 && flip++ % 2 == 0)
		k->d = -0.0;
}

static inline uint32_t
double_id(const AnyKey *k)
{
	return (uint32_t)(k->d * 8 + 100);
}

static inline void
float_make(AnyKey *k, uint32_t id)
{
	double_make(k, id);
	k->f = (float)k->d;
}

static inline uint32_t
float_id(const AnyKey *k)
{
	return (uint32_t)(k->f * 8 + 100);
}

// In memory that is never the same where it does not count.
static inline void
long_double_make(AnyKey *k, uint32_t id)
{
	static char fill;
	AnyKey d;
	double_make(&d, id);
	memset(k, ++fill, sizeof(*k));
	long double ld = (long double)d.d;
	memcpy(k, &ld, __LDBL_MANT_DIG__ == 64 ? 10 : sizeof(ld));
}

static inline uint32_t
long_double_id(const AnyKey *k)
{
	return (uint32_t)(k->ld * 8 + 100);
}

// A pointer to a number in managed memory, equal when the numbers are. Nothing but the map keeps
// that memory.
static inline void
pointer_make(AnyKey *k, uint32_t id)
{
	k->p = go_alloc_data(sizeof(id));
	*k->p = id;
}

static inline uint32_t
pointer_id(const AnyKey *k)
{
	return *k->p;
}

// A poor hash: 16 keys have the same.
static inline uint64_t
pointer_hash(const void *key, uint64_t seed, const MapType *t)
{
	(void)seed;
	(void)t;
	return **(uint32_t *const *)key / 16;
}

static inline bool
pointer_equal(const void *a, const void *b, const MapType *t)
{
	(void)t;
	return **(uint32_t *const *)a == **(uint32_t *const *)b;
}

#define SIZES(k, ka, e, ea) .key_bytes = k, .key_align = ka, .elem_bytes = e, .elem_align = ea
#define RENEWED .flags = GO_MAP_KEY_RENEWED
#define CALLS .key_kind = GO_MAP_KEY_CALLS, .hash = pointer_hash, .equal = pointer_equal

// clang-format off
static const KeyKind key_kinds[] = {
	{"32 bits", {SIZES(4, 4, 8, 8), .key_kind = GO_MAP_KEY_32}, half_make, half_id},
	{"64 bits", {SIZES(8, 8, 8, 8), .key_kind = GO_MAP_KEY_64}, word_make, word_id},
	{"string",
	 {SIZES(16, 8, 8, 8), .key_kind = GO_MAP_KEY_STRING, .key_mask = 1,
	  .flags = GO_MAP_KEY_RENEWED},
	 string_make, string_id},
	{"12 bytes", {SIZES(12, 4, 12, 4), .key_kind = GO_MAP_KEY_BYTES}, bytes_make, bytes_id},
	{"many bytes",
	 {SIZES(KEY_BYTES_MOST, 8, 300, 16), .key_kind = GO_MAP_KEY_BYTES},
	 bytes_make, bytes_id},
	{"128 bytes",
	 {SIZES(128, 16, 128, 16), .key_kind = GO_MAP_KEY_BYTES, .elem_mask = 0x8000},
	 bytes_make, bytes_id},
	{"double", {SIZES(8, 8, 8, 8), .key_kind = GO_MAP_KEY_DOUBLE, RENEWED},
	 double_make, double_id},
	{"float", {SIZES(4, 4, 8, 4), .key_kind = GO_MAP_KEY_FLOAT, RENEWED}, float_make, float_id},
	{"long double",
	 {SIZES(sizeof(long double), 16, 8, 8), .key_kind = GO_MAP_KEY_LONG_DOUBLE, RENEWED},
	 long_double_make, long_double_id},
	{"pointer", {SIZES(8, 8, 8, 8), .key_mask = 1, CALLS}, pointer_make, pointer_id},
};
// clang-format on
enum { KEY_KINDS = sizeof(key_kinds) / sizeof(key_kinds[0]) };

#endif
