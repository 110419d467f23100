// SPDX-License-Identifier: BSD-3-Clause
// defer, panic, recover, Goexit, as compiled code calls them.
//
// A function with a defer statement keeps records in a list of the goroutine and gives us the
// address of a bool of its own, its frame, which identifies it. It ends by deferreturn(frame). Its
// code also has a landing pad, which calls checkdefer(frame) and then goes the same way.
//
// gopanic runs the deferred functions, innermost first, on top of the stack that panicked. When
// one of them has recovered there is a jump to the landing pad of the function whose deferred
// function it was (landing.c): there checkdefer returns, and the function returns to its caller.
// Where the way is not plain an exception is raised; then unwinding stops at each landing pad on
// the way, whose checkdefer throws on. So while one unwinds no code of the program runs, but what
// C++ has to clean up.
//
// Invariants:
//   P1  The first record is that of the deferred function that runs, if one does (pfn is NULL), or
//       of the function that deferred last.
//   P2  Panics lie on the stacks of gopanic and Goexit, innermost first in the list. A panic is in
//       the list until it is recovered; then it is taken out before anything is unwound.
//   P3  One exception at most is on its way in a goroutine: GoFace.raised.
#include "gccgo/gccgo.h"

#include <unwind.h>

#include "gccgo/callers.h"
#include "gccgo/defer.h"
#include "gccgo/landing.h"
#include "gccgo/personality.h"

struct GoPanic {
	Eface value;
	GoPanic *link;
	String text;    // to be printed
	bool recovered;
	bool aborted;   // a newer panic has taken over its deferred function
	bool goexit;    // no panic: Goexit runs deferred functions
};

#define EXCEPTION_CLASS UINT64_C(0x474E5543474F0000) // "GNUCGO\0\0"

// go/error.go
GOEXTERN("runtime.panicplain", NORETURN void, go_panic_plain, (String));
GOEXTERN("runtime.panicerror", NORETURN void, go_panic_error, (String));
GOEXTERN("runtime.panictext", String, panic_text, (Eface));

static ATOMIC_BOOL fatal_panic; // nobody has recovered one

// --- raising from C ------------------------------------------------------------------------------

void
panic_plain(const char *text)
{
	go_panic_plain(string_c(text));
}

void
panic_error(const char *text)
{
	go_panic_error(string_c(text));
}

// What the core says when a program breaks a rule. It is outside of the runtime, and holds no lock.
void
panic_from_core(const char *why)
{
	M *mp = sched_m();
	if (mp == NULL || mp->curg == NULL || !mp->curg->split || goface()->in_c)
		return;
	panic_plain(why);
}

// --- defer ---------------------------------------------------------------------------------------

GOFUNC("runtime.deferproc", void, rt_deferproc, (bool *frame, void (*fn)(void *), void *arg))
{
	sched_enter();
	GoDefer *d = gc_alloc(sizeof(*d), KIND_SCAN);
	if (d == NULL)
		gc_out_of_memory(sizeof(*d));
	sched_leave();
	godefer_push(goface(), d, frame, fn, arg);
}

GOFUNC("runtime.deferprocStack", void, rt_deferprocstack,
       (GoDefer *d, bool *frame, void (*fn)(void *), void *arg))
{
	godefer_push(goface(), d, frame, fn, arg);
}
GOREST("runtime.deferprocStack", "runtime.deferprocStack");

// d has run, and is the first. It may be that its function is.
static void
pop(GoFace *f, GoDefer *d)
{
	f->defers = d->link;
	d->link = NULL;
}

// A panic's call, which the thunk of a deferred function finds above it, see canrecover.
NOINLINE static void
run(void (*fn)(void *), void *arg)
{
	fn(arg);
	__asm__ volatile("" ::: "memory"); // no tail call
}

GOFUNC("runtime.deferreturn", void, rt_deferreturn, (bool *frame))
{
	const G *gp = sched_g();
	if (unlikely(gp->chained))
		stack_settle();
	GoFace *f = gp->face;
	while (f != NULL && f->defers != NULL && f->defers->frame == frame) {
		GoDefer *d = f->defers;
		void (*fn)(void *) = d->pfn;
		d->pfn = NULL;
		if (fn != NULL)
			fn(d->arg);
		*frame = true;
		if (unlikely(sched_m() == NULL)) // the end of a call from C: the thread has left
			return;
		pop(f, d);
	}
}

GOFUNC("runtime.setdeferretaddr", bool, rt_setdeferretaddr, (uintptr_t addr))
{
	GoFace *f = goface();
	if (f->defers != NULL)
		f->defers->ret_addr = addr;
	return false;
}

// --- recover -------------------------------------------------------------------------------------

// no front of it
bool rest_canrecover(uintptr_t ret_addr) __asm__(GOREST_PREFIX "runtime.canrecover");

// Whether the function that compiled code asks for, which would return to ret_addr, was called by
// the deferred function's thunk. Between the two there may be functions that the compiler has
// made, which the addresses do not tell; then the stack does.
GOFUNC("runtime.canrecover", bool, rt_canrecover, (uintptr_t ret_addr))
{
	enum { CALL_MOST = 16 };
	GoFace *f = goface();
	GoDefer *d = f->defers;
	if (d == NULL || f->panics == NULL || d->panics == f->panics || d->ret_addr == 0)
		return false;
	if (ret_addr <= d->ret_addr && ret_addr + CALL_MOST >= d->ret_addr)
		return true;
	return callers_deferred(&(DeferredBy){
	    .asker = (uintptr_t)rest_canrecover,
	    .runner = {(uintptr_t)run, (uintptr_t)rt_deferreturn},
	    .made_func = (uintptr_t)gccgo_made_func,
	});
}
GOREST("runtime.canrecover", "runtime.canrecover");

GOFUNC("runtime.gorecover", Eface, rt_gorecover, (void))
{
	GoPanic *p = goface()->panics;
	if (p == NULL || p->goexit || p->recovered)
		return (Eface){NULL, NULL};
	p->recovered = true;
	return p->value;
}

GOFUNC("runtime.deferredrecover", Eface, rt_deferredrecover, (void))
{
	GoFace *f = goface();
	if (f->defers == NULL || f->defers->panics != f->panics)
		return (Eface){NULL, NULL};
	return rt_gorecover();
}

// --- unwinding -----------------------------------------------------------------------------------

static NORETURN void
unwind(GoFace *f)
{
	f->raised = (Exception){.class = EXCEPTION_CLASS};
	f->caught = &f->raised; // the pad may be of a function that was inlined there, and throw on
	landing_jump(f->defers->frame, &f->raised);
	_Unwind_RaiseException((struct _Unwind_Exception *)(void *)&f->raised);
	throw("panic: the function that recovered is not on the stack");
}

GOFUNC("runtime.checkdefer", void, rt_checkdefer, (bool *frame))
{
	stack_settle();
	GoFace *f = goface();
	GoDefer *d = f->defers;
	if (d != NULL && d->pfn == NULL && d->frame == frame) {
		pop(f, d);
		*frame = true;
		return;
	}
	check(f->caught != NULL, "checkdefer without an exception");
	_Unwind_Resume_or_Rethrow((struct _Unwind_Exception *)(void *)f->caught);
	throw("checkdefer: cannot throw on");
}

void
personality_caught(void *exception)
{
	goface()->caught = exception;
}

// --- the end of a process ------------------------------------------------------------------------

// Before anything is printed, as this runs code of the program.
static void
find_texts(GoPanic *p)
{
	for (; p != NULL; p = p->link)
		if (!p->goexit && p->text.p == NULL)
			p->text = panic_text(p->value);
}

static void
print_panics(const GoPanic *p)
{
	if (p->link != NULL) {
		print_panics(p->link);
		if (!p->link->goexit)
			print_str("\t");
	}
	if (p->goexit)
		return;
	print_str("panic: ");
	print_n(p->text.p, (size_t)p->text.n);
	if (p->recovered)
		print_str(" [recovered]");
	print_str("\n");
}

static void
tell(const void *v)
{
	print_panics(v);
	const Fault *fault = &goface()->fault;
	if (fault->sig != 0)
		fault_print(fault);
}

static NORETURN void
die_of(GoPanic *p)
{
	store_rlx(&fatal_panic, true); // order: hint
	find_texts(p);
	die_telling(tell, p);
}

// From gp on, the first that has panics whose deferred functions run.
static const G *
next_panicking(const G *gp)
{
	for (; gp != NULL; gp = gp->all_next) {
		const GoFace *f = gp->face;
		if (f != NULL && load_rlx(&f->panicking) != 0) // order: hint
			break;
	}
	return gp;
}

// The main goroutine returns: what is being told of a panic is told to its end first, and one that
// is on its way is given some time.  Outside of the runtime.
void
panic_wait(void)
{
	enum { TIMES = 1000 };
	const G *gp = sched_all_first();
	for (int i = 0; i < TIMES && (gp = next_panicking(gp)) != NULL; i++) {
		sched_enter();
		sched_gosched();
		sched_leave();
		os_yield();
	}
	if (load_rlx(&fatal_panic) || load_rlx(&base_dying) != 0) // order: hint
		base_hold_still();
}

// --- panic and Goexit ----------------------------------------------------------------------------

// The next record to run, or NULL. A record that has begun belongs to an older panic, whose
// deferred function has panicked anew: that panic is over.
static GoDefer *
next_to_run(GoFace *f)
{
	GoDefer *d;
	while ((d = f->defers) != NULL && d->pfn == NULL) {
		if (d->runs_in != NULL)
			d->runs_in->aborted = true;
		pop(f, d);
	}
	return d;
}

static void
run_in(GoFace *f, GoDefer *d, GoPanic *p)
{
	void (*fn)(void *) = d->pfn;
	d->pfn = NULL;
	d->runs_in = p;
	run(fn, d->arg);
	check(f->defers == d, "panic: a deferred function has left a record");
	d->runs_in = NULL;
}

static NORETURN void
go_on_exiting(GoFace *f, GoPanic *p);

// The newest panic is over.
static void
drop(GoFace *f)
{
	if (!f->panics->goexit)
		own_add(&f->panicking, -1U); // order: own
	f->panics = f->panics->link;
}

// The newest panic is recovered, by the function of the first record.
static NORETURN void
recover_to(GoFace *f)
{
	drop(f);
	if (f->panics != NULL && f->panics->goexit && f->panics->aborted) {
		GoPanic *g = f->panics;
		g->aborted = false;
		pop(f, f->defers);
		go_on_exiting(f, g);
	}
	while (f->panics != NULL && f->panics->aborted)
		drop(f);
	if (f->panics == NULL)
		f->fault.sig = 0;
	unwind(f);
}

GOFUNC("runtime.gopanic", NORETURN void, rt_gopanic, (Eface value))
{
	M *mp = sched_m();
	if (mp == NULL || mp->curg->face == NULL)
		throw("panic on a thread that runs no Go code");
	GoFace *f = goface();
	GoPanic p = {.value = value, .link = f->panics};
	f->panics = &p;
	own_add(&f->panicking, 1); // order: own
	for (GoDefer *d; (d = next_to_run(f)) != NULL;) {
		run_in(f, d, &p);
		if (p.recovered)
			recover_to(f);
		*d->frame = false;
		pop(f, d);
	}
	die_of(&p);
}

static void
go_on_exiting(GoFace *f, GoPanic *p)
{
	for (GoDefer *d; (d = next_to_run(f)) != NULL;) {
		run_in(f, d, p);
		pop(f, d);
	}
	while (f->panics != NULL)
		drop(f);
	goface_exit();
}

GOFUNC("runtime.Goexit", NORETURN void, rt_goexit, (void))
{
	GoFace *f = goface();
	GoPanic p = {.link = f->panics, .goexit = true};
	f->panics = &p;
	go_on_exiting(f, &p);
}
GOVALUE("runtime.Goexit", rt_goexit);

// --- what ends the process -----------------------------------------------------------------------

GOFUNC("runtime.panicgonil", NORETURN void, rt_panicgonil, (void))
{
	fatal("go of nil func value");
}

GOFUNC("sync.throw", NORETURN void, rt_sync_throw, (String s))
{
	fatal(string_to_c(s));
}

GOFUNC("runtime_throw", NORETURN void, rt_throw, (const char *text))
{
	fatal(text);
}

GOFUNC("runtime.throw", NORETURN void, rt_throw_go, (String s))
{
	fatal(string_to_c(s));
}
