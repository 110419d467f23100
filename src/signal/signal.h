// SPDX-License-Identifier: BSD-3-Clause
// Signals for the program: the core that os/signal of Go needs too, and channels and contexts.
#ifndef UNDERGO_SIGNAL_SIGNAL_H
#define UNDERGO_SIGNAL_SIGNAL_H

#include "chan/chan.h"
#include "scope/scope.h"

// --- table.c: the core --------------------------------------------------------------------------

enum { SIGNAL_LAST = 64 };

// Whether the program may have that signal: neither SIGKILL and SIGSTOP, nor SIGPROF, which
// profiles use, nor those libc keeps.
bool signal_can_have(int sig);

// From here on sig goes to the receiver. 0 or GO_ENOSYS.  Locks: the caller's own around all three.
int signal_enable(int sig);
// It has the effect again that it had before signal_enable or signal_ignore.
void signal_disable(int sig);
int signal_ignore(int sig);
// Whether it has no effect, for whatever reason.
bool signal_ignored(int sig);
uint64_t signal_wanted(void); // enabled ones: bit sig - 1

// The next signal; 0 when signal_ring has been called since the last 0, and now and then. One
// receiver at a time, which is outside of the runtime. It lets what signal_wanted says through, and
// nothing else, looking at that anew before each call.  Blocks: M.
int signal_recv(void);
void signal_ring(void); // Stack: any, signal too.
// Returns when all that had come is with its receiver, and the receiver, of which there must be
// one, has come back for more and lets through what is wanted now.
// Outside of the runtime.  Blocks: M.
void signal_wait_until_idle(void);

// --- notify.c -----------------------------------------------------------------------------------

// The functions below run inside the runtime. Signals are given as a set: bit sig - 1.

// Starts the receiver, once. 0 or GO_ENOMEM.  Blocks: M.
int notify_start(void);
// Adds the signals to what c gets. 0, GO_ENOMEM or GO_ENOSYS.
int notify_chan(Hchan *c, uint64_t sigs);
// The same for a context, which is cancelled.
int notify_ctx(Ctx *ctx, uint64_t sigs);
// c, or ctx, shall get nothing more. Between the two halves: signal_wait_until_idle. Several may be
// about to stop the same. NULL: there is nothing to stop.
typedef struct NotifyReg NotifyReg;
NotifyReg *notify_stop_begin(Hchan *c, Ctx *ctx);
void notify_stop_end(NotifyReg *r);
// Nobody gets them any more: they are ignored, or have the effect they had.
int notify_ignore(uint64_t sigs);
void notify_reset(uint64_t sigs);

#endif
