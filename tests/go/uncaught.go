// SPDX-License-Identifier: BSD-3-Clause
// A panic nobody recovers, from a deferred function.

package main

import "errors"

func main() {
	defer func() { panic(errors.New("second")) }()
	panic("first")
}

// Status: 2
// Stderr:
// panic: first
// 	panic: second
//
// goroutine 1 [running]:
