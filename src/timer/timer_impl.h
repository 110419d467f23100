// SPDX-License-Identifier: BSD-3-Clause
// What the files of src/timer share among themselves.
#ifndef UNDERGO_TIMER_IMPL_H
#define UNDERGO_TIMER_IMPL_H

#include "os/os.h"
#include "sched/sched_up.h"
#include "sync/biased.h"
#include "timer/timer.h"
#include "undergo/base.h"

enum {
	HEAP_FIRST = 8,         // places a heap has from the start
	HEAP_CAP_MAX = 1 << 29, // so that 4 * index + 4 fits into 32 bits
	FIRE_AT_ONCE = 64,      // timers fired in a row
};

typedef struct TimerEntry {
	int64_t when;
	Timer *t;
} TimerEntry;

// heap.c; guarded by Timers.lock as a whole.
typedef struct TimerHeap {
	TimerEntry *entry; // n in use, room for cap
	uint32_t n;
	uint32_t cap;
	uint32_t cap_max; // HEAP_CAP_MAX; tests make it smaller
	uint32_t n_spill;
	Timer *spill; // timers for which there was no memory
	TimerEntry first[HEAP_FIRST];
} TimerHeap;

struct Timers {
	Biased lock;      // rank timers; its owner is who has the P, inside the runtime
	P *p;             // set before publication
	Timers *all_next; // set before publication
	TimerHeap heap;
	ATOMIC_U64 fired;  // lock writes; count
	Timer *unused;     // owner P: user.c keeps a few of its timers
	uint32_t n_unused; // owner P
};

void heap_init(TimerHeap *h);
void heap_fini(TimerHeap *h);
void heap_push(TimerHeap *h, Timer *t, int64_t when);
void heap_remove(TimerHeap *h, Timer *t);
void heap_remove_first(TimerHeap *h); // without a look at the timer
void heap_move(TimerHeap *h, Timer *t, int64_t when);
void heap_verify(const TimerHeap *h);

// Whether t, which may be no timer, has a place in the array.
static inline bool
heap_has(const TimerHeap *h, const Timer *t)
{
	uint32_t i = load_rlx(&t->index); // order: hint, the entry decides
	return i < h->n && h->entry[i].t == t;
}

// The earliest; t is NULL when there is none.
static inline TimerEntry
heap_first(const TimerHeap *h)
{
	return h->n != 0 ? h->entry[0] : (TimerEntry){INT64_MAX, NULL};
}

#endif
