// SPDX-License-Identifier: BSD-3-Clause
// How many processors to run on: GOMAXPROCS, the affinity mask, and CPU quotas of control groups.
//
// A quota limits the CPU time of a group and all below it, so the smallest one between our group
// and the root counts. Go looks at our own group alone; containers in containers need the rest.
//
//   /proc/self/cgroup       says the path of our group: "0::/a/b" for version 2,
//                           "4:cpu,cpuacct:/a/b" for the version 1 hierarchy that has the cpu
//                           controller
//   /proc/self/mountinfo    says where such a hierarchy is mounted, and which group is the mount's
//                           root
//   cpu.max                 version 2: "max 100000" or "150000 100000", quota and period in
//                           microseconds
//   cpu.cfs_quota_us and cpu.cfs_period_us   version 1; a quota of -1 is none
//
// With version 1 and 2 mounted at once the cpu controller is in one of them, and the other one's
// files are missing. Whatever cannot be read or makes no sense counts as no quota: a wrong number
// of processors is better than no start. A quota leaves two processors at least, as in Go: on one,
// a single long goroutine would keep all others waiting through each throttling.
//
// Files are read in pieces into buffers on the stack. mountinfo grows with the machine; lines that
// do not fit are other file systems' and are passed over.
#include "rt/cpus.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "os/os.h"

enum {
	PATH_BYTES = 2048,
	LINE_BYTES = 4096,
	QUOTA_LEAST = 2,
};

// --- text ---------------------------------------------------------------------------------------

// A decimal number at *at, which moves behind it; -1 when there is none or it is too large.
static int64_t
take_number(const char **at)
{
	int64_t v = 0;
	const char *s = *at;
	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
			return -1;
	*at = s;
	return v;
}

// Whether `word` is one of the words of list, which ends at end and has them separated by commas.
static bool
has_word(const char *list, const char *end, const char *word)
{
	size_t n = strlen(word);
	for (const char *at = list; at < end;) {
		const char *stop = memchr(at, ',', (size_t)(end - at));
		if (stop == NULL)
			stop = end;
		if ((size_t)(stop - at) == n && memcmp(at, word, n) == 0)
			return true;
		at = stop + 1;
	}
	return false;
}

// A path that grows; once it has not fitted it is empty and stays so.
typedef struct Path {
	char text[PATH_BYTES];
	size_t n;
	bool lost;
} Path;

static void
path_add(Path *p, const char *s, size_t n)
{
	if (p->lost || n >= sizeof(p->text) - p->n) {
		p->lost = true;
		p->n = 0;
	} else {
		memcpy(p->text + p->n, s, n);
		p->n += n;
	}
	p->text[p->n] = '\0';
}

static void
path_set(Path *p, const char *s)
{
	p->n = 0;
	p->lost = false;
	path_add(p, s, strlen(s));
}

// Adds a field of mountinfo, in which \ and three octal digits stand for a byte.
static void
path_add_escaped(Path *p, const char *s, const char *end)
{
	while (s < end) {
		char c = *s++;
		if (c == '\\' && end - s >= 3) {
			c = (char)((s[0] - '0') << 6 | (s[1] - '0') << 3 | (s[2] - '0'));
			s += 3;
		}
		path_add(p, &c, 1);
	}
}

// --- lines of a file of any length --------------------------------------------------------------

typedef struct Lines {
	const char *path;
	int64_t offset; // of the next byte to read
	size_t at, n;   // the part of buf not yet handed out
	bool overlong;  // in a line that did not fit
	char buf[LINE_BYTES];
} Lines;

static void
lines_open(Lines *l, const char *path)
{
	l->path = path;
	l->offset = 0;
	l->at = l->n = 0;
	l->overlong = false;
}

// Reads more behind what is left. False at the end of the file.
static bool
lines_fill(Lines *l)
{
	memmove(l->buf, l->buf + l->at, l->n - l->at);
	l->n -= l->at;
	l->at = 0;
	if (l->n == sizeof(l->buf)) {
		l->overlong = true;
		l->n = 0;
	}
	int got = os_read_file_at(l->path, l->offset, l->buf + l->n, sizeof(l->buf) - l->n);
	if (got <= 0)
		return false;
	l->offset += got;
	l->n += (size_t)got;
	return true;
}

// The next whole line that fits, its newline replaced; NULL at the end.
static char *
lines_next(Lines *l)
{
	for (;;) {
		char *line = l->buf + l->at;
		char *end = memchr(line, '\n', l->n - l->at);
		if (end == NULL) {
			if (!lines_fill(l))
				return NULL;
			continue;
		}
		*end = '\0';
		l->at = (size_t)(end + 1 - l->buf);
		if (!l->overlong)
			return line;
		l->overlong = false;
	}
}

// --- control groups -----------------------------------------------------------------------------

typedef enum Version { CGROUP_V1 = 1, CGROUP_V2 = 2 } Version;

// Our group in the hierarchy of that version; false when there is none.
static bool
find_group(const char *root, Version version, Path *group)
{
	Lines l;
	Path file;
	path_set(&file, root);
	path_add(&file, "/proc/self/cgroup", 17);
	lines_open(&l, file.text);
	for (char *line; (line = lines_next(&l)) != NULL;) {
		char *controllers = strchr(line, ':');
		char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
		if (path == NULL || path[1] != '/')
			continue;
		controllers++;
		bool ours = has_word(controllers, path, "cpu");
		if (version == CGROUP_V2)
			ours = path == controllers && strncmp(line, "0:", 2) == 0;
		if (ours) {
			path_set(group, path + 1);
			return !group->lost;
		}
	}
	return false;
}

// The fields of a line of mountinfo that matter here; each ends before the next blank.
typedef struct Mount {
	const char *root;    // the group that is the root of the mount
	const char *point;   // where it is mounted
	const char *type;    // of file system
	const char *options; // of the file system: for version 1 its controllers
} Mount;

static const char *
field_end(const char *s)
{
	return s + strcspn(s, " ");
}

// The n-th field after the one at s; NULL when the line ends before.
static const char *
skip_fields(const char *s, int n)
{
	for (; s != NULL && n > 0; n--) {
		s = strchr(s, ' ');
		s = s != NULL ? s + 1 : NULL;
	}
	return s;
}

// "36 35 98:0 /root /point rw,noatime shared:1 - type source options": the number of fields before
// the dash varies.
static bool
parse_mount(const char *line, Mount *m)
{
	const char *dash = strstr(line, " - ");
	m->root = skip_fields(line, 3);
	m->point = skip_fields(line, 4);
	if (dash == NULL || m->point == NULL || m->point > dash)
		return false;
	m->type = dash + 3;
	m->options = skip_fields(m->type, 2);
	return m->options != NULL;
}

static bool
mount_has_cpu(const Mount *m, Version version)
{
	const char *type = version == CGROUP_V2 ? "cgroup2" : "cgroup";
	size_t n = (size_t)(field_end(m->type) - m->type);
	if (n != strlen(type) || memcmp(m->type, type, n) != 0)
		return false;
	return version == CGROUP_V2 || has_word(m->options, field_end(m->options), "cpu");
}

// Whether group lies in the part of the hierarchy that m shows; *below gets what follows.
static bool
mount_shows(const Mount *m, const Path *group, const char **below)
{
	Path root;
	path_set(&root, "");
	path_add_escaped(&root, m->root, field_end(m->root));
	if (root.lost)
		return false;
	if (root.n == 1)
		root.n = 0; // "/" shows all
	if (strncmp(group->text, root.text, root.n) != 0)
		return false;
	*below = group->text + root.n;
	return **below == '/' || **below == '\0';
}

// The directory of our group: *dir, of which the first *keep bytes are the mount itself. A group
// that no mount shows, as in a container that is not told its own name, is taken for the root of
// the mount.
static bool
find_directory(const char *root, Version version, const Path *group, Path *dir, size_t *keep)
{
	Lines l;
	Path file;
	bool found = false;
	path_set(&file, root);
	path_add(&file, "/proc/self/mountinfo", 20);
	lines_open(&l, file.text);
	for (char *line; (line = lines_next(&l)) != NULL;) {
		Mount m;
		const char *below = "";
		if (!parse_mount(line, &m) || !mount_has_cpu(&m, version))
			continue;
		bool shown = mount_shows(&m, group, &below);
		if (found && !shown)
			continue;
		path_set(dir, root);
		path_add_escaped(dir, m.point, field_end(m.point));
		*keep = dir->n;
		path_add(dir, below, strlen(below));
		found = !dir->lost;
		if (found && shown)
			return true;
	}
	return found;
}

// --- quotas -------------------------------------------------------------------------------------

// The number of processors that quota of each period amounts to, rounded up; 0 for none.
static int
quota_cpus(int64_t quota, int64_t period)
{
	if (quota <= 0 || period <= 0)
		return 0;
	int64_t n = quota / period + (quota % period != 0);
	return n < CPUS_MAX ? (int)n : CPUS_MAX;
}

// Reads a file in dir, which stays as it was. False when there is none.
static bool
read_in(Path *dir, const char *name, char *text, size_t size)
{
	size_t n = dir->n;
	path_add(dir, name, strlen(name));
	bool ok = !dir->lost && os_read_file(dir->text, text, size) > 0;
	dir->n = n;
	dir->lost = false;
	dir->text[n] = '\0';
	return ok;
}

// "QUOTA PERIOD"; "max PERIOD" is no number and so no quota.
static int
quota_v2(Path *dir)
{
	char text[64];
	if (!read_in(dir, "/cpu.max", text, sizeof(text)))
		return 0;
	const char *at = text;
	int64_t quota = take_number(&at);
	if (quota < 0 || *at++ != ' ')
		return 0;
	return quota_cpus(quota, take_number(&at));
}

static int
quota_v1(Path *dir)
{
	char quota[32], period[32];
	if (!read_in(dir, "/cpu.cfs_quota_us", quota, sizeof(quota))
	    || !read_in(dir, "/cpu.cfs_period_us", period, sizeof(period)))
		return 0;
	const char *q = quota, *p = period;
	return quota_cpus(take_number(&q), take_number(&p));
}

static int
smaller_quota(int a, int b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

// From our group up to the root of the mount.
static int
quota_of(const char *root, Version version)
{
	Path group, dir;
	size_t keep;
	if (!find_group(root, version, &group)
	    || !find_directory(root, version, &group, &dir, &keep))
		return 0;
	int least = 0;
	for (;;) {
		int here = version == CGROUP_V2 ? quota_v2(&dir) : quota_v1(&dir);
		least = smaller_quota(least, here);
		if (dir.n <= keep)
			return least;
		do
			dir.n--;
		while (dir.n > keep && dir.text[dir.n] != '/');
		dir.text[dir.n] = '\0';
	}
}

int
rt_quota_cpus(const char *root)
{
	return smaller_quota(quota_of(root, CGROUP_V2), quota_of(root, CGROUP_V1));
}

// --- all together -------------------------------------------------------------------------------

// A positive decimal number and nothing else; 0 otherwise. Go ignores what is not one, too.
static int
parse_gomaxprocs(const char *text)
{
	if (text == NULL)
		return 0;
	int64_t n = take_number(&text);
	if (n <= 0 || n > INT32_MAX || *text != '\0')
		return 0;
	return n < CPUS_MAX ? (int)n : CPUS_MAX;
}

int
rt_procs_from(const char *environment, int online, const char *root)
{
	int n = parse_gomaxprocs(environment);
	if (n > 0)
		return n;
	n = online < CPUS_MAX ? online : CPUS_MAX;
	int quota = rt_quota_cpus(root);
	if (quota > 0 && quota < QUOTA_LEAST)
		quota = QUOTA_LEAST;
	return quota > 0 && quota < n ? quota : n;
}

int
rt_default_procs(void)
{
	return rt_procs_from(getenv("GOMAXPROCS"), os_cpu_count(), "");
}
