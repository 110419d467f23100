// SPDX-License-Identifier: BSD-3-Clause
// Descriptors of the program: handles, their life, and calls on them.
//
// All of these are called outside of the runtime, and enter it themselves when they have to wait: a
// call that does not wait costs its system call and two locked instructions. A handle is a positive
// number that names one descriptor for good; errors are negative codes of undergo/base.h.
#ifndef UNDERGO_NET_FD_H
#define UNDERGO_NET_FD_H

#include "os/fd.h"

typedef int64_t Handle;

// --- fd.c ---------------------------------------------------------------------------------------

// A handle for fd, which is the runtime's from then on; on error it is still the caller's.
typedef enum FdOrigin { FD_OURS, FD_FOREIGN } FdOrigin; // who has made it; ours are non-blocking
Handle fd_open(int fd, OsFdKind kind, FdOrigin origin);
int fd_close(Handle h);
int fd_number(Handle h); // of the descriptor, or a code
typedef enum FdSides { FD_READS = 1, FD_WRITES = 2 } FdSides;
int fd_deadline(Handle h, FdSides sides, int64_t when);
int fd_half_close(Handle h, FdSides side);
// The code for a negative errno value.
int fd_error(int64_t err);

// --- io.c ---------------------------------------------------------------------------------------

int64_t io_read(Handle h, void *buf, size_t n);
int64_t io_read_full(Handle h, void *buf, size_t n);
int64_t io_readv(Handle h, const struct iovec *v, int n);
int64_t io_write(Handle h, const void *buf, size_t n);
int64_t io_writev(Handle h, const struct iovec *v, int n);
int64_t io_receive(Handle h, void *buf, size_t n, struct sockaddr *from, socklen_t *bytes);
int64_t io_send(Handle h, const void *buf, size_t n, const struct sockaddr *to, socklen_t bytes);
int64_t io_sendfile(Handle to, int from, int64_t *offset, size_t n);
int io_poll(int fd, uint32_t what, int64_t deadline);

// --- file.c -------------------------------------------------------------------------------------

struct stat;
Handle file_open(const char *path, int flags, uint32_t mode);
int64_t file_read_at(Handle h, void *buf, size_t n, int64_t offset);
int64_t file_write_at(Handle h, const void *buf, size_t n, int64_t offset);
typedef enum FileSync { FILE_SYNC_ALL, FILE_SYNC_DATA } FileSync;
int file_sync(Handle h, FileSync what);
int file_stat(Handle h, struct stat *st);
int file_stat_path(const char *path, struct stat *st);
int file_truncate(Handle h, int64_t bytes);
int64_t file_seek(Handle h, int64_t offset, int whence);

// --- socket.c, dial.c ---------------------------------------------------------------------------

Handle socket_listen(const char *network, const char *address, int64_t deadline);
Handle socket_accept(Handle listener);
Handle socket_dial(const char *network, const char *address, int64_t deadline);
int socket_pipe(Handle ends[2]);
Handle socket_adopt(int fd);
typedef enum SocketEnd { SOCKET_LOCAL, SOCKET_PEER } SocketEnd;
int socket_name(Handle h, SocketEnd end, struct sockaddr *name, socklen_t *bytes);

#endif
