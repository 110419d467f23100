// SPDX-License-Identifier: BSD-3-Clause
// println of all kinds, to standard error.

package main

type I interface{ M() }

func main() {
	var s []int
	var e interface{}
	var i I
	zero := 0.0
	println("text", 1, -2, uint8(200), 'x', true, false)
	println(1.5, -0.001, 1e300, zero, -1/zero, 1/zero, zero/zero)
	println(complex(1, -2))
	println(s, e, i, 1<<63-1, uint64(1<<64-1))
	print("a", 1, "\n")
}

// Stderr:
// text 1 -2 200 120 true false
// +1.500000e+000 -1.000000e-003 +1.000000e+300 +0.000000e+000 -Inf +Inf NaN
// (+1.000000e+000-2.000000e+000i)
// [0/0]0x0 (0x0,0x0) (0x0,0x0) 9223372036854775807 18446744073709551615
// a1
