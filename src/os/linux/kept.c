// SPDX-License-Identifier: BSD-3-Clause
// Files of /proc that stay open: threads and mappings must be found, too, when the program has no
// descriptor left.
//
// A program may close descriptors that are not its own, or put another file over one. So each time
// it is asked whether the descriptor is still what it was, and if not the file is opened anew.
#include <fcntl.h>
#include <sys/stat.h>

#include "os/linux/kept.h"
#include "os/linux/syscall.h"

enum { FIRST_FD = 3 }; // standard streams that were closed stay so

static bool
same_file(const KeptFile *f)
{
	struct stat st;
	return f->known && syscall2(SYS_fstat, f->fd, &st) == 0 && st.st_dev == f->dev &&
	       st.st_ino == f->ino;
}

static int
open_high(const char *path)
{
	long fd = syscall4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0 || fd >= FIRST_FD)
		return (int)fd;
	long high = syscall3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, FIRST_FD);
	syscall1(SYS_close, fd);
	return (int)high;
}

int
kept_open(KeptFile *f)
{
	struct stat st;
	if (same_file(f)) {
		syscall3(SYS_lseek, f->fd, 0, SEEK_SET);
		return f->fd;
	}
	f->known = false;
	int fd = open_high(f->path);
	if (fd < 0)
		return fd;
	if (syscall2(SYS_fstat, fd, &st) == 0) {
		f->known = true;
		f->dev = st.st_dev;
		f->ino = st.st_ino;
	}
	return f->fd = fd;
}

void
kept_close(KeptFile *f)
{
	if (!f->known)
		syscall1(SYS_close, f->fd);
}
