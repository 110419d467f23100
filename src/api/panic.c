// SPDX-License-Identifier: BSD-3-Clause
// The C face of panics: include/undergo/panic.h.
#include <stdarg.h>
#include <stdio.h>

#include "gc/gc.h"
#include "panic/protect.h"

static_assert(sizeof(Defer) <= sizeof(go_defer) && _Alignof(Defer) <= _Alignof(go_defer),
	      "a deferred call fits into its place");

// Of a thread that may be unknown so far.
static COLD G *
self_of_thread(void)
{
	G *gp = sched_enter();
	sched_leave();
	return gp;
}

// The caller; outside of the runtime, and so it stays.
static inline G *
self(void)
{
	M *mp = sched_m();
	return likely(mp != NULL) ? mp->curg : self_of_thread();
}

// --- values ----------------------------------------------------------------------------------

go_value
go_value_string(const char *text)
{
	return value_text(text);
}

go_value
go_value_int(int64_t i)
{
	return (go_value){.kind = GO_VALUE_INT, .i = i};
}

go_value
go_value_error(int code)
{
	return (go_value){.kind = GO_VALUE_ERROR, .i = code};
}

go_value
go_value_custom(const go_value_type *type, void *p)
{
	return (go_value){.kind = GO_VALUE_CUSTOM, .p = p, .type = type};
}

size_t
go_value_text(const go_value *v, char *buf, size_t bytes)
{
	return value_write(v, buf, bytes);
}

// --- panics ----------------------------------------------------------------------------------

void
go_panic(go_value v)
{
	panic_raise(&v, NULL);
}

void
go_panic_text(const char *text)
{
	go_value v = value_text(text);
	panic_raise(&v, NULL);
}

// Without memory the format has to do.
void
go_panicf(const char *format, ...)
{
	go_value v = value_text(format);
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	char *text = NULL;
	if (n >= 0 && sched_attached()) {
		sched_enter();
		text = gc_alloc((size_t)n + 1, KIND_NOSCAN);
		sched_leave();
	}
	if (text != NULL) {
		vsnprintf(text, (size_t)n + 1, format, again);
		v.text = text;
		v.n = (size_t)n;
	}
	va_end(again);
	va_end(args);
	panic_raise(&v, NULL);
}

void
go_repanic(go_value v)
{
	v.repanicked = true;
	panic_raise(&v, NULL);
}

go_value
go_protect(void (*fn)(void *arg), void *arg)
{
	return panic_protect(self(), fn, arg);
}

go_value
go_recover(void)
{
	const M *mp = sched_m();
	const Panic *p = mp != NULL ? panic_recover(mp->curg) : NULL;
	return p != NULL ? p->value : (go_value){.kind = GO_VALUE_NONE};
}

// --- deferred calls --------------------------------------------------------------------------

static const DeferKind plain;

static void
call_of_nothing(void *unused)
{
	(void)unused;
	panic("runtime error: invalid memory address or nil pointer dereference");
}

void
go_defer_push(go_defer *pub, void (*fn)(void *arg), void *arg)
{
	Defer *d = (Defer *)(void *)pub;
	d->kind = &plain;
	d->fn = likely(fn != NULL) ? fn : call_of_nothing;
	d->arg = arg;
	defer_push(self(), d);
}

typedef struct Run {
	G *gp;
	Defer *d;
} Run;

// By an exception of C++ too. A panic that left the call has passed the record over. C6
static inline void
run_ends(const Run *r)
{
	if (likely(r->d->kind != NULL))
		defer_pop(r->gp, r->d);
}

// The record stays while the call is under way, so that go_recover knows that no panic makes it.
void
go_defer_run(go_defer *pub)
{
	Defer *d = (Defer *)(void *)pub;
	void (*fn)(void *) = d->fn;
	if (unlikely(fn == NULL))
		return;
	__attribute__((cleanup(run_ends))) Run r = {sched_g(), d};
	r.gp->defers = d;
	d->running = NULL;
	d->fn = NULL;
	fn(d->arg);
}

bool
go_set_panic_on_fault(bool on)
{
	G *gp = self();
	bool before = gp->panics_on_fault;
	gp->panics_on_fault = on;
	return before;
}
