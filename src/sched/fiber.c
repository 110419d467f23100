// SPDX-License-Identifier: BSD-3-Clause
// Switching stacks with the sanitizers told; see fiber.h. Without sanitizers this file is empty.
#include "sched/fiber.h"

#if SANITIZE_THREAD

// Not instrumented itself: the shadow call stack changes under it. In a function of its own, right
// before the switch, or the leaving context's shadow stack would not balance.
__attribute__((noinline, no_sanitize("thread"))) void
fiber_switch(M *mp, G *from, G *to, bool ends, void (*entry)(void *))
{
	if (to != NULL && to->fiber == NULL)
		to->fiber = __tsan_create_fiber(0);
	void **save = ends ? NULL : from != NULL ? &from->sp : &mp->g0_sp;
	void *load = to != NULL ? to->sp : mp->g0_sp;
	__tsan_switch_to_fiber(to != NULL ? to->fiber : mp->fiber, TSAN_SWITCH_SYNC);
	fiber_jump(save, load, to, entry);
}

void
fiber_arrived(void)
{
}

void
fiber_thread(M *mp)
{
	mp->fiber = __tsan_get_current_fiber();
}

void
fiber_reset(G *gp)
{
	if (gp->fiber != NULL)
		__tsan_destroy_fiber(gp->fiber);
	gp->fiber = NULL;
}

#elif SANITIZE_ADDRESS

void
fiber_switch(M *mp, G *from, G *to, bool ends, void (*entry)(void *))
{
	void **save = ends ? NULL : from != NULL ? &from->sp : &mp->g0_sp;
	void *load = to != NULL ? to->sp : mp->g0_sp;
	void **fake = from != NULL ? &from->fake_stack : &mp->fake_stack;
	mp->fake_coming = to != NULL ? to->fake_stack : mp->fake_stack;
	if (to != NULL)
		__sanitizer_start_switch_fiber(ends ? NULL : fake, to->stack.lo,
					       (size_t)(to->stack.hi - to->stack.lo));
	else
		__sanitizer_start_switch_fiber(
			ends ? NULL : fake, mp->stack_lo,
			(size_t)((char *)mp->stack_hi - (char *)mp->stack_lo));
	fiber_jump(save, load, to, entry);
	fiber_arrived();
}

void
fiber_arrived(void)
{
	__sanitizer_finish_switch_fiber(sched_m()->fake_coming, NULL, NULL);
}

void
fiber_thread(M *mp)
{
	(void)mp;
}

void
fiber_reset(G *gp)
{
	gp->fake_stack = NULL;
}

#endif
