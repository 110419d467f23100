#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The test runner counts and shows each way a test can end. Without this a runner that loses
# failures would look like a runtime without faults.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
unset UNDERGO_TEST_SLOW UNDERGO_TEST_WRAPPER
export HARNESS_PID=$dir/pid

"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -DSUITE_LIST='"harness/failing.def"' -I. -o "$dir/suite" \
	runner.c harness.c death.c harness/failing.c || exit 1

# expect WHAT COMMAND...: one check.
expect()
{
	local what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "runner: $what"
	fi
}

# says LINE, never TEXT: about the output of the runner.
says()
{
	grep -qE -- "^$1\$" "$dir/out"
}

never()
{
	! grep -qE -- "$1" "$dir/out"
}

"$dir/suite" >"$dir/out" 2>&1
status=$?
expect "failures give status 1" test "$status" = 1
expect "the last line counts" test "$(tail -n 1 "$dir/out")" = "4 passed, 6 failed, 1 skipped"
expect "a pass is one line" says 'ok   harness/ends_well \([0-9]+ ms\)'
expect "a pass keeps its output" never 'not shown'
expect "a failure shows its output" says 'shown'
expect "a failure names the place" says 'harness/failing.c:[0-9]+: expected: 1 == 2'
expect "a signal is named" says 'FAIL harness/ends_by_signal .*: ended by signal 9, Killed'
expect "an exit status is named" says 'FAIL harness/ends_by_exit .*: exit status 9'
expect "a limit is named" says 'FAIL harness/ends_never .*: over its limit of 100 ms'
expect "SIGQUIT comes first" says 'dump after SIGQUIT'
expect "SIGKILL comes then" says 'FAIL harness/ends_never_and_deaf .*: over its limit of 100 ms'
expect "a flood keeps its beginning" says 'the first line'
expect "a flood keeps its end" says 'the last line'
expect "a flood loses its middle" says '\[\.\.\. [0-9]+ bytes left out \.\.\.\]'
expect "a skip gives its reason" says 'skip harness/ends_in_skip: the reason'
expect "a slow test waits to be asked" never 'ends_slowly'
pid=$(cat "$dir/pid")
expect "what a test leaves is killed" \
	bash -c '! kill -0 "$1" 2>/dev/null || grep -q "^State:.Z" "/proc/$1/status"' - "$pid"

"$dir/suite" --short >"$dir/out" 2>&1
expect "a short run is without F_STRESS" \
	test "$(tail -n 1 "$dir/out")" = "3 passed, 6 failed, 1 skipped"
"$dir/suite" --stress >"$dir/out" 2>&1
expect "one of stress has nothing else" test "$(tail -n 1 "$dir/out")" = "1 passed, 0 failed"

"$dir/suite" --slow ends_slowly ends_well --repeat 2>"$dir/out" >/dev/null
expect "options stand before names" test $? = 2
"$dir/suite" --repeat 3 harness/ends_slowly >"$dir/out" 2>&1
expect "success gives status 0" test $? = 0
expect "repeats count" test "$(tail -n 1 "$dir/out")" = "3 passed, 0 failed"
"$dir/suite" ends_somehow >"$dir/out" 2>&1
expect "an unknown name is refused" test $? = 2

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
