// SPDX-License-Identifier: BSD-3-Clause
// What the personality routine tells: panic.c answers.
#ifndef UNDERGO_GCCGO_PERSONALITY_H
#define UNDERGO_GCCGO_PERSONALITY_H

// A landing pad of the running goroutine is about to get this exception.
void personality_caught(void *exception);

#endif
