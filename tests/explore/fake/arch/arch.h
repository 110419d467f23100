// SPDX-License-Identifier: BSD-3-Clause
// arch.h as the schedule explorer answers it: threads are the engine's fibers, a pause lets others go.
#ifndef UNDERGO_ARCH_ARCH_H
#define UNDERGO_ARCH_ARCH_H

#include "explore.h"

static inline void
arch_pause(void)
{
	explore_yield();
}

#endif
