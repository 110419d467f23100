#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The Go face: our own Go programs built by gccgo and what is linked into them; those by which Go
# tests its runtime, and tests of packages of the library, as far as they take little time.
set -euo pipefail

if ! command -v gccgo-12 >/dev/null || [ ! -e "$UNDERGO_BUILD/go/libgobegin.a" ]; then
	echo "gccgo-12 is missing: no Go programs are tried"
	exit 77
fi
status=0
passed=0 failed=0

# Runs a tool and adds up what its last line says.
try()
{
	local out p f
	out=$("$@" --build "${build:-$UNDERGO_BUILD}") || status=$?
	echo "$out"
	read -r p f < <(tail -n 1 <<<"$out" | sed -E 's/[^0-9]+/ /g')
	passed=$((passed + p)) failed=$((failed + f))
}

try tests/go/run
if [ -e "$UNDERGO_BUILD/go/front/libgobegin.a" ]; then
	try tests/go/run --fronts fronts values panics memory profiles cpuprofile allstacks \
		overflow recoverers poisoned mapfaults
fi
# With the library's packages that are compiled anew.
if [ -e "$UNDERGO_RELEASE/go/libundergogo.a" ]; then
	build=$UNDERGO_RELEASE try tests/go/run hello goroutines library net panics pairs reflect \
		trace values
fi
if [ -d "${GOTEST:-/usr/share/go-1.19/test}/../src/runtime/testdata" ]; then
	try tests/go/testprog --quick
else
	echo "golang-1.19-src is missing: its programs are not tried"
fi
if compgen -G '/usr/src/gcc-12/gcc-12*.tar.xz' >/dev/null || [ -n "${LIBGO-}" ]; then
	try tests/go/std --quick --keep "$UNDERGO_BUILD/go.std"
	[ ! -e "$UNDERGO_RELEASE/go/libundergogo.a" ] ||
		build=$UNDERGO_RELEASE try tests/go/std --anew --keep "$UNDERGO_BUILD/go.std" \
			bytes encoding/json reflect
else
	echo "gcc-12-source is missing: tests of the standard library are not tried"
fi

# said WANTED COMMAND...: whether the command says just that.
said()
{
	local wanted=$1 got
	shift
	got=$("$@" 2>&1) || true
	if [ "$got" = "$wanted" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1)) status=1
		echo "FAILED $*: it says"
		echo "$got"
	fi
}

for tool in run conformance testprog std; do
	said "tests/go/$tool: there is no build-none/go/libgobegin.a: make it by \
\`scripts/build build-none\`, where gccgo-12 is installed, or name another build folder \
with --build" "tests/go/$tool" --build build-none
done

command=$UNDERGO_BUILD/undergo
said "undergo: this command takes no arguments" \
	bash -c "'$command' version --apart 2>&1 | head -n 1"
said "$(sed -n '/^\/\/ Output:/,$s/^\/\/ //p' examples/mixed/mixed.go | tail -n +2)" \
	"$command" run examples/mixed/mixed.go examples/mixed/workers.c
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/group.go" <<'EOF'
package main

import (
	"fmt"
	// static int two(void) { return 2; }
	"C"
)

func main() { fmt.Println(C.two()) }
EOF
said 2 "$command" run "$dir/group.go"
missing="which is not installed; on Debian it is in the package gccgo-12"
said "undergo: Go programs are compiled by no-such-go, $missing" \
	env GOTOOL=no-such-go "$command" run examples/mixed
said "undergo: Go programs are compiled by no-such-gccgo, $missing" \
	env GCCGO=no-such-gccgo "$command" run tests/go/hello.go
echo "$passed passed, $failed failed"
exit "$status"
