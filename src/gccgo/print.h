// SPDX-License-Identifier: BSD-3-Clause
// Printing as println does, for other files of the Go face.
#ifndef UNDERGO_GCCGO_PRINT_H
#define UNDERGO_GCCGO_PRINT_H

#include <stddef.h>

enum { FLOAT_TEXT = 16 };
size_t print_float_text(char text[FLOAT_TEXT], double v);
void print_bytes(const char *s, size_t n);

#endif
