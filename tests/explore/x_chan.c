// SPDX-License-Identifier: BSD-3-Clause
// Channels and select, src/chan/chan.c and select.c, with the waits of src/sched/wait.c, over the
// engine's lock: every value arrives once and with what its sender did, nobody waits for ever
// beside somebody he waits for, looks without the lock never lie, and of all that may end a wait
// one does.
//
// The goroutines and their timers are those of explore_goroutines.h.
#include "explore_arch.h"

#include "explore_lock.h"

#include "undergo/sync.h"

static ATOMIC_U32 no_word; // of mutexes, which are not used here
#define ATOMIC_WORD(p) ((void)(p), &no_word)

#include "chan/chan.c"
#include "chan/select.c"
#include "sched/wait.c"

#include "explore_goroutines.h"

enum { VALUES = 8 };

static Hchan chans[2];
static int rings[2][2];
static int made[VALUES]; // written by the sender before it sends, read by the receiver
static int sent[VALUES], received[VALUES];

// --- the tests' words ---------------------------------------------------------------------------

static void
init_caps(size_t cap0, size_t cap1)
{
	no_goroutines();
	memset(chans, 0, sizeof(chans));
	memset(made, 0, sizeof(made));
	memset(sent, 0, sizeof(sent));
	memset(received, 0, sizeof(received));
	for (int i = 0; i < 2; i++) {
		chans[i].cap = i == 0 ? cap0 : cap1;
		chans[i].ring = (char *)rings[i];
		chans[i].elem_bytes = sizeof(int);
	}
}

static void
was_received(int v)
{
	EXPLORE_CHECK(v > 0 && v < VALUES, "not a value");
	EXPLORE_CHECK(PLAIN_READ(made[v]) == v, "received before it was made");
	received[v]++;
}

static void
make(int v)
{
	PLAIN_WRITE(made[v], v);
}

static int
send(int c, int v, int64_t deadline)
{
	make(v);
	int err = chan_send(&chans[c], &v, deadline);
	if (err == 0)
		sent[v]++;
	return err;
}

static int
recv(int c, int64_t deadline)
{
	int v = -1;
	int err = chan_recv(&chans[c], &v, deadline);
	EXPLORE_CHECK(err != GO_ECLOSED || v == 0, "no zero from a closed channel");
	EXPLORE_CHECK(err == 0 || err == GO_ECLOSED || v == -1, "an error wrote");
	if (err == 0)
		was_received(v);
	return err;
}

static int
pick(SelectCase *k, int n, int64_t deadline)
{
	int i = chan_select(k, n, deadline);
	EXPLORE_CHECK(i < n, "no such case");
	if (i < 0)
		return i;
	if (k[i].send)
		sent[*(int *)k[i].elem]++;
	else if (k[i].ok)
		was_received(*(int *)k[i].elem);
	return i;
}

// What was sent and not received lies in the rings.
static void
conserved(void)
{
	int in_rings = 0, open = 0;
	for (int c = 0; c < 2; c++) {
		in_rings += (int)EXPLORE_RAW(&chans[c].count);
		EXPLORE_CHECK(chans[c].recvq.first == NULL && chans[c].sendq.first == NULL,
			      "somebody is still queued");
		EXPLORE_CHECK((EXPLORE_RAW(&chans[c].state) & ~(uint32_t)CHAN_CLOSED) == 0,
			      "the bits of the queues");
	}
	for (int v = 0; v < VALUES; v++) {
		EXPLORE_CHECK(received[v] <= sent[v] && sent[v] <= 1, "received twice");
		open += sent[v] - received[v];
	}
	EXPLORE_CHECK(open == in_rings, "a value was lost");
}

// --- plain channels -----------------------------------------------------------------------------

static void
init_unbuffered(void)
{
	init_caps(0, 0);
}

static void
init_one(void)
{
	init_caps(1, 1);
}

static void
two_and_two(int id)
{
	begin(id);
	for (int i = 0; i < 2; i++)
		if (id < 2)
			send(0, 1 + id * 2 + i, GO_NEVER);
		else
			recv(0, GO_NEVER);
}

// One sender and one receiver: in the order sent.
static void
in_order(int id)
{
	begin(id);
	for (int i = 1; i <= 4; i++) {
		if (id == 0) {
			send(0, i, GO_NEVER);
		} else {
			recv(0, GO_NEVER);
			EXPLORE_CHECK(received[i] == 1, "out of order");
		}
	}
}

// Two wait to receive; a value comes, and then the close.
static void
close_waiters(int id)
{
	begin(id);
	if (id == 2) {
		send(0, 1, GO_NEVER);
		PLAIN_WRITE(made[7], 7);
		chan_close(&chans[0]);
		return;
	}
	if (recv(0, GO_NEVER) == GO_ECLOSED)
		EXPLORE_CHECK(PLAIN_READ(made[7]) == 7, "closed before what was done before");
}

// Full and open becomes empty and closed: a poll always finds it ready. And an empty channel that
// is closed with nothing in it.
static void
init_full(void)
{
	init_caps(1, 0);
	begin(0);
	send(0, 1, GO_POLL);
}

static void
poll_and_close(int id)
{
	begin(id);
	if (id == 0) {
		PLAIN_WRITE(made[7], 7);
		chan_close(&chans[0]);
		recv(0, GO_NEVER);
		chan_close(&chans[1]);
	} else if (id == 1) {
		int err = recv(0, GO_POLL);
		EXPLORE_CHECK(err != GO_EAGAIN, "ready all the time");
		if (err == GO_ECLOSED)
			EXPLORE_CHECK(PLAIN_READ(made[7]) == 7,
				      "closed before what was done before");
		explore_outcome(err == 0);
	} else {
		if (recv(1, GO_POLL) == GO_ECLOSED)
			EXPLORE_CHECK(PLAIN_READ(made[7]) == 7,
				      "closed before what was done before");
	}
}

// Polling senders on a channel that others empty: full means full at some moment.
static void
poll_send(int id)
{
	begin(id);
	if (id == 0) {
		int first = send(0, 2, GO_POLL), second = send(0, 3, GO_POLL);
		EXPLORE_CHECK(first == GO_EAGAIN || second == GO_EAGAIN || received[1] == 1,
			      "more than fits");
	} else {
		recv(0, GO_POLL);
	}
}

// --- select -------------------------------------------------------------------------------------

// Two selects that can only meet each other, on either channel.
static void
meet(int id)
{
	begin(id);
	int out = 1 + id, in = -1;
	make(out);
	SelectCase k[] = {GO_CASE_SEND(&chans[id], &out), GO_CASE_RECV(&chans[1 - id], &in)};
	pick(k, 2, GO_NEVER);
}

// The same on one channel: nobody meets himself.
static void
meet_on_one(int id)
{
	begin(id);
	int out = 1 + id, in = -1;
	make(out);
	SelectCase k[] = {GO_CASE_SEND(&chans[0], &out), GO_CASE_RECV(&chans[0], &in)};
	if (pick(k, 2, GO_NEVER) == 1)
		EXPLORE_CHECK(in != out, "met himself");
}

// One select, and a plain sender and receiver on its channels. What is left waits with a deadline.
static void
select_and_plain(int id)
{
	begin(id);
	if (id == 0) {
		int out = 1, in = -1;
		make(out);
		SelectCase k[] = {GO_CASE_SEND(&chans[0], &out), GO_CASE_RECV(&chans[1], &in),
				  GO_CASE_RECV(&chans[1], &in)};
		pick(k, 3, GO_NEVER);
	} else if (id == 1) {
		recv(0, LATER);
		add_rel(&finished, 1);
	} else if (id == 2) {
		send(1, 2, LATER);
		add_rel(&finished, 1);
	} else {
		// Both may fail, and the select then waits for ever: let it go.
		be_timers(2);
		chan_close(&chans[1]);
	}
}

// Everybody may give up.
static void
all_give_up(int id)
{
	begin(id);
	int out = 1 + id, in = -1;
	make(out);
	if (id == 0) {
		SelectCase k[] = {GO_CASE_RECV(&chans[0], &in), GO_CASE_RECV(&chans[1], &in)};
		pick(k, 2, LATER);
	} else if (id == 1) {
		SelectCase k[] = {GO_CASE_SEND(&chans[1], &out), GO_CASE_SEND(&chans[0], &out)};
		pick(k, 2, LATER);
	} else if (id == 2) {
		send(0, out, LATER);
	} else {
		be_timers(3);
		return;
	}
	add_rel(&finished, 1);
}

// At every moment one of two channels is ready: a poll never says that none is.
static void
never_default(int id)
{
	begin(id);
	int in = -1;
	if (id == 0) {
		SelectCase k[] = {GO_CASE_RECV(&chans[0], &in), GO_CASE_RECV(&chans[1], &in)};
		EXPLORE_CHECK(pick(k, 2, GO_POLL) >= 0, "one was ready all the time");
	} else {
		send(1, 2, GO_POLL);
		recv(0, GO_POLL);
	}
}

static void
init_full_and_empty(void)
{
	init_caps(1, 1);
	begin(0);
	send(0, 1, GO_POLL);
}

static const struct ExploreTest tests[] = {
    {.name = "two and two, unbuffered",
     .threads = 4,
     .init = init_unbuffered,
     .thread = two_and_two,
     .final = conserved},
    {.name = "two and two, one place",
     .threads = 4,
     .init = init_one,
     .thread = two_and_two,
     .final = conserved},
    {.name = "in order, unbuffered",
     .threads = 2,
     .init = init_unbuffered,
     .thread = in_order,
     .final = conserved},
    {.name = "in order, one place",
     .threads = 2,
     .init = init_one,
     .thread = in_order,
     .final = conserved},
    {.name = "close while two wait",
     .threads = 3,
     .init = init_unbuffered,
     .thread = close_waiters,
     .final = conserved},
    {.name = "poll beside close",
     .threads = 3,
     .init = init_full,
     .thread = poll_and_close,
     .final = conserved,
     .must = 3},
    {.name = "poll to send",
     .threads = 2,
     .init = init_full,
     .thread = poll_send,
     .final = conserved},
    {.name = "selects meet",
     .threads = 2,
     .init = init_unbuffered,
     .thread = meet,
     .final = conserved},
    {.name = "selects meet on one channel",
     .threads = 2,
     .init = init_unbuffered,
     .thread = meet_on_one,
     .final = conserved},
    {.name = "select and plain",
     .threads = 4,
     .init = init_unbuffered,
     .thread = select_and_plain,
     .final = conserved},
    {.name = "all give up",
     .threads = 4,
     .init = init_unbuffered,
     .thread = all_give_up,
     .final = conserved},
    {.name = "never default",
     .threads = 2,
     .init = init_full_and_empty,
     .thread = never_default,
     .final = conserved},
    {0},
};

static const char *const sources[] = {"chan/chan.c", "chan/chan_impl.h", "chan/select.c", NULL};

const struct ExploreDriver explore_driver = {
    .name = "chan",
    .tests = tests,
    .sources = sources,
};
