// SPDX-License-Identifier: BSD-3-Clause
// A goroutine of the runtime's own that does one kind of work whenever there is some, for ever.
//
// Invariants:
//   V1  While it waits it is not counted as a goroutine: it keeps nobody from seeing a deadlock,
//       and is none itself.
//   V2  Who makes work wakes it afterwards: it is in `parked`, or looks at idle() once more off
//       its stack.
//   V3  It never ends: where the work calls the program's code, and that calls go_exit, it begins
//       with work() again.
//   V4  It is born waiting, and runs for the first time when there is work.
#ifndef UNDERGO_GC_SERVICE_H
#define UNDERGO_GC_SERVICE_H

#include "sched/sched.h"
#include "sync/sync.h"

typedef struct Service {
	const char *name;
	WaitReason why;      // of its waits
	void (*work)(void);  // does what there is to do.  Runs on: it, inside the runtime
	bool (*idle)(void);  // whether there is nothing.  Locks: *lock held
	Mutex *lock;         // of what idle looks at
	ATOMIC(G *) g;       // who claimed starting writes
	ATOMIC_U32 starting; // claimed by who starts it
	G *parked;           // lock; V2
	ATOMIC_BOOL awake;   // its goroutine's own: it works, and is counted
} Service;

// Starts it, unless that was done. False without memory. Any number may call at once.
// Inside the runtime, no lock held.
bool service_start(Service *s);

static inline bool
service_started(const Service *s)
{
	return load_rlx(&s->g) != NULL; // order: hint
}

// Whether gp is one that has nothing to do: a part of the runtime, then, of which users are not
// told.
static inline bool
service_rests(const G *gp)
{
	const Service *s = gp->arg;
	return gp->begins_again && !load_rlx(&s->awake); // order: hint
}

// What count tells of the number of goroutines, without those of the runtime's own.
uint64_t service_others(uint64_t (*count)(void));

// There is work: unlocks and wakes it.  Locks: s->lock held, which it gives up; takes sched.
// Any thread.
void service_unlock_wake(Service *s);

#endif
