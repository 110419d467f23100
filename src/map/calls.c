// SPDX-License-Identifier: BSD-3-Clause
// Keys that are more than their bytes: floating point, and those with functions of their own.
//
// 0 and -0 are equal, so they hash alike. A NaN equals nothing, not even itself: each gets a hash
// by chance, or all of them would come into one place.
#include "map/map_impl.h"

static uint64_t
chance(void)
{
	return base_rand(&sched_m()->rand);
}

static uint64_t
hash_double(double d, uint64_t seed)
{
	uint64_t w;
	if (d != d)
		return hash_word(chance(), seed);
	d = d == 0 ? 0 : d;
	memcpy(&w, &d, sizeof(w));
	return hash_word(w, seed);
}

static float
float_at(const char *p)
{
	float f;
	memcpy(&f, p, sizeof(f));
	return f;
}

static double
double_at(const char *p)
{
	double d;
	memcpy(&d, p, sizeof(d));
	return d;
}

// A function of the program may hash badly; its result is mixed.
uint64_t
key_hash_call(const MapType *t, const char *key, uint64_t seed)
{
	switch (t->key_kind) {
	case GO_MAP_KEY_FLOAT:
		return hash_double((double)float_at(key), seed);
	case GO_MAP_KEY_DOUBLE:
		return hash_double(double_at(key), seed);
	default:
		return hash_word(t->hash(key, seed, t), seed);
	}
}

bool
key_equal_call(const MapType *t, const char *a, const char *b)
{
	switch (t->key_kind) {
	case GO_MAP_KEY_FLOAT:
		return float_at(a) == float_at(b);
	case GO_MAP_KEY_DOUBLE:
		return double_at(a) == double_at(b);
	default:
		return t->equal(a, b, t);
	}
}
