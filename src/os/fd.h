// SPDX-License-Identifier: BSD-3-Clause
// The part of os.h about descriptors of the program: sockets, pipes, files.
//
// All are closed on exec, and none of these calls blocks but on a descriptor that is in blocking
// mode. Results are 0 or more, or a negative errno value; EINTR is never one. No call here raises
// SIGPIPE. In the simulation descriptors are real.
#ifndef UNDERGO_OS_FD_H
#define UNDERGO_OS_FD_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "os/os.h"

// How data is written, so that no signal comes of it.
// A file is one of a file system's, or a directory, or a disk.
typedef enum OsFdKind { OS_FD_SOCKET, OS_FD_PIPE, OS_FD_OTHER, OS_FD_FILE } OsFdKind;

int64_t os_fd_read(int fd, OsFdKind kind, void *buf, size_t n);
// The same of a TCP socket that has been told to count (os_fd_counts). *left is what there was to
// read after it: 0, none and no end of the stream either; -1, it was not told.
int64_t os_fd_read_counted(int fd, void *buf, size_t n, int *left);
// TCP says with each read how much is left.
int os_fd_counts(int fd);
int64_t os_fd_write(int fd, OsFdKind kind, const void *buf, size_t n);
int64_t os_fd_readv(int fd, const struct iovec *v, int n);
int64_t os_fd_writev(int fd, OsFdKind kind, const struct iovec *v, int n);
int64_t os_fd_receive(int fd, void *buf, size_t n, struct sockaddr *from, socklen_t *bytes);
int64_t os_fd_send(int fd, const void *buf, size_t n, const struct sockaddr *to, socklen_t bytes);
// From a file at *offset, which moves on; NULL: from where it stands.
int64_t os_fd_sendfile(int to, int from, int64_t *offset, size_t n);

int os_fd_socket(int family, int type, int protocol); // non-blocking
int os_fd_accept(int fd, struct sockaddr *from, socklen_t *bytes); // non-blocking
int os_fd_connect(int fd, const struct sockaddr *to, socklen_t bytes);
int os_fd_bind(int fd, const struct sockaddr *at, socklen_t bytes);
int os_fd_listen(int fd, int backlog);
int os_fd_shutdown(int fd, int how);
int os_fd_option(int fd, int level, int name, int value);
int os_fd_option_get(int fd, int level, int name); // a value of 0 or more
int os_fd_name(int fd, struct sockaddr *name, socklen_t *bytes);
int os_fd_peer(int fd, struct sockaddr *name, socklen_t *bytes);
int os_fd_pipe(int fds[2]); // non-blocking
int os_fd_copy(int fd);
int os_fd_nonblocking(int fd);
int os_fd_kind(int fd); // OsFdKind
// Which of OS_READABLE and OS_WRITABLE hold now; -EBADF.
int os_fd_ready(int fd, uint32_t what);

#endif
