// SPDX-License-Identifier: BSD-3-Clause
// Saying no, and how the command is called.
#ifndef UNDERGO_CMD_SAY_H
#define UNDERGO_CMD_SAY_H

#include <stdio.h>

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

__attribute__((noreturn, format(printf, 2, 3))) void die(int status, const char *format, ...);
// The same of one that was called wrongly, with the usage behind.
__attribute__((noreturn)) void die_of_usage(const char *why);
void say_usage(FILE *to);

#endif
