// SPDX-License-Identifier: BSD-3-Clause
// What the files of the collector share.
//
// A cycle (collect.c), all on the M that began it unless it says otherwise:
//   1 finish sweeping
//   2 roots_prepare: what needs locks of libc or of the loader is looked at now
//   3 sched_stop_world: no P runs, no G is inside the runtime on a P. Then foreign_lock: no thread
//     without a P is inside the allocator, and nothing is being swept
//   4 threads_stop: every other thread of the process stands still, wherever it is. From here to 9
//     nothing of libc is called, and no lock that a stopped thread may hold is taken. Should some
//     thread not come there is no cycle now
//   5 flush all Mcaches, heap_premark
//   6 roots_gather: ranges of memory that may hold pointers
//   7 mark from them, on all workers
//   8 the records of finalizers are made ready for the next mark (special.c)
//   9 heap_start_sweep, threads_resume, release foreign_lock, sched_start_world
//  10 the workers sweep while the program runs
#ifndef UNDERGO_GC_GC_IMPL_H
#define UNDERGO_GC_GC_IMPL_H

#include "gc/gc.h"
#include "os/os.h"

// --- stop.c: every thread of the process --------------------------------------------------------

// Stops all threads of the process but the caller, the collector's and the runtime's own that hold
// no pointers of the program (the monitor, Ms without a G in user code). World stopped. Unless all
// are HALTED they go on. LATE: some thread did not come; the world must go on, too, and
// threads_failed be called. REFUSED: there is no memory for it.
typedef enum Halt { HALTED, HALT_LATE, HALT_REFUSED } Halt;
Halt threads_stop(void);
// Lets them go on.
void threads_resume(void);
// The calling thread, whose number this is, is never stopped: one of the collector's.
void threads_exempt(int tid);
// Whether the last try has failed, and a cycle that can wait shall not begin yet. Any thread.
bool threads_held_off(void);
// After threads_stop has failed, while all run: whether one who needs the cycle shall wait for
// threads_again_at, to try again. False: that has gone on for long, which standard error is told.
bool threads_failed(void);
int64_t threads_again_at(void);

// --- roots.c ------------------------------------------------------------------------------------

// Memory that may hold pointers, word by word.
typedef struct RootRange {
	const char *lo, *hi;
} RootRange;

// A growing array in memory of the system's, not of libc's.
typedef struct RootSet {
	RootRange *ranges;
	size_t n, cap;
	size_t threads, goroutines, named; // where ranges of these begin; globals are the first
	size_t bytes;       // of all ranges
	size_t stack_bytes; // of those on stacks of goroutines
	size_t stack_pages; // of the pages these are in
} RootSet;

// Before the stop: the writable segments of all loaded objects, their thread-local blocks.
bool roots_prepare(void); // false: no memory
// After it: globals, stacks, registers, thread-locals, explicit roots. Of the caller's stack what
// lies from sp up is looked at; that holds the registers he has to keep, and nothing of it may be
// gone when the mark begins. Ranges are cut to at most ROOT_RANGE_MAX bytes. False: a module was
// loaded or unloaded in between, or there was no memory for the array; start anew.
enum { ROOT_RANGE_MAX = 128 << 10 };
bool roots_gather(RootSet *set, const void *sp);

// Zeroed memory of the collector's own, for good, that no root is near; bytes is some pages. NULL
// without memory.
void *gc_map(size_t bytes);

// --- mark.c -------------------------------------------------------------------------------------

typedef struct Marker Marker; // one for each worker

// Marks the object that word points to or into, if it is one, and queues it.
void mark_word(Marker *m, uintptr_t word);
// Marks from each aligned word of [lo, hi).
void mark_range(Marker *m, const char *lo, const char *hi);
// Marks from what the object in the slot points to, not the object. mark_recover does not find such
// an object again: see specials_mark_again.
void mark_contents(Marker *m, Slot s);
// Works until nothing is left to scan. One worker, after mark_drain of all.
void mark_settle(Marker *m);
// Works until nothing that this worker can find is left to scan.
void mark_drain(Marker *m);
// Whether the slot is marked; M2.
static inline bool
slot_marked(Slot s)
{
	uint64_t w = load_rlx(slot_mark_word(s)); // order: STW, or swept under a lock
	return (w >> (s.index % 64) & 1) != 0;
}

// --- special.c: finalizers, cleanups, weak pointers ----------------------------------------------

// Step 7: marks what finalizers and cleanups keep alive: their arguments, and what the object of a
// finalizer points to. Called by each worker; they share the work.
void specials_mark_roots(Marker *m);
// The same all over, by one worker who settles each before the next: for mark_recover.
void specials_mark_again(Marker *m);
// Step 8: the mark is complete, the next one begins anew.
void specials_after_mark(void);
// What go_free must drop first.  Locks: takes special.
void specials_drop(Slot s);
// Runs what sweeping has queued: wakes the goroutine that does.
void specials_wake(void);

#endif
