// SPDX-License-Identifier: BSD-3-Clause
// What the Go part asks C for: names of types, texts of values.
#include "gccgo/gccgo.h"
#include "gccgo/print.h"

GOFUNC("runtime.typetext", String, rt_typetext, (const Type *t))
{
	return type_text(t);
}

GOFUNC("runtime.typepath", String, rt_typepath, (const Type *t))
{
	if (t->uncommon != NULL && t->uncommon->pkg_path != NULL)
		return *t->uncommon->pkg_path;
	return (String){NULL, 0};
}

GOFUNC("runtime.typekind", Int, rt_typekind, (const Type *t))
{
	return type_kind(t);
}

GOFUNC("runtime.floattext", String, rt_floattext, (double v))
{
	char text[FLOAT_TEXT];
	return string_of(text, print_float_text(text, v));
}

GOFUNC("runtime.addresstext", String, rt_addresstext, (Eface e))
{
	char text[18];
	char *at = text + sizeof(text);
	uintptr_t v = (uintptr_t)e.data;
	do {
		*--at = "0123456789abcdef"[v % 16];
		v /= 16;
	} while (v != 0);
	*--at = 'x';
	*--at = '0';
	return string_of(at, (size_t)(text + sizeof(text) - at));
}
