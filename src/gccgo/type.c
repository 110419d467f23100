// SPDX-License-Identifier: BSD-3-Clause
// Type descriptors: what the core needs of them, made once for each and kept for ever; their
// names; the lists of all that the program has; and registered globals.
//
// A table leads from a descriptor to what was made of it. It is read without a lock.
//
// Invariants:
//   T1  An entry is complete before it is found, and stays.
//   T2  Descriptors made by package reflect are managed memory. reflect keeps them all; should one
//       die all the same, and another come to lie in its place, the entry is of no use any more:
//       so it says what it was made of, and is made anew when that differs.
// Locks:  type_lock, rank leaf, among who adds.
#include "gccgo/gccgo.h"

#include "map/hash.h"
#include "map/map.h"

enum {
	TABLE_FIRST = 1024,
	NAME_MOST = 64, // of what reports say about a type
};

typedef struct Known {
	const Type *t;
	uintptr_t size, ptrdata; // T2
	const uint8_t *gcdata;   // T2
	HeapType heap;
	ATOMIC(struct MapKnown *) map; // of a map type; set once
} Known;

typedef struct MapKnown {
	go_map_type type;
	const MapGoType *t;
} MapKnown;

typedef struct Table {
	size_t n; // slots, a power of two
	size_t used;
	ATOMIC(Known *) slot[];
} Table;

static Mutex type_lock = MUTEX_INIT(leaf);
static ATOMIC(Table *) table; // type_lock writes

// --- names ---------------------------------------------------------------------------------------

// Without what stands between two TABs. Returns its length; to may be NULL.
static size_t
strip(String s, char *to, size_t max)
{
	size_t n = 0;
	bool quoted = false;
	for (Int i = 0; i < s.n && n < max; i++) {
		if (s.p[i] == '\t') {
			quoted = !quoted;
		} else if (!quoted) {
			if (to != NULL)
				to[n] = s.p[i];
			n++;
		}
	}
	return n;
}

String
type_text(const Type *t)
{
	if (t->string == NULL)
		return GO_STRING("?");
	size_t n = strip(*t->string, NULL, SIZE_MAX);
	if (n == (size_t)t->string->n)
		return *t->string;
	char *p = go_make_bytes(n);
	strip(*t->string, p, n);
	return (String){p, (Int)n};
}

// --- descriptors of the core ---------------------------------------------------------------------

static NORETURN void
die_without_memory(void)
{
	sched_enter();
	gc_out_of_memory(sizeof(Known));
}

static void *
alloc_or_die(size_t bytes)
{
	void *p = os_alloc(bytes);
	if (p == NULL)
		die_without_memory();
	return p;
}

static void
set_masks(HeapType *h, const Type *t)
{
	enum { BITS = 8, MASK_BYTES = MASKED_MAX / sizeof(void *) / BITS };
	size_t words = t->ptrdata / sizeof(void *);
	size_t bytes = (words + BITS - 1) / BITS;
	memcpy(&h->mask, t->gcdata, bytes < MASK_BYTES ? bytes : MASK_BYTES);
	if (bytes <= MASK_BYTES)
		return;
	uint64_t *bitmap = alloc_or_die((bytes / sizeof(uint64_t) + 1) * sizeof(uint64_t));
	memcpy(bitmap, t->gcdata, bytes);
	h->bitmap = bitmap;
}

// How long a program is: up to its end.
static size_t
program_bytes(const uint8_t *p)
{
	const uint8_t *at = p;
	while (*at != 0) {
		uint8_t op = *at++;
		uint32_t n = op & 0x7f;
		if ((op & 0x80) == 0) {
			at += (n + 7) / 8;
			continue;
		}
		if (n == 0)
			while ((*at++ & 0x80) != 0)
				continue;
		while ((*at++ & 0x80) != 0)
			continue;
	}
	return (size_t)(at - p) + 1;
}

static Known *
known_new(const Type *t)
{
	Known *k = alloc_or_die(sizeof(*k));
	char *name = alloc_or_die(NAME_MOST + 1);
	if (t->string != NULL)
		name[strip(*t->string, name, NAME_MOST)] = '\0';
	k->t = t;
	k->size = t->size;
	k->ptrdata = t->ptrdata;
	k->gcdata = t->gcdata;
	k->heap = (HeapType){.bytes = t->size, .scan_bytes = t->ptrdata, .name = name};
	if (t->ptrdata == 0 || t->gcdata == NULL) {
		k->heap.scan_bytes = 0;
	} else if ((t->kind & KIND_GC_PROGRAM) != 0) {
		k->heap.program = t->gcdata + sizeof(uint32_t);
		k->heap.program_bytes = program_bytes(k->heap.program);
	} else {
		set_masks(&k->heap, t);
	}
	return k;
}

// --- the table -----------------------------------------------------------------------------------

static inline bool
is_of(const Known *k, const Type *t)
{
	return k->t == t && k->size == t->size && k->ptrdata == t->ptrdata &&
	       k->gcdata == t->gcdata;
}

static inline size_t
first_slot(const Table *tb, const Type *t)
{
	return ((uintptr_t)t * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (tb->n - 1);
}

static inline Known *
look_up(Table *tb, const Type *t)
{
	for (size_t i = first_slot(tb, t);; i = (i + 1) & (tb->n - 1)) {
		Known *k = load_acq(&tb->slot[i]); // order: observe <- put
		if (k == NULL || is_of(k, t))
			return k;
	}
}

// Locks: type_lock held.
static void
put(Table *tb, Known *k)
{
	size_t i = first_slot(tb, k->t);
	while (load_rlx(&tb->slot[i]) != NULL) // order: own, under the lock
		i = (i + 1) & (tb->n - 1);
	store_rel(&tb->slot[i], k); // order: publish -> look_up, T1
	tb->used++;
}

// How many slots the table needs that has room for one more: as many as it has, if it has that.
// Locks: type_lock held.
static size_t
slots_wanted(const Table *tb)
{
	if (tb == NULL)
		return TABLE_FIRST;
	return tb->used < tb->n / 2 ? tb->n : tb->n * 2;
}

// The old one may be read on, and is kept.  Locks: type_lock held.
static void
replace(Table *old, Table *tb)
{
	for (size_t i = 0; old != NULL && i < old->n; i++)
		if (load_rlx(&old->slot[i]) != NULL)      // order: own, under the lock
			put(tb, load_rlx(&old->slot[i])); // order: own, under the lock
	store_rel(&table, tb); // order: publish -> find
}

// Memory is taken with the lock not held, for as large a table as was wanted when it was.
static COLD Known *
add(const Type *t)
{
	Known *fresh = known_new(t), *k = NULL;
	Table *spare = NULL;
	for (size_t n = 0; k == NULL;) {
		os_free(spare);
		spare = n != 0 ? alloc_or_die(sizeof(*spare) + n * sizeof(spare->slot[0])) : NULL;
		if (spare != NULL)
			spare->n = n;
		mutex_lock(&type_lock);
		Table *tb = load_rlx(&table); // order: own, under the lock
		n = slots_wanted(tb);
		if (spare != NULL && spare->n == n && (tb == NULL || tb->n != n)) {
			replace(tb, spare);
			tb = spare;
			spare = NULL;
		}
		if (tb != NULL && tb->n == n) {
			k = look_up(tb, t);
			if (k == NULL)
				put(tb, k = fresh);
		}
		mutex_unlock(&type_lock);
	}
	os_free(spare);
	return k;
}

// NULL: it has not been asked for yet.
static inline Known *
known(const Type *t)
{
	Table *tb = load_acq(&table); // order: observe <- room
	return likely(tb != NULL) ? look_up(tb, t) : NULL;
}

static inline Known *
find(const Type *t)
{
	Known *k = known(t);
	return likely(k != NULL) ? k : add(t);
}

const HeapType *
type_heap(const Type *t)
{
	return &find(t)->heap;
}

// --- maps ----------------------------------------------------------------------------------------

static uint64_t
call_hash(const void *key, uint64_t seed, const go_map_type *mt)
{
	const FuncVal *f = container_of(mt, const MapKnown, type)->t->hasher;
	return GO_CALL(uintptr_t(*)(const void *, uintptr_t), f, key, seed);
}

static bool
call_equal(const void *a, const void *b, const go_map_type *mt)
{
	const FuncVal *f = container_of(mt, const MapKnown, type)->t->key->equal;
	return GO_CALL(bool (*)(const void *, const void *), f, a, b);
}

static uint8_t
key_kind(const Type *key)
{
	if (type_kind(key) == KIND_STRING)
		return GO_MAP_KEY_STRING;
	if (type_kind(key) == KIND_FLOAT32)
		return GO_MAP_KEY_FLOAT;
	if (type_kind(key) == KIND_FLOAT64)
		return GO_MAP_KEY_DOUBLE;
	if ((key->tflag & TFLAG_MEMORY) == 0)
		return GO_MAP_KEY_CALLS;
	if (key->size == sizeof(uint32_t))
		return GO_MAP_KEY_32;
	return key->size == sizeof(uint64_t) ? GO_MAP_KEY_64 : GO_MAP_KEY_BYTES;
}

// Words that may be pointers, and a description for what has more than a mask can say.
static uint16_t
map_mask(const Type *t, const HeapType **longer)
{
	enum { APART = 128 };
	*longer = NULL;
	if (t->ptrdata == 0)
		return 0;
	const HeapType *h = type_heap(t);
	if (t->size > APART)
		*longer = h;
	return t->size > APART ? 1 : (uint16_t)h->mask;
}

static COLD const go_map_type *
map_type_new(const MapGoType *t)
{
	Known *k = find(&t->type);
	MapKnown *m = alloc_or_die(sizeof(*m));
	m->t = t;
	go_map_type *mt = &m->type;
	mt->key_bytes = (uint32_t)t->key->size;
	mt->elem_bytes = (uint32_t)t->elem->size;
	mt->key_align = t->key->align;
	mt->elem_align = t->elem->align;
	mt->key_kind = key_kind(t->key);
	// The compiler may have m[a].x + f() find the element, call f, which puts others, and read.
	mt->flags = GO_MAP_ELEMS_HELD |
		    ((t->flags & MAPTYPE_KEY_RENEWED) != 0 ? GO_MAP_KEY_RENEWED : 0) |
		    ((t->flags & MAPTYPE_REFLEXIVE) == 0 ? GO_MAP_KEY_UNEQUAL : 0) |
		    ((t->flags & MAPTYPE_HASH_PANICS) != 0 ? GO_MAP_HASH_PANICS : 0);
	mt->key_mask = map_mask(t->key, &mt->key_type);
	mt->elem_mask = map_mask(t->elem, &mt->elem_type);
	mt->hash = call_hash;
	mt->equal = call_equal;
	store_rel(&k->map, m); // order: publish -> type_map; two that make it make the same
	return mt;
}

const go_map_type *
type_map(const MapGoType *t)
{
	Known *k = known(&t->type);
	MapKnown *m = likely(k != NULL) ? load_acq(&k->map) : NULL; // order: observe <- above
	return likely(m != NULL) ? &m->type : map_type_new(t);
}

// --- all types of the program --------------------------------------------------------------------

typedef struct TypeList {
	Int n;
	const Type *types[];
} TypeList;

// All types by their names as the compiler writes them, with paths of packages between TABs, which
// tell types apart that read the same.
typedef struct Named {
	size_t n; // slots, a power of two; half of them are free
	const Type *slot[];
} Named;

static struct {
	TypeList **lists;
	Int n;
	ATOMIC(Named *) named; // made by the first who looks a name up
} all;

GOFUNC("runtime.registerTypeDescriptors", void, rt_registertypes, (Int n, TypeList **lists))
{
	all.n = n;
	all.lists = lists;
}

// Globals are found by their segments, all words of which are looked at: gc/roots.c.
GOFUNC("runtime.registerGCRoots", void, rt_registerroots, (const void *list))
{
	(void)list;
}

// Where the type of a name is, or would be.
static const Type **
slot_of(Named *nd, String name)
{
	size_t n = (size_t)name.n;
	size_t i = hash_bytes(name.p, n, 0, hash_secret[0]) & (nd->n - 1);
	for (; nd->slot[i] != NULL; i = (i + 1) & (nd->n - 1)) {
		const String *s = nd->slot[i]->string;
		if (s->n == name.n && memcmp(s->p, name.p, n) == 0)
			break;
	}
	return &nd->slot[i];
}

static Named *
name_all(void)
{
	size_t types = 0, n = 1;
	for (Int i = 0; i < all.n; i++)
		types += (size_t)all.lists[i]->n;
	while (n <= 2 * types)
		n *= 2;
	Named *nd = alloc_or_die(sizeof(*nd) + n * sizeof(nd->slot[0]));
	nd->n = n;
	for (Int i = 0; i < all.n; i++)
		for (Int j = 0; j < all.lists[i]->n; j++) {
			const Type *t = all.lists[i]->types[j];
			*slot_of(nd, *t->string) = t;
		}
	return nd;
}

// Several may make it; one of these is kept.
static COLD Named *
first_names(void)
{
	Named *mine = name_all(), *nd = NULL;
	if (cas_ar(&all.named, &nd, mine)) // order: publish -> rt_lookuptype, observe <- the same
		return mine;
	os_free(mine);
	return nd;
}

// Package reflect, before it makes a type: is it one of the program's?
GOFUNC("reflect.lookupType", const Type *, rt_lookuptype, (String name))
{
	Named *nd = load_acq(&all.named); // order: observe <- first_names
	return *slot_of(nd != NULL ? nd : first_names(), name);
}

// The two descriptors that the compiler never makes.
enum { HASH_POINTER = 78501163, HASH_POINTER_POINTER = 1256018616 };
extern const Type unsafe_pointer __asm__("unsafe.Pointer..d");
extern const ElemType unsafe_pointer_pointer __asm__("unsafe.Pointer..p");
extern const FuncVal memequal64 __asm__("runtime.memequal64..f");
static const uint8_t one_pointer[] = {1};
static const String pointer_name = {"unsafe.Pointer", sizeof("unsafe.Pointer") - 1};
static const String pointer_pointer_name = {"*unsafe.Pointer", sizeof("*unsafe.Pointer") - 1};
static const String no_name = {"Pointer", 7};
static const String its_package = {"unsafe", 6};
static const Uncommon pointer_uncommon = {&no_name, &its_package, NULL, 0, 0};

GODATA("unsafe.Pointer..d", const Type, unsafe_pointer) = {
    .size = sizeof(void *),
    .ptrdata = sizeof(void *),
    .hash = HASH_POINTER,
    .tflag = TFLAG_MEMORY,
    .align = sizeof(void *),
    .field_align = sizeof(void *),
    .kind = KIND_UNSAFE_POINTER | KIND_DIRECT,
    .equal = &memequal64,
    .gcdata = one_pointer,
    .string = &pointer_name,
    .uncommon = &pointer_uncommon,
    .ptr_to_this = &unsafe_pointer_pointer.type,
};

GODATA("unsafe.Pointer..p", const ElemType, unsafe_pointer_pointer) = {
    .type = {
	    .size = sizeof(void *),
	    .ptrdata = sizeof(void *),
	    .hash = HASH_POINTER_POINTER,
	    .tflag = TFLAG_MEMORY,
	    .align = sizeof(void *),
	    .field_align = sizeof(void *),
	    .kind = KIND_PTR | KIND_DIRECT,
	    .equal = &memequal64,
	    .gcdata = one_pointer,
	    .string = &pointer_pointer_name,
    },
    .elem = &unsafe_pointer,
};
