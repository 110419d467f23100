// SPDX-License-Identifier: BSD-3-Clause
// Walking stacks that are not the caller's own, with the ordinary unwinder.
//
// Each function calls fn(arg) on the present stack, with unwind tables that tell a lie: the caller
// of arch_unwind_at is not whoever called it, but the context asked for. An unwinder started in fn
// thus walks fn, arch_unwind_at, and then that context's frames. Nothing is written to the stack
// walked, and fn returns the ordinary way.
#ifndef UNDERGO_ARCH_UNWIND_H
#define UNDERGO_ARCH_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The context with these saved registers (in the order of switch.S, without floating-point control
// words), whose stack pointer is cfa once it has returned to its saved pc.
void arch_unwind_at(const void *saved, const void *cfa, void (*fn)(void *), void *arg);

// A suspended context, see arch_switch.
void arch_unwind_parked(const void *sp, void (*fn)(void *), void *arg);
uintptr_t arch_parked_pc(const void *sp);

// The caller of what a signal interrupted, if that had just been called: for calls that led to
// where no function is. *pc gets where that walk begins. Reads the interrupted stack.
void arch_unwind_caller(const void *ucontext, uintptr_t *pc, void (*fn)(void *), void *arg);

// Takes back the call that led to where no function is: what the signal interrupted is then inside
// the instruction that called. Changes *ucontext alone; reads the interrupted stack.
void arch_uncall(void *ucontext);

// What a signal has interrupted shall call fn first, with a copy of the n bytes at info; it does
// not return. Changes *ucontext, and the stack below the interrupted frame. An unwinder started
// in fn finds that frame as it was at the instruction. False: there is less than `room` above lo.
bool arch_divert(void *ucontext, uintptr_t lo, size_t room, void (*fn)(void *), const void *info,
		 size_t n);

#endif
