// SPDX-License-Identifier: BSD-3-Clause
// A fault that became a panic.
#ifndef UNDERGO_PANIC_FAULT_H
#define UNDERGO_PANIC_FAULT_H

#include <stdint.h>

typedef struct Fault { // a signal's
	int sig;
	int code;
	uintptr_t addr;
	uintptr_t pc;
} Fault;

// "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x401136]", a line.
void fault_print(const Fault *fault);

#endif
