// SPDX-License-Identifier: BSD-3-Clause
// A fault nobody recovers; the signal is told, even when a deferred function panics anew.

package main

type pair struct{ a, b int }

//go:noinline
func second(p *pair) int { return p.b }

func main() {
	defer func() { panic("more") }()
	println(second(nil))
}

// Status: 2
// Stderr:
// panic: runtime error: invalid memory address or nil pointer dereference
// 	panic: more
// ~\[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=0x[0-9a-f]+\]
//
// goroutine 1 [running]:
