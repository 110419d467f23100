// SPDX-License-Identifier: BSD-3-Clause

// GODEBUG=stackpoison=1 leaves alone what is alive, also of goroutines that lose their processor
// while they come back from a stack that they had put upon another.

package main

import (
	"fmt"
	"runtime"
	"sync"
)

// Its frame wants a stack of its own.
//go:noinline
func wide(n int) int {
	var a [50000]int
	for i := range a {
		a[i] = n
	}
	return a[n] + a[len(a)-1]
}

func main() {
	var wait sync.WaitGroup
	stop := make(chan bool)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	for g := 0; g < 8; g++ {
		wait.Add(1)
		go func(g int) {
			defer wait.Done()
			for i := 0; i < 500; i++ {
				if wide(i+g) != 2*(i+g) {
					panic("a frame is broken")
				}
			}
		}(g)
	}
	wait.Wait()
	stop <- true
	fmt.Println("whole")
}

// Env: GODEBUG=stackpoison=1
// Env: GOMAXPROCS=4
// Output:
// whole
