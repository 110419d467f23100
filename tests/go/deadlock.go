// SPDX-License-Identifier: BSD-3-Clause
// All goroutines wait for each other.

package main

func main() {
	c := make(chan int)
	go func() { c <- 1 }()
	<-c
	<-c
}

// Status: 2
// Stderr:
// fatal error: all goroutines are asleep - deadlock!
//
// goroutine 1 [chan receive]:
