// SPDX-License-Identifier: BSD-3-Clause
// What package internal/poll asks of a network poller: net's, under other names. A handle is the
// address of a PollDesc, whose memory is never anything else. The package sees to it that one
// goroutine waits on each side, and that nobody is there any more when a handle is closed.
#include <errno.h>

#include "gccgo/gccgo.h"
#include "net/net.h"
#include "undergo/base.h"

// What the package understands.
enum { POLLED_OK, POLLED_CLOSING, POLLED_TIMEOUT, POLLED_NOT_POLLABLE };

typedef struct Opened {
	uintptr_t handle;
	Int error;
} Opened;

static PollDesc *
desc_of(uintptr_t handle)
{
	return (PollDesc *)handle;
}

static PollSide
side_of(Int mode)
{
	return mode == 'r' ? POLL_READ : POLL_WRITE;
}

static Int
result_of(int err)
{
	switch (err) {
	case 0:
		return POLLED_OK;
	case GO_ECLOSED:
		return POLLED_CLOSING;
	case GO_ETIMEDOUT:
		return POLLED_TIMEOUT;
	default:
		return POLLED_NOT_POLLABLE;
	}
}

// The first descriptor starts the poller.
GOFUNC("internal_1poll.runtime__pollServerInit", void, rt_pollserverinit, (void))
{
}

GOFUNC("internal_1poll.runtime__isPollServerDescriptor", bool, rt_ispollserver, (uintptr_t fd))
{
	return poll_has((int)fd);
}

// EPERM is the system's answer for files; the package then lets calls on them block.
GOFUNC("internal_1poll.runtime__pollOpen", Opened, rt_pollopen, (uintptr_t fd))
{
	sched_enter();
	PollDesc *pd = poll_get();
	int err = pd != NULL ? poll_open(pd, (int)fd) : -ENOMEM;
	if (err != 0 && pd != NULL) {
		poll_close(pd);
		poll_put(pd);
	}
	sched_leave();
	return (Opened){err == 0 ? (uintptr_t)pd : 0, -err};
}

GOFUNC("internal_1poll.runtime__pollUnblock", void, rt_pollunblock, (uintptr_t handle))
{
	sched_enter();
	poll_evict(desc_of(handle));
	sched_leave();
}

GOFUNC("internal_1poll.runtime__pollClose", void, rt_pollclose, (uintptr_t handle))
{
	sched_enter();
	poll_close(desc_of(handle));
	poll_put(desc_of(handle));
	sched_leave();
}

GOFUNC("internal_1poll.runtime__pollReset", Int, rt_pollreset, (uintptr_t handle, Int mode))
{
	return result_of(poll_prepare(desc_of(handle), side_of(mode)));
}

GOFUNC("internal_1poll.runtime__pollWait", Int, rt_pollwait, (uintptr_t handle, Int mode))
{
	sched_enter();
	int err = poll_wait(desc_of(handle), side_of(mode));
	sched_leave();
	return result_of(err);
}

// After a call that the system was told to give up; only asked for on Windows.
GOFUNC("internal_1poll.runtime__pollWaitCanceled", void, rt_pollwaitcanceled,
       (uintptr_t handle, Int mode))
{
	sched_enter();
	(void)poll_wait_any(desc_of(handle), mode == 'r', mode != 'r', GO_NEVER);
	sched_leave();
}

// From now in nanoseconds; 0: none; negative: it has passed.
static int64_t
deadline_of(int64_t d)
{
	enum { LONG_AGO = 1 };
	if (d == 0)
		return GO_NEVER;
	return d > 0 ? base_deadline(os_nanotime(), d) : LONG_AGO;
}

GOFUNC("internal_1poll.runtime__pollSetDeadline", void, rt_pollsetdeadline,
       (uintptr_t handle, int64_t d, Int mode))
{
	int64_t when = deadline_of(d);
	sched_enter();
	if (mode != 'w')
		poll_deadline(desc_of(handle), POLL_READ, when);
	if (mode != 'r')
		poll_deadline(desc_of(handle), POLL_WRITE, when);
	sched_leave();
}
