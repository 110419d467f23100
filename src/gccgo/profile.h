// SPDX-License-Identifier: BSD-3-Clause
// Profiles of Go programs. See profile.c.
#ifndef UNDERGO_GCCGO_PROFILE_H
#define UNDERGO_GCCGO_PROFILE_H

#include <stdbool.h>

// Before the first goroutine.
void profile_init(void);
// When the packages are ready.
void profile_main_begins(void);
// Around exec, which keeps the timer of the CPU profile. false: it has failed.
void profile_execs(bool begins);

#endif
