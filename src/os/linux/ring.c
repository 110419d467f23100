// SPDX-License-Identifier: BSD-3-Clause
// The ring of os/file.h: io_uring, by liburing.
//
// Invariants:
//   I1  Calls are submitted one by one. What the kernel does not take at once is made a call of
//       nothing, under tag 0, which goes with the next, or before it when there is no room left.
//   I2  No more than OS_RING_DEPTH are under way, so there is room for their results.
#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "os/file.h"
#include "os/os_impl.h"

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

enum {
	SUBMITTED_AT_ONCE = 64, // of the kernel's threads, some work on a ring: by its size
	// Results are never dropped, calls may go on from where a file stands (Linux 5.6), and who
	// works on them for us is a thread like others (5.12): before that there were many holes.
	FEATURES = IORING_FEAT_NODROP | IORING_FEAT_RW_CUR_POS | IORING_FEAT_NATIVE_WORKERS,
};

static struct io_uring ring;

int
sys_ring_make(void)
{
	struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE, .cq_entries = OS_RING_DEPTH};
	if (RUNNING_ON_VALGRIND) // it does not see what the kernel writes to memory meanwhile
		return -ENOSYS;
	int err = io_uring_queue_init_params(SUBMITTED_AT_ONCE, &ring, &p);
	if (err != 0)
		return err;
	// The number of a standard descriptor, which the program has closed: it may open it again.
	if ((p.features & FEATURES) != FEATURES || ring.ring_fd <= 2) {
		sys_ring_end();
		return -ENOSYS;
	}
	return ring.ring_fd;
}

void
sys_ring_end(void)
{
	io_uring_queue_exit(&ring);
}

static void
prepare(struct io_uring_sqe *e, const OsFileCall *c)
{
	uint64_t offset = (uint64_t)c->offset; // OS_FILE_HERE: the same to the kernel
	switch (c->op) {
	case OS_FILE_READ:
		io_uring_prep_readv(e, c->fd, c->v, (unsigned)c->n, offset);
		return;
	case OS_FILE_WRITE:
		io_uring_prep_writev(e, c->fd, c->v, (unsigned)c->n, offset);
		return;
	case OS_FILE_SYNC:
		io_uring_prep_fsync(e, c->fd, 0);
		return;
	case OS_FILE_SYNC_DATA:
		io_uring_prep_fsync(e, c->fd, IORING_FSYNC_DATASYNC);
		return;
	}
}

int
sys_ring_submit(const OsFileCall *c, bool later, uint64_t tag)
{
	struct io_uring_sqe *e = io_uring_get_sqe(&ring);
	if (e == NULL && io_uring_submit(&ring) > 0) // I1
		e = io_uring_get_sqe(&ring);
	if (e == NULL)
		return -EAGAIN;
	prepare(e, c);
	if (later)
		io_uring_sqe_set_flags(e, IOSQE_ASYNC);
	io_uring_sqe_set_data64(e, tag);
	int n = io_uring_submit(&ring);
	if (io_uring_sq_ready(&ring) == 0)
		return 0;
	io_uring_prep_nop(e); // I1
	io_uring_sqe_set_data64(e, 0);
	return n < 0 ? n : -EAGAIN;
}

bool
sys_ring_take(OsRingDone *done)
{
	struct io_uring_cqe *e;
	while (io_uring_peek_cqe(&ring, &e) == 0 && e != NULL) {
		*done = (OsRingDone){io_uring_cqe_get_data64(e), e->res};
		io_uring_cqe_seen(&ring, e);
		if (done->tag != 0)
			return true;
	}
	return false;
}
