// SPDX-License-Identifier: BSD-3-Clause

// The stack of a goroutine that runs elsewhere and calls nothing, of a program that has had no
// profile yet.

package main

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
)

var spinning, stop int32

//go:noinline
func spins() {
	atomic.StoreInt32(&spinning, 1)
	for atomic.LoadInt32(&stop) == 0 {
	}
}

func main() {
	runtime.GOMAXPROCS(2)
	go spins()
	for atomic.LoadInt32(&spinning) == 0 {
		runtime.Gosched()
	}
	buf := make([]byte, 1<<16)
	for !strings.Contains(string(buf[:runtime.Stack(buf, true)]), " [running]:\nmain.spins(") {
	}
	atomic.StoreInt32(&stop, 1)
	fmt.Println("seen")
}

// Output:
// seen
