// SPDX-License-Identifier: BSD-3-Clause
// arch/arch.h as the schedule explorer answers it: threads are the engine's fibers, each with its
// own two words, and a pause lets others go on. Included before any source of the runtime, it takes
// the place of the real one.
#ifndef UNDERGO_ARCH_ARCH_H
#define UNDERGO_ARCH_ARCH_H

#include <stddef.h>
#include <stdint.h>

#include "explore.h"

// Of the running fiber; a driver that uses them calls explore_thread_local(&explore_words, ...).
extern struct ExploreWords {
	void *m, *g;
} explore_words;

static inline void
arch_pause(void)
{
	explore_yield();
}

enum { ARCH_KEPT_WORDS = 6 };

static inline void
arch_kept(uint64_t words[ARCH_KEPT_WORDS])
{
	words[0] = 0;
}

static inline void *
arch_sp(void)
{
	return __builtin_frame_address(0);
}

static inline void
arch_forget(void)
{
}

static inline void
arch_set_stack_limit(uintptr_t limit)
{
	(void)limit;
}

static inline void *
arch_tls_m(void)
{
	return explore_words.m;
}

static inline void *
arch_tls_g(void)
{
	return explore_words.g;
}

static inline void
arch_tls_set_m(void *m)
{
	explore_words.m = m;
}

static inline void
arch_tls_set_g(void *g)
{
	explore_words.g = g;
}

// The code under test may speak of stacks; the drivers do not go there.
void *arch_switch(void **save, void *load, void *arg);
void arch_start(void **save, void *stack_hi, void (*entry)(void *arg));
void arch_resume(void *load);
void arch_enter(void *stack_hi, void (*entry)(void *arg));
const char *arch_refuses(void);

#endif
