// SPDX-License-Identifier: BSD-3-Clause
// Reading and writing: the call first, and the wait when it would have waited.
//
// Invariants:
//   I1  Calls on one side of a descriptor do not mix: a write of many pieces is one to its readers.
//   I2  A write that fails after some of it was taken says how much; the error comes with the next.
//   I3  A read of TCP that returns less than it could has taken all there was. What comes after it
//       is told by an event. So the next read need not ask in vain: while there was no event since
//       the last one was begun (poll_quiet) it waits at once. That is one call in three for a
//       server that answers small requests. Two things can stand behind a short read without an
//       event to come: the end of the stream, and what follows urgent data. Who was told of either
//       (OS_ENDED) asks again, for ever. Other sockets are short for reasons of their own.
//       Of a read that returns what it could nobody knows whether that was all. A connection on
//       which it was, again and again (requests of one length, messages with their length in
//       front), is asked to say so with each read (READS_COUNTED). Telling costs a third of the
//       vain call that it saves.
//       A wait that ends otherwise, by its deadline or a cancellation, may have had its event, too,
//       which nobody else is told. So who waits has forgotten before that there is nothing.
//   I4  With TLS in the kernel (TCP_ULP) none of I3 holds: it hands on record by record, tells of
//       records, and takes a read with room for control data for one that wants those that are no
//       data. Who puts it over a connection needs its number. So a connection whose number was told
//       is asked at each short read whether there is such a thing, and is never READS_COUNTED.
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "net/fd_impl.h"
#include "net/file.h"
#include "undergo/base.h"

enum { FILE_PIECE = 4 << 20 };

// Netfd.vain: what a vain read counts, from where on the connection counts, and where it ends.
enum { VAIN_MORE = 2, VAIN_COUNTS = 16, VAIN_MAX = 32 };

#if SANITIZE_THREAD
ATOMIC_U32 io_through_kernel;
#endif

// One call, as often as it takes. Inlined with its function.
typedef int64_t TryFn(Netfd *nf, void *arg);

static inline __attribute__((always_inline)) int64_t
until_done(Netfd *nf, PollSide side, TryFn *try, void *arg)
{
	for (;;) {
		int err = poll_prepare(&nf->pd, side);
		if (unlikely(err != 0))
			return err;
		int64_t n = -EAGAIN;
		if (side == POLL_READ)
			nf->drained = false; // I3; try_read may find it so again
		if (likely(nf->manner == FD_TRY) ||
		    os_fd_ready(nf->pd.fd, side == POLL_READ ? OS_READABLE : OS_WRITABLE) != 0)
			n = try(nf, arg);
		if (likely(n >= 0))
			return n;
		if (n != -EAGAIN || !nf->pd.known)
			return fd_error(n);
		err = fd_wait(nf, side, GO_NEVER);
		if (err != 0)
			return err;
	}
}

static inline __attribute__((always_inline)) int64_t
locked(Handle h, PollSide side, TryFn *try, void *arg)
{
	Netfd *nf;
	int err = fd_lock(h, side, &nf);
	if (unlikely(err != 0))
		return err;
	int64_t n = until_done(nf, side, try, arg);
	fd_unlock(nf, side);
	return n;
}

// --- reading ------------------------------------------------------------------------------------

typedef struct Piece {
	char *at;
	size_t n;
} Piece;

// Others hand on what they get in pieces of their own.
static ReadsKind
kind_of_reads(const Netfd *nf)
{
	bool tcp = nf->kind == OS_FD_SOCKET &&
		   os_fd_option_get(nf->pd.fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP;
	return tcp ? READS_DRAIN : READS_TELL_NOTHING;
}

// I4. Nothing is known of what cannot be asked.
static NOINLINE bool
still_bare(Netfd *nf)
{
	if (os_fd_option_get(nf->pd.fd, IPPROTO_TCP, TCP_ULP) == 0)
		return true;
	nf->reads = READS_TELL_NOTHING;
	return false;
}

// I3. Whether it is TCP is asked at the second short read: most connections that have but one are
// about to end.
static bool
short_drains(Netfd *nf)
{
	if (unlikely(nf->reads < READS_TELL_NOTHING))
		nf->reads = (uint8_t)(nf->reads == READS_UNKNOWN ? READS_SHORT_ONCE
							 : kind_of_reads(nf));
	if (nf->reads <= READS_TELL_NOTHING)
		return false;
	return likely(!load_rlx(&nf->told)) || still_bare(nf); // order: hint, I4
}

// The last read returned what it could, and now there was nothing left.
static NOINLINE void
note_vain(Netfd *nf)
{
	nf->filled = false;
	if (nf->reads == READS_TELL_NOTHING || nf->reads == READS_UNCOUNTED)
		return;
	nf->vain = (uint8_t)(nf->vain + VAIN_MORE);
	if (nf->vain < VAIN_COUNTS)
		return;
	nf->vain = 0;
	if (nf->reads < READS_TELL_NOTHING)
		nf->reads = (uint8_t)kind_of_reads(nf);
	if (nf->reads != READS_DRAIN)
		return;
	if (load_rlx(&nf->told) || os_fd_counts(nf->pd.fd) != 0) { // order: hint, I4
		nf->reads = READS_UNCOUNTED;
		return;
	}
	nf->reads = READS_COUNTED;
	nf->vain = VAIN_COUNTS;
}

// I4
static inline bool
shall_count(Netfd *nf)
{
	if (unlikely(load_rlx(&nf->told))) // order: hint
		nf->reads = READS_UNCOUNTED;
	return nf->reads == READS_COUNTED;
}

// Goes back to the shorter call when that would have told as much.
static NOINLINE int64_t
try_counted(Netfd *nf, Piece *p)
{
	int left;
	int64_t n = os_fd_read_counted(nf->pd.fd, p->at, p->n, &left);
	if (n <= 0)
		return n;
	nf->drained = left == 0;
	if (left == 0 && (size_t)n == p->n)
		nf->vain = (uint8_t)(nf->vain < VAIN_MAX ? nf->vain + VAIN_MORE : VAIN_MAX);
	else if (--nf->vain == 0)
		nf->reads = READS_DRAIN;
	return n;
}

static inline int64_t
try_read(Netfd *nf, void *v)
{
	Piece *p = v;
	if (nf->reads == READS_COUNTED && p->n != 0 && shall_count(nf))
		return try_counted(nf, p);
	int64_t n = os_fd_read(nf->pd.fd, (OsFdKind)nf->kind, p->at, p->n);
	if (unlikely(n == -EAGAIN && nf->filled))
		note_vain(nf);
	else if (nf->filled && nf->vain != 0)
		nf->vain--;
	nf->filled = n > 0 && (size_t)n == p->n;
	nf->drained = n > 0 && (size_t)n < p->n && short_drains(nf);
	return n;
}

// I3
static inline __attribute__((always_inline)) int64_t
read_some(Netfd *nf, Piece *p)
{
	if (nf->drained && p->n != 0 && poll_quiet(&nf->pd, POLL_READ)) {
		nf->drained = false;
		int err = fd_wait(nf, POLL_READ, GO_NEVER);
		if (err != 0)
			return err;
	}
	return until_done(nf, POLL_READ, try_read, p);
}

static inline __attribute__((always_inline)) int64_t
read_piece(Netfd *nf, Piece *p)
{
	if (unlikely(nf->manner == FD_FILE))
		return file_read(nf, &(struct iovec){p->at, p->n}, 1);
	return read_some(nf, p);
}

int64_t
io_read(Handle h, void *buf, size_t n)
{
	Netfd *nf;
	Piece p = {buf, n};
	int err = fd_lock(h, POLL_READ, &nf);
	if (unlikely(err != 0))
		return err;
	int64_t got = read_piece(nf, &p);
	fd_unlock(nf, POLL_READ);
	DATA_COMES();
	return got;
}

int64_t
io_read_full(Handle h, void *buf, size_t n)
{
	Netfd *nf;
	Piece p = {buf, n};
	int err = fd_lock(h, POLL_READ, &nf);
	if (err != 0)
		return err;
	int64_t got = 1;
	while (p.n != 0 && (got = read_piece(nf, &p)) > 0) {
		p.at += got;
		p.n -= (size_t)got;
	}
	fd_unlock(nf, POLL_READ);
	DATA_COMES();
	return got < 0 ? got : (int64_t)(n - p.n);
}

typedef struct Vector {
	const struct iovec *v;
	int n;
} Vector;

static inline int64_t
try_readv(Netfd *nf, void *v)
{
	Vector *ve = v;
	return os_fd_readv(nf->pd.fd, ve->v, ve->n);
}

int64_t
io_readv(Handle h, const struct iovec *v, int n)
{
	Vector ve = {v, n};
	Netfd *nf;
	if (n < 0 || n > IOV_MAX)
		return GO_EINVAL;
	int err = fd_lock(h, POLL_READ, &nf);
	if (err != 0)
		return err;
	int64_t got = nf->manner == FD_FILE ? file_read(nf, v, n)
					    : until_done(nf, POLL_READ, try_readv, &ve);
	fd_unlock(nf, POLL_READ);
	DATA_COMES();
	return got;
}

typedef struct Datagram {
	Piece p;
	struct sockaddr *from;
	const struct sockaddr *to;
	socklen_t *from_bytes;
	socklen_t to_bytes;
} Datagram;

static inline int64_t
try_receive(Netfd *nf, void *v)
{
	Datagram *d = v;
	return os_fd_receive(nf->pd.fd, d->p.at, d->p.n, d->from, d->from_bytes);
}

int64_t
io_receive(Handle h, void *buf, size_t n, struct sockaddr *from, socklen_t *bytes)
{
	Datagram d = {.p = {buf, n}, .from = from, .from_bytes = bytes};
	int64_t got = locked(h, POLL_READ, try_receive, &d);
	DATA_COMES();
	return got;
}

// --- writing ------------------------------------------------------------------------------------

static inline int64_t
try_write(Netfd *nf, void *v)
{
	Piece *p = v;
	return os_fd_write(nf->pd.fd, (OsFdKind)nf->kind, p->at, p->n);
}

// I2
static int64_t
write_all(Netfd *nf, Piece p)
{
	size_t n = p.n;
	do {
		int64_t put = until_done(nf, POLL_WRITE, try_write, &p);
		if (put < 0)
			return p.n == n ? put : (int64_t)(n - p.n);
		p.at += put;
		p.n -= (size_t)put;
	} while (p.n != 0);
	return (int64_t)n;
}

int64_t
io_write(Handle h, const void *buf, size_t n)
{
	Netfd *nf;
	Piece p = {(char *)(uintptr_t)buf, n};
	DATA_GOES();
	int err = fd_lock(h, POLL_WRITE, &nf);
	if (unlikely(err != 0))
		return err;
	int64_t put = unlikely(nf->manner == FD_FILE)
			      ? file_write(h, nf, &(struct iovec){p.at, p.n}, 1)
			      : write_all(nf, p);
	fd_unlock(nf, POLL_WRITE);
	return put;
}

static inline int64_t
try_writev(Netfd *nf, void *v)
{
	Vector *ve = v;
	return os_fd_writev(nf->pd.fd, (OsFdKind)nf->kind, ve->v, ve->n);
}

// The rest of the first piece, after so many bytes of v; *v and *n move to what comes behind it.
static Piece
rest_of(const struct iovec **v, int *n, size_t done)
{
	for (; *n != 0; ++*v, --*n) {
		if (done < (*v)->iov_len) {
			Piece p = {(char *)(*v)->iov_base + done, (*v)->iov_len - done};
			++*v, --*n;
			return p;
		}
		done -= (*v)->iov_len;
	}
	return (Piece){0};
}

// What the first call leaves is written piece by piece.
static int64_t
writev_all(Netfd *nf, const struct iovec *v, int n)
{
	Vector ve = {v, n};
	int64_t done = until_done(nf, POLL_WRITE, try_writev, &ve);
	if (done < 0)
		return done;
	Piece p = rest_of(&v, &n, (size_t)done);
	while (p.n != 0) {
		int64_t put = write_all(nf, p);
		if (put < 0)
			return done;
		done += put;
		if ((size_t)put < p.n)
			return done;
		p = rest_of(&v, &n, 0);
	}
	return done;
}

int64_t
io_writev(Handle h, const struct iovec *v, int n)
{
	Netfd *nf;
	if (n < 0 || n > IOV_MAX)
		return GO_EINVAL;
	DATA_GOES();
	int err = fd_lock(h, POLL_WRITE, &nf);
	if (err != 0)
		return err;
	int64_t put = nf->manner == FD_FILE ? file_write(h, nf, v, n) : writev_all(nf, v, n);
	fd_unlock(nf, POLL_WRITE);
	return put;
}

static inline int64_t
try_send(Netfd *nf, void *v)
{
	Datagram *d = v;
	return os_fd_send(nf->pd.fd, d->p.at, d->p.n, d->to, d->to_bytes);
}

int64_t
io_send(Handle h, const void *buf, size_t n, const struct sockaddr *to, socklen_t bytes)
{
	Datagram d = {.p = {(char *)(uintptr_t)buf, n}, .to = to, .to_bytes = bytes};
	DATA_GOES();
	return locked(h, POLL_WRITE, try_send, &d);
}

typedef struct FilePiece {
	int from;
	int64_t *offset;
	size_t n;
} FilePiece;

static inline int64_t
try_sendfile(Netfd *nf, void *v)
{
	FilePiece *f = v;
	return os_fd_sendfile(nf->pd.fd, f->from, f->offset, f->n);
}

// In pieces, so that a deadline is noticed.
int64_t
io_sendfile(Handle to, int from, int64_t *offset, size_t n)
{
	Netfd *nf;
	size_t left = n;
	int err = fd_lock(to, POLL_WRITE, &nf);
	if (err != 0)
		return err;
	int64_t put = 1;
	while (left != 0 && put > 0) {
		FilePiece f = {from, offset, left < FILE_PIECE ? left : FILE_PIECE};
		put = until_done(nf, POLL_WRITE, try_sendfile, &f);
		left -= put > 0 ? (size_t)put : 0;
	}
	fd_unlock(nf, POLL_WRITE);
	return put < 0 && left == n ? put : (int64_t)(n - left);
}

// --- somebody else's descriptors ----------------------------------------------------------------

// Whoever has it may have told the poller already, under the same number: then a copy of it does.
static int
know(PollDesc *pd, int fd, int *copy)
{
	*copy = -1;
	int err = poll_open(pd, fd);
	if (err != -EEXIST)
		return err;
	*copy = os_fd_copy(fd);
	return *copy < 0 ? *copy : poll_open(pd, *copy);
}

static int
wait_for(Netfd *nf, int fd, uint32_t what, int64_t deadline)
{
	for (;;) {
		word_reset(&nf->pd.word[POLL_READ]);
		word_reset(&nf->pd.word[POLL_WRITE]);
		int is = os_fd_ready(fd, what);
		if (is != 0)
			return is > 0 ? is : fd_error(is);
		int err = poll_wait_any(&nf->pd, (what & OS_READABLE) != 0,
					(what & OS_WRITABLE) != 0, deadline);
		if (err != 0)
			return err;
	}
}

int
io_poll(int fd, uint32_t what, int64_t deadline)
{
	if (what == 0 || (what & ~(uint32_t)(OS_READABLE | OS_WRITABLE)) != 0)
		return GO_EINVAL;
	int is = os_fd_ready(fd, what);
	if (is != 0 || deadline == GO_POLL)
		return is > 0 ? is : is == 0 ? GO_EAGAIN : fd_error(is);
	int copy = -1;
	sched_enter();
	Netfd *nf = slot_get();
	int err = nf != NULL ? know(&nf->pd, fd, &copy) : GO_ENOMEM;
	if (err == 0)
		err = wait_for(nf, fd, what, deadline);
	else if (nf != NULL)
		err = fd_error(err);
	if (nf != NULL) {
		poll_close(&nf->pd);
		if (copy >= 0)
			(void)os_close(copy);
		slot_put(nf);
	}
	sched_leave();
	return err;
}
