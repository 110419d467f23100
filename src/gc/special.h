// SPDX-License-Identifier: BSD-3-Clause
// What is attached to objects: finalizers, cleanups, weak pointers. For the faces, and between
// special.c, which has the tables, and final.c, which has the queue of what shall run.
#ifndef UNDERGO_GC_SPECIAL_H
#define UNDERGO_GC_SPECIAL_H

#include "gc/gc_impl.h"

typedef void FinalizerFn(void *p, void *arg);
typedef void CleanupFn(void *arg);

// --- for the faces: special.c -------------------------------------------------------------------
//
// All: inside the runtime, no lock held.  Blocks: M.

// What the pointer of a finalizer must point to. Anything: a small object without pointers may lie
// in a block with others. Each pointer into one has a finalizer of its own, and all of them are
// called when the whole block is dead: later than one could expect, or never.
typedef enum PointsTo { POINTS_TO_BEGINNING, POINTS_TO_ANYTHING } PointsTo;
// fn NULL takes the finalizer away. 0 or GO_ENOMEM.
int special_set_finalizer(void *p, PointsTo to, FinalizerFn *fn, void *arg);
// To an object, or into one; 0 without memory.
uint64_t special_add_cleanup(void *p, CleanupFn *fn, void *arg);
// The object in the slot is a sample of the heap profile. False without memory.
bool special_add_sample(Slot s, uintptr_t site);
bool special_stop_cleanup(void *p, uint64_t id);
struct go_weak *special_weak_new(void *p); // NULL without memory, or outside of the heap
void *special_weak_get(struct go_weak *w);
void special_weak_free(struct go_weak *w);

// Tells what specials_mark_roots marks: words, and objects whose contents live.  STW.
void specials_visit(void (*word)(uintptr_t w), void (*contents)(Slot s));

// Tells of each finalizer: the object, the pointer to it, and what was set.  STW.
void specials_each_finalizer(void (*tell)(void *ctx, Slot s, void *p, FinalizerFn *fn, void *arg),
			     void *ctx);

// Looks whether what special.c says of itself holds, for a heap walk.  STW, all is swept.
void specials_verify(void);

// --- between special.c and final.c ---------------------------------------------------------------

extern Mutex special_lock; // rank special: the tables, their records, the queue

// A record of RECORD_BYTES, not zeroed; NULL without memory.  Locks: special_lock held.
enum { RECORD_BYTES = 40 };
void *record_new(void);
void record_free(void *record);

// Starts the goroutine that runs what is queued, unless it is there. False without memory.
// Locks: none.
bool final_start(void);
// Makes sure that one more call can be queued without memory. False when that cannot be promised.
// Locks: special_lock held.
bool final_reserve(void);
void final_unreserve(void);
// Queues a call that was reserved: fn(p, arg), or fn(arg) when p is 0.  Locks: special_lock held.
void final_queue(uintptr_t fn, uintptr_t p, uintptr_t arg);
// Marks what is queued. Any thread, at any time.
void final_mark(Marker *m);
// Tells the same.
void final_visit(void (*word)(uintptr_t w));
// At the end of a cycle: says so when one call has kept the others waiting for long.  Locks: takes
// special.  Runs on: who holds gc.busy.
void final_watch(int64_t now);

#endif
