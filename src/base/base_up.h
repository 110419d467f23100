// SPDX-License-Identifier: BSD-3-Clause
// Questions that base asks and a higher layer answers; bound at link time.
#ifndef UNDERGO_BASE_UP_H
#define UNDERGO_BASE_UP_H

#include <stdbool.h>
#include <stddef.h>

// We are dying, the headline is out: print the goroutines as Go does. all: every one of them,
// else the current one first. Answered by panic. Allocates nothing, takes no lock that a
// dying thread may hold.
void up_print_goroutines(int all);

// Bytes to a descriptor, as os_write does, or without its patience. 0, or the error that kept some
// of them back: -EAGAIN when patience ran out.  Answered by os.
int up_write(int fd, const char *buf, size_t n, bool patient);

// End the process now. Answered by os.
__attribute__((noreturn)) void up_exit(int status);

// Another thread prints the death of this process: wait for it, and end the process when nothing
// has been written for some seconds. Answered by os.
__attribute__((noreturn)) void up_hold_still(void);

// Make every running thread of the process execute a full fence. Only asked while
// base_fence_asymmetric is true. Answered by os.
void up_fence_all_threads(void);

#endif
