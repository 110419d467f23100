// SPDX-License-Identifier: BSD-3-Clause
// A panic nobody recovers, from a deferred function. The fault before it is over.

package main

import "errors"

func main() {
	func() {
		defer func() { recover() }()
		var p *int
		*p = 1
	}()
	defer func() { panic(errors.New("second")) }()
	panic("first")
}

// Status: 2
// Stderr:
// panic: first
// 	panic: second
//
// goroutine 1 [running]:
