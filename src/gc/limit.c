// SPDX-License-Identifier: BSD-3-Clause
// The memory limit.
//
// It comes from GOMEMLIMIT, from the program, or else from the control groups: nine tenths of the
// smallest limit between ours and the root, looked at again now and then. What counts against it is
// the runtime's memory, as in Go: pages of the heap that are in use or not given back, what lies
// beside them, stacks. Where it comes from the groups, which count everything, memory that the
// program has otherwise counts too: what the kernel says the process has, less ours.
//
//   memory.max, memory.high     version 2: "max" or bytes
//   memory.limit_in_bytes       version 1; a number near the largest is none
//
// The groups are not looked at before the heap has some size, since that costs a small program more
// than anything else it does: until then the limit is not known, and `unknown` says so.
//
// The limit is soft. It makes cycles begin earlier (goal.c says when) until the cap holds them
// back; then it is exceeded, and standard error says so, now and then. Free pages beyond it go back
// to the system at once, by whoever allocates.
//
// Locks:  lim.lock, rank leaf. Never taken while the world is stopped: who holds it may have been
//         halted.
#include "gc/limit.h"

#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/line.h"
#include "gc/chores.h"
#include "gc/goal.h"

enum {
	TRIM_MIN = 1 << 20,
	TRIM_MARGIN = 256 << 10,
	HELD_BACK_STEP = 1 << 20, // so much more may be in use before the cap is asked again
	UNKNOWN_MOST = 1 << 20,   // in use while the limit is not known
};
static const int64_t GROUPS_AGAIN_NS = 10 * GO_SEC, SAY_AGAIN_NS = 300 * GO_SEC;

static struct {
	ATOMIC_I64 trigger CACHE_ALIGNED; // bytes of pages in use at which a cycle is due; hint
	ATOMIC_I64 room;      // what the heap may have of the limit; hint
	Mutex lock;
	ATOMIC_I64 limit;     // lock writes
	ATOMIC_I64 max;       // lock writes
	int64_t swept;        // lock: pages in use when the last sweep was over
	ATOMIC_BOOL of_group; // lock writes: the limit follows the control groups
	ATOMIC_I64 stacks;    // who holds gc.busy writes
	ATOMIC_I64 strange;   // the same: memory of the process that is not ours; 0 unless of_group
	int64_t groups_at;    // who holds gc.busy: when to look at the groups again
	GcCap cap;            // who holds gc.busy
	int64_t said_at;      // who holds gc.busy: when the cap was spoken of
	ATOMIC_U64 held_back; // the same writes
	ATOMIC_I64 held_back_at;
	ATOMIC_BOOL unknown;  // lock writes: the groups have not been looked at
	ATOMIC_U32 reading;   // claims scratch
	OsCgroup scratch;     // reading
} lim = {
	.trigger = ATOMIC_INIT(INT64_MAX),
	.room = ATOMIC_INIT(INT64_MAX),
	.lock = MUTEX_INIT(leaf),
	.limit = ATOMIC_INIT(INT64_MAX),
	.max = ATOMIC_INIT(INT64_MAX),
};

// --- control groups ------------------------------------------------------------------------------

static int64_t
smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
group_limit(OsCgroup *cg, const char *file)
{
	const int64_t absurd = INT64_C(1) << 62;
	char text[32];
	if (!os_cgroup_read(cg, file, text, sizeof(text)))
		return INT64_MAX;
	const char *at = text;
	int64_t bytes = env_number(&at);
	return bytes > 0 && bytes < absurd ? bytes : INT64_MAX;
}

static int64_t
limit_of_version(OsCgroup *cg, const char *root, CgroupVersion version)
{
	int64_t least = INT64_MAX;
	if (!os_cgroup_find(cg, root, version, "memory"))
		return least;
	do {
		if (version == CGROUP_V1) {
			least = smaller(least, group_limit(cg, "/memory.limit_in_bytes"));
		} else {
			least = smaller(least, group_limit(cg, "/memory.max"));
			least = smaller(least, group_limit(cg, "/memory.high"));
		}
	} while (os_cgroup_up(cg));
	return least;
}

int64_t
limit_of_groups(OsCgroup *scratch, const char *root)
{
	return smaller(limit_of_version(scratch, root, CGROUP_V2),
		       limit_of_version(scratch, root, CGROUP_V1));
}

// What follows from our groups; -1 while somebody else looks.
static int64_t
read_groups(void)
{
	uint32_t zero = 0;
	if (!cas_acq(&lim.reading, &zero, 1)) // order: claim
		return -1;
	int64_t limit = goal_limit_of_group(limit_of_groups(&lim.scratch, ""));
	store_rel(&lim.reading, 0); // order: release
	return limit;
}

// Memory of the process that no file stands for, as the kernel tells: "size resident shared ...",
// in pages. 0 when it cannot be told.
static int64_t
process_memory(void)
{
	char text[128];
	if (os_read_file("/proc/self/statm", text, sizeof(text)) <= 0)
		return 0;
	const char *at = text;
	int64_t n[3];
	for (int i = 0; i < 3; i++, at += *at == ' ')
		if ((n[i] = env_number(&at)) < 0)
			return 0;
	return n[1] > n[2] ? (n[1] - n[2]) * (int64_t)os_page_bytes() : 0;
}

// --- what there is -------------------------------------------------------------------------------

// What the machine has, in memory and swap space; INT64_MAX when it cannot be told.
static int64_t
machine_memory(void)
{
	static const char *const lines[] = {"MemTotal:", "SwapTotal:"};
	char text[1024];
	int64_t sum = 0;
	if (os_read_file("/proc/meminfo", text, sizeof(text)) <= 0)
		return INT64_MAX;
	for (size_t i = 0; i < countof(lines); i++) {
		const char *at = strstr(text, lines[i]);
		if (at == NULL)
			continue;
		at += strlen(lines[i]);
		at += strspn(at, " ");
		int64_t kib = env_number(&at);
		sum += kib > 0 && kib < INT64_MAX / 4096 ? kib * 1024 : 0;
	}
	return sum > 0 ? sum : INT64_MAX;
}

bool
gc_could_have(size_t bytes)
{
	limit_learn();
	int64_t limit = load_rlx(&lim.limit), max = load_rlx(&lim.max); // order: hint, both
	int64_t used = (int64_t)heap_used_bytes(), want = (int64_t)bytes;
	if (bytes >= heap.limit || want > max - used)
		return false;
	if (load_rlx(&lim.of_group) && want > limit / 9 * 10) // order: hint
		return false;
	return want <= machine_memory();
}

// --- what counts ---------------------------------------------------------------------------------

// What counts besides pages of the heap.
static int64_t
other_memory(const HeapCounts *c)
{
	// order: hint, both
	return (int64_t)c->meta + load_rlx(&lim.stacks) + load_rlx(&lim.strange);
}

int64_t
limit_memory(void)
{
	HeapCounts c;
	heap_counts(&c);
	return (int64_t)(c.in_use + c.free) + other_memory(&c);
}

int64_t
limit_room(void)
{
	return load_rlx(&lim.room); // order: hint
}

// Locks: lim.lock held.
static void
set_goals(void)
{
	if (load_rlx(&lim.unknown)) { // order: own, under the lock
		store_rlx(&lim.trigger, UNKNOWN_MOST); // order: hint
		return;
	}
	HeapCounts c;
	heap_counts(&c);
	int64_t other = other_memory(&c);
	int64_t limit = load_rlx(&lim.limit); // order: own, under the lock
	store_rlx(&lim.trigger, goal_by_limit(limit, other, lim.swept));       // order: hint
	store_rlx(&lim.room, limit == INT64_MAX ? INT64_MAX : limit - other); // order: hint
}

// --- settings ------------------------------------------------------------------------------------

typedef struct BadSetting {
	const char *name, *value;
} BadSetting;

static void
tell_setting(const void *arg)
{
	const BadSetting *bad = arg;
	Line l = {.n = 0};
	line_str(&l, bad->name);
	line_str(&l, "=");
	line_str(&l, bad->value);
	line_end(&l);
}

// INT64_MAX when it is not set, or off.
static int64_t
bytes_from_env(const char *name)
{
	const char *v = getenv(name);
	int64_t bytes;
	if (v == NULL || v[0] == '\0' || __builtin_strcmp(v, "off") == 0)
		return INT64_MAX;
	if (env_bytes(v, &bytes))
		return bytes;
	BadSetting bad = {name, v};
	if (name[0] == 'G')
		fatal_after(tell_setting, &bad,
			    "malformed GOMEMLIMIT; see `go doc runtime/debug.SetMemoryLimit`");
	fatal_after(tell_setting, &bad, "malformed UNDERGO_MEMORY_MAX");
}

void
limit_init(void)
{
	int64_t limit = bytes_from_env("GOMEMLIMIT");
	const char *v = getenv("GOMEMLIMIT");
	bool of_group = v == NULL || v[0] == '\0';
	if (of_group)
		limit = INT64_MAX;
	store_rlx(&lim.of_group, of_group); // order: before the first allocation, all
	store_rlx(&lim.unknown, of_group);
	store_rlx(&lim.limit, limit);
	(void)limit_set_max(bytes_from_env("UNDERGO_MEMORY_MAX"));
	mutex_lock(&lim.lock);
	set_goals();
	mutex_unlock(&lim.lock);
}

void
limit_learn(void)
{
	if (likely(!load_rlx(&lim.unknown))) // order: hint
		return;
	int64_t limit = read_groups();
	if (limit < 0)
		return; // it will be known in a moment
	mutex_lock(&lim.lock);
	if (load_rlx(&lim.unknown)) {             // order: own, under the lock
		store_rlx(&lim.unknown, false);   // order: hint
		store_rlx(&lim.limit, limit);     // order: hint
		set_goals();
	}
	mutex_unlock(&lim.lock);
}

int64_t
limit_set(int64_t bytes)
{
	limit_learn();
	mutex_lock(&lim.lock);
	int64_t before = load_rlx(&lim.limit); // order: own, under the lock
	if (bytes >= 0) {
		store_rlx(&lim.of_group, false); // order: hint
		store_rlx(&lim.unknown, false);  // order: hint
		store_rlx(&lim.strange, 0);      // order: hint
		store_rlx(&lim.limit, bytes);    // order: hint
		set_goals();
	}
	mutex_unlock(&lim.lock);
	return before;
}

int64_t
limit_set_max(int64_t bytes)
{
	mutex_lock(&lim.lock);
	int64_t before = load_rlx(&lim.max); // order: own, under the lock
	if (bytes >= 0) {
		store_rlx(&lim.max, bytes); // order: count
		heap_set_max(bytes == INT64_MAX ? UINT64_MAX : (uint64_t)bytes);
	}
	mutex_unlock(&lim.lock);
	return before;
}

// --- what follows --------------------------------------------------------------------------------

bool
limit_due(size_t more)
{
	int64_t trigger = load_rlx(&lim.trigger); // order: hint
	return trigger != INT64_MAX && (int64_t)(heap_used_bytes() + more) >= trigger;
}

int64_t
limit_left(void)
{
	int64_t trigger = load_rlx(&lim.trigger); // order: hint
	return trigger == INT64_MAX ? trigger : trigger - (int64_t)heap_used_bytes();
}

// Once, and when it has been long ago.
COLD static void
say_held_back(int64_t now)
{
	if (lim.said_at != 0 && now - lim.said_at < SAY_AGAIN_NS)
		return;
	lim.said_at = now;
	Line l = {.n = 0};
	line_str(&l, "runtime: memory limit of ");
	line_u64(&l, (uint64_t)load_rlx(&lim.limit) >> 20); // order: hint
	line_str(&l, " MiB cannot be kept (");
	line_u64(&l, (uint64_t)limit_memory() >> 20);
	line_str(&l, " MiB in use): collecting takes half of the CPU already");
	line_end(&l);
}

bool
limit_allows(int64_t gc_cpu_ns, uint32_t procs)
{
	cap_count(&lim.cap, os_process_cpu_ns(), gc_cpu_ns);
	if (cap_allows(&lim.cap, procs))
		return true;
	int64_t now = os_nanotime();
	own_add(&lim.held_back, 1);
	store_rlx(&lim.held_back_at, now); // order: count
	store_rlx(&lim.trigger, (int64_t)heap_used_bytes() + HELD_BACK_STEP); // order: hint
	say_held_back(now);
	return false;
}

void
limit_trim(size_t more)
{
	if (likely(load_rlx(&lim.room) == INT64_MAX)) // order: hint
		return;
	HeapCounts c;
	heap_counts(&c);
	// What the last cycle left room for is less by what is known about pages that came since.
	int64_t room = load_rlx(&lim.limit) - other_memory(&c); // order: hint
	// It may not fit where memory is free, and others allocate, too.
	int64_t over = (int64_t)(c.in_use + c.free + more) + TRIM_MARGIN - room;
	if (over > 0 && c.free != 0)
		(void)heap_scavenge(over > TRIM_MIN ? (size_t)over : TRIM_MIN, true);
}

static void
look_at_groups(int64_t now)
{
	if (!load_rlx(&lim.of_group)) // order: hint
		return;
	int64_t limit = load_rlx(&lim.limit); // order: hint
	int64_t read = -1;
	if (now >= lim.groups_at) {
		read = read_groups();
		if (read >= 0) {
			lim.groups_at = now + GROUPS_AGAIN_NS;
			limit = read;
		}
	}
	int64_t strange = 0;
	if (limit != INT64_MAX) {
		HeapCounts c;
		heap_counts(&c);
		strange = process_memory() - (int64_t)(c.in_use + c.free + c.meta);
		strange -= load_rlx(&lim.stacks); // order: own
	}
	mutex_lock(&lim.lock);
	if (load_rlx(&lim.of_group)) { // order: own, under the lock
		if (read >= 0) { // else it stays what it is, which another may have found out
			store_rlx(&lim.unknown, false); // order: hint
			store_rlx(&lim.limit, limit);   // order: hint
		}
		store_rlx(&lim.strange, strange > 0 ? strange : 0); // order: hint
	}
	mutex_unlock(&lim.lock);
}

void
limit_cycle(int64_t stack_bytes, int64_t now)
{
	store_rlx(&lim.stacks, stack_bytes); // order: own
	look_at_groups(now);
	limit_swept(); // as far as it is
}

void
limit_swept(void)
{
	mutex_lock(&lim.lock);
	lim.swept = (int64_t)heap_used_bytes();
	set_goals();
	mutex_unlock(&lim.lock);
}

LimitStats
limit_stats(void)
{
	// order: count, all
	return (LimitStats){
		.limit = load_rlx(&lim.limit),
		.max = load_rlx(&lim.max),
		.stack_bytes = load_rlx(&lim.stacks),
		.held_back = load_rlx(&lim.held_back),
		.held_back_at = load_rlx(&lim.held_back_at),
	};
}
