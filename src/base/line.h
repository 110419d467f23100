// SPDX-License-Identifier: BSD-3-Clause
// A line put together on the stack and printed in one piece, so that no other comes in between.
#ifndef UNDERGO_BASE_LINE_H
#define UNDERGO_BASE_LINE_H

#include <stddef.h>
#include <stdint.h>

enum { LINE_BYTES = 480 }; // a longer line is printed in pieces

// Begins with n 0. Printed as print_str does; any stack, signal handlers too.
typedef struct Line {
	size_t n;
	char text[LINE_BYTES];
} Line;

void line_str(Line *l, const char *s);
void line_u64(Line *l, uint64_t v);
void line_hex(Line *l, uint64_t v); // with 0x
// v divided by 10 to the power of `places`, with so many digits behind the point.
void line_fixed(Line *l, uint64_t v, unsigned places);
// Prints it, with a newline; the next one begins.
void line_end(Line *l);

#endif
