// SPDX-License-Identifier: BSD-3-Clause
// What socket.c and dial.c share.
#ifndef UNDERGO_NET_SOCKET_H
#define UNDERGO_NET_SOCKET_H

#include "net/addr.h"
#include "net/fd.h"

// A socket with the options that ours have, or a negative errno value.
int socket_make(const Network *n, int family);
// fd_open; without success fd is closed.
Handle socket_own(int fd, OsFdKind kind);
// The listener's name in the file system shall go with it.
void fd_unlinks(Handle h);

#endif
