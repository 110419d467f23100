// SPDX-License-Identifier: BSD-3-Clause
// What the fuzz targets share. Each defines fuzz_begin, called once before anything else, and
// fuzz_one, called for each input; libFuzzer has the main function.
#ifndef UNDERGO_TESTS_FUZZ_FUZZ_H
#define UNDERGO_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Input {
	const uint8_t *data;
	size_t n;
	size_t at;
} Input;

void fuzz_begin(void);
void fuzz_one(Input *in);

// 0 at the end.
static inline uint8_t
next_byte(Input *in)
{
	return in->at < in->n ? in->data[in->at++] : 0;
}

#define must(cond)                                                                     \
	do {                                                                           \
		if (!(cond)) {                                                         \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, \
				#cond);                                                \
			abort();                                                       \
		}                                                                      \
	} while (0)

#endif
