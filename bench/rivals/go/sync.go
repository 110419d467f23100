// SPDX-License-Identifier: BSD-3-Clause

// Rows of package sync: mutex, mutex_cont.
package main

import "sync"

var lock sync.Mutex
var guarded int64

func mutexBody(n int64) {
	for i := int64(0); i < n; i++ {
		lock.Lock()
		lock.Unlock()
	}
}

func mutexContBody(n int64) {
	done := make(chan bool)
	guarded = 0
	for k := 0; k < lockers; k++ {
		go func() {
			for i := int64(0); i < n; i++ {
				lock.Lock()
				guarded++
				lock.Unlock()
			}
			done <- true
		}()
	}
	for k := 0; k < lockers; k++ {
		<-done
	}
	check(guarded == n*lockers, "mutex_cont: lost a turn")
}
