// SPDX-License-Identifier: BSD-3-Clause
// The parts of a deferred call in which nothing panics: its record, and that there is nothing to
// recover. Calling it is deferreturn's, which looks at its own frame.
#include "gccgo/front/front.h"

#include "gccgo/defer.h"

// The compiler says that code is a number.
FRONT("runtime.deferprocStack", void, rt_deferprocstack,
      (GoDefer *d, bool *frame, uintptr_t code, void *arg))
{
	godefer_push(goface(), d, frame, (void (*)(void *))code, arg);
}

FRONT_REST("runtime.canrecover", bool, rest_canrecover, (uintptr_t));
FRONT("runtime.canrecover", bool, rt_canrecover, (uintptr_t ret_addr))
{
	return unlikely(goface()->panics != NULL) && rest_canrecover(ret_addr);
}
