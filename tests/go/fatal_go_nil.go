// SPDX-License-Identifier: BSD-3-Clause
// A goroutine of no function.

package main

func main() {
	var f func()
	go f()
}

// Status: 2
// Stderr:
// fatal error: go of nil func value
