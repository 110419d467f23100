// SPDX-License-Identifier: BSD-3-Clause
// undergo/file.h. As with sockets the core enters the runtime itself when it has to wait.
#include "undergo/file.h"

#include "net/fd.h"
#include "sched/sched.h"

go_fd
go_open(const char *path, int flags, uint32_t mode)
{
	if (path == NULL)
		return GO_EINVAL;
	return sched_attached() ? file_open(path, flags, mode) : GO_ENOMEM;
}

int64_t
go_pread(go_fd fd, void *buf, size_t n, int64_t offset)
{
	return file_read_at(fd, buf, n, offset);
}

int64_t
go_pwrite(go_fd fd, const void *buf, size_t n, int64_t offset)
{
	return file_write_at(fd, buf, n, offset);
}

int64_t
go_seek(go_fd fd, int64_t offset, int whence)
{
	return file_seek(fd, offset, whence);
}

int
go_fsync(go_fd fd)
{
	return file_sync(fd, FILE_SYNC_ALL);
}

int
go_fdatasync(go_fd fd)
{
	return file_sync(fd, FILE_SYNC_DATA);
}

int
go_ftruncate(go_fd fd, int64_t bytes)
{
	return file_truncate(fd, bytes);
}

int
go_stat(const char *path, struct stat *st)
{
	return path == NULL || st == NULL ? GO_EINVAL : file_stat_path(path, st);
}

int
go_fstat(go_fd fd, struct stat *st)
{
	return st == NULL ? GO_EINVAL : file_stat(fd, st);
}
