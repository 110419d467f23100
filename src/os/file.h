// SPDX-License-Identifier: BSD-3-Clause
// The part of os.h about files: calls on them, and a ring of the kernel's to hand such calls over
// to.
//
// What fd.h says of results and of the simulation holds here, too; but each call blocks for as long
// as the disk takes, unless the contrary is said. In the simulation there is no ring.
#ifndef UNDERGO_OS_FILE_H
#define UNDERGO_OS_FILE_H

#include <sys/stat.h>
#include <sys/uio.h>

#include "os/os.h"

typedef enum OsFileOp { OS_FILE_READ, OS_FILE_WRITE, OS_FILE_SYNC, OS_FILE_SYNC_DATA } OsFileOp;

enum { OS_FILE_HERE = -1 }; // where the file stands, which moves on

typedef struct OsFileCall OsFileCall;
struct OsFileCall {
	OsFileOp op;
	int fd;
	const struct iovec *v; // memory to read to, or write from
	int n;                 // pieces of it
	int64_t offset;        // in the file, or OS_FILE_HERE
};

int64_t os_file_call(const OsFileCall *c);
// OS_FILE_READ, as far as it goes without a wait. -EAGAIN: it would wait; -EOPNOTSUPP: who knows.
int64_t os_file_try(const OsFileCall *c);
int os_file_open(const char *path, int flags, uint32_t mode); // closed on exec
int os_file_stat(int fd, struct stat *st);
int os_file_stat_path(const char *path, struct stat *st);
int os_file_truncate(int fd, int64_t bytes);
int64_t os_file_seek(int fd, int64_t offset, int whence);

// What can be told of a file's calls beforehand, without a wait.
enum {
	OS_FILE_DIRECT = 1, // they go to the disk, whatever the system has in memory
	OS_FILE_SYNC_WRITES = 2, // writes do
};
uint32_t os_file_manner(int fd);
bool os_file_remote(int fd); // they ask somebody who may be far away, or slow

// --- the ring -----------------------------------------------------------------------------------
// Takes calls and makes them meanwhile. There is one; who calls sees to it that nobody else does.
// Its descriptor becomes readable for a poller with each call that is done, or negative: -ENOSYS
// and -EPERM will be the answer always, others may not be the next time.
enum { OS_RING_DEPTH = 1024 }; // so many calls may be under way
int os_ring_make(void);
void os_ring_end(void); // none is under way
// 0: it will be told under that tag, not 0. Memory to read to or write from stays until then; c and
// its list of pieces need not. Negative: no part of it is done, or ever will be.  Blocks: no.
typedef enum OsRingWhen { OS_RING_SOON, OS_RING_LATER } OsRingWhen; // LATER: by another thread
int os_ring_submit(const OsFileCall *c, OsRingWhen when, uint64_t tag);
typedef struct OsRingDone OsRingDone;
struct OsRingDone {
	uint64_t tag;
	int64_t result; // as of os_file_call; -ECANCELED, -EINTR, -EFAULT: it may be made anew
};
// One that is done; false: none is.  Blocks: no.
bool os_ring_take(OsRingDone *done);

#endif
