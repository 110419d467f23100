// SPDX-License-Identifier: BSD-3-Clause
// Finding the control group this process is in.
//
//   /proc/self/cgroup       says the path of our group: "0::/a/b" for version 2,
//                           "4:cpu,cpuacct:/a/b" for the version 1 hierarchy that has that
//                           controller
//   /proc/self/mountinfo    says where such a hierarchy is mounted, and which group is the mount's
//                           root
//
// With version 1 and 2 mounted at once a controller is in one of them, and the other one's files
// are missing.
//
// Files are read in pieces. mountinfo grows with the machine; lines that do not fit are other file
// systems' and are passed over.
#include "os/cgroup.h"

#include <string.h>

#include "os/os.h"

// --- text ---------------------------------------------------------------------------------------

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

static void
path_add(OsPath *p, const char *s, size_t n)
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
path_set(OsPath *p, const char *s)
{
	p->n = 0;
	p->lost = false;
	path_add(p, s, strlen(s));
}

// Adds a field of mountinfo, in which \ and three octal digits stand for a byte.
static void
path_add_escaped(OsPath *p, const char *s, const char *end)
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

// Begins with the first line of a file.
static void
lines_open(OsCgroup *cg, const char *root, const char *name)
{
	path_set(&cg->scratch, root);
	path_add(&cg->scratch, name, strlen(name));
	cg->lines.offset = 0;
	cg->lines.at = cg->lines.n = 0;
	cg->lines.overlong = false;
}

// Reads more behind what is left. False at the end of the file.
static bool
lines_fill(OsCgroup *cg)
{
	char *buf = cg->lines.buf;
	size_t room = sizeof(cg->lines.buf);
	memmove(buf, buf + cg->lines.at, cg->lines.n - cg->lines.at);
	cg->lines.n -= cg->lines.at;
	cg->lines.at = 0;
	if (cg->lines.n == room) {
		cg->lines.overlong = true;
		cg->lines.n = 0;
	}
	int got = os_read_file_at(cg->scratch.text, cg->lines.offset, buf + cg->lines.n,
				  room - cg->lines.n);
	if (got <= 0)
		return false;
	cg->lines.offset += got;
	cg->lines.n += (size_t)got;
	return true;
}

// The next whole line that fits, its newline replaced; NULL at the end.
static char *
lines_next(OsCgroup *cg)
{
	for (;;) {
		char *line = cg->lines.buf + cg->lines.at;
		char *end = memchr(line, '\n', cg->lines.n - cg->lines.at);
		if (end == NULL) {
			if (!lines_fill(cg))
				return NULL;
			continue;
		}
		*end = '\0';
		cg->lines.at = (size_t)(end + 1 - cg->lines.buf);
		if (!cg->lines.overlong)
			return line;
		cg->lines.overlong = false;
	}
}

// --- our group ----------------------------------------------------------------------------------

// Our group in the hierarchy of that version; false when there is none.
static bool
find_group(OsCgroup *cg, const char *root, CgroupVersion version, const char *controller)
{
	lines_open(cg, root, "/proc/self/cgroup");
	for (char *line; (line = lines_next(cg)) != NULL;) {
		char *controllers = strchr(line, ':');
		char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
		if (path == NULL || path[1] != '/')
			continue;
		controllers++;
		bool ours = has_word(controllers, path, controller);
		if (version == CGROUP_V2)
			ours = path == controllers && strncmp(line, "0:", 2) == 0;
		if (ours) {
			path_set(&cg->group, path + 1);
			return !cg->group.lost;
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
mount_is(const Mount *m, CgroupVersion version, const char *controller)
{
	const char *type = version == CGROUP_V2 ? "cgroup2" : "cgroup";
	size_t n = (size_t)(field_end(m->type) - m->type);
	if (n != strlen(type) || memcmp(m->type, type, n) != 0)
		return false;
	return version == CGROUP_V2 || has_word(m->options, field_end(m->options), controller);
}

// Whether our group lies in the part of the hierarchy that m shows; *below gets what follows. What
// a mount shows is put into dir, which is not found yet.
static bool
mount_shows(OsCgroup *cg, const Mount *m, const char **below)
{
	OsPath *shown = &cg->dir;
	path_set(shown, "");
	path_add_escaped(shown, m->root, field_end(m->root));
	if (shown->lost)
		return false;
	if (shown->n == 1)
		shown->n = 0; // "/" shows all
	if (strncmp(cg->group.text, shown->text, shown->n) != 0)
		return false;
	*below = cg->group.text + shown->n;
	return **below == '/' || **below == '\0';
}

static bool
set_directory(OsCgroup *cg, const char *root, const Mount *m, const char *below)
{
	path_set(&cg->dir, root);
	path_add_escaped(&cg->dir, m->point, field_end(m->point));
	cg->mount = cg->dir.n;
	path_add(&cg->dir, below, strlen(below));
	return !cg->dir.lost;
}

// The directory of our group, from the first mount that shows it, or the first one when `any`.
static bool
find_directory(OsCgroup *cg, const char *root, CgroupVersion version, const char *controller,
	       bool any)
{
	lines_open(cg, root, "/proc/self/mountinfo");
	for (char *line; (line = lines_next(cg)) != NULL;) {
		Mount m;
		const char *below = "";
		if (!parse_mount(line, &m) || !mount_is(&m, version, controller))
			continue;
		if (!any && !mount_shows(cg, &m, &below))
			continue;
		if (set_directory(cg, root, &m, below))
			return true;
	}
	return false;
}

// A group that no mount shows, as in a container that is not told its own name, is taken for the
// root of the mount.
bool
os_cgroup_find(OsCgroup *cg, const char *root, CgroupVersion version, const char *controller)
{
	return find_group(cg, root, version, controller) &&
	       (find_directory(cg, root, version, controller, false) ||
		find_directory(cg, root, version, controller, true));
}

bool
os_cgroup_read(OsCgroup *cg, const char *name, char *text, size_t size)
{
	OsPath *dir = &cg->dir;
	size_t n = dir->n;
	path_add(dir, name, strlen(name));
	bool ok = !dir->lost && os_read_file(dir->text, text, size) > 0;
	dir->n = n;
	dir->lost = false;
	dir->text[n] = '\0';
	return ok;
}

bool
os_cgroup_up(OsCgroup *cg)
{
	OsPath *dir = &cg->dir;
	if (dir->n <= cg->mount)
		return false;
	do
		dir->n--;
	while (dir->n > cg->mount && dir->text[dir->n] != '/');
	dir->text[dir->n] = '\0';
	return true;
}
