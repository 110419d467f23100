// SPDX-License-Identifier: BSD-3-Clause
// Switching stacks with the sanitizers told. Without sanitizers it is arch_switch alone.
//
// ThreadSanitizer: every switch is announced as one that synchronises, as it does in truth: both
// contexts are on one thread, and what the leaving one wrote into M and P the arriving one reads.
// AddressSanitizer: each context keeps its fake stack.
#ifndef UNDERGO_SCHED_FIBER_H
#define UNDERGO_SCHED_FIBER_H

#include "sched/sched.h"

#if SANITIZE_THREAD
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
enum { TSAN_SWITCH_SYNC = 0 };
#endif
#if SANITIZE_ADDRESS
void __sanitizer_start_switch_fiber(void **fake_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake, const void **bottom, size_t *size);
#endif

// The switch itself: from a context (its sp goes to *save; NULL: it ends) to a suspended one
// (load), or to a new one on `to`'s stack (load is NULL).
static inline __attribute__((always_inline)) void
fiber_jump(void **save, void *load, G *to, void (*entry)(void *))
{
	if (unlikely(save == NULL)) {
		if (likely(load != NULL))
			arch_resume(load);
		arch_enter(to->stack.hi, entry);
	}
	if (likely(load != NULL))
		arch_switch(save, load, NULL);
	else
		arch_start(save, to->stack.hi, entry);
}

// From mp's running G (NULL: its scheduler) to `to` (NULL: its scheduler), which begins with entry
// if it has never run. `ends`: the leaving context will not run again. Returns when somebody
// switches back, perhaps on another M.
#if SANITIZE_THREAD || SANITIZE_ADDRESS
void fiber_switch(M *mp, G *from, G *to, bool ends, void (*entry)(void *));
// First thing on a stack that was switched to for the first time.
void fiber_arrived(void);
// The calling thread's own stack belongs to mp's scheduler.
void fiber_thread(M *mp);
// gp is gone, its stack about to be reused.
void fiber_reset(G *gp);
#else
static inline __attribute__((always_inline)) void
fiber_switch(M *mp, G *from, G *to, bool ends, void (*entry)(void *))
{
	void **save = ends ? NULL : from != NULL ? &from->sp : &mp->g0_sp;
	fiber_jump(save, to != NULL ? to->sp : mp->g0_sp, to, entry);
}

static inline void
fiber_arrived(void)
{
}

static inline void
fiber_thread(M *mp)
{
	(void)mp;
}

static inline void
fiber_reset(G *gp)
{
	(void)gp;
}
#endif

#endif
