// SPDX-License-Identifier: BSD-3-Clause A goroutine that runs out of stack ends the process with
// Go's text, a shortened traceback, the other goroutines, and status 2; whatever the size of its
// stack, and also while malloc's lock is held.
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "goroutines.h"

static void *volatile kept; // so that no allocation is optimised away

static __attribute__((noinline)) int
recurse_for_ever(int n)
{
	char frame[512];
	memset(frame, n, sizeof(frame));
	__asm__ volatile("" ::"r"(frame) : "memory");
	return n < 0 ? 0 : recurse_for_ever(n + 1) + frame[7];
}

static void
overflow(void *unused)
{
	(void)unused;
	recurse_for_ever(0);
	__asm__ volatile(""); // no tail call: this frame is looked for
}

static void
wait_for_ever(void *c)
{
	int v;
	go_chan_recv(c, &v, GO_NEVER);
}

static int
overflow_beside_others(void *stack_bytes)
{
	go_attr waiter = {.name = "bystander"};
	go_attr attr = {.stack_bytes = (size_t)(uintptr_t)stack_bytes};
	go_spawn_with(&waiter, wait_for_ever, go_chan_new(sizeof(int), 0));
	go_yield();
	go_spawn_with(&attr, overflow, NULL);
	go_sleep(20 * GO_SEC);
	return 0;
}

DEATH(overflow_default)
{
	go_run(overflow_beside_others, NULL);
}

DEATH(overflow_small)
{
	go_run(overflow_beside_others, (void *)1);
}

DEATH(overflow_large)
{
	go_run(overflow_beside_others, (void *)(uintptr_t)(100 << 20));
}

#define OVERFLOW_TEXTS									\
	.err_has = {"-byte limit\nruntime: sp=0x", " stack=[0x",			\
		    "]\nfatal error: stack overflow\n\n", "goroutine ",			\
		    " [running]:\nrecurse_for_ever(...)\n\t", "overflow.c:",		\
		    " \"bystander\" [chan receive]:\n"}

void
test_overflow_is_fatal(void)
{
	expect_death(overflow_default, .status = 2, .err = "runtime: goroutine stack exceeds ",
		     OVERFLOW_TEXTS);
	expect_death(overflow_small, .status = 2, .err = "runtime: goroutine stack exceeds ",
		     OVERFLOW_TEXTS);
	expect_death(overflow_large, .status = 2, .limit_ms = 20000,
		     .err = "runtime: goroutine stack exceeds ", OVERFLOW_TEXTS);
}

// Of many frames the innermost and the outermost fifty are shown.
void
test_overflow_elides_frames(void)
{
	expect_death(overflow_default, .status = 2,
		     .err_has = {"recurse_for_ever(...)\n", "\n...", " frames elided...\n",
				 "recurse_for_ever(...)\n", "\noverflow(...)\n",
				 "\ncreated by ", " in goroutine "});
}

// A fault in the middle of malloc, with its lock held: in a page of its arena that cannot be
// written.
static void
fault_in_malloc(void *unused)
{
	(void)unused;
	char *p = malloc(1 << 16);
	uintptr_t page = ((uintptr_t)p + (1 << 16) + 8192) & ~(uintptr_t)4095;
	free(p);
	mprotect((void *)page, 16 << 20, PROT_NONE);
	for (size_t bytes = 1000; bytes < 120000; bytes += 1000)
		kept = malloc(bytes);
}

static int
fault_in_malloc_run(void *unused)
{
	(void)unused;
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TOP_PAD, 8 << 20);
	go_spawn(fault_in_malloc, NULL);
	go_sleep(20 * GO_SEC);
	return 0;
}

DEATH(fault_in_malloc)
{
	go_run(fault_in_malloc_run, NULL);
}

void
test_fault_in_malloc_is_shown(void)
{
	expect_death(fault_in_malloc, .status = 2,
		     .err = "fatal error: unexpected signal\n[signal SIGSEGV",
		     .err_has = {"[running]:\n", "malloc", "fault_in_malloc(...)\n"});
}
