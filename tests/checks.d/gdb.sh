#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# scripts/gdb.py: what `undergo object` says of objects in every state.
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
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
