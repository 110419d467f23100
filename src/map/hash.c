// SPDX-License-Identifier: BSD-3-Clause
// Hashes: the secret of the process, and long rows of bytes.
#include "map/hash.h"

#include "arch/aes.h"
#include "os/os.h"

static HashLong hash_long_first;

uint64_t hash_secret[4];
HashLong *hash_long = hash_long_first;

static ATOMIC_U32 state; // 0 nobody yet, 1 somebody is at it, 2 done

static void
choose(void)
{
	uint64_t x = base_mix(base_seed ^ UINT64_C(0x6d6170));
	for (size_t i = 0; i < countof(hash_secret); i++)
		hash_secret[i] = base_rand(&x) | 1;
	hash_long = aes_usable() ? aes_hash : hash_long_portable;
}

void
hash_init(void)
{
	uint32_t none = 0;
	if (load_acq(&state) == 2) // order: observe <- hash_init
		return;
	if (cas_acq(&state, &none, 1)) { // order: claim
		choose();
		store_rel(&state, 2); // order: publish -> hash_init
		return;
	}
	while (load_acq(&state) != 2) // order: observe <- hash_init
		os_yield();
}

// Never called: maps begin with hash_init.
static uint64_t
hash_long_first(const char *p, size_t n, uint64_t seed, const uint64_t secret[4])
{
	hash_init();
	return hash_long(p, n, seed, secret);
}

// Two rows of products side by side, 32 bytes a step; the last 32 bytes once more.
uint64_t
hash_long_portable(const char *p, size_t n, uint64_t seed, const uint64_t secret[4])
{
	enum { STEP = 32 };
	uint64_t a = seed, b = seed ^ secret[3];
	const char *last = p + n - STEP;
	for (; p < last; p += STEP) {
		a = hash_fold(hash_read8(p) ^ secret[1], hash_read8(p + 8) ^ a);
		b = hash_fold(hash_read8(p + 16) ^ secret[2], hash_read8(p + 24) ^ b);
	}
	a = hash_fold(hash_read8(last) ^ secret[1], hash_read8(last + 8) ^ a);
	b = hash_fold(hash_read8(last + 16) ^ secret[2], hash_read8(last + 24) ^ b);
	return go_map_hash_two_(a, b, n, seed, secret[0]);
}
