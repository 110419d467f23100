// SPDX-License-Identifier: BSD-3-Clause
// go_protect: a record that catches, and the jump back to it.
//
// arch_protect saves the callee-saved registers on the stack before it calls, and arch_return makes
// that call return. So entering costs a few stores, and coming back by a panic no more than that,
// when the frames between have no cleanups (cross.c has looked). ThreadSanitizer keeps a stack of
// its own, which only setjmp and longjmp take back: there these are used.
//
// Inline, as a call more is a good part of what entering costs.
#ifndef UNDERGO_PANIC_PROTECT_H
#define UNDERGO_PANIC_PROTECT_H

#include <setjmp.h>

#include "panic/chain.h"

typedef struct Protect {
	Defer d;
	Value value; // what arch_protect has come back with, if it was made to
	Unwinding unwinding;
#if SANITIZE_THREAD
	jmp_buf env;
#endif
} Protect;

// Its resume comes back to the Protect of the record.
extern const DeferKind protect_kind;

// For fn of the record, which stands for a call that has not begun.
void protect_nothing(void *unused);

typedef struct Protected {
	G *gp;
	Protect *pr;
} Protected;

// However it ends, a C++ exception included.
static inline void
protect_leave(const Protected *p)
{
	defer_pop(p->gp, &p->pr->d);
}

// Calls fn(arg) and catches its panic: the value, or one of kind GO_VALUE_NONE. gp calls.
static inline Value
panic_protect(G *gp, void (*fn)(void *), void *arg)
{
	Protect pr;
	__attribute__((unused, cleanup(protect_leave))) Protected protected = {gp, &pr};
	pr.d.kind = &protect_kind;
	pr.d.fn = protect_nothing;
	defer_push(gp, &pr.d);
#if SANITIZE_THREAD
	pr.d.frame = (char *)arch_sp() - 1;
	if (_setjmp(pr.env) != 0)
		return pr.value;
	fn(arg);
#else
	if (unlikely(arch_protect(&pr.d.frame, fn, arg)))
		return pr.value;
#endif
	return (Value){.kind = GO_VALUE_NONE};
}

#endif
