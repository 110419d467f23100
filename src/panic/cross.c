// SPDX-License-Identifier: BSD-3-Clause
// The frames that a recovered panic leaves: whether they have cleanups, and running these.
//
// A frame has cleanups, or may have, when its function has a table of them (LSDA): C++ with
// destructors, C compiled with -fexceptions and the cleanup attribute. Then the unwinder of libgcc
// visits the frames, as for pthread_cancel, and each personality routine runs what it has. Without
// any the jump alone is as good. Looking is most of what a panic costs, so it is done by steps of
// our own (step.c), and by libgcc where these do not lead on.
#include <unwind.h>

#include "panic/chain.h"
#include "panic/step.h"

static_assert(sizeof(struct _Unwind_Exception) <= sizeof(((Unwinding *)0)->exception) &&
		      _Alignof(struct _Unwind_Exception) <= _Alignof(Unwinding),
	      "an exception fits into its place");

typedef struct Look {
	uintptr_t until;
	uintptr_t last; // pc of the frame seen last
	bool cleanups;
	bool done;
} Look;

// The unwinder gives the stack pointer of each frame: it has found all of those in front of the
// first that begins beyond. The frame it has no tables for is the last that it shows.
static _Unwind_Reason_Code
look(struct _Unwind_Context *context, void *v)
{
	Look *l = v;
	int exact;
	l->last = _Unwind_GetIPInfo(context, &exact);
	if (_Unwind_GetCFA(context) > l->until || (l->last == 0 && l->until == UINTPTR_MAX)) {
		l->done = true;
		return _URC_END_OF_STACK;
	}
	if (_Unwind_GetLanguageSpecificData(context) != NULL)
		l->cleanups = true;
	return _URC_NO_REASON;
}

// The same with our own steps; false when they do not lead there.
static bool
look_fast(uintptr_t until, bool *cleanups)
{
	Steps s = {0};
	arch_here(&s.pc, &s.sp, &s.fp);
	*cleanups = false;
	while (s.sp <= until) {
		Step step = step_out(&s);
		if (step == STEP_UNKNOWN)
			return false;
		if (step == STEP_END)
			return until == UINTPTR_MAX;
		if (step == STEP_CLEANUPS)
			*cleanups = true;
	}
	return true;
}

Crossing
cross_look(uintptr_t until, uintptr_t *blind)
{
	bool cleanups;
	if (likely(look_fast(until, &cleanups)))
		return cleanups ? CROSS_CLEANUPS : CROSS_PLAIN;
	Look l = {.until = until};
	_Unwind_Backtrace(look, &l);
	*blind = l.last;
	if (!l.done)
		return CROSS_BLIND;
	return l.cleanups ? CROSS_CLEANUPS : CROSS_PLAIN;
}

static _Unwind_Reason_Code
stop(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
     struct _Unwind_Exception *exception, struct _Unwind_Context *context, void *v)
{
	Unwinding *u = v;
	(void)version;
	(void)class;
	(void)exception;
	if ((actions & _UA_END_OF_STACK) != 0 || _Unwind_GetCFA(context) > u->until)
		u->arrive(u->arg);
	return _URC_NO_REASON;
}

static void
swallowed(_Unwind_Reason_Code reason, struct _Unwind_Exception *exception)
{
	(void)reason;
	(void)exception;
	fatal("a catch (...) has not thrown a panic again");
}

void
cross_unwind(Unwinding *u)
{
	static const char name[8] = "UNDERGO";
	struct _Unwind_Exception *e = (void *)u->exception;
	__builtin_memset(e, 0, sizeof(*e));
	__builtin_memcpy(&e->exception_class, name, sizeof(e->exception_class));
	e->exception_cleanup = swallowed;
	_Unwind_ForcedUnwind(e, stop, u);
	throw("panic: the stack cannot be unwound");
}
