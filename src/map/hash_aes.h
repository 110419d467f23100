// SPDX-License-Identifier: BSD-3-Clause
// The hash of a long row of bytes by AES rounds: map/<cpu>/hash_aes.c, chosen when building.
#ifndef UNDERGO_MAP_HASH_AES_H
#define UNDERGO_MAP_HASH_AES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool hash_aes_usable(void);
// Of more than 32 bytes. Reads hash_secret of map/hash.h, which is set.
uint64_t hash_long_aes(const char *p, size_t n, uint64_t seed);

#endif
