// SPDX-License-Identifier: BSD-3-Clause
// Deferred calls, panics and Goexit: the core that both faces use.
//
// Each G has a chain of deferred calls, newest first, and a chain of the panics that are under way.
// A panic walks the first on top of the stack as it is, calling one after the other. When one has
// recovered it, the goroutine goes on at a place where it can: the next record from there on whose
// kind has `resume`. Goexit is a panic that nobody recovers, and whose end is that of the
// goroutine.
//
//   C     records of GO_DEFER, which only run, and of go_protect (protect.h), which catch
//   Go    records of functions with defer, which run and, when recovered, resume: src/gccgo
//
// Invariants:
//   C1  A record is in the chain from defer_push until it is popped: by who pushed it, or by the
//       panic that has called it. While its call is under way it is the newest, but for those its
//       own call has pushed; fn is NULL then, and running tells which panic calls it, NULL for
//       none: the frame it belongs to ended in the ordinary way.
//   C2  A panic that finds a record with fn NULL passes it over. Whoever called it will never get
//       its return: if a panic did, that is aborted.
//   C3  Records below the newest are of frames further out. So popping one may drop those in front
//       of it without looking at them: their frames are gone.
//   C4  A Panic lies on the stack of its G, above all frames that it may leave, until it is over.
//   C5  Everything here but defer_push, defer_pop and panic runs outside of the runtime.
//   C6  A record that was passed over has no kind any more.
// Locks:  none. Only the goroutine itself, or the thread, touches its chains.
// The collector finds values and arguments where they are: records and Panics lie on stacks.
#ifndef UNDERGO_PANIC_CHAIN_H
#define UNDERGO_PANIC_CHAIN_H

#include "panic/fault.h"
#include "sched/sched.h"
#include "undergo/panic.h"

typedef struct Defer Defer;
typedef struct Panic Panic;
typedef struct go_value Value;

typedef struct DeferKind {
	bool catches; // recovers each panic that gets here; nothing is called
	// Makes the call. NULL: fn(d->arg).
	void (*call)(Defer *d, void (*fn)(void *));
	// Continues where d belongs to, of which the panic p was recovered; never returns. d is the
	// newest record, p no longer in the chain of panics. NULL: that is not possible here.
	void (*resume)(Defer *d, Panic *p);
} DeferKind;

struct Defer {
	Defer *link;
	const DeferKind *kind;
	Panic *running;     // C1: once fn is NULL
	void *frame;        // kinds with resume: frames that begin there or below are left then
	void (*fn)(void *); // NULL once the call has begun
	void *arg;
};

// What a panic leaves on its way to where the goroutine goes on.
typedef enum Crossing {
	CROSS_PLAIN,    // frames without cleanups: a jump will do
	CROSS_CLEANUPS, // frames that the unwinder has to visit
	CROSS_BLIND,    // one that has no tables
} Crossing;

struct Panic {
	Panic *link;   // the one before it, that is still under way
	Value value;
	const Fault *fault; // NULL: none caused it
	Defer *runs;   // the record whose call is under way
	const Defer *looked; // crossing is the way to its frame
	Crossing crossing;
	bool goexit;
	bool recovered;
	bool caught;   // by a record that catches
	bool aborted;  // C2
	bool telling;  // its text is being made
};

// --- chain.c ---------------------------------------------------------------------------------

static inline void
defer_push(G *gp, Defer *d)
{
	d->link = gp->defers;
	gp->defers = d;
}

// C3
static inline void
defer_pop(G *gp, Defer *d)
{
	gp->defers = d->link;
}

// Takes d out, wherever in the chain it is; for records whose frames do not nest. Nothing when it
// is not there.
void defer_remove(G *gp, Defer *d);

// A panic; fault may be NULL.  Stack: user.
NORETURN void panic_raise(const Value *v, const Fault *fault);
// The program broke a rule of Go: "panic: why", a value that can be recovered.  Inside the runtime,
// which it leaves, with no lock held; or outside.
COLD NORETURN void panic(const char *why);
// The same, of a text that ends with a name.
COLD NORETURN void panic_of(const char *why, const char *name);
// Asked by panic first: returns unless the panic is one of Go code. Set once by the Go face; else
// NULL.
extern void (*panic_in_go)(const char *why);
// Runs what is deferred, then ends the goroutine.
NORETURN void panic_goexit(void);
// Recovers the newest panic if the record that it calls is the newest one. NULL when not; else the
// panic, whose value may be had as long as that call lasts.
Panic *panic_recover(G *gp);

// --- value.c ---------------------------------------------------------------------------------

Value value_text(const char *text);       // a string; NULL: none
Value value_runtime(const char *text);    // a runtime error; the whole text
Value value_runtime_of(const char *text, const char *name); // text and name
size_t value_write(const Value *v, char *buf, size_t bytes); // as snprintf
void value_print(const Value *v);         // to the print_ descriptor. Calls nothing of the program
// Replaces what only a function of the program can tell by its text.
void value_settle(Value *v);
const char *value_error_text(int code);

// --- cross.c ---------------------------------------------------------------------------------

// Looks at the frames from the caller's on whose stack pointer is not above `until`; UINTPTR_MAX:
// all. CROSS_BLIND: *blind is where it cannot see further.
Crossing cross_look(uintptr_t until, uintptr_t *blind);

// Runs the cleanups of these frames, then calls arrive(arg), which does not return, with all of
// them gone. *u has to lie further out, or nowhere on this stack.
typedef struct Unwinding {
	_Alignas(16) uint64_t exception[4]; // of the unwinder
	uintptr_t until;
	void (*arrive)(void *arg);
	void *arg;
} Unwinding;
NORETURN void cross_unwind(Unwinding *u);

// --- fault.c ---------------------------------------------------------------------------------

// For the Go face: whether a fault at pc, of a goroutine's own code, is a panic whatever the
// goroutine has asked for. NULL: never.  Stack: signal.
extern bool (*fault_in_go)(uintptr_t pc);

#endif
