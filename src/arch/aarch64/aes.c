// SPDX-License-Identifier: BSD-3-Clause
// No AES rounds are used on this processor.
#include "arch/aes.h"

bool
aes_usable(void)
{
	return false;
}

uint64_t
aes_hash(const char *p, size_t n, uint64_t seed, const uint64_t secret[4])
{
	(void)p;
	return (n ^ seed) * secret[0];
}
