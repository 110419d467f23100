// SPDX-License-Identifier: BSD-3-Clause
// Walking the frames of the present stack without libgcc's unwinder, in a few nanoseconds each.
#ifndef UNDERGO_PANIC_STEP_H
#define UNDERGO_PANIC_STEP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Steps {
	uintptr_t pc; // of the frame at hand: a return address
	uintptr_t sp; // its stack pointer there
	uintptr_t fp; // the frame pointer register there, whatever it is used for
	// Of a copy of the stack: where it ends, and how much further than the stack the copy lies.
	uintptr_t copied_to; // 0: it is none
	uintptr_t copy_beyond;
} Steps;

typedef enum Step {
	STEP_PLAIN,    // the frame that was at hand has no cleanups
	STEP_CLEANUPS, // it may have some
	STEP_END,      // it is the outermost
	STEP_UNKNOWN,  // only the unwinder can tell
} Step;

void step_init(void); // at the start
// Goes on to the caller of the frame at hand.  Locks: none.  Allocates: no.
Step step_out(Steps *s);

#endif
