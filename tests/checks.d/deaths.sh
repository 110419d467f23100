#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a death tells from programs of all kinds: position independent or not, static, shared,
# without debug information, stripped, set-uid; without a call of malloc; into a pipe nobody reads;
# of very many goroutines; and when many die at once.
set -uo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

cat >"$dir/deaths.c" <<'END'
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <undergo.h>
#include <unistd.h>
#define KEEP() __asm__ volatile("")

static atomic_int armed; // the thread that dies: from here on it may not allocate

#ifdef NO_MALLOC
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t m, size_t n);
void *__libc_realloc(void *p, size_t n);

static void
refuse(void)
{
	if (atomic_load(&armed) != gettid())
		return;
	(void)!write(2, "it allocates\n", 13);
	_exit(99);
}

void *malloc(size_t n) { refuse(); return __libc_malloc(n); }
void *calloc(size_t m, size_t n) { refuse(); return __libc_calloc(m, n); }
void *realloc(void *p, size_t n) { refuse(); return __libc_realloc(p, n); }
#endif

static const char *how;
static go_chan *never;
static atomic_int ready;

static void
waits(void *unused)
{
	int v;
	(void)unused;
	go_chan_recv(never, &v, GO_NEVER);
	KEEP();
}

__attribute__((noinline)) static int
overflow(int n)
{
	volatile char room[512];
	room[0] = (char)n;
	return overflow(n + 1) + room[0];
}

static void
die(const char *how)
{
	static go_mutex m;
	atomic_store(&armed, gettid());
	if (strcmp(how, "segv") == 0)
		*(volatile int *)16 = 1;
	else if (strcmp(how, "overflow") == 0)
		overflow(0);
	else if (strcmp(how, "abort") == 0)
		abort();
	else if (strcmp(how, "quit") == 0)
		raise(SIGQUIT);
	else if (strcmp(how, "fatal") == 0)
		go_mutex_unlock(&m);
	else
		go_chan_close(NULL);
	KEEP();
}

enum { TOGETHER = 6 };

static void *
die_with_others(void *way)
{
	atomic_fetch_add(&ready, 1);
	while (atomic_load(&ready) < TOGETHER)
		;
	die(way != NULL ? way : how);
	return NULL;
}

static void
die_too(void *unused)
{
	(void)unused;
	die_with_others(NULL);
}

static int
start(void *count)
{
	static char segv[] = "segv";
	pthread_t t;
	for (long i = 0; i < *(long *)count; i++)
		go_spawn(waits, NULL);
	go_sleep(20 * GO_MSEC);
	if (strcmp(how, "together") != 0)
		die(how);
	for (int i = 0; i < TOGETHER / 2; i++)
		pthread_create(&t, NULL, die_with_others, i == 0 ? NULL : segv);
	for (int i = TOGETHER / 2; i < TOGETHER; i++)
		go_spawn(die_too, NULL);
	go_sleep(60 * GO_SEC);
	return 0;
}

int
main(int argc, char **argv)
{
	const go_attr small = {.stack_bytes = 16384};
	long count = argc > 2 ? atol(argv[2]) : 2;
	(void)small;
	how = argc > 1 ? argv[1] : "panic";
	never = go_chan_new(sizeof(int), 0);
	if (strcmp(how, "together") == 0)
		go_gomaxprocs(TOGETHER);
	return go_run(start, &count);
}
END

# made NAME FLAG...: the program, linked so.
made()
{
	local name=$1
	shift
	${CC:-gcc} -O1 -Iinclude "$dir/deaths.c" "$@" -o "$dir/$name" -pthread -ldl || exit 1
}

# told NAME STATUS TEXT...: the texts stand in $err in this order, and the status is $status.
told()
{
	local name=$1 wanted=$2 at=$err
	shift 2
	if [ "$status" != "$wanted" ]; then
		failed=$((failed + 1))
		printf '%s: status %s, not %s\n%s\n' "$name" "$status" "$wanted" "${err:0:3000}"
		return
	fi
	for text; do
		if [[ $at != *"$text"* ]]; then
			failed=$((failed + 1))
			printf '%s: not told: %s\n%s\n' "$name" "$text" "${err:0:3000}"
			return
		fi
		at=${at#*"$text"}
	done
	passed=$((passed + 1))
}

run()
{
	err=$(timeout 60 "$@" 2>&1 >/dev/null)
	status=$?
}

archive=$UNDERGO_BUILD/libundergo.a
made pie -g -pie -fPIE "$archive"
made nopie -g -no-pie "$archive"
made static -g -static "$archive"
made shared -g "$UNDERGO_BUILD/libundergo.so" -Wl,-rpath,"$(realpath "$UNDERGO_BUILD")"
made plain "$archive"
made stripped -s "$archive"
made stripped-static -s -static "$archive"
made nomalloc -g -DNO_MALLOC "$archive"

panic=$'panic: close of nil channel\n\ngoroutine 1 [running]:\n'
for kind in pie nopie static shared; do
	run env GOTRACEBACK=all "$dir/$kind"
	told "$kind" 2 "$panic"$'go_chan_close(...)\n' \
		$'\ndie(...)\n\t'"$dir/deaths.c:" $'\nstart(...)\n\t'"$dir/deaths.c:" \
		$' [chan receive]:\ngo_chan_recv(...)\n' $'\nwaits(...)\n\t'"$dir/deaths.c:" \
		$'\ncreated by start in goroutine 1\n\t'"$dir/deaths.c:"
done
run env GOTRACEBACK=all "$dir/plain"
told plain 2 $'\ngo_chan_close(...)\n' $'\nstart(...)\n\t'"$dir/plain +0x" \
	$'\nwaits(...)\n\t'"$dir/plain +0x" $'\ncreated by start in goroutine 1\n'
for kind in stripped stripped-static; do
	run env GOTRACEBACK=all "$dir/$kind"
	told "$kind" 2 "$panic"$'?(...)\n\t'"$dir/$kind +0x" \
		' [chan receive]:' $'\nruntime: a file above has no symbols; '
done

# ---- nothing is allocated, whatever the death

for how in panic fatal segv overflow; do
	run env GOTRACEBACK=all "$dir/nomalloc" $how
	told "no malloc, $how" 2 'goroutine 1 [running]:' 'created by start in goroutine 1'
done
run env GOTRACEBACK=system "$dir/nomalloc" quit
told 'no malloc, quit' 2 $'SIGQUIT: quit\n' 'goroutine 1 [' 'created by start in goroutine 1'
run "$dir/nomalloc" abort
told 'no malloc, abort' 134 $'SIGABRT: abort\n' 'goroutine 1 [' 'created by start in goroutine 1'

# ---- a pipe nobody reads, many goroutines, many deaths

(
	trap - PIPE
	"$dir/pie" 2>&1 >/dev/null
	echo $? >"$dir/status"
) | sleep 0
err='' status=$(cat "$dir/status")
told 'broken pipe' 2

# A line is of a headline, a frame or its place, a register, or empty.
lines='^$|^(panic|fatal error|SIGSEGV): |^PC=|^signal arrived |^thread stack:$|^\[signal '
lines+='|^goroutine [0-9]|^[a-zA-Z_?][^ ]*\(\.\.\.\)$|^	|^created by |^(r[a-z0-9]+|lr|sp|pc) +0x'

many=${UNDERGO_DEATHS:-30000}
run env GOTRACEBACK=all "$dir/pie" panic "$many"
count=$(grep -c '^waits(...)$' <<<"$err")
[ "$count" = "$many" ] || status="after $count"
told "$many goroutines" 2 "$panic"

for _ in 1 2 3 4 5 6 7 8; do
	run env GOTRACEBACK=all "$dir/pie" together 500
	heads=$(grep -cE '^(panic: |fatal error: |SIGSEGV: )' <<<"$err")
	[[ $status != 139 || $err != SIGSEGV* ]] || status=2 # a thread nobody knows was the first
	count=$(grep -c '^waits(...)$' <<<"$err")
	odd=$(grep -vcE "$lines" <<<"$err")
	[ "$heads $count $odd" = "1 500 0" ] || status="$status: $heads heads, $count, $odd odd"
	told together 2 $'\nwaits(...)\n'
done

# ---- more rights than the user: nothing is told

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 "$dir" && chmod 4755 "$dir/static"
	run setpriv --reuid 65534 --regid 65534 --clear-groups env GOTRACEBACK=all "$dir/static"
	[[ $err != *goroutine* ]] || status='it tells'
	[ "$status" = 2 ] && [ "$err" = 'panic: close of nil channel' ] || status="$status: $err"
	told set-uid 2 'panic: close of nil channel'
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
