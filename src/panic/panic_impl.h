// SPDX-License-Identifier: BSD-3-Clause
// What the files of src/panic share among themselves.
#ifndef UNDERGO_PANIC_IMPL_H
#define UNDERGO_PANIC_IMPL_H

#include "base/line.h"
#include "panic/fault.h"
#include "panic/panic.h"

// GOTRACEBACK: how much a dying process says.
typedef enum TraceLevel {
	TRACE_NONE,   // no goroutines
	TRACE_SINGLE, // the current goroutine; all when the process dies of a fatal error
	TRACE_ALL,    // all goroutines of the program
	TRACE_SYSTEM, // the runtime's goroutines and frames too
	TRACE_CRASH,  // the same, then SIGABRT
} TraceLevel;

// --- traceback.c ------------------------------------------------------------------------------

// Where a walk of the present stack begins: at what a signal interrupted, when context is set, else
// at the return address pc of a caller.
typedef struct TraceStart {
	const void *context;
	uintptr_t pc;
	uintptr_t sp;
} TraceStart;

// Prints the frames of the present stack from `start` outwards. system: the runtime's frames too.
void trace_here(const TraceStart *start, bool system);
// What a walk found: addresses, so that naming and printing, which take long, come later.
enum { WALK_HALF = 50 }; // frames kept at either end

typedef struct Frame {
	uintptr_t pc;
	bool exact; // pc is where it was interrupted, not a return address
} Frame;

typedef struct Walk {
	uintptr_t start; // frames before the one with this pc are ours
	bool start_exact; // that is where a signal interrupted
	bool started;
	uint32_t ours;
	uint64_t most; // no more frames are walked
	bool cut;      // there were more
	bool broken;   // it faulted
	uint64_t n;
	uintptr_t cfa; // of the frame before
	Frame inner[WALK_HALF];
	Frame outer[WALK_HALF]; // a ring: frame i lies at i % WALK_HALF
} Walk;

// Walks the stack of a G that does not run. The caller holds its scan bit.  Blocks: no.
void trace_parked(const G *gp, Walk *w);
// For a signal's handler: walks what it interrupted, within a moment. There is a frame at least.
// Stack: signal; some 4 KiB.
void trace_told(Walk *w, const void *context);
// Has the unwinder set itself up.
void trace_ready(void);
void trace_print(const Walk *w, bool system);
// "created by f in goroutine id", and the place that returns to pc.
void trace_creator(uintptr_t pc, uint64_t id);
// What has to be said once about names that were missing since the last time.
void trace_remark(void);
// Called by the handler of a fault: when a walk of this thread caused it, continues behind that
// walk and does not return. Stack: signal.
void trace_catch(void);
// For a signal's handler that interrupted what was at pc: the addresses from there outwards, as
// return addresses are; how many, 0 when nothing was found.  Stack: signal; some 4 KiB.
size_t trace_interrupted(uintptr_t pc, uintptr_t *pcs, size_t max);

// Calls fn for each function at the return address pc, those inlined there first, with what is
// known of them: NULL and 0 when it is not. The runtime's own are left out, but for go_ functions;
// then fn may not be called at all. With system they are told, too.  Stack: some ten KiB.
typedef void NameFn(void *ctx, const char *function, const char *file, int line);
void trace_name(uintptr_t pc, bool system, NameFn *fn, void *ctx);

// --- dump.c -----------------------------------------------------------------------------------

void dump_init(void);

// A turn at what takes long and is seldom wanted. No lock of a rank: who has it may park, and who
// waits may be anybody, a thread that no runtime knows included. He looks each millisecond.
typedef struct Turn {
	ATOMIC_BOOL taken;
} Turn;
void turn_take(Turn *t); // Blocks: M
void turn_give(Turn *t);

// Runs fn on the stack that go_dump has, printing to fd. False: not all of it was written.
// Blocks: M, while another one has it.
bool dump_stack_run(int fd, void (*fn)(void *), void *arg);
// Prints the frame at pc. Dying, the headline is out.
void dump_frame(uintptr_t pc);
// What SIGQUIT does: prints all goroutines, as the one death of the process, which the caller has
// claimed. With GOTRACEBACK=none nothing.  Stack: signal.
void dump_dying(const TraceStart *start);
bool dump_aborts(void); // GOTRACEBACK=crash: a death ends by a signal

// --- fault.c ----------------------------------------------------------------------------------

void fault_init(void);
_Noreturn void fault_abort(void);
// What the fatal signal that this thread is handling interrupted; NULL when it handles none.
const void *fault_context(void);

#endif
