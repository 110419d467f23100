// SPDX-License-Identifier: BSD-3-Clause
// GODEBUG=stackpoison=1: at each collection dead frames of goroutines are overwritten.
//
// Below the stack pointer of a goroutine that is parked, or waits for its turn, lies what functions
// have left that have returned. A program that has kept the address of such a variable, or a mark
// that looks there, reads words that point nowhere.
//
// Only pages that have memory are written to: a stack does not grow of it.
#include "gc/poison.h"

#include "gc/gc_impl.h"
#include "sched/sched.h"

#define POISON_WORD UINT64_C(0xdeadf4a3dead57ac)

ANY_MEMORY static void
fill(uintptr_t lo, uintptr_t hi)
{
	for (volatile uint64_t *w = (uint64_t *)lo; w < (uint64_t *)hi; w++)
		*w = POISON_WORD;
}

static void
poison(uintptr_t lo, uintptr_t hi)
{
	size_t page = os_page_bytes();
	lo = (lo + 7) & ~(uintptr_t)7;
	hi &= ~(uintptr_t)7;
	while (lo < hi) {
		uintptr_t end = (lo | (page - 1)) + 1;
		if (end > hi)
			end = hi;
		if (os_resident((const void *)(lo & ~(page - 1)), page) != 0)
			fill(lo, end);
		lo = end;
	}
}

// Those that have run and do not run now. A stack that nobody has may be anybody's: a thread of the
// program may stand still in the midst of starting a goroutine on it. One that waits for a P as it
// changes stacks has its stack pointer on another one than G.stack, and is passed over.
ANY_MEMORY void
stacks_poison(void)
{
	for (G *gp = sched_all_first(); gp != NULL; gp = gp->all_next) {
		uint32_t status = load_acq(&gp->status); // order: observe <- finish_switch
		bool rests = status == Grunnable || status == Gwaiting;
		uintptr_t lo = (uintptr_t)gp->stack.lo, hi = (uintptr_t)gp->stack.hi;
		uintptr_t sp = (uintptr_t)gp->sp;
		if (rests && !gp->thread && sp >= lo && sp < hi)
			poison(lo, sp);
	}
}
