// SPDX-License-Identifier: BSD-3-Clause
// The heavy half of the asymmetric fence; the light half is in atomic.h.
//
// The claim a user of the pair relies on: of a light fence L in one thread and a heavy fence H in
// another, one comes first. If L does, what its thread stored before L is seen after H. If H does,
// what its thread stored before H is seen after L. It holds because the kernel interrupts each CPU
// that runs a thread of this process and has it execute a full fence between the entry of H and
// its return: L's code lies before or after that interrupt, and being a compiler barrier it keeps
// its side's store and load on their sides. A thread that does not run passes a full fence when it
// is switched in.
#include "base/base.h"
#include "base/base_up.h"

bool base_fence_asymmetric;

void
fence_heavy(void)
{
	if (likely(base_fence_asymmetric))
		up_fence_all_threads();
	else
		fence_seq();
}
