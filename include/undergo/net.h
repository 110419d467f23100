/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/net.h - sockets, pipes, and whatever else a goroutine reads, writes or waits for.
 * Files: file.h.
 *
 * A goroutine that would have to wait lets others run; a call that need not wait costs its system
 * call and little more. A descriptor is named by a handle, a positive number that is never used for
 * another one; what would be a handle and is negative is an error code. Any goroutine or thread
 * may use any handle at any time. Readers take turns, and so do writers: what one call writes
 * arrives in one piece. Closing wakes all of them.
 *
 * All descriptors are closed on exec, and none of these calls raises SIGPIPE.
 *
 * Networks are "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix", "unixgram", "unixpacket". An
 * address is "host:port", "[v6]:port" or ":port", with a name or a number for either, and for the
 * last three a path, or "@name" in the abstract name space.
 *
 * What these tags of the calls stand for:
 *   Waits:     this goroutine only, until the deadline of its side (go_set_deadline).
 *   Errors:    beside those named: GO_ECLOSED, the handle is closed, before or during the call;
 *              GO_ETIMEDOUT, the deadline has passed; GO_EAGAIN, it is GO_POLL and the call would
 *              wait; GO_ECANCELED, the goroutine's scope was cancelled; GO_EINVAL, the handle
 *              is none; GO_ENOMEM, no memory or descriptors; GO_ERRNO(e), what the system says.
 */
#ifndef UNDERGO_NET_H
#define UNDERGO_NET_H

#include "base.h"

typedef int64_t go_fd;

struct sockaddr; /* <sys/socket.h>, whose socklen_t is the uint32_t of the calls below */
struct iovec;    /* <sys/uio.h> */

/* --- making ---------------------------------------------------------------------------------- */

/* go_listen - a socket that accepts connections; for datagrams, one that receives.
 *
 * Without a host it is reached under all addresses of the machine. Port 0 takes a free one
 * (go_local_text). A path is made, must not exist, and is removed by go_close.
 * Errors:    GO_EADDRESS, GO_ENOHOST; GO_ERRNO(EADDRINUSE).
 * Blocks:    this goroutine, while a name is looked up.
 * Call from: a goroutine or a thread.
 */
GO_API go_fd go_listen(const char *network, const char *address);

/* go_accept - the next connection of a listener.
 *
 * While there are no more descriptors to be had it tries again, up to a second apart.
 * Waits:     for reading.
 * Call from: a goroutine or a thread, any number at once.
 */
GO_API go_fd go_accept(go_fd listener);

/* go_dial - connect.
 *
 * A name with several addresses is tried as RFC 8305 says: the kinds in turns, the next one after a
 * quarter of a second beside those that have not answered. Without a host it is this machine.
 * Datagram sockets are connected without a word to the other side.
 * Errors:    GO_EADDRESS, GO_ENOHOST; of several addresses the first one's.
 * Blocks:    this goroutine, until the deadline.
 * Call from: a goroutine or a thread.
 */
GO_API go_fd go_dial(const char *network, const char *address, int64_t deadline);

/* go_pipe - a pipe: what is written to ends[1] is read from ends[0].
 *
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_pipe(go_fd ends[2]);

/* go_adopt - a handle for a descriptor that somebody else has made.
 *
 * It is this library's from then on; go_close closes it. Sockets, pipes become non-blocking,
 * for all that have the same. What else can be waited for (terminals, eventfd, ...) is left in its
 * mode, and asked before each call. Files are as go_open makes them (file.h).
 * Errors:    GO_EINVAL, it is no descriptor. It stays the caller's on any error.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API go_fd go_adopt(int fd);

/* go_fd_number - the system's number of the descriptor, for calls that are not here.
 *
 * Good until somebody closes the handle. Do not close it, nor make it blocking.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_fd_number(go_fd fd);

/* --- ending ---------------------------------------------------------------------------------- */

/* go_close - close, and wake all that wait for it, with GO_ECLOSED.
 *
 * When it returns the descriptor is closed and its address free, unless it is one of those that may
 * block (go_adopt) and somebody is in a call: then that one closes it at the end.
 * Errors:    GO_ECLOSED, somebody else has closed it.
 * Blocks:    this goroutine, until those that were woken have left.
 * Call from: a goroutine or a thread.
 */
GO_API int go_close(go_fd fd);

/* go_close_read, go_close_write - end one direction of a connection.
 *
 * The other side reads to the end of what was written, and then gets 0.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_close_read(go_fd fd);
GO_API int go_close_write(go_fd fd);

/* --- reading and writing --------------------------------------------------------------------- */

/* go_read - read what there is, at most n bytes; 0 at the end of the stream.
 *
 * Waits:     for reading, while there is nothing.
 * Call from: a goroutine or a thread.
 * Order:     what a goroutine of this process did before it wrote the bytes is visible.
 */
GO_API int64_t go_read(go_fd fd, void *buf, size_t n);

/* go_read_full - read n bytes.
 *
 * Returns n, or fewer when the stream has ended.
 * Errors:    what was read before an error is lost to the caller.
 * Waits:     for reading.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_read_full(go_fd fd, void *buf, size_t n);

/* go_readv - go_read into several places.
 *
 * Errors:    GO_EINVAL, n is negative or above 1024.
 * Waits:     for reading.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_readv(go_fd fd, const struct iovec *v, int n);

/* go_write - write all n bytes.
 *
 * Returns n. When it fails after some bytes were taken it returns how many; the next call tells
 * why.
 * Waits:     for writing, while the other side does not take it.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_write(go_fd fd, const void *buf, size_t n);

/* go_writev - go_write from several places.
 *
 * Errors:    GO_EINVAL, n is negative or above 1024.
 * Waits:     for writing.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_writev(go_fd fd, const struct iovec *v, int n);

/* go_receive - one datagram, or what there is of a stream, and who sent it.
 *
 * from and bytes may be NULL; *bytes is the room at from, and becomes the length of the address.
 * Waits:     for reading.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_receive(go_fd fd, void *buf, size_t n, struct sockaddr *from, uint32_t *bytes);

/* go_send - one datagram; to may be NULL when the socket is connected.
 *
 * Waits:     for writing.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_send(go_fd fd, const void *buf, size_t n, const struct sockaddr *to,
		       uint32_t bytes);

/* go_sendfile - write n bytes of a file, without a copy where the system can.
 *
 * From *offset, which moves on, or with NULL from where the file stands. Returns how many; fewer
 * than n at the end of the file, and as go_write says.
 * Waits:     for writing.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_sendfile(go_fd to, int file, int64_t *offset, size_t n);

/* --- waiting --------------------------------------------------------------------------------- */

/* go_set_deadline, go_set_read_deadline, go_set_write_deadline - when calls are to give up.
 *
 * From then on they fail with GO_ETIMEDOUT. For both sides, or the one. Holds for calls that wait
 * already. GO_NEVER takes it away. With GO_POLL calls are made, and return GO_EAGAIN where they
 * would wait.
 * Errors:    GO_ENOSYS, it is a file.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_set_deadline(go_fd fd, int64_t deadline);
GO_API int go_set_read_deadline(go_fd fd, int64_t deadline);
GO_API int go_set_write_deadline(go_fd fd, int64_t deadline);

enum { GO_READABLE = 1, GO_WRITABLE = 2 };

/* go_poll - wait until somebody else's descriptor is ready.
 *
 * For libraries that have non-blocking sockets of their own. events is GO_READABLE, GO_WRITABLE or
 * both. Returns which of them hold; all, when the descriptor has failed or hung up.
 * A descriptor that is closed meanwhile wakes nobody.
 * Errors:    GO_EAGAIN (deadline is GO_POLL), GO_ETIMEDOUT, GO_ECANCELED; GO_EINVAL: no events,
 *            others, or no descriptor.
 * Blocks:    this goroutine, until the deadline.
 * Call from: a goroutine or a thread, any number at once for one descriptor.
 */
GO_API int go_poll(int fd, int events, int64_t deadline);

/* --- names ----------------------------------------------------------------------------------- */

/* go_local_address, go_peer_address - the address of a socket, and of who it is connected to.
 *
 * *bytes is the room at address, and becomes its length.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_local_address(go_fd fd, struct sockaddr *address, uint32_t *bytes);
GO_API int go_peer_address(go_fd fd, struct sockaddr *address, uint32_t *bytes);

/* go_local_text, go_peer_text - the same as go_dial takes it, for example "127.0.0.1:80".
 *
 * Writes at most n bytes with the 0 at the end; returns how long the text is without it.
 * Blocks:    no.
 * Call from: a goroutine or a thread.
 */
GO_API int go_local_text(go_fd fd, char *buf, size_t n);
GO_API int go_peer_text(go_fd fd, char *buf, size_t n);

#endif
