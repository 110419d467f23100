// SPDX-License-Identifier: BSD-3-Clause
// Hashing and comparing values: the functions that type descriptors name, and interfaces.
//
// Code that the compiler makes for structs and arrays chains these, so memhash of a size and the
// function for that size agree.
#include "map/hash.h"

#include "gccgo/gccgo.h"

static NORETURN void
panic_of_type(const char *before, const Type *t)
{
	String name = type_text(t);
	size_t n = strlen(before);
	char *text = go_make_bytes(n + (size_t)name.n + 1);
	memcpy(text, before, n);
	memcpy(text + n, name.p, (size_t)name.n);
	panic_error(text);
}

// --- hashes --------------------------------------------------------------------------------------

// Go's hash functions know no factor of a map: they take one of the process.
static uintptr_t
of_bytes(const char *p, size_t n, uintptr_t seed)
{
	return hash_bytes(p, n, seed, hash_secret[0]);
}

static uintptr_t
of_word(uint64_t w, uintptr_t seed)
{
	return hash_word_well(w, seed, hash_secret[0]); // chained: the seed may be even
}

GOFUNC("runtime.memhash", uintptr_t, rt_memhash, (const void *p, uintptr_t seed, uintptr_t n))
{
	return of_bytes(p, n, seed);
}
GOVALUE("runtime.memhash", rt_memhash);

#define MEMHASH(bits)                                                                          \
	GOFUNC("runtime.memhash" #bits, uintptr_t, rt_memhash##bits,                           \
	       (const void *p, uintptr_t seed))                                                \
	{                                                                                      \
		return of_bytes(p, (bits) / 8, seed);                                        \
	}                                                                                      \
	GOVALUE("runtime.memhash" #bits, rt_memhash##bits)
MEMHASH(0);
MEMHASH(8);
MEMHASH(16);
MEMHASH(32);
MEMHASH(64);
MEMHASH(128);

GOFUNC("runtime.strhash", uintptr_t, rt_strhash, (const void *p, uintptr_t seed))
{
	const String *s = p;
	return of_bytes(s->p, (size_t)s->n, seed);
}
GOVALUE("runtime.strhash", rt_strhash);

static uintptr_t
hash_double(double d, uintptr_t seed)
{
	if (d != d)
		return of_word(base_rand(&sched_m()->rand), seed);
	d = d == 0 ? 0 : d;
	uint64_t w;
	memcpy(&w, &d, sizeof(w));
	return of_word(w, seed);
}

GOFUNC("runtime.f32hash", uintptr_t, rt_f32hash, (const void *p, uintptr_t seed))
{
	return hash_double((double)*(const float *)p, seed);
}
GOVALUE("runtime.f32hash", rt_f32hash);

GOFUNC("runtime.f64hash", uintptr_t, rt_f64hash, (const void *p, uintptr_t seed))
{
	return hash_double(*(const double *)p, seed);
}
GOVALUE("runtime.f64hash", rt_f64hash);

GOFUNC("runtime.c64hash", uintptr_t, rt_c64hash, (const void *p, uintptr_t seed))
{
	const float *f = p;
	return rt_f32hash(f + 1, rt_f32hash(f, seed));
}
GOVALUE("runtime.c64hash", rt_c64hash);

GOFUNC("runtime.c128hash", uintptr_t, rt_c128hash, (const void *p, uintptr_t seed))
{
	const double *d = p;
	return rt_f64hash(d + 1, rt_f64hash(d, seed));
}
GOVALUE("runtime.c128hash", rt_c128hash);

static uintptr_t
hash_dynamic(const Type *t, void *const *data, uintptr_t seed)
{
	if (t == NULL)
		return seed;
	if (t->equal == NULL)
		panic_of_type("hash of unhashable type ", t);
	return hash_of_type(t, type_direct(t) ? (const void *)data : *data, seed);
}

GOFUNC("runtime.interhash", uintptr_t, rt_interhash, (const void *p, uintptr_t seed))
{
	const Iface *i = p;
	return hash_dynamic(iface_type(*i), &i->data, seed);
}
GOVALUE("runtime.interhash", rt_interhash);

GOFUNC("runtime.nilinterhash", uintptr_t, rt_nilinterhash, (const void *p, uintptr_t seed))
{
	const Eface *e = p;
	return hash_dynamic(e->t, &e->data, seed);
}
GOVALUE("runtime.nilinterhash", rt_nilinterhash);

static uintptr_t
hash_struct(const StructType *t, const char *p, uintptr_t seed)
{
	for (Int i = 0; i < t->n_fields; i++) {
		const Field *f = &t->fields[i];
		if (f->name->n == 1 && f->name->p[0] == '_')
			continue;
		seed = hash_of_type(f->typ, p + (f->offset_embedded >> 1), seed);
	}
	return seed;
}

static uintptr_t
hash_array(const ArrayType *t, const char *p, uintptr_t seed)
{
	for (uintptr_t i = 0; i < t->len; i++)
		seed = hash_of_type(t->elem, p + i * t->elem->size, seed);
	return seed;
}

uintptr_t
hash_of_type(const Type *t, const void *p, uintptr_t seed)
{
	if ((t->tflag & TFLAG_MEMORY) != 0)
		return of_bytes(p, t->size, seed);
	switch (type_kind(t)) {
	case KIND_FLOAT32:
		return rt_f32hash(p, seed);
	case KIND_FLOAT64:
		return rt_f64hash(p, seed);
	case KIND_COMPLEX64:
		return rt_c64hash(p, seed);
	case KIND_COMPLEX128:
		return rt_c128hash(p, seed);
	case KIND_STRING:
		return rt_strhash(p, seed);
	case KIND_INTERFACE:
		return ((const InterfaceType *)t)->n_methods == 0 ? rt_nilinterhash(p, seed)
								  : rt_interhash(p, seed);
	case KIND_ARRAY:
		return hash_array((const ArrayType *)t, p, seed);
	case KIND_STRUCT:
		return hash_struct((const StructType *)t, p, seed);
	default:
		panic_of_type("hash of unhashable type ", t);
	}
}

GOFUNC("reflect.typehash", uintptr_t, rt_typehash, (const Type *t, const void *p, uintptr_t seed))
{
	return hash_of_type(t, p, seed);
}

// --- equality ------------------------------------------------------------------------------------

bool
equal_of_type(const Type *t, const void *a, const void *b)
{
	if (t->equal == NULL)
		panic_of_type("comparing uncomparable type ", t);
	return GO_CALL(bool (*)(const void *, const void *), t->equal, a, b);
}

static bool
equal_data(const Type *t, const void *a, const void *b)
{
	if (t == NULL)
		return true;
	if (t->equal == NULL)
		panic_of_type("comparing uncomparable type ", t);
	return type_direct(t) ? a == b : equal_of_type(t, a, b);
}

GOFUNC("runtime.efaceeq", bool, rt_efaceeq, (Eface a, Eface b))
{
	return a.t == b.t && equal_data(a.t, a.data, b.data);
}
GOREST("runtime.efaceeq", "runtime.efaceeq");

GOFUNC("runtime.ifaceeq", bool, rt_ifaceeq, (Iface a, Iface b))
{
	return iface_type(a) == iface_type(b) && equal_data(iface_type(a), a.data, b.data);
}
GOREST("runtime.ifaceeq", "runtime.ifaceeq");

GOFUNC("runtime.ifaceefaceeq", bool, rt_ifaceefaceeq, (Iface a, Eface b))
{
	return iface_type(a) == b.t && equal_data(b.t, a.data, b.data);
}

GOFUNC("runtime.efacevaleq", bool, rt_efacevaleq, (Eface a, const Type *t, const void *p))
{
	return a.t == t && equal_data(t, a.data, p);
}

GOFUNC("runtime.ifacevaleq", bool, rt_ifacevaleq, (Iface a, const Type *t, const void *p))
{
	return iface_type(a) == t && equal_data(t, a.data, p);
}

GOFUNC("runtime.eqtype", bool, rt_eqtype, (const Type *a, const Type *b))
{
	return a == b;
}

GOFUNC("runtime.memequal", bool, rt_memequal, (const void *a, const void *b, uintptr_t n))
{
	return n == 0 || memcmp(a, b, n) == 0;
}
GOREST("runtime.memequal", "runtime.memequal");
GOVALUE("runtime.memequal", rt_memequal);

#define EQUAL(name, equal)                                                                     \
	GOFUNC("runtime." #name, bool, rt_##name, (const void *a, const void *b))              \
	{                                                                                      \
		return equal;                                                                  \
	}                                                                                      \
	GOVALUE("runtime." #name, rt_##name)

EQUAL(memequal0, ((void)a, (void)b, true));
EQUAL(memequal8, memcmp(a, b, 1) == 0);
EQUAL(memequal16, memcmp(a, b, 2) == 0);
EQUAL(memequal32, memcmp(a, b, 4) == 0);
EQUAL(memequal64, memcmp(a, b, 8) == 0);
EQUAL(memequal128, memcmp(a, b, 16) == 0);
EQUAL(f32equal, *(const float *)a == *(const float *)b);
EQUAL(f64equal, *(const double *)a == *(const double *)b);
EQUAL(c64equal, *(const _Complex float *)a == *(const _Complex float *)b);
EQUAL(c128equal, *(const _Complex double *)a == *(const _Complex double *)b);
EQUAL(interequal, rt_ifaceeq(*(const Iface *)a, *(const Iface *)b));
EQUAL(nilinterequal, rt_efaceeq(*(const Eface *)a, *(const Eface *)b));

static bool
strings_equal(const String *a, const String *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, (size_t)a->n) == 0);
}
EQUAL(strequal, strings_equal(a, b));
