/* SPDX-License-Identifier: BSD-3-Clause */
/* undergo/file.h - files that goroutines read and write without holding up a thread.
 *
 * A file is named by a go_fd, as all descriptors are, and what net.h has is for files too: go_read,
 * go_read_full, go_readv, go_write, go_writev and go_close work from where the file stands, and
 * move it on. go_read reads all n bytes that the system has in memory, and more of them when it has
 * to wait anyway; less at the end of the file. go_write writes all. Readers and writers of where
 * one file stands take turns; go_pread and go_pwrite do not wait for each other.
 *
 * A read that finds its data in memory costs its system call. One that does not parks the goroutine
 * until the kernel has it (io_uring): no thread waits. So do go_fsync and what is written past the
 * system's memory (O_DIRECT, O_SYNC) or to a file system of another machine. Where the kernel has
 * no io_uring, or forbids it, and in the deterministic mode, a thread waits, whose processor others
 * get. So it is for what has no other way: opening, the end of a file, a thread's own calls and
 * those of goroutines locked to one. GODEBUG=iouring=0 does without io_uring.
 *
 * Memory that a call reads to or writes from has to stay as it is until the call returns, which
 * nothing brings forward: files have no deadlines, and neither a cancellation nor a closing ends a
 * call under way. What is closed meanwhile is closed at the end of the call.
 *
 * What these tags of the calls stand for:
 *   Waits:     this goroutine, and a thread where the above says so, until the disk has done it.
 *   Errors:    beside those named: GO_ECLOSED, the handle is closed; GO_EINVAL, it is none, or an
 *              argument makes no sense to the system; GO_ENOMEM; GO_ERRNO(e), what the system says.
 */
#ifndef UNDERGO_FILE_H
#define UNDERGO_FILE_H

#include "net.h"

struct stat; /* <sys/stat.h> */

/* go_open - open a file.
 *
 * flags and mode are those of open (<fcntl.h>); mode says what others may do with a file that is
 * made, less what umask takes away. What is no file (a pipe with a name, a terminal) is as go_adopt
 * makes it. The descriptor is closed on exec.
 * Errors:    GO_ERRNO(ENOENT), GO_ERRNO(EACCES), GO_ERRNO(EEXIST), ...; GO_EINVAL, path is NULL.
 * Waits:     for the file system; with a pipe, for who opens its other end.
 * Call from: a goroutine or a thread.
 */
GO_API go_fd go_open(const char *path, int flags, uint32_t mode);

/* go_pread - read up to n bytes from an offset; where the file stands does not matter, and stays.
 *
 * Returns how many: fewer than n at the end of the file, 0 behind it.
 * Errors:    GO_EINVAL, offset is negative, or offset + n too large; GO_ERRNO(ESPIPE), it is a
 *            socket or a pipe; GO_ERRNO(EISDIR). After an error there may be anything in buf.
 * Waits:     while the system does not have it in memory.
 * Call from: a goroutine or a thread, any number at once.
 * Order:     what a goroutine of this process did before it wrote the bytes is visible.
 */
GO_API int64_t go_pread(go_fd fd, void *buf, size_t n, int64_t offset);

/* go_pwrite - write n bytes at an offset; where the file stands does not matter, and stays.
 *
 * Returns n. When it fails after some bytes were written it returns how many; the next call tells
 * why. A file opened with O_APPEND gets them at its end, wherever offset is.
 * Errors:    as go_pread; GO_ERRNO(ENOSPC), GO_ERRNO(EFBIG).
 * Waits:     while the system does not take it.
 * Call from: a goroutine or a thread, any number at once.
 */
GO_API int64_t go_pwrite(go_fd fd, const void *buf, size_t n, int64_t offset);

/* go_seek - where the next go_read or go_write begins; offset and whence as for lseek.
 *
 * Returns the place, from the beginning of the file.
 * Errors:    GO_EINVAL, it would be negative; GO_ERRNO(ESPIPE), it is a socket or a pipe.
 * Waits:     for those who read or write there.
 * Call from: a goroutine or a thread.
 */
GO_API int64_t go_seek(go_fd fd, int64_t offset, int whence);

/* go_fsync, go_fdatasync - return when what was written before is on the disk.
 *
 * The second leaves out what is not needed to read it again, such as times.
 * Errors:    GO_ERRNO(EIO), GO_ERRNO(ENOSPC): some of it may be lost, and only one call is told.
 * Waits:     for the disk.
 * Call from: a goroutine or a thread.
 */
GO_API int go_fsync(go_fd fd);
GO_API int go_fdatasync(go_fd fd);

/* go_ftruncate - make the file so many bytes long; new ones are 0.
 *
 * Errors:    GO_EINVAL, bytes is negative, or the file is not open for writing.
 * Waits:     for the file system.
 * Call from: a goroutine or a thread.
 */
GO_API int go_ftruncate(go_fd fd, int64_t bytes);

/* go_stat, go_fstat - what the file system knows of a path, of an open file: its size, times, ...
 *
 * Links are followed. On errors *st is as it was.
 * Errors:    GO_ERRNO(ENOENT), GO_ERRNO(EACCES), ...; GO_EINVAL, path or st is NULL.
 * Waits:     for the file system.
 * Call from: a goroutine or a thread.
 */
GO_API int go_stat(const char *path, struct stat *st);
GO_API int go_fstat(go_fd fd, struct stat *st);

#endif
