// SPDX-License-Identifier: BSD-3-Clause
// Calls on files that the kernel makes while the goroutine is parked.
#ifndef UNDERGO_NET_RING_H
#define UNDERGO_NET_RING_H

#include "os/file.h"
#include "sched/sched.h"

// Whether there is a ring, which the first call makes. Inside the runtime.
bool ring_usable(void);
// The result of os_file_call; RING_REFUSED: the caller makes it. Inside the runtime, by a goroutine
// that ring_usable was true for.  Blocks: G.
#define RING_REFUSED INT64_MIN
int64_t ring_call(const OsFileCall *c);
// The poller says that calls are done: the goroutines that waited for them.  Runs on: any thread.
void ring_take(GList *l);

#endif
