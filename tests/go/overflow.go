// SPDX-License-Identifier: BSD-3-Clause
// A recursion without end dies of Go's limit, here a smaller one.

package main

import "runtime/debug"

func f(n int) int { return f(n+1) + 1 }

func main() {
	debug.SetMaxStack(16 << 20)
	println(f(0))
}

// Status: 2
// Stderr:
// runtime: goroutine stack exceeds 16777216-byte limit
// ~runtime: sp=0x[0-9a-f]+ stack=\[0x[0-9a-f]+, 0x[0-9a-f]+\]
// fatal error: stack overflow
//
// ~goroutine 1 \[running\]:
