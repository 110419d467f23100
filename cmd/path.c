// SPDX-License-Identifier: BSD-3-Clause
#include "path.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

void
path_make(char to[PATH_BYTES], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(to, PATH_BYTES, format, args);
	va_end(args);
	if (n < 0 || n >= PATH_BYTES)
		die(STATUS_FAILED, "a path is too long: %s...", to);
}

bool
path_exists(const char *path)
{
	return access(path, R_OK) == 0;
}

bool
path_is_folder(const char *file)
{
	struct stat st;
	return stat(file, &st) == 0 && S_ISDIR(st.st_mode);
}

bool
path_ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && strcmp(text + n - m, end) == 0;
}

void
path_own_folder(char to[PATH_BYTES])
{
	ssize_t n = readlink("/proc/self/exe", to, PATH_BYTES - 1);
	if (n < 0)
		die(STATUS_FAILED, "cannot tell where I am: /proc/self/exe: %s", strerror(errno));
	to[n] = '\0';
	char *slash = strrchr(to, '/');
	if (slash != NULL)
		*slash = '\0';
}

void
path_present_folder(char to[PATH_BYTES])
{
	if (getcwd(to, PATH_BYTES) == NULL)
		die(STATUS_FAILED, "cannot tell where I am: %s", strerror(errno));
}
