// SPDX-License-Identifier: BSD-3-Clause
// Entries that may collect, without frames of their own in the searched part of the stack.
//
// A frame of ours has gaps where the compiler aligns it. There stand words of calls that are over:
// a dead pointer of the program stays in such a gap for as long as a loop does nothing but call the
// entry, and keeps alive what it points to. So the entry does the usual itself, and ends in a jump:
// GO_KEPT calls the rest with the arguments in a Kept, which lies where the frames of Go code
// begin. A mark looks from there up. What the rest holds besides arguments is not seen.
#ifndef UNDERGO_GCCGO_KEPT_H
#define UNDERGO_GCCGO_KEPT_H

#include "gccgo/gccgo.h"

// What the entry's registers held. Known to: arch/x86_64/gokept.S
typedef struct Kept {
	uintptr_t arg[6]; // the first is where a result goes that registers do not hold
	uintptr_t callers[6];
} Kept;

void gccgo_kept(void);

// Calls rest(const Kept *) as an entry of that type would be called, with these arguments. Of a
// function that it knows the compiler thinks that it needs no chain.
#define GO_KEPT(type, rest, ...)                                                   \
	({                                                                         \
		void (*entry_)(void) = gccgo_kept;                                 \
		__asm__("" : "+r"(entry_));                                        \
		__builtin_call_with_static_chain(((type *)entry_)(__VA_ARGS__),    \
						 (void *)(uintptr_t)(rest));       \
	})

// go_make_bytes in its two parts. The first takes what is in hand; NULL: there is nothing.
void *go_try_bytes(size_t n);
void *go_bytes_from(size_t n, const Kept *k);

#endif
