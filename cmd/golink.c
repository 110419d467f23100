// SPDX-License-Identifier: BSD-3-Clause
#include "golink.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "path.h"
#include "say.h"

static bool apart;

int
golink_option(int argc, char *const *argv)
{
	apart = argc > 0 && strcmp(argv[0], "--apart") == 0;
	return apart;
}

void
golink_find(char to[PATH_BYTES])
{
	char folder[PATH_BYTES], archive[PATH_BYTES];
	path_own_folder(folder);
	static const char *const places[] = {"../lib/undergo/go", "go"}; // installed, built
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		path_make(to, "%s/%s", folder, places[i]);
		path_make(archive, "%s/libgobegin.a", to);
		if (path_exists(archive))
			return;
	}
	die(STATUS_FAILED,
	    "no libgobegin.a, neither in %s/../lib/undergo/go nor in %s/go: "
	    "undergo was built where gccgo 12 was missing",
	    folder, folder);
}

bool
golink_find_fronts(char to[PATH_BYTES], const char *go)
{
	char archive[PATH_BYTES];
	path_make(to, "%s/front", go);
	path_make(archive, "%s/libgobegin.a", to);
	return !apart && path_exists(archive);
}

// When the archives were made. They are nothing that the go command knows of, so it would take a
// program that was linked with others for up to date.
static uint64_t
age_of_archives(const char *go)
{
	static const char *const names[] = {"libgobegin.a", "libundergogo.a",
					    "front/libundergofront.a"};
	uint64_t sum = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char file[PATH_BYTES];
		struct stat st;
		path_make(file, "%s/%s", go, names[i]);
		if (stat(file, &st) == 0)
			sum = sum * 31 + (uint64_t)st.st_mtim.tv_sec * 1000000000 +
			      (uint64_t)st.st_mtim.tv_nsec;
	}
	return sum;
}

// The go command compares flags, so one of them names a folder that is not there, after the age.
void
golink_flags(char flags[PATH_BYTES], const char *place)
{
	char folder[PATH_BYTES], fronts[PATH_BYTES];
	golink_find(folder);
	if (strpbrk(folder, " \t") != NULL)
		die(STATUS_FAILED, "%s: the go command takes no such name, with a space", folder);
	unsigned long long age = age_of_archives(folder);
	if (golink_find_fronts(fronts, folder))
		path_make(flags,
			  "%s -static-libgo " FLAG_LTO " " FLAG_INLINE " -L %s -L %s -L %s/%llx",
			  place, fronts, folder, folder, age);
	else
		path_make(flags, "%s -static-libgo -L %s -L %s/%llx", place, folder, folder, age);
}
