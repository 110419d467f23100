// SPDX-License-Identifier: BSD-3-Clause
// Stacks of goroutines: slots of a few size classes, carved from large reserved arenas.
//
// A slot is committed by touch and ends below in a guard. Guards are MADV_GUARD_INSTALL markers
// where the kernel has them (no mapping of their own, so a million guarded stacks cost nothing),
// PROT_NONE pages up to a budget below that, and beyond it stacks go unguarded, which is counted
// and reported.
#ifndef UNDERGO_MEM_STACK_H
#define UNDERGO_MEM_STACK_H

#include "base/base.h"

typedef struct Stack {
	char *lo; // lowest usable byte; the guard ends here. NULL: no stack
	char *hi; // one past the highest, 16-aligned
} Stack;

enum {
	STACK_CLASSES = 13,               // class k reserves 16 KiB << k: 16 KiB to 64 MiB
	STACK_CLASS_MIN_BYTES = 16 << 10, // reserved, guard included
	STACK_DEFAULT_BYTES = 256 << 10,
};
#define STACK_MAX_BYTES ((size_t)1000000000) // Go's limit; above the classes a mapping of its own

// A stack of at least `bytes` usable bytes (0: the default); lo is NULL without memory.
// Locks: takes stackarena.  Allocates: address space.  Blocks: no.
Stack stack_alloc(size_t bytes);
// Gives a stack back. Its pages stay until stack_trim or a peak has passed.
void stack_free(Stack s);
// Usable bytes of the class that `bytes` falls into.
size_t stack_round(size_t bytes);
// Gives the pages below sp back to the system, keeping `keep` bytes below it; how many bytes there
// were. Whoever calls owns the stack.  Locks: none.
size_t stack_decommit_below(Stack s, const char *sp, size_t keep);
// Returns memory of free slots beyond what recent use needs; called by sysmon. Bytes given back.
size_t stack_scavenge(void);
// Whether stack_scavenge may have something to give back, now or some periods later, that is worth
// a wake-up.
bool stack_worth_scavenging(void);
// Whether addr lies in the guard below s. Signal-safe.
bool stack_guard_hit(Stack s, const char *addr);

// Code that asks for more stack does so when less than this is left of it, which is for code that
// never asks: C.
enum { STACK_RESERVE_BYTES = 64 << 10 };

// A stack may continue another one: this lies above its hi, which is that much lower than
// stack_alloc has said.
typedef struct StackBelow {
	Stack own;         // as stack_alloc gave it
	Stack stack;       // the one that it continues
	const char *sp;    // where that one was left
	bool chained;      // and whether that one continues another
} StackBelow;

static inline StackBelow *
stack_below(Stack s)
{
	return (StackBelow *)(void *)s.hi;
}

typedef struct StackStats {
	uint64_t reserved_bytes; // address space of all arenas
	uint64_t in_use_bytes;   // slots handed out
	uint64_t unguarded;      // slots handed out that have no guard
} StackStats;
void stack_stats(StackStats *st);

#endif
