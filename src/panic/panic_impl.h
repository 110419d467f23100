// SPDX-License-Identifier: BSD-3-Clause
// What the files of src/panic share among themselves.
#ifndef UNDERGO_PANIC_IMPL_H
#define UNDERGO_PANIC_IMPL_H

#include <signal.h>

#include "panic/panic.h"

// GOTRACEBACK: how much a dying process says.
typedef enum TraceLevel {
	TRACE_NONE,   // no goroutines
	TRACE_SINGLE, // the current goroutine; all when the process dies of a fatal error
	TRACE_ALL,    // all goroutines of the program
	TRACE_SYSTEM, // the runtime's goroutines and frames too
	TRACE_CRASH,  // the same, then SIGABRT
} TraceLevel;
extern TraceLevel panic_trace_level; // set by panic_init, then constant

// A place to continue when walking a broken stack faults. Points to the newest one of this thread.
typedef struct Trap Trap;

// traceback.c
void trace_init(void);
// Where a walk of the present stack begins: what a signal interrupted (context), or a return address of
// a function that has called us.
typedef struct TraceStart {
	const void *context;
	uintptr_t pc;
} TraceStart;
// The frames of the present stack from `start` outwards.
void trace_here(const TraceStart *start, bool system);
// The frames of a G that does not run; the caller holds its scan bit.
void trace_parked(G *gp, bool system);
// Called by the handler of a fault: if a walk of this thread caused it, goes on behind that walk.
void trace_catch(void);

// dump.c
// The goroutines, the current one first, whose stack begins at `start`.
void dump_goroutines(const TraceStart *start, bool all, bool system);
// What the signal that this thread is handling interrupted; NULL outside.
const void *fault_context(void);

// fault.c
void fault_init(void);

#endif
