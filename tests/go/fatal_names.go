// SPDX-License-Identifier: BSD-3-Clause
// Names with letters that the compiler encodes read as they were written, wherever they are told.

package main

import (
	"fmt"
	"runtime"
)

type tür struct{ zu bool }

//go:noinline
func (t *tür) öffne_sie() {
	pc, _, _, _ := runtime.Caller(0)
	fmt.Println(runtime.FuncForPC(pc).Name())
	if t.zu {
		panic("zu")
	}
	t.zu = true
}

func main() {
	t := &tür{}
	t.öffne_sie()
	t.öffne_sie()
}

// Output:
// main.tür.öffne_sie
// main.tür.öffne_sie
// Status: 2
// Stderr:
// panic: zu
//
// goroutine 1 [running]:
// main.tür.öffne_sie(...)
