// SPDX-License-Identifier: BSD-3-Clause
// Channels and select, as compiled code and package reflect call them. The channel itself is the
// core's: chan/chan.h, and so are its panics. Channels of Go are managed memory; nobody frees them.
#include "chan/chan.h"

#include "chan/chan_front.h"
#include "gccgo/blocking.h"
#include "gccgo/gccgo.h"

static bool
send(Hchan *c, const void *elem, int64_t deadline)
{
	if (likely(c != NULL) && chan_send_front(c, elem))
		return true;
	sched_enter();
	int64_t begun = blocking_begin();
	int err = chan_send(c, elem, deadline);
	sched_leave();
	blocking_end(begun);
	return err == 0;
}

// 0, GO_ECLOSED or GO_EAGAIN.
static int
receive(Hchan *c, void *elem, int64_t deadline)
{
	if (likely(c != NULL) && chan_recv_front(c, elem))
		return 0;
	sched_enter();
	int64_t begun = blocking_begin();
	int err = chan_recv(c, elem, deadline);
	sched_leave();
	blocking_end(begun);
	return err;
}

// For the fronts, which give up a channel's lock that somebody sleeps for.
GOFUNC(GOREST_PREFIX "runtime.unlock", void, rest_unlock, (Mutex *m))
{
	mutex_unlock_slow(m);
}

// --- making and closing --------------------------------------------------------------------------

GOFUNC("runtime.makechan", Hchan *, rt_makechan, (const ChanType *t, Int n))
{
	enum { MAX_SHIFT = 47 };
	const Type *elem = t->elem;
	size_t bytes;
	if (n < 0 || __builtin_mul_overflow(elem->size, (size_t)n, &bytes) ||
	    bytes >> MAX_SHIFT != 0)
		panic_plain("makechan: size out of range");
	sched_enter();
	Hchan *c = chan_new_managed(elem->size, (size_t)n, elem->ptrdata != 0);
	if (c == NULL)
		gc_out_of_memory(bytes);
	sched_leave();
	return c;
}
GOALIAS("runtime.makechan64", "runtime.makechan");
GOALIAS("reflect.makechan", "runtime.makechan");

GOFUNC("runtime.closechan", void, rt_closechan, (Hchan *c))
{
	sched_enter();
	chan_close(c);
	sched_leave();
}
GOALIAS("reflect.chanclose", "runtime.closechan");

GOFUNC("reflect.chanlen", Int, rt_chanlen, (const Hchan *c))
{
	return (Int)chan_len(c);
}
GOALIAS("internal_1reflectlite.chanlen", "reflect.chanlen");

GOFUNC("reflect.chancap", Int, rt_chancap, (const Hchan *c))
{
	return (Int)chan_cap(c);
}

// --- sending and receiving -----------------------------------------------------------------------

GOFUNC("runtime.chansend1", void, rt_chansend1, (Hchan *c, const void *elem))
{
	send(c, elem, GO_NEVER);
}
GOREST("runtime.chansend1", "runtime.chansend1");

GOFUNC("runtime.chanrecv1", void, rt_chanrecv1, (Hchan *c, void *elem))
{
	receive(c, elem, GO_NEVER);
}
GOREST("runtime.chanrecv1", "runtime.chanrecv1");

GOFUNC("runtime.chanrecv2", bool, rt_chanrecv2, (Hchan *c, void *elem))
{
	return receive(c, elem, GO_NEVER) == 0;
}

GOFUNC("runtime.selectnbsend", bool, rt_selectnbsend, (Hchan *c, const void *elem))
{
	return c != NULL && send(c, elem, GO_POLL);
}
GOREST("runtime.selectnbsend", "runtime.selectnbsend");

static Received
try_receive(Hchan *c, void *elem)
{
	int err = c != NULL ? receive(c, elem, GO_POLL) : GO_EAGAIN;
	return (Received){err != GO_EAGAIN, err == 0};
}

GOFUNC("runtime.selectnbrecv", Received, rt_selectnbrecv, (void *elem, Hchan *c))
{
	return try_receive(c, elem);
}
GOREST("runtime.selectnbrecv", "runtime.selectnbrecv");

GOFUNC("reflect.chansend", bool, rt_reflect_chansend, (Hchan *c, const void *elem, bool poll))
{
	return poll ? rt_selectnbsend(c, elem) : send(c, elem, GO_NEVER);
}

GOFUNC("reflect.chanrecv", Received, rt_reflect_chanrecv, (Hchan *c, bool poll, void *elem))
{
	if (poll)
		return try_receive(c, elem);
	return (Received){true, receive(c, elem, GO_NEVER) == 0};
}

GOFUNC("runtime.block", NORETURN void, rt_block, (void))
{
	sched_enter();
	for (;;)
		chan_select(NULL, 0, GO_NEVER);
}

// --- select --------------------------------------------------------------------------------------

typedef struct Case {
	Hchan *c;
	void *elem;
} Case;

typedef struct Selected {
	Int index;
	bool received;
} Selected;

// chosen: what the core has said.
static Selected
selected(const SelectCase *sc, int chosen)
{
	if (chosen == GO_EAGAIN)
		return (Selected){-1, false};
	return (Selected){chosen, !sc[chosen].send && sc[chosen].ok};
}

static Selected
select_on(SelectCase *sc, Int n, bool block)
{
	sched_enter();
	int64_t begun = blocking_begin();
	int chosen = chan_select(sc, (int)n, block ? GO_NEVER : GO_POLL);
	sched_leave();
	blocking_end(begun);
	return selected(sc, chosen);
}

// The core's cases do not fit into the compiler's: a few lie on the stack, more in managed memory.
GOFUNC("runtime.selectgo", Selected, rt_selectgo,
       (const Case *cases, uint16_t *order, Int n_send, Int n_recv, bool block))
{
	enum { FEW = 8 };
	(void)order;
	SelectCase few[FEW], *sc = few;
	Int n = n_send + n_recv;
	if (n > FEW) {
		sched_enter();
		sc = gc_alloc((size_t)n * sizeof(*sc), KIND_SCAN);
		if (sc == NULL)
			gc_out_of_memory((size_t)n * sizeof(*sc));
		sched_leave();
	}
	for (Int i = 0; i < n; i++)
		sc[i] = (SelectCase){cases[i].c, cases[i].elem, i < n_send, false};
	return select_on(sc, n, block);
}

typedef struct ReflectCase {
	Int dir;
	const Type *t;
	Hchan *c;
	void *value;
} ReflectCase;

GOFUNC("reflect.rselect", Selected, rt_rselect, (Slice cases))
{
	enum { DIR_SEND = 1, DIR_RECV, DIR_DEFAULT };
	ReflectCase *rc = cases.p;
	Int fallback = -1, n = cases.len;
	sched_enter();
	SelectCase *sc = gc_alloc((size_t)n * sizeof(*sc) + 1, KIND_SCAN);
	if (sc == NULL)
		gc_out_of_memory((size_t)n * sizeof(*sc));
	sched_leave();
	for (Int i = 0; i < n; i++) {
		if (rc[i].dir == DIR_DEFAULT)
			fallback = i;
		else
			sc[i] = (SelectCase){rc[i].c, rc[i].value, rc[i].dir == DIR_SEND, false};
	}
	Selected s = select_on(sc, n, fallback < 0);
	if (s.index < 0)
		s.index = fallback;
	return s;
}
