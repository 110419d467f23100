// SPDX-License-Identifier: BSD-3-Clause
// Leaving frames after a recovered panic, without libgcc's unwinder.
#ifndef UNDERGO_GCCGO_LANDING_H
#define UNDERGO_GCCGO_LANDING_H

#include <stdbool.h>
#include <stdint.h>

void landing_init(void); // at the start
// Goes on at the landing pad of the function on this stack that has *frame, and gives it the
// exception. Returns when the way there is not a plain one: libgcc knows more.
// Stack: user.  Locks: none.  Allocates: no.
void landing_jump(const bool *frame, void *exception);

// personality.c: whether a function's table is for Go's personality routine; and then the landing
// pad for the code before pc in the function at func whose table is lsda; 0: it has none, or one
// that only cleans up.
bool personality_is_ours(uintptr_t personality);
uintptr_t personality_pad(uintptr_t lsda, uintptr_t func, uintptr_t pc);

#endif
