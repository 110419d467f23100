// SPDX-License-Identifier: BSD-3-Clause
// A module that tests load and unload: a global and thread-locals, of its own.
#include <stdint.h>

uintptr_t *module_global(void);
uintptr_t *module_thread_local(void);

static uintptr_t global[64] = {1};
static __thread uintptr_t local[LOCALS];

uintptr_t *
module_global(void)
{
	return &global[17];
}

uintptr_t *
module_thread_local(void)
{
	return &local[LOCALS / 2];
}
