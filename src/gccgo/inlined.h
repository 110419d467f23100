// SPDX-License-Identifier: BSD-3-Clause
// Addresses of functions that are inlined.
#ifndef UNDERGO_GCCGO_INLINED_H
#define UNDERGO_GCCGO_INLINED_H

#include <stdbool.h>
#include <stdint.h>

// An address of the nth function, from the inside, of those at the return address pc.
uintptr_t inlined_address(uintptr_t pc, unsigned nth);
// Whether an address is such a stand-in, or one beside it; then what it stands for.
bool inlined_means(uintptr_t address, uintptr_t *pc, unsigned *nth);

#endif
