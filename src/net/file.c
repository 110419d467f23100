// SPDX-License-Identifier: BSD-3-Clause
// Files: a read is tried without a wait first; what would wait is handed to the ring, or made by a
// thread whose processor others get meanwhile.
//
// What goes where:
//   reads           tried, as far as the system has the file in memory; the rest by the ring. Where
//                   it cannot tell what it has: plainly, but from a far or slow file system (FUSE,
//                   NFS, ...) by the ring
//   O_DIRECT reads  the ring
//   writes          plainly: they go to the system's memory, and a ring costs more than they do.
//                   With O_DIRECT or O_SYNC, and to far file systems: the ring
//   fsync           the ring
//   the others      plainly
// Plainly means that the monitor takes the processor away if the call blocks. What is known to wait
// and gets no ring says so first. Threads of the program, and goroutines locked to one, have it for
// themselves, so they make their calls there: what they see of files may be their own (unshare).
//
// Nothing ends a call that is under way: no deadline, no cancellation, no closing.
//
// Invariants:
//   I1  Who moves a file's place has the lock of POLL_READ, and a writer that of POLL_WRITE before.
//   I2  A call that has done something says so; the error comes with the next.
// Order:  Netfd.file is hints: what it costs not to know them is a call in vain.
#include "net/file.h"

#include <errno.h>

#include "base/godebug.h"
#include "net/fd_impl.h"
#include "net/ring.h"
#include "os/file.h"
#include "undergo/base.h"

// Netfd.file, beside the bits of os_file_manner.
enum { FILE_REMOTE = 16, FILE_LOCAL = 32, FILE_TRY_VAIN = 64 };

static int
file_error(int64_t err)
{
	return err == -ENOSPC ? GO_ERRNO(ENOSPC) : fd_error(err); // of the disk, not of the poller
}

// --- calls --------------------------------------------------------------------------------------

static bool
is_remote(Netfd *nf)
{
	uint32_t is = load_rlx(&nf->file); // order: hint
	if (unlikely((is & (FILE_REMOTE | FILE_LOCAL)) == 0)) {
		is = os_file_remote(nf->pd.fd) ? FILE_REMOTE : FILE_LOCAL;
		or_ar(&nf->file, is); // order: hint
	}
	return (is & FILE_REMOTE) != 0;
}

// It is going to wait. Outside of the runtime.  Blocks: G, or M.
static int64_t
call_waits(const OsFileCall *c)
{
	int64_t n = RING_REFUSED;
	G *gp = sched_enter();
	if (!gp->thread && !gp->locked && ring_usable())
		n = ring_call(c);
	if (n == RING_REFUSED) {
		sched_block_begin();
		n = os_file_call(c);
		sched_enter();
	}
	sched_leave();
	return n;
}

// How far it got, and whether there may be more of it in memory.
static int64_t
read_once(Netfd *nf, const OsFileCall *c, bool *more)
{
	uint32_t is = load_rlx(&nf->file); // order: hint
	*more = false;
	if ((is & OS_FILE_DIRECT) != 0 || godebug.iouring > 1)
		return call_waits(c);
	if ((is & FILE_TRY_VAIN) == 0) {
		int64_t got = os_file_try(c);
		*more = got > 0;
		if (got == -EAGAIN)
			return call_waits(c);
		if (got != -EOPNOTSUPP && got != -ENOSYS)
			return got;
		or_ar(&nf->file, FILE_TRY_VAIN); // order: hint
	}
	return is_remote(nf) ? call_waits(c) : os_file_call(c);
}

static int64_t
write_once(Netfd *nf, const OsFileCall *c, bool *more)
{
	uint32_t waiting = OS_FILE_DIRECT | OS_FILE_SYNC_WRITES;
	bool waits = (load_rlx(&nf->file) & waiting) != 0 || // order: hint
		     is_remote(nf) || godebug.iouring > 1;
	*more = true;
	return waits ? call_waits(c) : os_file_call(c);
}

// --- all of it ----------------------------------------------------------------------------------

// What is left to be moved: the rest of a piece, and then others.
typedef struct Left {
	struct iovec rest;
	const struct iovec *v;
	int n;
} Left;

static void
advance(Left *l, size_t done)
{
	if (l->rest.iov_len != 0) {
		l->rest.iov_base = (char *)l->rest.iov_base + done;
		l->rest.iov_len -= done;
		return;
	}
	for (; l->n != 0; done -= l->v->iov_len, l->v++, l->n--) {
		if (done >= l->v->iov_len)
			continue;
		l->rest.iov_base = (char *)l->v->iov_base + done;
		l->rest.iov_len = l->v->iov_len - done;
		l->v++, l->n--;
		return;
	}
}

static bool
is_left(const Left *l)
{
	return l->rest.iov_len != 0 || l->n != 0;
}

// I2
static int64_t
move(Netfd *nf, OsFileOp op, const struct iovec *v, int n, int64_t offset)
{
	Left l = {.v = v, .n = n};
	int64_t done = 0, got;
	bool more;
	do {
		bool rest = l.rest.iov_len != 0;
		OsFileCall c = {op, nf->pd.fd, rest ? &l.rest : l.v, rest ? 1 : l.n, offset};
		got = op == OS_FILE_READ ? read_once(nf, &c, &more) : write_once(nf, &c, &more);
		if (got <= 0)
			break;
		done += got;
		offset += offset != OS_FILE_HERE ? got : 0;
		advance(&l, (size_t)got);
	} while (more && is_left(&l));
	return got < 0 && done == 0 ? file_error(got) : done;
}

int64_t
file_read(Netfd *nf, const struct iovec *v, int n)
{
	return move(nf, OS_FILE_READ, v, n, OS_FILE_HERE);
}

int64_t
file_write(Handle h, Netfd *nf, const struct iovec *v, int n)
{
	int err = fd_lock(h, POLL_READ, &nf); // I1
	if (err != 0)
		return err;
	int64_t put = move(nf, OS_FILE_WRITE, v, n, OS_FILE_HERE);
	fd_unlock(nf, POLL_READ);
	return put;
}

// --- the C face's own ---------------------------------------------------------------------------

Handle
file_open(const char *path, int flags, uint32_t mode)
{
	int fd = os_file_open(path, flags, mode);
	if (fd < 0)
		return file_error(fd);
	int kind = os_fd_kind(fd);
	Handle h = kind < 0 ? file_error(kind) : fd_open(fd, (OsFdKind)kind, FD_FOREIGN);
	if (h < 0)
		(void)os_close(fd);
	return h;
}

// An offset and the bytes behind it.
static bool
within(size_t n, int64_t offset)
{
	int64_t end;
	return offset >= 0 && !__builtin_add_overflow(offset, n, &end);
}

// Most of what is no file has no offsets, and says so.
static int64_t
move_at(Netfd *nf, OsFileOp op, const void *at, size_t n, int64_t offset)
{
	struct iovec v = {(void *)(uintptr_t)at, n};
	OsFileCall c = {op, nf->pd.fd, &v, 1, offset};
	if (nf->manner == FD_FILE)
		return move(nf, op, &v, 1, offset);
	int64_t done = os_file_call(&c);
	return done < 0 ? file_error(done) : done;
}

int64_t
file_read_at(Handle h, void *buf, size_t n, int64_t offset)
{
	Netfd *nf;
	if (!within(n, offset))
		return GO_EINVAL;
	int err = fd_hold(h, &nf);
	if (err != 0)
		return err;
	int64_t got = move_at(nf, OS_FILE_READ, buf, n, offset);
	fd_let_go(nf);
	DATA_COMES();
	return got;
}

int64_t
file_write_at(Handle h, const void *buf, size_t n, int64_t offset)
{
	Netfd *nf;
	if (!within(n, offset))
		return GO_EINVAL;
	DATA_GOES();
	int err = fd_hold(h, &nf);
	if (err != 0)
		return err;
	int64_t put = move_at(nf, OS_FILE_WRITE, buf, n, offset);
	fd_let_go(nf);
	return put;
}

int
file_sync(Handle h, FileSync what)
{
	Netfd *nf;
	int err = fd_hold(h, &nf);
	if (err != 0)
		return err;
	OsFileOp op = what == FILE_SYNC_DATA ? OS_FILE_SYNC_DATA : OS_FILE_SYNC;
	OsFileCall c = {.op = op, .fd = nf->pd.fd};
	err = file_error(call_waits(&c));
	fd_let_go(nf);
	return err;
}

int
file_stat(Handle h, struct stat *st)
{
	Netfd *nf;
	int err = fd_hold(h, &nf);
	if (err != 0)
		return err;
	err = file_error(os_file_stat(nf->pd.fd, st));
	fd_let_go(nf);
	return err;
}

int
file_stat_path(const char *path, struct stat *st)
{
	return file_error(os_file_stat_path(path, st));
}

int
file_truncate(Handle h, int64_t bytes)
{
	Netfd *nf;
	int err = fd_hold(h, &nf);
	if (err != 0)
		return err;
	err = file_error(os_file_truncate(nf->pd.fd, bytes));
	fd_let_go(nf);
	return err;
}

int64_t
file_seek(Handle h, int64_t offset, int whence)
{
	Netfd *nf;
	int err = fd_lock(h, POLL_READ, &nf); // I1
	if (err != 0)
		return err;
	int64_t at = os_file_seek(nf->pd.fd, offset, whence);
	fd_unlock(nf, POLL_READ);
	return at < 0 ? file_error(at) : at;
}
