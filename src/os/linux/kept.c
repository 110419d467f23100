// SPDX-License-Identifier: BSD-3-Clause
// Files of /proc that stay open: threads and mappings must be found, too, when the program has no
// descriptor left.
//
// A program may close descriptors that are not its own, or put another file over one. So each time
// it is asked whether the descriptor is still what it was, and if not the file is opened anew.
//
// Several threads may ask at a time, so one that reads from a position gives the position. Of those
// that open it anew one puts its descriptor here; the others have theirs to themselves, and close
// it. What was here is never closed: if it is no longer this file it is the program's.
#include <fcntl.h>
#include <sys/stat.h>

#include "os/linux/kept.h"
#include "os/linux/syscall.h"

enum { FIRST_FD = 3 }; // standard streams that were closed stay so

static bool
same_file(const KeptFile *f, int fd, struct stat *st)
{
	return syscall2(SYS_fstat, fd, st) == 0 &&
	       st->st_dev == load_rlx(&f->dev) && // order: with state
	       st->st_ino == load_rlx(&f->ino);   // order: with state
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

// True: fd stays here. Else another one has been faster.
static bool
keep(KeptFile *f, int fd)
{
	struct stat st, now;
	uint32_t state = load_rlx(&f->state); // order: hint
	if (syscall2(SYS_fstat, fd, &st) != 0 || state == KEPT_WRITING ||
	    !cas_acq(&f->state, &state, KEPT_WRITING)) // order: claim
		return false;
	// Under its own number: who had that before has lost it.
	int kept = load_rlx(&f->fd); // order: own
	bool gone = state == KEPT_NOT || kept == fd || !same_file(f, kept, &now);
	if (gone) {
		store_rlx(&f->fd, fd);         // order: with state
		store_rlx(&f->dev, st.st_dev); // order: with state
		store_rlx(&f->ino, st.st_ino); // order: with state
	}
	store_rel(&f->state, KEPT_KNOWN); // order: publish -> is_kept
	return gone;
}

static bool
is_kept(const KeptFile *f)
{
	return load_acq(&f->state) == KEPT_KNOWN; // order: observe <- keep
}

// Its descriptor, or -1.
static int
still_open(const KeptFile *f, struct stat *st)
{
	int fd = is_kept(f) ? load_rlx(&f->fd) : -1; // order: with state
	return fd >= 0 && same_file(f, fd, st) ? fd : -1;
}

bool
kept_stat(const KeptFile *f, struct stat *st)
{
	return still_open(f, st) >= 0;
}

int
kept_open(KeptFile *f, bool *own)
{
	struct stat st;
	*own = false;
	int fd = still_open(f, &st);
	if (fd >= 0)
		return fd;
	fd = open_high(f->path);
	*own = fd >= 0 && !keep(f, fd);
	return fd;
}

void
kept_close(int fd, bool own)
{
	if (own)
		syscall1(SYS_close, fd);
}
