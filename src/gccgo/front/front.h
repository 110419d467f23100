// SPDX-License-Identifier: BSD-3-Clause
// Fronts: functions of the runtime that GCC inlines into compiled Go code when it links a program
// with -flto. See README for what one may do.
//
// FRONT defines the function that Go code calls, by the symbol of the one in libgobegin.a, which
// the linker passes over then. FRONT_REST declares that one: GOREST has given it another symbol.
// Not inlined, a front is a jump to it.
#ifndef UNDERGO_GCCGO_FRONT_FRONT_H
#define UNDERGO_GCCGO_FRONT_FRONT_H

#include "gccgo/gccgo.h"

// The second one is the definition. no_split_stack: what is not inlined asks for no stack.
#define FRONT(symbol, result, name, args)                                          \
	extern inline GO_VISIBLE __attribute__((no_split_stack)) result name args \
	    __asm__(symbol);                                                      \
	extern inline result name args

#define FRONT_REST(symbol, result, name, args) \
	extern result name args __asm__(GOREST_PREFIX symbol)

// Whether the compiler knows it, where a front is inlined. What it does not know it loads all the
// same, since a load might be a fault that Go code catches: so ask for one thing first, and load
// the others only then.
#define KNOWN(x) __builtin_constant_p(x)

#endif
