// SPDX-License-Identifier: BSD-3-Clause
// Descriptors that goroutines wait for: the poller's face. What the C face of sockets does with it
// is fd.h's affair; compiled Go code has its own and comes here.
//
// Reading order and the protocols that span files: src/net/README.
#ifndef UNDERGO_NET_NET_H
#define UNDERGO_NET_NET_H

#include "net/word.h"
#include "timer/timer.h"

// The two sides of a descriptor. One goroutine at a time waits on each; callers see to that.
typedef enum PollSide { POLL_READ, POLL_WRITE } PollSide;

// A descriptor that the poller knows. Its memory is never anything else, so whoever is late may
// still look at it, and finds another generation.
typedef struct PollDesc PollDesc;
struct PollDesc {
	PollWord word[2]; // by PollSide; see word.h
	ATOMIC_U32 info;  // POLL_ bits of poll.c
	ATOMIC_U32 gen;   // changes when it is given back; 1 to 2^31 - 1
	uint32_t index;   // set before publication, for ever; gen and this are its tag
	int fd;           // set before publication
	bool known;       // set before publication: the poller knows it; else nothing waits
	Mutex lock;       // rank polldesc: deadlines, and what fd.c keeps under it
	Timer timer[2];   // by PollSide; set and stopped under lock
	PollDesc *link;   // slots lock: list of free ones
};

// slots.c. A record for one descriptor, with a new generation; NULL: no memory. Given back after
// poll_close.
PollDesc *poll_get(void);
void poll_put(PollDesc *pd);

// Tells the poller about fd. 0 or a negative errno value: -EPERM: calls on it never wait.
int poll_open(PollDesc *pd, int fd);
// Ends all waits, for ever. Waits for nobody.
void poll_evict(PollDesc *pd);
// The descriptor is about to be closed, nobody waits any more.
void poll_close(PollDesc *pd);

// The ring of calls on files, see ring.h: up_poll_take asks ring_take. 0 or a negative errno value.
int poll_add_ring(int fd);

// Whether fd is one of the poller's own.
bool poll_has(int fd);

// Before a call that would wait: 0; GO_ECLOSED; GO_ETIMEDOUT. Forgets older events.
int poll_prepare(PollDesc *pd, PollSide side);
// Whether there was no event since poll_prepare last forgot them, nothing is over and the stream
// has not ended. Then a call that would have waited right after poll_prepare would wait now.
bool poll_quiet(PollDesc *pd, PollSide side);
// The call would have waited. 0: try again; GO_ECLOSED, GO_ETIMEDOUT, GO_EAGAIN, GO_ECANCELED.
// Blocks: G.
int poll_wait(PollDesc *pd, PollSide side);
// The same, and 0 at that time, too.
int poll_wait_until(PollDesc *pd, PollSide side, int64_t when);
// For either side or both, whatever their deadlines. 0, GO_ETIMEDOUT, GO_ECANCELED.  Blocks: G.
int poll_wait_any(PollDesc *pd, bool reading, bool writing, int64_t when);
// From when on nothing on this side waits any more: at once for those who wait. GO_NEVER; GO_POLL:
// calls are tried, and GO_EAGAIN is their answer where they would wait.
void poll_deadline(PollDesc *pd, PollSide side, int64_t when);

#endif
