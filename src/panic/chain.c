// SPDX-License-Identifier: BSD-3-Clause
// The course of a panic, and of Goexit. See chain.h for the invariants.
//
//	panic_raise                panic_goexit
//	     |                          |
//	     v        next record       v
//	+--> run ---> begun before: its panic is aborted, pass it over --+
//	|    | | |                                                       |
//	|    | | +--> call it ---> not recovered ------------------------+---> run
//	|    | |              `--> recovered ---> go_on
//	|    | +----> catches ------------------> go_on ---> resume, at the first record that can;
//	|    |                                      |        others on the way there are called
//	|    +------> no more: die, or              |
//	|             end the goroutine <-----------+ no more
//	|                                           |
//	+-- the Goexit that a recovered panic <-----+
//	    has cut short goes on
#include "panic/chain.h"

#include <string.h>

#include "gc/gc.h"
#include "os/os.h"
#include "panic/panic_impl.h"

// --- the chain -------------------------------------------------------------------------------

void
defer_remove(G *gp, Defer *d)
{
	for (Defer **at = &gp->defers; *at != NULL; at = &(*at)->link) {
		if (*at == d) {
			*at = d->link;
			return;
		}
	}
}

// The record at which a panic that begins now would be over, if all of those in front let it pass.
static const Defer *
next_resume(const G *gp)
{
	const Defer *d = gp->defers;
	while (d != NULL && (d->kind->resume == NULL || d->fn == NULL))
		d = d->link;
	return d;
}

typedef struct Call {
	G *gp;
	Panic *p;
	Defer *d;
	bool returned;
} Call;

// An exception of C++ that passes takes the panic, its frames and the record along. When those of a
// later panic are left, or all, the chains are further out already.
static void
call_ends(const Call *c)
{
	if (c->returned || c->gp->panics != c->p)
		return;
	c->gp->panics = c->p->link;
	if (!c->p->aborted)
		c->gp->defers = c->d->link; // C3
}

// Calls the newest record, which stays where it is.
static void
call(G *gp, Panic *p, Defer *d)
{
	__attribute__((cleanup(call_ends))) Call c = {gp, p, d, false};
	void (*fn)(void *) = d->fn;
	p->runs = d;
	d->running = p;
	d->fn = NULL; // C1
	if (d->kind->call != NULL)
		d->kind->call(d, fn);
	else
		fn(d->arg);
	c.returned = true;
	d->running = NULL;
	p->runs = NULL;
}

// The newest record, if its call has not begun; NULL when there is none. C2
static Defer *
next_to_call(G *gp)
{
	Defer *d;
	while ((d = gp->defers) != NULL && d->fn == NULL) {
		if (d->running != NULL)
			d->running->aborted = true;
		gp->defers = d->link;
		d->kind = NULL; // C6
	}
	return d;
}

// --- dying -----------------------------------------------------------------------------------

// Oldest first, as Go does.
static void
tell_chain(const Panic *p)
{
	if (p->link != NULL) {
		tell_chain(p->link);
		if (!p->link->goexit)
			print_str("\t");
	}
	if (p->goexit)
		return;
	if (p->value.repanicked && !(p->link != NULL && p->link->recovered)) {
		print_str("panic: ");
		value_print(&p->value);
		print_str(" [recovered]\n\t");
	}
	print_str("panic: ");
	value_print(&p->value);
	print_str(p->recovered ? " [recovered]\n" : "\n");
}

static void
tell(const void *v)
{
	const Panic *p = v;
	tell_chain(p);
	if (p->fault != NULL)
		fault_print(p->fault);
}

// The texts are made while the program still runs, and printed when nothing of it runs any more.
static COLD NORETURN void
die_of(Panic *p)
{
	p->telling = true;
	for (Panic *q = p; q != NULL; q = q->link)
		value_settle(&q->value);
	p->telling = false;
	die_telling(tell, p);
}

// p came while a text was being made, and nothing that makes it has caught p.
static bool
in_telling(const Panic *p)
{
	while ((p = p->link) != NULL)
		if (p->telling)
			return true;
	return false;
}

static COLD NORETURN void
die_of_telling(const Value *v)
{
	enum { TEXT_BYTES = 256 };
	static const char head[] = "panic while printing panic value: ";
	char text[sizeof(head) + TEXT_BYTES];
	memcpy(text, head, sizeof(head) - 1);
	Value w = *v;
	w.type = NULL; // no function of the program once more
	value_write(&w, text + sizeof(head) - 1, TEXT_BYTES);
	fatal(text);
}

// --- what a panic leaves ---------------------------------------------------------------------

static void
tell_blind(const void *pc)
{
	dump_frame(*(const uintptr_t *)pc);
}

// Before the frames up to that of d are left, or anything is called: that they can be.
static void
look_ahead(Panic *p, const Defer *d)
{
	uintptr_t blind = 0;
	p->looked = d;
	p->crossing = d != NULL ? cross_look((uintptr_t)d->frame, &blind) : CROSS_PLAIN;
	if (p->crossing == CROSS_BLIND)
		fatal_told("panic through a function without unwind tables", tell_blind, &blind);
}

// --- running ---------------------------------------------------------------------------------

static NORETURN void run(G *gp, Panic *p);

static void
end_inside(void *unused)
{
	(void)unused;
	G *gp = sched_enter();
	gp->defers = NULL;
	gp->panics = NULL;
	sched_exit();
}

// All is called that was deferred. Cleanups of C++ come last; a frame without tables hides none
// that we could run.
static NORETURN void
end_goroutine(void)
{
	uintptr_t blind;
	Unwinding *u = NULL;
	if (cross_look(UINTPTR_MAX, &blind) == CROSS_CLEANUPS) {
		sched_enter();
		u = gc_alloc(sizeof(*u), KIND_SCAN); // this stack is going to be overwritten
		sched_leave();
	}
	if (u == NULL)
		end_inside(NULL);
	sched_g()->panics = NULL; // their frames go first, and what runs meanwhile may panic
	*u = (Unwinding){.until = UINTPTR_MAX, .arrive = end_inside};
	cross_unwind(u);
}

// p is recovered. The newest record is the one whose call has done it, or one that catches.
static NORETURN void
go_on(G *gp, Panic *p)
{
	Defer *d = gp->defers;
	while (d != NULL && d->kind->resume == NULL) {
		if (d->fn != NULL)
			call(gp, p, d);
		gp->defers = d->link;
		d = next_to_call(gp);
	}
	// Those that p has cut short are over with it, but not a Goexit.
	gp->panics = p->link;
	while (gp->panics != NULL && gp->panics->aborted && !gp->panics->goexit)
		gp->panics = gp->panics->link;
	Panic *exits = gp->panics;
	if (exits != NULL && exits->aborted) {
		exits->aborted = false;
		run(gp, exits);
	}
	if (d == NULL)
		end_goroutine();
	if (d != p->looked)
		look_ahead(p, d);
	d->kind->resume(d, p);
	__builtin_unreachable();
}

static NORETURN void
run(G *gp, Panic *p)
{
	for (Defer *d; (d = next_to_call(gp)) != NULL;) {
		if (d->kind->catches && !p->goexit) {
			p->recovered = p->caught = true;
			go_on(gp, p);
		}
		if (!d->kind->catches)
			call(gp, p, d);
		if (p->recovered)
			go_on(gp, p);
		gp->defers = d->link;
	}
	if (unlikely(in_telling(p)))
		die_of_telling(&p->value);
	if (p->goexit)
		end_goroutine();
	die_of(p);
}

// --- beginning -------------------------------------------------------------------------------

static bool
on_own_stack(const M *mp, const G *gp)
{
	uintptr_t sp = (uintptr_t)arch_sp();
	if (os_simulated)
		return true;
	if (gp->thread)
		return sp >= (uintptr_t)mp->stack_lo && sp < (uintptr_t)mp->stack_hi;
	return sp >= (uintptr_t)gp->stack.lo && sp < (uintptr_t)gp->stack.hi;
}

// The G that runs, and may panic here.
static G *
begin(void)
{
	if (sched_m() == NULL) {
		sched_enter();
		sched_leave();
	}
	const M *mp = sched_m();
	G *gp = mp->curg;
	if (gp == NULL || load_rlx(&mp->lease.inrt) != 0) // order: own
		fatal("panic inside the runtime");
	if (!on_own_stack(mp, gp))
		fatal("panic on system stack");
	return gp;
}

void
panic_raise(const Value *v, const Fault *fault)
{
	G *gp = begin();
	Panic p = {.link = gp->panics, .value = *v, .fault = fault};
	if (p.value.kind == GO_VALUE_NONE)
		p.value = value_runtime("panic called with nil argument");
	look_ahead(&p, next_resume(gp));
	gp->panics = &p;
	run(gp, &p);
}

void (*panic_in_go)(const char *why);

// Outside of the runtime, wherever it was.
static void
get_outside(void)
{
	M *mp = sched_m();
	if (mp != NULL && mp->curg != NULL && load_rlx(&mp->lease.inrt) != 0) // order: own
		sched_leave();
}

void
panic(const char *why)
{
	get_outside();
	if (panic_in_go != NULL)
		panic_in_go(why);
	Value v = value_runtime(why);
	panic_raise(&v, NULL);
}

void
panic_of(const char *why, const char *name)
{
	get_outside();
	Value v = value_runtime_of(why, name);
	panic_raise(&v, NULL);
}

void
panic_goexit(void)
{
	G *gp = begin();
	Panic p = {.link = gp->panics, .goexit = true};
	gp->panics = &p;
	run(gp, &p);
}

Panic *
panic_recover(G *gp)
{
	Panic *p = gp->panics;
	if (p == NULL || p->goexit || p->recovered || p->runs == NULL || p->runs != gp->defers)
		return NULL;
	if (gp->thread && next_resume(gp) == NULL)
		return NULL;
	p->recovered = true;
	return p;
}
