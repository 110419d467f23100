// SPDX-License-Identifier: BSD-3-Clause
// What the files that work on descriptors of the program share: references, locks, waits. fd.c has
// the invariants.
#ifndef UNDERGO_NET_FD_IMPL_H
#define UNDERGO_NET_FD_IMPL_H

#include "net/fd.h"
#include "net/net_impl.h"

// ThreadSanitizer does not see that data goes from a writer to a reader through the kernel. All
// writes come before all later reads for it, as in Go's race detector.
#if SANITIZE_THREAD
extern ATOMIC_U32 io_through_kernel;
#define DATA_GOES() ((void)add_rel(&io_through_kernel, 1)) // order: publish -> DATA_COMES
#define DATA_COMES() ((void)load_acq(&io_through_kernel))  // order: observe <- DATA_GOES
#else
#define DATA_GOES() ((void)0)
#define DATA_COMES() ((void)0)
#endif

// Netfd.state. The bits of locks and waits are those of reading, shifted by the side.
enum { FD_CLOSED = 1, FD_LOCKS = 2, FD_WAITS = 8, FD_REF = 32, FD_GEN_SHIFT = 32 };

static inline uint64_t
fd_locks(PollSide side)
{
	return (uint64_t)FD_LOCKS << side;
}

static inline uint64_t
fd_waits(PollSide side)
{
	return (uint64_t)FD_WAITS << side;
}

// A reference, and with fd_lock one of the sides. 0, GO_ECLOSED, GO_EINVAL (no handle at all),
// GO_ECANCELED.  Blocks: G, while another one has that side.
int fd_hold(Handle h, Netfd **out);
void fd_let_go(Netfd *nf);
int fd_lock(Handle h, PollSide side, Netfd **out);
void fd_unlock(Netfd *nf, PollSide side);
// A call would have waited; also returns at `when`. 0: try again.  Blocks: G.
int fd_wait(Netfd *nf, PollSide side, int64_t when);

#endif
