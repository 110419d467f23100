// SPDX-License-Identifier: BSD-3-Clause
// No AES rounds here: the portable way is used.
#include "map/hash_aes.h"

#include "map/hash.h"

bool
hash_aes_usable(void)
{
	return false;
}

uint64_t
hash_long_aes(const char *p, size_t n, uint64_t seed)
{
	return hash_long_portable(p, n, seed);
}
