/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/chan.h - channels and select.
 *
 * A channel carries values of one size, first in first out, between any number of senders and
 * receivers. Capacity 0 makes every send wait for its receiver. A NULL channel never becomes
 * ready: sending to it and receiving from it wait for ever, and select passes it over.
 * Values are copied; a pointer that is sent is the receiver's from then on.
 */
#ifndef UNDERGO_CHAN_H
#define UNDERGO_CHAN_H

#include "base.h"

typedef struct go_chan go_chan;

/* go_chan_new - make a channel for cap values of elem_bytes each.
 *
 * Returns NULL when there is no memory. A size that no memory could hold panics.
 * Panics:    "makechan: size out of range".
 * Owns:      the caller; go_chan_free gives it back.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_chan *go_chan_new(size_t elem_bytes, size_t cap);

/* go_chan_free - give a channel's memory back.
 *
 * Values still in it are dropped. NULL is allowed.
 * Fatal:     "chan: free of a channel in use", when somebody waits on it; "chan: free of a freed
 *            channel", while its memory has not become another one's.
 * Blocks:    no.
 * Call from: a goroutine or a thread, when no one else will use the channel again.
 */
GO_API void go_chan_free(go_chan *c);

/* go_chan_send - send one value, waiting while the channel is full.
 *
 * Copies the channel's element size from *elem, which may be reused on return.
 * Returns 0 when the value was handed over or queued.
 * Blocks:    this goroutine only; until the deadline, for ever when c is NULL.
 * Errors:    GO_EAGAIN (deadline is GO_POLL), GO_ETIMEDOUT, GO_ECANCELED; the value was not sent.
 * Panics:    "send on closed channel", when c is closed before or during the wait.
 * Call from: a goroutine or a thread, any number at once; not from a signal handler.
 * Order:     what the caller did before is visible to whoever receives this value.
 */
GO_API int go_chan_send(go_chan *c, const void *elem, int64_t deadline);

/* go_chan_recv - receive one value, waiting while the channel is empty.
 *
 * Copies the value to *elem; elem may be NULL to drop it. Returns 0 when a value was received.
 * Blocks:    this goroutine only; until the deadline, for ever when c is NULL.
 * Errors:    GO_ECLOSED when the channel is closed and drained, and *elem is set to zero bytes;
 *            GO_EAGAIN (deadline is GO_POLL), GO_ETIMEDOUT, GO_ECANCELED, and *elem is untouched.
 * Call from: a goroutine or a thread, any number at once; not from a signal handler.
 * Order:     what the sender did before sending is visible; on an unbuffered channel
 *            what the receiver did before is visible to the sender when its send returns.
 */
GO_API int go_chan_recv(go_chan *c, void *elem, int64_t deadline);

/* go_chan_close - say that no more values will be sent.
 *
 * Wakes everyone who waits. Queued values can still be received.
 * Panics:    "close of nil channel", "close of closed channel".
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 * Order:     what the caller did before is visible to a receiver that gets GO_ECLOSED.
 */
GO_API void go_chan_close(go_chan *c);

/* go_chan_len - how many values are queued; 0 for NULL. A moment later it may differ.
 *
 * Blocks:    no.
 * Call from: anywhere.
 */
GO_API size_t go_chan_len(const go_chan *c);

/* go_chan_cap - how many values can be queued; 0 for NULL.
 *
 * Blocks:    no.
 * Call from: anywhere.
 */
GO_API size_t go_chan_cap(const go_chan *c);

/* One thing a select may do. Fill it with GO_CASE_SEND or GO_CASE_RECV. */
typedef struct go_case {
	go_chan *chan; /* NULL: this case is never ready */
	void *elem;    /* sent from or received into; NULL drops what is received */
	bool send;
	bool ok; /* set by go_select for the chosen receive: false when the channel was closed */
} go_case;

/* clang-format off */
#define GO_CASE_SEND(c, elem) { (c), (void *)(uintptr_t)(elem), true, false }
#define GO_CASE_RECV(c, elem) { (c), (void *)(elem), false, false }
/* clang-format on */

/* go_select - wait until one of n cases can go ahead, and do it.
 *
 * When several are ready one is chosen at random, each with the same chance. Returns the index of
 * the case done. A receive from a closed channel counts as done, with ok = false and a zero value.
 * A channel may stand in several cases. Deadline GO_POLL is Go's "default:".
 * Blocks:    this goroutine only, until the deadline; for ever with n = 0 and GO_NEVER.
 * Errors:    GO_EAGAIN (deadline is GO_POLL), GO_ETIMEDOUT, GO_ECANCELED: no case was done.
 *            GO_EINVAL: n is negative or above 65536, or cases is NULL with n > 0.
 *            GO_ENOMEM: more than 16 cases, and no memory to sort them.
 * Panics:    "send on closed channel", when the chosen case sends to a closed channel.
 * Call from: a goroutine or a thread; not from a signal handler.
 */
GO_API int go_select(go_case *cases, int n, int64_t deadline);

#endif
