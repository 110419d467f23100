// SPDX-License-Identifier: BSD-3-Clause
// The C face of channels.
#include "chan/chan.h"
#include "chan/chan_front.h"

go_chan *
go_chan_new(size_t elem_bytes, size_t cap)
{
	if (!sched_attached())
		return NULL;
	sched_enter();
	go_chan *c = chan_new(elem_bytes, cap);
	sched_leave();
	return c;
}

void
go_chan_free(go_chan *c)
{
	sched_enter();
	chan_free(c);
	sched_leave();
}

int
go_chan_send(go_chan *c, const void *elem, int64_t deadline)
{
	if (likely(c != NULL && !os_simulated) && chan_send_front(c, elem))
		return 0;
	sched_enter();
	int err = chan_send(c, elem, deadline);
	sched_leave();
	return err;
}

int
go_chan_recv(go_chan *c, void *elem, int64_t deadline)
{
	if (likely(c != NULL && !os_simulated) && chan_recv_front(c, elem))
		return 0;
	sched_enter();
	int err = chan_recv(c, elem, deadline);
	sched_leave();
	return err;
}

void
go_chan_close(go_chan *c)
{
	sched_enter();
	chan_close(c);
	sched_leave();
}

size_t
go_chan_len(const go_chan *c)
{
	return chan_len(c);
}

size_t
go_chan_cap(const go_chan *c)
{
	return chan_cap(c);
}

int
go_select(go_case *cases, int n, int64_t deadline)
{
	if (n < 0 || n > SELECT_MAX || (cases == NULL && n > 0))
		return GO_EINVAL;
	if (!sched_attached())
		return GO_ENOMEM;
	sched_enter();
	int chosen = chan_select(cases, n, deadline);
	sched_leave();
	return chosen;
}
