// SPDX-License-Identifier: BSD-3-Clause
// Moving and comparing values whose size the compiler knows.
#include "gccgo/front/front.h"

enum { MOVED_MOST = 256, COMPARED_MOST = 64 }; // what is done in line

// Nobody marks while the program runs, so there is no barrier: the flag that compiled code looks at
// before it stores a pointer is a constant, and the look is gone.
// It has the compiler's type.
typedef struct WriteBarrier {
	bool enabled;
	uint8_t pad[3];
	bool needed, cgo;
	uint64_t align;
} WriteBarrier;
extern const GO_VISIBLE WriteBarrier write_barrier __asm__("runtime.writeBarrier");
const WriteBarrier write_barrier = {0};

FRONT_REST("runtime.typedmemmove", void, rest_typedmemmove, (const Type *, void *, const void *));
FRONT("runtime.typedmemmove", void, rt_typedmemmove, (const Type *t, void *dst, const void *src))
{
	if (KNOWN(t->size) && t->size <= MOVED_MOST)
		memmove(dst, src, t->size);
	else
		rest_typedmemmove(t, dst, src);
}

FRONT_REST("runtime.memequal", bool, rest_memequal, (const void *, const void *, uintptr_t));
FRONT("runtime.memequal", bool, rt_memequal, (const void *a, const void *b, uintptr_t n))
{
	if (KNOWN(n) && n <= COMPARED_MOST)
		return memcmp(a, b, n) == 0;
	return rest_memequal(a, b, n);
}

// --- interfaces ----------------------------------------------------------------------------------

// Equal types: 1 or 0 when the words tell, else -1. Values lie behind the words, unless they are
// pointers, and may be equal or not, or not comparable.
static inline int
words_tell(const Type *t, const void *a, const void *b)
{
	if (t == NULL)
		return 1;
	return type_direct(t) && t->equal != NULL ? a == b : -1;
}

FRONT_REST("runtime.efaceeq", bool, rest_efaceeq, (Eface, Eface));
FRONT("runtime.efaceeq", bool, rt_efaceeq, (Eface a, Eface b))
{
	if (a.t != b.t)
		return false;
	int told = words_tell(a.t, a.data, b.data);
	return likely(told >= 0) ? told != 0 : rest_efaceeq(a, b);
}

FRONT_REST("runtime.ifaceeq", bool, rest_ifaceeq, (Iface, Iface));
FRONT("runtime.ifaceeq", bool, rt_ifaceeq, (Iface a, Iface b))
{
	const Type *t = iface_type(a);
	if (t != iface_type(b))
		return false;
	int told = words_tell(t, a.data, b.data);
	return likely(told >= 0) ? told != 0 : rest_ifaceeq(a, b);
}
