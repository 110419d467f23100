#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The command where a Go program is more than a file: packages of a module, GOFLAGS with words for
# the go command, being ended while the compiler runs, being called wrongly, being the go command.
set -uo pipefail

undergo=$(readlink -f "$UNDERGO_BUILD/undergo")
if ! command -v gccgo-12 >/dev/null || [ ! -e "$UNDERGO_BUILD/go/libgobegin.a" ]; then
	echo "gccgo-12 is missing: the command is not tried with Go"
	exit 77
fi
dest=$(mktemp -d)
trap 'rm -rf "$dest"' EXIT
cd "$dest" || exit 1
unset GOFLAGS GO111MODULE
passed=0 failed=0 skipped=0

# says WHAT STATUS TEXT COMMAND...: its exit status, and the first line that it writes.
says()
{
	local what=$1 status=$2 text=$3 got
	shift 3
	"$@" >log 2>&1 </dev/null
	got=$?
	if [ "$got" = "$status" ] && [ "$(head -n 1 log)" = "$text" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "$what: status $got, not $status, or not \"$text\":"
		cat log
	fi
}

mkdir -p module/part module/tool "a folder" tmp
cat >module/go.mod <<'END'
module example.com/module

go 1.17
END
cat >module/part/part.go <<'END'
package part

func Twice(n int) int { return 2 * n }
END
cat >module/tool/tool.go <<'END'
package main

import "example.com/module/part"

func main() { println(part.Twice(21), tagged) }
END
printf '//go:build !special\n\npackage main\n\nconst tagged = "plain"\n' >module/tool/plain.go
printf '//go:build special\n\npackage main\n\nconst tagged = "special"\n' >module/tool/special.go
cat >module/tool/tool_test.go <<'END'
package main

import (
	"example.com/module/part"
	"testing"
)

func TestFails(t *testing.T) { t.Error(part.Twice(1)) }
END
cat >"a folder/pointers.go" <<'END'
package main

type node struct{ n int }

func main() {
	m, x := map[*node]int{}, &node{}
	m[x]++
	println(m[x])
}
END

says "a package of a module" 0 "42 plain" "$undergo" run module/tool
says "the same, from within" 0 "42 plain" env -C module "$undergo" run tool
says "a tag" 0 "42 special" env GOFLAGS="-O1 -tags=special" "$undergo" run module/tool
says "a tag for the compiler" 0 1 env GOFLAGS=-tags=special "$undergo" run "a folder/pointers.go"
type_of()
{
	"$undergo" build "$1" -o placed && readelf -h placed | awk '$1 == "Type:" { print $2 }'
}
says "a program at a fixed place" 0 EXEC type_of "a folder/pointers.go"
says "a package at a fixed place" 0 EXEC type_of module/tool
GOFLAGS=-pie says "a package wherever it is loaded" 0 DYN type_of module/tool
says "a test that fails" 1 "--- FAIL: TestFails (0.00s)" "$undergo" test module/tool
says "pointers as keys, no warning" 0 "" "$undergo" build "a folder/pointers.go"
says "options before the command" 2 "undergo: there is no such command" \
	"$undergo" --apart run "a folder/pointers.go"

# The go command, by both its names. `go` is found through PATH, as other programs find it.
mkdir bin
ln -s "$undergo" bin/go
export PATH=$dest/bin:$PATH GOCACHE=$dest/cache
cat >words.go <<'END'
package main

import "os"

func main() {
	for _, word := range os.Args[1:] {
		print(word, " ")
	}
	println()
	if len(os.Args) == 1 {
		os.Exit(3)
	}
}
END
# made_by COMMAND...: whether what it builds has our runtime, and where it lies.
made_by()
{
	rm -f made
	"$@" -o made words.go || return
	echo "$(nm made | grep -c ' sched_park$')" \
		"$(readelf -h made | awk '$1 == "Type:" { print $2 }')"
}
is_inlined()
{
	if "$@" -n words.go 2>&1 | grep -e " -flto" >/dev/null; then
		echo inlined
	else
		echo apart
	fi
}
for go in "$undergo go" go; do
	read -r -a go_words <<<"$go"
	says "$go build" 0 "1 EXEC" made_by "${go_words[@]}" build
	says "$go build, apart" 0 "1 EXEC" made_by "${go_words[@]}" --apart build
	says "$go run" 0 "a -gccgoflags b " \
		"${go_words[@]}" run -v=false -tags x words.go a -gccgoflags b
	says "$go test" 1 "--- FAIL: TestFails (0.00s)" \
		env -C module "${go_words[@]}" test ./tool
	says "$go list, which is as it was" 0 example.com/module/part \
		env -C module "${go_words[@]}" list ./part
done
says "what is not built is the go command's" 2 "go none: unknown command" go none
go_run_status()
{
	go run words.go 2>&1 | tail -n 1
	return "${PIPESTATUS[0]}"
}
says "the status of go run" 1 "exit status 3" go_run_status
says "fronts" 0 inlined is_inlined go build
says "no fronts" 0 apart is_inlined go --apart build
says "flags for gccgo behind a value" 0 1 \
	eval "go run -tags x -gccgoflags=-O1 -exec nm words.go | grep -c ' sched_park\$'"
says "flags for gccgo" 0 "1 DYN" made_by go build -gccgoflags=-pie
says "flags for gccgo, in a word of their own" 0 "1 DYN" made_by go build --gccgoflags "-O1 -pie"
says "flags for gccgo, for these packages" 0 "1 DYN" \
	made_by go build -gccgoflags command-line-arguments=-pie
says "flags for gccgo, for others" 0 "1 EXEC" made_by go build -gccgoflags=os=-pie
says "flags for gccgo on a line of their own" 0 "1 DYN" made_by go build -gccgoflags $'\n-pie'
says "no flags for gccgo" 0 "1 EXEC" made_by go build -gccgoflags ""
says "a program at any place" 0 "1 DYN" made_by go build -buildmode=pie
says "a mode in a word of its own" 0 "1 DYN" made_by go build --buildmode pie
says "the usual mode" 0 "1 EXEC" made_by go build -buildmode=exe
GOFLAGS=-buildmode=pie says "a mode in GOFLAGS" 0 "1 DYN" made_by go build
says "a library" 2 \
	"undergo: -buildmode=c-shared: this runtime is linked into programs only" \
	go build -buildmode=c-shared words.go
says "flags for gccgo behind a value of tracing" 0 1 \
	eval "go run -debug-trace trace -gccgoflags=-O1 -exec nm words.go | \
		grep -c ' sched_park\$'"
GOFLAGS=-gccgoflags=-pie says "flags for gccgo in GOFLAGS" 0 "1 DYN" made_by go build
says "a build by who ignores its children" 0 "1 EXEC" \
	made_by env --ignore-signal=CHLD go build
says "a mode that is another flag's value" 0 "1 EXEC" \
	made_by go build -tags -buildmode=pie
says "flags for gccgo that are another flag's value" 0 "1 EXEC" \
	made_by go build -tags -gccgoflags=-pie
says "a mode before such a value" 0 "1 DYN" made_by go build -buildmode=pie -tags -buildmode=exe
GOENV=$dest/kept go env -w GOFLAGS=-buildmode=pie
GOENV=$dest/kept says "a mode in GOFLAGS that is kept" 0 "1 DYN" made_by go build
GOENV=$dest/kept GOFLAGS="" says "the same, and GOFLAGS is empty" 0 "1 DYN" made_by go build
GOENV=$dest/kept GOFLAGS=-tags=x says "another GOFLAGS than is kept" 0 "1 EXEC" made_by go build
GOENV=$dest/kept go env -w GOFLAGS=-gccgoflags=-pie
GOENV=$dest/kept says "flags for gccgo in GOFLAGS that is kept" 0 "1 DYN" made_by go build
for flag in -u -json -w; do
	GOFLAGS="$flag -gccgoflags=-pie" says "$flag, which is go env's, too" 0 "1 DYN" \
		made_by go build
done
GOFLAGS=$'-buildmode=pie\r' says "GOFLAGS of a line with CR" 0 "1 DYN" made_by go build
GOFLAGS="-exec -buildmode=pie" says "GOFLAGS whose words are not paired" 0 "1 DYN" \
	made_by go build
GO111MODULE=odd says "GOFLAGS that cannot be asked for" 1 \
	"go: unknown environment setting GO111MODULE=odd" go build words.go
says "GOFLAGS are the go command's" 0 "42 special" \
	env -C module GOFLAGS="-tags=special -mod=mod" go run ./tool
says "a go command that is us" 2 "undergo: GOTOOL: go is this command itself" \
	env GOTOOL=go timeout 20 go version
printf '#!/bin/sh\nexec go "$@"\n' >again
printf '#!/bin/sh\ngo "$@"\n' >again-as-a-child
chmod +x again again-as-a-child
for again in again again-as-a-child; do
	for verb in version build; do
		says "a go command that calls us, $again, $verb" 2 \
			"undergo: GOTOOL: $dest/$again calls this command again and again" \
			env GOTOOL="$dest/$again" timeout 20 go "$verb"
	done
done
mkdir environment
cat >environment/main.go <<'END'
package main

import "os"

func main() {
	println(os.Getenv("GOFLAGS"), len(os.Getenv("CGO_CFLAGS")), len(os.Getenv("GO111MODULE")))
}
END
says "the environment of a program" 0 "-O1 0 0" env GOFLAGS=-O1 "$undergo" run environment
printf '#!/bin/sh\necho $$ >asked\nexec sleep 60\n' >asleep
chmod +x asleep
ended_while_it_asks()
{
	local pid
	rm -f asked
	GOTOOL=$dest/asleep go build words.go &
	pid=$!
	while [ ! -s asked ]; do sleep 0.01; done # what asks says nothing
	kill -TERM "$pid"
	{ wait "$pid"; } 2>/dev/null
	echo "$? $(ps -o args= -p "$(cat asked)")"
}
says "ended while it asks the go command" 0 "143 " ended_while_it_asks
says "no go command" 1 "undergo: Go programs are compiled by no-such-go, which is not installed; \
on Debian it is in the package gccgo-12" env GOTOOL=no-such-go go version

# A runtime of our own, to make it anew.
mkdir -p prefix/bin prefix/lib/undergo
cp "$undergo" prefix/bin
ln -s "${undergo%/*}/libundergo.a" prefix/lib
ln -s "$(readlink -f "${undergo%/*}/../include")" prefix/include
cp -rs "${undergo%/*}/go" prefix/lib/undergo
cp --remove-destination "${undergo%/*}/go/libgobegin.a" prefix/lib/undergo/go
made_again()
{
	local was=made.was
	prefix/bin/undergo go build -o made words.go && ln -f made "$was" || return
	prefix/bin/undergo go build -o made words.go
	[ made -ef "$was" ] && echo "up to date"
	touch prefix/lib/undergo/go/libgobegin.a
	prefix/bin/undergo go build -o made words.go
	[ made -ef "$was" ] || echo "linked anew"
}
says "a program and its runtime, made anew" 0 "up to date linked anew" eval 'made_again | xargs'

# What is no program is refused in a sentence.
mkdir -p empty generic nothing
cat >generic/generic.go <<'END'
package main

func first[T any](s []T) T { return s[0] }

func main() { println(first([]int{1})) }
END
cat >nothing/nothing.go <<'END'
// func main() is elsewhere.
package main

/*
func main() {
}
*/
const text = `
func main() {}
func first[T any]() {}`

func (m matrix) main() int { return len(m) }
END
cat >rest.go <<'END'
package main

type matrix [size][2]int

const size = 2

func main() { println(matrix{}.main()) }
END
none="there is no func main, where a program begins: write one, or name the file that has it, too"
other="is of package part, which is no program: name a package main"
folder="there is no Go source in this folder: name sources, or the folder of a package main"
generic="has type parameters, and gccgo 12 has none: write it as for Go 1.17"
for how in run build; do
	says "no such source, $how" 1 "undergo: none.go: No such file or directory" \
		"$undergo" "$how" none.go
	says "no such folder, $how" 1 "undergo: none: No such file or directory" \
		"$undergo" "$how" none
	says "an empty folder, $how" 1 "undergo: empty: $folder" "$undergo" "$how" empty
	says "another package, $how" 1 "undergo: module/part/part.go $other" \
		"$undergo" "$how" module/part/part.go
	says "no main, $how" 1 "undergo: nothing/nothing.go: $none" \
		"$undergo" "$how" nothing/nothing.go
	says "no main in a folder, $how" 1 "undergo: nothing: $none" "$undergo" "$how" nothing
	says "generics, $how" 1 "undergo: generic/generic.go:3 $generic" \
		"$undergo" "$how" generic/generic.go
done
says "the folder of another package" 1 "undergo: module/part/part.go $other" \
	"$undergo" run module/part
mkdir odd
printf '\xef\xbb\xbfpackage main\n\nconst one = 1.\n\nfunc main() { two() }\n' >odd/mark.go
printf '\xef\xbb\xbfpackage main\n\nvar c chan\nfunc([2]int)\n' >odd/chan.go
printf '\nfunc two() { println(c == nil) }\n' >>odd/chan.go
says "a mark of byte order, a dot at the end, chan at the end" 0 true \
	"$undergo" run odd/mark.go odd/chan.go
mkdir cgo
printf 'package main\n\n// enum { THREE = 3 };\nimport "C"\n' >cgo/a.go
printf '\nfunc main() { println(C.THREE) }\n' >>cgo/a.go
printf '//go:build gc\n\npackage main\n\nfunc first[T any]() {}\n' >cgo/b.go
printf 'package main_test\n' >cgo/a_test.go
says "what cgo leaves out" 0 3 "$undergo" run cgo/a.go cgo/b.go cgo/a_test.go
says "main in another file" 0 2 "$undergo" run nothing/nothing.go rest.go
generic_folder()
{
	"$undergo" run generic 2>&1 | tail -n 1
}
says "generics in a folder" 2 "undergo: generic/generic.go:3 $generic" generic_folder

for flag in -tags -mod -modfile; do
	for source in "a folder/pointers.go" module/tool; do
		says "$flag by itself, $source" 2 \
			"undergo: GOFLAGS: $flag has its value in the same word: $flag=x" \
			env GOFLAGS="$flag x" TMPDIR="$dest/tmp" "$undergo" run "$source"
	done
done
says "nothing left by what is refused" 0 "" ls tmp

# in_root FOLDER COMMAND...: where FOLDER is the root, with all folders of ours; nobody else sees
# them there.
in_root()
{
	# shellcheck disable=SC2016 # for the inner shell
	unshare --user --map-root-user --mount sh -c '
		for from in /*; do
			if [ -h "$from" ]; then
				cp -Pn "$from" "$0"
			elif [ -d "$from" ]; then
				mkdir -p "$0$from" && mount --rbind "$from" "$0$from" || exit
			fi
		done
		exec chroot "$0" "$@"' "$@"
}
cat >says-module <<'END'
#!/bin/sh
echo "GO111MODULE=${GO111MODULE-}"
END
chmod +x says-module
says "a folder of no module" 0 "GO111MODULE=off" \
	env GOTOOL="$dest/says-module" "$undergo" test "a folder"
mkdir root
if in_root "$dest/root" true 2>/dev/null; then
	touch root/go.mod
	says "a module that is all there is" 0 "GO111MODULE=" in_root "$dest/root" \
		env GOTOOL="$dest/says-module" "$undergo" test "$dest/a folder"
else
	echo "no name spaces: a module in the root is not tried"
	skipped=1
fi

# A compiler that says when it runs, and takes its time.
cat >slow <<'END'
#!/bin/sh
touch "$0.runs"
exec sleep 60
END
chmod +x slow
ended()
{
	TMPDIR=$dest/tmp GCCGO=$dest/slow "$undergo" run "a folder/pointers.go" &
	while [ ! -e slow.runs ]; do sleep 0.01; done
	kill "$!"
	wait "$!"
	local status=$?
	ls tmp
	return "$status"
}
says "ended while it compiles" 143 "" ended

# ended_early SOURCE: at any step from the start on. A signal that is lost is no end for 50 s.
ended_early()
{
	local us status
	for ((us = 20; us < 6000; us += 60)); do
		TMPDIR=$dest/tmp CC=$dest/swift GCCGO=$dest/slow timeout --foreground \
			--preserve-status --kill-after=50 "$(printf '0.%06d' "$us")" \
			"$undergo" run "$1"
		status=$?
		if [ "$status" != 143 ]; then
			echo "after $us us: status $status"
			return 1
		fi
	done
	ls tmp
}
says "ended before it compiles" 0 "" ended_early "a folder/pointers.go"

# A compiler that takes no time, for a program that does.
cat >sleeps.c <<'END'
#include <unistd.h>

int
main(void)
{
	return (int)sleep(60); // a signal ends it
}
END
"$undergo" build sleeps.c -o sleeps
cat >swift <<'END'
#!/bin/sh
while [ "$1" != -o ]; do shift; done
exec cp "${0%/*}/sleeps" "$2"
END
chmod +x swift
says "ended before it runs the program" 0 "" ended_early sleeps.c

cat >signals.c <<'END'
#include <stdio.h>
#include <string.h>

int
main(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "Sig", 3) == 0 && strncmp(line, "SigQ", 4) != 0)
			fputs(line, stdout);
}
END
same_signals()
{
	"$undergo" build signals.c -o signals
	local start=(env --default-signal --ignore-signal=HUP,CHLD --block-signal=INT)
	"${start[@]}" ./signals >expected
	"${start[@]}" "$undergo" run signals.c | diff expected -
}
says "signals are the program's as they were ours" 0 "" same_signals

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
