// SPDX-License-Identifier: BSD-3-Clause
// How long Go code waits for others: the block and the mutex profile. See blocking.c.
#ifndef UNDERGO_GCCGO_BLOCKING_H
#define UNDERGO_GCCGO_BLOCKING_H

#include "gccgo/gccgo.h"

typedef ATOMIC(uint64_t) ProfileRate;
extern ProfileRate block_profile_rate __asm__("runtime.blockprofilerate");
extern ProfileRate mutex_profile_rate __asm__("runtime.mutexprofilerate");

int64_t blocking_begin_slow(void);
void blocking_end_slow(int64_t since);

// Around a call that may park, inside the runtime.
static inline int64_t
blocking_begin(void)
{
	uint64_t rate = load_rlx(&block_profile_rate); // order: hint
	return likely(rate == 0) ? 0 : blocking_begin_slow();
}

// Outside of the runtime.
static inline void
blocking_end(int64_t since)
{
	if (unlikely(since != 0))
		blocking_end_slow(since);
}

// Somebody wants to know how long others wait for mutexes.
static inline bool
contention_wanted(void)
{
	return load_rlx(&mutex_profile_rate) != 0; // order: hint
}

// When who is about to wait for a mutex began to; 0: nobody wants to know.
static inline int64_t
contention_begin(void)
{
	return unlikely(contention_wanted()) ? os_nanotime() : 0;
}

// The caller has given up what somebody waited for so long; of the functions that have called, the
// innermost are not to be told of.  Outside of the runtime.
void contention_end(int64_t waited_ns, size_t skip);

#endif
