// SPDX-License-Identifier: BSD-3-Clause
// The heap profile: of all bytes allocated some are chosen, each with the same chance, and the
// object that such a byte is in is a sample. Its site is counted, and counted again when the object
// is found dead or freed, for which a record is attached to it (special.c).
//
// Which byte is the next is decided by the cache that allocates (mem/cache.c), when it takes slots
// in hand: the fast path knows nothing of it. An object of n bytes is a sample with the probability
// 1 - exp(-n / rate), so who prints the profile multiplies by the reciprocal.
//
// Not done: showing the heap as it was at the last collection. Dead objects that are not swept yet
// count as alive.
#include "gc/profile.h"

#include "gc/special.h"

int64_t
profile_set_rate(int64_t bytes)
{
	return xchg_rlx(heap_sample_rate, bytes > 0 ? bytes : 0); // order: hint
}

int64_t
profile_rate(void)
{
	return load_rlx(heap_sample_rate); // order: hint
}

void
profile_note(void *p, const HeapType *type)
{
	Slot s = heap_slot((uintptr_t)p);
	uint32_t site = site_here(SITE_FRAMES, slot_bytes(s), (Kind)s.info->kind, type);
	if (site != 0 && special_add_sample(s, site))
		add_rlx(&site_of(site)->allocs, 1); // order: count
}

void
profile_freed(uintptr_t site)
{
	add_rlx(&site_of((uint32_t)site)->frees, 1); // order: count
}
