// SPDX-License-Identifier: BSD-3-Clause

// Row of threads: locked_pair. Those of threads of C are in ../cgo.
package main

import "runtime"

// A round trip is two messages, and two changes of threads.
func lockedPairBody(n int64) {
	ping, pong := make(chan int64), make(chan int64)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	go func() {
		for i := int64(0); i < n; i++ {
			pong <- <-ping + 1
		}
	}()
	var sum int64
	for i := int64(0); i < n; i++ {
		ping <- 0
		sum += <-pong
	}
	check(sum == n, "locked_pair: lost a message")
}
