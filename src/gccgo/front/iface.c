// SPDX-License-Identifier: BSD-3-Clause
// Conversions to interfaces that the compiler knows, of types for which it has been done before.
#include "gccgo/front/front.h"

#include "gccgo/itab.h"

extern ATOMIC(Table *) itabs __asm__(GOREST_PREFIX "runtime.itabs");

// What is known of the pair, where it is found at once; else NULL.
static inline Itab *
at_once(const Type *inter, const Type *t)
{
	Table *tb = load_acq(&itabs); // order: observe <- room, in iface.c
	if (unlikely(tb == NULL) || unlikely(t == NULL))
		return NULL;
	Itab *it = load_acq(&tb->slot[first_slot(tb, inter, t)]); // order: observe <- put
	if (unlikely(it == NULL) || unlikely(&it->inter->type != inter) || unlikely(it->t != t))
		return NULL;
	return it;
}

// Whether the compiler knows the interface, and it has methods.
static inline __attribute__((always_inline)) bool
has_methods(const Type *inter)
{
	const InterfaceType *it = (const InterfaceType *)inter;
	return KNOWN(it->n_methods) && it->n_methods != 0;
}

#define TABLES(name)                                                                           \
	FRONT_REST("runtime." #name, void **, rest_##name, (const Type *, const Type *));      \
	FRONT("runtime." #name, void **, rt_##name, (const Type *inter, const Type *t))        \
	{                                                                                      \
		if (has_methods(inter)) {                                                      \
			Itab *it = at_once(inter, t);                                          \
			if (likely(it != NULL) && likely(it->missing == NULL))                 \
				return it->tab;                                                \
		}                                                                              \
		return rest_##name(inter, t);                                                  \
	}
TABLES(assertitab)
TABLES(requireitab)

static inline __attribute__((always_inline)) bool
converted(const Type *inter, const Type *t, void *data, IfaceOk *to)
{
	Itab *it;
	if (!has_methods(inter) || unlikely((it = at_once(inter, t)) == NULL))
		return false;
	*to = it->missing == NULL ? (IfaceOk){{it->tab, data}, true}
				  : (IfaceOk){{NULL, NULL}, false};
	return true;
}

FRONT_REST("runtime.ifaceE2I2", IfaceOk, rest_ifaceE2I2, (const Type *, Eface));
FRONT("runtime.ifaceE2I2", IfaceOk, rt_ifaceE2I2, (const Type *inter, Eface e))
{
	IfaceOk to;
	return converted(inter, e.t, e.data, &to) ? to : rest_ifaceE2I2(inter, e);
}

FRONT_REST("runtime.ifaceI2I2", IfaceOk, rest_ifaceI2I2, (const Type *, Iface));
FRONT("runtime.ifaceI2I2", IfaceOk, rt_ifaceI2I2, (const Type *inter, Iface i))
{
	IfaceOk to;
	return converted(inter, iface_type(i), i.data, &to) ? to : rest_ifaceI2I2(inter, i);
}
