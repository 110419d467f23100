#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# scripts/gdb.py: what `undergo object` says of objects in every state, and `info goroutines` and
# `goroutine N` of a process and of a core. gdb loads it by itself from the program or the library.
set -uo pipefail

command -v gdb >/dev/null || exit 77
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

cat >"$dir/objects.c" <<'END'
#include <undergo.h>
#include <undergo/heap.h>

typedef struct Node {
	struct Node *next;
	long number;
	struct Node *other;
} Node;

typedef struct Wide {
	Node *of[90];
} Wide;

static const go_type node_type = GO_TYPE(Node, next, other);
static const uint64_t all[2] = {~UINT64_C(0), ~UINT64_C(0)};
static const go_type wide_type = {sizeof(Wide), sizeof(Wide), 0, all, "Wide"};

void *node, *wide, *data, *pinned, *fresh, *freed, *large;
int heap = 1; // the library has one, too

static void
on_end(void *p, void *arg)
{
	(void)p;
	(void)arg;
}

__attribute__((noinline)) void
stop_here(void)
{
	__asm__ volatile("");
}

static int
make(void *arg)
{
	node = go_new_typed(Node, &node_type);
	wide = go_new_typed(Wide, &wide_type);
	data = go_alloc_data(1000);
	large = go_alloc(100000);
	pinned = go_try_alloc(100, 0, GO_ALLOC_PINNED);
	go_set_finalizer(large, on_end, arg);
	go_gc();
	fresh = go_alloc(48);
	freed = go_alloc(200);
	go_free(freed);
	stop_here();
	return 0;
}

int
main(void)
{
	return go_run(make, NULL);
}
END
${CC:-gcc} -g -O1 -Iinclude "$dir/objects.c" "$UNDERGO_BUILD/libundergo.a" -o "$dir/objects" \
	-pthread -ldl || exit 1

# ask ADDRESS TEXT...: each text stands in the answer.
ask()
{
	local answer address=$1
	shift
	answer=$(GODEBUG=${godebug-} timeout 60 gdb -nx -q -batch -ex 'source scripts/gdb.py' \
		-ex 'set breakpoint pending on' -ex 'break stop_here' -ex run \
		-ex "undergo object $address" "$dir/objects" 2>&1)
	for text; do
		if grep -qF -- "$text" <<<"$answer"; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
			printf '%s: not said: %s\n%s\n' "$address" "$text" "$answer"
		fi
	done
}

if ! gdb -nx -q -batch -ex 'break stop_here' -ex run "$dir/objects" 2>&1 |
	grep -q 'Breakpoint 1, '; then
	echo "gdb cannot run a program here"
	exit 77
fi
ask 'node' 'byte 0 of' 'size   24' 'kind   typed' 'type   pointers at 0, 16' 'marked by'
ask '(char *)node + 5' 'byte 5 of'
ask 'wide' 'type   "Wide", 720 bytes'
ask 'data' 'kind   noscan' 'no pointers' 'size   1024'
ask '(char *)large + 99999' 'byte 99999 of' 'size   100008' 'has a  finalizer'
ask 'pinned' 'kind   pinned' 'until it is freed by hand'
ask 'fresh' 'size   64' 'since the last collection'
ask 'freed' 'state  free'
ask '(char *)fresh + 64' 'state  free, in hand of P '
ask '&node' 'is not in the heap'
ask '0' 'is not in the heap'
godebug=allocsites=2 ask 'node' 'type   "Node", 24 bytes' 'made   go_alloc_typed' 'make at '

# ---- goroutines

cat >"$dir/gs.c" <<'END'
#include <pthread.h>
#include <undergo.h>
#define KEEP() __asm__ volatile("")

static go_mutex mutex;
static int dies;
static volatile int ran;

static void
reader(void *c)
{
	volatile int kept_here = 4711;
	int v;
	go_chan_recv(c, &v, GO_NEVER);
	kept_here++;
}

static void
locker(void *unused)
{
	(void)unused;
	go_lock_os_thread();
	go_mutex_lock(&mutex);
	KEEP();
}

static void
spinner(void *unused)
{
	(void)unused;
	for (;;)
		KEEP();
}

static void
never_run(void *unused)
{
	(void)unused;
	ran = 1;
}

__attribute__((noinline)) void
stop_here(void)
{
	KEEP();
	if (dies)
		*(volatile int *)16 = 1;
}

static int
start(void *c)
{
	const go_attr named = {.name = "reads"};
	go_mutex_lock(&mutex);
	go_spawn_with(&named, reader, c);
	go_spawn(locker, NULL);
	go_sleep(20 * GO_MSEC);
	go_spawn(spinner, NULL);
	go_sleep(20 * GO_MSEC);
	for (;;) { // on a busy machine another thread may have come to run it before the breakpoint
		ran = 0;
		go_spawn(never_run, NULL);
		stop_here();
	}
}

int
main(int argc, char **argv)
{
	(void)argv;
	dies = argc > 1;
	go_gomaxprocs(2);
	return go_run(start, go_chan_new(sizeof(int), 0));
}
END
${CC:-gcc} -g -O1 -Iinclude "$dir/gs.c" "$UNDERGO_BUILD/libundergo.a" -o "$dir/gs-static" \
	-pthread -ldl || exit 1
${CC:-gcc} -g -O1 -Iinclude "$dir/gs.c" "$UNDERGO_BUILD/libundergo.so" -o "$dir/gs-shared" \
	-Wl,-rpath,"$PWD/${UNDERGO_BUILD##"$PWD/"}" -pthread || exit 1

# says WHAT REGEX...: each stands in what gdb wrote, $answer.
says()
{
	local what=$1
	shift
	for regex; do
		if grep -qE -- "$regex" <<<"$answer"; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
			printf '%s: not said: %s\n%s\n' "$what" "$regex" "$answer"
		fi
	done
}

all_said()
{
	says "$1" '^[* ] 1 +running \(thread [0-9]+\) in .*, began in ' \
		'^  [0-9]+ +go_run, thread \(thread [0-9]+\) in main at .*gs.c:' \
		'^  [0-9]+ +"reads" chan receive in reader at .*gs.c:.*, began in reader$' \
		'^  [0-9]+ +sync.Mutex.Lock, locked to thread in locker at .*gs.c:.*, began in' \
		'^  [0-9]+ +running \(thread [0-9]+\) in spinner at .*gs.c:.*, began in spinner$' \
		'^#[0-9]+ .* go_chan_recv \(' '^#[0-9]+ .* reader \(' '^#[0-9]+ .*locker \(' \
		'^#0 .*spinner \(' '^#[0-9]+ .* main \(' '^kept_here = 4711$' '^goroutine 999 none$'
}

commands=(-ex 'info goroutines' -ex 'goroutine all bt'
	-ex 'python reads = [g.id for g in goroutines() if g.name()]'
	-ex 'python gdb.execute(f"goroutine {reads[0]} frame function reader")'
	-ex 'python gdb.execute(f"goroutine {reads[0]} frame apply all -q -s info locals")'
	-ex 'python goroutines() and print("goroutine 999", "none" if 999 not in
		[g.id for g in goroutines()] else "there")'
	-ex 'undergo object 0')
for link in static shared; do
	answer=$(timeout 60 gdb -nx -q -batch -iex 'set auto-load safe-path /' \
		-ex 'set breakpoint pending on' -ex 'break stop_here if !ran' -ex run \
		"${commands[@]}" -ex 'bt 1' "$dir/gs-$link" 2>&1)
	all_said "$link, alive"
	says "$link, alive" '^\* 1 ' '^#0  stop_here \(' \
		'^  [0-9]+ +runnable, began in never_run$' \
		'^goroutine [0-9]+ has not run yet; it will begin in never_run$'
done

if [ "$(cat /proc/sys/kernel/core_pattern)" != core ]; then
	echo "cores go elsewhere here: not looked at"
else
	{
		(cd "$dir" && ulimit -c unlimited &&
			GOTRACEBACK=crash ./gs-static x) >"$dir/out" 2>&1
	} 2>/dev/null # the shell would tell that it died
	answer=$(timeout 60 gdb -nx -q -batch -iex 'set auto-load safe-path /' "${commands[@]}" \
		-ex bt "$dir/gs-static" "$dir"/core* 2>&1)
	all_said core
	says core '^#[0-9]+ .* stop_here \('
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
