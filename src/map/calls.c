// SPDX-License-Identifier: BSD-3-Clause
// Keys that are more than their bytes: floating point, and those with functions of their own.
//
// 0 and -0 are equal, so they hash alike. A NaN equals nothing, not even itself: each gets a hash
// by chance, or all of them would come into one place.
#include <float.h>

#include "map/map_impl.h"
#include "panic/chain.h"

static uint64_t
chance(void)
{
	return base_rand(&sched_m()->rand);
}

static uint64_t
hash_double(double d, const Map *m)
{
	uint64_t w;
	if (d != d)
		return chance();
	d = d == 0 ? 0 : d;
	memcpy(&w, &d, sizeof(w));
	return hash_word_well(w, m->seed, m->factor);
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

static long double
long_double_at(const char *p)
{
	long double d;
	memcpy(&d, p, sizeof(d));
	return d;
}

// On x86 ten of its bytes count, and some numbers can be written in two ways; an addition gives
// them the usual one. The sum of -0 and 0 is -0 where results are rounded down.
static uint64_t
hash_long_double(long double d, const Map *m)
{
	enum { BYTES = LDBL_MANT_DIG == 64 ? 10 : sizeof(long double) };
	char bytes[sizeof(d)];
	if (d != d)
		return chance();
	d = d == 0 ? 0 : d + 0.0L;
	memcpy(bytes, &d, sizeof(d));
	return hash_bytes(bytes, BYTES, m->seed, m->factor);
}

void
map_unhashable(const char *type)
{
	panic_of("runtime error: hash of unhashable type ", type);
}

// A function of the program may hash badly; its result is mixed.
uint64_t
key_hash_call(const MapType *t, const Map *m, const char *key)
{
	switch (t->key_kind) {
	case GO_MAP_KEY_FLOAT:
		return hash_double((double)float_at(key), m);
	case GO_MAP_KEY_DOUBLE:
		return hash_double(double_at(key), m);
	case GO_MAP_KEY_LONG_DOUBLE:
		return hash_long_double(long_double_at(key), m);
	default:
		return hash_word_well(t->hash(key, m->seed, t), m->seed, m->factor);
	}
}

void
key_hash_try(const MapType *t, const char *key)
{
	if (t->key_kind == GO_MAP_KEY_CALLS)
		(void)t->hash(key, 0, t);
}

bool
key_equal_call(const MapType *t, const char *a, const char *b)
{
	switch (t->key_kind) {
	case GO_MAP_KEY_FLOAT:
		return float_at(a) == float_at(b);
	case GO_MAP_KEY_DOUBLE:
		return double_at(a) == double_at(b);
	case GO_MAP_KEY_LONG_DOUBLE:
		return long_double_at(a) == long_double_at(b);
	default:
		return t->equal(a, b, t);
	}
}
