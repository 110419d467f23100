// SPDX-License-Identifier: BSD-3-Clause
// The hash of a long row of bytes by the processor's AES rounds: <cpu>/aes.c.
#ifndef UNDERGO_ARCH_AES_H
#define UNDERGO_ARCH_AES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Whether this processor has them.
bool aes_usable(void);
// Of at least 32 bytes; the secret is of random numbers.
uint64_t aes_hash(const char *p, size_t n, uint64_t seed, const uint64_t secret[4]);

#endif
