// SPDX-License-Identifier: BSD-3-Clause
// Chaos points of the stress build: CHAOS(id, one_in) in base.h.
//
// Each thread draws from its own generator, seeded by base_seed and the order in which threads come
// here first. In the deterministic mode there is one thread and so one generator, and a seed
// repeats every decision.
#include "base/base.h"

#ifdef UNDERGO_STRESS

static ATOMIC_U64 threads_seen;
static __thread uint64_t state; // 0 before the first draw

// Mixes the name of the place in, so that two places never draw the same row.
static uint64_t
hash_text(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return h;
}

// Not inlined: forms the address of a thread-local.
NOINLINE bool
base_chaos(const char *id, uint32_t one_in)
{
	if (state == 0)
		state = base_mix(base_seed ^ add_rlx(&threads_seen, 1)); // order: count
	uint64_t draw = base_mix(base_rand(&state) ^ hash_text(id));
	return base_rand_below(&draw, one_in) == 0;
}

#endif

