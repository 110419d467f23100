// SPDX-License-Identifier: BSD-3-Clause
// Writing profiles as pprof reads them.
#ifndef UNDERGO_PANIC_PPROF_H
#define UNDERGO_PANIC_PPROF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PPROF_TYPES = 4, PPROF_FRAMES = 64 };

typedef struct PprofType {
	const char *name, *unit;
} PprofType;

typedef struct PprofKind {
	PprofType types[PPROF_TYPES]; // of a sample's numbers; name NULL: that was all
	PprofType period;
	const char *shown_first;
	bool system;                // the runtime's own functions are named, too
	void (*samples)(void *arg); // adds all samples, as below
} PprofKind;

// 0, GO_ENOMEM: nothing was written, GO_EIO.  Blocks: M.  The caller is outside of the runtime.
int pprof_write(int fd, const PprofKind *kind, int64_t period, void *arg);

// For PprofKind.samples: a stack of return addresses, then a number for each type, then the end of
// the sample.
void pprof_stack(const uintptr_t *pcs, size_t n);
void pprof_value(uint64_t v);
void pprof_sample(void);

#endif
