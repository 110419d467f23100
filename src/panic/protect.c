// SPDX-License-Identifier: BSD-3-Clause
// The way back to a go_protect. See protect.h.
#include "panic/protect.h"

#if SANITIZE_ADDRESS
void __asan_handle_no_return(void);
#endif

void
protect_nothing(void *unused)
{
	(void)unused;
}

static NORETURN void
arrive(void *v)
{
	Protect *pr = v;
#if SANITIZE_ADDRESS
	__asan_handle_no_return();
#endif
#if SANITIZE_THREAD
	longjmp(pr->env, 1);
#else
	arch_return(pr->d.frame);
#endif
}

static void
resume(Defer *d, Panic *p)
{
	Protect *pr = container_of(d, Protect, d);
	pr->value = p->caught ? p->value : (Value){.kind = GO_VALUE_NONE};
	if (p->crossing == CROSS_PLAIN)
		arrive(pr);
	pr->unwinding = (Unwinding){.until = (uintptr_t)d->frame, .arrive = arrive, .arg = pr};
	cross_unwind(&pr->unwinding);
}

const DeferKind protect_kind = {.catches = true, .resume = resume};
