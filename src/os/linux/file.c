// SPDX-License-Identifier: BSD-3-Clause
// Files: os/file.h, but for the ring.
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include "os/file.h"
#include "os/linux/syscall.h"
#include "os/os_impl.h"

// File systems of which <linux/magic.h> has no name.
enum { MAGIC_LUSTRE = 0x0bd00bd0, MAGIC_GFS2 = 0x01161970 };

// An interrupted call is made again.
#define UNINTERRUPTED(call)              \
	({                               \
		long err_;               \
		do                       \
			err_ = (call);   \
		while (err_ == -EINTR);  \
		err_;                    \
	})

// --- calls --------------------------------------------------------------------------------------

// Offsets go in two halves where words are short; ours are not.
static int64_t
make_call(const OsFileCall *c)
{
	switch (c->op) {
	case OS_FILE_READ:
		return c->offset == OS_FILE_HERE
			       ? syscall3(SYS_readv, c->fd, c->v, c->n)
			       : syscall5(SYS_preadv, c->fd, c->v, c->n, c->offset, 0);
	case OS_FILE_WRITE:
		return c->offset == OS_FILE_HERE
			       ? syscall3(SYS_writev, c->fd, c->v, c->n)
			       : syscall5(SYS_pwritev, c->fd, c->v, c->n, c->offset, 0);
	case OS_FILE_SYNC:
		return syscall1(SYS_fsync, c->fd);
	case OS_FILE_SYNC_DATA:
		return syscall1(SYS_fdatasync, c->fd);
	}
	return -EINVAL;
}

int64_t
os_file_call(const OsFileCall *c)
{
	int err = fault(FAULT_file_call);
	return err != 0 ? err : UNINTERRUPTED(make_call(c));
}

int64_t
os_file_try(const OsFileCall *c)
{
	int err = fault(FAULT_file_try);
	if (err != 0)
		return err;
	return UNINTERRUPTED(syscall6(SYS_preadv2, c->fd, (long)c->v, c->n, (long)c->offset, 0,
				      RWF_NOWAIT));
}

int
os_file_open(const char *path, int flags, uint32_t mode)
{
	int err = fault(FAULT_file_open);
	if (err != 0)
		return err;
	return (int)UNINTERRUPTED(
		syscall4(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC | O_LARGEFILE, mode));
}

// --- what there is to know ----------------------------------------------------------------------

int
os_file_stat(int fd, struct stat *st)
{
	int err = fault(FAULT_file_call);
	return err != 0 ? err : (int)syscall2(SYS_fstat, fd, st);
}

int
os_file_stat_path(const char *path, struct stat *st)
{
	int err = fault(FAULT_file_call);
	return err != 0 ? err : (int)syscall4(SYS_newfstatat, AT_FDCWD, path, st, 0);
}

int
os_file_truncate(int fd, int64_t bytes)
{
	int err = fault(FAULT_file_call);
	return err != 0 ? err : (int)UNINTERRUPTED(syscall2(SYS_ftruncate, fd, bytes));
}

int64_t
os_file_seek(int fd, int64_t offset, int whence)
{
	int err = fault(FAULT_file_call);
	return err != 0 ? err : syscall3(SYS_lseek, fd, offset, whence);
}

// File systems that ask others, and cannot say without a wait what they know.
bool
os_file_remote(int fd)
{
	struct statfs fs = {0};
	if (syscall2(SYS_fstatfs, fd, &fs) != 0)
		return false;
	switch ((uint32_t)fs.f_type) {
	case NFS_SUPER_MAGIC:
	case AFS_SUPER_MAGIC:
	case CODA_SUPER_MAGIC:
	case V9FS_MAGIC:
	case FUSE_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
	case CEPH_SUPER_MAGIC:
	case MAGIC_LUSTRE:
	case MAGIC_GFS2:
	case OCFS2_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

uint32_t
os_file_manner(int fd)
{
	long flags = syscall2(SYS_fcntl, fd, F_GETFL);
	if (flags < 0)
		return 0;
	return ((flags & O_DIRECT) != 0 ? OS_FILE_DIRECT : 0) |
	       ((flags & (O_SYNC | O_DSYNC)) != 0 ? OS_FILE_SYNC_WRITES : 0);
}
