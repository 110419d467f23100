// SPDX-License-Identifier: BSD-3-Clause
// Names with letters that the compiler encodes read as they were written, wherever they are told:
// who dies and who asks for callers are told the same. Some are encoded in the debug information,
// some are not, and an underscore there looks like the beginning of a code.

package main

import (
	"fmt"
	"runtime"
)

type tür struct{ zu bool }

//go:noinline
func (t *tür) öffne_sie() {
	tell()
	if t.zu {
		Big_apple(nil)
	}
	t.zu = true
}

//go:noinline
func do_cleanup(p *int) int {
	tell()
	return *p
}

//go:noinline
func do__all(p *int) int { return do_cleanup(p) + 1 }

//go:noinline
func Big_apple(p *int) {
	func() {
		fmt.Println(do__all(p))
	}()
}

// Both are inlined into tell. The method is encoded, since others can inline it, too.
type my_asker struct{}

func (my_asker) my_call(pcs []uintptr) int { return runtime.Callers(1, pcs) }

func my_callee(pcs []uintptr) int {
	for i := range pcs {
		pcs[i] = 0
	}
	return my_asker{}.my_call(pcs)
}

//go:noinline
func tell() {
	pcs := make([]uintptr, 20)
	pcs = pcs[:my_callee(pcs)]
	frames := runtime.CallersFrames(pcs)
	for f, more := frames.Next(); more && f.Function != "main.main"; f, more = frames.Next() {
		fmt.Println(f.Function)
	}
}

func main() {
	pc, _, _, _ := runtime.Caller(0)
	fmt.Println(runtime.FuncForPC(pc).Name())
	t := &tür{}
	t.öffne_sie()
	t.öffne_sie()
}

// Flags: -O2 -g
// Output:
// main.main
// main.my_asker.my_call
// main.my_callee
// main.tell
// main.tür.öffne_sie
// main.my_asker.my_call
// main.my_callee
// main.tell
// main.tür.öffne_sie
// main.my_asker.my_call
// main.my_callee
// main.tell
// main.do_cleanup
// main.do__all
// main.Big_apple..func1
// main.Big_apple
// main.tür.öffne_sie
// Status: 2
// Stderr:
// panic: runtime error: invalid memory address or nil pointer dereference
// ~\[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x[0-9a-f]+\]
//
// goroutine 1 [running]:
// runtime.panicmem(...)
// ~	.*
// main.do_cleanup(...)
// ~	.*
// main.do__all(...)
// ~	.*
// main.Big_apple..func1(...)
// ~	.*
// main.Big_apple(...)
// ~	.*
// main.tür.öffne_sie(...)
// ~	.*
// main.main(...)
