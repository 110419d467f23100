// SPDX-License-Identifier: BSD-3-Clause
// Fibers, which play the threads of a test, and what each of them has for itself.
#include "explore_engine.h"

typedef struct {
	void *p;
	size_t bytes;
	char saved[EXPLORE_THREADS][64];
} ThreadLocal;

static ThreadLocal tlocals[4];

#ifdef __x86_64__
void explore_switch(void **save, void *load);
__asm__(".text\n"
	".globl explore_switch\n"
	".type explore_switch, @function\n"
	"explore_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	popq %rcx\n"
	"	jmp *%rcx\n"
	".size explore_switch, .-explore_switch\n");

void
explore_fiber_init(Thread *t)
{
	void **sp = (void **)(void *)(t->stack + STACK_BYTES);
	*--sp = NULL; // keeps the entry's stack aligned
	*--sp = (void *)(uintptr_t)explore_fiber_main;
	for (int i = 0; i < 6; i++)
		*--sp = NULL;
	t->sp = sp;
}

void
explore_switch_fibers(Thread *from, Thread *to)
{
	explore_switch(&from->sp, to->sp);
}

void
explore_switch_from_main(Thread *to)
{
	explore_switch(&S.main_sp, to->sp);
}

void
explore_switch_to_main(Thread *from)
{
	explore_switch(&from->sp, S.main_sp);
}
#else
void
explore_fiber_init(Thread *t)
{
	getcontext(&t->uc);
	t->uc.uc_stack.ss_sp = t->stack;
	t->uc.uc_stack.ss_size = STACK_BYTES;
	t->uc.uc_link = NULL;
	makecontext(&t->uc, explore_fiber_main, 0);
}

void
explore_switch_fibers(Thread *from, Thread *to)
{
	swapcontext(&from->uc, &to->uc);
}

void
explore_switch_from_main(Thread *to)
{
	swapcontext(&S.main_uc, &to->uc);
}

void
explore_switch_to_main(Thread *from)
{
	swapcontext(&from->uc, &S.main_uc);
}
#endif

void
explore_swap_thread_locals(int from, int to)
{
	for (int i = 0; i < S.tlocals; i++) {
		memcpy(tlocals[i].saved[from], tlocals[i].p, tlocals[i].bytes);
		memcpy(tlocals[i].p, tlocals[i].saved[to], tlocals[i].bytes);
	}
}

void
explore_thread_local(void *p, size_t bytes)
{
	for (int i = 0; i < S.tlocals; i++)
		if (tlocals[i].p == p)
			return;
	if (S.tlocals == 4 || bytes > sizeof(tlocals[0].saved[0]))
		explore_fail("explore_thread_local: too many or too large");
	tlocals[S.tlocals].p = p;
	tlocals[S.tlocals].bytes = bytes;
	S.tlocals++;
}


void
explore_thread_locals_reset(void)
{
	for (int i = 0; i < S.tlocals; i++)
		memset(tlocals[i].saved, 0, sizeof(tlocals[i].saved));
}

void
explore_thread_locals_clear(void)
{
	for (int i = 0; i < S.tlocals; i++)
		memset(tlocals[i].p, 0, tlocals[i].bytes);
}
