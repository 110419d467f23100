// SPDX-License-Identifier: BSD-3-Clause
// What is written in environment variables and small files of the kernel: numbers, sizes, words.
//
// Locks: none.  Stack: any.  Allocates: no.
#ifndef UNDERGO_BASE_ENV_H
#define UNDERGO_BASE_ENV_H

#include <stdbool.h>
#include <stdint.h>

// A decimal number without a sign at *at, which moves behind it; -1 when there is none or it is too
// large, and *at stays.
int64_t env_number(const char **at);

// A whole string that is a number, perhaps with a minus sign, of 32 bits; false when it is not.
bool env_int32(const char *s, int32_t *n);

// A size as Go writes it: "1048576", "512MiB"; units B, KiB, MiB, GiB, TiB. False when it is not
// one.
bool env_bytes(const char *s, int64_t *bytes);

#endif
