// SPDX-License-Identifier: BSD-3-Clause
// The events of a trace: what goroutines and processors do, in the format of Go 1.11's traces.
#ifndef UNDERGO_SCHED_EVENTS_H
#define UNDERGO_SCHED_EVENTS_H

#include "sched/sched.h"

// --- for who has the trace -----------------------------------------------------------------------

enum { EVENT_FRAMES = 48 }; // of a stack at most

// What only the face knows.  Stack: of both, the caller's; they take no lock.
typedef struct EventSource {
	size_t (*callers)(uintptr_t *pcs, size_t max); // the stack that it is called on
	uintptr_t (*entry)(const G *gp); // an address in what a new G runs
} EventSource;

// Begins a trace, of which there is one at a time. 0 or GO_ENOMEM.  Inside the runtime.
int events_start(const EventSource *source);
// Ends it: from then on all that was told can be taken.  Inside the runtime.
void events_stop(void);

// Takes what was told first, whole batches of events: how many bytes; 0: there is nothing yet, or
// any more.  There is room for EVENTS_TAKEN.
enum { EVENTS_TAKEN = 32 << 10 };
size_t events_take(uint8_t *to);
// Gives their memory back; nothing of them is read any more.
void events_forget(void);
// Whether events were left out since there was no room: from some moment on, all.
bool events_were_cut(void);
// Whether some have no stack or no text, since there was no room for more of those.
bool events_lack_notes(void);

// Stacks and texts that events name by a number. Of a trace that has ended, the last first.
typedef struct EventNote EventNote;
struct EventNote {
	const EventNote *older;
	uint64_t id;
	size_t bytes;
	uint64_t data[]; // of stacks: return addresses, from the inside
};
const EventNote *events_stacks(void);
const EventNote *events_texts(void);

extern ATOMIC_BOOL events_recorded;
// Whether there is a trace. A guess outside of the runtime.
static inline bool
events_on(void)
{
	return unlikely(load_rlx(&events_recorded)); // order: hint, or the world is not stopped
}

// --- what the program tells of itself ------------------------------------------------------------

// Of the running G, inside the runtime. Regions of threads of the program are left out, since
// without a processor they are nobody to the format, and all nobodies are one.
void events_task(uint64_t id, uint64_t parent, const char *type, size_t n);
void events_task_end(uint64_t id);
void events_region(uint64_t task, bool ends, const char *type, size_t n);
void events_log(uint64_t task, const char *key, size_t n, const char *text, size_t text_n);
void events_syscall(void);

// --- what the scheduler tells --------------------------------------------------------------------

void events_ready(G *gp);
void events_parks(G *gp, WaitReason why);
void events_yields(G *gp);
void events_ends(G *gp);
void events_runs(G *gp);
// mp has got pp, and is about to lose it.  The caller owns pp.
void events_p_begins(M *mp, P *pp);
void events_p_ends(M *mp, P *pp);
// There are so many Ps now.  World stopped.
void events_procs(uint32_t n);

#endif
