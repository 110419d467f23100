// SPDX-License-Identifier: BSD-3-Clause
// What a processor must provide: switching stacks, the two thread-local words, a pause.
//
// A suspended context is one pointer: the stack pointer below its saved callee-saved registers and
// floating-point control words. A new processor is a new folder with context.h (inline parts and
// ARCH_ constants) and switch.S.
//
// Thread-locals: the runtime keeps one word per thread, its M. It is read through arch_tls_m, whose
// code the compiler can neither move nor cache: after a switch the same C function may be on
// another thread.
#ifndef UNDERGO_ARCH_ARCH_H
#define UNDERGO_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "context.h" // src/arch/<processor>/

// Saves this context's stack pointer in *save and continues at load. Returns `arg` of whoever
// switches back. Everything callee-saved survives; caller-saved registers do not.
void *arch_switch(void **save, void *load, void *arg);

// Prepares a new context whose stack ends (exclusive, 16-aligned) at stack_hi. The first switch to
// it calls entry(arg-of-that-switch) on that stack; entry must not return. The frame is the
// outermost for unwinders.
void *arch_context_init(void *stack_hi, void (*entry)(void *arg));

// arch_switch to a context that does not exist yet: entry(NULL) begins on the empty stack that ends
// at stack_hi (16-aligned), with the default floating-point control words. entry must not return.
void arch_start(void **save, void *stack_hi, void (*entry)(void *arg));

// The same two for a context that ends: nothing is saved, and the stack in use may be reused at
// once. Jumps, not calls, so that the processor's prediction of returns stays in step (switch.S).
//   arch_resume(void *load)   arch_enter(void *stack_hi, void (*entry)(void *))   in context.h

// Runs fn(arg) with the stack pointer at stack_hi, then comes back to this stack.
void arch_call_on(void *stack_hi, void (*fn)(void *), void *arg);

// Calls fn(arg), with the callee-saved registers saved on the stack and *sp set so that arch_return
// can make this call return at once, as long as it has not returned. Whether it did. Floating-point
// control is left alone.
bool arch_protect(void **sp, void (*fn)(void *), void *arg);
_Noreturn void arch_return(void *sp);

// Calls fn with the same words and, in the last place, where on the stack the callee-saved
// registers of the caller lie. From there up is all that the caller and its callers have; what fn
// and those it calls leave on the stack lies below.
void *arch_call_kept(size_t a, size_t b, const void *c, size_t d,
		     void *(*fn)(size_t a, size_t b, const void *c, size_t d, const void *kept));

// 0 when the processor state lets us switch stacks; else why it does not (a constant text).
const char *arch_refuses(void);

// Inline in context.h:
//   void arch_pause(void)          a spin-loop hint
//   void *arch_tls_m(void), void arch_tls_set_m(void *)
//   void *arch_sp(void)            the stack pointer now
//   void arch_here(&pc, &sp, &fp)  where the code is that calls it; ARCH_DWARF_FP and _SP are the
//                                  numbers of these registers in unwind tables
//   void arch_kept(uint64_t words[ARCH_KEPT_WORDS])
//                                  copies the callee-saved registers
//   void arch_forget(void)         zeroes callee-saved registers, as far as the compiler lets us
//   void arch_set_stack_limit(uintptr_t limit)
//                                  code compiled with split stacks asks for more below it
//   ARCH_CONTEXT_BYTES             what a suspended context occupies on its stack

#endif
