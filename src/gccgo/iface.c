// SPDX-License-Identifier: BSD-3-Clause
// Interfaces: tables of methods, conversions, type assertions.
//
// A table for a pair of an interface and a type is made once and kept for ever, also the knowledge
// that the type has not all methods. Tables are found without a lock.
//
// Locks:  itab_lock, rank leaf, among who adds.
#include "gccgo/gccgo.h"
#include "gccgo/itab.h"

enum { TABLE_FIRST = 512 };

static Mutex itab_lock = MUTEX_INIT(leaf);
static ATOMIC(Table *) table; // itab_lock writes. known to: fronts
GOREST("runtime.itabs", "table");

// The error of a failed assertion: go/error.go.
GOEXTERN("runtime.panicassert", NORETURN void, panic_assert,
	 (const Type *have, const Type *want, const Type *iface, String missing));

// --- making --------------------------------------------------------------------------------------

static bool
same(const String *a, const String *b)
{
	return a == b || (a != NULL && b != NULL && a->n == b->n &&
			  memcmp(a->p, b->p, (size_t)a->n) == 0);
}

// Both lists are sorted by name; of several with one name only that of the same package counts.
static const Method *
find_method(const Uncommon *u, Int *from, const IMethod *im)
{
	for (Int i = *from; i < u->n_methods; i++) {
		const Method *m = &u->methods[i];
		if (same(m->name, im->name) && same(m->pkg_path, im->pkg_path)) {
			*from = i + 1;
			return m->mtyp == im->typ ? m : NULL;
		}
	}
	return NULL;
}

static Itab *
itab_new(const InterfaceType *inter, const Type *t)
{
	size_t n = (size_t)inter->n_methods + 1;
	Itab *it = os_alloc(sizeof(*it) + n * sizeof(it->tab[0]));
	if (it == NULL)
		fatal("runtime: cannot allocate memory");
	it->inter = inter;
	it->t = t;
	it->tab[0] = (void *)(uintptr_t)t;
	Int from = 0;
	for (Int i = 0; i < inter->n_methods && it->missing == NULL; i++) {
		const IMethod *im = &inter->methods[i];
		const Method *m =
			t->uncommon != NULL ? find_method(t->uncommon, &from, im) : NULL;
		if (m != NULL)
			it->tab[i + 1] = m->code;
		else
			it->missing = im->name;
	}
	return it;
}

// --- finding -------------------------------------------------------------------------------------

// Locks: itab_lock held.
static void
put(Table *tb, Itab *it)
{
	size_t i = first_slot(tb, it->inter, it->t);
	while (load_rlx(&tb->slot[i]) != NULL) // order: own, under the lock
		i = (i + 1) & (tb->n - 1);
	store_rel(&tb->slot[i], it); // order: publish -> look_up
	tb->used++;
}

// With room for one more. The old one may be read on, and is kept.  Locks: itab_lock held.
static Table *
room(void)
{
	Table *old = load_rlx(&table); // order: own, under the lock
	if (old != NULL && old->used < old->n / 2)
		return old;
	size_t n = old != NULL ? old->n * 2 : TABLE_FIRST;
	Table *tb = os_alloc(sizeof(*tb) + n * sizeof(tb->slot[0]));
	if (tb == NULL)
		fatal("runtime: cannot allocate memory");
	tb->n = n;
	for (size_t i = 0; old != NULL && i < old->n; i++)
		if (load_rlx(&old->slot[i]) != NULL)      // order: own, under the lock
			put(tb, load_rlx(&old->slot[i])); // order: own, under the lock
	store_rel(&table, tb); // order: publish -> itab
	return tb;
}

static COLD Itab *
add(const InterfaceType *inter, const Type *t)
{
	Itab *fresh = itab_new(inter, t);
	mutex_lock(&itab_lock);
	Table *tb = room();
	Itab *it = look_up(tb, inter, t);
	if (it == NULL)
		put(tb, it = fresh);
	mutex_unlock(&itab_lock);
	if (it != fresh)
		os_free(fresh);
	return it;
}

// inter has methods, t is not NULL.
static inline Itab *
itab(const Type *inter, const Type *t)
{
	const InterfaceType *it = (const InterfaceType *)inter;
	Table *tb = load_acq(&table); // order: observe <- room
	Itab *i = likely(tb != NULL) ? look_up(tb, it, t) : NULL;
	return likely(i != NULL) ? i : add(it, t);
}

static inline bool
is_empty(const Type *inter)
{
	return ((const InterfaceType *)inter)->n_methods == 0;
}

static inline void **
as_tab(const Type *t)
{
	return (void **)(uintptr_t)t;
}

// Whether t has the methods of inter, and then the table.
static inline bool
implements(const Type *inter, const Type *t, void ***tab)
{
	*tab = NULL;
	if (t == NULL)
		return false;
	if (is_empty(inter)) {
		*tab = as_tab(t);
		return true;
	}
	Itab *it = itab(inter, t);
	if (it->missing != NULL)
		return false;
	*tab = it->tab;
	return true;
}

// --- conversions that panic ----------------------------------------------------------------------

static void **
must_implement(const Type *inter, const Type *t)
{
	void **tab;
	if (likely(implements(inter, t, &tab)))
		return tab;
	String missing = {NULL, 0};
	if (t != NULL)
		missing = *itab(inter, t)->missing;
	panic_assert(t, inter, inter, missing);
}

GOFUNC("runtime.requireitab", void **, rt_requireitab, (const Type *inter, const Type *t))
{
	return t != NULL ? must_implement(inter, t) : NULL;
}
GOREST("runtime.requireitab", "runtime.requireitab");

GOFUNC("runtime.assertitab", void **, rt_assertitab, (const Type *inter, const Type *t))
{
	return must_implement(inter, t);
}
GOREST("runtime.assertitab", "runtime.assertitab");

GOFUNC("runtime.panicdottype", NORETURN void, rt_panicdottype,
       (const Type *want, const Type *have, const Type *iface))
{
	panic_assert(have, want, iface, (String){NULL, 0});
}

GOFUNC("reflect.ifaceE2I", void, rt_ifaceE2I, (const Type *inter, Eface e, Iface *dst))
{
	*dst = (Iface){must_implement(inter, e.t), e.data};
}
GOALIAS("internal_1reflectlite.ifaceE2I", "reflect.ifaceE2I");

// --- assertions with two results -----------------------------------------------------------------

typedef struct EfaceOk {
	Eface e;
	bool ok;
} EfaceOk;

typedef struct PointerOk {
	void *p;
	bool ok;
} PointerOk;

static inline IfaceOk
to_iface(const Type *inter, const Type *t, void *data)
{
	void **tab;
	if (implements(inter, t, &tab))
		return (IfaceOk){{tab, data}, true};
	return (IfaceOk){{NULL, NULL}, false};
}

GOFUNC("runtime.ifaceE2I2", IfaceOk, rt_ifaceE2I2, (const Type *inter, Eface e))
{
	return to_iface(inter, e.t, e.data);
}
GOREST("runtime.ifaceE2I2", "runtime.ifaceE2I2");

GOFUNC("runtime.ifaceI2I2", IfaceOk, rt_ifaceI2I2, (const Type *inter, Iface i))
{
	return to_iface(inter, iface_type(i), i.data);
}
GOREST("runtime.ifaceI2I2", "runtime.ifaceI2I2");

GOFUNC("runtime.ifaceE2E2", EfaceOk, rt_ifaceE2E2, (Eface e))
{
	return (EfaceOk){e, e.t != NULL};
}

GOFUNC("runtime.ifaceI2E2", EfaceOk, rt_ifaceI2E2, (Iface i))
{
	return (EfaceOk){{iface_type(i), i.data}, i.tab != NULL};
}

GOFUNC("runtime.ifaceE2T2P", PointerOk, rt_ifaceE2T2P, (const Type *t, Eface e))
{
	return e.t == t ? (PointerOk){e.data, true} : (PointerOk){NULL, false};
}

GOFUNC("runtime.ifaceI2T2P", PointerOk, rt_ifaceI2T2P, (const Type *t, Iface i))
{
	return iface_type(i) == t ? (PointerOk){i.data, true} : (PointerOk){NULL, false};
}

static inline bool
to_value(const Type *t, const Type *have, const void *data, void *to)
{
	if (have != t)
		memset(to, 0, t->size);
	else
		memcpy(to, type_direct(t) ? (const void *)&data : data, t->size);
	return have == t;
}

GOFUNC("runtime.ifaceE2T2", bool, rt_ifaceE2T2, (const Type *t, Eface e, void *to))
{
	return to_value(t, e.t, e.data, to);
}

GOFUNC("runtime.ifaceI2T2", bool, rt_ifaceI2T2, (const Type *t, Iface i, void *to))
{
	return to_value(t, iface_type(i), i.data, to);
}

GOFUNC("runtime.ifaceT2Ip", bool, rt_ifaceT2Ip, (const Type *inter, const Type *t))
{
	void **tab;
	return implements(inter, t, &tab);
}
