// SPDX-License-Identifier: BSD-3-Clause
// Files among the descriptors of the program; for io.c.
#ifndef UNDERGO_NET_FILE_H
#define UNDERGO_NET_FILE_H

#include "net/fd.h"
#include "net/net_impl.h"

// From where a file stands, by who has the lock of that side: how many bytes, or a code. Of a write
// all, or what was written before it failed.  Blocks: G, or M.
int64_t file_read(Netfd *nf, const struct iovec *v, int n);
int64_t file_write(Handle h, Netfd *nf, const struct iovec *v, int n);

#endif
